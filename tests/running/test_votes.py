"""Voters through the engine, against the simulator: whom they let pass, what they cost, that none of them serves."""

import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from skillyard.errors import ConfigError, Unpriced
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.profiles import load_profile
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.publish import RunReport
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from tests.conftest import PROFILE
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL = "tag-document"
N = 12
VOTER = """
    - name: vote-{model}
      model: openai/sim-{model}
      api_key_env: SIMULATOR_KEY
      api_base_env: SIMULATOR_URL
      context_tokens: 64000
      max_output_tokens: 8000
      concurrency: 256
      params: {{temperature: 0}}"""


@pytest.fixture
def own(settings: Settings, simulator: Simulator, tmp_path: Path) -> Settings:
    """An installation whose fast tier has two voters, and whose skill escalates when they disagree."""
    publish_texts(settings, mails(N))
    include = shutil.copytree(settings.include, tmp_path / "include")
    opt_in(include, "escalate_when: [disagreement, ")
    return replace(settings, include=include, profile=str(with_voters(tmp_path, "standard", "expert")))


def opt_in(include: Path, entry: str) -> None:
    file = include / "skills" / SKILL / "skill.yaml"
    file.write_text(file.read_text().replace("escalate_when: [", entry))


def with_voters(folder: Path, *models: str) -> Path:
    shutil.copy(PROFILE.parent / "prices.csv", folder)
    file = folder / "profile.yaml"
    file.write_text(f"{PROFILE.read_text()}\nvoters:\n  fast:" + "".join(VOTER.format(model=model) for model in models))
    return file


def go(settings: Settings, **options: Any) -> RunReport:
    return run_skill(settings, plan_run(settings, PlanRequest(SKILL, "r1", **options)), lambda _: None)


def table(settings: Settings, name: str) -> list[dict[str, Any]]:
    return read(Lake(settings.lake), name).to_pylist()


def test_an_answer_that_voters_give_too_is_served_and_every_vote_is_paid_once(own: Settings, simulator: Simulator) -> None:
    report = go(own)
    calls, results = table(own, "llm_calls"), table(own, f"results/{SKILL}")
    assert report.tiers == {"fast": N}
    assert {r["model"] for r in results} == {"openai/sim-fast"}
    assert sorted(c["purpose"] for c in calls) == ["answer"] * N + ["vote"] * 2 * N
    assert {(c["tier"], c["deployment"]) for c in calls if c["purpose"] == "vote"} == {("fast", "vote-standard"), ("fast", "vote-expert")}
    paid = sum((c["cost_usd"] for c in calls), Decimal(0))
    assert paid == sum((r["cost_usd"] for r in results), Decimal(0)) == Decimal(simulator.bill()["total_usd"])


def test_an_answer_that_no_voter_gives_moves_up_and_a_vote_that_was_paid_answers_there(own: Settings, simulator: Simulator) -> None:
    simulator.configure(models={"sim-fast": {"wrong": 1.0}})
    report = go(own)
    results = table(own, f"results/{SKILL}")
    moved = [r for r in results if r["tier"] == "standard"]
    assert report.n_escalations == len(moved) > N / 2  # labels are few: some wrong answers are right by chance
    assert len(results) == N
    assert all(r["model"] == "openai/sim-standard" and r["n_escalations"] == 1 for r in moved)
    assert len(simulator.calls()) == 3 * N  # sim-standard had answered as a voter


def test_one_voter_against_two_is_outvoted(own: Settings, simulator: Simulator) -> None:
    simulator.configure(models={"sim-expert": {"wrong": 1.0}})
    assert go(own).tiers == {"fast": N}


def test_a_voter_that_fails_does_not_vote(own: Settings, simulator: Simulator) -> None:
    simulator.configure(models={"sim-fast": {"wrong": 1.0}, **{m: {"faults": {"not_json": 1.0}} for m in ("sim-standard", "sim-expert")}})
    assert go(own).tiers == {"fast": N}


def test_a_voter_that_does_not_fit_the_budget_does_not_vote(own: Settings, simulator: Simulator) -> None:
    simulator.configure(models={"sim-fast": {"wrong": 1.0}})
    budget = (
        "teams:\n  records:\n    title: Records\n    contact: records@skillyard.example\n    budgets: [{per: month, hard_usd: '0.0003'}]\n"
    )
    (own.include / "teams.yaml").write_text(budget)
    report = go(own, limit=1, team="records")
    assert report.tiers == {"fast": 1}
    assert {c["model"] for c in table(own, "llm_calls")} == {"openai/sim-fast"}


def test_the_highest_tier_is_not_voted_on(own: Settings, simulator: Simulator) -> None:
    simulator.configure(models={"sim-fast": {"wrong": 1.0}})
    file = own.include / "skills" / SKILL / "skill.yaml"
    file.write_text(file.read_text().replace("max: expert", "max: fast"))
    assert go(own).tiers == {"fast": N}
    assert len(simulator.calls()) == N


def test_a_skill_that_does_not_ask_for_it_pays_no_voter(own: Settings, simulator: Simulator) -> None:
    file = own.include / "skills" / SKILL / "skill.yaml"
    file.write_text(file.read_text().replace("disagreement, ", ""))
    go(own)
    assert len(simulator.calls()) == N


def test_a_quote_counts_the_votes(own: Settings) -> None:
    def quoted() -> float:
        quote = plan_run(own, PlanRequest(SKILL, "dry", is_dry_run=True)).quote
        assert quote is not None
        return float(quote.expected_usd)

    with_votes = quoted()
    opt_out = own.include / "skills" / SKILL / "skill.yaml"
    opt_out.write_text(opt_out.read_text().replace("disagreement, ", ""))
    assert with_votes > 5 * quoted()


def test_a_voter_without_a_price_is_refused_before_a_call(own: Settings, tmp_path: Path, simulator: Simulator) -> None:
    file = Path(own.profile)
    file.write_text(
        file.read_text().replace(
            "model: openai/sim-expert\n      api_key_env: SIMULATOR_KEY\n      api_base_env: SIMULATOR_URL\n      context_tokens: 64000",
            "model: openai/sim-unpriced\n      api_key_env: SIMULATOR_KEY\n      api_base_env: SIMULATOR_URL\n      context_tokens: 64000",
        )
    )
    with pytest.raises(Unpriced):
        go(own)
    assert not simulator.calls()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("voters:\n  fast", "voters:\n  turbo"), "unknown tier 'turbo'; allowed: fast, standard, expert"),
        (("name: vote-expert", "name: vote-standard"), "a name that no other voter"),
        (("name: vote-expert", "name: sim-expert"), "a name that no other voter"),
        (("voters:\n  fast", "voters:\n  standard"), "voter 'vote-standard' is what it votes on"),
    ],
)
def test_voters_that_cannot_be_asked_are_refused(own: Settings, change: tuple[str, str], said: str) -> None:
    file = Path(own.profile)
    file.write_text(file.read_text().replace(*change))
    with pytest.raises(ConfigError, match=said):
        load_profile(own.profile, own.include)
