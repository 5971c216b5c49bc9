"""The tables of a report page: what its charts are drawn from, exact. The page's JSON is made of the same."""

from collections.abc import Iterable

from skillyard.costs.page.data import PageData
from skillyard.costs.page.html import Cell, Column, Sheet

BILL = (
    Column("n_calls", "calls", "count"),
    Column("n_unknown", "unknown", "count"),
    Column("n_cached", "from cache", "count"),
    Column("charged_usd", "charged", "money"),
    Column("before_usd", "period before", "money"),
    Column("change_usd", "change", "money"),
    Column("cost_usd", "cost", "money"),
    Column("direct_usd", "direct", "money"),
    Column("waste_usd", "waste", "money"),
    Column("shared_usd", "shared", "money"),
    Column("allocated_usd", "allocated", "money"),
    Column("idle_usd", "of it idle", "money"),
    Column("unknown_reserved_usd", "unknown, reserved", "money"),
    Column("saved_usd", "saved by cache", "money"),
)
SPEND = (Column("day", "day"), Column("tier", "tier"), Column("charged_usd", "charged", "money"))
SAVINGS = (
    Column("step", "step"),
    Column("usd", "amount", "money"),
    Column("measured_usd", "measured", "money"),
    Column("modelled_usd", "modelled", "money"),
)
BUDGET = (
    Column("day", "UTC day"),
    Column("team", "team"),
    Column("skill", "skill"),
    Column("soft_usd", "soft limit", "money"),
    Column("hard_usd", "hard limit", "money"),
    Column("month_to_date_usd", "month to date", "money"),
    Column("tomorrow_usd", "tomorrow", "money"),
    Column("tomorrow_lower_usd", "from", "money"),
    Column("tomorrow_upper_usd", "to", "money"),
    Column("projected_usd", "month end", "money"),
    Column("projected_lower_usd", "from", "money"),
    Column("projected_upper_usd", "to", "money"),
)
RETENTION = (
    Column("skill", "skill"),
    Column("day", "UTC day"),
    Column("retained", "retained", "share"),
    Column("retained_lower", "from", "share"),
    Column("retained_upper", "to", "share"),
    Column("target", "target", "share"),
    Column("n_audited", "audited items", "count"),
)
FINDING = (
    Column("day", "UTC day"),
    Column("severity", "severity"),
    Column("kind", "kind"),
    Column("team", "team"),
    Column("skill", "skill"),
    Column("model", "model"),
    Column("message", "what was found", "long"),
)
UNIT = (
    Column("skill", "skill"),
    Column("fingerprint", "version"),
    Column("first", "from"),
    Column("last", "to"),
    Column("n_documents", "documents", "count"),
    Column("n_pages", "pages", "count"),
    Column("n_items", "items", "count"),
    Column("n_results", "results", "count"),
    Column("charged_usd", "charged", "money"),
)
PER = (
    ("per_document_usd", "a document", "n_documents", 1),
    ("per_page_usd", "a page", "n_pages", 1),
    ("per_1000_items_usd", "1,000 items", "n_items", 1000),
    ("per_result_usd", "an accepted result", "n_results", 1),
)
"""Name, title, what the charge is divided by, and for how many of it."""
SAVING_WORDS = ("routing", "cache", "batch")


def make_sheets(data: PageData) -> dict[str, Sheet]:
    """Return every table of the page by its name."""
    sheets = [_bill(data, kind) for kind in ("total", "team", "skill", "tier", "model", "purpose")]
    sheets += [
        _sheet("spend", SPEND, data.spend),
        _savings(data),
        _sheet("budgets", BUDGET, data.budgets),
        _sheet("retention", RETENTION, data.retention),
    ]
    sheets += [_sheet("findings", FINDING, data.findings), _units(data)]
    return {sheet.name: sheet for sheet in sheets}


def _bill(data: PageData, kind: str) -> Sheet:
    return _sheet(kind, (Column("name", kind), *BILL), [data.total] if kind == "total" else data.of(kind))


def _savings(data: PageData) -> Sheet:
    """Return the steps from the baseline to the cost, each with its measured and its modelled part."""
    found = data.savings
    if found is None:
        return Sheet("savings", SAVINGS, ())
    amounts = dict(zip(SAVING_WORDS, (found.routing_usd, found.cache_usd, found.batch_usd), strict=True))
    rows: list[tuple[Cell, ...]] = [("baseline", found.baseline_usd, None, None)]
    rows += [(word, -amount, -found.measured_usd[word], -(amount - found.measured_usd[word])) for word, amount in amounts.items()]
    rows += [("cost", found.cost_usd, found.cost_usd, None), ("cost without a baseline", found.unpriced_usd, found.unpriced_usd, None)]
    return Sheet("savings", SAVINGS, tuple(rows))


def _units(data: PageData) -> Sheet:
    per = tuple(Column(name, title, "money") for name, title, _, _ in PER)
    whole = _sheet("units", UNIT, data.units)
    rows = ((*row, *(unit.per(getattr(unit, of), n) for _, _, of, n in PER)) for row, unit in zip(whole.rows, data.units, strict=True))
    return Sheet("units", (*UNIT, *per), tuple(rows))


def _sheet(name: str, columns: tuple[Column, ...], values: Iterable[object]) -> Sheet:
    """Return a row per value, of its attributes."""
    return Sheet(name, columns, tuple(tuple(getattr(value, column.name) for column in columns) for value in values))
