"""Training and recalibration on a lake: what is promoted and why, and what routes afterwards."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skillyard.errors import ConfigError
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.routing.decide import HEURISTIC
from skillyard.running.explain import explain_item
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.routers import FOLDER, champion, list_versions, load_version, promote, rollback, save_version
from skillyard.running.runs import PlanRequest
from skillyard.running.training import learnable, recalibrate_champion, replay_rows, replay_versions, train_challenger
from skillyard.settings import Settings
from tests.conftest import settings_in
from tests.running.audits_of import audit_row, publish_audit, publish_audit_rows
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL, OTHER = "classify-urgency", "tag-document"
NIGHT = datetime(2026, 3, 2, 2, tzinfo=UTC)
GOOD = {"fast": 0.999, "standard": 0.999, "expert": 1.0}
BAD = {"fast": 0.5, "standard": 0.995, "expert": 1.0}
N = 600


@pytest.fixture(autouse=True)
def _endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile names an address; nobody is asked there."""
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:9/v1")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two skills that do well on the fast tier, audited, and a first champion trained on that."""
    settings = settings_in(tmp_path_factory.mktemp("site"))
    doc_ids = publish_texts(settings, mails(N))
    for skill in (SKILL, OTHER):
        publish_audit(settings, skill, doc_ids, GOOD, NIGHT)
    assert train_challenger(settings, NIGHT).is_promoted
    return settings


@pytest.fixture
def copy(site: Settings, tmp_path: Path) -> Settings:
    """The same lake, for a test to change."""
    subprocess.run(["cp", "-r", site.lake.removeprefix("file://"), tmp_path / "lake"], check=True)
    return settings_in(tmp_path, SKILLYARD_INBOX=site.inbox)


def doc_ids(settings: Settings) -> list[str]:
    return sorted(read(Lake(settings.lake), "documents", ["doc_id"])["doc_id"].to_pylist())


def tier_of(settings: Settings, skill: str) -> str:
    return str(explain_item(settings, skill, "Dear team, where is my parcel? Please answer before Friday.")["tier"])


def test_without_evidence_it_says_so_and_nothing_changes(settings: Settings) -> None:
    for report in (train_challenger(settings, NIGHT), recalibrate_champion(settings, NIGHT)):
        assert not report.is_promoted and report.challenger is None
        assert "no evidence" in report.text and "heuristic stays" in report.text
    assert list_versions(Lake(settings.lake)) == [] and champion(Lake(settings.lake)).pointer is None


def test_the_first_champion_need_not_save_more_than_declared_traits_that_have_proven_nothing(site: Settings) -> None:
    found = champion(Lake(site.lake))
    assert found.router and found.pointer and found.pointer.previous == HEURISTIC
    assert found.pointer.why.startswith("the first champion: it keeps")
    assert tier_of(site, SKILL) == tier_of(site, OTHER) == "fast"


def test_the_first_champion_may_be_dearer_what_is_not_proven_starts_on_the_highest_tier(settings: Settings) -> None:
    publish_audit(settings, SKILL, publish_texts(settings, mails(N)), {"fast": 0.93, "expert": 1.0}, NIGHT)
    report = train_challenger(settings, NIGHT)
    assert report.comparison and report.comparison.saved_more["all skills"].high < 0 and report.is_promoted
    assert tier_of(settings, SKILL) == "expert"


def test_a_champion_that_is_as_good_as_the_challenger_stays(copy: Settings) -> None:
    before = champion(Lake(copy.lake)).version
    report = train_challenger(copy, NIGHT + timedelta(days=7))
    assert not report.is_promoted and report.challenger not in (None, before)
    assert f"{before} stays" in report.text and "neither is enough with confidence" in report.reason
    assert champion(Lake(copy.lake)).version == before
    assert json.loads(json.dumps(asdict(report), default=str))["comparison"]["is_better"] is False


def test_a_dry_run_writes_nothing(copy: Settings) -> None:
    before = list_versions(Lake(copy.lake))
    report = train_challenger(copy, NIGHT + timedelta(days=7), is_dry_run=True)
    assert report.reason.startswith("dry run, nothing was written") and not report.is_promoted
    assert list_versions(Lake(copy.lake)) == before


def test_a_night_that_says_the_same_changes_nothing(copy: Settings) -> None:
    before = champion(Lake(copy.lake)).pointer
    assert recalibrate_champion(copy, NIGHT + timedelta(days=1)).reason
    now = champion(Lake(copy.lake)).pointer
    report = recalibrate_champion(copy, NIGHT + timedelta(days=2))
    assert (report.is_promoted, report.reason) == (False, "the evidence says the same as before")
    assert champion(Lake(copy.lake)).pointer == now and before is not None


def test_a_bad_night_moves_its_skill_up_the_other_stays_and_a_rollback_goes_back_past_it(copy: Settings) -> None:
    before = champion(Lake(copy.lake)).version
    save_version(Lake(copy.lake), replace(load_version(Lake(copy.lake), before), version="trained-anew"))
    promote(Lake(copy.lake), "trained-anew", "a test", "because", NIGHT)
    publish_audit(copy, SKILL, doc_ids(copy)[:200], BAD, NIGHT + timedelta(days=1))
    report = recalibrate_champion(copy, NIGHT + timedelta(days=1))
    assert (report.is_promoted, report.reason) == (True, f"recalibrated; another threshold for {SKILL}")
    assert champion(Lake(copy.lake)).version == report.challenger != before
    assert (tier_of(copy, SKILL) != "fast", tier_of(copy, OTHER)) == (True, "fast")
    rollback(Lake(copy.lake), "a test", NIGHT)
    assert (champion(Lake(copy.lake)).version, tier_of(copy, SKILL)) == (before, "fast")


def test_without_a_champion_a_night_trains_the_first_one(copy: Settings) -> None:
    lake = Lake(copy.lake)
    for info in list(lake.storage.list(FOLDER)):
        lake.storage.delete(info.key)
    report = recalibrate_champion(copy, NIGHT + timedelta(days=1))
    assert (report.kind, report.is_promoted, report.champion) == ("training", True, HEURISTIC)


def test_declared_traits_that_were_asked_for_are_not_replaced_by_a_night(copy: Settings) -> None:
    promote(Lake(copy.lake), HEURISTIC, "a person", "because", NIGHT)
    report = recalibrate_champion(copy, NIGHT + timedelta(days=1))
    assert (report.is_promoted, report.challenger) == (False, None)


def test_a_broken_champion_leaves_declared_traits_at_work_until_a_training_replaces_it(copy: Settings) -> None:
    lake = Lake(copy.lake)
    lake.storage.put(f"{FOLDER}{champion(lake).version}.npz", b"rubbish")
    explained = explain_item(copy, SKILL, "Where is my parcel?")
    assert explained["router_version"] == HEURISTIC and "the champion cannot be used" in explained["reason"]
    assert "are no router" in recalibrate_champion(copy, NIGHT + timedelta(days=1)).reason
    assert train_challenger(copy, NIGHT + timedelta(days=7)).is_promoted
    assert explain_item(copy, SKILL, "Where is my parcel?")["router_version"] != HEURISTIC


def test_audits_with_one_class_or_nonsense_train_all_the_same(settings: Settings) -> None:
    ids = publish_texts(settings, mails(60))
    rows = [audit_row(settings, SKILL, i, tier, 1.0, NIGHT, "one-class") for i in ids[:50] for tier in GOOD]
    rows += [audit_row(settings, SKILL, i, tier, float("nan"), NIGHT, "one-class") for i in ids[50:] for tier in GOOD]
    publish_audit_rows(settings, rows, "one-class")
    report = train_challenger(settings, NIGHT)
    assert not report.is_promoted and "left out 10" in report.evidence and "not enough evidence" in report.skills[SKILL]


def test_a_skill_that_is_broken_does_not_keep_the_others_from_learning(settings: Settings, tmp_path: Path) -> None:
    own = replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))
    ids = publish_texts(own, mails(20))
    for skill in (SKILL, OTHER):
        publish_audit(own, skill, ids, GOOD, NIGHT)
    (own.include / "skills" / OTHER / "assets" / "labels.yaml").write_text("labels: nonsense")
    found = learnable(own, NIGHT)
    assert (list(found.traits), {row.skill for row in found.rows}) == ([SKILL], {SKILL})


def test_a_replay_has_a_row_per_skill_and_one_for_all_for_the_champion_and_for_declared_traits(site: Settings, settings: Settings) -> None:
    rows = [row for made in replay_versions(site, None, NIGHT) for row in replay_rows(made)]
    assert [(row["router"] == HEURISTIC, row["skill"]) for row in rows] == [
        *((False, name) for name in (SKILL, OTHER, "all skills")),
        *((True, name) for name in (SKILL, OTHER, "all skills")),
    ]
    with pytest.raises(ConfigError, match="no evidence"):
        replay_versions(settings, None, NIGHT)


def test_a_run_decides_through_the_champion_and_its_rows_say_so(copy: Settings, simulator: Simulator) -> None:
    said: list[str] = []
    router = champion(Lake(copy.lake)).router
    plan = plan_run(copy, PlanRequest(SKILL, "r1", limit=5))
    assert [quoted.tier for quoted in plan.quote.tiers] == ["fast"]
    run_skill(copy, plan, said.append)
    rows = read(Lake(copy.lake), f"results/{SKILL}").to_pylist()
    assert router and {row["router_version"] for row in rows} == {router.version}
    assert all(0 <= row["route_score"] < 0.05 and "keeps" in row["route_reason"] for row in rows)
    assert f"{SKILL}: router {router.version} decides (training, {2 * N} rows of evidence)" in said


def test_an_explanation_has_every_tiers_probability_cost_and_quality(site: Settings) -> None:
    explained = explain_item(site, SKILL, "Dear team, where is my parcel?")
    assert list(explained["tiers"]) == ["fast", "standard", "expert"]
    for tier in explained["tiers"].values():
        assert 0 < tier["probability"] <= 1 and 0 < tier["expected_quality"] <= 1 and 0 < tier["pass_rate"] <= 1
        assert tier["expected_cost_usd"] >= tier["call_usd"] > 0
    assert explained["score"] == pytest.approx(1 - explained["tiers"]["fast"]["probability"], abs=1e-4)
    assert explain_item(site, SKILL, "Dear team", "expert")["tier"] == "expert"


def test_routing_imports_nothing_that_only_training_needs() -> None:
    heavy = "sklearn", "scipy", "pandas", "matplotlib"
    code = f"import sys, skillyard.running.route, skillyard.running.explain; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
