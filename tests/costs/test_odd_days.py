"""Days that are not as they should be: each has one outcome, is said, and never stands in the way of other days."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from skillyard.cli import app
from skillyard.costs.attribution import DayReport, attribute, attribute_changed, check_reports
from skillyard.errors import DayRefused
from skillyard.lake.lake import Lake
from skillyard.lake.parquet import encode
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.tables import LLM_CALLS
from skillyard.settings import Settings
from tests.costs.ledger import DAY, EXPERT, call, ledger

NEXT = DAY + timedelta(days=1)
TABLES = ("cost_daily", "unit_costs", "savings_daily", "focus")


@pytest.fixture
def lake(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """An empty lake; the profile's endpoint is named, and nobody is asked."""
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    return Lake(settings.lake)


def publish(lake: Lake, part: str, *rows: dict[str, Any]) -> pa.Table:
    append(lake, LLM_CALLS, ledger(rows), part)
    return ledger(rows)


def smuggle(lake: Lake, part: str, rows: pa.Table) -> None:
    """Put a file into the ledger's folder as another writer would."""
    lake.storage.put(f"llm_calls/dt={DAY}/part-{part}.parquet", encode(rows))


def delete(lake: Lake, prefix: str) -> None:
    for info in list(lake.storage.list(prefix)):
        lake.storage.delete(info.key)


def said(report: DayReport) -> dict[str, dict[str, Any]]:
    """Return the numbers of each kind of finding."""
    return {finding.kind: dict(finding.numbers) for finding in report.findings}


def tables(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    return {name: read(lake, name).to_pylist() for name in TABLES}


def with_prices(settings: Settings, folder: Path, *, changed_on: date | None, dropped: str = "-") -> Settings:
    """Return settings with the profile's prices; ten times as dear for the expert from a day on; without those of one model."""
    folder.mkdir(exist_ok=True)
    (folder / "profile.yaml").write_text(Path(settings.profile).read_text("utf-8"), "utf-8")
    head, *rows = Path(settings.profile).with_name("prices.csv").read_text("utf-8").splitlines()
    names, lines = head.split(","), [head]
    for text in rows:
        row = dict(zip(names, text.split(","), strict=True))
        if row["model"] == dropped:
            continue
        if changed_on is not None and row["model"] == EXPERT:
            later = {"price_id": f"{row['price_id']}.later", "price": str(Decimal(row["price"]) * 10), "valid_from": str(changed_on)}
            lines.append(",".join((row | later).values()))
            row["valid_to"] = str(changed_on)
        lines.append(",".join(row.values()))
    (folder / "prices.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return replace(settings, profile=str(folder / "profile.yaml"))


def test_a_price_change_in_mid_month_leaves_the_days_before_it_alone(settings: Settings, lake: Lake, tmp_path: Path) -> None:
    publish(lake, "a", call(), call(day=NEXT))
    before = with_prices(settings, tmp_path / "own", changed_on=None)
    attribute_changed(before)
    old = {row["usage_date"]: row for row in read(lake, "savings_daily").to_pylist()}
    after = with_prices(settings, tmp_path / "own", changed_on=NEXT)
    reports = attribute_changed(after)
    new = {row["usage_date"]: row for row in read(lake, "savings_daily").to_pylist()}
    assert new[DAY] == old[DAY]
    assert new[NEXT]["baseline_usd"] == 10 * old[NEXT]["baseline_usd"]
    assert {row["cost_usd"] for row in new.values()} == {row["cost_usd"] for row in old.values()} == {call()["cost_usd"]}
    assert [(report.day, report.is_changed) for report in reports] == [(NEXT, True)]


def test_a_late_day_is_made_when_its_rows_come_and_others_stay(settings: Settings, lake: Lake) -> None:
    publish(lake, "a", call(day=NEXT))
    attribute_changed(settings)
    publish(lake, "late", call(), call())
    assert [(report.day, report.n_calls) for report in attribute_changed(settings)] == [(DAY, 2)]


def test_a_deleted_day_keeps_its_tables_until_the_loss_is_accepted(settings: Settings, lake: Lake) -> None:
    publish(lake, "a", call(), call(), call(day=NEXT))
    attribute_changed(settings)
    before = tables(lake)
    delete(lake, f"llm_calls/dt={DAY}/")
    publish(lake, "b", call(day=NEXT))
    reports = attribute_changed(settings)
    assert said(reports[0]) == {"lost_rows": {"n_calls": 0, "n_published": 2}}
    assert [(report.day, report.is_changed) for report in reports] == [(DAY, False), (NEXT, True)]
    with pytest.raises(DayRefused, match=r"2026-11-20 has 0 calls; the tables were made of 2.*--accept-loss"):
        check_reports(reports)
    assert [row for row in tables(lake)["cost_daily"] if row["usage_date"] == DAY] == [
        row for row in before["cost_daily"] if row["usage_date"] == DAY
    ]
    assert [report.day for report in attribute_changed(settings)] == [DAY]
    assert attribute(settings, DAY, DAY, accept_loss=True)[0].is_changed
    assert {row["usage_date"] for row in tables(lake)["cost_daily"]} == {NEXT}
    assert attribute_changed(settings) == []


def test_a_day_that_shrank_is_not_made_smaller(settings: Settings, lake: Lake) -> None:
    publish(lake, "a", call())
    publish(lake, "b", call(), call())
    attribute_changed(settings)
    before = tables(lake)
    delete(lake, f"llm_calls/dt={DAY}/part-b")
    (report,) = attribute_changed(settings)
    assert said(report) == {"lost_rows": {"n_calls": 1, "n_published": 3}}
    assert tables(lake) == before
    (report,) = attribute(settings, DAY, DAY, accept_loss=True)
    assert (report.n_calls, report.problem, report.findings) == (1, None, ())


def test_a_ledger_file_that_is_there_twice_counts_once(settings: Settings, lake: Lake) -> None:
    rows = publish(lake, "a", call(), call(purpose="routing"), call(status="cached"))
    attribute_changed(settings)
    before = tables(lake)
    smuggle(lake, "copy", rows)
    (report,) = attribute_changed(settings)
    assert (said(report), report.problem, report.is_changed) == ({"duplicate_rows": {"n_rows": 3}}, None, False)
    assert tables(lake) == before


def test_a_call_with_two_contents_keeps_its_day_from_being_made(settings: Settings, lake: Lake) -> None:
    row = call(call_id="call-twice")
    publish(lake, "a", row)
    publish(lake, "b", call(day=NEXT))
    smuggle(lake, "other", ledger([row | {"cost_usd": row["cost_usd"] * 2}]))
    reports = attribute_changed(settings)
    assert said(reports[0]) == {"conflicting_rows": {"call_ids": ("call-twice",)}}
    with pytest.raises(DayRefused, match=r"call-twice stand.* 2026-11-20 more than once, with different contents"):
        check_reports(reports)
    assert {row["usage_date"] for row in tables(lake)["cost_daily"]} == {NEXT}


def test_a_negative_count_of_another_writer_keeps_its_day_from_being_made(settings: Settings, lake: Lake) -> None:
    publish(lake, "a", call(), call(day=NEXT))
    attribute_changed(settings)
    before = tables(lake)
    smuggle(lake, "odd", ledger([call(call_id="call-odd", output_tokens=-5), call()]))
    reports = attribute_changed(settings)
    assert said(reports[0]) == {"negative": {"n_calls": 1, "call_ids": ("call-odd",)}}
    with pytest.raises(DayRefused, match=r"1 calls of 2026-11-20 have a negative count or amount \(call-odd\)"):
        check_reports(reports)
    assert tables(lake) == before


def test_an_unpriced_model_is_billed_as_the_ledger_says(settings: Settings, lake: Lake) -> None:
    row = call() | {"model": "acme/new-model", "price_ids": "", "cost_usd": Decimal(0)}
    publish(lake, "a", row, call())
    (report,) = attribute_changed(settings)
    assert said(report) == {"unpriced": {"model": "acme/new-model", "n_calls": 1}}
    assert report.problem is None
    assert {row["model"] for row in tables(lake)["cost_daily"]} == {"acme/new-model", "openai/sim-fast"}


def test_nobodys_bill_waits_for_a_price_of_the_expert(settings: Settings, lake: Lake, tmp_path: Path) -> None:
    row = call()
    publish(lake, "a", row)
    (report,) = attribute_changed(with_prices(settings, tmp_path / "own", changed_on=None, dropped=EXPERT))
    assert (said(report), report.cost_usd) == ({"unpriced": {"model": EXPERT}}, row["cost_usd"])
    (saved,) = tables(lake)["savings_daily"]
    assert (saved["cost_usd"], saved["baseline_usd"], saved["routing_saved_usd"]) == (row["cost_usd"], None, None)
    assert [report.is_changed for report in attribute_changed(with_prices(settings, tmp_path / "own", changed_on=None))] == [True]
    assert tables(lake)["savings_daily"][0]["baseline_usd"] > row["cost_usd"]


def test_calls_of_a_clock_that_jumps_count_on_the_day_they_say(settings: Settings, lake: Lake) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=40)).date()
    back = call()
    publish(lake, "a", back | {"settled_at": back["sent_at"] - timedelta(hours=2)}, call(), call(day=ahead))
    reports = attribute_changed(settings)
    assert [(report.day, report.n_calls, report.problem) for report in reports] == [(DAY, 2, None), (ahead, 1, None)]
    assert [said(report) for report in reports] == [
        {"clock": {"n_backwards": 1, "n_ahead": 0}},
        {"clock": {"n_backwards": 0, "n_ahead": 1}},
    ]


def test_the_command_names_what_is_odd_and_ends_with_it(settings: Settings, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LAKE", settings.lake), ("PROFILE", settings.profile), ("STATE", settings.state)):
        monkeypatch.setenv(f"SKILLYARD_{name}", value)
    publish(lake, "a", call(), call())
    run = CliRunner()
    assert '"n_calls": 2' in run.invoke(app, ["cost", "attribute", "--json"]).stdout
    assert "nothing has changed" in run.invoke(app, ["cost", "attribute"]).output
    delete(lake, "llm_calls/")
    publish(lake, "b", call())
    refused = run.invoke(app, ["cost", "attribute"])
    assert isinstance(refused.exception, DayRefused)
    assert "2026-11-20 lost_rows" in refused.output
    accepted = run.invoke(app, ["cost", "attribute", "--from", str(DAY), "--accept-loss"])
    assert (accepted.exit_code, "true" in accepted.output) == (0, True)
