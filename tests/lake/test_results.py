"""Output schemas as columns, answers as exactly typed rows."""

import json
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillyard.errors import ConfigError, SchemaMismatch
from skillyard.lake.parquet import decode, encode
from skillyard.lake.results import results_table, to_results
from skillyard.lake.rows import conform, row_hash
from skillyard.lake.tables import MONEY, TIMESTAMP, Table
from tests.lake.rows import results

PLACES = Decimal("0.000000000001")
INVOICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["number", "issued", "paid_at", "total", "vat", "pages", "share", "is_paid", "kind", "marks", "lines"],
    "properties": {
        "number": {"type": ["string", "null"], "description": "the invoice's own number"},
        "issued": {"type": ["string", "null"], "format": "date"},
        "paid_at": {"type": ["string", "null"], "format": "date-time"},
        "total": {"type": "number", "x-decimal": True},
        "vat": {"type": ["string", "null"], "x-decimal": True},
        "pages": {"type": "integer"},
        "share": {"type": ["number", "null"]},
        "is_paid": {"type": ["boolean", "null"]},
        "kind": {"type": "string", "enum": ["invoice", "credit note"]},
        "marks": {"type": ["array", "null"], "items": {"type": "string", "enum": ["late", "disputed"]}},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["what", "rate", "amount", "notes"],
                "properties": {
                    "what": {"type": "string"},
                    "rate": {"type": ["string", "null"], "enum": ["full", "reduced", None]},
                    "amount": {"type": ["number", "null"], "x-decimal": True},
                    "notes": {"type": ["array", "null"], "items": {"type": "string"}},
                },
            },
        },
    },
}
TABLE = results_table("extract-invoice", 2, INVOICE)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
AMOUNT = st.decimals(min_value=-(10**12), max_value=10**12, places=12, allow_nan=False, allow_infinity=False)
LINE = st.fixed_dictionaries(
    {
        "what": TEXT,
        "rate": st.sampled_from(["full", "reduced", None]),
        "amount": st.none() | AMOUNT,
        "notes": st.none() | st.lists(TEXT, max_size=2),
    }
)
OUTPUT = st.fixed_dictionaries(
    {
        "number": st.none() | TEXT,
        "issued": st.none() | st.dates().map(date.isoformat),
        "paid_at": st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(datetime.isoformat),
        "total": st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | AMOUNT,
        "vat": st.none() | AMOUNT.map(str),
        "pages": st.integers(-(2**63), 2**63 - 1),
        "share": st.none() | st.floats(allow_nan=False),
        "is_paid": st.none() | st.booleans(),
        "kind": st.sampled_from(["invoice", "credit note"]),
        "marks": st.none() | st.lists(st.sampled_from(["late", "disputed"]), max_size=2),
        "lines": st.lists(LINE, max_size=3),
    }
)


def rows_of(outputs: list[dict[str, Any]], table: Table = TABLE) -> pa.Table:
    """Return one result for each output."""
    frame = results(range(1)).drop_columns(["tags", "total"]).to_pylist()[0]
    return to_results(table, [frame | output | {"item_id": f"i{n}"} for n, output in enumerate(outputs)])


def test_json_types_become_exact_column_types() -> None:
    types = {field.name: (str(field.type), field.nullable) for field in TABLE.schema if field.name in INVOICE["properties"]}  # type: ignore[operator]
    label = "dictionary<values=string, indices=int32, ordered=0>"
    line = f"struct<what: string not null, rate: {label}, amount: decimal128(28, 12), notes: list<element: string not null>>"
    assert types == {
        "number": ("string", True),
        "issued": ("date32[day]", True),
        "paid_at": ("timestamp[us, tz=UTC]", True),
        "total": ("decimal128(28, 12)", False),
        "vat": ("decimal128(28, 12)", True),
        "pages": ("int64", False),
        "share": ("double", True),
        "is_paid": ("bool", True),
        "kind": (label, False),
        "marks": (f"list<element: {label} not null>", True),
        "lines": (f"list<element: {line} not null>", False),
    }
    assert TABLE.name == "results/extract-invoice/v2"
    assert TABLE.schema.metadata == {b"skillyard_table": b"results/extract-invoice/v2", b"skillyard_schema_version": b"2"}
    assert TABLE.schema.field("number").metadata == {b"description": b"the invoice's own number"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OUTPUT, min_size=1, max_size=4))
def test_answers_round_trip_through_parquet(outputs: list[dict[str, Any]]) -> None:
    rows = rows_of(outputs)
    back = decode(encode(rows))
    assert conform(TABLE, back).equals(rows)
    for found, given_ in zip(back.to_pylist(), outputs, strict=True):
        same = ("number", "pages", "share", "is_paid", "kind", "marks")
        assert {name: found[name] for name in same} == {name: given_[name] for name in same}
        assert found["issued"] == (given_["issued"] and date.fromisoformat(given_["issued"]))
        assert found["paid_at"] == (given_["paid_at"] and datetime.fromisoformat(given_["paid_at"]))
        assert found["total"] == Decimal(str(given_["total"])).quantize(PLACES, ROUND_HALF_EVEN)
        assert found["vat"] == (given_["vat"] and Decimal(given_["vat"]))
        assert found["lines"] == given_["lines"]


@settings(max_examples=60, deadline=None)
@given(st.lists(AMOUNT, min_size=1, max_size=30))
def test_sums_of_money_are_exact(amounts: list[Decimal]) -> None:
    rows = rows_of([{"number": None, "total": a, "pages": 1, "kind": "invoice", "lines": []} for a in amounts])
    assert pc.sum(decode(encode(rows)).column("total")).as_py() == sum(amounts)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OUTPUT, min_size=2, max_size=5), st.randoms())
def test_the_row_hash_forgets_order_and_layout_and_nothing_else(outputs: list[dict[str, Any]], random: Any) -> None:
    rows = rows_of(outputs)
    order = random.sample(range(len(outputs)), len(outputs))
    shuffled = pa.concat_tables([rows.slice(i, 1) for i in order])
    assert row_hash(TABLE, shuffled) == row_hash(TABLE, rows)
    changed = rows_of([{**outputs[0], "pages": outputs[0]["pages"] ^ 1}, *outputs[1:]])
    assert row_hash(TABLE, changed) != row_hash(TABLE, rows)


def test_the_row_hash_leaves_out_when_and_tells_null_from_empty() -> None:
    base = {"pages": 1, "total": 1, "kind": "invoice"}
    nothing, empty = (rows_of([base | {"lines": [{"what": "x", "notes": notes}]}]) for notes in (None, []))
    assert row_hash(TABLE, nothing) != row_hash(TABLE, empty)
    later = rows_of([base | {"lines": [], "produced_at": datetime(2027, 1, 1, tzinfo=UTC), "produced_on": date(2027, 1, 1)}])
    assert row_hash(TABLE, later) == row_hash(TABLE, rows_of([base | {"lines": []}]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pages": "3"}, "pages is '3', has to be int64"),
        ({"pages": 1.5}, "not a whole number"),
        ({"pages": 2**63}, "pages is 9223372036854775808"),
        ({"pages": True}, "found bool"),
        ({"kind": 7}, "found int"),
        ({"kind": None}, "kind is missing or null"),
        ({"issued": "31.12.2026"}, "issued is '31.12.2026', has to be date32"),
        ({"paid_at": "2026-01-31T12:00:00"}, "needs its offset from UTC"),
        ({"total": "a lot"}, "total is 'a lot'"),
        ({"total": float("nan")}, "not a finite number"),
        ({"total": 10**20}, "has to be decimal128"),
        ({"is_paid": "yes"}, "found str"),
        ({"lines": [{"what": None}]}, "what is missing or null"),
        ({"lines": [{"what": "x", "price": 1}]}, "unknown properties price"),
        ({"lines": "x"}, "has to be list"),
        ({"extra": 1}, "extra are not columns"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_item(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaMismatch, match="item_id 'i0'") as raised:
        rows_of([{"pages": 1, "total": 1, "kind": "invoice", "lines": []} | changes])
    assert message in str(raised.value)


def test_labels_count_by_their_values_in_filters_hashes_and_tables_of_several_files() -> None:
    """Each file numbers its labels in its own way."""
    first, second = (
        [{"pages": 1, "total": 1, "kind": kind, "marks": marks, "lines": [{"what": "x", "rate": rate}]} for kind, marks, rate in rows]
        for rows in (
            [("invoice", ["late", "disputed"], "full"), ("credit note", [], None)],
            [("credit note", ["disputed"], "reduced"), ("invoice", None, "full")],
        )
    )
    files = [decode(encode(rows_of(rows))) for rows in (first, second)]
    together, at_once = pa.concat_tables(files), rows_of([*first, *second])
    ids = pa.array([f"i{n}" for n in range(4)])
    together = together.set_column(0, at_once.schema.field(0), ids)
    assert together.column("kind").chunk(0).dictionary != together.column("kind").chunk(1).dictionary
    assert row_hash(TABLE, together) == row_hash(TABLE, at_once)
    assert together.filter(pc.field("kind") == "invoice").num_rows == 2
    assert together.filter(pc.field("kind").isin(["invoice", "receipt"])).num_rows == 2
    shown = together.to_pandas()
    assert shown["kind"].dtype == "category"
    assert shown[shown["kind"] == "invoice"]["item_id"].tolist() == ["i0", "i3"]
    assert shown["marks"].explode().dropna().tolist() == ["late", "disputed", "disputed"]
    assert duckdb.sql("select kind, count(*) from together group by all order by all").fetchall() == [("credit note", 2), ("invoice", 2)]
    counted = together.unify_dictionaries().group_by("kind").aggregate([("total", "sum")])
    assert counted.num_rows == 2


def test_an_output_may_not_use_the_names_every_result_has() -> None:
    with pytest.raises(ConfigError, match=r"uses cost_usd, tier"):
        results_table("x", 1, {"properties": {"tier": {"type": "string"}, "cost_usd": {"type": "number"}}})


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": ["string", "number"]}, "one type"),
        ({}, "one type"),
        ({"type": "object"}, "without properties"),
        ({"type": "any"}, "unknown type"),
    ],
)
def test_a_schema_that_no_column_can_hold_is_refused(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        results_table("x", 1, {"properties": {"value": schema}})


def test_money_and_time_types_are_those_of_the_fixed_tables() -> None:
    assert TABLE.schema.field("total").type == MONEY
    assert TABLE.schema.field("paid_at").type == TIMESTAMP
    assert json.loads(json.dumps(INVOICE)) == INVOICE
