"""The price book: the day's own prices, exact, by service tier, length of the prompt and region."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.costs.prices.book import CHARGED, PriceBook, Usage
from skillyard.errors import Unpriced
from tests.costs.books import price
from tests.costs.ledger import BOOK, MODELS, usages

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HEAD = "price_id,model,meter,unit,price,valid_from,valid_to,source"


def book_of(folder: Path, *rows: str, head: str = HEAD) -> PriceBook:
    """Return a book of one file with these rows."""
    (folder / "prices").mkdir(exist_ok=True)
    (folder / "prices" / "book.csv").write_text("\n".join([head, *rows]) + "\n", "utf-8")
    return PriceBook.load(folder)


LONG = PriceBook(
    [
        price("in", "acme/m", "input", "0.000003"),
        price("read", "acme/m", "cache_read", "0.0000003"),
        price("write", "acme/m", "cache_write", "0.00000375"),
        price("hour", "acme/m", "cache_write_1h", "0.000006"),
        price("out", "acme/m", "output", "0.000015"),
        price("pic", "acme/m", "image", "0.0048"),
        price("each", "acme/m", "request", "0.01"),
        price("in-long", "acme/m", "input", "0.000006", context_over=200_000),
        price("out-long", "acme/m", "output", "0.0000225", context_over=200_000),
        price("in-longest", "acme/m", "input", "0.000001", context_over=500_000),
        price("b-in", "acme/m", "input", "0.0000015", "batch"),
        price("b-out", "acme/m", "output", "0.0000075", "batch"),
        price("p-in", "acme/m", "input", "0.00001", "priority"),
        price("p-write", "acme/m", "cache_write", "0.00002", "priority"),
        price("p-out", "acme/m", "output", "0.00005", "priority"),
        price("eu-in", "acme/m", "input", "0.0000033", region="eu"),
    ]
)
"""A model with everything a provider may charge for."""


def test_a_call_costs_what_its_meters_cost_rounded_once(tmp_path: Path) -> None:
    book = book_of(
        tmp_path,
        "a,acme/m,input,token,0.0000000000005,2026-01-01,,test",
        "b,acme/m,output,token,0.000001,2026-01-01,,test",
        "c,acme/m,cache_read,token,0.0000000000001,2026-01-01,,test",
        "d,acme/m,cache_write,token,0.00000125,2026-01-01,,test",
    )
    cost = book.cost("acme/m", Usage(input_tokens=3, cache_read_tokens=10, cache_write_tokens=2, output_tokens=1, reasoning_tokens=1), NOW)
    assert cost.usd == Decimal("0.000003500002"), "0.0000035000025 rounds half-even"
    assert cost.price_ids == ("a", "c", "d", "b")
    assert book.cost("acme/m", Usage(output_tokens=7), NOW).price_ids == ("b",)


def test_prices_change_at_midnight_utc_in_mid_month_and_the_old_ones_stay_for_old_days(tmp_path: Path) -> None:
    book = book_of(
        tmp_path,
        "in,acme/m,input,token,1,2026-01-01,,t",
        "old,acme/m,output,token,2,2026-01-01,2026-11-20,t",
        "new,acme/m,output,token,3,2026-11-20,,t",
    )
    midnight = datetime(2026, 11, 20, tzinfo=UTC)
    assert book.cost("acme/m", Usage(output_tokens=1), midnight - timedelta(microseconds=1)).price_ids == ("old",)
    assert book.cost("acme/m", Usage(output_tokens=1), midnight).price_ids == ("new",)
    east = midnight.astimezone(timezone(timedelta(hours=9)))
    assert book.cost("acme/m", Usage(output_tokens=1), east).price_ids == ("new",)
    with pytest.raises(ValueError, match="no time zone"):
        book.cost("acme/m", Usage(), datetime(2026, 11, 20))
    month = [datetime(2026, 11, day, 12, tzinfo=UTC) for day in range(1, 31)]
    assert sum(book.cost("acme/m", Usage(output_tokens=1), at).usd for at in month) == 19 * 2 + 11 * 3


def test_an_unpriced_model_is_named_with_its_day_and_the_files(tmp_path: Path) -> None:
    book = book_of(tmp_path, "a,acme/m,input,token,1,2026-01-01,2026-02-01,t", "b,acme/m,output,token,1,2026-01-01,2026-02-01,t")
    with pytest.raises(Unpriced, match=r"acme/x.* 2026-11-20.*in none of them.*book\.csv"):
        book.check("acme/x", NOW)
    with pytest.raises(Unpriced, match=r"acme/m.* 2026-11-20.*input from 2026-01-01 until 2026-02-01"):
        book.cost("acme/m", Usage(), NOW)
    half = book_of(tmp_path, "a,acme/m,input,token,1,2026-01-01,,t")
    with pytest.raises(Unpriced, match="only input has a price"):
        half.upper_bound("acme/m", 1, 1, 1, NOW)


def test_a_model_of_ones_own_costs_its_seconds_and_its_tokens_are_free() -> None:
    model = "embedded/smollm2-135m"
    used = Usage(input_tokens=900, output_tokens=80, compute_s=Decimal("1.5"), idle_s=Decimal("0.5"))
    assert BOOK.cost(model, used, NOW).usd == Decimal("0.0000375")
    assert BOOK.upper_bound(model, 10**6, 10**6, 60, NOW) == Decimal("0.0015")


def test_cached_tokens_without_a_price_are_ordinary_input() -> None:
    cached, plain = Usage(cache_write_tokens=600, cache_write_1h_tokens=400), Usage(input_tokens=1000)
    assert BOOK.cost("openai/gpt-5.4-mini", cached, NOW).usd == BOOK.cost("openai/gpt-5.4-mini", plain, NOW).usd


def test_tokens_cached_for_an_hour_without_a_price_of_their_own_cost_what_those_cached_for_minutes_do() -> None:
    rates = LONG.rates("acme/m", NOW, "priority")
    assert (rates["cache_write_1h"], rates["cache_read"]) == (rates["cache_write"], rates["input"])


def test_images_and_the_request_are_charged_beside_the_tokens_in_every_service_tier() -> None:
    used = Usage(input_tokens=1000, output_tokens=100, n_images=2)
    assert LONG.cost("acme/m", used, NOW).usd == Decimal("0.003") + Decimal("0.0015") + 2 * Decimal("0.0048") + Decimal("0.01")
    batch = LONG.cost("acme/m", used, NOW, "batch")
    assert batch.usd == Decimal("0.0015") + Decimal("0.00075") + 2 * Decimal("0.0048") + Decimal("0.01")
    assert (batch.price_ids, batch.service_tier) == (("b-in", "b-out", "pic", "each"), "batch")
    assert LONG.cost("acme/m", Usage(), NOW).usd == 0, "nothing used, nothing charged"


@pytest.mark.parametrize(
    ("prompt", "ids", "rate"),
    [
        (200_000, ("in", "out"), "0.000003"),
        (200_001, ("in-long", "out-long"), "0.000006"),
        (500_001, ("in-longest", "out-long"), "0.000001"),
    ],
)
def test_a_long_prompt_prices_the_whole_request_by_the_highest_tier_it_exceeds(prompt: int, ids: tuple[str, ...], rate: str) -> None:
    cost = LONG.cost("acme/m", Usage(input_tokens=prompt, output_tokens=1), NOW)
    assert cost.price_ids == (*ids, "each")
    assert LONG.rates("acme/m", NOW, context_tokens=prompt)["input"] == Decimal(rate)
    assert LONG.context_tiers("acme/m", NOW.date()) == (200_000, 500_000)


def test_what_was_read_from_and_written_to_a_cache_counts_for_the_length_of_a_prompt() -> None:
    used = Usage(input_tokens=1, cache_read_tokens=100_000, cache_write_tokens=50_000, cache_write_1h_tokens=50_000)
    assert LONG.cost("acme/m", used, NOW).price_ids == ("in-long", "read", "write", "hour", "each")


def test_a_regions_own_price_wins_and_elsewhere_the_general_one_holds() -> None:
    used = Usage(input_tokens=25_000, output_tokens=1)
    assert LONG.cost("acme/m", used, NOW, region="eu").price_ids == ("eu-in", "out", "each")
    assert LONG.cost("acme/m", used, NOW, region="us").price_ids == ("in", "out", "each")


def test_a_regions_price_of_any_prompt_leaves_those_of_long_prompts_as_they_are_everywhere() -> None:
    used = Usage(input_tokens=250_000, output_tokens=1)
    assert LONG.cost("acme/m", used, NOW, region="eu").price_ids == ("in-long", "out-long", "each")


def test_a_row_is_found_by_its_id() -> None:
    found = LONG.by_id("hour")
    assert found is not None and (found.meter, found.price) == ("cache_write_1h", Decimal("0.000006"))
    assert LONG.by_id("minute") is None


PRICED = [(BOOK, model, "standard") for model in (*MODELS.values(), "anthropic/claude-opus-5", "embedded/smollm2-135m")]
PRICED += [(BOOK, model, "batch") for model in ("openai/gpt-5.4-mini", "openai/gpt-6-luna", "anthropic/claude-opus-5")]
PRICED += [(LONG, "acme/m", tier) for tier in ("standard", "batch", "priority")]
many_usages = st.tuples(usages, st.integers(0, 600_000), st.integers(0, 20)).map(
    lambda drawn: Usage(
        drawn[0].input_tokens // 4,
        drawn[0].cache_read_tokens // 4,
        drawn[0].cache_write_tokens // 4,
        drawn[0].output_tokens,
        compute_s=drawn[0].compute_s,
        cache_write_1h_tokens=drawn[1],
        n_images=drawn[2],
    )
)


@given(many_usages, st.sampled_from(PRICED), st.sampled_from(["", "eu"]), st.integers(0, 1000))
def test_no_attempt_of_at_most_that_size_costs_more_than_its_upper_bound(
    usage: Usage, priced: tuple[PriceBook, str, str], region: str, more: int
) -> None:
    book, model, service_tier = priced
    size = (usage.prompt_tokens + more, usage.output_tokens + more, usage.compute_s, NOW, service_tier, region, usage.n_images)
    assert book.cost(model, usage, NOW, service_tier, region).usd <= book.upper_bound(model, *size)


@given(many_usages, st.sampled_from(PRICED), st.sampled_from(["", "eu"]))
def test_a_cost_is_the_sum_of_its_parts_at_the_rates_of_the_prompt(usage: Usage, priced: tuple[PriceBook, str, str], region: str) -> None:
    book, model, service_tier = priced
    rates = book.rates(model, NOW, service_tier, region, usage.prompt_tokens)
    assert tuple(rates) == tuple(CHARGED)
    amounts = {
        "input": usage.input_tokens,
        "cache_read": usage.cache_read_tokens,
        "cache_write": usage.cache_write_tokens,
        "cache_write_1h": usage.cache_write_1h_tokens,
        "output": usage.output_tokens,
        "image": usage.n_images,
        "request": int(usage != Usage()),
        "compute_s": usage.compute_s,
    }
    exact = sum((rates[part] * amount for part, amount in amounts.items()), Decimal(0))
    assert book.cost(model, usage, NOW, service_tier, region).usd == exact.quantize(Decimal("1e-12"), ROUND_HALF_EVEN)


@given(usages)
def test_a_batch_is_never_dearer(usage: Usage) -> None:
    for model in ("openai/gpt-6-luna", "anthropic/claude-opus-5"):
        assert BOOK.cost(model, usage, NOW, "batch").usd <= BOOK.cost(model, usage, NOW).usd


def test_in_a_service_tier_cached_tokens_without_a_price_are_its_input_and_seconds_are_free() -> None:
    meters = {"input": "10", "cache_read": "1", "cache_write": "20", "output": "30", "compute_s": "7"}
    live = [price(meter, "acme/m", meter, amount) for meter, amount in meters.items()]
    batch = [price("b-input", "acme/m", "input", "5", "batch"), price("b-output", "acme/m", "output", "15", "batch")]
    book, used = PriceBook([*live, *batch]), Usage(1, 1, 1, 1, compute_s=Decimal(1))
    assert book.cost("acme/m", used, NOW).usd == 10 + 1 + 20 + 30 + 7
    cost = book.cost("acme/m", used, NOW, "batch")
    assert (cost.usd, cost.price_ids) == (5 * 3 + 15, ("b-input", "b-output"))
    assert book.upper_bound("acme/m", 2, 2, 9, NOW, "batch") == 5 * 2 + 15 * 2
    cached = [price("b-read", "acme/m", "cache_read", "1", "batch"), price("b-write", "acme/m", "cache_write", "6", "batch")]
    both = PriceBook([*live, *batch, *cached])
    assert both.cost("acme/m", used, NOW, "batch").usd == 5 + 1 + 6 + 15
    assert both.upper_bound("acme/m", 1, 0, 0, NOW, "batch") == 6


@pytest.mark.parametrize("service_tier", ["batch", "flex", "priority"])
def test_a_model_without_prices_of_a_service_tier_is_unpriced_in_that_tier_alone(service_tier: str) -> None:
    book = PriceBook(
        [price("a", "acme/m", "input", "1"), price("b", "acme/m", "output", "1"), price("c", "acme/m", "input", "1", service_tier)]
    )
    book.check("acme/m", NOW)
    told = rf"acme/m.* no {service_tier} price on 2026-11-20: only input, input \({service_tier}\), output .*service_tier {service_tier}"
    with pytest.raises(Unpriced, match=told):
        book.check("acme/m", NOW, service_tier)
    with pytest.raises(Unpriced, match=f"no {service_tier} price"):
        BOOK.upper_bound("embedded/smollm2-135m", 1, 1, 1, NOW, service_tier)


def test_prices_of_long_prompts_alone_are_no_prices() -> None:
    book = PriceBook([price("a", "acme/m", "input", "1", context_over=9), price("b", "acme/m", "output", "1", context_over=9)])
    with pytest.raises(Unpriced, match="over 9 tokens"):
        book.cost("acme/m", Usage(input_tokens=10), NOW)
