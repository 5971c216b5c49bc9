"""What an analyst reads: by name, with plain filters, with right types, now and as of an earlier time."""

import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow.compute as pc
import pytest

from skillyard.errors import ConfigError
from skillyard.lake import read
from skillyard.lake.correct import correct
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, mark_stale, replace_partition, replace_rows
from skillyard.lake.results import results_table, to_results
from skillyard.lake.tables import LLM_CALLS
from tests.lake.rows import DAY, TAGS, call, cost, results

NEXT = DAY + timedelta(days=1)
TYPED = results_table(
    "type-everything",
    1,
    {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["invoice", "letter"]},
            "issued_on": {"type": ["string", "null"], "format": "date"},
            "paid_at": {"type": ["string", "null"], "format": "date-time"},
            "total": {"type": "number", "x-decimal": True},
            "lines": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": {"type": "string"}, "price": {"type": "number", "x-decimal": True}}},
            },
        },
    },
)


def now() -> datetime:
    """Return a time that is certainly after all that was done, even where a store tells its times in seconds."""
    time.sleep(1.1)
    found = datetime.now(UTC)
    time.sleep(1.1)
    return found


def models(lake: Lake, as_of: datetime | None = None) -> dict[str, str]:
    rows = read("results/tag-document", ["item_id", "model"], as_of=as_of, lake=lake.url).to_pylist()
    assert len({row["item_id"] for row in rows}) == len(rows)
    return {row["item_id"]: row["model"] for row in rows}


def test_the_lake_of_the_environment_is_read(local_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_rows(local_lake, TAGS, results(range(3)), "a")
    monkeypatch.setenv("SKILLYARD_LAKE", local_lake.url)
    assert read("results/tag-document", columns=["item_id"]).num_rows == 3


@pytest.mark.parametrize(
    "where",
    [
        {"item_id": "item-0001", "tier": ["fast", "expert"], "page_no": None},
        [("item_id", "==", "item-0001"), ("cost_usd", "<", Decimal("0.01"))],
        [[("item_id", "==", "item-0001")], [("item_id", "==", "nobody")]],
        pc.field("item_id") == "item-0001",
    ],
)
def test_conditions_take_the_usual_forms(local_lake: Lake, where: object) -> None:
    replace_rows(local_lake, TAGS, results(range(3)), "a")
    assert read("results/tag-document", ["item_id"], where, lake=local_lake.url).to_pylist() == [{"item_id": "item-0001"}]  # type: ignore[arg-type]


def test_pandas_gets_right_types(local_lake: Lake) -> None:
    own = {"kind": "letter", "issued_on": "2026-01-31", "paid_at": "2026-02-01T10:00:00+02:00", "total": "12.30"}
    lines = [{"name": "paper", "price": "0.000000000001"}, {"name": "ink", "price": "2"}]
    row = results(range(1)).drop_columns(["tags", "total"]).to_pylist()[0]
    replace_rows(local_lake, TYPED, to_results(TYPED, [row | own | {"lines": lines}]), "a")
    frame = read("results/type-everything", lake=local_lake.url).to_pandas()
    (found,) = frame.to_dict("records")
    assert found["issued_on"] == date(2026, 1, 31)
    assert found["produced_on"] == DAY
    assert (found["total"], found["cost_usd"]) == (Decimal("12.3"), Decimal("0.0000000375"))
    assert isinstance(found["total"], Decimal)
    assert found["paid_at"].isoformat() == "2026-02-01T08:00:00+00:00"
    assert str(frame["paid_at"].dt.tz) == str(frame["produced_at"].dt.tz) == "UTC"
    assert [dict(line) for line in found["lines"]] == [
        {"name": "paper", "price": Decimal("0.000000000001")},
        {"name": "ink", "price": Decimal("2")},
    ]
    assert found["kind"] == "letter"
    assert found["is_stale"] is False


def test_results_are_read_as_they_were(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(4)), "a")
    first = now()
    replace_rows(lake, TAGS, results(range(2, 6), NEXT, model="new"), "b")
    second = now()
    mark_stale(lake, TAGS, "cd" * 32)
    assert models(lake, first) == {f"item-{i:04d}": "embedded/small" for i in range(4)}
    assert models(lake, second) == models(lake)
    assert not any(read("results/tag-document", ["is_stale"], as_of=second, lake=lake.url)["is_stale"].to_pylist())
    assert all(read("results/tag-document", ["is_stale"], lake=lake.url)["is_stale"].to_pylist())
    assert models(lake, datetime(2020, 1, 1, tzinfo=UTC)) == {}


def test_appended_rows_are_read_as_they_were_before_others_and_before_their_correction(lake: Lake) -> None:
    def costs(as_of: datetime | None = None) -> dict[str, Decimal | None]:
        return {row["call_id"]: row["cost_usd"] for row in read("llm_calls", as_of=as_of, lake=lake.url).to_pylist()}

    append(lake, LLM_CALLS, to_results(LLM_CALLS, [call("a"), call("b", status="unknown", cost_usd=None)]), "p")
    first = now()
    append(lake, LLM_CALLS, to_results(LLM_CALLS, [call("c")]), "q")
    second = now()
    correct(lake, LLM_CALLS, DAY, {"b": {"status": "settled", "cost_usd": Decimal("0.02")}})
    assert costs(first) == {"a": Decimal("0.05"), "b": None}
    assert costs(second) == {"a": Decimal("0.05"), "b": None, "c": Decimal("0.05")}
    assert costs() == {"a": Decimal("0.05"), "b": Decimal("0.02"), "c": Decimal("0.05")}


def test_a_switch_is_later_than_the_one_before_whatever_the_writers_clock_says(local_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    class SlowClock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(2020, 1, 1, tzinfo=UTC)

    replace_rows(local_lake, TAGS, results(range(1)), "a")
    first = now()
    monkeypatch.setattr("skillyard.lake.switch.datetime", SlowClock)
    replace_rows(local_lake, TAGS, results(range(1), model="new"), "b")
    replace_rows(local_lake, TAGS, results(range(1), model="newest"), "c")
    assert set(models(local_lake, first).values()) == {"newest"}
    assert set(models(local_lake).values()) == {"newest"}


def test_a_time_that_cannot_be_read_is_refused(local_lake: Lake) -> None:
    replace_rows(local_lake, TAGS, results(range(1)), "a")
    replace_partition(local_lake, COST_DAILY, DAY, to_results(COST_DAILY, [cost("a", 1)]))
    with pytest.raises(ConfigError, match="offset from UTC"):
        models(local_lake, datetime(2026, 1, 1))
    with pytest.raises(ConfigError, match="has not come yet"):
        models(local_lake, datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(ConfigError, match="recomputed day by day"):
        read("cost_daily", as_of=datetime.now(UTC), lake=local_lake.url)


def test_importing_the_package_loads_no_heavy_one() -> None:
    code = (
        "import sys, skillyard.lake; print([m for m in ('pandas', 'pyarrow.dataset', 'boto3', 'great_expectations') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rows_that_go_and_come_back_are_read_as_they_were_each_time(local_lake: Lake) -> None:
    replace_rows(local_lake, TAGS, results(range(3)), "a")
    times = []
    for fingerprint in ("cd" * 32, "ab" * 32, "cd" * 32, "ab" * 32):
        times.append(datetime.now(UTC))
        mark_stale(local_lake, TAGS, fingerprint)
    states = [set(read("results/tag-document", ["is_stale"], as_of=at, lake=local_lake.url)["is_stale"].to_pylist()) for at in times]
    assert states == [{False}, {True}, {False}, {True}]
