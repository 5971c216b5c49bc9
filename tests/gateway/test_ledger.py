"""Ledger, response store and leases on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select, update

from skillyard.costs.prices import Cost, Usage
from skillyard.errors import ConfigError, RunLocked
from skillyard.gateway import ledger
from skillyard.gateway.ledger import Answer, AnswerKey
from skillyard.gateway.state import ANSWERS, ATTEMPTS, LEASES, METADATA, Moment, Usd, open_state
from skillyard.lake.tables import LLM_CALLS
from skillyard.running.lease import release_lease, renew_lease, take_lease

KEY = AnswerKey("care", "tag", "f" * 64, "item-1", "h" * 64)
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'state.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = open_state(url)
    yield engine
    with engine.begin() as connection:
        METADATA.drop_all(connection)
    engine.dispose()


def sent(call_id: str, item: str = "item-1", **changed: Any) -> dict[str, Any]:
    row = {"call_id": call_id, "operation_id": f"op-{item}", "run_id": "r1", "dag_id": "cli", "skill": "tag", "fingerprint": "f" * 64}
    row |= {"team": "care", "item_id": item, "doc_id": item, "sample_no": 0, "tier": "fast", "model": "m", "deployment": "d"}
    return row | {"request_hash": "h" * 64, "reserved_usd": Decimal("0.01"), "sent_at": NOW, "owner": "here"} | changed


def pay(state: Engine, call_id: str, key: AnswerKey = KEY, usd: str = "0.000000037500") -> None:
    answer = Answer(call_id, "{}", None, "stop", Decimal(usd), NOW)
    ledger.settle(state, key, "fast", answer, Usage(input_tokens=1), Cost(Decimal(usd), ("p1",)), latency_ms=5)


def rows(state: Engine) -> dict[str, Any]:
    with state.connect() as connection:
        return {row["call_id"]: row for row in connection.execute(select(ATTEMPTS)).mappings()}


def test_the_state_store_has_every_column_of_the_ledger_table() -> None:
    assert set(LLM_CALLS.schema.names) - {"usage_date"} <= set(ATTEMPTS.c.keys())


def test_an_attempt_is_sent_then_settled_with_its_answer_in_one_commit(state: Engine) -> None:
    ledger.record_sent(state, sent("a"))
    assert rows(state)["a"]["status"] == "sent" and ledger.find_answer(state, KEY, "fast") is None
    pay(state, "a")
    row, found = rows(state)["a"], ledger.find_answer(state, KEY, "fast")
    assert (row["status"], row["cost_usd"], row["sent_at"], row["attempt_no"]) == ("settled", Decimal("0.0000000375"), NOW, 1)
    assert found is not None and (found.call_id, found.cost_usd, found.is_published) == ("a", Decimal("0.0000000375"), False)


def test_attempt_numbers_go_on_within_an_operation(state: Engine) -> None:
    for call in ("a", "b", "c"):
        ledger.record_sent(state, sent(call))
    ledger.record_sent(state, sent("x", "item-2"))
    assert {call: row["attempt_no"] for call, row in rows(state).items()} == {"a": 1, "b": 2, "c": 3, "x": 1}


def test_failed_costs_nothing_and_unknown_keeps_its_reservation(state: Engine) -> None:
    for call in ("a", "b"):
        ledger.record_sent(state, sent(call))
    ledger.close_attempt(state, "a", "failed", "rate_limited", 3)
    ledger.close_attempt(state, "b", "unknown", "timed_out", 3)
    found = rows(state)
    assert (found["a"]["cost_usd"], found["b"]["cost_usd"], found["b"]["reserved_usd"]) == (Decimal(0), None, Decimal("0.01"))


def test_another_team_item_or_fingerprint_never_finds_the_answer(state: Engine) -> None:
    ledger.record_sent(state, sent("a"))
    pay(state, "a")
    for other in ("team", "item_id", "fingerprint", "skill", "request_hash"):
        changed = AnswerKey(**({f: getattr(KEY, f) for f in AnswerKey.__slots__} | {other: "other"}))
        assert ledger.find_answer(state, changed, "fast") is None


def test_an_unpublished_answer_never_expires_a_published_one_does_by_tier(state: Engine) -> None:
    ledger.record_sent(state, sent("a"))
    pay(state, "a")
    ledger.end_journal(state, "tag", "f" * 64, ["item-1"], [])
    found = ledger.find_answer(state, KEY, "fast")
    assert found is not None and found.is_published
    assert ledger.find_answer(state, KEY, "expert") is None
    with state.begin() as connection:
        connection.execute(update(ANSWERS).values(published_at=datetime.now(UTC) - timedelta(minutes=16)))
    assert ledger.find_answer(state, KEY, "fast") is None
    ledger.record_sent(state, sent("b"))
    pay(state, "b")
    renewed = ledger.find_answer(state, KEY, "fast")
    assert renewed is not None and (renewed.call_id, renewed.is_published) == ("b", False)


def test_the_answers_of_a_reject_are_forgotten(state: Engine) -> None:
    ledger.record_sent(state, sent("a"))
    pay(state, "a")
    ledger.end_journal(state, "tag", "f" * 64, [], ["item-1"])
    assert ledger.find_answer(state, KEY, "fast") is None


def test_a_claimed_part_keeps_its_rows_and_later_rows_make_another(state: Engine) -> None:
    ledger.record_sent(state, sent("a"))
    ledger.record_sent(state, sent("b"))
    pay(state, "a")
    ledger.claim_part(state, "tag", "r1", "p0")
    assert [(r["call_id"], r["status"]) for r in ledger.part_rows(state, "p0")] == [("a", "settled"), ("b", "unknown")]
    ledger.record_sent(state, sent("c"))
    ledger.record_sent(state, sent("other", run_id="r2"))
    ledger.claim_part(state, "tag", "r1", "p1")
    assert [r["call_id"] for r in ledger.part_rows(state, "p0")] == ["a", "b"]
    assert [r["call_id"] for r in ledger.part_rows(state, "p1")] == ["c"]
    ledger.confirm_part(state, "p0")
    assert ledger.claimed_parts(state, "tag", "r1") == {"p0": True, "p1": False}
    assert ledger.totals(state, "tag", "r1") == (3, 2, Decimal("0.0000000375"))


def test_sixteen_threads_write_one_ledger_without_losing_a_row(state: Engine) -> None:
    def attempt(n: int) -> None:
        ledger.record_sent(state, sent(f"c{n}", f"i{n}"))
        pay(state, f"c{n}", AnswerKey("care", "tag", "f" * 64, f"i{n}", "h" * 64))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(attempt, range(200)))
    assert ledger.totals(state, "tag", "r1") == (200, 0, Decimal("0.0000000375") * 200)


def test_a_lease_has_one_holder_and_ends_when_it_is_not_renewed(state: Engine) -> None:
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
    ledger.record_sent(state, sent("a"))
    again = open_state(state.url.render_as_string(hide_password=False))
    assert set(rows(again)) == {"a"}
    again.dispose()


def test_a_state_store_that_is_not_a_database_is_a_clear_error_without_the_password(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("this is not SQLite" * 100)
    with pytest.raises(ConfigError, match="SKILLYARD_STATE"):
        open_state(f"sqlite:///{tmp_path / 'state.db'}")
    with pytest.raises(ConfigError) as refused:
        open_state("postgresql+psycopg2://someone:hunter2@127.0.0.1:9/none")
    assert "hunter2" not in str(refused.value)


@given(st.decimals(min_value=0, max_value=9_000_000, places=12))
def test_money_survives_the_state_store_to_the_last_place(usd: Decimal) -> None:
    kept = Usd()
    assert kept.process_result_value(kept.process_bind_param(usd, None), None) == usd  # type: ignore[arg-type]


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_time_survives_the_state_store_to_the_microsecond(moment: datetime) -> None:
    kept = Moment()
    assert kept.process_result_value(kept.process_bind_param(moment, None), None) == moment  # type: ignore[arg-type]
