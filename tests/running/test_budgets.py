"""A run inside its budgets: it stops at a hard limit and goes on when that is raised; a soft one lowers the first tier."""

import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from skillyard.errors import RunIncomplete
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.publish import RunReport
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL = "tag-document"
N = 40


@pytest.fixture
def own(settings: Settings, simulator: Simulator, tmp_path: Path) -> Settings:
    """An installation whose teams.yaml may be rewritten."""
    publish_texts(settings, mails(N))
    return replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))


def set_budget(settings: Settings, entry: str) -> None:
    text = f"teams:\n  records:\n    title: Records\n    contact: records@skillyard.example\n    budgets:\n      - {entry}\n"
    (settings.include / "teams.yaml").write_text(text)


def go(settings: Settings, run_id: str, **options: object) -> RunReport:
    plan = plan_run(settings, PlanRequest(SKILL, run_id, team="records", **options))  # type: ignore[arg-type]
    return run_skill(settings, plan, lambda _: None)


def test_a_run_stops_at_its_hard_budget_and_goes_on_there_when_it_is_raised(own: Settings, simulator: Simulator) -> None:
    set_budget(own, '{per: month, hard_usd: "0.0005"}')
    with pytest.raises(RunIncomplete, match=r"\d+ budget.*Raise the budget"):
        go(own, "r1")
    lake = Lake(own.lake)
    report = lake.read_json("_runs/skill.tag-document/r1/report.json")
    spent = Decimal(simulator.bill()["total_usd"])
    assert report["state"] == "budget" and report["pending"] == {"budget": N - report["n_results"]}
    assert 0 < report["n_results"] < N and Decimal("0.0003") < spent <= Decimal("0.0005")
    set_budget(own, '{per: month, hard_usd: "1"}')
    assert go(own, "r2").state == "done"
    assert read(lake, f"results/{SKILL}").num_rows == N == len(simulator.calls())


def test_a_reached_soft_budget_starts_one_tier_lower_and_the_route_says_so(own: Settings, simulator: Simulator) -> None:
    set_budget(own, '{per: month, soft_usd: "0.0001", on_soft: lower_tier}')
    assert go(own, "r1", limit=10, first_tier="standard").tiers == {"standard": 10}
    assert go(own, "r2", limit=20, first_tier="standard").tiers == {"fast": 10}
    rows = read(Lake(own.lake), f"results/{SKILL}").to_pylist()
    lowered = [r["route_reason"] for r in rows if r["tier"] == "fast"]
    assert len(lowered) == 10 and all("one tier lower, the soft limit is reached: team records, month" in said for said in lowered)


def test_a_soft_budget_is_told_in_the_log_once(own: Settings, simulator: Simulator) -> None:
    set_budget(own, '{per: month, soft_usd: "0.0001"}')
    told: list[str] = []
    for run_id, limit in (("r1", 10), ("r2", 20), ("r3", 30)):
        run_skill(own, plan_run(own, PlanRequest(SKILL, run_id, team="records", limit=limit)), told.append)
    assert sum("soft limit of $0.0001 is spent" in said for said in told) == 1


def test_a_tier_without_a_living_endpoint_is_passed_over_where_the_skill_says_so(
    own: Settings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillyard.gateway.complete.BACKOFF_S", 0.01)
    simulator.configure(models={"sim-fast": {"faults": {"unavailable": 1.0}}})
    set_budget(own, '{per: month, hard_usd: "1"}')
    file = own.include / "skills" / SKILL / "skill.yaml"
    file.write_text(file.read_text().replace("escalate_when: [", "escalate_when: [unavailable, "))
    report = go(own, "r1", limit=2)
    assert (report.tiers, report.state) == ({"standard": 2}, "done")
