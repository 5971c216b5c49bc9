"""The bill and the savings of some days of a time zone, as rows of ``cost_daily`` and ``savings_daily``.

Where the zone's days are UTC's they are read from these tables; elsewhere they are made of the ledger by the functions that make the
tables, day by day: what a row bears of its day's shared cost is then that of the zone's day.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.charges import cost_rows
from skillyard.costs.expert_ratio import AUDIT_COLUMNS, AUDIT_WINDOW
from skillyard.costs.ledger.lines import Day
from skillyard.costs.ledger.oddities import refusals
from skillyard.costs.ledger.reader import LedgerReader
from skillyard.costs.ledger.zones import days_between, interval_of, start_of
from skillyard.costs.prices.book import load_prices
from skillyard.costs.savings import savings_rows
from skillyard.errors import DayRefused
from skillyard.lake.cost_tables import COST_DAILY, SAVINGS_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.lake.tables import AUDITS, MONEY, Table
from skillyard.profiles import load_profile
from skillyard.settings import Settings


def read_billed(settings: Settings, first: date, last: date, zone: ZoneInfo) -> tuple[pa.Table, pa.Table]:
    """Return the rows of ``cost_daily``, with ``charged_usd``, and of ``savings_daily``; ``usage_date`` is the zone's day."""
    if has_utc_days(first, last, zone):
        lake = Lake(settings.lake)
        return _with_charged(read_days(lake, COST_DAILY, first, last)), read_days(lake, SAVINGS_DAILY, first, last)
    costs, savings = [COST_DAILY.schema.empty_table()], [SAVINGS_DAILY.schema.empty_table()]
    book, expert = load_prices(settings), load_profile(settings.profile, settings.include).deployments("expert")[0].model
    audits = read(Lake(settings.lake), AUDITS, list(AUDIT_COLUMNS), pc.field("audited_on") >= first - AUDIT_WINDOW)
    for day in _days(settings, first, last, zone):
        costs.append(_dated(cost_rows(day), day.day))
        savings.append(_dated(savings_rows(day, book, expert, audits), day.day))
    return _with_charged(pa.concat_tables(costs)), pa.concat_tables(savings)


def has_utc_days(first: date, last: date, zone: ZoneInfo) -> bool:
    """Say whether the zone's days begin and end with UTC's."""
    return all(start_of(day, zone) == datetime.combine(day, time(), UTC) for day in days_between(first, last))


def read_days(lake: Lake, table: Table, first: date, last: date) -> pa.Table:
    """Return a table's rows of the UTC days from first to last."""
    return read(lake, table, where=(pc.field(table.partition) >= first) & (pc.field(table.partition) <= last))


def _days(settings: Settings, first: date, last: date, zone: ZoneInfo) -> Iterator[Day]:
    """Yield the zone's days of the ledger; DayRefused for one that cannot be summed up."""
    book, expert = load_prices(settings), load_profile(settings.profile, settings.include).deployments("expert")[0].model
    with LedgerReader(Lake(settings.lake), book, expert) as reader:
        for day in days_between(first, last):
            found = reader.read(day, *interval_of(day, day, zone))
            if refused := refusals(day, found.facts, 0, accept_loss=False):
                raise DayRefused(" ".join(finding.message for finding in refused))
            yield found.day


def _dated(rows: pa.Table, day: date) -> pa.Table:
    """Return the rows as those of a zone's day: each had the UTC day of its calls."""
    number = rows.schema.get_field_index("usage_date")
    return rows.set_column(number, rows.schema.field(number), pa.array([day] * rows.num_rows, pa.date32()))


def _with_charged(bill: pa.Table) -> pa.Table:
    charged = pc.add(pc.add(bill.column("direct_usd"), bill.column("waste_usd")), bill.column("allocated_usd"))
    return bill.append_column("charged_usd", charged.cast(MONEY))
