"""The commands about anomalies and the forecast: what is wrong, who knows of it, and where the month is going."""

import json
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from skillyard.cli import main
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.publish import replace_partition
from skillyard.settings import Settings
from tests.conftest import ROOT
from tests.costs.spent import cost_table, spent

TODAY = datetime.now(UTC).date()


@pytest.fixture
def spiked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A dollar a day, and today eighty."""
    for name, value in {"HOME": str(ROOT), "LAKE": settings.lake, "STATE": settings.state, "PROFILE": settings.profile}.items():
        monkeypatch.setenv(f"SKILLYARD_{name}", value)
    for n in range(31):
        row = spent(TODAY - timedelta(days=n), "1" if n else "80")
        replace_partition(Lake(settings.lake), COST_DAILY, row["usage_date"], cost_table([row]))
    return settings


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["skillyard", "cost", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_what_is_wrong_is_shown_with_what_to_do_until_somebody_takes_note(
    spiked: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = call(capsys, monkeypatch, "anomalies", "--from", str(TODAY))
    assert code == 0 and "80.0 times the usual 1.00" in out and "skillyard cost report --by dag" in out
    assert "known, or meant? skillyard cost acknowledge ID" in err
    rows = json.loads(call(capsys, monkeypatch, "anomalies", "--from", str(TODAY), "--json")[1])
    assert [(row["kind"], row["state"]) for row in rows] == [("budget_hard", "new"), ("spend", "new")]

    for row in rows:
        told = json.loads(
            call(capsys, monkeypatch, "acknowledge", row["anomaly_id"], "--note", "a backfill", "--by", "team-lead", "--json")[1]
        )
        assert told == {"anomaly_id": row["anomaly_id"], "acknowledged_by": "team-lead", "note": "a backfill"}
    again = json.loads(call(capsys, monkeypatch, "anomalies", "--from", str(TODAY), "--json")[1])
    assert {(row["state"], row["note"]) for row in again} == {("known to team-lead", "a backfill")}
    assert call(capsys, monkeypatch, "anomalies", "--from", str(TODAY), "--open")[1:] == ("", f"nothing open from {TODAY} to {TODAY}\n")


def test_an_id_that_nobody_found_is_refused_with_those_there_are(
    spiked: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = call(capsys, monkeypatch, "acknowledge", "spend-0")
    assert code == 2 and "unknown alert 'spend-0'" in err


def test_the_forecast_stands_beside_the_limits(
    spiked: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = call(capsys, monkeypatch, "forecast", "--team", "records")
    assert code == 0 and "hard limit reached" in out and "1.00 (1.00 to 1.00)" in out and "weekday-median/1, 30 days" in out
    rows = json.loads(call(capsys, monkeypatch, "forecast", "--json")[1])
    (row,) = [row for row in rows if (row["team"], row["skill"]) == ("records", "tag-document")]
    assert Decimal(row["month_to_date_usd"]) == 80 + TODAY.day - 1 and Decimal(row["tomorrow_usd"]) == 1


def test_an_empty_lake_says_what_would_fill_it(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HOME": str(ROOT), "LAKE": settings.lake, "STATE": settings.state, "PROFILE": settings.profile}.items():
        monkeypatch.setenv(f"SKILLYARD_{name}", value)
    assert "skillyard cost attribute" in call(capsys, monkeypatch, "forecast")[2]
    assert "nothing is wrong" in call(capsys, monkeypatch, "anomalies")[2]
