"""The bill in FOCUS 1.2: each charge of a day as rows of its meters, a quantity at a unit price each.

A *charge* is what a day's lines have in common but for their context tier. The rows of the price book that stand on it say which unit
price each of its meters has, and the products are exact; that each call was rounded once is a row of its own. What has no unit price (a
bill's amount, a correction, a price the book does not have any more) is one adjustment. So a charge's rows sum up to its cost, always.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.focus.names import ADJUSTMENTS, BILL, CORRECTION, METERS, ROUNDING, UNPRICED
from skillyard.costs.focus.plans import SAID, Plan, plans_of
from skillyard.costs.ledger.lines import DOCUMENT_KEY, Day
from skillyard.costs.ledger.oddities import Finding
from skillyard.costs.prices.book import PriceBook
from skillyard.lake.focus_table import AMOUNT, FOCUS, QUANTITY
from skillyard.lake.tables import INT, TEXT, TIMESTAMP

__all__ = ["focus_rows", "lost_prices"]

CURRENCY = "USD"
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
SUMMED = (*QUANTITIES.values(), "cost_usd")
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
"""The team of a correction."""

Indices = npt.NDArray[np.int64]


def focus_rows(day: Day, book: PriceBook) -> pa.Table:
    """Return the day's rows of the table ``focus``: charges in one order, the meters of each in that of ``METERS``, adjustments last."""
    charges = _charges(day.lines)
    if charges.num_rows == 0:
        return FOCUS.schema.empty_table()
    plans, plan_of = _plans(charges, day.day, book)
    numbers = {(n, plan.meter): i for i, (n, plan) in enumerate(plans)}
    known = pa.Table.from_pylist([plan.said() for _, plan in plans], SAID)
    metered = _metered(charges, plan_of, numbers, known)
    rest = _rest(charges, metered)
    is_whole, adjusted = _adjusted(charges, rest, plan_of, numbers)
    kept = metered.filter(pa.array(is_whole[metered["charge"].to_numpy()]))
    rows = pa.concat_tables([kept.select(adjusted.column_names), adjusted])
    return _table(day, charges, known, rows.take(pc.sort_indices(rows, [("charge", "ascending"), ("row", "ascending")])))


def lost_prices(rows: pa.Table) -> list[Finding]:
    """Return, for rows of ``focus``, which rows of the price book they were charged by and do not find any more."""
    is_lost = pc.and_(pc.equal(rows["x_Meter"], UNPRICED), pc.not_equal(rows["x_PriceIds"], ""))
    keys = ["x_UsageDate", "x_Model", "x_PriceIds"]
    found = rows.filter(is_lost).group_by(keys, use_threads=False).aggregate([("BilledCost", "sum"), ("x_CallCount", "sum")])
    return [
        Finding(
            "unpriced",
            f"{row['x_CallCount_sum']} calls of {row['x_Model']} on {row['x_UsageDate']} were charged by {row['x_PriceIds']}, which is not "
            "in the price book any more, or with another price: they count with what the ledger says they cost. Give the book its old rows "
            "back, see git log include/prices.",
            {"model": row["x_Model"], "price_ids": row["x_PriceIds"], "cost_usd": row["BilledCost_sum"], "n_calls": row["x_CallCount_sum"]},
        )
        for row in found.to_pylist()
    ]


def _charges(lines: pa.Table) -> pa.Table:
    """Return what is charged, one row per charge, in the order of the key; cached answers and open or failed attempts are not."""
    is_charged = pc.or_(pc.is_in(lines["status"], pa.array(["settled", "correction"])), pc.not_equal(lines["cost_usd"], 0))
    keys = list(OWN.values())
    summed = lines.filter(is_charged).group_by(keys, use_threads=False).aggregate([(name, "sum") for name in SUMMED])
    named = summed.rename_columns([name.removesuffix("_sum") for name in summed.column_names])
    charges = named.take(pc.sort_indices(named, [(name, "ascending") for name in keys])).combine_chunks()
    return charges.append_column("charge_id", _ids(charges.select(keys)))


def _ids(keys: pa.Table) -> pa.Array:
    """Return a hash of each key: the same charge has it again, whenever its day is made."""
    texts = [column.cast(TEXT) for column in keys.columns]
    return pa.array([sha256(key.encode()).hexdigest()[:32] for key in pc.binary_join_element_wise(*texts, "\x1f").to_pylist()], TEXT)


def _plans(charges: pa.Table, day: date, book: PriceBook) -> tuple[list[tuple[int, Plan]], Indices]:
    """Return the plans of each combination that charges have, and the combination of each charge."""
    texts = [charges[name] for name in ("model", "price_ids", "use", "deployment")]
    combined = pc.binary_join_element_wise(*texts, "\x1f").combine_chunks().dictionary_encode()
    plans = []
    for n, text in enumerate(combined.dictionary.to_pylist()):
        model, price_ids, use, deployment = text.split("\x1f")
        plans += [(n, plan) for plan in plans_of(model, price_ids, use, deployment, day, book)]
    return plans, combined.indices.to_numpy().astype(np.int64)


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
    plans = {name: _numbers(plan_of, numbers, name) for name in ADJUSTMENTS}
    is_rounding = is_explained & (plans[ROUNDING] >= 0)
    names = list(ADJUSTMENTS)
    numbered = {name: names.index(name) for name in names}
    kind = np.select(
        [plans[CORRECTION] >= 0, plans[BILL] >= 0, is_rounding],
        [numbered[CORRECTION], numbered[BILL], numbered[ROUNDING]],
        numbered[UNPRICED],
    )
    cost = pc.if_else(pa.array(is_explained), rest, charges["cost_usd"].cast(AMOUNT).combine_chunks())
    at = np.flatnonzero(rest.is_valid().to_numpy(zero_copy_only=False))
    columns = {"charge": at, "row": kind[at] + len(METERS), "plan": np.choose(kind, list(plans.values()))[at]}
    return is_explained, pa.table(columns | {"quantity": pa.nulls(len(at), QUANTITY), "cost": cost.take(pa.array(at))})


def _table(day: Day, charges: pa.Table, known: pa.Table, rows: pa.Table) -> pa.Table:
    """Return the table: what every row says, what its plan says, what its charge says, and its amounts."""
    of_plan, of_charge = known.take(rows["plan"]), charges.append_column("tags", _tags(charges)).take(rows["charge"])
    cost, quantity = rows["cost"], rows["quantity"]
    unit_price, list_price = of_plan["ContractedUnitPrice"], of_plan["ListUnitPrice"]
    team = _unless(pc.equal(of_charge["team"], NOBODY), of_charge["team"])
    deployment = _unless(pc.equal(of_charge["use"], CORRECTION), of_charge["deployment"])
    columns: dict[str, Any] = {
        **{name: pa.repeat(value, rows.num_rows) for name, value in _of_day(day.day).items()},
        **{name: of_plan[name] for name in known.column_names},
        **{ours: of_charge[name] for ours, name in OWN.items()},
        "x_ChargeId": of_charge["charge_id"],
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


def _unless(condition: pa.ChunkedArray, names: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the names, null where the condition holds."""
    return pc.if_else(condition, pa.scalar(None, TEXT), names)


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
