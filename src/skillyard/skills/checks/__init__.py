"""Named checks, by what they look at: importing this package registers all of them."""

from skillyard.skills.checks import fields, numbers, texts
from skillyard.skills.checks.registry import CHECKS, Answer, CheckFailure, bind, check, run_checks, values_at

__all__ = ["CHECKS", "Answer", "CheckFailure", "bind", "check", "fields", "numbers", "run_checks", "texts", "values_at"]
