"""Results under the next output schema: what fits is carried over once, what does not is named and asked again."""

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from skillyard.cli.lake import migrate_results
from skillyard.errors import ConfigError, RunLocked
from skillyard.gateway.state import open_state
from skillyard.lake.contents import table_names
from skillyard.lake.known_tables import TABLES
from skillyard.lake.lake import Lake
from skillyard.lake.migrate import Carried, carry
from skillyard.lake.read import read
from skillyard.lake.results import results_table, to_results
from skillyard.lake.verify import verify
from skillyard.running.lease import take_lease
from skillyard.running.migrate import migrate
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.publish import RunReport
from skillyard.running.runs import PlanRequest, run_lease
from skillyard.settings import Settings
from tests.lake.rows import DAY, SHA, results
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL = "tag-document"
N = 6


def schema(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object with these properties."""
    return {"type": "object", "additionalProperties": False, "required": list(properties), "properties": properties}


def carried(old: dict[str, Any], new: dict[str, Any], *answers: dict[str, Any]) -> Carried:
    """Carry answers of one schema over to another."""
    source, target = results_table("x", 1, schema(**old)), results_table("x", 2, schema(**new))
    frame = results(range(1)).drop_columns(["tags", "total"]).to_pylist()[0]
    table = to_results(source, [frame | answer | {"item_id": f"i{n}"} for n, answer in enumerate(answers)])

    def check(answer: dict[str, Any]) -> str | None:
        error = next(Draft202012Validator(schema(**new)).iter_errors(answer), None)
        return error.message if error else None

    return carry(table, target, schema(**new), check, SHA)


TEXT, WHOLE, FLOAT = {"type": "string"}, {"type": "integer"}, {"type": "number"}
MONEY, MONEY_TEXT = {"type": "number", "x-decimal": True}, {"type": "string", "x-decimal": True}
LABELS = {"type": "string", "enum": ["late", "early"]}
DATE, MAYBE = {"type": "string", "format": "date"}, {"type": ["string", "null"]}


@pytest.mark.parametrize(
    ("old", "new", "value", "expected"),
    [
        (TEXT, TEXT, "a", "a"),
        (WHOLE, FLOAT, 3, 3.0),
        (WHOLE, MONEY, 3, Decimal(3)),
        (FLOAT, MONEY, 12.1, Decimal("12.1")),
        (MONEY, MONEY_TEXT, "12.10", Decimal("12.10")),
        (TEXT, LABELS, "late", "late"),
        (LABELS, TEXT, "late", "late"),
        (LABELS, {"type": ["string", "null"], "enum": ["late", "lost", None]}, "late", "late"),
        (DATE, TEXT, "2026-01-31", "2026-01-31"),
        (TEXT, DATE, "2026-01-31", date(2026, 1, 31)),
        (TEXT, {"type": "string", "format": "date-time"}, "2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ({"type": "array", "items": TEXT}, {"type": "array", "items": LABELS}, ["late"], ["late"]),
        (schema(a=WHOLE, b=TEXT), schema(a=FLOAT, c=MAYBE), {"a": 1, "b": "x"}, {"a": 1.0, "c": None}),
    ],
)
def test_a_value_that_the_new_schema_allows_is_carried(old: dict[str, Any], new: dict[str, Any], value: Any, expected: Any) -> None:
    found = carried({"v": old}, {"v": new}, {"v": value})
    assert not found.refused
    assert found.rows["v"].to_pylist() == [expected]


@pytest.mark.parametrize(
    ("old", "new", "value", "reason"),
    [
        (TEXT, LABELS, "lost", "'lost' is not one of"),
        (MAYBE, TEXT, None, "None is not of type 'string'"),
        (FLOAT, WHOLE, 2.5, "2.5 is not of type 'integer'"),
        (WHOLE, FLOAT, 2**53 + 1, "no exact number"),
        (MONEY, FLOAT, "0.1", "has to be double"),
        (TEXT, WHOLE, "3", "is not of type 'integer'"),
        (TEXT, DATE, "yesterday", "has to be date32"),
        ({"type": "array", "items": TEXT}, {"type": "array", "items": LABELS}, ["late", "lost"], "'lost' is not one of"),
        (FLOAT, FLOAT | {"maximum": 1}, 2.0, "2.0 is greater than the maximum"),
    ],
)
def test_a_value_that_it_does_not_allow_is_refused_with_the_reason(
    old: dict[str, Any], new: dict[str, Any], value: Any, reason: str
) -> None:
    found = carried({"v": old}, {"v": new}, {"v": value})
    assert found.rows.num_rows == 0
    assert reason in found.refused["i0"]


def test_columns_may_come_if_they_are_nullable_go_and_move() -> None:
    found = carried({"a": TEXT, "b": WHOLE}, {"b": WHOLE, "c": MAYBE, "a": TEXT}, {"a": "x", "b": 1})
    assert not found.refused
    assert {name: found.rows[name].to_pylist() for name in "abc"} == {"a": ["x"], "b": [1], "c": [None]}
    without = carried({"a": TEXT, "b": WHOLE}, {"a": TEXT}, {"a": "x", "b": 1})
    assert "b" not in without.rows.column_names and without.rows.num_rows == 1
    assert "is not of type 'string'" in carried({"a": TEXT}, {"a": TEXT, "c": TEXT}, {"a": "x"}).refused["i0"]


def test_a_carried_row_stays_what_it_is_one_that_does_not_fit_stops_no_other() -> None:
    found = carried({"v": TEXT}, {"v": DATE}, {"v": "2026-01-31"}, {"v": "soon"}, {"v": "2026-02-01"})
    assert found.rows["item_id"].to_pylist() == ["i0", "i2"] and list(found.refused) == ["i1"]
    row = found.rows.to_pylist()[0]
    assert (row["run_id"], row["cost_usd"], row["fingerprint"]) == ("run-1", Decimal("0.0000000375"), SHA)
    assert (row["produced_on"], row["is_stale"]) == (DAY, False)


@pytest.fixture
def own(settings: Settings, simulator: Simulator, tmp_path: Path) -> Settings:
    """An installation with skills of its own, and results of one of them."""
    own = replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))
    publish_texts(own, mails(N))
    assert run(own, "r1").n_results == N
    return own


def run(own: Settings, run_id: str) -> RunReport:
    """Answer what is pending."""
    return run_skill(own, plan_run(own, PlanRequest(skill=SKILL, run_id=run_id)), lambda _: None)


def n_pending(own: Settings) -> int:
    return plan_run(own, PlanRequest(skill=SKILL, run_id="look", is_dry_run=True)).n_planned


def raise_major(own: Settings, forbidden: str | None = None) -> None:
    """Edit the skill: the next version of its output has a new nullable column, and does not allow one of the labels any more."""
    path = own.include / "skills" / SKILL / "skill.yaml"
    spec = yaml.safe_load(path.read_text())
    labels = [label for label in yaml.safe_load((path.parent / "assets" / "labels.yaml").read_text())["labels"] if label != forbidden]
    output = spec["output"]
    output["major"] += 1
    output["schema"]["properties"]["tags"]["items"] = {"type": "string", "enum": labels}
    output["schema"]["properties"]["mood"] = {"type": ["string", "null"]}
    output["schema"]["required"] = ["tags", "mood"]
    path.write_text(yaml.safe_dump(spec))


def test_a_new_version_takes_over_what_fits_and_the_rest_is_asked_again(own: Settings, simulator: Simulator) -> None:
    lake = Lake(own.lake)
    before = read(lake, f"results/{SKILL}")
    forbidden = before["tags"].to_pylist()[0][0]
    unfit = {row["item_id"] for row in before.to_pylist() if forbidden in row["tags"]}
    raise_major(own, forbidden)
    assert n_pending(own) == N

    tried = migrate(own, SKILL, is_dry_run=True)
    assert f"results/{SKILL}/v2" not in table_names(lake)
    done = migrate(own, SKILL)
    assert done == tried
    assert (done.n_carried, set(done.refused), done.new_columns) == (N - len(unfit), unfit, ("mood",))
    assert 0 < len(unfit) < N and all("is not one of" in reason for reason in done.refused.values())

    again = migrate(own, SKILL)
    assert (again.n_carried, again.n_there, again.refused) == (0, N - len(unfit), done.refused)
    rows = {row["item_id"]: row for row in read(lake, f"results/{SKILL}").to_pylist()}
    for old in before.to_pylist():
        if old["item_id"] not in unfit:
            assert rows[old["item_id"]] == old | {"mood": None, "is_stale": True}
    assert read(lake, f"results/{SKILL}/v1").equals(before)
    assert [name for name in table_names(lake) if name not in TABLES] == [f"results/{SKILL}/v1", f"results/{SKILL}/v2"]

    n_calls = len(simulator.calls())
    assert n_pending(own) == len(unfit)
    assert run(own, "r2").n_results == len(unfit) == len(simulator.calls()) - n_calls
    assert read(lake, f"results/{SKILL}").num_rows == N
    assert not verify(lake, None, True, lambda _: None).problems


def test_a_result_that_the_new_version_has_is_never_replaced(own: Settings) -> None:
    raise_major(own)
    assert run(own, "r2").n_results == N
    mine = read(Lake(own.lake), f"results/{SKILL}")
    done = migrate(own, SKILL)
    assert (done.n_carried, done.n_there) == (0, N)
    assert read(Lake(own.lake), f"results/{SKILL}").equals(mine)


def test_it_goes_by_the_lease_and_by_what_there_is(own: Settings) -> None:
    with pytest.raises(ConfigError, match="There is nothing to carry over"):
        migrate(own, SKILL)
    raise_major(own)
    with pytest.raises(ConfigError, match=r"these older tables on the lake: v1\. v7 is none of them"):
        migrate(own, SKILL, from_major=7)
    take_lease(open_state(own.state), run_lease(SKILL, own.lake), "airflow:skill.tag-document")
    with pytest.raises(RunLocked):
        migrate(own, SKILL)


def test_the_command_counts_and_gives_reasons(own: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("LAKE", own.lake), ("STATE", own.state), ("INCLUDE", str(own.include)), ("INBOX", own.inbox)):
        monkeypatch.setenv(f"SKILLYARD_{name}", value)
    raise_major(own, read(Lake(own.lake), f"results/{SKILL}")["tags"].to_pylist()[0][0])
    migrate_results(SKILL)
    said = capsys.readouterr()
    assert f"results/{SKILL}/v1 to results/{SKILL}/v2" in said.err and "rows carried" in said.err
    assert "is not one of" in said.out
