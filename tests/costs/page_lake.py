"""A lake with two periods of bills, savings, budgets, audits, anomalies and unit costs, for the tests of the report page."""

from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Any

from skillyard.costs.prices.book import PLACES
from skillyard.lake.cost_tables import ANOMALIES, BUDGET_DAILY, COST_DAILY, SAVINGS_DAILY, UNIT_COSTS
from skillyard.lake.lake import Lake
from skillyard.lake.publish import replace_partition
from skillyard.lake.results import to_results
from skillyard.lake.tables import QUALITY_DAILY, Table
from tests.costs.audited import quality

LAST = date(2026, 11, 20)
FIRST = LAST - timedelta(days=13)
START = FIRST - timedelta(days=14)
HOSTILE = '</script><img src=x onerror="document.title=1">'
TURNED = "‮evil'\"&amp;`${x}`"
SKILLS = {
    "tag-document": ("records", Decimal("1.9")),
    "classify-document-type": ("records", Decimal("0.8")),
    "extract-invoice": ("finance", Decimal("3.1")),
    "match-payment": ("finance", Decimal("0.4")),
    "answer-question": ("customer-care", Decimal("2.2")),
    "summarise-thread": ("customer-care", Decimal("1.1")),
    HOSTILE: (TURNED, Decimal("0.25")),
}
SHARES = {"fast": Decimal("0.3"), "standard": Decimal("0.25"), "expert": Decimal("0.45")}
MODELS = {"fast": "openai/gpt-mini", "standard": "anthropic/haiku", "expert": "anthropic/opus"}
LIMITS = {"*": (None, None), "records": ("60", "80"), "finance": ("45", "90"), "customer-care": ("150", "200"), TURNED: (None, None)}
ZERO = Decimal(0)


def fill(lake: Lake, seed: int = 7) -> None:
    """Publish all tables that the page shows."""
    random = Random(seed)
    spent: dict[str, Decimal] = {}
    for n in range(28):
        day = START + timedelta(days=n)
        costs, savings, units = _day(random, day)
        _put(lake, COST_DAILY, day, costs)
        _put(lake, SAVINGS_DAILY, day, savings)
        _put(lake, UNIT_COSTS, day, units)
        spent = {} if day.day == 1 else spent
        for row in costs:
            spent[row["team"]] = spent.get(row["team"], ZERO) + row["direct_usd"] + row["waste_usd"] + row["allocated_usd"]
        _put(lake, BUDGET_DAILY, day, [budget(day, team, usd) for team, usd in sorted(spent.items())])
    replace_partition(lake, QUALITY_DAILY, LAST, to_results(QUALITY_DAILY, qualities()))
    _put(lake, ANOMALIES, LAST, anomalies(LAST))
    _put(lake, ANOMALIES, START, anomalies(START))


def qualities() -> list[dict[str, Any]]:
    """Return audits that hold, that may hold, and that do not."""
    rows = (("tag-document", 0.981, 0.962, 0.993), ("extract-invoice", 0.957, 0.921, 0.979), ("answer-question", 0.904, 0.861, 0.937))
    return [quality(*row[1:], skill=row[0], usage_date=LAST) for row in (*rows, (HOSTILE, 0.99, 0.97, 1.0))]


def anomalies(day: date) -> list[dict[str, Any]]:
    """Return one that alerts and one that warns."""
    row = {"usage_date": day, "source": "cost", "team": "*", "skill": "*", "model": "*", "numbers": "{}"}
    spend = "extract-invoice cost $4.31, the Fridays before about $2.90 (robust z 5.1). See what changed: skillyard cost report --by run"
    return [
        row | {"anomaly_id": f"{day}-a", "kind": "spend", "severity": "alert", "skill": "extract-invoice", "message": spend},
        row | {"anomaly_id": f"{day}-b", "kind": "new_model", "severity": "warn", "model": HOSTILE, "message": f"first seen: {HOSTILE}"},
    ]


def budget(day: date, team: str, spent: Decimal) -> dict[str, Any]:
    """Return where a team's month stands."""
    soft, hard = LIMITS[team]
    daily = (spent / day.day).quantize(PLACES, ROUND_HALF_EVEN)
    projected = spent + daily * (30 - day.day)
    forecast = {"tomorrow_usd": daily, "tomorrow_lower_usd": daily * Decimal("0.7"), "tomorrow_upper_usd": daily * Decimal("1.4")}
    ends = {
        "projected_usd": projected,
        "projected_lower_usd": projected * Decimal("0.9"),
        "projected_upper_usd": projected * Decimal("1.2"),
    }
    row = {"usage_date": day, "team": team, "skill": "*", "soft_usd": soft, "hard_usd": hard, "month_to_date_usd": spent}
    rounded = {name: value.quantize(PLACES, ROUND_HALF_EVEN) for name, value in (forecast | ends).items()}
    return row | rounded | {"n_days": 28, "method": "m/1"}


def _day(random: Random, day: date) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    costs, savings, units = [], [], []
    weekend = Decimal("0.25") if day.weekday() >= 5 else Decimal(1)
    growth = 1 + Decimal((day - START).days) / 40
    for skill, (team, size) in SKILLS.items():
        whole = ZERO
        for tier, part in SHARES.items():
            usd = (size * part * weekend * growth * Decimal(str(round(random.uniform(0.7, 1.3), 9)))).quantize(PLACES)
            cost = _cost(day, team, skill, tier, usd)
            costs.append(cost)
            whole += usd
            savings.append(_saving(day, cost, None if skill == HOSTILE and tier == "fast" else usd * (1 if tier == "expert" else 9)))
        charged = {"cost_usd": whole, "direct_usd": whole - whole / 10, "waste_usd": whole / 10, "shared_usd": ZERO, "allocated_usd": ZERO}
        counts = {"n_documents": 40, "n_pages": 130, "n_items": 41, "n_results": 40, "n_rejects": 1, "n_calls": 60}
        version = ("ab" if day < LAST - timedelta(days=4) else "cd") * 32
        units.append({"usage_date": day, "team": team, "skill": skill, "fingerprint": version} | counts | _rounded(charged))
    correction = _cost(day, "*", "*", "expert", Decimal("-0.05")) | {"purpose": "correction", "direct_usd": ZERO, "waste_usd": ZERO}
    return [*costs, correction | {"shared_usd": Decimal("-0.05"), "allocated_usd": Decimal("-0.05"), "n_calls": 0}], savings, units


def _cost(day: date, team: str, skill: str, tier: str, usd: Decimal) -> dict[str, Any]:
    zero = {field.name: 0 for field in COST_DAILY.schema}
    key = {"usage_date": day, "team": team, "skill": skill, "tier": tier, "model": MODELS[tier], "dag_id": "cli", "purpose": "answer"}
    waste = (usd / 12).quantize(PLACES)
    money = {"cost_usd": usd, "direct_usd": usd - waste, "waste_usd": waste, "unknown_reserved_usd": "0.0031", "saved_usd": usd / 10}
    return zero | key | _rounded(money) | {"n_calls": 60, "n_settled": 59, "n_unknown": 1, "n_cached": 9, "n_items": 41, "n_served": 50}


def _saving(day: date, cost: dict[str, Any], baseline: Decimal | None) -> dict[str, Any]:
    cache, batch = cost["saved_usd"], (cost["cost_usd"] / 4 if cost["tier"] == "standard" else ZERO).quantize(PLACES)
    row = {name: cost[name] for name in ("usage_date", "team", "skill", "tier", "n_served", "n_cached", "cost_usd")}
    row |= {
        "baseline_usd": baseline,
        "cache_saved_usd": cache,
        "batch_saved_usd": batch,
        "cache_basis": "measured",
        "batch_basis": "measured",
    }
    row |= {
        "routing_saved_usd": None if baseline is None else baseline - cost["cost_usd"] - cache - batch,
        "n_audited": 30,
        "method": "m/1",
    }
    return row | {"routing_basis": "measured" if cost["team"] == "records" else "modelled", "expert_ratio": "9"}


def _rounded(money: dict[str, Any]) -> dict[str, Decimal]:
    return {name: Decimal(value).quantize(PLACES, ROUND_HALF_EVEN) for name, value in money.items()}


def _put(lake: Lake, table: Table, day: date, rows: list[dict[str, Any]]) -> None:
    replace_partition(lake, table, day, to_results(table, rows))
