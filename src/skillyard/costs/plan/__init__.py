"""The scaling plan: what a month costs, and what to change."""
