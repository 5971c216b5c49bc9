"""Checks of a run's rows on their way to the lake: what blocks, what warns, and what it costs to try again."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from skillyard.errors import ValidationFailed
from skillyard.lake.lake import Lake
from skillyard.lake.profiles import load_runs
from skillyard.lake.read import read
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.publish import RunReport
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from skillyard.skills import SkillError
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL, N = "tag-document", 6
RULE = """expectations:
  - type: expect_column_values_to_be_between
    kwargs: {column: len(tags), min_value: 9}
    notes: many tags
    severity: SEVERITY
"""


@pytest.fixture
def own(settings: Settings, simulator: Simulator, tmp_path: Path) -> Settings:
    publish_texts(settings, mails(N))
    return replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))


def write(settings: Settings, text: str) -> None:
    (settings.include / "skills" / SKILL / "expectations.yaml").write_text(text)


def go(settings: Settings, run_id: str) -> RunReport:
    return run_skill(settings, plan_run(settings, PlanRequest(SKILL, run_id)), lambda _: None)


def test_a_rule_that_warns_is_in_the_report_and_the_rows_are_published(own: Settings) -> None:
    write(own, RULE.replace("SEVERITY", "warn"))
    (warning,) = go(own, "r1").warnings
    assert warning.startswith(f"expect_column_values_to_be_between on len(tags) (many tags): {N} unexpected")
    assert read(Lake(own.lake), f"results/{SKILL}").num_rows == N


def test_a_rule_that_blocks_publishes_nothing_and_the_next_run_pays_nothing(own: Settings, simulator: Simulator) -> None:
    lake = Lake(own.lake)
    write(own, RULE.replace("SEVERITY", "block"))
    with pytest.raises(ValidationFailed, match="many tags"):
        go(own, "r1")
    (run,) = load_runs(lake, f"results/{SKILL}/v1")
    assert (run.run_id, run.is_blocked, run.profile.n_rows) == ("r1", True, N)
    assert not list(lake.storage.list(f"results/{SKILL}"))
    assert set(read(lake, "llm_calls")["run_id"].to_pylist()) == {"r1"}
    n_calls = len(simulator.calls())
    write(own, RULE.replace("SEVERITY", "warn"))
    report = go(own, "r2")
    assert (report.n_results, len(report.warnings), len(simulator.calls())) == (N, 1, n_calls)


def test_a_file_of_rules_that_cannot_be_read_stops_the_plan_before_any_call(own: Settings, simulator: Simulator) -> None:
    write(own, RULE.replace("SEVERITY", "loud"))
    with pytest.raises(SkillError, match="severity"):
        plan_run(own, PlanRequest(SKILL, "r1"))
    assert simulator.calls() == []
