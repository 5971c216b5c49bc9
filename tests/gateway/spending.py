"""Processes that spend against the same limits, and what each limit then shows: in our ledger and on the provider's bill."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from multiprocessing.process import BaseProcess

from sqlalchemy import Engine

from skillyard.costs.prices.book import load_prices
from skillyard.gateway.budgets import Limits, balances_of, counters_of
from skillyard.gateway.complete import BudgetExhausted, Gateway, ProviderUnavailable
from skillyard.gateway.request import Request, upper_bound
from skillyard.gateway.state import open_state, reading
from skillyard.profiles import load_profile
from skillyard.settings import Settings
from skillyard.skills.teams import Budget
from tests.running.trials import KILLED, PATIENCE_S, engine_of, rows_of, start
from tests.simulator import Simulator

TEAM = "records"
TIER = "standard"
CALLS = {"latency": {"kind": "fixed", "ms": 200}, "output_tokens": {"median": 200, "sigma": 0.8}}
"""How the simulator answers: slowly enough to be asked by all at once, at lengths that nobody knows before."""
N_AT_ONCE = 8
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Spender:
    """One process and what it would like to ask: things of random size, none of which another process asks."""

    number: int
    skill: str
    run_id: str
    limits: Limits
    n_requests: int

    def requests(self) -> Iterator[Request]:
        """Yield its requests."""
        rng = random.Random(f"{self.skill} {self.number}")
        for n in range(self.n_requests):
            item, text = f"{self.skill}-{self.number}-{n}", "an item of an invoice, " * rng.randint(10, 250)
            max_tokens = rng.randint(50, 1500)
            messages = [{"role": "user", "content": f"{item}: {text}"}]
            who = (self.run_id, "cli", TEAM, self.skill, "f" * 64, item, item, TIER)
            yield Request(*who, messages, None, max_tokens, timeout_s=30)


def spend(settings: Settings, spender: Spender) -> None:
    """Ask all of it, as much at once as a shard would; what does not fit is left."""
    asyncio.run(_ask_all(settings, spender))


async def _ask_all(settings: Settings, spender: Spender) -> None:
    profile = load_profile(settings.profile, settings.include)
    gateway = Gateway(open_state(settings.state), profile, load_prices(settings), spender.limits)
    waiting = spender.requests()

    async def work() -> None:
        for request in waiting:
            try:
                await gateway.complete(request)
            except (BudgetExhausted, ProviderUnavailable):
                continue

    async with asyncio.TaskGroup() as group:
        for _ in range(N_AT_ONCE):
            group.create_task(work())
    await gateway.stop()


def largest_reservation(settings: Settings, spenders: Sequence[Spender]) -> Decimal:
    """Return the upper bound of the dearest request."""
    (deployment,) = load_profile(settings.profile, settings.include).deployments(TIER)
    prices, now = load_prices(settings), datetime.now(UTC)
    return max(upper_bound(r, deployment, prices, r.max_tokens, now) for s in spenders for r in s.requests())


@dataclass(slots=True)
class Watched:
    """What was seen of some limits while processes spent against them."""

    hard_usd: dict[str, Decimal]
    """By counter."""
    most_usd: dict[str, Decimal] = field(default_factory=dict)
    """By counter: the most that was spent and reserved together."""
    n_samples: int = 0
    n_killed: int = 0
    n_failed: int = 0
    """Processes that ended with an error, or did not end."""

    @property
    def over_usd(self) -> Decimal:
        """By how much limits were crossed at any moment that was looked at."""
        return sum((max(ZERO, self.most_usd[counter] - usd) for counter, usd in self.hard_usd.items()), ZERO)


def hard(per: str, usd: Decimal, skill: str | None = None) -> Budget:
    """Return a hard limit."""
    return Budget(skill, per, None, usd, "alert")  # type: ignore[arg-type]


def spend_together(settings: Settings, simulator: Simulator, spenders: Sequence[Spender], kill_at: Sequence[int] = ()) -> Watched:
    """Let all of them spend at the same time, kill one whenever so many requests have come in, and look at the limits all the while."""
    today = datetime.now(UTC).date()
    watched = Watched({x.counter: x.hard_usd for s in spenders for x in s.limits.on(today) if x.hard_usd is not None})
    moments, rng, began = sorted(kill_at), random.Random(0), time.monotonic()
    processes = [start(spend, settings, spender) for spender in spenders]
    with engine_of(settings) as state:
        while any(p.is_alive() for p in processes) and time.monotonic() - began < PATIENCE_S:
            _look(state, watched)
            if moments and simulator.stats()["n_requests"] >= moments[0]:
                moments.pop(0)
                watched.n_killed += _kill_one(state, processes, rng)
            time.sleep(0.02)
        _look(state, watched)
    for process in processes:
        watched.n_failed += process.is_alive() or process.exitcode not in (0, KILLED)
        process.kill()
    return watched


def _kill_one(state: Engine, processes: list[BaseProcess], rng: random.Random) -> bool:
    """Kill a process that has calls in flight."""
    busy = {int(row["owner"].split(":")[1]) for row in rows_of(state) if row["status"] == "sent"}
    victim = rng.choice([p for p in processes if p.is_alive() and p.pid in busy] or processes)
    victim.kill()
    victim.join()
    return victim.exitcode == KILLED


def _look(state: Engine, watched: Watched) -> None:
    with reading(state) as connection:
        balances = balances_of(connection, watched.hard_usd)
    for counter, balance in balances.items():
        watched.most_usd[counter] = max(watched.most_usd.get(counter, ZERO), balance.spent_usd + balance.reserved_usd)
    watched.n_samples += 1


@dataclass(frozen=True, slots=True)
class Spent:
    """What one round of spending came to, when everybody has ended."""

    watched: Watched
    billed_usd: dict[str, Decimal]
    """By counter, what the provider bills for its calls."""
    held_usd: dict[str, Decimal]
    """By counter, what is spent, and reserved by calls of unknown outcome."""
    unexplained_usd: Decimal
    """Over all calls: billed less settled, but for the unknown ones. Over all counters: what they hold beside the rows they count."""
    n_statuses: Counter[str]
    n_asked_again: int
    """Requests that were settled more than once."""
    largest_usd: Decimal
    """The largest reservation that was asked for."""

    @property
    def overspend_usd(self) -> Decimal:
        """Beyond the limits: on the bill, or in the ledger at any moment."""
        over = (self.billed_usd.get(counter, ZERO) - usd for counter, usd in self.watched.hard_usd.items())
        return self.watched.over_usd + sum((max(ZERO, usd) for usd in over), ZERO)

    def used(self, counter: str) -> Decimal:
        """Return the part of a limit that is taken."""
        return self.held_usd[counter] / self.watched.hard_usd[counter]

    def is_full(self, counter: str) -> bool:
        """Say whether a limit has no room for the largest request."""
        return self.watched.hard_usd[counter] - self.held_usd[counter] < self.largest_usd


def against_one_limit(settings: Settings, simulator: Simulator, n_processes: int, n_requests: int, times: int) -> Spent:
    """Spend against a month's limit of the team, so many times as large as the largest reservation."""
    simulator.configure(models={f"sim-{TIER}": CALLS})
    spenders = _spenders(n_processes, n_requests, {"tag": ()})
    budgets = (hard("month", times * largest_reservation(settings, spenders)),)
    return _round(settings, simulator, _spenders(n_processes, n_requests, {"tag": budgets}))


def side_by_side(settings: Settings, simulator: Simulator, n_processes: int, n_requests: int, times: int) -> tuple[Spent, Spent]:
    """Spend in two runs at once against limits of run, day, month and skill; attempts fail, processes are killed; then limits are raised.

    First the skill ``tag`` and the run of ``sort`` come to their limits; when these are raised, the team comes to that of its day.
    """
    simulator.configure(models={f"sim-{TIER}": CALLS | {"faults": {"server_error": 0.05}}})
    unit = times * largest_reservation(settings, _spenders(n_processes, n_requests, {"tag": (), "sort": ()}))
    team = (hard("day", unit * 3), hard("month", unit * 4))

    def spenders(tag_usd: Decimal, sort_usd: Decimal) -> list[Spender]:
        tag, sort = (hard("month", tag_usd, "tag"), hard("run", unit * 4)), (hard("month", unit * 4, "sort"), hard("run", sort_usd))
        return _spenders(n_processes, n_requests, {"tag": (*team, *tag), "sort": (*team, *sort)})

    first = _round(settings, simulator, spenders(unit, unit * Decimal("1.2")), kill_at=(10 * times // 25, times))
    return first, _round(settings, simulator, spenders(unit * 2, unit * 2), kill_at=())


def _spenders(n_processes: int, n_requests: int, budgets: Mapping[str, tuple[Budget, ...]]) -> list[Spender]:
    """Return as many processes for each skill, which has a run of its own."""
    skills = list(budgets)
    return [
        Spender(n, skill, f"run of {skill}", Limits(TEAM, skill, f"run of {skill}", budgets[skill]), n_requests)
        for n in range(n_processes)
        for skill in [skills[n % len(skills)]]
    ]


def _round(settings: Settings, simulator: Simulator, spenders: Sequence[Spender], kill_at: Sequence[int] = ()) -> Spent:
    """Spend, then compare bill, ledger and counters."""
    watched = spend_together(settings, simulator, spenders, kill_at)
    billed = {line["call_id"]: Decimal(line["amount_usd"]) for line in simulator.bill()["lines"]}
    bills, rows_usd = defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
    unexplained, asked = ZERO, Counter[str]()
    with engine_of(settings) as state:
        rows = rows_of(state)
        for row in rows:
            usd, is_open = billed.pop(row["call_id"], ZERO), row["status"] in ("sent", "unknown")
            unexplained += ZERO if is_open else abs(usd - row["cost_usd"])
            asked[row["item_id"]] += row["status"] == "settled"
            for counter in counters_of(row):
                bills[counter] += usd
                rows_usd[counter] += row["reserved_usd"] if is_open else row["cost_usd"]
        with reading(state) as connection:
            held = {counter: b.spent_usd + b.reserved_usd for counter, b in balances_of(connection, bills).items()}
    unexplained += sum(billed.values(), ZERO) + sum((abs(held[c] - rows_usd[c]) for c in held), ZERO)
    statuses, again = Counter(row["status"] for row in rows), sum(n - 1 for n in asked.values() if n > 1)
    return Spent(watched, dict(bills), held, unexplained, statuses, again, largest_reservation(settings, spenders))
