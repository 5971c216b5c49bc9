"""What was spent, by whom, on what: each module adds its commands to the group."""

from skillyard.cli.cost import anomalies, attribute, calls, focus, forecast, planning, reconcile, report, savings
from skillyard.cli.cost.group import app

__all__ = ["anomalies", "app", "attribute", "calls", "focus", "forecast", "planning", "reconcile", "report", "savings"]
