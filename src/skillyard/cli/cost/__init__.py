"""What was spent, by whom, on what: each module adds its commands to the group."""

from skillyard.cli.cost import attribute, calls, focus, planning, reconcile, report
from skillyard.cli.cost.group import app

__all__ = ["app", "attribute", "calls", "focus", "planning", "reconcile", "report"]
