"""The rows of batches in the state store: which batch a shard was handed over as, which are still open. No provider is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, select, update

from skillyard.gateway.state import ATTEMPTS, BATCHES, reading

OPEN = ("preparing", "submitted")


@dataclass(frozen=True, slots=True)
class Batch:
    """One row of BATCHES.

    ``status`` is preparing, then submitted, and in the end collected; or unsent (it never came into being), refused (the provider took
    none of it) or abandoned (its time was up and it would not end).
    """

    batch: str
    """Its name, at the provider too."""
    run_id: str
    skill: str
    shard_key: str
    """URI of the shard whose items it holds: the identity that a task which is tried again has."""
    tier: str
    deployment: str
    status: str
    n_requests: int
    created_at: datetime
    ends_at: datetime
    provider_batch_id: str | None = None

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


def find_batch(engine: Engine, shard_key: str) -> Batch | None:
    """Return the newest batch of a shard."""
    newest = select(BATCHES).where(BATCHES.c.shard_key == shard_key).order_by(BATCHES.c.created_at.desc()).limit(1)
    return next(iter(_read(engine, newest)), None)


def open_batches(engine: Engine, skill: str, lake: str) -> Sequence[Batch]:
    """Return the batches of a skill on a lake that nobody has collected yet, the oldest first."""
    c = BATCHES.c
    mine = (c.skill == skill, c.shard_key.startswith(f"{lake}/", autoescape=True), c.status.in_(OPEN))
    return _read(engine, select(BATCHES).where(*mine).order_by(c.created_at, c.batch))


def waiting_items(engine: Engine, batch: str, fingerprint: str) -> set[str]:
    """Return the items of a batch whose answers are still to come, asked as the skill's fingerprint says."""
    c = ATTEMPTS.c
    query = select(c.item_id).where(c.batch == batch, c.status == "sent", c.fingerprint == fingerprint)
    with reading(engine) as connection:
        return set(connection.execute(query).scalars())


def adopt(engine: Engine, batch: str, run_id: str, shard_key: str) -> None:
    """Make an open batch that of another run's shard."""
    with engine.begin() as connection:
        change_batch(connection, batch, run_id=run_id, shard_key=shard_key)


def change_batch(connection: Connection, batch: str, **values: Any) -> None:
    """Change a batch's row."""
    connection.execute(update(BATCHES).where(BATCHES.c.batch == batch).values(**values))


def _read(engine: Engine, query: Select[Any]) -> list[Batch]:
    names = [f.name for f in fields(Batch)]
    with reading(engine) as connection:
        return [Batch(**{name: row[name] for name in names}) for row in connection.execute(query).mappings()]
