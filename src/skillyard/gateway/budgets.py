"""Budgets: what every attempt counts in, the limits that hold for a run, and the decision whether an attempt may leave.

An attempt is counted by team and by team and skill, each for its UTC day and month, and by run, whether or not a limit is set there:
a limit that is written later finds what was already spent. ``spent_usd`` holds settled costs; ``reserved_usd`` the upper bounds of
attempts on their way and of those whose outcome nobody knows. A hard limit bounds the sum of both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from skillyard.gateway.dialect import insert_missing
from skillyard.gateway.state import BUDGETS, Usd
from skillyard.skills.teams import Budget, Team


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit that holds for a run's attempts on one day."""

    counter: str
    label: str
    """For messages, such as ``team records, month 2026-11``."""
    soft_usd: Decimal | None
    hard_usd: Decimal | None
    lowers_tier: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one run: those of its team and skill, and the run's own."""

    team: str
    skill: str
    run_id: str
    budgets: tuple[Budget, ...] = ()
    run_usd: Decimal | None = None

    @classmethod
    def of(cls, team: Team, skill: str, run_id: str, run_usd: Decimal | None = None) -> "Limits":
        """Return those of a team's budgets that concern the skill."""
        return cls(team.name, skill, run_id, tuple(b for b in team.budgets if b.skill in (None, skill)), run_usd)

    def on(self, day: date) -> list[Limit]:
        """Return the limits that hold on a UTC day."""
        found = [self._limit(budget, day) for budget in self.budgets]
        if self.run_usd is not None:
            found.append(Limit(f"run|{self.skill}|{self.run_id}", f"run {self.run_id}", None, self.run_usd, False))
        return found

    def _limit(self, budget: Budget, day: date) -> Limit:
        period = {"day": f"{day}", "month": f"{day:%Y-%m}", "run": self.run_id}[budget.per]
        counter = f"run|{self.skill}|{period}" if budget.per == "run" else f"{self.team}|{budget.skill or '*'}|{period}"
        label = f"team {self.team}{f', skill {budget.skill}' if budget.skill else ''}, {budget.per} {period}"
        return Limit(counter, label, budget.soft_usd, budget.hard_usd, budget.on_soft == "lower_tier")


@dataclass(slots=True)
class Balance:
    """One counter inside a transaction."""

    spent_usd: Decimal = Decimal(0)
    reserved_usd: Decimal = Decimal(0)
    is_alerted: bool = False


def counters_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the five counters of an attempt, given its team, skill, run_id and sent_at."""
    team, skill, day = row["team"], row["skill"], row["sent_at"].date()
    month = f"{day:%Y-%m}"
    return (f"{team}|*|{month}", f"{team}|*|{day}", f"{team}|{skill}|{month}", f"{team}|{skill}|{day}", f"run|{skill}|{row['run_id']}")


def lock_balances(connection: Connection, counters: Iterable[str]) -> dict[str, Balance]:
    """Return the counters' balances, locked until the transaction ends; missing ones are made. Always in one order, against deadlocks."""
    names = sorted(set(counters))
    found = _read(connection, names)
    if missing := [name for name in names if name not in found]:
        insert_missing(connection, BUDGETS, [{"counter": name} for name in missing])
        found = _read(connection, names)
    return found


def refused_by(limits: Iterable[Limit], balances: Mapping[str, Balance], usd: Decimal) -> Limit | None:
    """Return the first hard limit that a further reservation would cross."""
    for limit in limits:
        balance = balances[limit.counter]
        if limit.hard_usd is not None and balance.spent_usd + balance.reserved_usd + usd > limit.hard_usd:
            return limit
    return None


def soft_reached(limits: Iterable[Limit], balances: Mapping[str, Balance]) -> list[Limit]:
    """Return the soft limits that settled costs have reached."""
    return [x for x in limits if x.soft_usd is not None and balances[x.counter].spent_usd >= x.soft_usd]


def move(connection: Connection, changes: Mapping[str, tuple[Decimal, Decimal]]) -> None:
    """Add (spent, reserved) to counters, which exist."""
    rows = [{"own": counter, "spent": spent, "reserved": reserved} for counter, (spent, reserved) in sorted(changes.items())]
    if rows:
        connection.execute(_MOVE, rows)


def note_alerts(connection: Connection, counters: Iterable[str], at: Any) -> None:
    """Remember that the soft limits of these counters were told, so that they are told once."""
    for counter in sorted(set(counters)):
        connection.execute(update(BUDGETS).where(BUDGETS.c.counter == counter).values(alerted_at=at))


def balances_of(connection: Connection, counters: Iterable[str]) -> dict[str, Balance]:
    """Return balances as they are, without a lock; a counter that does not exist yet is empty."""
    names = list(counters)
    rows = connection.execute(select(BUDGETS).where(BUDGETS.c.counter.in_(names))).mappings()
    found = {r["counter"]: Balance(r["spent_usd"], r["reserved_usd"], r["alerted_at"] is not None) for r in rows}
    return {name: found.get(name, Balance()) for name in names}


def _read(connection: Connection, names: list[str]) -> dict[str, Balance]:
    rows = connection.execute(_LOCK, {"names": names})
    return {r.counter: Balance(r.spent_usd, r.reserved_usd, r.alerted_at is not None) for r in rows}


_LOCK = select(BUDGETS).where(BUDGETS.c.counter.in_(bindparam("names", expanding=True))).order_by(BUDGETS.c.counter).with_for_update()
_MOVE = (
    update(BUDGETS)
    .where(BUDGETS.c.counter == bindparam("own"))
    .values(
        spent_usd=BUDGETS.c.spent_usd + bindparam("spent", type_=Usd),
        reserved_usd=BUDGETS.c.reserved_usd + bindparam("reserved", type_=Usd),
    )
)
