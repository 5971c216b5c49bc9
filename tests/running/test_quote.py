"""Quotes: what the past says, how often the range holds, what is stored or bounded, who has to agree."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pytest

from bench.quote import PROCESSES, World, simulate_all
from skillyard.costs.prices.book import PriceBook
from skillyard.errors import ConfigError
from skillyard.gateway.state import open_state
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.tables import LLM_CALLS
from skillyard.profiles import Profile, load_profile
from skillyard.running import history as past
from skillyard.running.estimate import Estimate, Load, Range, Reach, calibrate, duration_s, estimate
from skillyard.running.history import History, load_history, read_history
from skillyard.running.lease import take_lease
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import decline_plan, declined_by, plan_run
from skillyard.running.quoter import why_approval
from skillyard.running.route import planned_shards, route_run
from skillyard.running.runs import PlanRequest, RunPlan
from skillyard.running.shard import run_shard
from skillyard.settings import Settings
from skillyard.skills.teams import Team
from tests.conftest import PROFILE, ROOT
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL = "tag-document"
AT = datetime(2026, 6, 1, tzinfo=UTC)
REACH = Reach({"fast": ("fast", "standard"), "standard": ("standard",)}, {"fast": 100, "standard": 100}, 60.0)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile(str(PROFILE), ROOT / "include", {"SIMULATOR_URL": "http://127.0.0.1"})


@pytest.fixture(scope="module")
def prices() -> PriceBook:
    return PriceBook.load(ROOT / "include", PROFILE.with_name("prices.csv"))


@pytest.fixture
def own(settings: Settings, simulator: Simulator, tmp_path: Path) -> Settings:
    """An installation whose teams.yaml may be rewritten."""
    return replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))


def set_team(settings: Settings, *lines: str) -> None:
    head = "teams:\n  records:\n    title: Records\n    contact: records@skillyard.example\n"
    (settings.include / "teams.yaml").write_text(head + "".join(f"    {line}\n" for line in lines))


def plan(settings: Settings, run_id: str, **options: Any) -> RunPlan:
    return plan_run(settings, PlanRequest(SKILL, run_id, team="records", **options))


def go(settings: Settings, run_id: str, **options: Any) -> RunPlan:
    made = plan(settings, run_id, **options)
    run_skill(settings, made, lambda _: None)
    return made


def call(operation: str, **changes: Any) -> dict[str, Any]:
    """Return one ledger row as history reads it."""
    row = {"operation_id": operation, "item_id": operation, "fingerprint": "now", "attempt_no": 1, "tier": "fast", "lane": "live"}
    row |= {"model": "openai/sim-fast", "status": "settled", "finish_reason": "stop", "input_tokens": 1000, "cache_read_tokens": 0}
    row |= {"cache_write_tokens": 0, "cache_write_1h_tokens": 0, "output_tokens": 100, "n_images": 0}
    return row | {"compute_s": Decimal(0), "latency_ms": 500} | changes


def calls(n: int, **changes: Any) -> list[dict[str, Any]]:
    return [call(f"{number:08x}", **changes) for number in range(n)]


def test_the_range_holds_what_simulated_runs_cost_and_is_narrow() -> None:
    outcomes = list(simulate_all(40))
    assert sum(o.is_inside for o in outcomes) >= 37
    assert median(o.half_width for o in outcomes) <= 25


def test_the_same_past_gives_the_same_quote(profile: Profile, prices: PriceBook) -> None:
    world = World(PROCESSES[4], profile, prices, seed=7)
    rows = [row for _ in range(300) for row in world.operation()[2]]
    history = read_history(rows, [], 800, profile, prices, AT)
    loads = [Load("fast", 500, 600_000.0)]
    first, second = (estimate(loads, history, REACH, profile, prices, AT) for _ in range(2))
    assert first == second and first[1].low < first[1].expected < first[1].high


def test_without_escalations_so_far_the_high_end_still_knows_what_one_would_cost(profile: Profile, prices: PriceBook) -> None:
    history = read_history(calls(200), [], 100, profile, prices, AT)
    load = Load("fast", 1000, 1_000_000.0)
    _, total = estimate([load], history, REACH, profile, prices, AT)
    _, bound_to_fast = estimate([load], history, replace(REACH, tiers={"fast": ("fast",)}), profile, prices, AT)
    assert total.expected == bound_to_fast.expected == pytest.approx(0.0525)
    assert (total.low, bound_to_fast.low, bound_to_fast.high) == (pytest.approx(0.0525),) * 3
    assert total.high > 1.05 * total.expected


def test_an_operation_counts_with_all_its_calls_at_the_prices_of_today(profile: Profile, prices: PriceBook) -> None:
    second = {"attempt_no": 2, "tier": "standard", "model": "openai/sim-standard"}
    rows = calls(20) + [row | second for row in calls(5)]
    rows += [row | {"attempt_no": 3, "status": "failed", "output_tokens": 0} for row in calls(5)]
    history = read_history(rows, [], 100, profile, prices, AT)
    _, total = estimate([Load("fast", 20, 20_000.0)], history, REACH, profile, prices, AT)
    assert total.expected == pytest.approx(20 * 0.0000525 + 5 * (1000 * 0.0000003333333 + 100 * 0.00000125))


def test_a_call_of_unknown_outcome_counts_as_one_that_was_billed_except_for_the_low_end(profile: Profile, prices: PriceBook) -> None:
    lost = [row | {"status": "unknown", "input_tokens": 0, "output_tokens": 0} for row in calls(20)]
    answered = [row | {"attempt_no": 2} for row in calls(20)]
    history = read_history(lost + answered, [], 100, profile, prices, AT)
    _, total = estimate([Load("fast", 10, 10_000.0)], history, REACH, profile, prices, AT)
    assert (total.expected, total.low) == (pytest.approx(2 * 10 * 0.0000525), pytest.approx(10 * 0.0000525))


@pytest.mark.parametrize(
    "changes",
    [{"status": "cached"}, {"status": "failed"}, {"model": "openai/sim-of-last-year"}],
    ids=["taken from the cache", "never answered", "on a model the profile has no more"],
)
def test_operations_that_do_not_show_what_an_answer_costs_are_left_out(
    profile: Profile, prices: PriceBook, changes: dict[str, Any]
) -> None:
    rows = calls(30)
    rows += [row | changes | {"operation_id": f"other {n}"} for n, row in enumerate(calls(10))]
    assert len(read_history(rows, [], 100, profile, prices, AT).operations) == 30


@pytest.mark.parametrize(
    ("n_current", "n_older", "basis", "n_operations"),
    [
        (200, 50, "history", 200),
        (199, 50, "older_history", 249),
        (19, 0, "worst_case", 0),
        (5, 15, "older_history", 20),
        (25, 0, "history", 25),
    ],
)
def test_older_fingerprints_fill_up_a_short_history_and_under_twenty_there_is_none(
    profile: Profile, prices: PriceBook, n_current: int, n_older: int, basis: str, n_operations: int
) -> None:
    older = [row | {"operation_id": f"older {row['operation_id']}"} for row in calls(n_older)]
    history = read_history(calls(n_current), older, 100, profile, prices, AT)
    assert (history.basis, len(history.operations)) == (basis, n_operations)


def test_enough_tokens_for_nearly_every_answer_are_learned_from_200_whole_answers() -> None:
    lengths = [row | {"output_tokens": n + 1} for n, row in enumerate(calls(200))]
    cut_off = [row | {"output_tokens": 4000, "finish_reason": "length"} for row in calls(50)]
    assert past.learn_max_tokens(lengths + cut_off, 1000) == {"fast": 238}
    assert past.learn_max_tokens(lengths, 220) == {"fast": 220}
    assert past.learn_max_tokens(lengths[1:], 1000) == {}


def test_a_tier_without_a_past_of_its_own_takes_the_other_tiers_at_its_prices(profile: Profile, prices: PriceBook) -> None:
    history = read_history(calls(200), [], 100, profile, prices, AT)
    (found,), _ = estimate([Load("standard", 10, 10_000.0)], history, REACH, profile, prices, AT)
    assert (found.basis, found.n_past, found.n_calls) == ("other_tiers", 0, {"standard": 10})
    assert found.usd.expected == pytest.approx(10 * (1000 * 0.0000003333333 + 100 * 0.00000125))


def test_estimates_of_input_are_corrected_by_past_items_whose_text_is_known(profile: Profile, prices: PriceBook) -> None:
    history = read_history(calls(100), [], 100, profile, prices, AT)
    seen, factor = calibrate(history, {"00000000": 1200, "00000001": 1300})
    assert factor == pytest.approx(2000 / 2500)
    assert {round(o.estimated_tokens) for o in seen.operations} == {960, 1040}
    assert calibrate(history, {}) == (history, 1.0)


def test_a_long_history_is_sampled_by_whole_operations(settings: Settings, profile: Profile, prices: PriceBook, monkeypatch: Any) -> None:
    monkeypatch.setattr(past, "MOST_CALLS", 300)
    number = 2_654_435_761  # spreads ids as a hash does
    names = [f"{n * number % (1 << 32):08x}" for n in range(500)]
    rows = [call(name, attempt_no=n, call_id=f"{name}-{n}") for name in names for n in (1, 2)]
    today = datetime.now(UTC)
    ledger = {"run_id": "r", "dag_id": "cli", "skill": SKILL, "team": "records", "doc_id": "d", "sample_no": 0, "deployment": "sim-fast"}
    ledger |= {"purpose": "answer", "service_tier": "standard", "idle_s": Decimal(0)}
    ledger |= {"request_hash": "h", "max_tokens": 100, "reasoning_tokens": 0, "reserved_usd": Decimal(1), "cost_usd": Decimal(1)}
    ledger |= {"saved_usd": Decimal(0), "price_ids": "", "sent_at": today, "usage_date": today.date()}
    append(Lake(settings.lake), LLM_CALLS, pa.Table.from_pylist([row | ledger for row in rows], schema=LLM_CALLS.schema), "part")
    history = load_history(Lake(settings.lake), SKILL, "now", 100, profile, prices, today)
    assert 100 <= len(history.operations) <= 150
    assert {len(o.steps) for o in history.operations} == {2}


def test_rates_and_concurrency_say_how_long_it_takes(profile: Profile) -> None:
    (deployment,) = profile.deployments("fast")
    work = [Estimate("fast", "history", 100, Range(0, 0, 0), {"fast": 6000.0})]
    known = History("history", (), {"fast": 2.0}, {})

    def seconds(**limits: Any) -> tuple[float, bool]:
        own = replace(profile, tiers={**profile.tiers, "fast": (replace(deployment, concurrency=100, **limits),)})
        return duration_s(work, 500, known, REACH, own)

    assert seconds() == (122.0, False)
    assert seconds(rpm=600)[0] == pytest.approx(602)
    assert seconds(tpm=300_000)[0] == pytest.approx(602)
    assert duration_s(work, 500, History("worst_case", (), {}, {}), REACH, profile)[1]


def test_the_next_run_costs_what_the_last_one_lets_expect(own: Settings, simulator: Simulator) -> None:
    simulator.configure(models={"sim-fast": {"faults": {"breaks_schema": 0.15}}, "sim-standard": {"faults": {"refusal": 0.1}}})
    publish_texts(own, mails(600))
    first = go(own, "r1", limit=300)
    before = Decimal(simulator.bill()["total_usd"])
    assert first.quote.basis == "worst_case" and before < Decimal(first.quote.high_usd)
    second = go(own, "r2")
    cost = Decimal(simulator.bill()["total_usd"]) - before
    assert (second.quote.basis, second.quote.n_past, second.n_planned) == ("history", 300, 300)
    assert Decimal(second.quote.low_usd) <= cost <= Decimal(second.quote.high_usd)
    assert 5 < second.learned_max_tokens["fast"] < 48


def test_a_plan_keeps_its_quote(own: Settings) -> None:
    publish_texts(own, mails(3))
    made = plan(own, "r1")
    assert RunPlan.load(Lake(own.lake), made.run_key) == made
    assert [(t.tier, t.n_items) for t in made.quote.tiers] == [("fast", 3)]
    assert "3 items, about" in made.quote.text and "a bound" in made.quote.text and "at most" in made.quote.text


def test_without_history_no_run_can_reach_the_bound(own: Settings, simulator: Simulator) -> None:
    publish_texts(own, mails(12))
    simulator.configure(faults={"breaks_schema": 1.0})
    made = go(own, "r1")
    cost = Decimal(simulator.bill()["total_usd"])
    quote = made.quote
    assert len(simulator.calls()) == 36 and Decimal(quote.expected_usd) < cost < Decimal(quote.high_usd)
    assert (quote.basis, quote.tiers[0].basis, quote.n_past) == ("worst_case", "worst_case", 0)


def test_answers_that_are_stored_cost_nothing_and_are_counted(own: Settings, simulator: Simulator) -> None:
    publish_texts(own, mails(8))
    dead = plan(own, "dead", dag_id="skill.tag-document", limit=5)
    route_run(own, dead.run_key)
    for shard in planned_shards(Lake(own.lake), dead.run_key):
        run_shard(own, shard)
    quote = plan(own, "r2", is_dry_run=True).quote
    assert (quote.n_items, quote.n_cached, quote.tiers[0].n_items) == (8, 5, 3)
    assert plan(own, "r3", is_dry_run=True, limit=5).quote.expected_usd == "0"
    set_team(own)
    (own.include / "teams.yaml").write_text(
        (own.include / "teams.yaml").read_text() + "  other:\n    title: O\n    contact: o@skillyard.example\n"
    )
    assert plan_run(own, PlanRequest(SKILL, "r5", team="other", is_dry_run=True)).quote.n_cached == 0


def test_what_is_left_of_each_budget_is_shown_after_what_is_spent_and_reserved(own: Settings, simulator: Simulator) -> None:
    publish_texts(own, mails(6))
    set_team(own, "budgets:", '  - {per: month, hard_usd: "2"}', '  - {skill: tag-document, per: day, soft_usd: "1"}')
    go(own, "r1", limit=4)
    spent = Decimal(simulator.bill()["total_usd"])
    month, day, run = plan(own, "r2", is_dry_run=True, budget_usd=Decimal("0.5")).quote.budgets
    assert month.limit.startswith("team records, month") and Decimal(month.left_usd or "") == 2 - spent
    assert "skill tag-document, day" in day.limit and (day.hard_usd, day.left_usd) == (None, None)
    assert (run.limit, run.left_usd) == ("run r2", "0.5")
    set_team(own)
    assert plan(own, "r3", is_dry_run=True).quote.budgets == ()


@pytest.mark.parametrize(
    ("lines", "budget", "said"),
    [
        (['budgets: [{per: month, hard_usd: "0.00001"}]'], None, r"month.*\$0.00001 is below \$0.000\d+.*teams.yaml"),
        (['budgets: [{skill: tag-document, per: run, hard_usd: "0"}]'], None, r"run r1.*\$0 is below.*teams.yaml"),
        ([], "0.0000001", r"run r1: the hard limit of \$0.0000001 is below.*--budget"),
        ([], "-1", "budget is -1"),
        ([], "NaN", "budget is NaN"),
    ],
)
def test_a_budget_below_the_reservation_of_one_call_is_refused_before_anything_is_spent(
    own: Settings, simulator: Simulator, lines: list[str], budget: str | None, said: str
) -> None:
    publish_texts(own, mails(3))
    set_team(own, *lines)
    with pytest.raises(ConfigError, match=said):
        plan(own, "r1", budget_usd=None if budget is None else Decimal(budget))
    assert simulator.calls() == []
    take_lease(open_state(own.state), f"skill.{SKILL} on {own.lake}", "somebody else")


def test_the_budget_of_a_run_stops_it(own: Settings, simulator: Simulator) -> None:
    publish_texts(own, mails(40))
    set_team(own)
    with pytest.raises(Exception, match="budget"):
        go(own, "r1", budget_usd=Decimal("0.0005"))
    assert 0 < Decimal(simulator.bill()["total_usd"]) <= Decimal("0.0005")


def test_a_probe_is_the_first_fifty_pending_items_and_the_next_quote_has_a_history(own: Settings, simulator: Simulator) -> None:
    publish_texts(own, mails(130))
    set_team(own)
    go(own, "r0", limit=10)
    probe = go(own, "r1", is_probe=True)
    assert (probe.n_planned, probe.quote.basis, len(simulator.calls())) == (50, "worst_case", 60)
    quote = plan(own, "r2", is_dry_run=True).quote
    assert (quote.n_items, quote.basis, quote.n_past) == (70, "history", 60)


@pytest.mark.parametrize(
    ("above", "high", "basis", "is_probe", "is_asked"),
    [
        ("5", "5", "history", False, False),
        ("5", "5.01", "history", False, True),
        ("5", "5.01", "worst_case", True, True),
        ("5", "2", "worst_case", False, False),
        (None, "900", "history", False, False),
        (None, "900", "older_history", False, False),
        (None, "1", "worst_case", False, False),
        (None, "1.01", "worst_case", False, True),
        (None, "900", "worst_case", True, False),
    ],
)
def test_who_has_to_agree(above: str | None, high: str, basis: str, is_probe: bool, is_asked: bool) -> None:
    team = Team("records", "Records", "records@skillyard.example", (), None if above is None else Decimal(above))
    assert (why_approval(team, Decimal(high), basis, is_probe) is not None) == is_asked


def test_a_declined_run_frees_its_lease_and_says_who_declined(own: Settings) -> None:
    publish_texts(own, mails(3))
    made = plan(own, "r1")
    assert declined_by(own, made.run_key) is None
    decline_plan(own, made, "ada")
    assert declined_by(own, made.run_key) == "ada"
    take_lease(open_state(own.state), made.lease, "somebody else")


def test_library_skills_and_runs_with_nothing_to_do_have_an_empty_quote(own: Settings) -> None:
    publish_texts(own, mails(3))
    quote = plan_run(own, PlanRequest("detect-language", "r1", is_dry_run=True)).quote
    assert (quote.n_items, quote.basis, quote.expected_usd, quote.approval) == (3, "free", "0", None)
    assert "no model is asked" in quote.text
