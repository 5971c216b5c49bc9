"""A run worked through by processes that may be killed, as Airflow would work through it; and what stands afterwards, item by item.

The processes are forked from one that has imported what is heavy before any thread or event loop existed.
"""

import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select, text

from skillyard.gateway.reconcile import Coverage, reconcile
from skillyard.gateway.state import ANSWERS, ATTEMPTS, BUDGETS, LEASES, METADATA, open_state, reading
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.plan import plan_run
from skillyard.running.publish import finish_run, publish_run
from skillyard.running.route import planned_shards, route_run
from skillyard.running.runs import PlanRequest, run_key
from skillyard.running.shard import run_shard
from skillyard.settings import Settings
from tests.conftest import ROOT, settings_in
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL = "tag-document"
N_WORKERS = 4
POLL_S = 0.02
KILLED = -signal.SIGKILL
PATIENCE_S = 600
"""No step of a run takes longer: one that does hangs."""
ZERO = Decimal(0)

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["skillyard.gateway.transport", "skillyard.running.pipeline", "openai.resources", "great_expectations"])


def start(step: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """Start a step of a run as a process with this one's variables."""
    process = FORKS.Process(target=_do, args=(dict(os.environ), step, arguments), daemon=True)
    process.start()
    return process


def _do(variables: Mapping[str, str], step: Callable[..., Any], arguments: Sequence[Any]) -> None:
    os.environ.update(variables)
    step(*arguments)


@contextmanager
def installation(folder: Path, state: str | None = None, concurrency: int = 64, **files: str) -> Iterator[Settings]:
    """Lend an installation with the simulator's profile; a state store on PostgreSQL is emptied afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    simulated = ROOT / "tests" / "simulator"
    profile = (simulated / "profile.yaml").read_text().replace("concurrency: 256", f"concurrency: {concurrency}")
    (folder / "profile.yaml").write_text(profile)
    (folder / "prices.csv").write_text((simulated / "prices.csv").read_text())
    own = {"SKILLYARD_PROFILE": str(folder / "profile.yaml")} | ({"SKILLYARD_STATE": state} if state else {}) | files
    settings = settings_in(folder, **own)
    engine = open_state(settings.state)
    engine.dispose()
    try:
        yield settings
    finally:
        if state:
            METADATA.drop_all(engine)
            engine.dispose()


@dataclass(frozen=True, slots=True)
class Killed:
    """A process that was killed."""

    step: str
    moment: str
    in_flight: frozenset[str]
    """Its calls whose first byte had reached the provider and whose commit had not returned."""
    longest_wait_s: float
    """Of these, the longest time that an answer had been on its way into the store."""


@dataclass(frozen=True, slots=True)
class Kills:
    """Which processes of a run are killed, and when."""

    steps: Mapping[str, float]
    """``plan``, ``route`` or ``publish``: so many seconds after it began, if it still runs then."""
    workers: tuple[tuple[int, float], ...]
    """One of the workers: so many seconds after that number of requests had come in."""

    @classmethod
    def draw(cls, rng: random.Random, n_items: int, n_workers: int, steps_s: Mapping[str, float]) -> "Kills":
        """Draw the moments: those of the workers over the whole run, those of the other steps over the time they take."""
        workers = sorted((rng.randrange(int(n_items * 0.97)), rng.uniform(0, 0.5)) for _ in range(n_workers))
        return cls({step: rng.uniform(0, took_s) for step, took_s in steps_s.items()}, tuple(workers))


@dataclass(slots=True)
class Trial:
    """One run, its killed processes started again as Airflow would."""

    folder: Path
    settings: Settings
    simulator: Simulator
    rng: random.Random
    shards_per_worker: int = 4
    killed: list[Killed] = field(default_factory=list)
    took_s: dict[str, float] = field(default_factory=dict)
    """By step, how long it took when nobody killed it."""

    def go(self, kills: Kills) -> None:
        """Plan, route, answer, publish, finish."""
        n_items: int = read(Lake(self.settings.lake), "documents", ["doc_id"]).num_rows
        size = -(-n_items // (self.shards_per_worker * N_WORKERS))
        n_plans = self._once("plan", kills, lambda n: start(plan_step, self.settings, _run_id(n), size))
        key = run_key(SKILL, _run_id(n_plans))
        self._once("route", kills, lambda _: start(route_run, self.settings, key))
        self._work(planned_shards(Lake(self.settings.lake), key), deque(kills.workers))
        self._once("publish", kills, lambda _: start(publish_run, self.settings, key))
        finish_run(self.settings, key)

    def _once(self, step: str, kills: Kills, begin: Callable[[int], BaseProcess]) -> int:
        """Start a step until it ends by itself; return the number of tries."""
        began, process, n = time.monotonic(), begin(1), 1
        process.join(kills.steps.get(step, PATIENCE_S))
        if step in kills.steps and self._kill(process, step, f"{kills.steps[step]:.3f} s after its start"):
            process, n = begin(2), 2
            process.join(PATIENCE_S)
        elif step not in kills.steps:
            self.took_s[step] = time.monotonic() - began
        process.kill()
        process.join()
        if process.exitcode:
            raise TrialFailed(f"{step} ended with {process.exitcode} after {time.monotonic() - began:.0f} s")
        return n

    def _work(self, shards: list[str], kills: deque[tuple[int, float]]) -> None:
        """Work through the shards, several at a time; the shard of a killed worker begins again."""
        waiting, running, began = deque(shards), dict[str, BaseProcess](), time.monotonic()
        try:
            while waiting or running:
                while waiting and len(running) < N_WORKERS:
                    shard = waiting.popleft()
                    running[shard] = start(run_shard, self.settings, shard)
                if kills and self.simulator.stats()["n_requests"] >= kills[0][0]:
                    n_requests, delay_s = kills.popleft()
                    time.sleep(delay_s)
                    victim = running[self.rng.choice(sorted(running))]
                    if not self._kill(victim, "worker", f"{delay_s:.3f} s after {n_requests} requests"):
                        kills.appendleft((n_requests, 0.0))
                time.sleep(POLL_S)
                for shard, exitcode in [(shard, process.exitcode) for shard, process in running.items()]:
                    if exitcode is None:
                        continue
                    del running[shard]
                    if exitcode == KILLED:
                        waiting.append(shard)
                    elif exitcode:
                        raise TrialFailed(f"the worker of {shard} ended with {exitcode}")
                if time.monotonic() - began > PATIENCE_S:
                    raise TrialFailed(f"workers hang: {sorted(running)}")
        finally:
            for process in running.values():
                process.kill()

    def _kill(self, process: BaseProcess, step: str, moment: str) -> bool:
        """Kill a process unless it has just ended."""
        now = time.time()
        process.kill()
        process.join()
        if process.exitcode == KILLED:
            self.killed.append(Killed(step, moment, *in_flight(self.settings, self.simulator, process.pid or 0, now)))
        return process.exitcode == KILLED


class TrialFailed(Exception):
    """A step ended with an error, or did not end."""


def _run_id(n: int) -> str:
    """Return the run id of a plan's n-th try: as in the DAG, another run."""
    return "trial" if n == 1 else f"trial.{n}"


def plan_step(settings: Settings, run_id: str, shard_items: int) -> None:
    """Plan a run as the DAG does."""
    plan_run(settings, PlanRequest(SKILL, run_id, f"skill.{SKILL}", shard_items=shard_items))


def in_flight(settings: Settings, simulator: Simulator, pid: int, at: float) -> tuple[frozenset[str], float]:
    """Return the calls that a process killed at that moment had in flight, and the longest that one of them had been answered before."""
    with engine_of(settings) as state, reading(state) as connection:
        own = select(ATTEMPTS.c.call_id, ATTEMPTS.c.status).where(ATTEMPTS.c.owner.like(f"%:{pid}:%"))
        statuses = {row.call_id: row.status for row in connection.execute(own)}
    lost, longest_s = set(), 0.0
    for call in simulator.calls():
        is_answered = call["answered_at"] is not None and call["answered_at"] < at
        if call["call_id"] in statuses and (not is_answered or statuses[call["call_id"]] == "sent"):
            lost.add(call["call_id"])
            longest_s = max(longest_s, at - call["answered_at"] if is_answered else 0.0)
    return frozenset(lost), longest_s


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run has left behind, beside what the provider says. All but the two counts of calls have to be 0."""

    n_lost: int
    """Documents without result or reject, or pending."""
    n_doubled: int
    """Rows of a key that another row has."""
    n_unrecorded: int
    """Requests that the provider saw and the ledger does not have."""
    n_paid_again: int
    """Billed calls for a request that another billed call had asked before."""
    n_in_flight: int
    """Calls that the killed processes had in flight."""
    unexplained_usd: Decimal
    """The bill, less settled calls, less exactly those of unknown outcome."""
    n_left: int
    """Leases and unpublished answers that nobody holds or waits for any more."""
    after_reconcile_usd: Decimal
    """The same difference, summed over the ledger, ``cost_daily`` and the budgets, when reconciliation is done."""

    @property
    def is_clean(self) -> bool:
        """Say whether nothing was lost, doubled or paid beyond what was in flight."""
        wrong = self.n_lost, self.n_doubled, self.n_unrecorded, self.unexplained_usd, self.n_left, self.after_reconcile_usd
        return not any(wrong) and self.n_paid_again <= self.n_in_flight


def judge(trial: Trial, n_items: int) -> Verdict:
    """Compare what stands in the lake and in the state store with the documents and with the bill, then reconcile and compare again."""
    settings, bill = trial.settings, trial.simulator.bill()
    lake = Lake(settings.lake)
    with engine_of(settings) as state:
        results, rejects, calls = (read(lake, name).to_pylist() for name in (f"results/{SKILL}", "rejects", "llm_calls"))
        ended = [row["item_id"] for row in (*results, *rejects)]
        kept = {row["call_id"]: row for row in rows_of(state)}
        billed = {line["call_id"]: Decimal(line["amount_usd"]) for line in bill["lines"]}
        asked = Counter((kept[call]["item_id"], kept[call]["request_hash"]) for call in billed if call in kept)
        settled = {c["call_id"]: c["cost_usd"] for c in calls if c["status"] == "settled"}
        unknown = {c["call_id"] for c in calls if c["status"] == "unknown"}
        wrong = {call for call in billed.keys() | settled.keys() if call not in unknown and billed.get(call) != settled.get(call)}
        seen = {call["call_id"] for call in trial.simulator.calls()}
        verdict = {
            "n_lost": n_items - len(set(ended)),
            "n_doubled": len(ended) - len(set(ended)) + len(calls) - len({c["call_id"] for c in calls}),
            "n_unrecorded": len(seen - {c["call_id"] for c in calls}),
            "n_paid_again": sum(n - 1 for n in asked.values()),
            "n_in_flight": len(frozenset().union(*(k.in_flight for k in trial.killed))),
            "unexplained_usd": sum((abs(billed.get(call, ZERO) - settled.get(call, ZERO)) for call in wrong), ZERO),
            "n_left": _n_left(state),
        }
        return Verdict(**verdict, after_reconcile_usd=_after_reconcile(trial, state, bill))


def _n_left(state: Engine) -> int:
    with reading(state) as connection:
        n_leases = connection.execute(select(func.count()).select_from(LEASES)).scalar_one()
        n_answers = connection.execute(select(func.count()).select_from(ANSWERS).where(ANSWERS.c.published_at.is_(None))).scalar_one()
    return int(n_leases + n_answers)


def _after_reconcile(trial: Trial, state: Engine, bill: Mapping[str, Any]) -> Decimal:
    """Reconcile with the bill; return by how much ledger, lake, attribution and budgets then differ from it, all together."""
    settings, file = trial.settings, trial.folder / "bill.json"
    file.write_text(json.dumps(bill))
    today, total = datetime.now(UTC).date(), Decimal(bill["total_usd"])
    deployments = frozenset(row["deployment"] for row in rows_of(state))
    done = reconcile(settings, file, Coverage(today - timedelta(days=1), today, deployments))
    lake, rows = Lake(settings.lake), rows_of(state)
    if done.n_open or done.n_in_flight or done.n_differing or {row["status"] for row in rows} - {"settled", "failed", "cached"}:
        raise TrialFailed(f"reconciliation left something: {done}")
    sums = [sum((row["cost_usd"] or ZERO for row in rows), ZERO), spent(state, f"run|{SKILL}|%")]
    sums += [sum(read(lake, table, ["cost_usd"])["cost_usd"].to_pylist(), ZERO) for table in ("llm_calls", "cost_daily")]
    return abs(done.difference_usd) + sum((abs(total - found) for found in sums), reserved(state))


def rows_of(state: Engine) -> list[dict[str, Any]]:
    """Return the ledger as the state store has it."""
    with reading(state) as connection:
        return [dict(row) for row in connection.execute(select(ATTEMPTS)).mappings()]


def spent(state: Engine, counters: str) -> Decimal:
    """Return what budget counters like this have spent."""
    with reading(state) as connection:
        rows = connection.execute(select(BUDGETS.c.spent_usd).where(BUDGETS.c.counter.like(counters)))
        return sum((row.spent_usd for row in rows), ZERO)


def reserved(state: Engine) -> Decimal:
    """Return what is reserved in all counters together."""
    with reading(state) as connection:
        return sum((row.reserved_usd for row in connection.execute(select(BUDGETS.c.reserved_usd))), ZERO)


@contextmanager
def engine_of(settings: Settings) -> Iterator[Engine]:
    """Lend an engine on the state store."""
    engine = open_state(settings.state)
    try:
        yield engine
    finally:
        engine.dispose()


def n_deadlocks(settings: Settings) -> int:
    """Return how many deadlocks a state store on PostgreSQL has had to break; on SQLite there are none."""
    with engine_of(settings) as state, state.connect() as connection:
        if state.dialect.name == "sqlite":
            return 0
        return int(connection.execute(text("SELECT sum(deadlocks) FROM pg_stat_database")).scalar_one())


def seed(settings: Settings, n_items: int) -> None:
    """Publish so many documents."""
    publish_texts(settings, mails(n_items))
