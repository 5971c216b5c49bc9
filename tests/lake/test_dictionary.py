"""The data dictionary on disk is the one the schemas say."""

from pathlib import Path

from skillyard.lake.dictionary import PATH, render
from skillyard.lake.tables import TABLES

ROOT = Path(__file__).resolve().parents[2]


def test_the_data_dictionary_is_current() -> None:
    assert (ROOT / PATH).read_text(encoding="utf-8") == render(), "run: python -m skillyard.lake.dictionary"


def test_every_column_of_every_table_is_described() -> None:
    assert all(field.metadata[b"description"] for table in TABLES.values() for field in table.schema)
