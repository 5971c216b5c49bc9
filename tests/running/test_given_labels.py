"""A run with labels of its own: every task goes by those it was planned with."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from skillyard.errors import UnknownName
from skillyard.evals.run import eval_skill
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.publish import finish_run, publish_run
from skillyard.running.route import lane_shards, route_run
from skillyard.running.runs import PlanRequest, RunPlan
from skillyard.running.shard import run_shard
from skillyard.settings import Settings
from skillyard.skills import SkillError
from skillyard.skills.labels import parse_labels
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL = "tag-document"
GIVEN = "labels: {colour_red: {description: it speaks of red}, colour_blue: {description: it speaks of blue}}"
OTHER = "labels: {size_small: {description: it is small}, size_large: {description: it is large}}"
N = 6


@pytest.fixture
def own(settings: Settings, simulator: Simulator, tmp_path: Path) -> Settings:
    """An installation with documents whose include folder may be written to."""
    publish_texts(settings, mails(N))
    return replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))


def give(settings: Settings, text: str, name: str = SKILL) -> None:
    (settings.include / "labels").mkdir(exist_ok=True)
    (settings.include / "labels" / f"{name}.yaml").write_text(text)


def plan(settings: Settings, run_id: str = "r1", given: str | None = None, **options: object) -> RunPlan:
    labels = None if given is None else parse_labels(given)
    return plan_run(settings, PlanRequest(**({"skill": SKILL, "run_id": run_id, "labels": labels} | options)))


def tags(settings: Settings) -> set[str]:
    return {tag for row in read(Lake(settings.lake), f"results/{SKILL}").to_pylist() for tag in row["tags"]}


def test_a_run_answers_with_the_labels_it_was_given(own: Settings, simulator: Simulator) -> None:
    simulator.configure(keep_requests=True)
    report = run_skill(own, plan(own, given=GIVEN), lambda _: None)
    assert (report.n_results, report.n_rejects) == (N, 0) and tags(own) <= {"colour_red", "colour_blue"}
    asked = simulator.calls()[0]["body"]
    assert "- colour_red: it speaks of red" in asked["messages"][1]["content"]
    assert "colour_blue" in str(asked["response_format"])


def test_labels_beside_the_skills_hold_for_every_run(own: Settings, simulator: Simulator) -> None:
    give(own, GIVEN)
    run_skill(own, plan(own), lambda _: None)
    assert tags(own) <= {"colour_red", "colour_blue"}
    assert plan(own, "r2").is_empty
    assert plan(own, "r3", given=OTHER, is_dry_run=True).n_stale == N, "other labels, other answers"


def test_all_shards_of_a_run_go_by_the_labels_of_its_plan_although_the_file_changes(own: Settings, simulator: Simulator) -> None:
    give(own, GIVEN)
    planned = plan(own, shard_items=2)
    route_run(own, planned.run_key)
    first, *rest = lane_shards(own, planned.run_key, "fast")
    run_shard(own, first)
    give(own, OTHER)
    run_shard(own, rest[0])
    give(own, "labels: [")
    for shard in rest[1:]:
        run_shard(own, shard)
    assert publish_run(own, planned.run_key).n_results == N
    finish_run(own, planned.run_key)
    assert tags(own) <= {"colour_red", "colour_blue"}
    assert set(read(Lake(own.lake), f"results/{SKILL}")["fingerprint"].to_pylist()) == {planned.fingerprint}


def test_a_run_that_was_planned_with_the_skills_own_labels_keeps_them(own: Settings, simulator: Simulator) -> None:
    planned = plan(own)
    give(own, GIVEN)
    run_skill(own, planned, lambda _: None)
    assert planned.labels is None and tags(own).isdisjoint({"colour_red", "colour_blue"})


def test_what_cannot_be_used_is_refused_before_a_call(own: Settings, simulator: Simulator) -> None:
    with pytest.raises(SkillError, match="extract-invoice has no labels"):
        plan(own, given=GIVEN, skill="extract-invoice")
    give(own, GIVEN, "tag-documents")
    with pytest.raises(UnknownName, match=r"tag-documents\.yaml"):
        plan(own)
    assert simulator.calls() == []


def test_evals_ask_with_the_labels_that_their_cases_are_written_for(own: Settings, simulator: Simulator) -> None:
    give(own, GIVEN)
    simulator.configure(keep_requests=True)
    told: list[str] = []
    eval_skill(own, SKILL, "fast", told.append)
    assert told[0] == f"{SKILL}: evaluated with its own labels, for which its cases are written, not with yours"
    assert all("colour_red" not in str(call["body"]) for call in simulator.calls())
