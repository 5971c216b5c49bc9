"""Transactions that meet: what one commits between two statements of another, a lock and a rate that many want at once."""

import asyncio
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine

from skillyard.gateway import ledger
from skillyard.gateway import state as state_store
from skillyard.gateway.budgets import Limits
from skillyard.gateway.endpoints import Endpoints
from skillyard.gateway.journal import Journal
from skillyard.gateway.ledger import Claim, Found, Hold
from skillyard.gateway.owner import is_gone, own_name
from skillyard.gateway.state import open_state
from skillyard.profiles import load_profile
from tests.conftest import PROFILE, ROOT
from tests.gateway.test_ledger import KEY, begin, claim, settled
from tests.simulator import Simulator


@pytest.mark.parametrize("state", ["postgres"], indirect=True)
def test_an_answer_settled_between_the_look_for_it_and_the_look_at_its_lease_is_found(
    state: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = claim(state)
    assert isinstance(hold, Hold)
    begun = begin(state, hold, "a")
    look, is_first = ledger._seen, [True]

    def look_late(*arguments: Any) -> Any:
        if is_first.pop() if is_first else False:
            with state.begin() as other:
                ledger.settle(other, [settled("a", begun, hold)])
        return look(*arguments)

    with state.begin() as connection:
        monkeypatch.setattr(ledger, "_seen", look_late)
        (found,) = ledger.claim(connection, [Claim((KEY,), 60)])
    assert isinstance(found, Found) and found.answer.call_id == "a"
    assert isinstance(claim(state), Found)


def test_a_process_that_only_another_container_of_the_same_name_can_see_is_not_taken_for_dead() -> None:
    host, pid, started = own_name().split(":")
    name, _, namespace = host.partition("/")
    assert not is_gone(own_name()) and is_gone(f"{host}:{pid}:{started}0")
    assert not is_gone(f"{name}/{namespace}0:{pid}:{started}0")


def test_a_store_that_is_never_free_but_goes_on_committing_is_opened_when_its_turn_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, until = tmp_path / "state.db", time.monotonic() + 3
    open_state(f"sqlite:///{path}").dispose()

    def write() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            while time.monotonic() < until:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO budgets (counter, spent_usd, reserved_usd) VALUES (?, 0, 0)", (str(time.monotonic()),))
                time.sleep(0.2)
                connection.execute("COMMIT")

    monkeypatch.setattr(state_store, "OPEN_WAIT_S", 1)
    writer = Thread(target=write)
    writer.start()
    time.sleep(0.1)
    open_state(f"sqlite:///{path}").dispose()
    writer.join()


def test_a_large_request_is_not_forgotten_when_a_small_one_asks_for_tokens_after_it(tmp_path: Path, simulator: Simulator) -> None:
    profile = load_profile(str(PROFILE), ROOT / "include")
    limited = replace(profile, tiers={tier: tuple(replace(d, tpm=60_000) for d in found) for tier, found in profile.tiers.items()})
    state = open_state(f"sqlite:///{tmp_path / 'state.db'}")

    async def ask() -> None:
        journal = Journal(state, Limits("care", "tag", "r1"))
        endpoints = Endpoints(limited, journal.run)

        async def one(n_tokens: int) -> None:
            await endpoints.succeeded(await endpoints.acquire("fast", n_tokens, set()), 0.01)

        async with asyncio.timeout(10):
            await asyncio.gather(one(1500), one(100))
        await endpoints.stop()
        await journal.stop()

    asyncio.run(ask())
    state.dispose()
