"""The teams that own skills and pay for their runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from skillyard.errors import UnknownName


@dataclass(frozen=True, slots=True)
class Team:
    """An owner."""

    name: str
    title: str
    contact: str
    monthly_budget_usd: Decimal | None


def load_teams(path: Path) -> dict[str, Team]:
    """Return the teams by name; SkillError names the field that is wrong."""
    from skillyard.skills.spec import TeamsSpec, read_yaml

    return {
        name: Team(name, team.title, team.contact, None if team.monthly_budget_usd is None else Decimal(team.monthly_budget_usd))
        for name, team in read_yaml(TeamsSpec, path).teams.items()
    }


def find_team(teams: Mapping[str, Team], name: str) -> Team:
    """Return one team; UnknownName lists the others."""
    if name not in teams:
        raise UnknownName("team", name, teams)
    return teams[name]
