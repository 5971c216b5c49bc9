"""The state store: tables for attempts, answers, leases, budgets, endpoints and batches in SQLite or PostgreSQL.

Money is kept as whole picodollars (1e-12 USD) and time as microseconds since 1970 UTC, both exact 64-bit integers in every
database. Each commit survives a killed process; on SQLite (WAL, synchronous=NORMAL) a power loss may take the last ones.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.engine import Dialect, ExceptionContext
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.types import TypeDecorator

from skillyard.errors import ConfigError, StateUnavailable
from skillyard.gateway.state_errors import explain, message

PICO = Decimal("0.000000000001")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Usd(TypeDecorator[Decimal]):
    """A Decimal in USD with 12 places, stored as whole picodollars."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value.scaleb(12).to_integral_exact())

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else (Decimal(value) * PICO)


class Moment(TypeDecorator[datetime]):
    """A UTC datetime, stored as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


METADATA = MetaData()

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("call_id", String, primary_key=True),
    Column("operation_id", String, nullable=False, index=True),
    Column("lake", String, nullable=False, default=""),
    Column("run_id", String, nullable=False),
    Column("dag_id", String, nullable=False),
    Column("skill", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("team", String, nullable=False),
    Column("item_id", String, nullable=False),
    Column("doc_id", String, nullable=False),
    Column("attempt_no", Integer, nullable=False),
    Column("sample_no", Integer, nullable=False),
    Column("tier", String, nullable=False),
    Column("model", String, nullable=False),
    Column("deployment", String, nullable=False),
    Column("lane", String, nullable=False, default="live"),
    Column("service_tier", String, nullable=False, default="standard"),
    Column("purpose", String, nullable=False, default="answer"),
    Column("batch", String, index=True),
    Column("request_hash", String, nullable=False),
    Column("max_tokens", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("error_kind", String),
    Column("finish_reason", String),
    Column("input_tokens", BigInteger, nullable=False, default=0),
    Column("cache_read_tokens", BigInteger, nullable=False, default=0),
    Column("cache_write_tokens", BigInteger, nullable=False, default=0),
    Column("cache_write_1h_tokens", BigInteger, nullable=False, default=0),
    Column("output_tokens", BigInteger, nullable=False, default=0),
    Column("reasoning_tokens", BigInteger, nullable=False, default=0),
    Column("n_images", BigInteger, nullable=False, default=0),
    Column("compute_s", Usd, nullable=False, default=Decimal(0)),
    Column("idle_s", Usd, nullable=False, default=Decimal(0)),
    Column("reserved_usd", Usd, nullable=False),
    Column("cost_usd", Usd),
    Column("saved_usd", Usd, nullable=False, default=Decimal(0)),
    Column("price_ids", String, nullable=False, default=""),
    Column("provider_request_id", String),
    Column("sent_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("settled_at", Moment),
    Column("latency_ms", Integer),
    Column("owner", String, nullable=False),
    Column("drained_part", String, index=True),
    Column("is_drained", Boolean, nullable=False, default=False),
    Index("attempts_by_run", "skill", "run_id"),
    Index("attempts_in_flight", "team", sqlite_where=text("status = 'sent'"), postgresql_where=text("status = 'sent'")),
)
"""The ledger until a publish drains it into ``llm_calls``: one row per attempt, committed as ``sent`` before it leaves.

After ``ends_at`` an attempt that is still ``sent`` has no process any more that waits for it. ``batch`` names its row in BATCHES,
``lake`` the root of the lake whose ``llm_calls`` it belongs to.
"""

ANSWERS = Table(
    "answers",
    METADATA,
    Column("team", String, primary_key=True),
    Column("skill", String, primary_key=True),
    Column("fingerprint", String, primary_key=True),
    Column("item_id", String, primary_key=True),
    Column("request_hash", String, primary_key=True),
    Column("call_id", String, nullable=False),
    Column("tier", String, nullable=False),
    Column("model", String, nullable=False),
    Column("content", Text, nullable=False),
    Column("refusal", Text),
    Column("finish_reason", String),
    Column("cost_usd", Usd, nullable=False),
    Column("answered_at", Moment, nullable=False),
    Column("published_at", Moment),
    Column("expires_at", Moment),
)
"""The response store: a paid answer, committed before it is used. Without ``published_at`` it never expires.

A published one is a cache entry until ``expires_at``, or for as long as its fingerprint is asked for when that is null. ``team`` is ``*``
for a skill that shares its answers.
"""

LEASES = Table(
    "leases",
    METADATA,
    Column("name", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Moment, nullable=False),
)
"""Who works on a skill of a lake now, or asks for an answer: one owner at a time, with a token that grows at every change of hands."""

BUDGETS = Table(
    "budgets",
    METADATA,
    Column("counter", String, primary_key=True),
    Column("spent_usd", Usd, nullable=False, default=Decimal(0)),
    Column("reserved_usd", Usd, nullable=False, default=Decimal(0)),
    Column("alerted_at", Moment),
)
"""What was spent and what is reserved, by counter (see gateway.budgets), whether a limit is set for it or not."""

ENDPOINTS = Table(
    "endpoints",
    METADATA,
    Column("endpoint", String, primary_key=True),
    Column("allowed", Integer, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("requests_at", Moment, nullable=False),
    Column("tokens_at", Moment, nullable=False),
    Column("n_failures", Integer, nullable=False, default=0),
    Column("down_since", Moment),
    Column("open_until", Moment),
)
"""What all processes know of one endpoint: requests allowed at once, the rate limits' clocks, and its circuit breaker."""

SHARES = Table(
    "shares",
    METADATA,
    Column("endpoint", String, primary_key=True),
    Column("owner", String, primary_key=True),
    Column("n_slots", Integer, nullable=False),
    Column("n_wanted", Integer, nullable=False),
    Column("expires_at", Moment, nullable=False),
)
"""How many of an endpoint's slots each process holds and would like."""

BATCHES = Table(
    "batches",
    METADATA,
    Column("batch", String, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("skill", String, nullable=False),
    Column("shard_key", String, nullable=False),
    Column("tier", String, nullable=False),
    Column("deployment", String, nullable=False),
    Column("status", String, nullable=False),
    Column("provider_batch_id", String),
    Column("input_file_id", String),
    Column("n_requests", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("collected_at", Moment),
)
"""Batches handed to a provider: the row is committed, with its reserved attempts, before anything is uploaded."""

ALERTS = Table(
    "alerts",
    METADATA,
    Column("alert_id", String, primary_key=True),
    Column("severity", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("first_seen_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("sent_at", Moment),
    Column("acknowledged_at", Moment),
    Column("acknowledged_by", String),
    Column("note", Text),
)
"""What was told to people, so that it is told once, and who has taken note of it."""

STATE_VERSION = Table("state_version", METADATA, Column("version", Integer, primary_key=True))
VERSION = 4
"""Of the tables above. A store of another version is refused, never guessed at."""


OPEN_WAIT_S = 5
"""How long opening waits for a lock. A store that is open waits longer: its writers are ours and soon done."""
BUSY_WAIT_S = 60


def open_state(url: str) -> Engine:
    """Return an engine on the state store, its tables made if it is empty.

    ConfigError when it cannot be used: of another version, damaged, not writable, no access. StateUnavailable when it may be later:
    locked, out of reach. Both say what to do; errors of the same kinds are raised later as well, instead of the database's own.
    """
    parsed = _parse(url)
    try:
        engine = _sqlite_engine(parsed) if parsed.get_backend_name() == "sqlite" else _postgres_engine(parsed)
        event.listen(engine, "handle_error", partial(_explain, parsed))
        _open(engine)
        return engine
    except (SQLAlchemyError, OSError, ImportError) as error:
        text = " ".join(str(getattr(error, "orig", None) or error).split())
        said = f"cannot be used ({text}). Set SKILLYARD_STATE to a database that can be written"
        raise ConfigError(message(parsed, said)) from None


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Lend a connection that only reads: it takes no write lock."""
    with engine.connect() as connection:
        yield connection.execution_options(is_reading=True)


def _parse(url: str) -> URL:
    allowed = "Set SKILLYARD_STATE to sqlite:////path/state.db or postgresql+psycopg2://user:password@host/database."
    try:
        parsed = make_url(url)
        kind = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise ConfigError(f"the state store's URL cannot be read. {allowed}") from None
    if kind not in ("sqlite", "postgresql"):
        raise ConfigError(f"the state store cannot be kept in {kind}. {allowed}")
    if kind == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigError(f"the state store cannot be kept in memory: every process would have its own. {allowed}")
    return parsed


def _sqlite_engine(url: URL) -> Engine:
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    connect_args = {"timeout": OPEN_WAIT_S, "check_same_thread": False, "isolation_level": None}
    engine = create_engine(url, connect_args=connect_args, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def tune(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # Deferred transactions that read first and write later fail under concurrency instead of waiting.
        if not connection.get_execution_options().get("is_reading"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgres_engine(url: URL) -> Engine:
    patient = url.set(query={"connect_timeout": str(OPEN_WAIT_S), **url.query})
    return create_engine(patient, pool_pre_ping=True, hide_parameters=True)


def _explain(url: URL, context: ExceptionContext) -> BaseException | None:
    if context.is_pre_ping:
        return None
    return explain(context.original_exception, url, context.connection is None, context.is_disconnect)


def _open(engine: Engine) -> None:
    """Check the store, or make its tables; then let later connections wait as long as a busy store may need.

    A lock that is not free in time is somebody's for good only if nobody has committed meanwhile.
    """
    began, n_commits = time.monotonic(), 0
    wait = f"PRAGMA busy_timeout={BUSY_WAIT_S * 1000}"
    is_sqlite = engine.dialect.name == "sqlite"
    while True:
        try:
            n_commits = _count_commits(engine)
            with engine.begin() as connection:
                _check_or_make(connection)
                if is_sqlite:
                    connection.exec_driver_sql(wait)
            break
        except StateUnavailable:
            # SQLite does not wait when two processes switch a new file to WAL at the same moment.
            waited_s = time.monotonic() - began
            is_stuck = waited_s > BUSY_WAIT_S or (waited_s > OPEN_WAIT_S and _count_commits(engine) == n_commits)
            if not is_sqlite or is_stuck:
                raise
            time.sleep(0.05)
    if is_sqlite:
        event.listen(engine, "connect", lambda connection, _: connection.execute(wait))


def _count_commits(engine: Engine) -> int:
    """Return a number that changes whenever another process commits; on PostgreSQL, where nobody waits for it, 0."""
    if engine.dialect.name != "sqlite":
        return 0
    with reading(engine) as connection:
        return int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())


def _check_or_make(connection: Connection) -> None:
    """Refuse a store of another version; make the tables of an empty one, in one transaction and one process at a time."""
    if not inspect(connection).has_table(STATE_VERSION.name):
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": int.from_bytes(b"skillyrd")})
        found = set(inspect(connection).get_table_names())
        if STATE_VERSION.name not in found:
            if METADATA.tables.keys() & found:
                raise _other_version(connection, 1)
            METADATA.create_all(connection)
            connection.execute(insert(STATE_VERSION).values(version=VERSION))
            return
    version = connection.scalar(select(func.max(STATE_VERSION.c.version))) or 1
    if version != VERSION:
        raise _other_version(connection, version)


def _other_version(connection: Connection, version: int) -> ConfigError:
    if version > VERSION:
        said = f"was made by a newer Skillyard (its version is {version}, this one knows {VERSION}): upgrade this one"
    else:
        said = (
            f"was made by an older Skillyard (its version is {version}, this one needs {VERSION}). Finish its open runs with that one, "
            "then move the store away: a new one is made, and what was published is on the lake"
        )
    return ConfigError(message(connection.engine.url, said))
