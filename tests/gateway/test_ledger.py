"""The ledger and the response store on SQLite and on a real PostgreSQL: claims, attempts, answers, parts."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select, update

from skillyard.costs.prices.book import Cost, Usage
from skillyard.errors import RunLocked
from skillyard.gateway import drain, ledger
from skillyard.gateway.budgets import Limits, balances_of, counters_of
from skillyard.gateway.ledger import Answer, AnswerKey, Ask, Begun, Busy, Claim, Closed, Found, Hold, Lost, Settled
from skillyard.gateway.owner import own_name
from skillyard.gateway.state import ANSWERS, ATTEMPTS, LEASES, Moment, Usd, open_state
from skillyard.lake.tables import LLM_CALLS
from skillyard.running.lease import release_lease, renew_lease, take_lease
from tests.gateway.conftest import attempt

KEY = AnswerKey("care", "tag", "f" * 64, "item-1", "h" * 64)
NO_LIMITS = Limits("care", "tag", "r1")
USD = Decimal("0.0000000375")


def claim(state: Engine, key: AnswerKey = KEY, owner: str = "", lasts_s: float = 60) -> Found | Busy | Hold:
    with state.begin() as connection:
        return ledger.claim(connection, [Claim((key,), lasts_s, owner)])[0]


def begin(state: Engine, hold: Hold, call_id: str, item: str = "item-1") -> Begun | Any:
    with state.begin() as connection:
        return ledger.begin(connection, [Ask(attempt(call_id, item), hold)], NO_LIMITS)[0]


def settled(call_id: str, begun: Begun, hold: Hold, key: AnswerKey = KEY, content: str = "{}", usd: Decimal = USD) -> Settled:
    answer = Answer(call_id, "fast", "m", content, None, "stop", usd, datetime.now(UTC))
    return Settled(begun, hold, key, answer, Usage(input_tokens=1), Cost(usd, ("p1",)), "req-1", 5)


def pay(state: Engine, call_id: str, key: AnswerKey = KEY, usd: Decimal = USD) -> None:
    hold = claim(state, key)
    assert isinstance(hold, Hold)
    begun = begin(state, hold, call_id, key.item_id)
    with state.begin() as connection:
        ledger.settle(connection, [settled(call_id, begun, hold, key, usd=usd)])


def publish(state: Engine, results: list[str], rejects: list[str], ttl: timedelta | None = timedelta(minutes=15)) -> None:
    with state.begin() as connection:
        ledger.end_journal(connection, "tag", "f" * 64, results, rejects, {"fast": ttl})


def rows(state: Engine) -> dict[str, Any]:
    with state.connect() as connection:
        return {row["call_id"]: row for row in connection.execute(select(ATTEMPTS)).mappings()}


def test_the_state_store_has_every_column_of_the_ledger_table() -> None:
    assert set(LLM_CALLS.schema.names) - {"usage_date"} <= set(ATTEMPTS.c.keys())


def test_an_attempt_is_sent_then_settled_with_its_answer_in_one_commit(state: Engine) -> None:
    hold = claim(state)
    assert isinstance(hold, Hold)
    begun = begin(state, hold, "a")
    assert rows(state)["a"]["status"] == "sent" and claim(state) == Busy(own_name())
    with state.begin() as connection:
        ledger.settle(connection, [settled("a", begun, hold)])
    row, found = rows(state)["a"], claim(state)
    assert (row["status"], row["cost_usd"], row["attempt_no"], row["provider_request_id"]) == ("settled", USD, 1, "req-1")
    assert isinstance(found, Found) and (found.answer.call_id, found.answer.cost_usd, found.answer.is_published) == ("a", USD, False)


def test_attempt_numbers_go_on_within_an_operation(state: Engine) -> None:
    hold = claim(state)
    assert isinstance(hold, Hold)
    with state.begin() as connection:
        ledger.begin(connection, [Ask(attempt(c), hold) for c in ("a", "b")], NO_LIMITS)
    begin(state, hold, "c")
    other = claim(state, AnswerKey("care", "tag", "f" * 64, "item-2", "h" * 64))
    assert isinstance(other, Hold)
    begin(state, other, "x", "item-2")
    assert {call: row["attempt_no"] for call, row in rows(state).items()} == {"a": 1, "b": 2, "c": 3, "x": 1}


def test_a_failed_attempt_gives_its_reservation_back_an_unknown_one_keeps_it(state: Engine) -> None:
    hold = claim(state)
    assert isinstance(hold, Hold)
    begun = [begin(state, hold, call) for call in ("a", "b")]
    with state.begin() as connection:
        ledger.close(connection, [Closed("a", begun[0], "failed", "rate_limited", 3), Closed("b", begun[1], "unknown", "timed_out", 3)])
        balances = balances_of(connection, counters_of(attempt("a")))
    found = rows(state)
    assert (found["a"]["cost_usd"], found["b"]["cost_usd"], found["b"]["reserved_usd"]) == (Decimal(0), None, Decimal("0.01"))
    assert [(b.spent_usd, b.reserved_usd) for b in balances.values()] == [(Decimal(0), Decimal("0.01"))] * 5


def test_another_team_item_or_fingerprint_never_finds_the_answer(state: Engine) -> None:
    pay(state, "a")
    for other in ("team", "item_id", "fingerprint", "skill", "request_hash"):
        names = ("team", "skill", "fingerprint", "item_id", "request_hash")
        changed = AnswerKey(**({name: getattr(KEY, name) for name in names} | {other: "other"}))
        assert isinstance(claim(state, changed), Hold)


def test_an_unpublished_answer_never_expires_a_published_one_does(state: Engine) -> None:
    pay(state, "a")
    publish(state, ["item-1"], [])
    found = claim(state)
    assert isinstance(found, Found) and found.answer.is_published
    with state.begin() as connection:
        connection.execute(update(ANSWERS).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    pay(state, "b")
    renewed = claim(state)
    assert isinstance(renewed, Found) and (renewed.answer.call_id, renewed.answer.is_published) == ("b", False)


@pytest.mark.parametrize(("ttl", "is_found"), [(timedelta(0), False), (timedelta(hours=1), True), (None, True)])
def test_the_time_to_live_is_set_when_an_answer_is_published(state: Engine, ttl: timedelta | None, is_found: bool) -> None:
    pay(state, "a")
    publish(state, ["item-1"], [], ttl)
    assert isinstance(claim(state), Found) == is_found


def test_the_answers_of_a_reject_are_forgotten(state: Engine) -> None:
    pay(state, "a")
    publish(state, [], ["item-1"])
    assert isinstance(claim(state), Hold)


def test_one_of_many_who_ask_at_once_gets_the_lease(state: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: claim(state, owner=f"other-host:{n}:1"), range(8)))
    assert sum(isinstance(g, Hold) for g in got) == 1
    with state.begin() as connection:
        both = ledger.claim(connection, [Claim((AnswerKey("care", "tag", "f", "twice", "h"),), 60)] * 2)
    assert [type(g) for g in both] == [Hold, Busy]


def test_a_token_never_comes_again(state: Engine) -> None:
    first = claim(state)
    assert isinstance(first, Hold)
    with state.begin() as connection:
        ledger.release(connection, [first])
    again = claim(state)
    assert isinstance(again, Hold) and again.token > first.token


def test_the_lease_of_a_dead_process_is_taken_over_at_once_of_another_host_when_it_ends(state: Engine) -> None:
    child = subprocess.run(
        [sys.executable, "-c", "from skillyard.gateway.owner import own_name; print(own_name())"],
        capture_output=True,
        text=True,
        check=True,
    )
    left = claim(state, owner=child.stdout.strip())
    taken = claim(state, owner=f"other-host:{os.getpid()}:1")
    assert isinstance(left, Hold) and isinstance(taken, Hold) and taken.token == left.token + 1
    assert claim(state) == Busy(taken.owner)
    with state.begin() as connection:
        connection.execute(update(LEASES).values(expires_at=datetime.now(UTC)))
    again = claim(state)
    assert isinstance(again, Hold) and again.token == taken.token + 1


def test_a_late_holder_settles_what_it_paid_but_never_replaces_the_new_holders_answer(state: Engine) -> None:
    late = claim(state, owner="other-host:1:1", lasts_s=0)
    assert isinstance(late, Hold)
    begun = begin(state, late, "late")
    new = claim(state)
    assert isinstance(new, Hold) and begin(state, late, "later") == Lost()
    with state.begin() as connection:
        ledger.settle(connection, [settled("new", begin_in(connection, new, "new"), new, content="new")])
    with state.begin() as connection:
        ledger.settle(connection, [settled("late", begun, late, content="late")])
    found = claim(state)
    assert isinstance(found, Found) and found.answer.content == "new"
    assert {row["status"] for row in rows(state).values()} == {"settled"}


def begin_in(connection: Any, hold: Hold, call_id: str) -> Begun:
    begun = ledger.begin(connection, [Ask(attempt(call_id), hold)], NO_LIMITS)[0]
    assert isinstance(begun, Begun)
    return begun


def test_an_answer_that_comes_after_its_attempt_was_given_up_is_kept_but_the_ledgers_row_stays_unknown(state: Engine) -> None:
    hold = claim(state)
    assert isinstance(hold, Hold)
    begun = begin(state, hold, "a")
    drain.claim_part(state, "tag", "", "p0")
    with state.begin() as connection:
        ledger.settle(connection, [settled("a", begun, hold)])
        ledger.close(connection, [Closed("a", begun, "failed", "x", 1)])
        balance = balances_of(connection, ["run|tag|r1"])["run|tag|r1"]
    assert rows(state)["a"]["status"] == "unknown" and isinstance(claim(state), Found)
    assert (balance.spent_usd, balance.reserved_usd) == (Decimal(0), Decimal("0.01"))


def test_a_lease_is_released_by_settling_and_by_its_owner_only(state: Engine) -> None:
    hold = claim(state, owner="other-host:1:1")
    assert isinstance(hold, Hold)
    with state.begin() as connection:
        ledger.release(connection, [Hold(hold.lease, "other-host:2:2", hold.token, 1)])
    assert isinstance(claim(state), Busy)
    with state.begin() as connection:
        ledger.release(connection, [hold])
    assert isinstance(claim(state), Hold)


def test_a_cached_answer_costs_nothing_and_says_what_it_saved(state: Engine) -> None:
    pay(state, "a")
    found = claim(state)
    assert isinstance(found, Found)
    with state.begin() as connection:
        ledger.record_cached(connection, attempt("hit"), found.answer)
    row = rows(state)["hit"]
    assert (row["status"], row["cost_usd"], row["reserved_usd"], row["saved_usd"]) == ("cached", Decimal(0), Decimal(0), USD)


def test_a_claimed_part_keeps_its_rows_and_later_rows_make_another(state: Engine) -> None:
    pay(state, "a")
    hold = claim(state, AnswerKey("care", "tag", "f" * 64, "item-2", "h" * 64))
    assert isinstance(hold, Hold)
    begin(state, hold, "b", "item-2")
    drain.claim_part(state, "tag", "", "p0")
    assert [(r["call_id"], r["status"]) for r in drain.part_rows(state, "p0")] == [("a", "settled"), ("b", "unknown")]
    with state.begin() as connection:
        ledger.begin(
            connection, [Ask(attempt("c", "item-2"), hold), Ask(attempt("other", "item-2", run_id="r2", lake="another"), hold)], NO_LIMITS
        )
    drain.claim_part(state, "tag", "", "p1")
    assert [r["call_id"] for r in drain.part_rows(state, "p0")] == ["a", "b"]
    assert [r["call_id"] for r in drain.part_rows(state, "p1")] == ["c"]
    drain.confirm_part(state, "p0")
    assert drain.claimed_parts(state, "tag", "") == {"p0": True, "p1": False}
    assert drain.totals(state, "tag", "r1") == (3, 2, USD)


def test_what_a_batch_has_in_flight_is_left_to_a_later_publish(state: Engine) -> None:
    hold = claim(state)
    assert isinstance(hold, Hold)
    with state.begin() as connection:
        row = attempt("a", lane="batch", batch="b1")
        ledger.begin(connection, [Ask(row, hold)], NO_LIMITS)
    drain.claim_part(state, "tag", "", "p0")
    assert rows(state)["a"]["status"] == "sent" and drain.part_rows(state, "p0") == []


def test_sixteen_threads_write_one_ledger_without_losing_a_row(state: Engine) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: pay(state, f"c{n}", AnswerKey("care", "tag", "f" * 64, f"i{n}", "h" * 64)), range(200)))
    assert drain.totals(state, "tag", "r1") == (200, 0, USD * 200)
    with state.connect() as connection:
        balance = balances_of(connection, ["run|tag|r1"])["run|tag|r1"]
    assert (balance.spent_usd, balance.reserved_usd) == (USD * 200, Decimal(0))


def test_a_run_lease_has_one_holder_and_ends_when_it_is_not_renewed(state: Engine) -> None:
    take_lease(state, "skill.tag", "one")
    take_lease(state, "skill.tag", "one")
    with pytest.raises(RunLocked, match="worked on by one"):
        take_lease(state, "skill.tag", "two")
    release_lease(state, "skill.tag", "two")
    renew_lease(state, "skill.tag", "two")
    with pytest.raises(RunLocked):
        take_lease(state, "skill.tag", "two")
    with state.begin() as connection:
        connection.execute(update(LEASES).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    take_lease(state, "skill.tag", "two")
    release_lease(state, "skill.tag", "two")
    take_lease(state, "skill.tag", "three")


def test_opening_twice_keeps_what_is_there(state: Engine) -> None:
    pay(state, "a")
    again = open_state(state.url.render_as_string(hide_password=False))
    assert set(rows(again)) == {"a"}
    again.dispose()


def survives(kept: Any, value: Any) -> bool:
    bind: Callable[..., Any] = kept.process_bind_param
    return bool(kept.process_result_value(bind(value, None), None) == value)


@given(st.decimals(min_value=0, max_value=9_000_000, places=12))
def test_money_survives_the_state_store_to_the_last_place(usd: Decimal) -> None:
    assert survives(Usd(), usd)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_time_survives_the_state_store_to_the_microsecond(moment: datetime) -> None:
    assert survives(Moment(), moment)
