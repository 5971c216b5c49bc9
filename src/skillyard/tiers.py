"""The quality classes of models, the cheapest first."""

TIERS = ("fast", "standard", "expert")
