"""From the ledger in the state store to ``llm_calls`` on the lake, exactly once: parts are claimed, written, confirmed.

A publish takes what every earlier run of its skill on its lake has left behind, too: of a run that died, and of batches that ended since.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, Engine, RowMapping, func, or_, select, update

from skillyard.gateway.state import ATTEMPTS, reading


def claim_part(engine: Engine, skill: str, lake: str, part: str) -> None:
    """Give the rows that no publish has claimed to ``part``, a name for one object of ``llm_calls``.

    Call it when no task of the skill is at work on the lake: an attempt still ``sent`` then belongs to a process that died and becomes
    ``unknown``, unless it lies in a batch that the provider still works on: that is left to the publish after its end.
    """
    c, now = ATTEMPTS.c, datetime.now(UTC)
    unclaimed = (_of(skill, lake), c.drained_part.is_(None))
    dead = {"status": "unknown", "error_kind": "process_died", "settled_at": now}
    with engine.begin() as connection:
        connection.execute(update(ATTEMPTS).where(*unclaimed, c.status == "sent", or_(c.lane == "live", c.ends_at < now)).values(**dead))
        connection.execute(update(ATTEMPTS).where(*unclaimed, c.status != "sent").values(drained_part=part))


def claimed_parts(engine: Engine, skill: str, lake: str) -> dict[str, bool]:
    """Return the parts of a skill's ledger and whether each is confirmed to be on the lake."""
    c = ATTEMPTS.c
    query = select(c.drained_part, c.is_drained).distinct().where(_of(skill, lake), c.drained_part.is_not(None))
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


def idle_ledgers(engine: Engine, lake: str) -> list[str]:
    """Return the skills that have rows for a lake which are not there yet."""
    c = ATTEMPTS.c
    query = select(c.skill).distinct().where(c.lake == lake, c.is_drained.is_(False)).order_by(c.skill)
    with reading(engine) as connection:
        return list(connection.execute(query).scalars())


def totals(engine: Engine, skill: str, run_id: str) -> tuple[int, int, Decimal]:
    """Return a run's ledger rows, those of unknown outcome, and its settled cost."""
    c = ATTEMPTS.c
    query = select(func.count(), func.count().filter(c.status == "unknown"), func.sum(c.cost_usd))
    with reading(engine) as connection:
        n_calls, n_unknown, cost = connection.execute(query.where(c.skill == skill, c.run_id == run_id)).one()
    return n_calls, n_unknown, cost or Decimal(0)


def _of(skill: str, lake: str) -> ColumnElement[bool]:
    return (ATTEMPTS.c.skill == skill) & (ATTEMPTS.c.lake == lake)
