"""Runs: documents in, items planned, routed, answered and published, every one of them accounted for."""
