"""Anthropic's reports: costs by description, and token counts of messages by model, from the Admin API or the Console's exports.

Shapes: https://platform.claude.com/docs/en/api/admin/cost_report (``amount`` is a decimal string of **cents**: "123.45" is 1.2345 USD) and
…/admin/usage_report/retrieve_messages, pages of buckets, one a UTC day. The Console exports costs as CSV in USD, with the models' display
names (``Claude Haiku 4.5``), and usage as CSV of its own. Priority Tier is not part of the cost report.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from skillyard.costs.reconciling.cost_reports.files import Page, missing, read_rows
from skillyard.costs.reconciling.cost_reports.gathered import Gathered, read_buckets
from skillyard.costs.reconciling.cost_reports.report import Charge, TokenCount, amount, count, moment, over, usd
from skillyard.errors import ConfigError

CENT = Decimal("0.01")
COSTS = "usage_date_utc", "model", "token_type", "cost_usd"
USAGE = "usage_date_utc", "model_version", "usage_input_tokens_no_cache", "usage_output_tokens"
TOKENS = {"uncached_input_tokens": "input", "cache_read_input_tokens": "cache_read", "output_tokens": "output"}
CREATED = {"ephemeral_5m_input_tokens": "cache_write", "ephemeral_1h_input_tokens": "cache_write_1h"}
EXPORTED = {
    "usage_input_tokens_no_cache": "input",
    "usage_input_tokens_cache_read": "cache_read",
    "usage_input_tokens_cache_write_5m": "cache_write",
    "usage_input_tokens_cache_write_1h": "cache_write_1h",
    "usage_output_tokens": "output",
}
ASK = "Ask the costs with group_by[]=description, and the usage with group_by[]=model and group_by[]=service_tier."
TIERS = {"batch": "batch", "priority": "priority", "priority_on_demand": "priority", "flex": "flex", "flex_discount": "flex"}


def read_pages(pages: Sequence[Page], today: date, found: Gathered) -> None:
    """Read an API's answers: pages of costs and of usage in any order."""

    def interval(bucket: Mapping[str, Any], where: str) -> tuple[datetime, datetime]:
        return moment(bucket.get("starting_at"), where), moment(bucket.get("ending_at"), where)

    def read(result: Mapping[str, Any], day: date, where: str) -> None:
        workspace = str(result.get("workspace_id") or "default")
        if "output_tokens" in result:
            found.counts += _token_counts(result, day, workspace, where)
        else:
            found.charges.append(_charge(result, day, workspace, where))

    read_buckets(pages, today, found, interval, lambda result: "output_tokens" in result, read)


def _charge(result: Mapping[str, Any], day: date, workspace: str, where: str) -> Charge:
    usd(result.get("currency"), where)
    if not result.get("description"):
        raise ConfigError(f"{where}: the description is empty. {ASK}")
    cents = result.get("amount")
    if not isinstance(cents, str):
        raise ConfigError(f"{where}: amount is {cents!r}: it has to be a decimal number of cents, as text.")
    model = str(result.get("model") or "")
    is_tokens = bool(model) and result.get("cost_type") in (None, "tokens")
    return Charge(day, str(result["description"]), model, is_tokens, amount(cents, "amount", where) * CENT, workspace)


def _token_counts(result: Mapping[str, Any], day: date, workspace: str, where: str) -> Iterator[TokenCount]:
    model = result.get("model")
    if not model:
        raise ConfigError(f"{where}: the model is empty. {ASK}")
    tier = _service_tier(result.get("service_tier"))
    for name, part in TOKENS.items():
        yield TokenCount(day, str(model), tier, part, count(result.get(name), name, where), workspace)
    created = result.get("cache_creation") or {}
    for name, part in CREATED.items():
        yield TokenCount(day, str(model), tier, part, count(created.get(name), f"cache_creation.{name}", where), workspace)


def _service_tier(name: Any) -> str:
    return TIERS.get(str(name or "").lower(), "standard")


def read_export(path: Path, today: date, found: Gathered) -> None:
    """Read an exported CSV of costs or of usage."""
    names, rows = read_rows(path)
    is_usage = "model_version" in names
    wanted = USAGE if is_usage else COSTS
    if not set(wanted) <= set(names):
        raise missing(names, wanted, path, "Export costs (and usage) as CSV in the Console.")
    days = set()
    for row, where in rows:
        day = over(_day(row["usage_date_utc"], where), today, where)
        days.add(day)
        workspace, tier = row.get("workspace") or "default", _service_tier(row.get("usage_type"))
        if is_usage:
            for name, part in EXPORTED.items():
                found.counts.append(TokenCount(day, row["model_version"], tier, part, count(row.get(name), name, where), workspace))
        else:
            model, kind = row["model"], row.get("cost_type", "")
            is_tokens = bool(model) and kind in ("", "token", "tokens")
            item = " ".join(word for word in (model, kind if not is_tokens else row["token_type"]) if word) or "other"
            found.charges.append(Charge(day, item, model, is_tokens, amount(row["cost_usd"], "cost_usd", where), workspace))
    found.add_days(days, path.name, "usage" if is_usage else "costs")


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{where}: usage_date_utc is {text[:40]!r}: it has to be a day such as 2026-11-01.") from None
