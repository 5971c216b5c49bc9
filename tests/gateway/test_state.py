"""Opening the state store: by many processes at once, and when it cannot be used."""

import os
import pickle
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer

import pytest
from sqlalchemy import Engine, create_engine, func, insert, select, text, update

from skillyard.errors import ConfigError, StateUnavailable
from skillyard.gateway.state import LEASES, STATE_VERSION, VERSION, open_state, reading

OPEN = """
import sys
from sqlalchemy import select
from skillyard.gateway.state import STATE_VERSION, open_state, reading
print("ready", flush=True)
sys.stdin.readline()
with reading(open_state(sys.argv[1])) as connection:
    print([row.version for row in connection.execute(select(STATE_VERSION))])
"""
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement)
print("held", flush=True)
sys.stdin.readline()
"""
N_PROCESSES = 16


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store that nobody has opened yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'deep' / 'state.db'}"
        return
    server = request.getfixturevalue("postgres_url")
    with disposed(create_engine(server, isolation_level="AUTOCOMMIT")) as admin, admin.connect() as connection:
        connection.execute(text("CREATE DATABASE opened"))
        yield server.replace("/postgres?", "/opened?")
        connection.execute(text("DROP DATABASE opened WITH (FORCE)"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed SQLite store with a lease in it."""
    path = tmp_path / "state.db"
    with opened(f"sqlite:///{path}") as engine:
        add_lease(engine, "a")
    return path


@contextmanager
def disposed(engine: Engine) -> Iterator[Engine]:
    """Lend an engine and close its connections."""
    try:
        yield engine
    finally:
        engine.dispose()


def opened(url: str) -> AbstractContextManager[Engine]:
    return disposed(open_state(url))


def add_lease(engine: Engine, name: str) -> None:
    with engine.begin() as connection:
        connection.execute(insert(LEASES).values(name=name, owner="me", token=1, expires_at=datetime.now(UTC)))


def refusal(url: str) -> str:
    with pytest.raises(ConfigError) as refused:
        open_state(url)
    return str(refused.value)


@contextmanager
def held(path: Path, *statements: str) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold a lock on a SQLite file."""
    command = [sys.executable, "-c", HOLD, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_many_processes_may_open_an_empty_store_at_once(url: str) -> None:
    command = [sys.executable, "-c", OPEN, url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(N_PROCESSES)]  # type: ignore[call-overload]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * N_PROCESSES
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60) for process in processes]
    assert [out for out, _ in told] == [f"[{VERSION}]\n"] * N_PROCESSES, told


def test_opening_again_makes_nothing_and_keeps_what_is_there(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(url) as engine:
        add_lease(engine, "a")
    monkeypatch.setattr("skillyard.gateway.state.METADATA.create_all", None)
    with opened(url) as engine, reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(LEASES)) == 1


def test_a_store_of_a_newer_version_is_refused(url: str) -> None:
    with opened(url) as engine, engine.begin() as connection:
        connection.execute(update(STATE_VERSION).values(version=VERSION + 1))
    said = refusal(url)
    assert f"made by a newer Skillyard (its version is {VERSION + 1}, this one knows {VERSION}): upgrade this one" in said


@pytest.mark.parametrize("change", ["DROP TABLE state_version", "DELETE FROM state_version", "UPDATE state_version SET version = 1"])
def test_a_store_of_an_older_version_is_refused(url: str, change: str) -> None:
    with opened(url) as engine, engine.begin() as connection:
        connection.execute(text(change))
    said = refusal(url)
    assert "made by an older Skillyard (its version is 1" in said and "Finish its open runs" in said


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("this is not SQLite" * 100)
    assert "is not a SQLite database. Set SKILLYARD_STATE to another file" in refusal(f"sqlite:///{tmp_path / 'state.db'}")


def test_a_file_that_was_cut_off_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6000])
    assert "is damaged" in refusal(f"sqlite:///{path}")


def test_a_damaged_schema_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE leases (' WHERE name = 'leases'")
        connection.commit()
    assert "is damaged (malformed database schema" in refusal(f"sqlite:///{path}")


def test_a_damaged_page_is_a_clear_error_when_it_is_read(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'leases'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    whole = bytearray(path.read_bytes())
    whole[(page - 1) * size : page * size] = b"\xff" * size
    path.write_bytes(whole)
    with opened(f"sqlite:///{path}") as engine, pytest.raises(ConfigError, match="is damaged") as found:
        add_lease(engine, "b")
    assert str(pickle.loads(pickle.dumps(found.value))) == str(found.value)


@pytest.mark.parametrize("statements", [["BEGIN IMMEDIATE"], ["PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE"]])
def test_a_locked_store_is_said_to_be_locked_within_seconds(path: Path, statements: list[str]) -> None:
    with held(path, *statements):
        started = time.monotonic()
        with pytest.raises(StateUnavailable, match=r"is locked: another program .* Close it, then try again"):
            open_state(f"sqlite:///{path}")
        assert 4 < time.monotonic() - started < 15


def test_a_writer_waits_for_a_store_that_is_locked_for_seconds(path: Path) -> None:
    with opened(f"sqlite:///{path}") as engine, held(path, "BEGIN IMMEDIATE") as holder:
        started = time.monotonic()
        Timer(6, holder.kill).start()
        add_lease(engine, "b")
        assert time.monotonic() - started > 5


def test_readers_go_on_while_another_process_writes(path: Path) -> None:
    with opened(f"sqlite:///{path}") as engine, held(path, "BEGIN IMMEDIATE"):
        started = time.monotonic()
        with reading(engine) as connection:
            assert connection.scalar(select(LEASES.c.name)) == "a"
        assert time.monotonic() - started < 1


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "SKILLYARD_STATE" in refusal(f"sqlite:///{tmp_path / 'file' / 'state.db'}")
    assert "cannot be written (unable to open database file)" in refusal(f"sqlite:///{tmp_path}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_store_that_may_only_be_read_is_refused(path: Path) -> None:
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        assert "cannot be written" in refusal(f"sqlite:///{path}")
    finally:
        path.parent.chmod(0o700)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "cannot be kept in memory"),
        ("mysql://someone:hunter2@127.0.0.1/none", "cannot be kept in mysql"),
        ("postgresql+nodriver://someone:hunter2@127.0.0.1/none", "Can't load plugin"),
        ("postgresql+psycopg2://someone:hunter2@127.0.0.1:port/none", "URL cannot be read"),
        ("state.db", "URL cannot be read"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str, said: str) -> None:
    refused = refusal(url)
    assert said in refused and "SKILLYARD_STATE" in refused and "hunter2" not in refused


@pytest.mark.parametrize("secret", [":hunter2@127.0.0.1:9/none", "@127.0.0.1:9/none?password=hunter2"])
def test_a_server_out_of_reach_is_an_error_that_may_pass_and_shows_no_password(secret: str) -> None:
    with pytest.raises(StateUnavailable, match="cannot be reached") as found:
        open_state(f"postgresql+psycopg2://someone{secret}")
    assert "hunter2" not in str(found.value)


def test_an_account_or_database_that_does_not_exist_is_refused(postgres_url: str) -> None:
    assert "refuses the connection" in refusal(postgres_url.replace("skillyard@", "nobody:hunter2@"))
    said = refusal(postgres_url.replace("/postgres?", "/none?").replace("skillyard@", "skillyard:hunter2@"))
    assert 'database "none" does not exist' in said and "hunter2" not in said


def test_an_account_that_may_not_make_tables_is_refused(postgres_url: str) -> None:
    with disposed(create_engine(postgres_url)) as admin, admin.begin() as connection:
        connection.execute(text("CREATE ROLE reader LOGIN"))
    try:
        assert "permission denied for schema public" in refusal(postgres_url.replace("skillyard@", "reader@"))
    finally:
        with disposed(create_engine(postgres_url)) as admin, admin.begin() as connection:
            connection.execute(text("DROP ROLE reader"))


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_connection_that_breaks_is_an_error_that_may_pass(url: str) -> None:
    with opened(url) as engine, engine.connect() as connection:
        own = connection.scalar(text("SELECT pg_backend_pid()"))
        with disposed(create_engine(url)) as other, other.begin() as killer:
            killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
        with pytest.raises(StateUnavailable, match="cannot be reached"):
            connection.execute(text("SELECT 1"))


def test_document_text_in_a_failing_statement_stays_out_of_the_error(path: Path) -> None:
    with opened(f"sqlite:///{path}") as engine, pytest.raises(Exception, match="UNIQUE") as found, engine.begin() as connection:
        connection.execute(insert(LEASES), [{"name": "a", "owner": "secret text", "token": 1, "expires_at": datetime.now(UTC)}])
    assert "secret text" not in str(found.value)
