"""Sizes that both the engine and the forms of the UI need, kept where importing them costs nothing."""

SHARD_ITEMS = 500
"""Items a shard holds unless a run asks for another size."""
MAX_SHARDS = 1000
"""A mapped task may not have more instances than Airflow's max_map_length (1,024)."""
