"""What a piece of work costs: of a document, a page, 1,000 items, an accepted result; by skill, by team, and one version beside the next.

All is what was charged: direct, waste and allocated. Documents, pages and items are those of a day: one that is worked on again on another
day is counted on both, as it is paid on both. Quotients are decimals, rounded half-even to 12 places; None where there is nothing to divide
by. A version is followed by the one that came into use after it for the same team and skill.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.attribution import check_range
from skillyard.costs.prices.book import PLACES
from skillyard.errors import UnknownName
from skillyard.lake.cost_tables import UNIT_COSTS
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.settings import Settings

COLUMNS_OF: dict[str, tuple[str, ...]] = {"skill": ("skill",), "team": ("team",), "version": ("team", "skill", "fingerprint")}
"""What unit costs can be grouped by."""
SHORT = 12
"""Digits of a fingerprint that people are shown."""
_COUNTS = ("n_documents", "n_pages", "n_items", "n_results", "n_rejects", "n_calls")
_CHARGED = ("direct_usd", "waste_usd", "allocated_usd")
_PERCENT = Decimal("0.01")
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class UnitRow:
    """One group's work and what was charged for it."""

    names: Mapping[str, str]
    """The group: skill, or team, or team, skill and fingerprint."""
    first: date
    last: date
    """Its first and its last day among those asked for."""
    n_documents: int
    n_pages: int
    n_items: int
    n_results: int
    n_rejects: int
    n_calls: int
    charged_usd: Decimal
    is_current: bool | None = None
    """Of a version: it is the skill's fingerprint now, with the parameters that runs have by default."""
    change_percent: Decimal | None = None
    """Of a version: its cost of an accepted result beside that of the version before it."""

    @property
    def usd_per_document(self) -> Decimal | None:
        """Return what a document took."""
        return divided(self.charged_usd, self.n_documents)

    @property
    def usd_per_page(self) -> Decimal | None:
        """Return what a page took."""
        return divided(self.charged_usd, self.n_pages)

    @property
    def usd_per_1000_items(self) -> Decimal | None:
        """Return what 1,000 items took."""
        return divided(self.charged_usd * 1000, self.n_items)

    @property
    def usd_per_result(self) -> Decimal | None:
        """Return what an accepted result took: the rejects' cost is part of it."""
        return divided(self.charged_usd, self.n_results)

    def as_dict(self) -> dict[str, Any]:
        """Return it as a flat row; a version with its days, whether it is current, and the change."""
        version = {"first": self.first, "last": self.last, "is_current": self.is_current, "change_percent": self.change_percent}
        return {
            **self.names,
            **(version if "fingerprint" in self.names else {}),
            "charged_usd": self.charged_usd,
            "usd_per_document": self.usd_per_document,
            "usd_per_page": self.usd_per_page,
            "usd_per_1000_items": self.usd_per_1000_items,
            "usd_per_result": self.usd_per_result,
            **{name: getattr(self, name) for name in _COUNTS},
        }


def unit_costs(settings: Settings, first: date, last: date, by: str) -> list[UnitRow]:
    """Return the unit costs of the days from first to last as they were last attributed, the dearest group first.

    Versions come by team and skill, the older one first. UnknownName for another grouping.
    """
    check_range(first, last)
    if by not in COLUMNS_OF:
        raise UnknownName("grouping", by, COLUMNS_OF)
    in_range = (pc.field("usage_date") >= first) & (pc.field("usage_date") <= last)
    rows = read(Lake(settings.lake), UNIT_COSTS, where=in_range)
    if by == "version":
        return _compared(group_units(rows, COLUMNS_OF[by]), current_fingerprints(settings))
    return sorted(group_units(rows, COLUMNS_OF[by]), key=lambda row: (-row.charged_usd, tuple(row.names.values())))


def group_units(rows: pa.Table, keys: Iterable[str]) -> list[UnitRow]:
    """Return the groups of rows of ``unit_costs``."""
    keys = list(keys)
    sums = [(name, "sum") for name in (*_COUNTS, *_CHARGED)]
    grouped = rows.group_by(keys, use_threads=False).aggregate([*sums, ("usage_date", "min"), ("usage_date", "max")])
    return [
        UnitRow(
            names={name: row[name] for name in keys},
            first=row["usage_date_min"],
            last=row["usage_date_max"],
            charged_usd=sum((row[f"{name}_sum"] for name in _CHARGED), Decimal(0)),
            **{name: row[f"{name}_sum"] for name in _COUNTS},
        )
        for row in grouped.to_pylist()
    ]


def current_fingerprints(settings: Settings) -> dict[str, str]:
    """Return by skill the fingerprint it has now, with its default parameters; a skill that cannot be read has none."""
    from skillyard.skills import Catalogue, SkillError

    catalogue, found = Catalogue(settings.include), {}
    for name in catalogue.names():
        try:
            found[name] = catalogue.load(name).fingerprint()
        except SkillError:
            continue
    return found


def divided(amount: Decimal, number: int) -> Decimal | None:
    """Return the quotient to 12 places, half-even; None where there is nothing to divide by."""
    return _WIDE.quantize(_WIDE.divide(amount, Decimal(number)), PLACES) if number else None


def change(before: Decimal | None, after: Decimal | None) -> Decimal | None:
    """Return by how many percent a cost has changed, to two places; None where one is not known or there was none before."""
    if before is None or after is None or before == 0:
        return None
    return _WIDE.quantize(_WIDE.divide((after - before) * 100, before), _PERCENT)


def _compared(rows: list[UnitRow], current: Mapping[str, str]) -> list[UnitRow]:
    """Return the versions in the order in which they came into use, each beside the one before."""
    ordered = sorted(rows, key=lambda row: (row.names["team"], row.names["skill"], row.first, row.last, row.names["fingerprint"]))
    before: dict[tuple[str, str], UnitRow] = {}
    compared = []
    for row in ordered:
        owner, fingerprint = (row.names["team"], row.names["skill"]), row.names["fingerprint"]
        former = before.get(owner)
        percent = change(former.usd_per_result, row.usd_per_result) if former else None
        compared.append(replace(row, is_current=current.get(row.names["skill"]) == fingerprint, change_percent=percent))
        before[owner] = row
    return compared
