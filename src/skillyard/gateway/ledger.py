"""The ledger and the response store in the state store: what was sent, what it cost, what was answered.

Order of commits for one attempt: ``sent`` with its reservation; the request; then, in one transaction, the answer and the settled row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, RowMapping, ScalarSelect, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from skillyard.costs.prices import Cost, Usage
from skillyard.gateway.state import ANSWERS, ATTEMPTS

CACHE_TTL = {"fast": timedelta(minutes=15), "standard": timedelta(minutes=5), "expert": timedelta(0)}
"""How long a published answer may be given again. An unpublished one is found for ever."""


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """What makes two requests the same one. Another team never sees the answer."""

    team: str
    skill: str
    fingerprint: str
    item_id: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's reply as it was committed."""

    call_id: str
    content: str
    refusal: str | None
    finish_reason: str | None
    cost_usd: Decimal
    answered_at: datetime
    is_published: bool = False


def find_answer(engine: Engine, key: AnswerKey, tier: str) -> Answer | None:
    """Return the stored answer: an unpublished one whatever its age, a published one while its tier's TTL lasts."""
    query = select(ANSWERS).where(*_is_key(key))
    with engine.connect() as connection:
        row = connection.execution_options(isolation_level="AUTOCOMMIT").execute(query).mappings().first()
    if row is None:
        return None
    published = row["published_at"]
    if published is not None and datetime.now(UTC) - published >= CACHE_TTL[tier]:
        return None
    return Answer(
        row["call_id"], row["content"], row["refusal"], row["finish_reason"], row["cost_usd"], row["answered_at"], published is not None
    )


def record_sent(engine: Engine, row: dict[str, Any]) -> None:
    """Commit an attempt as ``sent``."""
    with engine.begin() as connection:
        connection.execute(insert(ATTEMPTS).values(**row, status="sent", attempt_no=_next_attempt_no(row["operation_id"])))


def record_cached(engine: Engine, row: dict[str, Any], answer: Answer) -> None:
    """Commit an answer that was taken from the cache: it cost nothing and saved what it once cost."""
    now = datetime.now(UTC)
    values = row | {"status": "cached", "reserved_usd": Decimal(0), "cost_usd": Decimal(0), "saved_usd": answer.cost_usd}
    values |= {"sent_at": now, "settled_at": now, "latency_ms": 0}
    with engine.begin() as connection:
        connection.execute(insert(ATTEMPTS).values(**values, attempt_no=_next_attempt_no(row["operation_id"])))


def settle(engine: Engine, key: AnswerKey, tier: str, answer: Answer, usage: Usage, cost: Cost, **row: Any) -> None:
    """Commit an answer and the cost of its attempt in one transaction."""
    values = {
        "status": "settled",
        "settled_at": answer.answered_at,
        "finish_reason": answer.finish_reason,
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "compute_s": usage.compute_s,
        "cost_usd": cost.usd,
        "price_ids": ",".join(cost.price_ids),
        **row,
    }
    stored = {
        "call_id": answer.call_id,
        "tier": tier,
        "content": answer.content,
        "refusal": answer.refusal,
        "finish_reason": answer.finish_reason,
        "cost_usd": cost.usd,
        "answered_at": answer.answered_at,
        "published_at": None,
    }
    with engine.begin() as connection:
        connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.call_id == answer.call_id).values(**values))
        _upsert_answer(connection, key, stored)


def close_attempt(engine: Engine, call_id: str, status: str, error_kind: str, latency_ms: int) -> None:
    """Commit an attempt without an answer: ``failed`` costs nothing, ``unknown`` keeps its reservation and has no cost."""
    values = {
        "status": status,
        "error_kind": error_kind,
        "latency_ms": latency_ms,
        "settled_at": datetime.now(UTC),
        "cost_usd": Decimal(0) if status == "failed" else None,
    }
    with engine.begin() as connection:
        connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.call_id == call_id).values(**values))


def claim_part(engine: Engine, skill: str, run_id: str, part: str) -> None:
    """Give the run's rows that no publish has claimed to ``part``, a name for one object of ``llm_calls``.

    Call it when no task of the run is at work: an attempt still ``sent`` then belongs to a process that died and becomes ``unknown``.
    """
    unclaimed = (*_of_run(skill, run_id), ATTEMPTS.c.drained_part.is_(None))
    dead = {"status": "unknown", "error_kind": "process_died", "settled_at": datetime.now(UTC)}
    with engine.begin() as connection:
        connection.execute(update(ATTEMPTS).where(*unclaimed, ATTEMPTS.c.status == "sent").values(**dead))
        connection.execute(update(ATTEMPTS).where(*unclaimed).values(drained_part=part))


def claimed_parts(engine: Engine, skill: str, run_id: str) -> dict[str, bool]:
    """Return the parts of a run's ledger and whether each is confirmed to be on the lake."""
    c = ATTEMPTS.c
    query = select(c.drained_part, c.is_drained).distinct().where(*_of_run(skill, run_id), c.drained_part.is_not(None))
    with engine.connect() as connection:
        return {row.drained_part: row.is_drained for row in connection.execute(query)}


def part_rows(engine: Engine, part: str) -> Sequence[RowMapping]:
    """Return the rows of a claimed part, always the same ones."""
    with engine.connect() as connection:
        return connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.drained_part == part).order_by(ATTEMPTS.c.call_id)).mappings().all()


def confirm_part(engine: Engine, part: str) -> None:
    """Note that a part's rows are on the lake."""
    with engine.begin() as connection:
        connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.drained_part == part).values(is_drained=True))


def totals(engine: Engine, skill: str, run_id: str) -> tuple[int, int, Decimal]:
    """Return a run's ledger rows, those of unknown outcome, and its settled cost."""
    c = ATTEMPTS.c
    query = select(func.count(), func.count().filter(c.status == "unknown"), func.sum(c.cost_usd)).where(*_of_run(skill, run_id))
    with engine.connect() as connection:
        n_calls, n_unknown, cost = connection.execute(query).one()
    return n_calls, n_unknown, cost or Decimal(0)


def end_journal(engine: Engine, skill: str, fingerprint: str, results: Sequence[str], rejects: Sequence[str]) -> None:
    """Close the journal of items that stand in the lake: a result's answers become cache entries, a reject's are forgotten.

    Nobody who tries a reject again wants the answers that failed.
    """
    of_skill = (ANSWERS.c.skill == skill, ANSWERS.c.fingerprint == fingerprint, ANSWERS.c.published_at.is_(None))
    cached = update(ANSWERS).values(published_at=datetime.now(UTC))
    with engine.begin() as connection:
        for statement, item_ids in ((cached, results), (delete(ANSWERS), rejects)):
            for start in range(0, len(item_ids), 500):
                connection.execute(statement.where(*of_skill, ANSWERS.c.item_id.in_(item_ids[start : start + 500])))


def _next_attempt_no(operation_id: str) -> ScalarSelect[Any]:
    """Return the number that continues the operation's, whichever process began it."""
    query = select(func.coalesce(func.max(ATTEMPTS.c.attempt_no), 0) + 1).where(ATTEMPTS.c.operation_id == operation_id)
    return query.scalar_subquery()


def _of_run(skill: str, run_id: str) -> tuple[Any, ...]:
    return (ATTEMPTS.c.run_id == run_id, ATTEMPTS.c.skill == skill)


def _is_key(key: AnswerKey) -> tuple[Any, ...]:
    c = ANSWERS.c
    return (
        c.team == key.team,
        c.skill == key.skill,
        c.fingerprint == key.fingerprint,
        c.item_id == key.item_id,
        c.request_hash == key.request_hash,
    )


def _upsert_answer(connection: Connection, key: AnswerKey, values: dict[str, Any]) -> None:
    """Store an answer; an expired cache entry of the same key is replaced."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    names = {"team": key.team, "skill": key.skill, "fingerprint": key.fingerprint, "item_id": key.item_id, "request_hash": key.request_hash}
    statement = dialect.insert(ANSWERS).values(**names, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(names), set_=values))
