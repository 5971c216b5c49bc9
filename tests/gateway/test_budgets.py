"""Budgets: what counts where, that no reservation crosses a hard limit, and that soft ones are told once."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from skillyard.costs.prices.book import Cost, Usage
from skillyard.gateway import ledger
from skillyard.gateway.budgets import Limits, balances_of, counters_of
from skillyard.gateway.ledger import Answer, AnswerKey, Ask, Begun, Claim, Closed, Hold, Refused, Settled
from skillyard.gateway.owner import own_name
from skillyard.skills.teams import Budget, Team
from tests.gateway.conftest import attempt

NOBODY = "other-host:1:1"


def limits(*budgets: Budget, run_usd: str | None = None) -> Limits:
    team = Team("care", "Care", "care@skillyard.example", budgets, None)
    return Limits.of(team, "tag", "r1", None if run_usd is None else Decimal(run_usd))


def budget(hard: str | None, per: Any = "month", skill: str | None = None, soft: str | None = None, on_soft: Any = "alert") -> Budget:
    return Budget(skill, per, None if soft is None else Decimal(soft), None if hard is None else Decimal(hard), on_soft)


def hold_for(state: Engine, item: str) -> Hold:
    with state.begin() as connection:
        hold = ledger.claim(connection, [Claim((AnswerKey("care", "tag", "f", item, "h"),), 60)])[0]
    assert isinstance(hold, Hold)
    return hold


def begin(state: Engine, bounds: Limits, call_id: str, usd: str, **row: Any) -> tuple[Any, Hold]:
    hold = hold_for(state, call_id)
    with state.begin() as connection:
        return ledger.begin(connection, [Ask(attempt(call_id, call_id, usd, **row), hold)], bounds)[0], hold


def settle(state: Engine, begun: Begun, hold: Hold, call_id: str, usd: str) -> None:
    row = attempt(call_id)
    answer = Answer(call_id, "fast", "m", "{}", None, "stop", Decimal(usd), row["sent_at"])
    with state.begin() as connection:
        ledger.settle(connection, [Settled(begun, hold, None, answer, Usage(), Cost(Decimal(usd), ()), None, 1)])


@pytest.mark.parametrize(
    ("bounds", "counter"),
    [
        (limits(budget("1")), 0),
        (limits(budget("1", "day")), 1),
        (limits(budget("1", "month", "tag")), 2),
        (limits(budget("1", "day", "tag")), 3),
        (limits(budget("1", "run")), 4),
        (limits(run_usd="1"), 4),
    ],
)
def test_each_kind_of_limit_refuses_what_would_cross_it_and_admits_what_just_fits(state: Engine, bounds: Limits, counter: int) -> None:
    first, _ = begin(state, bounds, "a", "0.6")
    over, _ = begin(state, bounds, "b", "0.400000000001")
    fits, _ = begin(state, bounds, "c", "0.4")
    assert isinstance(first, Begun) and isinstance(fits, Begun)
    assert isinstance(over, Refused) and over.limit.counter == counters_of(attempt("b"))[counter]


def test_another_skills_budget_does_not_concern_a_run(state: Engine) -> None:
    assert limits(budget("1", skill="other")).budgets == ()


def test_what_was_spent_before_a_limit_was_written_counts(state: Engine) -> None:
    begun, hold = begin(state, limits(), "a", "0.9")
    settle(state, begun, hold, "a", "0.9")
    refused, _ = begin(state, limits(budget("1")), "b", "0.2")
    assert isinstance(refused, Refused)


def test_a_settled_cost_frees_the_rest_of_its_reservation(state: Engine) -> None:
    bounds = limits(budget("1"))
    begun, hold = begin(state, bounds, "a", "0.9")
    settle(state, begun, hold, "a", "0.1")
    assert isinstance(begin(state, bounds, "b", "0.9")[0], Begun)
    with state.connect() as connection:
        balance = balances_of(connection, begun.counters)[begun.counters[0]]
    assert (balance.spent_usd, balance.reserved_usd) == (Decimal("0.1"), Decimal("0.9"))


def test_waiting_is_of_use_only_while_a_living_process_has_a_live_attempt_in_flight(state: Engine) -> None:
    bounds = limits(budget("1"))
    dead, _ = begin(state, bounds, "dead", "0.2", owner=own_name() + "0")
    batch, _ = begin(state, bounds, "batch", "0.2", owner=NOBODY, lane="batch")
    over, _ = begin(state, bounds, "b", "0.9")
    assert isinstance(dead, Begun) and isinstance(batch, Begun) and isinstance(over, Refused) and not over.is_waiting_of_use
    begun, _ = begin(state, bounds, "live", "0.2", owner=NOBODY)
    over, _ = begin(state, bounds, "c", "0.9")
    assert isinstance(over, Refused) and over.is_waiting_of_use
    with state.begin() as connection:
        ledger.close(connection, [Closed("live", begun, "unknown", "timed_out", 1)])
    over, _ = begin(state, bounds, "d", "0.9")
    assert isinstance(over, Refused) and not over.is_waiting_of_use


def test_a_soft_limit_is_told_once(state: Engine) -> None:
    bounds = limits(budget("10", soft="1", on_soft="lower_tier"))
    first, hold = begin(state, bounds, "a", "2")
    assert isinstance(first, Begun) and not first.alerts
    settle(state, first, hold, "a", "1.5")
    told, _ = begin(state, bounds, "b", "0.1")
    after, _ = begin(state, bounds, "c", "0.1")
    assert isinstance(told, Begun) and isinstance(after, Begun)
    assert len(told.alerts) == 1 and "soft limit of $1" in told.alerts[0]
    assert after.alerts == ()


def test_many_at_once_never_reserve_more_than_the_limit(state: Engine) -> None:
    bounds = limits(budget("1"), budget("0.5", "run"))

    def ask(n: int) -> bool:
        return isinstance(begin(state, bounds, f"c{n}", "0.03")[0], Begun)

    with ThreadPoolExecutor(16) as pool:
        n_begun = sum(pool.map(ask, range(60)))
    assert n_begun == 16
    with state.connect() as connection:
        assert balances_of(connection, ["run|tag|r1"])["run|tag|r1"].reserved_usd == Decimal("0.48")


def test_one_transaction_of_many_admits_the_small_ones_that_still_fit(state: Engine) -> None:
    holds = [hold_for(state, f"i{n}") for n in range(4)]
    asks = [
        Ask(attempt(f"c{n}", f"i{n}", usd), hold) for n, (usd, hold) in enumerate(zip(("0.6", "0.6", "0.3", "0.2"), holds, strict=True))
    ]
    with state.begin() as connection:
        results = ledger.begin(connection, asks, limits(budget("1")))
    assert [type(r) for r in results] == [Begun, Refused, Begun, Refused]
    assert isinstance(results[1], Refused) and results[1].is_waiting_of_use
