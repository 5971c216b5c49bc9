"""The scaling plan: its figures are the ledger's, what is modelled says so, and what is missing names the command that tells."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from skillyard.costs.classifier import ENOUGH, Balance
from skillyard.costs.ledger.operations import Operation, read_operations
from skillyard.costs.plan.changes import batch_changes, cache_changes, cascade_changes, classifier_changes, tier_changes
from skillyard.costs.plan.complexity import class_rows, describe_ttl
from skillyard.costs.plan.plan import Plan, make_plan
from skillyard.costs.plan.projection import Repriced, reprice, total
from skillyard.costs.plan.text import render
from skillyard.costs.prices.book import PriceBook
from skillyard.costs.rules import find_cheap_tier_fails
from skillyard.errors import ConfigError
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, replace_rows
from skillyard.lake.results import results_table, to_results
from skillyard.lake.tables import LLM_CALLS
from skillyard.profiles import load_profile
from skillyard.running.training import train_challenger
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from tests.conftest import settings_in
from tests.costs.ledger import BOOK, DAY, MODELS, USAGE, call, ledger
from tests.routing.rows import row as evidence
from tests.running.audits_of import publish_audit
from tests.running.lake_of import mails, publish_texts

SKILL = "tag-document"
NOON = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)


def operation(number: int, tier: str, latency_s: float | None, cost: str, is_cached: bool = False) -> Operation:
    return Operation(f"op-{number}", SKILL, "f", "doc", f"item-{number}", {tier: Decimal(cost)}, tier, is_cached, Decimal(0), latency_s)


def test_a_class_says_what_its_items_took() -> None:
    operations = [operation(n, "fast", 0.1 * (n + 1), "0.001") for n in range(8)]
    operations += [operation(8, "expert", 4.0, "0.1"), operation(9, "fast", None, "0", is_cached=True), operation(10, "fast", 1.0, "0.001")]
    scores = {(SKILL, f"item-{n}"): 0.44 for n in range(8)} | {(SKILL, "item-8"): 0.70, (SKILL, "item-9"): 0.45}
    ttls = {SKILL: {"fast": timedelta(minutes=15), "expert": timedelta(0)}}
    low, medium, high, unscored = class_rows(operations, scores, ttls)
    assert (low.complexity, low.n_items, low.share, low.tiers) == ("low", 8, 8 / 11, {"fast": 1.0})
    assert (low.p50_s, low.usd_per_1000, low.cache_ttl) == (pytest.approx(0.45), Decimal(1), {"15 min": 1.0})
    assert (medium.complexity, medium.cache_hit_share, medium.p50_s) == ("medium", 1.0, None)
    assert (high.complexity, high.usd_per_1000, high.cache_ttl) == ("high", Decimal(100), {"not cached": 1.0})
    assert (unscored.complexity, unscored.n_items) == ("unscored", 1)


@pytest.mark.parametrize(
    ("ttl", "words"),
    [
        (None, "while the fingerprint stays"),
        (timedelta(0), "not cached"),
        (timedelta(seconds=90), "90 s"),
        (timedelta(minutes=5), "5 min"),
        (timedelta(hours=36), "36 h"),
        (timedelta(days=7), "7 d"),
    ],
)
def test_a_time_to_live_in_words(ttl: timedelta | None, words: str) -> None:
    assert describe_ttl(ttl) == words


def test_a_total_is_exact_and_its_interval_holds_it_and_comes_out_the_same_again() -> None:
    amounts = [Decimal(n) / 1000 for n in range(200)]
    span = total(amounts, Decimal(3))
    assert span.usd == 3 * sum(amounts) and span.low_usd < span.usd < span.high_usd
    assert span == total(amounts, Decimal(3))
    assert total([], Decimal(3)).usd == 0


def test_an_interval_is_as_wide_as_chance_makes_it() -> None:
    """The bootstrap of n equal-variance items: about 1.96 standard errors to each side."""
    amounts = [Decimal(n % 2) for n in range(400)]
    span = total(amounts, Decimal(1))
    assert float(span.high_usd - span.low_usd) == pytest.approx(2 * 1.96 * 10, rel=0.1)  # sd of a sum of 400 coin tosses: 10


def repriced(n: int, today: str, batch_saves: str = "0") -> list[Repriced]:
    tiers = {"fast": Decimal("0.001"), "standard": Decimal("0.005"), "expert": Decimal("0.02")}
    return [Repriced(SKILL, Decimal(today), tiers, Decimal(today), False, Decimal(batch_saves))] * n


def test_a_batch_lane_that_is_cheaper_is_a_change_with_its_discount() -> None:
    (change,) = batch_changes(repriced(10, "0.002", "0.001"), Decimal(3))
    assert (change.saves_usd, change.basis) == (Decimal("0.030"), "modelled") and "takes 50%" in change.what
    assert batch_changes(repriced(10, "0.002"), Decimal(3)) == []


def test_a_scheduled_live_call_could_have_been_half_the_price_in_the_batch_lane(settings: Settings) -> None:
    """gpt-6-luna has a batch lane at half its prices; what a person asked from the command line does not wait."""
    lake, luna = Lake(settings.lake), "openai/gpt-6-luna"
    by_dag, by_hand = (call(model=luna, dag_id=dag, operation_id=dag) for dag in ("a DAG", "cli"))
    append(lake, LLM_CALLS, ledger([by_dag, by_hand, call(model=luna, lane="batch", operation_id="later")]), "a")
    skills, profile = {SKILL: Catalogue(settings.include).load(SKILL)}, load_profile("hybrid", settings.include, {})
    found = reprice(lake, read_operations(lake, DAY, DAY), skills, profile, PriceBook.load(settings.include), DAY)
    assert [item.batch_saves_usd for item in found] == [found[0].tier_usd["fast"] / 2, 0, 0]
    assert found[2].tier_usd["fast"] * 2 == found[0].tier_usd["fast"] < found[0].tier_usd["expert"] == found[2].tier_usd["expert"]
    assert not any(item.is_routed for item in found)


def test_the_same_request_bought_again_is_a_change_unless_the_item_is_hard(settings: Settings) -> None:
    lake, shared = Lake(settings.lake), {"item_id": "item", "doc_id": "item"}
    rows = [call(**shared), call(**shared), call(finish_reason="stop", **shared), call(request_hash="another", **shared), call()]
    rows.append(call(finish_reason="length", **shared))
    append(lake, LLM_CALLS, ledger(rows), "a")
    (change,) = cache_changes(lake, DAY, DAY, {}, Decimal(1))
    assert change.saves_usd == 2 * rows[0]["cost_usd"] and "2 answers" in change.what and "cache_ttl_s" in change.how
    assert cache_changes(lake, DAY, DAY, {(SKILL, "item"): 0.45}, Decimal(1)) == []


def test_a_cheap_tier_that_fails_too_often_costs_what_starting_higher_would_save() -> None:
    both, one = {"fast": Decimal(1), "expert": Decimal(10)}, {"fast": Decimal(1)}
    own = [Operation(f"op-{n}", SKILL, "f", "d", f"i-{n}", both if n < 95 else one, "expert", False, Decimal(0), None) for n in range(100)]
    (change,) = cascade_changes(find_cheap_tier_fails({SKILL: own}), 10)
    assert change.saves_usd == 3 * (100 + 95 * 10 - 100 * 10)


def test_a_classifier_at_a_loss_is_a_change() -> None:
    changes = classifier_changes({"a": Balance(ENOUGH, Decimal(3), Decimal(1)), "b": Balance(ENOUGH, Decimal(1), Decimal(3))})
    assert [(change.skill, change.saves_usd) for change in changes] == [("a", Decimal(2))]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Two skills that do well on fast, audited, with a champion; the ledger has one of them on expert throughout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
        settings = settings_in(tmp_path_factory.mktemp("site"))
        doc_ids = publish_texts(settings, mails(700))
        for skill in (SKILL, "classify-urgency"):
            publish_audit(settings, skill, doc_ids, {"fast": 0.995, "standard": 0.995, "expert": 1.0}, NOON)
        assert train_challenger(settings, NOON).is_promoted
        ask(settings, doc_ids[:60])
        yield settings


def ask(settings: Settings, doc_ids: list[str]) -> None:
    """Have expert answer the documents over three days, and publish results whose scores are low."""
    rows = [
        call(tier="expert", item_id=d, doc_id=d, operation_id=f"{n:04x}", day=DAY - timedelta(days=n % 3), latency_ms=900, request_hash=d)
        for n, d in enumerate(doc_ids)
    ]
    append(Lake(settings.lake), LLM_CALLS, ledger([*rows, call(status="unknown"), call(tier="expert", purpose="audit")]), "a")
    skill = Catalogue(settings.include).load(SKILL)
    table = results_table(SKILL, skill.output_major, skill.output_schema)
    replace_rows(Lake(settings.lake), table, to_results(table, [result(d) for d in doc_ids]), "a")


def result(doc_id: str) -> dict[str, Any]:
    made = {"item_id": doc_id, "doc_id": doc_id, "uri": "file:///a", "tags": ["a"], "fingerprint": "f", "is_stale": False, "tier": "expert"}
    made |= {"model": MODELS["expert"], "route_reason": "r", "route_score": 0.2, "router_version": "heuristic", "n_attempts": 1}
    return made | {"n_escalations": 0, "cost_usd": Decimal(0), "run_id": "r1", "produced_at": NOON, "produced_on": DAY}


@pytest.fixture(scope="module")
def plan(site: Settings) -> Plan:
    return make_plan(site, DAY)


def test_the_figures_of_a_plan_are_the_ledgers_scaled_to_a_month(plan: Plan) -> None:
    one = BOOK.cost(MODELS["expert"], USAGE, NOON).usd
    assert (plan.n_items, plan.n_answered_documents, plan.n_documents, plan.first) == (60, 60, 700, DAY - timedelta(days=2))
    assert (plan.cost_usd["answer"], plan.cost_usd["audit"]) == (60 * one, one)
    assert plan.per_1000_documents_usd == 1000 * one
    (low,) = plan.classes
    assert (low.complexity, low.n_items, low.usd_per_1000) == ("low", 60, 1000 * one)
    today = plan.projections[0]
    assert (today.name, today.month.usd, today.saved_share) == ("today", 600 * one, 0)


def test_the_champions_policy_costs_what_its_first_tier_and_its_escalations_cost(plan: Plan) -> None:
    projections = {projection.name: projection for projection in plan.projections}
    fast = 600 * BOOK.cost(MODELS["fast"], USAGE, NOON).usd
    routed = projections["the champion's policy"]
    assert fast < routed.month.usd < projections["all on the highest tier"].month.usd == projections["today"].month.usd
    assert routed.basis == "modelled" and routed.saved_share > Decimal("0.9")


def test_what_is_wrong_and_what_is_missing_is_in_the_plan(plan: Plan) -> None:
    assert {"all_on_top", "expert_share"} <= {flag.flag for flag in plan.red_flags}
    commands = [missing.command for missing in plan.missing]
    assert {"skillyard quality audit SKILL", "skillyard run SKILL --probe", "skillyard cost reconcile BILL"} == set(commands)


def test_the_document_says_all_of_it(plan: Plan) -> None:
    text = render(plan)
    assert text.startswith(f"# Scaling plan of {DAY}\n")
    for said in ("| low | below 0.45 | 60 | 100% | expert 100% | 0.90 s |", "| today | measured |", "modelled", "`expert_share`: 60 of 60"):
        assert said in text
    assert "60 to 75 % lower cost" in text and "None" not in text


def test_without_a_champion_the_evidence_says_what_a_cheaper_tier_would_save(site: Settings) -> None:
    rows = [evidence(n, {"fast": 1.0, "standard": 1.0, "expert": 1.0}) for n in range(40)]
    skill = rows[0].skill
    items = [Repriced(skill, Decimal("0.02"), {"fast": Decimal("0.001"), "expert": Decimal("0.02")}, Decimal(0), False, Decimal(0))] * 10
    (change,) = tier_changes(rows, {skill: "expert"}, {skill: 0.95}, items, Decimal(1))
    assert change.saves_usd > 0 and "fast first keeps 100.0%" in change.what and "more audits would prove it" in change.how
    assert tier_changes(rows, {}, {skill: 0.95}, items, Decimal(1)) == []
    bad = [evidence(n, {"fast": 0.5, "standard": 0.5, "expert": 1.0}) for n in range(40)]
    assert tier_changes(bad, {skill: "expert"}, {skill: 0.95}, items, Decimal(1)) == []


def test_an_empty_ledger_names_the_command_to_run_first(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="skillyard ingest"):
        make_plan(settings, DAY)
    publish_texts(settings, mails(1))
    with pytest.raises(ConfigError, match=r"skillyard run SKILL --probe"):
        make_plan(settings, DAY)


def test_calls_of_a_skill_that_is_gone_are_counted_and_not_modelled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    append(Lake(settings.lake), LLM_CALLS, ledger([call(skill="gone-skill")]), "a")
    plan = make_plan(settings, DAY)
    assert (plan.n_items, plan.n_modelled) == (1, 0) and plan.cost_usd["answer"] > 0
    assert any("gone-skill" in missing.what for missing in plan.missing)
