"""A skill's own cases, asked on its tiers: what passes, what not and why."""
