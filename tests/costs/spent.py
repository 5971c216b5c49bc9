"""Days of ``cost_daily`` for the tests of budgets and anomalies: rows with the columns that these look at, zero in all others."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from skillyard.costs.budgets.spending import Spending, to_spending
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.results import to_results
from skillyard.lake.tables import INT, MONEY


def spent(day: date, direct: Decimal | str = "0", **changes: Any) -> dict[str, Any]:
    """Return a row of ``cost_daily``; cost_usd is what its parts come to."""
    numbers = {field.name: 0 for field in COST_DAILY.schema if field.type == INT} | {
        field.name: Decimal(0) for field in COST_DAILY.schema if field.type == MONEY
    }
    row = numbers | {
        "usage_date": day,
        "team": "records",
        "skill": "tag-document",
        "tier": "fast",
        "model": "m",
        "dag_id": "skill.tag-document",
        "purpose": "answer",
        "n_calls": 100,
        "compute_s": Decimal(0),
        "direct_usd": Decimal(direct),
    }
    row |= {name: Decimal(value) if name.endswith("_usd") else value for name, value in changes.items()}
    return row | {"cost_usd": row["direct_usd"] + row["waste_usd"] + row["shared_usd"]}


def cost_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows as the table."""
    return to_results(COST_DAILY, rows)


def spending(days: Mapping[date, Decimal], **changes: Any) -> Spending:
    """Return one skill's days of direct cost, up to the last of them."""
    return to_spending(cost_table([spent(day, usd, **changes) for day, usd in days.items()]), max(days))
