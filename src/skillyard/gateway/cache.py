"""The response cache as a person sees it: what is kept, what it saves, and how it is emptied."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import ColumnElement, Engine, LargeBinary, and_, case, cast, false, func, or_, select

from skillyard.gateway.eviction import delete_rows, is_expired
from skillyard.gateway.state import ANSWERS, ATTEMPTS, reading


@dataclass(frozen=True, slots=True)
class Entries:
    """Stored answers of one skill in one state."""

    skill: str
    state: str
    """``journal``: paid, not published yet. ``cache``: published, serves again. ``expired``: goes at night."""
    n_answers: int
    size_bytes: int
    cost_usd: Decimal
    """What they cost once."""
    oldest: datetime


@dataclass(frozen=True, slots=True)
class CacheStats:
    """The response store at one moment, and what it saved in the days before."""

    entries: tuple[Entries, ...]
    n_days: int
    n_hits: int
    saved_usd: Decimal
    oldest_unpublished: datetime | None
    """An answer that was paid long ago and never published belongs to a run that nobody finished."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which answers to clear. Unpublished ones only on demand: whoever asks again pays again."""

    skill: str | None = None
    team: str | None = None
    is_expired_only: bool = False
    has_unpublished: bool = False


def cache_stats(engine: Engine, now: datetime, n_days: int) -> CacheStats:
    """Return what is kept by skill and state. Hits are known for as long as the state store keeps its ledger."""
    c, a = ANSWERS.c, ATTEMPTS.c
    state = case((c.published_at.is_(None), "journal"), (c.expires_at <= now, "expired"), else_="cache").label("state")
    is_postgres = engine.dialect.name == "postgresql"
    size = func.octet_length(c.content) if is_postgres else func.length(cast(c.content, LargeBinary))
    entries = select(c.skill, state, func.count(), func.sum(size), func.sum(c.cost_usd), func.min(c.answered_at)).group_by(c.skill, state)
    hits = select(func.count(), func.sum(a.saved_usd)).where(a.status == "cached", a.sent_at >= now - timedelta(days=n_days))
    with reading(engine) as connection:
        found = tuple(Entries(*row) for row in connection.execute(entries.order_by(c.skill, state)))
        n_hits, saved = connection.execute(hits).one()
    oldest = min((e.oldest for e in found if e.state == "journal"), default=None)
    return CacheStats(found, n_days, n_hits, saved or Decimal(0), oldest)


def chosen_answers(engine: Engine, choice: Choice, now: datetime) -> tuple[int, int, Decimal]:
    """Return how many answers a choice concerns, how many of them are unpublished, and what those cost."""
    is_open = ANSWERS.c.published_at.is_(None)
    query = select(func.count(), func.count().filter(is_open), func.sum(ANSWERS.c.cost_usd).filter(is_open)).where(_is_chosen(choice, now))
    with reading(engine) as connection:
        n, n_unpublished, cost = connection.execute(query).one()
    return n, n_unpublished, cost or Decimal(0)


def clear_cache(engine: Engine, choice: Choice, now: datetime) -> int:
    """Delete the chosen answers and return their number."""
    return delete_rows(engine, ANSWERS, _is_chosen(choice, now))


def _is_chosen(choice: Choice, now: datetime) -> ColumnElement[bool]:
    c = ANSWERS.c
    is_published = is_expired(now) if choice.is_expired_only else c.published_at.is_not(None)
    scope = [column == name for column, name in ((c.skill, choice.skill), (c.team, choice.team)) if name is not None]
    return and_(or_(is_published, c.published_at.is_(None) if choice.has_unpublished else false()), *scope)
