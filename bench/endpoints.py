"""What several processes make of endpoints that fail, are slow, or have limits: throughput, calls to a dead one, rates and concurrency.

Four processes share one state store, as tasks do. *Failing*: of four endpoints, each able to carry half of the offered load, one becomes
ten times as slow and one stops to answer, then comes back; everything in one run, so that the load before is the measure of the load
after. *Rate* and *concurrency*: more is wanted than one endpoint allows. *Refusals*: an endpoint takes less at once than its
deployment says, then more again. What an endpoint gets is counted by the endpoint.
"""

import asyncio
import multiprocessing
import os
import socketserver
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import openai.resources  # noqa: F401  (both would be loaded by each process's first call)
from sqlalchemy import select

from bench.figures import Figure, parser, report
from skillyard.costs.prices.book import PriceBook
from skillyard.gateway import limits
from skillyard.gateway.budgets import Limits
from skillyard.gateway.complete import Gateway, ProviderUnavailable
from skillyard.gateway.endpoints import EXCHANGE_EVERY_S
from skillyard.gateway.request import Request
from skillyard.gateway.state import ENDPOINTS, open_state, reading
from skillyard.profiles import Deployment, Profile
from tests.simulator import Simulator

N_PROCESSES = 4
OFFERED = 60
"""Calls a second, of all processes together."""
LATENCY_S = 0.2
SLOW_S = 10 * LATENCY_S
TIMEOUT_S = 4.0
N_AT_ONCE = round(OFFERED / 2 * LATENCY_S)
"""What an endpoint works on at once: with this it carries half of the load."""
COOLDOWN_S = limits.COOLDOWN.total_seconds()
RPM = 600


@dataclass(frozen=True, slots=True)
class Phases:
    """Seconds of each part of the runs."""

    healthy: float
    failing: float
    again: float
    rate: float
    concurrency: float


FULL = Phases(healthy=20, failing=30, again=15, rate=75, concurrency=20)
QUICK = Phases(healthy=4, failing=7, again=11, rate=5, concurrency=3)


@dataclass(frozen=True, slots=True)
class Load:
    """What one process asks for: so many calls a second, or as many as its workers get answered."""

    rate: float | None = None
    n_workers: int = 0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """How one item ended."""

    at: float
    is_answered: bool


def main() -> int:
    """Measure and report; 1 when a figure falls short."""
    options = parser(__doc__).parse_args()
    phases = QUICK if options.quick else FULL
    before = os.getloadavg()[0]
    figures = failing("closing", phases, False)
    if not options.quick:
        figures += failing("hanging", phases, True)
    figures += [*rate(phases), *concurrency(phases), *refusals(phases)]
    workload = f"{N_PROCESSES} processes on one state store; {OFFERED} calls/s offered to four endpoints; load average before {before:.1f}"
    return report(figures, workload, options.json)


def failing(how: str, phases: Phases, is_hanging: bool) -> list[Figure]:
    """One endpoint becomes slow and one dead, then the dead one comes back."""
    behaviour = {"latency": {"kind": "fixed", "ms": LATENCY_S * 1000}, "max_in_flight": N_AT_ONCE}
    with ExitStack() as stack:
        endpoints = [stack.enter_context(Simulator(behaviour)) for _ in range(4)]
        began = time.time() + 1
        until = began + phases.healthy + phases.failing + phases.again
        fleet = stack.enter_context(
            fleet_of([deployment(e.url, 2 * N_AT_ONCE) for e in endpoints], Load(OFFERED / N_PROCESSES, until=until))
        )
        sleep_until(began + phases.healthy)
        endpoints[2].configure(latency={"kind": "fixed", "ms": SLOW_S * 1000})
        endpoints[3].stop()
        failed_at = time.time()
        dead = DeadEndpoint(int(endpoints[3].url.split(":")[2].split("/")[0]), is_hanging)
        opened_at = fleet.opened(endpoints[3].url, failed_at + phases.failing)
        sleep_until(failed_at + phases.failing)
        dead.stop()
        endpoints[3].start()
        back_at = time.time()
        done = fleet.join()
        again = sorted(call["at"] for call in endpoints[3].calls())
    settled = began + phases.healthy / 4
    healthy = n_answered(done, settled, failed_at) / (failed_at - settled)
    troubled = n_answered(done, failed_at, back_at) / (back_at - failed_at)
    # Processes that have not met a failure learn of the open circuit when they exchange news.
    probes = [at for at in dead.called_at if at > opened_at + EXCHANGE_EVERY_S]
    gaps = [later - earlier for earlier, later in pairwise([opened_at, *probes])]
    carries_s = again[N_AT_ONCE] - back_at if len(again) > N_AT_ONCE else float("inf")
    name = f"dead one, {how}"
    return [
        Figure(f"{name}: four healthy", healthy, "calls/s"),
        Figure(f"{name}: one slow, one dead", troubled, "calls/s"),
        Figure(f"{name}: share of the healthy throughput", troubled / healthy, "ratio", ">= 0.7", troubled / healthy >= 0.7),
        Figure(f"{name}: its circuit opened after", opened_at - failed_at, "s"),
        Figure(f"{name}: calls it got until all processes knew", len(dead.called_at) - len(probes), "calls"),
        Figure(f"{name}: probes in {back_at - opened_at:.0f} s", len(probes), "calls"),
        Figure(
            f"{name}: least time between probes",
            min(gaps, default=0),
            "s",
            f">= {COOLDOWN_S:.0f}",
            min(gaps, default=99) >= 0.95 * COOLDOWN_S,
        ),
        Figure(f"{name}: back, carries load after", carries_s, "s", f"<= {2 * COOLDOWN_S:.0f}", carries_s <= 2 * COOLDOWN_S),
        Figure(f"{name}: items left without an answer", sum(not d.is_answered for d in done), "items"),
    ]


def rate(phases: Phases) -> list[Figure]:
    """Every process wants more requests a minute than the endpoint allows all of them."""
    with Simulator({"latency": {"kind": "fixed", "ms": 100}}) as endpoint:
        limited = replace(deployment(endpoint.url, 64), rpm=RPM)
        began = time.time() + 1
        with fleet_of([limited], Load(n_workers=16, until=began + phases.rate)) as fleet:
            fleet.join()
        arrived = sorted(call["at"] for call in endpoint.calls())
    window_s = min(60.0, phases.rate)
    most = max(sum(at <= other < at + window_s for other in arrived) for at in arrived)
    used = sum(at >= began + limits.BURST_S for at in arrived) / (arrived[-1] - began - limits.BURST_S) / RPM * 60
    is_judged = phases is FULL
    return [
        Figure(
            f"rpm {RPM}: most requests in any {window_s:.0f} s",
            most,
            "requests",
            f"<= {RPM}" if is_judged else "",
            most <= RPM if is_judged else None,
        ),
        Figure(f"rpm {RPM}: share of it used", used, "ratio", ">= 0.85", used >= 0.85),
    ]


def concurrency(phases: Phases) -> list[Figure]:
    """Every process wants more requests at once than the endpoint allows all of them."""
    allowed = 24
    with Simulator({"latency": {"kind": "uniform", "low_ms": 50, "high_ms": 350}}) as endpoint:
        began = time.time() + 1
        with fleet_of([deployment(endpoint.url, allowed)], Load(n_workers=allowed, until=began + phases.concurrency)) as fleet:
            fleet.join()
        peak = endpoint.stats()["in_flight_peak"]
        arrived = [call["at"] for call in endpoint.calls() if call["at"] > began + phases.concurrency / 4]
    used = len(arrived) / (max(arrived) - min(arrived)) * 0.2 / allowed
    return [
        Figure(f"concurrency {allowed}: most in flight", peak, "requests", f"<= {allowed}", peak <= allowed),
        Figure(f"concurrency {allowed}: share of it used", used, "ratio"),
    ]


def refusals(phases: Phases) -> list[Figure]:
    """The endpoint answers 429 to what is beyond a quarter of the deployment's concurrency, and later takes all of it."""
    configured = 32
    tight = {"latency": {"kind": "fixed", "ms": 200}, "max_in_flight": configured // 4, "overflow": "reject", "retry_after_s": 0.5}
    with Simulator(tight) as endpoint:
        began = time.time() + 1
        until = began + 2 * phases.concurrency
        with fleet_of([deployment(endpoint.url, configured)], Load(n_workers=configured, until=until)) as fleet:
            sleep_until(began + phases.concurrency)
            widened_at = time.time()
            endpoint.configure(max_in_flight=configured)
            done = fleet.join()
            calls = endpoint.calls()
    tight_calls = [c for c in calls if began + phases.concurrency / 4 < c["at"] < widened_at]
    refused = sum(c["fault"] == "over_limit" for c in tight_calls)
    seconds = widened_at - began - phases.concurrency / 4
    wide = [c for c in calls if until - phases.concurrency / 2 < c["at"] <= until]
    return [
        Figure("429s: per answered request", refused / (len(tight_calls) - refused), "ratio"),
        Figure("429s: share used of what the endpoint takes", (len(tight_calls) - refused) / seconds * 0.2 / (configured // 4), "ratio"),
        Figure("429s: share used of the concurrency after they end", len(wide) / (phases.concurrency / 2) * 0.2 / configured, "ratio"),
        Figure("429s: items left without an answer", sum(not d.is_answered for d in done), "items"),
    ]


def deployment(url: str, concurrency: int) -> Deployment:
    """Return a deployment of the tier ``fast`` at a simulator."""
    return Deployment(
        name=f"at {url}",
        tier="fast",
        model="openai/sim-fast",
        context_tokens=16000,
        max_output_tokens=4000,
        has_json_schema=False,
        concurrency=concurrency,
        params={},
        api_base=url,
        api_key="sk-simulated",
    )


def n_answered(done: list[Done], start: float, end: float) -> int:
    """Return how many items were answered in that time."""
    return sum(d.is_answered and start <= d.at < end for d in done)


def sleep_until(moment: float) -> None:
    """Wait for a moment of the epoch."""
    time.sleep(max(0.0, moment - time.time()))


class DeadEndpoint:
    """Listens where an endpoint was: takes connections and closes them at once, or never answers. It keeps the times of what it gets."""

    def __init__(self, port: int, is_hanging: bool) -> None:
        self.called_at: list[float] = []
        released = self._released = threading.Event()
        called_at = self.called_at

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                called_at.append(time.time())
                if is_hanging:
                    released.wait()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Fleet:
    """Processes at work on one state store."""

    def __init__(self, state_url: str, profile: Profile, load: Load) -> None:
        self._state_url = state_url
        context = multiprocessing.get_context("fork")  # litellm is imported once, as in Airflow's workers
        self._queue = context.SimpleQueue()
        prices = PriceBook.load(ROOT / "include", ROOT / "tests" / "simulator" / "prices.csv")
        targets = [(state_url, profile, prices, load, number, self._queue) for number in range(N_PROCESSES)]
        self._processes = [context.Process(target=work_in_child, args=arguments) for arguments in targets]
        for process in self._processes:
            process.start()

    def join(self) -> list[Done]:
        """Wait for all of them and return how their items ended."""
        done = [one for _ in self._processes for one in self._queue.get()]
        for process in self._processes:
            process.join()
        return done

    def opened(self, url: str, until: float) -> float:
        """Return when the circuit of an endpoint opened, or ``until``."""
        engine = open_state(self._state_url)
        is_open = select(ENDPOINTS.c.open_until).where(ENDPOINTS.c.endpoint.contains(url), ENDPOINTS.c.open_until.is_not(None))
        while time.time() < until:
            with reading(engine) as connection:
                if connection.execute(is_open).first():
                    return time.time()
            time.sleep(0.02)
        return until

    def stop(self) -> None:
        """End those that still run."""
        for process in self._processes:
            process.kill()
            process.join()


@contextmanager
def fleet_of(deployments: list[Deployment], load: Load) -> Iterator[Fleet]:
    """Lend processes that work under one load on a state store of their own."""
    profile = Profile("bench", "", Path(), {"fast": tuple(deployments)})
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/state.db"
        open_state(url).dispose()
        fleet = Fleet(url, profile, load)
        try:
            yield fleet
        finally:
            fleet.stop()


def work_in_child(state_url: str, profile: Profile, prices: PriceBook, load: Load, number: int, queue: Any) -> None:
    """Ask for items of this process's own, and hand over how they ended."""
    queue.put(asyncio.run(ask_under(load, open_state(state_url), profile, prices, number)))


async def ask_under(load: Load, engine: Any, profile: Profile, prices: PriceBook, number: int) -> list[Done]:
    """Return how the items of a load ended."""
    gateway = Gateway(engine, profile, prices, Limits("bench", "bench", "bench"))
    done: list[Done] = []
    numbers = iter(range(10**9))

    async def ask() -> None:
        name = f"item-{number}-{next(numbers)}"
        messages = [{"role": "user", "content": f"Say something about {name}."}]
        request = Request("bench", "bench", "bench", "bench", "0" * 64, name, name, "fast", messages, None, 50, TIMEOUT_S)
        try:
            await gateway.complete(request)
        except ProviderUnavailable:
            done.append(Done(time.time(), False))
        else:
            done.append(Done(time.time(), True))

    try:
        await (offer(load, ask) if load.rate else keep_busy(load, ask))
    finally:
        await gateway.stop()
    return done


async def offer(load: Load, ask: Callable[[], Awaitable[None]]) -> None:
    """Begin items at the load's rate, whatever becomes of them."""
    assert load.rate
    began = time.time()
    async with asyncio.TaskGroup() as group:
        for n in range(int((load.until - began) * load.rate)):
            await asyncio.sleep(max(0.0, began + n / load.rate - time.time()))
            group.create_task(ask())  # type: ignore[arg-type]


async def keep_busy(load: Load, ask: Callable[[], Awaitable[None]]) -> None:
    """Let each worker begin the next item when its last has ended."""

    async def work() -> None:
        while time.time() < load.until:
            await ask()

    await asyncio.gather(*(work() for _ in range(load.n_workers)))


if __name__ == "__main__":
    sys.exit(main())
