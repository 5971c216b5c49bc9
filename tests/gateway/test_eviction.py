"""What goes at night and what never goes, in SQLite and in PostgreSQL."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, Table, func, insert, select, update

from skillyard.gateway import eviction
from skillyard.gateway.cache import cache_stats
from skillyard.gateway.eviction import Evicted, evict
from skillyard.gateway.state import ANSWERS, ATTEMPTS, BUDGETS, LEASES, SHARES, reading
from tests.gateway.conftest import attempt

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOTHING = Evicted(0, 0, 0, 0, 0)


def days(n: float) -> datetime:
    """Return the moment so many days ago."""
    return NOW - timedelta(days=n)


def add(state: Engine, table: Table, *rows: dict[str, Any]) -> None:
    with state.begin() as connection:
        connection.execute(insert(table), list(rows))


def left(state: Engine, table: Table, column: str) -> list[str]:
    with reading(state) as connection:
        return sorted(connection.scalars(select(table.c[column])))


def answer(item: str, published: datetime | None, expires: datetime | None, **changed: Any) -> dict[str, Any]:
    row = {"team": "care", "skill": "tag", "fingerprint": "f", "item_id": item, "request_hash": "h", "call_id": item, "tier": "fast"}
    row |= {"model": "m", "content": "{}", "cost_usd": Decimal("0.01"), "answered_at": days(500)}
    return row | {"published_at": published, "expires_at": expires} | changed


def settled(call: str, at: datetime, is_drained: bool = True, **changed: Any) -> dict[str, Any]:
    return attempt(call, attempt_no=1, status="settled", sent_at=at, settled_at=at, is_drained=is_drained, **changed)


def test_published_answers_go_when_their_time_has_passed_and_unpublished_ones_never(state: Engine) -> None:
    add(
        state,
        ANSWERS,
        answer("expired", days(1), NOW),
        answer("live", days(1), NOW + timedelta(seconds=1)),
        answer("lasting", days(400), None),
        answer("paid", None, None),
    )
    assert evict(state, NOW) == Evicted(1, 0, 0, 0, 0)
    assert left(state, ANSWERS, "item_id") == ["lasting", "live", "paid"]


def test_lasting_answers_go_once_their_skill_is_only_asked_with_another_fingerprint(state: Engine) -> None:
    add(state, ANSWERS, answer("old", days(31), None, fingerprint="before"), answer("current", days(31), None, fingerprint="now"))
    add(state, ANSWERS, answer("fresh", days(29), None, fingerprint="before"), answer("paid", None, None, fingerprint="before"))
    add(state, ANSWERS, answer("unasked", days(300), None, skill="rest", fingerprint="before"))
    add(state, ATTEMPTS, settled("a", days(2), fingerprint="now"), settled("b", days(31), fingerprint="before"))
    assert evict(state, NOW).n_answers == 1
    assert left(state, ANSWERS, "item_id") == ["current", "fresh", "paid", "unasked"]


def test_ledger_rows_go_30_days_after_they_were_settled_if_they_are_on_the_lake(state: Engine) -> None:
    add(
        state,
        ATTEMPTS,
        settled("gone", days(31)),
        settled("recent", days(29)),
        settled("not-drained", days(90), is_drained=False),
        settled("closed-lately", days(90)) | {"settled_at": days(1)},
        settled("unknown", days(90)) | {"status": "unknown"},
        settled("sent", days(90)) | {"status": "sent", "settled_at": None},
        settled("cached", days(40)) | {"status": "cached"},
        settled("failed", days(40)) | {"status": "failed"},
    )
    assert evict(state, NOW).n_attempts == 3
    assert left(state, ATTEMPTS, "call_id") == ["closed-lately", "not-drained", "recent", "sent", "unknown"]


def test_leases_and_shares_that_ran_out_go(state: Engine) -> None:
    for name, ends in (("held", NOW + timedelta(seconds=1)), ("over", days(0.1))):
        add(state, LEASES, {"name": name, "owner": "x", "token": 1, "expires_at": ends})
        add(state, SHARES, {"endpoint": "e", "owner": name, "n_slots": 1, "n_wanted": 1, "expires_at": ends})
    assert evict(state, NOW) == Evicted(0, 0, 1, 1, 0)
    assert left(state, LEASES, "name") == left(state, SHARES, "owner") == ["held"]


def test_counters_of_days_and_months_long_over_go_and_those_of_runs_or_with_a_reservation_stay(state: Engine) -> None:
    first = days(400).date()
    kept = [f"care|*|{first}", "care|tag|2026-11", f"care|*|{first:%Y-%m}", "run|tag|2024-01-01", "run|tag|2024-01", "care|*|2024-01-02"]
    gone = [f"care|*|{first - timedelta(days=1)}", "care|tag|2025-09", "care|tag|2024-02-29"]
    add(state, BUDGETS, *({"counter": name, "spent_usd": Decimal(1), "reserved_usd": Decimal(0)} for name in kept + gone))
    with state.begin() as connection:
        connection.execute(update(BUDGETS).where(BUDGETS.c.counter == "care|*|2024-01-02").values(reserved_usd=Decimal("0.01")))
    assert evict(state, NOW) == Evicted(0, 0, 0, 0, len(gone))
    assert left(state, BUDGETS, "counter") == sorted(kept)


def test_an_empty_store_and_a_second_night_change_nothing(state: Engine) -> None:
    assert evict(state, NOW) == NOTHING
    add(state, ATTEMPTS, settled("gone", days(31)))
    assert evict(state, NOW) != NOTHING
    assert evict(state, NOW) == NOTHING


def test_many_rows_go_page_by_page_and_writers_get_in_between(state: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eviction, "PAGE", 700)
    monkeypatch.setattr(eviction, "CHUNK", 50)
    n = 3_000
    add(state, ANSWERS, *(answer(f"{i:05}", days(1), days(0.5) if i % 3 else None) for i in range(n)))
    waits = []
    with ThreadPoolExecutor(1) as pool:
        evicting = pool.submit(evict, state, NOW)
        while not evicting.done():
            began = time.monotonic()
            add(state, LEASES, {"name": f"{began}", "owner": "x", "token": 1, "expires_at": NOW + timedelta(days=1)})
            waits.append(time.monotonic() - began)
        assert evicting.result().n_answers == n - n // 3
    assert len(waits) > 5 and max(waits) < 2
    with reading(state) as connection:
        assert connection.scalar(select(func.count()).select_from(ANSWERS)) == n // 3


def test_an_answer_that_is_asked_again_meanwhile_stays(state: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    add(state, ANSWERS, answer("a", days(1), days(0.5)))
    found = eviction._pages

    def late(engine: Engine, table: Table, doomed: Any) -> Any:
        for page in found(engine, table, doomed):
            with engine.begin() as connection:
                connection.execute(update(ANSWERS).values(published_at=None, expires_at=None))
            yield page

    monkeypatch.setattr(eviction, "_pages", late)
    assert evict(state, NOW) == NOTHING and left(state, ANSWERS, "item_id") == ["a"]


def test_hits_of_the_last_days_are_counted_with_what_they_saved(state: Engine) -> None:
    add(state, ANSWERS, answer("a", days(1), NOW + timedelta(days=1), content="ü\\1"), answer("b", None, None))
    hit = {"attempt_no": 1, "status": "cached", "settled_at": NOW}
    add(state, ATTEMPTS, attempt("x", sent_at=days(2), saved_usd=Decimal("0.5"), **hit))
    add(state, ATTEMPTS, attempt("y", sent_at=days(9), saved_usd=Decimal("0.25"), **hit))
    add(state, ATTEMPTS, settled("z", days(1)))
    stats = cache_stats(state, NOW, 7)
    assert (stats.n_hits, stats.saved_usd, stats.oldest_unpublished) == (1, Decimal("0.5"), days(500))
    assert [(e.skill, e.state, e.n_answers, e.size_bytes) for e in stats.entries] == [("tag", "cache", 1, 4), ("tag", "journal", 1, 2)]
