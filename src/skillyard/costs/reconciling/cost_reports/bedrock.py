"""Amazon Bedrock's charges: rows of a Cost and Usage Report (CUR 2.0, CSV or Parquet), or Cost Explorer's answer, by usage type.

Shapes: https://docs.aws.amazon.com/bedrock/latest/userguide/cost-mgmt-understanding-cur-data.html (usage types such as
``USE1-Claude4.6Opus-cache-read-input-token-count-cross-region-global``, amounts in thousands of tokens),
https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2-line-item.html, and the answer of ``aws ce get-cost-and-usage`` with
``--granularity DAILY --metrics UnblendedCost UsageQuantity --group-by Type=DIMENSION,Key=USAGE_TYPE``. Marketplace models
(``USW2-MP:USW2_input_tokens_standard-Units``) are named by the product. Taxes, credits and refunds are no charges of a model and left
out; so are, of Cost Explorer, usage types without tokens, since its answer does not say which service they are of.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from skillyard.costs.reconciling.cost_reports.files import Page, missing, read_rows
from skillyard.costs.reconciling.cost_reports.gathered import Gathered
from skillyard.costs.reconciling.cost_reports.report import Charge, TokenCount, amount, moment, over, usd, whole_day
from skillyard.errors import ConfigError

COLUMNS = "line_item_usage_start_date", "line_item_usage_type", "line_item_usage_amount", "line_item_unblended_cost"
USAGE_TYPES = ("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage")
"""Of ``line_item_line_item_type``; the others are Tax, Credit, Refund, Fee …"""
UNITS = {"1k tokens": 1000, "1k token": 1000, "1m tokens": 1_000_000, "1m token": 1_000_000, "tokens": 1, "token": 1}
TOKEN_PARTS = (
    (r"cache[-_ ]?read[-_]?(?:input[-_]?)?tokens?(?:[-_]?count)?", "cache_read"),
    (r"cache[-_ ]?write[-_]?(?:1h|60m)[-_]?(?:input[-_]?)?tokens?(?:[-_]?count)?", "cache_write_1h"),
    (r"cache[-_ ]?write[-_]?(?:5m[-_]?)?(?:input[-_]?)?tokens?(?:[-_]?count)?", "cache_write"),
    (r"output[-_]?tokens?(?:[-_]?count)?", "output"),
    (r"input[-_]?tokens?(?:[-_]?count)?", "input"),
)
TIERS = ("batch", "flex", "priority")
AFTER_MODEL = re.compile(r"[-_](?:mantle|text)$", re.IGNORECASE)


def read_pages(pages: Sequence[Page], today: date, found: Gathered) -> None:
    """Read Cost Explorer's answers."""
    for where, page in pages:
        _read_cost_explorer(where, page, today, found)


def read_export(path: Path, today: date, found: Gathered) -> None:
    """Read a Cost and Usage Report."""
    names, rows = read_rows(path)
    if not set(COLUMNS) <= set(names):
        raise missing(names, COLUMNS, path, "Export a CUR 2.0 with the line items' columns.")
    days = set()
    for row, where in rows:
        if "bedrock" not in _product(row).lower():
            continue
        kind = row.get("line_item_line_item_type") or "Usage"
        if kind not in USAGE_TYPES:
            found.notes.append(f"rows of type {kind} are left out: they are no charges of a model")
            continue
        usd(row.get("line_item_currency_code") or "USD", where)
        day = _usage_day(row, today, where)
        days.add(day)
        unit = str(row.get("pricing_unit") or "").lower()
        quantity = amount(row["line_item_usage_amount"], "line_item_usage_amount", where)
        money = amount(row["line_item_unblended_cost"], "line_item_unblended_cost", where)
        account = str(row.get("line_item_usage_account_id") or "")
        _add(str(row["line_item_usage_type"]), _service_name(row), unit, quantity, money, day, account, found)
    if not days:
        raise ConfigError(f"{path.name}: none of its rows is of Amazon Bedrock (line_item_product_code, product_product_name).")
    found.add_days(days, path.name, "costs")


def _usage_day(row: Mapping[str, Any], today: date, where: str) -> date:
    """Return the UTC day of a row, which may be an hour of it."""
    begins = _time(row["line_item_usage_start_date"], where)
    ends = _time(end, where) if (end := row.get("line_item_usage_end_date")) else begins
    midnight = datetime.combine(begins.date(), time(), UTC)
    if ends > midnight + timedelta(days=1):
        raise ConfigError(f"{where}: it goes from {begins:%Y-%m-%dT%H:%MZ} to {ends:%Y-%m-%dT%H:%MZ}: export by day or hour, not by month.")
    return over(begins.date(), today, where)


def _time(value: Any, where: str) -> datetime:
    return moment(value.isoformat() if isinstance(value, datetime) else value, where).astimezone(UTC)


def _product(row: Mapping[str, Any]) -> str:
    names = ("line_item_product_code", "product_product_name", "product_servicename", "product", "line_item_line_item_description")
    return " ".join(str(row.get(name) or "") for name in names)


def _service_name(row: Mapping[str, Any]) -> str:
    """Return the product's name, which for a Marketplace model is the model's: a column, or an entry of the column ``product``."""
    product = row.get("product")
    if isinstance(product, str) and product.startswith("{"):
        try:
            product = json.loads(product)
        except ValueError:
            product = None
    listed = dict(product) if isinstance(product, list | dict) else {}
    flat = (row.get(f"product_{name}") for name in ("servicename", "product_name"))
    return str(next((name for name in (*flat, listed.get("servicename"), listed.get("product_name")) if name), ""))


def _read_cost_explorer(where: str, page: Mapping[str, Any], today: date, found: Gathered) -> None:
    results = page.get("ResultsByTime")
    if not isinstance(results, list):
        raise ConfigError(f"{where}: it has no list named ResultsByTime: it is no answer of Cost Explorer's get-cost-and-usage.")
    if page.get("NextPageToken"):
        raise ConfigError(f"{where}: NextPageToken says that there are further pages: add them, or the bill is not whole.")
    for n, result in enumerate(results):
        place = f"{where}: ResultsByTime[{n}]"
        period = result.get("TimePeriod") or {}
        day = whole_day(moment(period.get("Start"), place), moment(period.get("End"), place), today, place)
        if result.get("Estimated"):
            found.notes.append(f"{day} is marked as estimated: AWS may still change it until the month is closed")
        if "Groups" not in result or (not result["Groups"] and _is_money(result.get("Total"))):
            raise ConfigError(f"{place}: it is not grouped: ask with --group-by Type=DIMENSION,Key=USAGE_TYPE.")
        for m, group in enumerate(result["Groups"]):
            spot = f"{place}.Groups[{m}]"
            try:
                (usage_type,) = group["Keys"]
                cost, quantity = group["Metrics"]["UnblendedCost"], group["Metrics"]["UsageQuantity"]
                money, tokens, currency = cost["Amount"], quantity["Amount"], cost["Unit"]
            except (KeyError, TypeError, ValueError):
                raise ConfigError(f"{spot}: it needs one key, a usage type, and the metrics UnblendedCost and UsageQuantity.") from None
            if parse_usage_type(str(usage_type))[2] is None:
                found.notes.append(f"{usage_type} is left out: it is no count of tokens")
                continue
            usd(currency, spot)
            unit = str(quantity.get("Unit") or "").lower()
            _add(str(usage_type), "", unit, amount(tokens, "UsageQuantity", spot), amount(money, "UnblendedCost", spot), day, "", found)
    found.add_days((date.fromisoformat(str(result["TimePeriod"]["Start"])[:10]) for result in results), where, "costs")


def _is_money(total: Any) -> bool:
    return isinstance(total, dict) and any(Decimal(str(metric.get("Amount") or 0)) for metric in total.values())


def _add(usage_type: str, service: str, unit: str, quantity: Decimal, money: Decimal, day: date, account: str, found: Gathered) -> None:
    """Add a charge, and its tokens: in thousands, as Bedrock counts them, unless the row names another unit."""
    model, service_tier, part = parse_usage_type(usage_type, service)
    found.charges.append(Charge(day, usage_type, model, part is not None, money, account))
    if part is not None:
        n = (quantity * UNITS.get(unit, 1_000_000 if ":" in usage_type else 1000)).quantize(Decimal(1), ROUND_HALF_EVEN)
        found.quantities.append(TokenCount(day, model, service_tier, part, int(n), account))


def parse_usage_type(usage_type: str, service: str = "") -> tuple[str, str, str | None]:
    """Return model, service tier and part of a usage type; without a part it is no charge for tokens."""
    matches = ((part, re.search(pattern, usage_type, re.IGNORECASE)) for pattern, part in TOKEN_PARTS)
    part, match = next(((part, match) for part, match in matches if match), (None, None))
    if match is None:
        return "", "standard", None
    head, rest = usage_type[: match.start()].rstrip("-_"), usage_type[match.end() :].lower()
    service_tier = next((tier for tier in TIERS if re.search(rf"[-_]{tier}(?:$|[-_])", rest)), "standard")
    if ":" in head:
        return re.sub(r"\s*\(.*\)$", "", service) or usage_type, service_tier, part
    name = head.partition("-")[2] if re.match(r"^[A-Z]{2,4}\d?-", head) else head
    return AFTER_MODEL.sub("", name), service_tier, part
