"""The classifier in a run: what it costs, what it moves, when it is not asked."""

import shutil
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from skillyard.costs.attribution import attribute
from skillyard.costs.classifier import CLASSIFIED, classified_folder, classifier_balance
from skillyard.costs.prices.book import load_prices
from skillyard.costs.report import cost_report
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.tables import LLM_CALLS
from skillyard.profiles import load_profile
from skillyard.running.classify import Classifier, why_off
from skillyard.running.explain import explain_item
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.publish import RunReport
from skillyard.running.route import lane_shards, route_run
from skillyard.running.routers import load_version, promote, save_version
from skillyard.running.runs import PlanRequest, RunPlan, Workspace
from skillyard.running.training import train_challenger
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from skillyard.tiers import TIERS
from tests.conftest import ROOT
from tests.costs.ledger import call, ledger
from tests.running.audits_of import publish_audit
from tests.running.lake_of import mails, publish_texts
from tests.running.trials import engine_of, in_flight, rows_of, start
from tests.simulator import Simulator

SKILL = "tag-document"
N = 24
TODAY = datetime.now(UTC).date()
NIGHT = datetime(2026, 3, 2, 2, tzinfo=UTC)


@pytest.fixture
def own(settings: Settings, simulator: Simulator, tmp_path: Path) -> Settings:
    """An installation with documents whose skill has a classifier."""
    publish_texts(settings, mails(N))
    mine = replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))
    set_classifier(mine, "true")
    return mine


def set_classifier(settings: Settings, value: str) -> None:
    file = settings.include / "skills" / SKILL / "skill.yaml"
    file.write_text(file.read_text().split("routing:")[0] + f"routing: {{classifier: {value}}}\n")


def set_budget(settings: Settings, entry: str) -> None:
    text = f"teams:\n  records:\n    title: Records\n    contact: records@skillyard.example\n    budgets:\n      - {entry}\n"
    (settings.include / "teams.yaml").write_text(text)


def plan(settings: Settings, run_id: str = "r1", **options: Any) -> RunPlan:
    return plan_run(settings, PlanRequest(SKILL, run_id, team="records", **options))


def go(settings: Settings, run_id: str = "r1", **options: Any) -> RunReport:
    return run_skill(settings, plan(settings, run_id, **options), lambda _: None)


def routed(settings: Settings, made: RunPlan) -> list[dict[str, Any]]:
    """Return the rows of all shards, by item_id."""
    lake = Lake(settings.lake)
    shards = [shard for lane in ("fast", "standard", "expert") for shard in lane_shards(settings, made.run_key, lane)]
    return sorted((row for shard in shards for row in lake.read_frame(shard).to_pylist()), key=lambda row: str(row["item_id"]))


def kept(settings: Settings, run_id: str = "r1") -> list[dict[str, Any]]:
    return Lake(settings.lake).read_frame(f"{classified_folder(SKILL)}{run_id}.parquet").to_pylist()


def put_past(settings: Settings, n: int, routed_tier: str) -> None:
    """Put n items on the lake that the classifier was paid for and that were answered on the fast tier, wherever they were routed."""
    names = [f"past-{number}" for number in range(n)]
    said = {"complexity": "low", "requires_auth": False, "tools_needed": [], "reasoning": "", "classified_at": datetime.now(UTC)}
    rows = [said | {"run_id": "past", "item_id": i, "operation_id": i, "routed_tier": routed_tier, "tier": "fast"} for i in names]
    lake = Lake(settings.lake)
    lake.write_frame(f"{classified_folder(SKILL)}past.parquet", pa.Table.from_pylist(rows, schema=CLASSIFIED))
    calls = [call(operation_id=i, purpose=purpose, day=TODAY) for i in names for purpose in ("routing", "answer")]
    append(lake, LLM_CALLS, ledger(calls), "past")


def test_every_item_starts_where_its_complexity_says(own: Settings, simulator: Simulator) -> None:
    made = plan(own)
    route_run(own, made.run_key)
    rows, words = routed(own, made), {word["item_id"]: word for word in kept(own)}
    assert len(rows) == len(words) == N and set(Counter(w["complexity"] for w in words.values())) == {"low", "medium", "high"}
    tiers = {"low": "fast", "medium": "standard", "high": "expert"}
    assert all(row["tier"] == words[row["item_id"]]["tier"] == tiers[words[row["item_id"]]["complexity"]] for row in rows)
    assert {word["routed_tier"] for word in words.values()} == {"fast"}
    assert all(f"; classifier: {words[row['item_id']]['complexity']}" in row["route_reason"] for row in rows)
    assert Counter(c["model"] for c in simulator.calls()) == {"sim-fast": N}


def test_its_cost_is_in_the_ledger_the_bill_and_the_report_as_routing(own: Settings, simulator: Simulator) -> None:
    report = go(own)
    assert (report.n_results, report.n_calls) == (N, 2 * N)
    calls = read(Lake(own.lake), "llm_calls").to_pylist()
    assert Counter(c["purpose"] for c in calls) == {"routing": N, "answer": N}
    assert sum((c["cost_usd"] for c in calls), Decimal(0)) == Decimal(simulator.bill()["total_usd"]) == Decimal(report.cost_usd)
    attribute(own, TODAY - timedelta(days=1), TODAY)
    by = {row.name: row for row in cost_report(own, TODAY - timedelta(days=1), TODAY, "purpose").rows}
    assert by["routing"].n_calls == N
    balance = classifier_balance(own, SKILL, TODAY - timedelta(days=1))
    assert (balance.n, balance.cost_usd) == (N, by["routing"].cost_usd)
    assert balance.saved_usd < 0 and not balance.is_loss


def test_a_cleared_route_task_asks_nothing_again_and_decides_the_same(own: Settings, simulator: Simulator) -> None:
    made = plan(own)
    route_run(own, made.run_key)
    before = routed(own, made)
    route_run(own, made.run_key)
    assert routed(own, made) == before and len(simulator.calls()) == N and len(kept(own)) == N


def test_a_route_task_that_is_killed_pays_again_only_for_what_was_in_flight(own: Settings, simulator: Simulator) -> None:
    simulator.configure(latency={"kind": "uniform", "low_ms": 50, "high_ms": 6000})
    made = plan(own, dag_id=f"skill.{SKILL}")
    task = start(route_run, own, made.run_key)
    with engine_of(own) as state:
        while sum(row["status"] == "settled" for row in rows_of(state)) < N // 3:
            time.sleep(0.02)
    at = time.time()
    task.kill()
    task.join()
    lost, _ = in_flight(own, simulator, task.pid or 0, at)
    route_run(own, made.run_key)
    assert len(kept(own)) == N and 0 < len(lost) < N
    assert N < len(simulator.calls()) <= N + len(lost)


def test_a_stored_word_of_the_classifier_is_not_taken_for_an_answer_by_the_quote(own: Settings) -> None:
    route_run(own, plan(own, dag_id="skill.tag-document").run_key)
    assert plan(own, "r2", is_dry_run=True).quote.n_cached == 0


@pytest.mark.parametrize("fault", ["refusal", "not_json", "breaks_schema", "truncated"])
def test_an_item_without_a_usable_word_is_routed_without_it(own: Settings, simulator: Simulator, fault: str) -> None:
    simulator.configure(faults={fault: 1.0})
    made = plan(own)
    route_run(own, made.run_key)
    assert all(row["tier"] == "fast" and "; not classified: the reply " in row["route_reason"] for row in routed(own, made))
    assert len(simulator.calls()) == N and kept(own) == []


@pytest.mark.parametrize(
    ("trouble", "said"),
    [({"faults": {"rate_limited": 1.0}}, "fast: 5 attempts failed"), ({"context_tokens": 10}, "overflow: ")],
    ids=["unavailable", "refused"],
)
def test_a_provider_that_does_not_answer_does_not_stop_the_route(
    own: Settings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, trouble: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr("skillyard.gateway.complete.BACKOFF_S", 0.001)
    simulator.configure(models={"sim-fast": trouble}, retry_after_s=0.0)
    made = plan(own, limit=2)
    route_run(own, made.run_key)
    assert all(f"not classified: {said}" in row["route_reason"] for row in routed(own, made))


def test_a_used_up_budget_leaves_the_rest_to_the_router(own: Settings, simulator: Simulator) -> None:
    made = plan(own, budget_usd=Decimal("0.0002"))
    route_run(own, made.run_key)
    reasons = Counter("not classified: the hard limit" in row["route_reason"] for row in routed(own, made))
    assert reasons[True] and reasons[False] == len(kept(own)) == len(simulator.calls())
    assert Decimal(simulator.bill()["total_usd"]) <= Decimal("0.0002")


def test_a_request_that_may_cost_half_a_cent_is_not_sent(own: Settings, simulator: Simulator, tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "tests" / "simulator", tmp_path / "dear", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    source = (folder / "prices.csv").read_text()
    lines = [line if "sim-fast,input,standard" not in line else _with_price(line, "0.000005") for line in source.splitlines()]
    (folder / "prices.csv").write_text("\n".join(lines) + "\n")
    dear = replace(own, profile=str(folder / "profile.yaml"))
    made = plan(dear)
    route_run(dear, made.run_key)
    assert all("not classified: it may cost $0.0" in row["route_reason"] for row in routed(dear, made))
    assert simulator.calls() == []


def _with_price(line: str, price: str) -> str:
    parts = line.split(",")
    return ",".join([*parts[:5], price, *parts[6:]])


@pytest.mark.parametrize("name", ["openai", "anthropic", "hybrid"])
def test_with_every_profile_a_request_of_any_text_may_be_sent(own: Settings, name: str) -> None:
    profile = load_profile(name, own.include, {})
    made = plan(own)
    classifier = Classifier(Workspace.open(own, SKILL), made, profile, load_prices(own), datetime.now(UTC))
    for text in ("x" * 50_000, "文" * 50_000, "👩‍🚀" * 9_000):
        request = classifier.request("i", "d", text)
        assert classifier.refusal(request) is None, (name, text[:1], classifier.bound_usd(request))


def test_tiers_of_the_same_model_are_nothing_to_choose_between(own: Settings) -> None:
    profile = load_profile("embedded", own.include, {})
    assert why_off(own, Catalogue(own.include).load(SKILL), profile, None, datetime.now(UTC)) == "fast and expert ask the same model"


def test_the_quote_counts_one_more_call_for_each_item(own: Settings, simulator: Simulator) -> None:
    quote = plan(own).quote
    run_skill(own, plan(own, "r2"), lambda _: None)
    calls = read(Lake(own.lake), "llm_calls").to_pylist()
    cost = {purpose: float(sum(c["cost_usd"] for c in calls if c["purpose"] == purpose)) for purpose in ("routing", "answer")}
    assert float(quote.classifier_usd) == pytest.approx(cost["routing"], rel=0.3)
    assert "for the classifier, which may start items on other tiers" in quote.text
    assert sum(cost.values()) < float(quote.high_usd)
    of_tiers = sum(float(tier.expected_usd) for tier in quote.tiers)
    assert float(quote.expected_usd) == pytest.approx(of_tiers + float(quote.classifier_usd), rel=1e-4)


def test_without_a_classifier_the_quote_has_none(own: Settings) -> None:
    set_classifier(own, "false")
    quote = plan(own).quote
    assert quote.classifier_usd == "0" and "classifier" not in quote.text


def test_the_explanation_of_a_route_says_what_a_run_would_do_and_asks_nobody(own: Settings, simulator: Simulator) -> None:
    assert explain_item(own, SKILL, "Dear team")["classifier"] == "asked in a run"
    assert explain_item(own, SKILL, "Dear team", "standard")["classifier"] == "off: the first tier is given"
    set_classifier(own, "false")
    assert explain_item(own, SKILL, "Dear team")["classifier"] == "the skill has none"
    assert simulator.calls() == []


def test_after_the_deadline_nothing_is_asked(own: Settings, simulator: Simulator) -> None:
    made = plan(own, deadline=datetime.now(UTC) - timedelta(minutes=1))
    route_run(own, made.run_key)
    assert all("not classified: the run's deadline has passed" in row["route_reason"] for row in routed(own, made))
    assert simulator.calls() == []


def test_with_evidence_only_items_that_just_meet_the_target_are_asked_about_and_they_only_move_up(
    own: Settings, simulator: Simulator
) -> None:
    audited = publish_texts(own, {f"old-{name}": f"{text} Old." for name, text in mails(100).items()})
    publish_audit(own, SKILL, audited, {"fast": 0.99, "standard": 0.99, "expert": 1.0}, NIGHT)
    version = train_challenger(own, NIGHT).challenger
    assert version
    use_threshold(own, version, 0.5)
    clear = plan(own, limit=N)
    route_run(own, clear.run_key)
    assert simulator.calls() == [] and {row["tier"] for row in routed(own, clear)} == {"fast"}
    use_threshold(own, version, 0.985)
    unsure = plan(own, "r2", limit=2 * N)
    route_run(own, unsure.run_key)
    words = {word["item_id"]: word for word in kept(own, "r2")}
    assert len(words) == len(simulator.calls()) == unsure.n_planned
    assert all(TIERS.index(word["tier"]) >= TIERS.index(word["routed_tier"]) for word in words.values())
    assert {word["tier"] for word in words.values() if word["complexity"] == "high"} == {"expert"}
    assert {word["tier"] for word in words.values() if word["complexity"] == "low"} == {word["routed_tier"] for word in words.values()}


def use_threshold(settings: Settings, version: str, threshold: float) -> None:
    """Make a router the champion whose policy asks for so much of a perfect top tier."""
    lake = Lake(settings.lake)
    router = load_version(lake, version)
    policy = replace(router.policies[SKILL], threshold=threshold, quality_top=1.0)
    save_version(lake, replace(router, version=f"at-{threshold}", policies={SKILL: policy}))
    promote(lake, f"at-{threshold}", "a test", "because", NIGHT)


def test_nothing_is_spent_on_choosing_once_a_soft_limit_lowers_the_tiers(own: Settings, simulator: Simulator) -> None:
    set_budget(own, '{per: month, soft_usd: "0.0001", on_soft: lower_tier}')
    go(own, limit=4, first_tier="standard")
    simulator.reset()
    made = plan(own, "r2")
    route_run(own, made.run_key)
    assert simulator.calls() == [] and made.quote.classifier_usd == "0"
    assert all("classif" not in row["route_reason"] for row in routed(own, made))


def test_nobody_is_asked_where_the_answer_changes_nothing(own: Settings, simulator: Simulator) -> None:
    made = plan(own, first_tier="standard")
    route_run(own, made.run_key)
    assert all("the classifier is off: the first tier is given" in row["route_reason"] for row in routed(own, made))
    assert simulator.calls() == []


@pytest.mark.parametrize(
    ("n", "routed_tier", "value", "is_asked"),
    [(250, "fast", "true", False), (250, "fast", "always", True), (150, "fast", "true", True), (250, "expert", "true", True)],
    ids=["saves nothing", "always", "too few items to say", "saves enough"],
)
def test_a_classifier_that_costs_more_than_it_saves_is_off_unless_it_is_always_on(
    own: Settings, simulator: Simulator, n: int, routed_tier: str, value: str, is_asked: bool
) -> None:
    set_classifier(own, value)
    put_past(own, n, routed_tier)
    made = plan(own)
    route_run(own, made.run_key)
    reasons = [row["route_reason"] for row in routed(own, made)]
    assert {f"saved $0.0000 over {n} items" in reason and "the classifier is off: it cost $0.0" in reason for reason in reasons} == {
        not is_asked
    }
    assert len(simulator.calls()) == (N if is_asked else 0)
    assert (made.quote.classifier_usd != "0") == is_asked
