"""Skillyard runs AI skills over documents in bulk: routed to the cheapest good tier, paid once, accounted for."""
