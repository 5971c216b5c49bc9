"""Columns by path: nested values become rows of a frame of their own."""

import pyarrow as pa
import pytest

from skillyard.errors import ConfigError
from skillyard.lake.flatten import column_at, flatten, frame_of

LINES = [[{"amount": 1.0, "tags": ["a", "b"]}, {"amount": None, "tags": []}], [], None, [{"amount": 3.0, "tags": ["c"]}]]
ROWS = pa.table(
    {
        "item_id": ["i0", "i1", "i2", "i3"],
        "party": [{"name": "x"}, None, {"name": None}, {"name": "y"}],
        "label": pa.array(["a", "b", None, "a"]).dictionary_encode(),
        "lines": LINES,
    }
)


def test_items_of_a_list_stand_beside_the_columns_of_their_row() -> None:
    frame = frame_of(ROWS, ["item_id", "lines.amount"])
    assert frame == "lines"
    assert flatten(ROWS, frame, ["item_id", "lines.amount"]).to_pydict() == {
        "item_id": ["i0", "i0", "i3"],
        "lines.amount": [1.0, None, 3.0],
    }


def test_lists_in_lists_are_opened_too() -> None:
    assert flatten(ROWS, "lines.tags", ["item_id", "lines.tags"]).to_pydict() == {
        "item_id": ["i0", "i0", "i3"],
        "lines.tags": ["a", "b", "c"],
    }


def test_a_property_of_an_object_is_a_column_of_the_table() -> None:
    assert flatten(ROWS, frame_of(ROWS, ["party.name"]), ["party.name"])["party.name"].to_pylist() == ["x", None, None, "y"]


def test_the_length_of_a_list_is_a_column_where_the_list_is() -> None:
    assert column_at(ROWS, "len(lines)").values.to_pylist() == [2, 0, None, 1]
    assert column_at(ROWS, "len(lines.tags)").values.to_pylist() == [2, 0, 1]


def test_dictionaries_become_their_values() -> None:
    assert column_at(ROWS, "label").values.type == pa.string()


@pytest.mark.parametrize(("path", "words"), [("nothing", "no column"), ("party.age", "There are: name"), ("item_id.x", "no properties")])
def test_a_path_that_leads_nowhere_is_refused(path: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        column_at(ROWS, path)


def test_one_rule_cannot_look_at_the_items_of_two_lists() -> None:
    with pytest.raises(ConfigError, match="different lists"):
        frame_of(ROWS, ["lines.amount", "lines.tags"])
