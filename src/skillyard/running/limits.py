"""Sizes and bounds that both the engine and the forms of the UI need, kept where importing them costs nothing."""

from datetime import timedelta
from decimal import Decimal

SHARD_ITEMS = 500
"""Items a shard holds unless a run asks for another size."""
MAX_SHARDS = 1000
"""A mapped task may not have more instances than Airflow's max_map_length (1,024)."""
PROBE_ITEMS = 50
"""Items of a probe: a small paid run after which a skill's quotes have a history."""
DEFAULT_APPROVAL_USD = Decimal(1)
"""For a team without approval_above_usd: a run without history whose bound is above this waits for a person."""
APPROVAL_WAIT = timedelta(hours=24)
"""How long a run waits for that person, holding its lease; nobody's answer is a refusal."""
