"""Leases of runs: one holder, never shortened, free at once when a command line on this host was killed."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from skillyard.errors import RunLocked
from skillyard.gateway.state import LEASES, open_state, reading
from skillyard.running.lease import LEASE_TTL, renew_lease, take_lease
from skillyard.running.runs import cli_owner
from tests.conftest import ROOT

HOLDER = """
import sys
from skillyard.gateway.state import open_state
from skillyard.running.lease import take_lease
from skillyard.running.runs import cli_owner
take_lease(open_state(sys.argv[1]), "run", cli_owner())
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


def ends_at(state: Engine) -> datetime:
    with reading(state) as connection:
        return connection.execute(select(LEASES.c.expires_at)).scalar_one()


def test_a_killed_command_line_holds_nothing_up(url: str) -> None:
    state = open_state(url)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, url], cwd=ROOT, env=os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(RunLocked, match=r"run is being worked on by cli:"):
            take_lease(state, "run", cli_owner())
        holder.kill()
        holder.wait()
        take_lease(state, "run", cli_owner())


def test_a_dags_lease_lasts_until_it_ends(url: str) -> None:
    state = open_state(url)
    take_lease(state, "run", "airflow:skill.tag-document")
    with pytest.raises(RunLocked):
        take_lease(state, "run", cli_owner())


def test_a_lease_that_is_held_for_a_batch_is_not_shortened_by_a_renewal(url: str) -> None:
    state = open_state(url)
    take_lease(state, "run", "airflow:d")
    far = datetime.now(UTC) + 10 * LEASE_TTL
    renew_lease(state, "run", "airflow:d", far)
    renew_lease(state, "run", "airflow:d")
    assert abs(ends_at(state) - far) < timedelta(milliseconds=1)
    renew_lease(state, "run", "somebody else", far + LEASE_TTL)
    assert abs(ends_at(state) - far) < timedelta(milliseconds=1)
