"""What processes share of an endpoint: slots, rates, adaptive concurrency, circuit breaker."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from skillyard.gateway import limits
from skillyard.gateway.limits import COOLDOWN, Grant, Wish, fair_share

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WISH = Wish("e", 64, None, None, 0, 100, 0, 0, is_troubled=False, is_short=False)


def exchange(state: Engine, owner: str, now: datetime = NOW, **changed: Any) -> Grant:
    with state.begin() as connection:
        return limits.exchange(connection, owner, [replace(WISH, **changed)], now)[0]


def test_a_new_endpoint_begins_with_a_quarter_of_its_concurrency_and_grows_while_requests_wait(state: Engine) -> None:
    now = NOW
    granted = [exchange(state, "a").n_slots]
    for _ in range(40):
        now += timedelta(seconds=0.2)
        granted.append(exchange(state, "a", now, is_short=True).n_slots)
    assert granted[0] == 16 and granted[-1] == 64
    assert all(later >= earlier for earlier, later in pairwise(granted))


def test_trouble_halves_once_a_second_whoever_reports_it(state: Engine) -> None:
    grown = 64
    now = NOW
    exchange(state, "a")
    while exchange(state, "a", now, is_short=True).n_slots < grown:
        now += timedelta(seconds=0.2)
    now += timedelta(seconds=2)
    assert exchange(state, "a", now, is_troubled=True).n_slots == 32
    assert exchange(state, "a", now + timedelta(seconds=0.5), is_troubled=True).n_slots == 32
    assert exchange(state, "a", now + timedelta(seconds=1.1), is_troubled=True).n_slots == 16


def test_processes_never_hold_more_slots_than_are_allowed_and_share_them_fairly(state: Engine) -> None:
    held = {owner: exchange(state, owner).n_slots for owner in ("a", "b", "c")}
    assert held == {"a": 16, "b": 0, "c": 0}, "the first one has taken what there was"
    for _ in range(3):
        held = {owner: exchange(state, owner).n_slots for owner in held}
        assert sum(held.values()) <= 16
    assert sorted(held.values()) == [5, 5, 6]


def test_a_process_keeps_the_slots_its_requests_are_in(state: Engine) -> None:
    assert exchange(state, "a").n_slots == 16
    exchange(state, "b")
    assert exchange(state, "a", n_in_flight=12, n_wanted=112).n_slots == 12
    assert exchange(state, "b").n_slots == 4


def test_the_share_of_a_process_that_is_not_heard_of_is_free_again(state: Engine) -> None:
    exchange(state, "a")
    assert exchange(state, "b").n_slots == 0
    assert exchange(state, "b", NOW + limits.SHARE_TTL + timedelta(seconds=1)).n_slots == 16
    with state.begin() as connection:
        limits.give_back(connection, "b")
    assert exchange(state, "c", NOW + limits.SHARE_TTL + timedelta(seconds=1)).n_slots == 16


@given(st.integers(0, 300), st.lists(st.integers(0, 100), min_size=1, max_size=20))
def test_fair_shares_use_all_there_is_and_no_more_than_is_wanted(total: int, wanted: list[int]) -> None:
    shares = [fair_share(total, wanted, i) for i in range(len(wanted))]
    assert sum(shares) == min(total, sum(wanted))
    assert all(share <= want for share, want in zip(shares, wanted, strict=True))
    unmet = [share for share, want in zip(shares, wanted, strict=True) if share < want]
    assert not unmet or max(shares) - min(unmet) <= 1, "nobody gets more while another waits for as much"


@given(st.integers(1, 6000), st.lists(st.tuples(st.floats(0, 3), st.integers(0, 200)), min_size=1, max_size=80))
def test_no_minute_sees_more_requests_than_the_rate_allows(rpm: int, asked: list[tuple[float, int]]) -> None:
    clock, now, given_out = NOW, NOW, []
    for wait_s, n in asked:
        now += timedelta(seconds=wait_s)
        clock, granted = limits._draw(clock, rpm, n, 1, now)
        given_out.append((now, granted))
    for i, (start, _) in enumerate(given_out):
        in_minute = sum(n for at, n in given_out[i:] if at < start + timedelta(minutes=1))
        assert in_minute <= rpm


def test_the_rate_is_used_nearly_in_full_by_who_asks_all_the_time() -> None:
    clock, now, total = NOW, NOW, 0
    for _ in range(600):
        now += timedelta(seconds=0.1)
        clock, granted = limits._draw(clock, 600, 50, 1, now)
        total += granted
    assert 570 <= total <= 600


def test_a_request_larger_than_the_burst_passes_when_the_bucket_is_full() -> None:
    clock, granted = limits._draw(NOW, 1000, 900, 900, NOW)
    assert granted == 900 and clock > NOW + timedelta(seconds=50)
    assert limits._draw(clock, 1000, 900, 900, NOW + timedelta(seconds=10))[1] == 0


def test_the_fifth_failure_in_a_row_opens_the_circuit_a_success_closes_it(state: Engine) -> None:
    exchange(state, "a")
    with state.begin() as connection:
        for _ in range(4):
            assert limits.note_failure(connection, "e", NOW).open_until is None
        limits.note_success(connection, "e")
        seen = [limits.note_failure(connection, "e", NOW) for _ in range(6)]
    assert [h.open_until for h in seen] == [None] * 4 + [NOW + COOLDOWN] * 2
    assert exchange(state, "b").health.open_until == NOW + COOLDOWN, "every process learns of it"
    with state.begin() as connection:
        limits.note_success(connection, "e")
    assert exchange(state, "b").health.down_since is None


def test_one_process_probes_in_each_cooldown(state: Engine) -> None:
    exchange(state, "a")
    with state.begin() as connection:
        for _ in range(5):
            limits.note_failure(connection, "e", NOW)
    won = []
    for second in range(21):
        at = NOW + timedelta(seconds=second)
        for _ in range(5):
            with state.begin() as connection:
                won.append((second, limits.claim_probe(connection, "e", at)[0]))
    assert [second for second, is_ours in won if is_ours] == [5, 10, 15, 20]


@pytest.mark.parametrize("n", [1, 3])
def test_endpoints_are_exchanged_in_the_order_they_were_asked_for(state: Engine, n: int) -> None:
    names = ["z", "a", "m"][:n]
    with state.begin() as connection:
        grants = limits.exchange(connection, "o", [replace(WISH, endpoint=e, n_wanted=i + 1) for i, e in enumerate(names)], NOW)
    assert [g.n_slots for g in grants] == list(range(1, n + 1))
