"""The bill in FOCUS 1.2: each charge of a day as rows of its meters, a quantity at a unit price each.

A *charge* is what a day's lines have in common but for their context tier. The rows of the price book that stand on it say which unit
price each of its meters has, and the products are exact; that each call was rounded once is a row of its own. What has no unit price (a
bill's amount, a correction, a price the book does not have any more) is one adjustment. So a charge's rows sum up to its cost, always.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.focus_names import ADJUSTMENTS, BILL, CORRECTION, METERS, ROUNDING, UNPRICED, Provider, provider_of
from skillyard.costs.lines import DOCUMENT_KEY, Day
from skillyard.costs.prices import CHARGED, STANDARD, Price, PriceBook
from skillyard.errors import Unpriced
from skillyard.lake.focus_table import AMOUNT, FOCUS, QUANTITY
from skillyard.lake.tables import INT, TEXT, TIMESTAMP

__all__ = ["focus_rows", "unpriced_charges"]

CURRENCY = "USD"
BY_BILL = "bill"
"""What stands in ``price_ids`` where a provider's bill says the amount."""
MOST_ROUNDING = Decimal("0.0000000000005")
"""By how much a call's cost may differ from its exact price."""
AMOUNT_PLACES = 20
WIDE = pa.decimal256(38, AMOUNT_PLACES)
"""Amounts while they are computed with: Arrow makes room for one digit more than an amount has."""
NOTHING = pa.scalar(Decimal(0), AMOUNT)
QUANTITIES = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "output": "output_tokens",
    "image": "n_images",
    "request": "n_calls",
    "compute_s": "compute_s",
}
"""By meter: the sum of a line that it counts. A line that is charged by the request was so for each of its calls."""
OWN = {
    "x_UsageDate": "usage_date",
    "x_Team": "team",
    "x_Skill": "skill",
    "x_SkillFingerprint": "fingerprint",
    "x_Tier": "tier",
    "x_Model": "model",
    "x_Deployment": "deployment",
    "x_Lane": "lane",
    "x_ServiceTier": "service_tier",
    "x_DagId": "dag_id",
    "x_DagRun": "run_id",
    "x_Purpose": "purpose",
    "x_Use": "use",
    "x_PriceIds": "price_ids",
}
"""A charge: our columns of the table, and those of a day's lines."""
TAGS = {"dag": "dag_id", "purpose": "purpose", "skill": "skill", "team": "team", "tier": "tier"}
NOBODY = "*"
"""Team, skill and deployment of what is of none."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Row:
    """What rows of one meter of one set of prices have in common; without a price it is an adjustment."""

    meter: str
    model: str
    provider: Provider
    provider_id: str
    price: Price | None = None
    list_price: Decimal | None = None

    def said(self) -> dict[str, Any]:
        """Return the columns that describe it."""
        provider = {
            "BillingAccountId": self.provider_id,
            "BillingAccountName": self.provider.name,
            "InvoiceIssuerName": self.provider.name,
            "ProviderName": self.provider.name,
            "PublisherName": self.provider.name,
            "ServiceName": self.provider.service,
            "x_Meter": self.meter,
        }
        if self.price is None:
            words = f"{self.model}: {ADJUSTMENTS[self.meter]}"
            return provider | {"ChargeCategory": "Adjustment", "ChargeFrequency": "One-Time", "ChargeDescription": words}
        price, meter = self.price, METERS[self.price.meter]
        tier = f", {price.service_tier}" if price.service_tier != STANDARD else ""
        details = {"x_ContextOver": price.context_over, "x_ServiceTier": price.service_tier}
        return provider | {
            "ChargeCategory": "Usage",
            "ChargeFrequency": "Usage-Based",
            "ChargeDescription": f"{self.model}: {METERS[self.meter].words}{tier}",
            "ConsumedUnit": meter.unit,
            "ContractedUnitPrice": price.price,
            "ListUnitPrice": self.list_price,
            "PricingCategory": "Standard",
            "PricingUnit": meter.unit,
            "RegionId": price.region or None,
            "SkuId": f"{price.model}:{price.meter}",
            "SkuMeter": meter.words,
            "SkuPriceDetails": json.dumps(details),
            "SkuPriceId": price.price_id,
        }


def focus_rows(day: Day, book: PriceBook) -> pa.Table:
    """Return the day's rows of the table ``focus``, charges in the order of the key, meters in that of ``METERS``, adjustments last."""
    charges = _charges(day.lines)
    if charges.num_rows == 0:
        return FOCUS.schema.empty_table()
    plans, plan_of = _plans(charges, day.day, book)
    numbers = {(n, row.meter): i for i, (n, row) in enumerate(plans)}
    known = pa.Table.from_pylist([row.said() for _, row in plans], _KNOWN)
    metered = _metered(charges, plan_of, numbers, known)
    rest = _rest(charges, metered)
    is_whole, adjusted = _adjusted(charges, rest, plan_of, numbers)
    kept = metered.filter(pa.array(is_whole[metered["charge"].to_numpy()]))
    rows = pa.concat_tables([kept.select(adjusted.column_names), adjusted])
    return _table(day, charges, known, rows.take(pc.sort_indices(rows, [("charge", "ascending"), ("row", "ascending")])))


def unpriced_charges(rows: pa.Table) -> list[tuple[str, str, Decimal]]:
    """Return model, price ids and cost of what the price book does not explain any more, dearest first: it needs its old rows back."""
    found = rows.filter(pc.equal(rows["x_Meter"], UNPRICED)).group_by(["x_Model", "x_PriceIds"]).aggregate([("BilledCost", "sum")])
    said = [(row["x_Model"], row["x_PriceIds"], row["BilledCost_sum"]) for row in found.to_pylist()]
    return sorted(said, key=lambda one: (-one[2], one))


_SUMMED = ("n_calls", *(name for name in QUANTITIES.values() if name != "n_calls"), "cost_usd")
_KNOWN = pa.schema(
    [
        *(pa.field(name, TEXT) for name in ("BillingAccountId", "BillingAccountName", "ChargeCategory", "ChargeDescription")),
        *(pa.field(name, TEXT) for name in ("ChargeFrequency", "ConsumedUnit", "InvoiceIssuerName", "PricingCategory", "PricingUnit")),
        *(pa.field(name, TEXT) for name in ("ProviderName", "PublisherName", "RegionId", "ServiceName", "SkuId", "SkuMeter")),
        *(pa.field(name, TEXT) for name in ("SkuPriceDetails", "SkuPriceId", "x_Meter")),
        *(pa.field(name, AMOUNT) for name in ("ContractedUnitPrice", "ListUnitPrice")),
    ]
)
"""What a ``_Row`` says."""


def _charges(lines: pa.Table) -> pa.Table:
    """Return what is charged, one row per charge, in the order of the key; cached answers and open or failed attempts are not."""
    is_charged = pc.or_(pc.is_in(lines["status"], pa.array(["settled", "correction"])), pc.not_equal(lines["cost_usd"], 0))
    keys = list(OWN.values())
    summed = (
        lines.filter(is_charged).group_by(keys, use_threads=False).aggregate([(name, "sum") for name in _SUMMED])  # one order
    )
    named = summed.rename_columns([name.removesuffix("_sum") for name in summed.column_names])
    return named.take(pc.sort_indices(named, [(name, "ascending") for name in keys])).combine_chunks()


def _plans(charges: pa.Table, day: date, book: PriceBook) -> tuple[list[tuple[int, _Row]], Indices]:
    """Return the rows that charges of each combination of model, prices and use may have, and each charge's combination."""
    texts = [charges[name] for name in ("model", "price_ids", "use")]
    combined = pc.binary_join_element_wise(*texts, "\x1f").combine_chunks().dictionary_encode()
    plans = []
    for n, text in enumerate(combined.dictionary.to_pylist()):
        model, price_ids, use = text.split("\x1f")
        plans += [(n, row) for row in _rows_of(model, price_ids, use, day, book)]
    return plans, combined.indices.to_numpy().astype(np.int64)


def _rows_of(model: str, price_ids: str, use: str, day: date, book: PriceBook) -> Iterator[_Row]:
    prices = [book.by_id(price_id) for price_id in price_ids.split(",") if price_id]
    found = {price.meter: price for price in prices if price is not None}
    provider_id = next((price.provider for price in found.values()), model.partition("/")[0])
    provider = provider_of(provider_id)
    if use == CORRECTION or price_ids == BY_BILL:
        yield _Row(CORRECTION if use == CORRECTION else BILL, model, provider, provider_id)
        return
    if len(found) == len(prices):
        for part, meters in CHARGED.items():
            price = next((found[meter] for meter in meters if meter in found), None)
            if price is not None:
                yield _Row(part, model, provider, provider_id, price, _list_price(price, day, book))
        yield _Row(ROUNDING, model, provider, provider_id)
    yield _Row(UNPRICED, model, provider, provider_id)


def _list_price(price: Price, day: date, book: PriceBook) -> Decimal:
    """Return what the standard service tier asks for the same; a dearer tier is no discount, and lists its own price."""
    at = datetime.combine(day, time(), UTC)
    try:
        standard = book.rates(price.model, at, STANDARD, price.region, price.context_over + 1)[price.meter]
    except Unpriced:
        return price.price
    return max(standard, price.price)


def _metered(charges: pa.Table, plan_of: Indices, numbers: Mapping[tuple[int, str], int], known: pa.Table) -> pa.Table:
    """Return charge, row, plan, quantity and the exact cost of every meter of every charge."""
    parts = []
    for row, (meter, column) in enumerate(QUANTITIES.items()):
        plans = _numbers(plan_of, numbers, meter)
        quantity = charges[column].cast(QUANTITY)
        at = np.flatnonzero((plans >= 0) & pc.not_equal(quantity, 0).to_numpy(zero_copy_only=False))
        parts.append(
            pa.table({"charge": at, "row": np.full(len(at), row), "plan": plans[at], "quantity": quantity.take(pa.array(at))}),
        )
    rows = pa.concat_tables(parts)
    return rows.append_column("cost", _times(known["ContractedUnitPrice"].take(rows["plan"]), rows["quantity"]))


def _numbers(plan_of: Indices, numbers: Mapping[tuple[int, str], int], meter: str) -> Indices:
    """Return, for each charge, the number of its plan's row of this meter; -1 where it has none."""
    of_plan = np.array([numbers.get((n, meter), -1) for n in range(int(plan_of.max()) + 1)], np.int64)
    return of_plan[plan_of]


def _times(price: pa.ChunkedArray, quantity: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the products, exact up to 20 places."""
    product = pc.multiply(price.cast(WIDE), quantity.cast(pa.decimal256(28, 6)))
    return pc.round(product, AMOUNT_PLACES, "half_to_even").cast(AMOUNT)


def _rest(charges: pa.Table, metered: pa.Table) -> pa.Array:
    """Return, for each charge, its cost less what its meters cost; its whole cost where it has none; null where nothing is left."""
    sums = metered.group_by("charge").aggregate([("cost", "sum")])
    priced = pc.index_in(pa.array(np.arange(charges.num_rows)), sums["charge"].combine_chunks())
    of_meters = pc.fill_null(sums["cost_sum"].combine_chunks().take(priced), NOTHING)
    rest = pc.subtract(charges["cost_usd"].combine_chunks().cast(WIDE), of_meters.cast(WIDE)).cast(AMOUNT)
    return pc.if_else(pc.and_(pc.equal(rest, NOTHING), pc.is_valid(priced)), pa.scalar(None, AMOUNT), rest)


def _adjusted(
    charges: pa.Table, rest: pa.Array, plan_of: Indices, numbers: Mapping[tuple[int, str], int]
) -> tuple[npt.NDArray[np.bool_], pa.Table]:
    """Return whether each charge keeps the rows of its meters, and the rows of what they leave.

    More than rounding can explain means that the book has other prices now than when the calls were made: then they explain nothing.
    """
    most = pc.multiply(charges["n_calls"].cast(pa.decimal128(19, 0)), pa.scalar(MOST_ROUNDING)).combine_chunks().cast(AMOUNT)
    is_explained = pc.fill_null(pc.less_equal(pc.abs(rest), most), True).to_numpy(zero_copy_only=False)
    plans = [_numbers(plan_of, numbers, name) for name in ADJUSTMENTS]
    kinds = list(ADJUSTMENTS)
    conditions = [plans[kinds.index(CORRECTION)] >= 0, plans[kinds.index(BILL)] >= 0, is_explained & (plans[kinds.index(ROUNDING)] >= 0)]
    kind = np.select(conditions, [kinds.index(CORRECTION), kinds.index(BILL), kinds.index(ROUNDING)], kinds.index(UNPRICED))
    cost = pc.if_else(pa.array(is_explained), rest, charges["cost_usd"].cast(AMOUNT).combine_chunks())
    at = np.flatnonzero(rest.is_valid().to_numpy(zero_copy_only=False))
    columns = {"charge": at, "row": kind[at] + len(METERS), "plan": np.choose(kind, plans)[at]}
    return is_explained, pa.table(columns | {"quantity": pa.nulls(len(at), QUANTITY), "cost": cost.take(pa.array(at))})


def _table(day: Day, charges: pa.Table, known: pa.Table, rows: pa.Table) -> pa.Table:
    """Return the table: what every row says, what its plan says, what its charge says, and its amounts."""
    of_plan, of_charge = known.take(rows["plan"]), charges.append_column("tags", _tags(charges)).take(rows["charge"])
    cost, quantity = rows["cost"], rows["quantity"]
    unit_price, list_price = of_plan["ContractedUnitPrice"], of_plan["ListUnitPrice"]
    team, deployment = (_somebody(of_charge[name]) for name in ("team", "deployment"))
    columns: dict[str, Any] = {
        **{name: pa.repeat(value, rows.num_rows) for name, value in _of_day(day.day).items()},
        **{name: of_plan[name] for name in known.column_names},
        **{ours: of_charge[name] for ours, name in OWN.items()},
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "PricingCurrencyEffectiveCost"), cost),
        "ListCost": pc.coalesce(_times(list_price, quantity), cost),
        "PricingCurrencyContractedUnitPrice": unit_price,
        "PricingCurrencyListUnitPrice": list_price,
        "ConsumedQuantity": quantity,
        "PricingQuantity": quantity,
        "RegionName": of_plan["RegionId"],
        "ResourceId": deployment,
        "ResourceType": _where(deployment, "Model deployment"),
        "SubAccountId": team,
        "SubAccountName": team,
        "SubAccountType": _where(team, "Team"),
        "Tags": of_charge["tags"],
        "x_CallCount": _once(rows["charge"], of_charge["n_calls"]),
        "x_DocumentCount": _documents(day, charges, rows["charge"]),
    }
    missing = {f.name: pa.nulls(rows.num_rows, f.type) for f in FOCUS.schema if f.name not in columns}
    return pa.table({f.name: (columns | missing)[f.name] for f in FOCUS.schema}, schema=FOCUS.schema)


def _of_day(day: date) -> dict[str, pa.Scalar]:
    """Return what every row of a day says."""
    start = datetime.combine(day, time(), UTC)
    month = start.replace(day=1)
    moments = {
        "BillingPeriodStart": month,
        "BillingPeriodEnd": (month + timedelta(days=32)).replace(day=1),
        "ChargePeriodStart": start,
        "ChargePeriodEnd": start + timedelta(days=1),
    }
    texts = {
        "BillingAccountType": "Provider account",
        "BillingCurrency": CURRENCY,
        "PricingCurrency": CURRENCY,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
    }
    return {k: pa.scalar(v, TIMESTAMP) for k, v in moments.items()} | {k: pa.scalar(v, TEXT) for k, v in texts.items()}


def _somebody(names: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the names, null for that of nobody."""
    return pc.if_else(pc.is_in(names, pa.array([NOBODY, ""])), pa.scalar(None, TEXT), names)


def _where(names: pa.ChunkedArray, text: str) -> pa.ChunkedArray:
    """Return the text where there is a name."""
    return pc.if_else(names.is_valid(), pa.scalar(text), pa.scalar(None, TEXT))


def _tags(charges: pa.Table) -> pa.Array:
    """Return each charge's tags, a JSON object."""
    parts = []
    for tag, name in TAGS.items():
        encoded = charges[name].combine_chunks().dictionary_encode()
        shown = [f"{json.dumps(f'skillyard:{tag}')}: {json.dumps(value, ensure_ascii=False)}" for value in encoded.dictionary.to_pylist()]
        parts.append(pa.array(shown, TEXT).take(encoded.indices))
    return pc.binary_join_element_wise("{", pc.binary_join_element_wise(*parts, ", "), "}", "")


def _once(groups: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.Array:
    """Return the values on the first row of each group of neighbours, 0 on the others."""
    numbers = groups.to_numpy()
    is_first = np.concatenate([[True], numbers[1:] != numbers[:-1]])
    return pc.if_else(pa.array(is_first), values.combine_chunks(), pa.scalar(0, INT))


def _documents(day: Day, charges: pa.Table, numbers: pa.ChunkedArray) -> pa.Array:
    """Return how many documents there are, on the first row of the first charge of those that they were counted for."""
    keys = list(DOCUMENT_KEY)
    first = (
        charges.select(keys).append_column("charge", pa.array(np.arange(charges.num_rows))).group_by(keys).aggregate([("charge", "min")])
    )
    counted = first.join(day.documents.select([*keys, "n_documents"]), keys, join_type="inner")
    of_charge = np.zeros(charges.num_rows, np.int64)
    of_charge[counted["charge_min"].to_numpy()] = counted["n_documents"].to_numpy()
    return _once(numbers, pa.chunked_array([of_charge]).take(numbers))
