"""Providers' own cost reports: what they ask for by day and model, from their APIs or their exported files."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from skillyard.costs.reconciling.cost_reports import anthropic, bedrock, openai
from skillyard.costs.reconciling.cost_reports.report import PROVIDERS, CostReport, narrowed
from skillyard.errors import UnknownName

__all__ = ["PROVIDERS", "CostReport", "narrowed", "read_report"]


def read_report(provider: str, paths: Sequence[Path], today: date) -> CostReport:
    """Return the report that files make up; ConfigError names the file and the place of what is malformed, or not over ``today`` (UTC)."""
    readers = {"openai": openai.read_files, "anthropic": anthropic.read_files, "bedrock": bedrock.read_files}
    if provider not in readers:
        raise UnknownName("provider", provider, PROVIDERS)
    return readers[provider](paths, today)
