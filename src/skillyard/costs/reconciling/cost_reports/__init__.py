"""Providers' own cost reports: what they ask for by day and model, from their APIs or their exported files."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from skillyard.costs.reconciling.cost_reports import anthropic, bedrock, files, openai
from skillyard.costs.reconciling.cost_reports.gathered import Gathered
from skillyard.costs.reconciling.cost_reports.report import PROVIDERS, CostReport, narrowed
from skillyard.errors import UnknownName

__all__ = ["PROVIDERS", "CostReport", "narrowed", "read_answers", "read_report"]

_READ_PAGES: dict[str, Callable[[Sequence[files.Page], date, Gathered], None]] = {
    "openai": openai.read_pages,
    "anthropic": anthropic.read_pages,
    "bedrock": bedrock.read_pages,
}
_READ_EXPORT: dict[str, Callable[[Path, date, Gathered], None]] = {
    "openai": openai.read_export,
    "anthropic": anthropic.read_export,
    "bedrock": bedrock.read_export,
}


def read_report(provider: str, paths: Sequence[Path], today: date) -> CostReport:
    """Return the report that files make up; ConfigError names the file and the place of what is malformed, or not over ``today`` (UTC)."""
    if provider not in PROVIDERS:
        raise UnknownName("provider", provider, PROVIDERS)
    found, pages = Gathered(), []
    for path in paths:
        if files.is_json(path):
            pages += files.read_pages(path)
        else:
            _READ_EXPORT[provider](path, today, found)
    _READ_PAGES[provider](pages, today, found)
    return found.report(provider, ", ".join(path.name for path in paths))


def read_answers(provider: str, pages: Sequence[files.Page], today: date) -> CostReport:
    """Return the report that an API's answers make up."""
    found = Gathered()
    _READ_PAGES[provider](pages, today, found)
    return found.report(provider, "api")
