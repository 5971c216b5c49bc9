"""OpenAI's reports: organization costs by line item, and token counts of completions by model, from the API or the dashboard's exports.

Shapes: https://platform.openai.com/docs/api-reference/usage/costs and …/usage/completions (pages of buckets, one a UTC day; an amount is
``{"value", "currency"}``). The dashboard exports the same as CSV, a row per bucket and group, with empty rows for days without charges.
A line item names model and part: ``gpt-5.5-2026-04-23, cached input``, ``priority | gpt-5.6-sol, output, long context``.
``input_tokens`` count cached and cache-write tokens too: they are taken out here, for the meters of the ledger are disjoint.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from skillyard.costs.reconciling.cost_reports.files import Page, missing, read_rows
from skillyard.costs.reconciling.cost_reports.gathered import Gathered, read_buckets
from skillyard.costs.reconciling.cost_reports.report import (
    REQUESTS,
    Charge,
    TokenCount,
    amount,
    count,
    shown,
    usd,
    whole_day,
)
from skillyard.errors import ConfigError

COSTS = "start_time", "end_time", "amount_value", "amount_currency", "line_item"
USAGE = "start_time", "end_time", "model", "input_tokens", "output_tokens"
TIERS = ("batch", "flex", "priority")
PART_WORDS = {
    "input": "input",
    "cached input": "cache_read",
    "cache write": "cache_write",
    "cache write input": "cache_write",
    "output": "output",
}
ASK = "Ask the costs by line item (group_by=line_item, or the dashboard's export grouped so), and the usage by model."


def read_pages(pages: Sequence[Page], today: date, found: Gathered) -> None:
    """Read an API's answers: pages of costs and of usage in any order."""

    def interval(bucket: Mapping[str, Any], where: str) -> tuple[datetime, datetime]:
        return _epoch(bucket, "start_time", where), _epoch(bucket, "end_time", where)

    def read(result: Mapping[str, Any], day: date, where: str) -> None:
        project = str(result.get("project_id") or "")
        if "input_tokens" in result:
            found.counts += _token_counts(result, day, project, where)
            return
        money = result.get("amount")
        if not isinstance(money, dict):
            raise ConfigError(f"{where}: it has neither an amount nor input_tokens.")
        usd(money.get("currency"), where)
        _add_charge(result, amount(money.get("value"), "amount.value", where), day, project, where, found)

    read_buckets(pages, today, found, interval, lambda result: "input_tokens" in result, read)


def read_export(path: Path, today: date, found: Gathered) -> None:
    """Read an exported CSV of costs or of usage."""
    names, rows = read_rows(path)
    is_usage = "input_tokens" in names
    wanted = USAGE if is_usage else COSTS
    if not set(wanted) <= set(names):
        raise missing(names, wanted, path, ASK)
    days = set()
    for row, where in rows:
        day = whole_day(_epoch(row, "start_time", where), _epoch(row, "end_time", where), today, where)
        days.add(day)
        project = row.get("project_id", "")
        if is_usage and row["model"]:
            found.counts += _token_counts(row, day, project, where)
        elif is_usage and count(row["input_tokens"], "input_tokens", where):
            raise ConfigError(f"{where}: the model is empty. {ASK}")
        elif not is_usage and row["amount_value"]:
            usd(row["amount_currency"], where)
            _add_charge(row, amount(row["amount_value"], "amount_value", where), day, project, where, found)
    found.add_days(days, path.name, "usage" if is_usage else "costs")


def _add_charge(row: Mapping[str, Any], money: Any, day: date, project: str, where: str, found: Gathered) -> None:
    item = row.get("line_item")
    if not item:
        raise ConfigError(f"{where}: line_item is empty. {ASK}")
    model, service_tier, part = parse_item(str(item))
    found.charges.append(Charge(day, str(item), model, bool(model) and part is not None, money, project))
    if part in PART_WORDS.values() and row.get("quantity_unit") == "tokens":
        found.quantities.append(TokenCount(day, model, service_tier, str(part), count(row.get("quantity"), "quantity", where), project))


def parse_item(item: str) -> tuple[str, str, str | None]:
    """Return model, service tier and part of a line item; part is '' where it names a model alone, None where it is no token charge."""
    head, *rest = (piece.strip() for piece in item.split(","))
    lead, _, name = head.rpartition("|")
    words = (name or head).split()
    named = [word.lower() for word in (*lead.split(), *words[1:])]
    service_tier = next((tier for tier in TIERS if tier in named), "standard")
    if not rest:
        is_model = len([w for w in words if w.lower() not in TIERS]) == 1 and re.search(r"\d", head) is not None
        return (words[0], service_tier, "") if is_model else ("", "standard", None)
    part = re.sub(r"[ _]tokens$", "", rest[0].lower()).replace("_", " ")
    service_tier = next((tier for tier in TIERS if tier in rest[1:]), service_tier)
    return words[0], service_tier, PART_WORDS.get(part)


def _token_counts(row: Mapping[str, Any], day: date, project: str, where: str) -> Iterator[TokenCount]:
    model = row.get("model")
    if not model:
        raise ConfigError(f"{where}: the model is empty. {ASK}")
    total, cached, written = (
        count(row.get(f"input{name}_tokens"), f"input{name}_tokens", where) for name in ("", "_cached", "_cache_write")
    )
    if cached + written > total:
        raise ConfigError(
            f"{where}: input_tokens are {total}, fewer than the {cached + written} of them that were read from or written to a cache."
        )
    service_tier = _service_tier(row, where)
    parts = {
        "input": total - cached - written,
        "cache_read": cached,
        "cache_write": written,
        "output": count(row.get("output_tokens"), "output_tokens", where),
        REQUESTS: count(row.get("num_model_requests"), "num_model_requests", where),
    }
    for part, n in parts.items():
        yield TokenCount(day, str(model), service_tier, part, n, project)


def _service_tier(row: Mapping[str, Any], where: str) -> str:
    if str(row.get("batch") or "").lower() == "true":
        return "batch"
    tier = str(row.get("service_tier") or "default").lower()
    if tier not in ("default", "standard", "auto", *TIERS):
        raise ConfigError(f"{where}: service_tier is {shown(tier)}: allowed are default, {', '.join(TIERS)}.")
    return tier if tier in TIERS else "standard"


def _epoch(row: Mapping[str, Any], name: str, where: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(row[name]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ConfigError(f"{where}: {name} is {shown(row.get(name))}: it has to be a time in seconds since 1970.") from None
