"""Several processes and several endpoints: who is asked when one is dead, slow, full, or asks to be left alone.

Each gateway stands for a process: it has a name of its own in the shared limits.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import litellm.proxy._types  # noqa: F401
import openai.resources  # noqa: F401  (litellm's first call would load both and be late for that)
import pytest
from sqlalchemy import Engine, func, select

from skillyard.costs.prices.book import PriceBook
from skillyard.gateway import endpoints, limits
from skillyard.gateway.budgets import Limits
from skillyard.gateway.complete import Gateway, ProviderUnavailable
from skillyard.gateway.request import Request
from skillyard.gateway.state import ATTEMPTS, ENDPOINTS, open_state
from skillyard.profiles import Deployment, Profile
from tests.conftest import ROOT, UNTROUBLED
from tests.simulator import Simulator

PRICES = PriceBook.load(ROOT / "include", ROOT / "tests" / "simulator" / "prices.csv")
COOLDOWN_S = 0.7
PROCESS: ContextVar[str] = ContextVar("process")

Ask = Callable[[str], Awaitable[None]]


@pytest.fixture(scope="module")
def running_four() -> Iterator[list[Simulator]]:
    four = [Simulator().start() for _ in range(4)]
    yield four
    for simulator in four:
        simulator.stop()


@pytest.fixture
def four(running_four: list[Simulator], monkeypatch: pytest.MonkeyPatch) -> list[Simulator]:
    """Four endpoints that answer after 50 ms; what is shared of one is known under the name of its process."""
    for simulator in running_four:
        simulator.configure(**UNTROUBLED | {"latency": {"kind": "fixed", "ms": 50}, "max_in_flight": None, "overflow": "queue"})
        simulator.reset()
    monkeypatch.setattr(endpoints, "own_name", PROCESS.get)
    monkeypatch.setattr(limits, "COOLDOWN", timedelta(seconds=COOLDOWN_S))
    monkeypatch.setattr("skillyard.gateway.complete.BACKOFF_S", 0.05)
    return running_four


@pytest.fixture
def state(tmp_path: Path) -> Engine:
    return open_state(f"sqlite:///{tmp_path / 'state.db'}")


@dataclass
class Fleet:
    """So many processes, each with so many workers that ask one tier."""

    state: Engine
    deployments: list[Deployment]
    n_processes: int = 3
    n_workers: int = 8
    timeout_s: float = 5.0
    is_over: bool = False

    async def work(self, during: Awaitable[Any]) -> Counter[str]:
        """Return how many items ended in which way while something else went on."""
        ended: Counter[str] = Counter()
        processes = [asyncio.create_task(self._process(number, ended)) for number in range(self.n_processes)]
        await during
        self.is_over = True
        await asyncio.gather(*processes)
        return ended

    async def _process(self, number: int, ended: Counter[str]) -> None:
        PROCESS.set(f"host:{number}:1")
        profile = Profile("test", "", Path(), {"fast": tuple(self.deployments)})
        gateway = Gateway(self.state, profile, PRICES, Limits("team", "tag", "r1"))
        names = (f"item-{number}-{n}" for n in range(10**6))

        async def worker() -> None:
            while not self.is_over:
                try:
                    await gateway.complete(request(next(names), self.timeout_s))
                    ended["answered"] += 1
                except ProviderUnavailable:
                    ended["unavailable"] += 1

        try:
            await asyncio.gather(*(worker() for _ in range(self.n_workers)))
        finally:
            await gateway.stop()


def request(item: str, timeout_s: float = 5.0) -> Request:
    messages = [{"role": "user", "content": f"What is said of {item}?"}]
    return Request("r1", "cli", "team", "tag", "f" * 64, item, item, "fast", messages, None, 50, timeout_s)


def at(simulator: Simulator, concurrency: int = 16, **changed: Any) -> Deployment:
    made = Deployment(
        f"at {simulator.url}", "fast", "openai/sim-fast", 8000, 500, False, concurrency, {}, api_base=simulator.url, api_key="sk"
    )
    return replace(made, **changed)


def n_sent_to(state: Engine, deployment: Deployment) -> int:
    with state.connect() as connection:
        return connection.execute(select(func.count()).where(ATTEMPTS.c.deployment == deployment.name)).scalar_one()


class DeadEndpoint:
    """Listens where a stopped simulator was: closes each connection at once, or never answers; keeps the times of connections."""

    def __init__(self, simulator: Simulator, is_hanging: bool) -> None:
        self.simulator, self.is_hanging = simulator, is_hanging
        self.called_at: list[float] = []
        self._held: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        await asyncio.to_thread(self.simulator.stop)
        port = int(self.simulator.url.rpartition(":")[2].removesuffix("/v1"))
        self._server = await asyncio.start_server(self._take, "127.0.0.1", port)

    async def stop(self) -> None:
        """Let the simulator answer there again."""
        self._server.close()
        for writer in self._held:
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.to_thread(self.simulator.start)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.called_at.append(time.monotonic())
        self._held.append(writer)
        if not self.is_hanging:
            writer.transport.abort()


@pytest.mark.parametrize("is_hanging", [False, True])
def test_a_dead_endpoint_is_found_once_by_all_probed_once_a_cooldown_and_used_again_soon_after_it_is_back(
    four: list[Simulator], state: Engine, is_hanging: bool
) -> None:
    deployments = [at(s) for s in four]
    dead = DeadEndpoint(four[3], is_hanging)
    marks: dict[str, float] = {}

    async def die_and_come_back() -> None:
        await asyncio.sleep(1.0)
        await dead.start()
        while not await asyncio.to_thread(is_open, state, deployments[3]):
            await asyncio.sleep(0.01)
        marks["opened"] = time.monotonic()
        await asyncio.sleep(3.5 * COOLDOWN_S)
        await dead.stop()
        marks["back"] = time.time()
        await asyncio.sleep(2 * COOLDOWN_S + 2)

    fleet = Fleet(state, deployments, timeout_s=1.0)
    ended = asyncio.run(fleet.work(die_and_come_back()))
    assert ended["unavailable"] == 0 and ended["answered"] > 300
    probes = [when for when in dead.called_at if when > marks["opened"] + endpoints.EXCHANGE_EVERY_S]
    assert len(dead.called_at) - len(probes) <= 16 + 1, "no more than had a slot there before all knew, and a probe"
    assert 1 <= len(probes) <= 4
    assert all(later - earlier >= 0.9 * COOLDOWN_S for earlier, later in pairwise(probes))
    taken_at = sorted(call["at"] - marks["back"] for call in four[3].calls())
    assert len(taken_at) > 5 and taken_at[5] <= 2 * COOLDOWN_S + 1, "a second for the others to learn of it"


def is_open(state: Engine, deployment: Deployment) -> bool:
    with state.connect() as connection:
        open_until = connection.execute(select(ENDPOINTS.c.open_until).where(ENDPOINTS.c.endpoint == deployment.endpoint)).scalar_one()
    return open_until is not None


def test_a_slow_endpoint_gets_what_it_can_carry(four: list[Simulator], state: Engine) -> None:
    four[0].configure(latency={"kind": "fixed", "ms": 1000})
    ended = asyncio.run(Fleet(state, [at(s) for s in four[:3]]).work(asyncio.sleep(4.0)))
    slow, *fast = (len(s.calls()) for s in four[:3])
    assert ended["unavailable"] == 0
    assert slow < min(fast) / 4


def test_a_request_waits_for_a_busy_endpoint_rather_than_ask_one_again_that_has_just_failed(four: list[Simulator], state: Engine) -> None:
    four[0].configure(faults={"rate_limited": 1.0}, retry_after_s=0.0)
    four[1].configure(latency={"kind": "fixed", "ms": 400}, max_in_flight=4)
    deployments = [at(four[0]), at(four[1], 4)]
    ended = asyncio.run(Fleet(state, deployments).work(asyncio.sleep(3.0)))
    assert ended["unavailable"] == 0 and ended["answered"] > 15


def test_an_endpoint_that_asks_for_a_pause_gets_one_from_every_request_of_a_process(four: list[Simulator], state: Engine) -> None:
    four[0].configure(faults={"rate_limited": 1.0}, retry_after_s=30.0)
    deployments = [at(s) for s in four[:2]]
    ended = asyncio.run(Fleet(state, deployments).work(asyncio.sleep(3.0)))
    assert ended["unavailable"] == 0 and ended["answered"] > 50
    assert len(four[0].calls()) <= 8, "what was on its way when the first refusal came"


def test_requests_give_up_when_every_endpoint_refuses_them_for_long(
    four: list[Simulator], state: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "PATIENCE", timedelta(seconds=1))
    for simulator in four[:2]:
        simulator.configure(faults={"rate_limited": 1.0}, retry_after_s=3.0)
    began = time.monotonic()
    ended = asyncio.run(Fleet(state, [at(s) for s in four[:2]], n_processes=1, n_workers=40).work(asyncio.sleep(0.1)))
    assert ended["answered"] == 0 and ended["unavailable"] >= 30
    assert time.monotonic() - began < 10, "whoever was not refused itself does not wait for five refusals"


def test_the_concurrency_of_an_endpoint_holds_over_all_processes(four: list[Simulator], state: Engine) -> None:
    four[0].configure(latency={"kind": "uniform", "low_ms": 10, "high_ms": 120})
    asyncio.run(Fleet(state, [at(four[0], 10)], n_processes=4, n_workers=10).work(asyncio.sleep(4.0)))
    assert 9 <= four[0].stats()["in_flight_peak"] <= 10


def test_a_rate_holds_over_all_processes_and_is_used(four: list[Simulator], state: Engine) -> None:
    rpm = 1200
    began = time.time()
    asyncio.run(Fleet(state, [at(four[0], 64, rpm=rpm)], n_processes=4, n_workers=8).work(asyncio.sleep(5.0)))
    arrived = [call["at"] - began for call in four[0].calls()]
    burst = limits.BURST_S * rpm / 60
    assert len(arrived) <= max(arrived) * rpm / 60 + burst
    assert len(arrived) >= 0.85 * max(arrived) * rpm / 60


def test_refusals_halve_what_is_sent_at_once_and_it_grows_again_when_they_end(four: list[Simulator], state: Engine) -> None:
    deployment = at(four[0], 32)
    four[0].configure(max_in_flight=4, overflow="reject", retry_after_s=0.1)
    allowed = []

    async def widen() -> None:
        for seconds in (3.0, 4.0):
            await asyncio.sleep(seconds)
            allowed.append(await asyncio.to_thread(allowed_at, state, deployment))
            four[0].configure(max_in_flight=64)

    ended = asyncio.run(Fleet(state, [deployment], n_workers=12).work(widen()))
    assert ended["unavailable"] == 0
    assert allowed[0] <= 8 and allowed[1] >= 16


def allowed_at(state: Engine, deployment: Deployment) -> int:
    with state.connect() as connection:
        return connection.execute(select(ENDPOINTS.c.allowed).where(ENDPOINTS.c.endpoint == deployment.endpoint)).scalar_one()


def test_trouble_halves_even_while_other_processes_make_the_slots_grow(state: Engine) -> None:
    seen = limits.Wish("e", 64, None, None, 0, 64, 0, 0, is_troubled=False, is_short=False)
    now, allowed = datetime.now(UTC), []
    for n in range(20):
        now += timedelta(seconds=0.1)
        told = replace(seen, is_troubled=n % 5 == 4, is_short=n % 5 != 4)
        with state.begin() as connection:
            limits.exchange(connection, f"host:{n % 5}:1", [told], now)
            allowed.append(connection.execute(select(ENDPOINTS.c.allowed)).scalar_one())
    assert min(allowed[5:]) <= allowed[3] / 2
