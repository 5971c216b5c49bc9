"""From the ledger in the state store to ``llm_calls`` on the lake, exactly once: parts are claimed, written, confirmed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Engine, RowMapping, func, or_, select, update

from skillyard.gateway.state import ATTEMPTS, BATCHES, reading


def claim_part(engine: Engine, skill: str, run_id: str, part: str) -> None:
    """Give the run's rows that no publish has claimed to ``part``, a name for one object of ``llm_calls``.

    Call it when no task of the run is at work: an attempt still ``sent`` then belongs to a process that died and becomes ``unknown``,
    unless it lies in a batch that the provider still works on: that is left to the publish after its end.
    """
    c, now = ATTEMPTS.c, datetime.now(UTC)
    unclaimed = (_of_run(skill, run_id), c.drained_part.is_(None))
    dead = {"status": "unknown", "error_kind": "process_died", "settled_at": now}
    with engine.begin() as connection:
        connection.execute(update(ATTEMPTS).where(*unclaimed, c.status == "sent", or_(c.lane == "live", c.ends_at < now)).values(**dead))
        connection.execute(update(ATTEMPTS).where(*unclaimed, c.status != "sent").values(drained_part=part))


def claimed_parts(engine: Engine, skill: str, run_id: str) -> dict[str, bool]:
    """Return the parts of a run's ledger and whether each is confirmed to be on the lake."""
    c = ATTEMPTS.c
    query = select(c.drained_part, c.is_drained).distinct().where(_of_run(skill, run_id), c.drained_part.is_not(None))
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
    query = select(func.count(), func.count().filter(c.status == "unknown"), func.sum(c.cost_usd)).where(_of_run(skill, run_id))
    with reading(engine) as connection:
        n_calls, n_unknown, cost = connection.execute(query).one()
    return n_calls, n_unknown, cost or Decimal(0)


def _of_run(skill: str, run_id: str) -> ColumnElement[bool]:
    """The run's own attempts, and those of a batch that it took over from an earlier one."""
    taken_over: Any = select(BATCHES.c.batch).where(BATCHES.c.run_id == run_id, BATCHES.c.skill == skill)
    return (ATTEMPTS.c.skill == skill) & ((ATTEMPTS.c.run_id == run_id) | ATTEMPTS.c.batch.in_(taken_over))
