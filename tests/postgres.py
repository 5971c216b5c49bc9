"""A real PostgreSQL for one test session, from Debian's binaries, in a folder of its own and on a socket nobody else sees."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

OWNER = "postgres"
"""The account that runs the server when the tests run as root, which PostgreSQL refuses to do."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The SQLAlchemy URL of a database that all tests of the session share; skipped where PostgreSQL is not installed."""
    if not binaries():
        pytest.skip("PostgreSQL is not installed: `make test` as root installs it, else apt-get install postgresql")
    with running_postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database: nothing that a test leaves in it reaches the next one."""
    yield postgres_server
    engine = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'postgres'")
        )
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
        connection.execute(text("GRANT USAGE ON SCHEMA public TO PUBLIC"))
    engine.dispose()


@contextmanager
def running_postgres() -> Iterator[str]:
    """Lend the SQLAlchemy URL of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="skillyard-pg-"))
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam(OWNER).pw_uid, pwd.getpwnam(OWNER).pw_gid)
    bin_, data = binaries()[-1].parent, folder / "data"
    _as_owner([str(bin_ / "initdb"), "-D", str(data), "-U", "skillyard", "-A", "trust", "--no-sync"])
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    _as_owner([str(bin_ / "pg_ctl"), "-D", str(data), "-l", str(folder / "log"), "-o", options, "-w", "start"])
    try:
        yield f"postgresql+psycopg2://skillyard@/postgres?host={folder}"
    finally:
        _as_owner([str(bin_ / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop"])
        shutil.rmtree(folder)


def binaries() -> list[Path]:
    """Return the ``initdb`` of each installed version; none where PostgreSQL is not installed."""
    return sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def _as_owner(command: list[str]) -> None:
    prefix = ["runuser", "-u", OWNER, "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr or done.stdout}")
