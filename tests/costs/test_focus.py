"""The bill in FOCUS: every row is a quantity at a unit price or an adjustment, and all of them are the ledger's cost exactly."""

import random
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillyard.costs.focus.rows import OWN, focus_rows, lost_prices
from skillyard.costs.ledger.lines import DOCUMENT_KEY, DOCUMENTS, ITEMS, LINES, UNITS, Day
from skillyard.costs.prices.book import PriceBook, Usage
from skillyard.lake.focus_table import FOCUS
from skillyard.lake.rows import conform
from skillyard.lake.validate import check
from tests.costs.books import price

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BOOK = PriceBook(
    [
        price("in", "openai/m", "input", "0.000003"),
        price("read", "openai/m", "cache_read", "0.0000003"),
        price("out", "openai/m", "output", "0.000015"),
        price("each", "openai/m", "request", "0.01"),
        price("in-long", "openai/m", "input", "0.000006", context_over=1000),
        price("b-in", "openai/m", "input", "0.0000015", "batch"),
        price("b-out", "openai/m", "output", "0.0000075", "batch"),
        price("p-in", "openai/m", "input", "0.00001", "priority"),
        price("p-out", "openai/m", "output", "0.00005", "priority"),
        price("odd-in", "acme/odd", "input", "0.00000000000000000007"),
        price("odd-out", "acme/odd", "output", "0.00000012345678901234"),
        price("own", "embedded/n", "compute_s", "0.00002777777777777778"),
        price("free-in", "acme/free", "input", "0"),
        price("free-out", "acme/free", "output", "0"),
        price("eu-in", "bedrock/e", "input", "0.00000055", region="eu-central-1"),
        price("eu-out", "bedrock/e", "output", "0.00000275", region="eu-central-1"),
    ]
)
LISTS = [("openai/m", tier, "") for tier in ("standard", "batch", "priority")]
LISTS += [(model, "standard", "") for model in ("acme/odd", "embedded/n", "acme/free")] + [("bedrock/e", "standard", "eu-central-1")]


def line(
    usages: Iterable[Usage], model: str = "openai/m", service_tier: str = "standard", region: str = "", **changes: Any
) -> dict[str, Any]:
    """Return the line of some calls that are alike: each is priced by the book and rounded by itself."""
    usages = list(usages)
    costs = [BOOK.cost(model, usage, NOON, service_tier, region) for usage in usages]
    (price_ids,) = {cost.price_ids for cost in costs}
    zero: dict[str, Any] = {f.name: "x" if pa.types.is_string(f.type) else Decimal(0) if pa.types.is_decimal(f.type) else 0 for f in LINES}
    names = {"n_images": "n_images", "compute_s": "compute_s"} | {n: n for n in asdict(Usage()) if n.endswith("_tokens")}
    used = {name: sum(getattr(usage, name) for usage in usages) for name in names}
    own = {"usage_date": DAY, "team": "records", "skill": "tag-document", "fingerprint": "f", "tier": "fast", "model": model}
    own |= {"service_tier": service_tier, "lane": "batch" if service_tier == "batch" else "live", "dag_id": "cli", "purpose": "answer"}
    own |= {"status": "settled", "use": "served", "price_ids": ",".join(price_ids)}
    return zero | used | own | {"n_calls": len(usages), "cost_usd": sum((cost.usd for cost in costs), Decimal(0))} | changes


def day_of(lines: Iterable[dict[str, Any]], documents: Iterable[dict[str, Any]] = ()) -> Day:
    """Return a day of these lines."""
    return Day(
        DAY,
        pa.Table.from_pylist(list(lines), LINES),
        ITEMS.empty_table(),
        UNITS.empty_table(),
        pa.Table.from_pylist(list(documents), DOCUMENTS),
    )


def rows_of(*lines: dict[str, Any], book: PriceBook = BOOK) -> list[dict[str, Any]]:
    """Return the table's rows for these lines, in its schema."""
    rows: list[dict[str, Any]] = conform(FOCUS, focus_rows(day_of(lines), book)).to_pylist()
    return rows


def amounts(rows: Iterable[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """Return some columns of the rows, amounts without their trailing zeros."""
    return [tuple(v.normalize() if isinstance(v := row[name], Decimal) else v for name in names) for row in rows]


def test_a_charge_is_a_row_per_meter_whose_quantity_times_its_price_is_its_cost() -> None:
    usage = Usage(input_tokens=100, cache_read_tokens=50, output_tokens=10)
    rows = rows_of(line([usage, usage]))
    assert amounts(rows, "x_Meter", "PricingQuantity", "ContractedUnitPrice", "BilledCost", "SkuPriceId", "PricingUnit") == [
        ("input", Decimal(200).normalize(), Decimal("0.000003"), Decimal("0.0006"), "in", "Tokens"),
        ("cache_read", Decimal(100).normalize(), Decimal("3E-7"), Decimal("0.00003"), "read", "Tokens"),
        ("output", Decimal(20).normalize(), Decimal("0.000015"), Decimal("0.0003"), "out", "Tokens"),
        ("request", Decimal(2), Decimal("0.01"), Decimal("0.02"), "each", "Requests"),
    ]
    assert [row["x_CallCount"] for row in rows] == [2, 0, 0, 0]
    first = rows[0]
    assert (first["ProviderName"], first["ServiceName"], first["SubAccountId"]) == ("OpenAI", "OpenAI API", "records")
    assert (first["ChargePeriodStart"], first["ChargePeriodEnd"]) == (
        datetime(2026, 11, 20, tzinfo=UTC),
        datetime(2026, 11, 21, tzinfo=UTC),
    )
    assert (first["BillingPeriodStart"], first["BillingPeriodEnd"]) == (
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 12, 1, tzinfo=UTC),
    )


def test_a_batch_discount_is_the_difference_between_list_and_billed_cost() -> None:
    rows = rows_of(line([Usage(input_tokens=100, output_tokens=10)], service_tier="batch"))
    assert amounts(rows[:2], "x_Meter", "ListCost", "ContractedCost", "EffectiveCost", "BilledCost") == [
        ("input", Decimal("0.0003"), *[Decimal("0.00015")] * 3),
        ("output", Decimal("0.00015"), *[Decimal("0.000075")] * 3),
    ]
    assert {row["SkuId"] for row in rows} == {"openai/m:input", "openai/m:output", "openai/m:request"}, "the same as live"


def test_a_dearer_service_tier_is_no_discount() -> None:
    rows = rows_of(line([Usage(input_tokens=100, output_tokens=10)], service_tier="priority"))
    assert all(row["ListCost"] == row["BilledCost"] for row in rows)


def test_a_long_prompt_is_listed_at_the_price_of_long_prompts() -> None:
    (first, *_) = rows_of(line([Usage(input_tokens=2000, output_tokens=10)]))
    assert (first["SkuPriceId"], first["ListUnitPrice"]) == ("in-long", Decimal("0.000006"))
    assert first["SkuPriceDetails"] == '{"x_ContextOver": 1000, "x_ServiceTier": "standard"}'


def test_what_each_calls_rounding_leaves_is_a_row_of_its_own() -> None:
    usage = Usage(output_tokens=1)  # 0.00000012345678901234 is rounded to 0.000000123457
    rows = rows_of(line([usage] * 3, "acme/odd"))
    assert amounts(rows, "x_Meter", "ChargeCategory", "BilledCost", "PricingQuantity") == [
        ("output", "Usage", Decimal("3.7037036703702E-7"), Decimal(3)),
        ("rounding", "Adjustment", Decimal("6.3296298E-13"), None),
    ]


def test_a_free_model_is_on_the_bill_with_its_quantities() -> None:
    rows = rows_of(line([Usage(input_tokens=7, output_tokens=2)], "acme/free"))
    assert amounts(rows, "x_Meter", "BilledCost", "PricingQuantity") == [("input", 0, Decimal(7)), ("output", 0, Decimal(2))]


def test_what_was_not_charged_is_not_on_the_bill() -> None:
    usage = [Usage(input_tokens=7, output_tokens=2)]
    unpaid = [line(usage, status=status, use="none", cost_usd=Decimal(0)) for status in ("cached", "unknown", "failed")]
    assert focus_rows(day_of(unpaid), BOOK).equals(FOCUS.schema.empty_table())


def test_a_bills_amount_and_a_correction_are_adjustments_of_the_provider() -> None:
    bill = line([Usage(input_tokens=7, output_tokens=2)], price_ids="bill", cost_usd=Decimal("0.5"))
    nobody = dict.fromkeys(("team", "skill", "fingerprint", "dag_id", "run_id"), "*")
    correction = line(
        [Usage()], status="correction", use="correction", purpose="correction", price_ids="bill", deployment="openai", **nobody
    )
    correction |= {"cost_usd": Decimal("-0.25"), "input_tokens": -3}
    rows = rows_of(bill, correction)
    assert amounts(rows, "x_Meter", "ChargeCategory", "BilledCost", "ListCost", "SkuPriceId", "SubAccountId", "ResourceId") == [
        ("correction", "Adjustment", Decimal("-0.25"), Decimal("-0.25"), None, None, None),
        ("bill", "Adjustment", Decimal("0.5"), Decimal("0.5"), None, "records", "x"),
    ]
    assert {row["ProviderName"] for row in rows} == {"OpenAI"}


@pytest.mark.parametrize("lost", ["in", "b-in"])
def test_a_cost_that_the_book_does_not_explain_any_more_is_one_row_and_told(lost: str) -> None:
    usage = [Usage(input_tokens=100, output_tokens=10)]
    lines = [line(usage), line(usage, service_tier="batch")]
    book = PriceBook([p for p in BOOK if p.price_id != lost])
    rows = rows_of(*lines, book=book)
    (unpriced,) = [row for row in rows if row["x_Meter"] == "unpriced"]
    cost = lines[0 if lost == "in" else 1]["cost_usd"]
    assert (unpriced["BilledCost"], unpriced["ListCost"], unpriced["ContractedUnitPrice"]) == (cost, cost, None)
    (told,) = lost_prices(focus_rows(day_of(lines), book))
    numbers = {"model": "openai/m", "price_ids": unpriced["x_PriceIds"], "cost_usd": cost, "n_calls": 1}
    assert (told.kind, told.numbers) == ("unpriced", numbers)
    assert unpriced["x_PriceIds"] in told.message
    assert len({row["x_ServiceTier"] for row in rows if row["x_Meter"] == "input"}) == 1, "the other charge keeps its meters"


def test_a_price_that_was_altered_under_its_id_explains_nothing() -> None:
    altered = PriceBook([p if p.price_id != "out" else price("out", "openai/m", "output", "0.000016") for p in BOOK])
    (row,) = rows_of(charge := line([Usage(output_tokens=10)]), book=altered)
    assert (row["x_Meter"], row["BilledCost"]) == ("unpriced", charge["cost_usd"])


def test_a_call_that_no_price_charged_is_on_the_bill_with_what_it_cost() -> None:
    (row,) = rows_of(line([Usage(input_tokens=7)], price_ids="", cost_usd=Decimal(0)))
    assert (row["x_Meter"], row["BilledCost"], row["x_CallCount"]) == ("unpriced", 0, 1)


def test_a_regions_price_names_its_region() -> None:
    rows = rows_of(line([Usage(input_tokens=7, output_tokens=1)], "bedrock/e", region="eu-central-1"))
    assert {(row["RegionId"], row["RegionName"], row["ProviderName"]) for row in rows} == {
        ("eu-central-1", "eu-central-1", "Amazon Web Services")
    }


def test_documents_are_counted_once_however_many_charges_they_made() -> None:
    usage = [Usage(input_tokens=7, output_tokens=2)]
    lines = [line(usage, purpose=purpose) for purpose in ("answer", "audit", "judge")] + [line(usage, run_id="other")]
    key = {name: lines[0][name] for name in DOCUMENT_KEY}
    rows = focus_rows(day_of(lines, [key | {"n_documents": 5}, key | {"run_id": "other", "n_documents": 3}]), BOOK)
    assert pc.sum(rows["x_DocumentCount"]).as_py() == 8
    counted = [(row["x_Purpose"], row["x_DagRun"], row["x_DocumentCount"]) for row in rows.to_pylist() if row["x_DocumentCount"]]
    assert sorted(counted) == [("answer", "other", 3), ("answer", "x", 5)]


def test_tags_are_a_json_object_whatever_a_name_is() -> None:
    (row, *_) = rows_of(line([Usage(output_tokens=2)], skill='tag "it"\\'))
    assert row["Tags"].startswith('{"skillyard:dag": "cli", "skillyard:purpose": "answer", "skillyard:skill": "tag \\"it\\"\\\\"')


tokens = st.integers(1, 2_000_000)
seconds = st.decimals("0.000001", 10_000, places=6, allow_nan=False, allow_infinity=False)
usages = st.builds(Usage, tokens, st.just(0), st.just(0), tokens, compute_s=seconds)
lines_of_some = st.builds(
    lambda used, priced, names: line(used, *priced, **names),
    st.lists(usages, min_size=1, max_size=4).map(
        lambda used: [u for u in used if (u.prompt_tokens > 1000) == (used[0].prompt_tokens > 1000)]
    ),
    st.sampled_from(LISTS),
    st.fixed_dictionaries(
        {"team": st.sampled_from("ab"), "skill": st.sampled_from("st"), "use": st.sampled_from(["served", "rejected"])},
        optional={"price_ids": st.sampled_from(["bill", "gone", ""]), "context_over": st.just(200_000)},
    ),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(lines_of_some, max_size=8), st.randoms(use_true_random=False))
def test_every_cost_is_the_ledgers_to_the_last_decimal_however_the_lines_come(lines: list[dict[str, Any]], chance: random.Random) -> None:
    rows = focus_rows(day_of(lines), BOOK)
    shuffled = chance.sample(lines, len(lines))
    assert focus_rows(day_of(shuffled), BOOK).equals(rows), "the order of the lines changes nothing"
    billed = sum((row["cost_usd"] for row in lines), Decimal(0))
    for column in ("BilledCost", "EffectiveCost", "ContractedCost"):
        assert sum(rows[column].to_pylist(), Decimal(0)) == billed
    for row in rows.to_pylist():
        if row["ChargeCategory"] == "Usage":
            exact = row["ContractedUnitPrice"] * row["PricingQuantity"]
            assert abs(row["BilledCost"] - exact) <= Decimal("5E-21"), "exact but for a price of 20 places times parts of a second"
            assert row["x_Meter"] == "compute_s" or row["BilledCost"] == exact
            assert abs(row["ListCost"] - row["ListUnitPrice"] * row["PricingQuantity"]) <= Decimal("5E-21")
            assert row["ListCost"] >= row["BilledCost"]
        else:
            assert (row["ContractedUnitPrice"], row["PricingQuantity"], row["SkuPriceId"]) == (None, None, None)
            assert row["ListCost"] == row["BilledCost"]
    keys = rows.select(list(FOCUS.key)).to_pylist()
    assert len({tuple(key.values()) for key in keys}) == len(keys) == rows.num_rows
    charges = {row["x_ChargeId"]: tuple(row[name] for name in OWN) for row in rows.to_pylist()}
    assert len(set(charges.values())) == len(charges), "a charge has one id"
    assert sum(rows["x_CallCount"].to_pylist()) == sum(row["n_calls"] for row in lines)


def test_the_suite_accepts_what_is_made() -> None:
    lines = [line([Usage(input_tokens=70, output_tokens=2, compute_s=Decimal("1.5"))], *priced) for priced in LISTS]
    lines += [line([Usage(output_tokens=1)], "acme/odd", team="b"), line([Usage(output_tokens=1)], price_ids="bill", team="b")]
    assert [str(o) for o in check(FOCUS, focus_rows(day_of(lines), BOOK)) if not o.has_passed] == []
