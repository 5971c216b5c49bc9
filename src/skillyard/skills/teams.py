"""The teams that own skills and pay for their runs, and what they may spend."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from skillyard.errors import UnknownName
from skillyard.skills.errors import SkillError

if TYPE_CHECKING:
    from skillyard.skills.spec import BudgetSpec


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on what a team spends, in all or on one of its skills. At least one of the two amounts is set."""

    skill: str | None
    """None: on everything that the team pays."""
    per: Literal["run", "day", "month"]
    """Days and months are UTC."""
    soft_usd: Decimal | None
    hard_usd: Decimal | None
    """Never exceeded; 0 lets nothing be spent."""
    on_soft: Literal["alert", "lower_tier"]
    """What happens from the soft limit on: a warning, or a warning and a lower first tier."""


@dataclass(frozen=True, slots=True)
class Team:
    """An owner."""

    name: str
    title: str
    contact: str
    budgets: tuple[Budget, ...]
    approval_above_usd: Decimal | None
    """A run that may cost more waits for a person. None: no run waits."""


def load_teams(path: Path) -> dict[str, Team]:
    """Return the teams by name; SkillError names the field that is wrong."""
    from skillyard.skills.spec import TeamsSpec, read_yaml

    file, teams = str(path), read_yaml(TeamsSpec, path).teams
    if "run" in teams:
        raise SkillError(file, "teams.run", "a team cannot be named run: the budget counters of runs are. Choose another name")
    return {
        name: Team(name, t.title, t.contact, _budgets(t.budgets, file, f"teams.{name}.budgets"), _usd(t.approval_above_usd))
        for name, t in teams.items()
    }


def check_teams(teams: Mapping[str, Team], skills: Collection[str], file: str = "teams.yaml") -> None:
    """Raise SkillError when a budget names a skill that does not exist: its limit would hold for nothing."""
    for team in teams.values():
        for number, budget in enumerate(team.budgets):
            if budget.skill is not None and budget.skill not in skills:
                near = get_close_matches(budget.skill, skills)
                hint = f"; did you mean {' or '.join(near)}?" if near else ""
                said = f"found {budget.skill!r}, and there is no such skill{hint} (`skillyard skills list` shows them all)"
                raise SkillError(file, f"teams.{team.name}.budgets.{number}.skill", said)


def find_team(teams: Mapping[str, Team], name: str) -> Team:
    """Return one team; UnknownName lists the others."""
    if name not in teams:
        raise UnknownName("team", name, teams)
    return teams[name]


def _budgets(specs: "list[BudgetSpec]", file: str, field: str) -> tuple[Budget, ...]:
    """Return the limits of one team, each checked alone and against the others."""
    seen = set()
    for number, spec in enumerate(specs):
        _check_amounts(spec, file, f"{field}.{number}")
        if (spec.skill, spec.per) in seen:
            raise SkillError(
                file, f"{field}.{number}", f"a second limit per {spec.per} on {spec.skill or 'the whole team'}: keep one of them"
            )
        seen.add((spec.skill, spec.per))
    return tuple(Budget(s.skill, s.per, _usd(s.soft_usd), _usd(s.hard_usd), s.on_soft or "alert") for s in specs)


def _check_amounts(spec: "BudgetSpec", file: str, field: str) -> None:
    """Raise SkillError for a limit that limits nothing or contradicts itself."""
    soft, hard = _usd(spec.soft_usd), _usd(spec.hard_usd)
    if soft is None and hard is None:
        raise SkillError(file, field, "neither soft_usd nor hard_usd is set: give one of them, or both")
    if soft == 0:
        raise SkillError(file, f"{field}.soft_usd", "found 0, which has to be above 0")
    if soft is not None and hard is not None and soft > hard:
        raise SkillError(file, f"{field}.soft_usd", f"found {soft}, which is above hard_usd {hard}")
    if spec.on_soft is not None and soft is None:
        raise SkillError(file, f"{field}.on_soft", f"found {spec.on_soft!r} without a soft_usd that it could follow")


def _usd(amount: str | None) -> Decimal | None:
    return None if amount is None else Decimal(amount)
