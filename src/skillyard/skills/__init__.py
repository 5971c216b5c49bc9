"""Skills: one folder becomes one ``Skill``; the catalogue; output schemas; named checks."""

from skillyard.skills.applies import applies
from skillyard.skills.catalogue import Catalogue
from skillyard.skills.checks import CheckFailure, run_checks
from skillyard.skills.errors import OutputError, SkillError
from skillyard.skills.output import parse_output
from skillyard.skills.skill import AppliesTo, Check, Label, Limits, Parameter, Skill, Taken, Where
from skillyard.skills.source import Source
from skillyard.tiers import TIERS

__all__ = [
    "TIERS",
    "AppliesTo",
    "Catalogue",
    "Check",
    "CheckFailure",
    "Label",
    "Limits",
    "OutputError",
    "Parameter",
    "Skill",
    "SkillError",
    "Source",
    "Taken",
    "Where",
    "applies",
    "parse_output",
    "run_checks",
]
