"""The kinds of skills, and the buckets that the catalogue is sorted into."""

from typing import Literal

Kind = Literal["llm", "library", "mixed"]
"""Who answers: a model, a library, or a library first and a model where it is not sure."""
Bucket = Literal["ingestion", "qa-classification", "structured-tools", "workflows", "planning"]
