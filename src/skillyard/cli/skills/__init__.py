"""The catalogue of skills: each module adds its commands to the group."""

from skillyard.cli.skills import catalogue, checking, evaluation, making
from skillyard.cli.skills.group import app

__all__ = ["app", "catalogue", "checking", "evaluation", "making"]
