"""The ledger and the response store in the state store: what was sent, what it cost, what was answered.

Order of commits for one attempt: ``sent`` with its reservation; the request; then, in one transaction, the answer and the settled row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Engine, RowMapping, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from skillyard.costs.prices import Cost, Usage
from skillyard.gateway.state import ANSWERS, ATTEMPTS, reading

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
    with reading(engine) as connection:
        row = connection.execute(_FIND, _as_key(key)).mappings().first()
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
        connection.execute(_ADD, row | {"status": "sent", "own_operation": row["operation_id"]})


def record_cached(engine: Engine, row: dict[str, Any], answer: Answer) -> None:
    """Commit an answer that was taken from the cache: it cost nothing and saved what it once cost."""
    now = datetime.now(UTC)
    values = row | {"status": "cached", "reserved_usd": Decimal(0), "cost_usd": Decimal(0), "saved_usd": answer.cost_usd}
    values |= {"sent_at": now, "settled_at": now, "latency_ms": 0, "own_operation": row["operation_id"]}
    with engine.begin() as connection:
        connection.execute(_ADD, values)


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
        connection.execute(_CLOSE, values | {"own_call": answer.call_id})
        connection.execute(_store_answer(connection.dialect.name), stored | _as_key(key))


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
        connection.execute(_CLOSE, values | {"own_call": call_id})


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
    with reading(engine) as connection:
        return {row.drained_part: row.is_drained for row in connection.execute(query)}


def part_rows(engine: Engine, part: str) -> Sequence[RowMapping]:
    """Return the rows of a claimed part, always the same ones."""
    with reading(engine) as connection:
        return connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.drained_part == part).order_by(ATTEMPTS.c.call_id)).mappings().all()


def confirm_part(engine: Engine, part: str) -> None:
    """Note that a part's rows are on the lake."""
    with engine.begin() as connection:
        connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.drained_part == part).values(is_drained=True))


def totals(engine: Engine, skill: str, run_id: str) -> tuple[int, int, Decimal]:
    """Return a run's ledger rows, those of unknown outcome, and its settled cost."""
    c = ATTEMPTS.c
    query = select(func.count(), func.count().filter(c.status == "unknown"), func.sum(c.cost_usd)).where(*_of_run(skill, run_id))
    with reading(engine) as connection:
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


def _of_run(skill: str, run_id: str) -> tuple[Any, ...]:
    return (ATTEMPTS.c.run_id == run_id, ATTEMPTS.c.skill == skill)


def _as_key(key: AnswerKey) -> dict[str, str]:
    return {name: getattr(key, name) for name in _KEY}


# Statements are built once: building one costs more than running it.
_KEY = ("team", "skill", "fingerprint", "item_id", "request_hash")
_FIND = select(ANSWERS).where(*(ANSWERS.c[name] == bindparam(name) for name in _KEY))
_CLOSE = update(ATTEMPTS).where(ATTEMPTS.c.call_id == bindparam("own_call"))
_EARLIER = select(func.coalesce(func.max(ATTEMPTS.c.attempt_no), 0) + 1).where(ATTEMPTS.c.operation_id == bindparam("own_operation"))
_ADD = insert(ATTEMPTS).values(attempt_no=_EARLIER.scalar_subquery())
"""The attempt's number continues the operation's, whichever process began it."""


@cache
def _store_answer(dialect: str) -> Any:
    """Return the statement that stores an answer; an expired cache entry of the same key is replaced."""
    statement = (postgresql if dialect == "postgresql" else sqlite).insert(ANSWERS)
    changed = {c.name: statement.excluded[c.name] for c in ANSWERS.c if c.name not in _KEY}
    return statement.on_conflict_do_update(index_elements=list(_KEY), set_=changed)
