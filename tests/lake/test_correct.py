"""New values in rows of the ledger table: all of a day at once, and nothing else changes."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from skillyard.errors import PublishConflict, StorageError, ValidationFailed
from skillyard.lake.correct import correct
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.results import to_results
from skillyard.lake.tables import LLM_CALLS
from tests.lake.rows import DAY, call, with_pandas

UNKNOWN = {"status": "unknown", "cost_usd": None, "error_kind": "timed_out"}
CLOSED = {"status": "settled", "cost_usd": Decimal("0.000000000007")}


def publish(lake: Lake, part: str, *rows: dict[str, Any]) -> None:
    append(lake, LLM_CALLS, to_results(LLM_CALLS, list(rows)), part)


def costs(lake: Lake) -> dict[str, Decimal | None]:
    return {row["call_id"]: row["cost_usd"] for row in read(lake, LLM_CALLS).to_pylist()}


def test_the_rows_that_are_meant_change_and_objects_without_one_are_left_alone(lake: Lake) -> None:
    publish(lake, "a", call("a1"), call("a2", **UNKNOWN))
    publish(lake, "b", call("b1"))
    publish(lake, "c", call("c1", **UNKNOWN, usage_date=DAY + timedelta(days=1)))
    before, other = read(lake, LLM_CALLS), lake.storage.head(f"llm_calls/dt={DAY}/part-b.parquet")
    correct(lake, LLM_CALLS, DAY, {"a2": CLOSED, "c1": CLOSED, "nobody": CLOSED})
    assert costs(lake) == {"a1": Decimal("0.05"), "a2": Decimal("0.000000000007"), "b1": Decimal("0.05"), "c1": None}
    assert lake.storage.head(f"llm_calls/dt={DAY}/part-b.parquet") == other
    after = read(lake, LLM_CALLS)
    assert after.schema.equals(before.schema, check_metadata=True)
    rest = [name for name in after.column_names if name not in CLOSED]
    assert after.select(rest).sort_by("call_id").equals(before.select(rest).sort_by("call_id"))
    assert sorted(with_pandas(lake, LLM_CALLS.name)["call_id"]) == ["a1", "a2", "b1", "c1"]


def test_a_corrected_part_is_known_when_it_is_published_again_as_it_was_or_as_it_is_now(lake: Lake) -> None:
    publish(lake, "a", call("a1"), call("a2", **UNKNOWN))
    correct(lake, LLM_CALLS, DAY, {"a2": CLOSED})
    publish(lake, "a", call("a1"), call("a2", **UNKNOWN))
    publish(lake, "a", call("a1"), call("a2", **(UNKNOWN | CLOSED)))
    assert costs(lake) == {"a1": Decimal("0.05"), "a2": CLOSED["cost_usd"]}
    with pytest.raises(PublishConflict, match="part 'a'"):
        publish(lake, "a", call("a1"), call("a2", cost_usd="9"))
    assert [found.key for found in lake.storage.list(f"llm_calls/dt={DAY}/part-")] == []


def test_rows_that_the_suite_refuses_change_nothing(local_lake: Lake) -> None:
    publish(local_lake, "a", call("a1", **UNKNOWN))
    with pytest.raises(ValidationFailed, match="cost_usd"):
        correct(local_lake, LLM_CALLS, DAY, {"a1": {"status": "settled", "cost_usd": Decimal(-1)}})
    assert costs(local_lake) == {"a1": None}


class Contended:
    """A real store in which somebody else switches the table whenever we want to."""

    def __init__(self, lake: Lake, n_times: int) -> None:
        self._storage, self.n_left = lake.storage, n_times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def replace_if_match(self, key: str, data: bytes, etag: str | None) -> str | None:
        if self.n_left and key == "llm_calls/_manifest.json":
            self.n_left -= 1
            return None
        return self._storage.replace_if_match(key, data, etag)


def test_a_table_that_others_switch_meanwhile_is_read_again(local_lake: Lake) -> None:
    publish(local_lake, "a", call("a1", **UNKNOWN))
    local_lake.storage = Contended(local_lake, 2)  # type: ignore[assignment]
    correct(local_lake, LLM_CALLS, DAY, {"a1": CLOSED})
    assert costs(local_lake) == {"a1": CLOSED["cost_usd"]}
    local_lake.storage = Contended(local_lake, 1000)  # type: ignore[assignment]
    with pytest.raises(StorageError, match="switched by others"):
        correct(local_lake, LLM_CALLS, DAY, {"a1": CLOSED | {"cost_usd": Decimal(1)}})
