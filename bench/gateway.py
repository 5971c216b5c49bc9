"""Calls per second of our gateway beside a bare litellm loop, CPU per call, and memory over many items.

Ours has everything on: response store, ledger, budgets with hard limits, shared endpoints, validation and checks of the answer. The bare
loop keeps nothing. Both are one process with the same requests in flight, fresh for each measurement; imports and the first calls are not
counted. They take turns, and each pair gives one ratio. A second bare loop sends what the gateway sends, a schema that the client does
not walk through and a model that litellm knows: what is left of the difference is ours.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.figures import Figure, parser, report
from tests.postgres import binaries, running_postgres
from tests.simulator import Simulator

SKILL = "tag-document"
CONCURRENCY = 128
N_WARM_UP = 256
GOALS = {200: 0.8, 5: 0.7}
"""Simulator latency in ms → least share of the bare loop's calls/s."""
MEMORY_AT = (2_000, 10_000, 20_000, 30_000, 40_000, 50_000)
MEMORY_SLACK = 0.10

Ask = Callable[[int], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process took for its calls."""

    calls_per_s: float
    cpu_ms: float
    """Of the client, per call."""


def main() -> int:
    """Measure and report; 1 when a ratio falls short or memory grows. Quick, both are shown without being judged."""
    options = parser(__doc__).parse_args()
    n, n_pairs = (500, 1) if options.quick else (6000, 3)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, Simulator() as simulator:
        bench = Bench(simulator, Path(folder))
        for latency_ms, goal in GOALS.items():
            simulator.configure(latency={"kind": "fixed", "ms": latency_ms})
            pairs = [(bench.measure("bare", n), bench.measure("ours", n)) for _ in range(n_pairs)]
            figures += compare(f"{latency_ms} ms", pairs, None if options.quick else goal)
            if not options.quick:
                figures += compare(f"{latency_ms} ms, bare as we send", [(bench.measure("bare as ours", n), bench.measure("ours", n))])
        if binaries() and not options.quick:
            with running_postgres() as url:
                figures += compare("5 ms, PostgreSQL", [(bench.measure("bare", n), bench.measure("ours", n, url))])
        figures += memory(bench, options.quick)
    workload = f"{n} calls a process, {SKILL}, {CONCURRENCY} in flight, {n_pairs} pairs; load average before {os.getloadavg()[0]:.1f}"
    return report(figures, workload, options.json)


def compare(name: str, pairs: list[tuple[Measured, Measured]], goal: float | None = None) -> list[Figure]:
    """Return the figures of pairs of (bare, ours)."""
    ratios = sorted(ours.calls_per_s / bare.calls_per_s for bare, ours in pairs)
    figures = []
    for who, of_pair in (("bare", 0), ("ours", 1)):
        figures.append(Figure(f"{name}: {who}", median(p[of_pair].calls_per_s for p in pairs), "calls/s"))
        figures.append(Figure(f"{name}: {who}, client CPU", median(p[of_pair].cpu_ms for p in pairs), "ms/call"))
    middle = median(ratios)
    figures.append(Figure(f"{name}: ours / bare", middle, "ratio", f">= {goal}" if goal else "", middle >= goal if goal else None))
    if len(ratios) > 1:
        figures.append(Figure(f"{name}: ours / bare, spread of the pairs", ratios[-1] - ratios[0], "ratio"))
    return figures


def memory(bench: "Bench", is_quick: bool) -> list[Figure]:
    """Return the resident memory of one process after so many calls, beside what it was after the first of these counts."""
    points = (500, 1000, 1500) if is_quick else MEMORY_AT
    bench.simulator.configure(latency={"kind": "fixed", "ms": 5})
    sizes = bench.child("memory", points[-1], bench.new_state(), *points)["rss_mb"]
    change = max((size / sizes[0] - 1 for size in sizes), key=abs)
    figures = [Figure(f"memory after {n} calls", size, "MB") for n, size in zip(points, sizes, strict=True)]
    goal = ("", None) if is_quick else (f"within {MEMORY_SLACK}", abs(change) <= MEMORY_SLACK)
    return [*figures, Figure(f"memory: largest change since {points[0]} calls", change, "ratio", *goal)]


class Bench:
    """Runs measurements, each in a process of its own."""

    def __init__(self, simulator: Simulator, folder: Path) -> None:
        self.simulator, self.folder, self.n_children = simulator, folder, 0

    def measure(self, mode: str, n: int, state: str | None = None) -> Measured:
        """Return what ``n`` calls take, after the warm-up."""
        self.simulator.reset()
        took = self.child(mode, n, state or self.new_state())
        if (sent := self.simulator.stats()["n_requests"]) != n + N_WARM_UP:
            raise SystemExit(f"{mode} sent {sent} requests for {n + N_WARM_UP} items")
        return Measured(n / took["wall_s"], took["cpu_s"] / n * 1000)

    def child(self, mode: str, n: int, state: str, *points: int) -> Any:
        """Return what a fresh process printed last."""
        variables = {"SIMULATOR_URL": self.simulator.url, "SIMULATOR_KEY": "sk-simulated", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        command = [sys.executable, __file__, "child", mode, str(n), state, str(self.folder), *map(str, points)]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the process {mode!r} failed:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    def new_state(self) -> str:
        """Return the URL of a state store that does not exist yet."""
        self.n_children += 1
        return f"sqlite:///{self.folder / f'state{self.n_children}.db'}"


async def work_through(numbers: Iterator[int], ask: Ask) -> None:
    """Ask for every item, CONCURRENCY of them side by side."""

    async def work() -> None:
        for number in numbers:
            await ask(number)

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


async def time_calls(ask: Ask, n: int) -> dict[str, float]:
    """Return seconds and CPU seconds of ``n`` calls after the warm-up."""
    await work_through(iter(range(N_WARM_UP)), ask)
    began, cpu = time.monotonic(), time.process_time()
    await work_through(iter(range(N_WARM_UP, N_WARM_UP + n)), ask)
    return {"wall_s": time.monotonic() - began, "cpu_s": time.process_time() - cpu}


async def watch_memory(ask: Ask, points: list[int]) -> dict[str, list[float]]:
    """Return the resident memory after each of so many calls."""
    import psutil

    sizes, n_before = [], 0
    for n in points:
        await work_through(iter(range(n_before, n)), ask)
        sizes.append(psutil.Process().memory_info().rss / 1e6)
        n_before = n
    return {"rss_mb": sizes}


async def run_bare(n: int, is_as_ours: bool) -> dict[str, float]:
    """Ask with nothing around it."""
    import litellm

    from skillyard.skills import Catalogue, Source

    litellm.suppress_debug_info = True
    skill = Catalogue(ROOT / "include").load(SKILL)
    wanted = {"type": "json_schema", "json_schema": {"name": SKILL, "schema": skill.request_schema, "strict": True}}
    more: dict[str, Any] = {"response_format": wanted}
    if is_as_ours:
        prices = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0}
        litellm.register_model({"openai/sim-fast": prices})
        more = {"extra_body": more}

    async def ask(number: int) -> None:
        await litellm.acompletion(
            model="openai/sim-fast",
            messages=skill.messages(Source(text_of(number)), {}),
            api_base=os.environ["SIMULATOR_URL"],
            api_key=os.environ["SIMULATOR_KEY"],
            max_tokens=skill.limits.output_tokens,
            temperature=0,
            timeout=skill.limits.timeout_s,
            num_retries=0,
            max_retries=0,
            **more,
        )

    return await time_calls(ask, n)


async def run_ours(n: int, state: str, folder: Path, points: list[int]) -> dict[str, Any]:
    """Ask through the gateway, and judge every answer."""
    from skillyard.costs.prices.book import PriceBook
    from skillyard.gateway.budgets import Limits
    from skillyard.gateway.complete import Gateway
    from skillyard.gateway.request import Request
    from skillyard.gateway.state import open_state
    from skillyard.profiles import load_profile
    from skillyard.running.answer import judge
    from skillyard.skills import Catalogue, Source
    from skillyard.skills.teams import load_teams

    include, simulator = ROOT / "include", ROOT / "tests" / "simulator"
    file = folder / "profile.yaml"
    file.write_text((simulator / "profile.yaml").read_text().replace("concurrency: 256", f"concurrency: {CONCURRENCY}"))
    skill = Catalogue(include).load(SKILL)
    fingerprint = skill.fingerprint()
    limits = Limits.of(load_teams(include / "teams.yaml")[skill.owner], SKILL, "bench", Decimal(25))
    prices = PriceBook.load(include, simulator / "prices.csv")
    gateway = Gateway(open_state(state), load_profile(str(file), include), prices, limits)

    async def ask(number: int) -> None:
        item, text = f"item-{number}", text_of(number)
        request = Request(
            run_id="bench",
            dag_id="bench",
            team=skill.owner,
            skill=SKILL,
            fingerprint=fingerprint,
            item_id=item,
            doc_id=item,
            tier="fast",
            messages=skill.messages(Source(text), {}),
            schema=skill.request_schema,
            max_tokens=skill.limits.output_tokens,
            timeout_s=skill.limits.timeout_s,
        )
        answer = (await gateway.complete(request)).answer
        judge(skill, answer.content, answer.finish_reason, Source(text), {})

    try:
        return await (watch_memory(ask, points) if points else time_calls(ask, n))
    finally:
        await gateway.stop()


def text_of(number: int) -> str:
    """Return a short support mail, another one for each number."""
    subject = ("a refund", "the broken hinge", "my invoice", "the delivery date", "a new password")[number % 5]
    return (
        f"Dear team, this is message {number} about {subject}. Order {7000 + number} has not arrived. "
        f"Please answer before Friday.\nRegards, customer {number}"
    )


def child(mode: str, n: str, state: str, folder: str, *points: str) -> None:
    """Measure in this process and print it as one line of JSON."""
    if mode.startswith("bare"):
        measured = asyncio.run(run_bare(int(n), mode == "bare as ours"))
    else:
        measured = asyncio.run(run_ours(int(n), state, Path(folder), list(map(int, points))))
    print(json.dumps(measured))


if __name__ == "__main__":
    sys.exit(child(*sys.argv[2:]) if sys.argv[1:2] == ["child"] else main())
