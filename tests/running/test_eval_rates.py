"""What evals say of tiers now, and how routing goes by it."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillyard.evals.run import eval_skill
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.profiles import load_profile
from skillyard.routing.adequacy import PassRate
from skillyard.running.eval_rates import eval_rates, tell_evals
from skillyard.running.explain import explain_item
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from tests.running.audits_of import publish_cases
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL = "classify-urgency"
NOW = datetime.now(UTC)
TEXT = "The parcel has not arrived."


@pytest.fixture
def own(settings: Settings, simulator: Simulator, tmp_path: Path) -> Settings:
    """An installation whose skills may be edited."""
    publish_texts(settings, mails(4))
    return replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))


def rates(settings: Settings) -> dict[str, PassRate]:
    skill = Catalogue(settings.include).load(SKILL)
    found = eval_rates(Lake(settings.lake), skill, load_profile(settings.profile, settings.include))
    return {tier: one.rate for tier, one in found.items()}


def publish(settings: Settings, n_cases: int = 8, hours_ago: int = 1, **right: bool) -> None:
    publish_cases(settings, SKILL, n_cases, NOW - timedelta(hours=hours_ago), right)


def edit_skill(settings: Settings, change: Mapping[str, Any]) -> None:
    path = settings.include / "skills" / SKILL / "skill.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))


def run(settings: Settings, **options: Any) -> list[dict[str, Any]]:
    plan = plan_run(settings, PlanRequest(**({"skill": SKILL, "run_id": "r1"} | options)))
    run_skill(settings, plan, lambda _: None)
    return read(Lake(settings.lake), f"results/{SKILL}").to_pylist()


def test_the_newest_eval_of_each_tier_counts(own: Settings) -> None:
    publish(own, hours_ago=3, fast=True, standard=True)
    publish(own, n_cases=5, hours_ago=2, fast=False)
    assert rates(own) == {"fast": PassRate(0, 5), "standard": PassRate(8, 8)}


def test_without_evals_nothing_is_known(own: Settings) -> None:
    assert rates(own) == {}
    assert "no eval of this fingerprint" in explain_item(own, SKILL, TEXT)["evals"]
    assert "no eval of this fingerprint" in tell_evals(own, Catalogue(own.include).load("detect-language"))


def test_a_skill_shows_what_its_newest_eval_proves(own: Settings, tmp_path: Path) -> None:
    publish(own, fast=False, standard=True, expert=True)
    skill = Catalogue(own.include).load(SKILL)
    assert tell_evals(own, skill) == explain_item(own, SKILL, TEXT)["evals"]
    assert tell_evals(replace(own, profile=str(tmp_path / "none.yaml")), skill).startswith("not known: ")
    eval_skill(own, "detect-language")
    assert tell_evals(own, Catalogue(own.include).load("detect-language")).startswith("the library is ")


def test_an_edited_skill_or_another_model_starts_anew(own: Settings, tmp_path: Path) -> None:
    publish(own, fast=False)
    profile = yaml.safe_load(Path(own.profile).read_text())
    profile["tiers"]["fast"] = profile["tiers"]["standard"]
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(profile))
    assert rates(replace(own, profile=str(tmp_path / "other.yaml"))) == {}
    assert rates(own) == {"fast": PassRate(0, 8)}
    edit_skill(own, {"quality": {"min_pass_rate": 0.81}})
    assert rates(own) == {}


def test_no_item_starts_on_a_tier_that_evals_rule_out(own: Settings) -> None:
    publish(own, fast=False, standard=True, expert=True)
    results = run(own)
    assert {r["tier"] for r in results} == {"standard"}
    assert all("evals rule fast out (0 of 8 right, between 0% and 32%, " in r["route_reason"] for r in results)


def test_the_quote_goes_by_it_too(own: Settings) -> None:
    publish(own, fast=False, standard=True, expert=True)
    quote = plan_run(own, PlanRequest(SKILL, "r1", is_dry_run=True)).quote
    assert "start on standard" in quote.text and "start on fast" not in quote.text


def test_a_request_that_names_a_first_tier_has_it(own: Settings) -> None:
    publish(own, fast=False, standard=True, expert=True)
    assert {r["tier"] for r in run(own, first_tier="fast")} == {"fast"}
    assert explain_item(own, SKILL, TEXT, "fast")["evals"].endswith("; the first tier is given")


def test_cases_that_leave_it_open_change_nothing(own: Settings) -> None:
    publish(own, n_cases=1, fast=False)
    assert {r["tier"] for r in run(own)} == {"fast"}


def test_a_soft_limit_lowers_no_item_to_a_tier_that_evals_rule_out(own: Settings) -> None:
    publish(own, fast=False, standard=True, expert=True)
    run(own, run_id="r0", limit=1)
    owner, path = Catalogue(own.include).load(SKILL).owner, own.include / "teams.yaml"
    teams = yaml.safe_load(path.read_text())
    teams["teams"][owner]["budgets"] = [{"per": "month", "soft_usd": "0.00001", "on_soft": "lower_tier"}]
    path.write_text(yaml.safe_dump(teams))
    results = run(own)
    assert {r["tier"] for r in results} == {"standard"}
    assert any("no tier lower, evals rule fast out, although the soft limit is reached" in r["route_reason"] for r in results)


def test_explain_says_what_the_evals_prove(own: Settings) -> None:
    publish(own, fast=False, standard=True, expert=True)
    explained = explain_item(own, SKILL, TEXT)
    assert explained["tier"] == "standard" and "evals rule fast out" in explained["reason"]
    assert explained["evals"].startswith("fast is proven not to reach ") and "would be needed" in explained["evals"]
