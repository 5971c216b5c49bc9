"""The nightly tables: whose money it is, which days are made again, and what a night leaves alone."""

import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skillyard.costs.attribution import attribute, attribute_changed
from skillyard.costs.ledger.lines import read_between, read_day
from skillyard.costs.ledger.reader import LedgerReader
from skillyard.costs.stamps import stored_stamps
from skillyard.errors import ConfigError
from skillyard.lake.compact import compact
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.tables import DOCUMENTS, LLM_CALLS, REJECTS
from skillyard.settings import Settings
from tests.costs.ledger import BOOK, DAY, EXPERT, call, ledger, reject
from tests.lake.rows import example
from tests.s3_server import S3Server

NEXT = DAY + timedelta(days=1)
TABLES = ("cost_daily", "unit_costs", "savings_daily", "focus")


@pytest.fixture
def lake(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """An empty lake; the profile's endpoint is named, and nobody is asked."""
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    return Lake(settings.lake)


def publish(lake: Lake, part: str, *rows: dict[str, Any]) -> None:
    append(lake, LLM_CALLS, ledger(rows), part)


def give_up(lake: Lake, *rows: dict[str, Any]) -> None:
    append(lake, REJECTS, pa.Table.from_pylist([reject(row) for row in rows], schema=REJECTS.schema), f"rejects-{len(rows)}")


def bill(lake: Lake, **key: Any) -> dict[str, Any]:
    """Return the one row of ``cost_daily`` with these values."""
    (row,) = [row for row in read(lake, "cost_daily").to_pylist() if key.items() <= row.items()]
    return row


def objects(lake: Lake) -> dict[str, str]:
    return {info.key: info.etag for table in TABLES for info in lake.storage.list(f"{table}/")}


def test_an_answer_that_a_later_one_replaced_is_waste(settings: Settings, lake: Lake) -> None:
    first = call(operation_id="op", item_id="i")
    second = call(operation_id="op", item_id="i", attempt_no=2, tier="expert")
    publish(lake, "a", first, call(operation_id="op", item_id="i", attempt_no=3, status="failed", error_kind="http_500"), second)
    attribute(settings, DAY, DAY)
    fast, expert = bill(lake, tier="fast"), bill(lake, tier="expert")
    assert (fast["waste_usd"], fast["direct_usd"], fast["n_served"]) == (first["cost_usd"], 0, 0)
    assert (expert["waste_usd"], expert["direct_usd"], expert["n_served"]) == (0, second["cost_usd"], 1)


def test_an_answer_is_waste_when_its_operation_goes_on_after_midnight(settings: Settings, lake: Lake) -> None:
    publish(lake, "a", call(operation_id="op"), call(), call(operation_id="op", attempt_no=2, day=NEXT))
    attribute(settings, DAY, NEXT)
    assert [(row["n_settled"], row["n_served"]) for row in read(lake, "cost_daily").sort_by("usage_date").to_pylist()] == [(2, 1), (1, 1)]


def test_answers_and_votes_of_a_reject_are_waste_and_what_its_run_shares_is_not(settings: Settings, lake: Lake) -> None:
    lost = [call(item_id="lost", purpose=purpose) for purpose in ("answer", "vote", "routing")]
    publish(lake, "a", *lost, call(item_id="lost", run_id="another"))
    give_up(lake, lost[0])
    attribute(settings, DAY, DAY)
    waste = {row["purpose"]: row["waste_usd"] for row in read(lake, "cost_daily").to_pylist()}
    assert waste == {"answer": lost[0]["cost_usd"], "vote": lost[1]["cost_usd"], "routing": 0}
    (units,) = read(lake, "unit_costs").to_pylist()
    assert (units["n_items"], units["n_results"], units["n_rejects"]) == (1, 1, 1)


def test_a_reject_of_three_days_later_reopens_its_day(settings: Settings, lake: Lake) -> None:
    row = call()
    publish(lake, "a", row)
    attribute_changed(settings)
    give_up(lake, row | {"usage_date": DAY + timedelta(days=3)})
    assert [report.day for report in attribute_changed(settings)] == [DAY]
    assert bill(lake)["waste_usd"] == row["cost_usd"]


def test_what_a_skill_shares_goes_to_its_answers_by_what_they_cost(settings: Settings, lake: Lake) -> None:
    rows = [call(tier="fast"), call(tier="expert"), call(purpose="routing"), call(purpose="audit", tier="expert"), call(skill="other")]
    publish(lake, "a", *rows)
    attribute(settings, DAY, DAY)
    shared = rows[2]["cost_usd"] + rows[3]["cost_usd"]
    fast = bill(lake, skill="tag-document", tier="fast", purpose="answer")["allocated_usd"]
    expert = bill(lake, skill="tag-document", tier="expert", purpose="answer")["allocated_usd"]
    assert fast + expert == shared
    assert abs(fast - shared * rows[0]["cost_usd"] / (rows[0]["cost_usd"] + rows[1]["cost_usd"])) <= Decimal("1e-12")
    assert bill(lake, purpose="audit")["allocated_usd"] == bill(lake, skill="other")["allocated_usd"] == 0


def test_what_nobody_can_be_charged_for_stays_where_it_is(settings: Settings, lake: Lake) -> None:
    row = call(purpose="eval", tier="expert")
    publish(lake, "a", row)
    attribute(settings, DAY, DAY)
    assert (bill(lake)["shared_usd"], bill(lake)["allocated_usd"]) == (row["cost_usd"], row["cost_usd"])


def test_a_correction_goes_to_all_teams_that_used_the_model(settings: Settings, lake: Lake) -> None:
    usd = Decimal("-0.000000000003")
    fix = call(status="correction", purpose="correction", team="*", skill="*", cost_usd=usd, reserved_usd=Decimal(0), price_ids="bill")
    publish(lake, "a", fix, call(team="records"), call(team="finance"), call(team="finance", tier="expert"))
    attribute(settings, DAY, DAY)
    assert (bill(lake, team="*")["shared_usd"], bill(lake, team="*")["allocated_usd"]) == (usd, 0)
    shares = [bill(lake, team="finance", tier="fast")["allocated_usd"], bill(lake, team="records")["allocated_usd"]]
    assert sorted(shares) == [Decimal("-0.000000000002"), Decimal("-0.000000000001")]
    assert bill(lake, tier="expert")["allocated_usd"] == 0


def test_idle_time_is_a_part_of_what_each_call_cost(settings: Settings, lake: Lake) -> None:
    seconds = {"compute_s": Decimal(3), "idle_s": Decimal(2)}
    publish(lake, "a", call(cost_usd=Decimal("0.000000000005"), **seconds), call(cost_usd=Decimal("0.000000000001"), **seconds), call())
    attribute(settings, DAY, DAY)
    assert bill(lake)["idle_usd"] == Decimal("0.000000000004")


def test_a_units_pages_are_those_of_its_distinct_documents(settings: Settings, lake: Lake) -> None:
    given = example(DOCUMENTS.name)[1] | {"status": "parsed"}
    pages = [given | {"doc_id": "a", "n_pages": 3}, given | {"doc_id": "b", "n_pages": 4}, given | {"doc_id": "unused", "n_pages": 50}]
    older = given | {"doc_id": "b", "n_pages": 9, "ingested_at": given["ingested_at"] - timedelta(hours=1), "run_id": "older"}
    append(lake, DOCUMENTS, pa.Table.from_pylist([*pages, older], schema=DOCUMENTS.schema), "documents")
    publish(lake, "a", call(doc_id="a"), call(doc_id="a"), call(doc_id="b", status="cached"), call(doc_id="unused", purpose="audit"))
    attribute(settings, DAY, DAY)
    (units,) = read(lake, "unit_costs").to_pylist()
    assert (units["n_documents"], units["n_pages"], units["n_items"], units["n_results"], units["n_calls"]) == (2, 7, 3, 3, 3)


def test_the_tables_are_written_once_and_never_again_for_the_same_ledger(settings: Settings, lake: Lake) -> None:
    publish(lake, "a", *[call(item_id=f"i{n}") for n in range(5)], call(day=NEXT, tier="expert"))
    publish(lake, "b", call(status="unknown", error_kind="timed_out"), call(status="cached"), call(status="failed", error_kind="http_500"))
    first = attribute(settings, DAY, NEXT)
    assert [(r.day, r.n_calls, r.is_changed, r.problem) for r in first] == [(DAY, 7, True, None), (NEXT, 1, True, None)]
    before = objects(lake)
    assert len(before) == 2 * len(TABLES)
    assert [r.is_changed for r in attribute(settings, DAY, NEXT)] == [False, False]
    assert attribute_changed(settings) == []
    assert objects(lake) == before


def test_a_night_opens_no_file_of_the_ledger_when_nothing_changed(settings: Settings, lake: Lake, tmp_path: Path) -> None:
    publish(lake, "a", call())
    attribute_changed(settings)
    path = tmp_path / "lake" / "llm_calls" / f"dt={DAY}" / "part-a.parquet"
    at = path.stat()
    path.write_bytes(b"x" * at.st_size)
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert attribute_changed(settings) == []


def test_compaction_reopens_a_day_and_leaves_its_tables_as_they_are(settings: Settings, lake: Lake) -> None:
    for part in ("a", "b"):
        publish(lake, part, call(), call())
    attribute_changed(settings)
    before = read(lake, "cost_daily")
    assert list(compact(lake, [LLM_CALLS.name], DAY + timedelta(days=9)))
    assert [(report.day, report.is_changed) for report in attribute_changed(settings)] == [(DAY, False)]
    assert read(lake, "cost_daily").equals(before)
    assert attribute_changed(settings) == []


def test_a_day_counts_as_made_only_when_all_its_tables_are(settings: Settings, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(lake, "a", call())
    lake.storage.put("focus/dt=2026-11-20/part-0.parquet", b"no Parquet")
    with pytest.raises(Exception, match=r"(?i)parquet"):
        attribute_changed(settings)
    assert stored_stamps(lake) == {}
    lake.storage.delete("focus/dt=2026-11-20/part-0.parquet")
    assert [report.is_changed for report in attribute_changed(settings)] == [True]


def test_the_stamp_stands_in_the_bills_own_file(settings: Settings, lake: Lake) -> None:
    publish(lake, "a", call(), call())
    attribute(settings, DAY, DAY)
    footer = pq.read_metadata(f"{COST_DAILY.name}/dt={DAY}/part-0.parquet", filesystem=lake.filesystem).metadata
    assert footer[b"skillyard_n_calls"] == b"2"
    assert len(footer[b"skillyard_sources"]) == 64


def test_a_range_that_ends_before_it_begins_is_refused(settings: Settings, lake: Lake) -> None:
    with pytest.raises(ConfigError, match="2026-11-21 to 2026-11-20"):
        attribute(settings, NEXT, DAY)
    assert attribute(settings, date(2025, 1, 1), date(2025, 12, 31)) == []


def test_two_utc_days_are_cut_anew_for_another_time_zone(settings: Settings, lake: Lake) -> None:
    late = datetime(2026, 11, 20, 23, tzinfo=UTC)
    publish(lake, "a", call(operation_id="op"), call(sent_at=late, item_id="late"), call(day=NEXT, operation_id="op", attempt_no=2))
    start = datetime(2026, 11, 20, 22, tzinfo=UTC)
    day = read_between(lake, NEXT, start, start + timedelta(hours=24), BOOK, EXPERT)
    assert sorted(row["usage_date"] for row in day.lines.to_pylist()) == [DAY, NEXT]
    assert day.items.column("usage_date").unique().to_pylist() == [NEXT]
    before = read_between(lake, DAY, start - timedelta(hours=24), start, BOOK, EXPERT)
    assert [row["use"] for row in before.lines.to_pylist()] == ["repeated"]
    both = sum(sum(one.lines["cost_usd"].to_pylist()) for one in (before, day))
    assert both == sum(sum(read_day(lake, one, BOOK, EXPERT).lines["cost_usd"].to_pylist()) for one in (DAY, NEXT))


def test_a_day_is_read_on_s3_and_where_a_file_lies_that_was_just_moved(s3: S3Server) -> None:
    lake = Lake(f"s3://{s3.bucket}/attribution")
    publish(lake, "a", call(operation_id="op"), call())
    publish(lake, "b", call(operation_id="op", attempt_no=2, day=NEXT))
    with LedgerReader(lake, BOOK, EXPERT) as reader:
        before = reader.read(NEXT).day
        for part in ("a", "b"):
            append(lake, LLM_CALLS, ledger([call(), call()]), f"{part}-more")
        assert list(compact(lake, [LLM_CALLS.name], NEXT))
        after = reader.read(DAY).day
    assert before.lines["n_calls"].to_pylist() == [1]
    assert {row["use"]: row["n_calls"] for row in after.lines.to_pylist()} == {"repeated": 1, "served": 5}
