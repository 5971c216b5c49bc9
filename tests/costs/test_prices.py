"""The price book: the day's own prices, exact; everything else is refused with file and line."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.costs.prices import COLUMNS, PriceBook, Usage
from skillyard.errors import ConfigError, Unpriced
from tests.costs.ledger import BOOK, MODELS, usages

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def book_of(folder: Path, *rows: str) -> PriceBook:
    """Return a book of one file with these rows."""
    (folder / "prices").mkdir(exist_ok=True)
    (folder / "prices" / "book.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n", "utf-8")
    return PriceBook.load(folder)


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


def test_prices_change_at_midnight_utc_and_the_old_ones_stay_for_old_days(tmp_path: Path) -> None:
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
    assert BOOK.cost(model, Usage(input_tokens=900, output_tokens=80, compute_s=Decimal("1.5")), NOW).usd == Decimal("0.0000375")
    assert BOOK.upper_bound(model, 10**6, 10**6, 60, NOW) == Decimal("0.0015")


def test_cached_tokens_without_a_price_are_ordinary_input() -> None:
    cached, plain = Usage(cache_write_tokens=1000), Usage(input_tokens=1000)
    assert BOOK.cost("openai/gpt-5.4-mini", cached, NOW).usd == BOOK.cost("openai/gpt-5.4-mini", plain, NOW).usd


PRICED = [(model, "live") for model in (*MODELS.values(), "anthropic/claude-opus-5", "embedded/smollm2-135m")]
PRICED += [(model, "batch") for model in ("openai/gpt-5.4-mini", "openai/gpt-6-luna", "anthropic/claude-opus-5")]


@given(usages, st.sampled_from(PRICED))
def test_no_attempt_costs_more_than_its_upper_bound(usage: Usage, priced: tuple[str, str]) -> None:
    model, lane = priced
    n_input = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    bound = BOOK.upper_bound(model, n_input, usage.output_tokens, usage.compute_s, NOW, lane)
    assert BOOK.cost(model, usage, NOW, lane).usd <= bound


@given(usages)
def test_the_batch_lane_is_never_dearer_and_its_rates_make_its_cost(usage: Usage) -> None:
    model = "openai/gpt-6-luna"
    batch, rates = BOOK.cost(model, usage, NOW, "batch"), BOOK.rates(model, NOW, "batch")
    assert batch.usd <= BOOK.cost(model, usage, NOW).usd
    amounts = (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens, usage.compute_s)
    assert batch.usd == sum((rate * amount for rate, amount in zip(rates.values(), amounts, strict=True)), Decimal(0))


def test_in_the_batch_lane_cached_tokens_without_a_price_are_batch_input_and_seconds_are_free(tmp_path: Path) -> None:
    meters = {"input": 10, "cache_read": 1, "cache_write": 20, "output": 30, "compute_s": 7, "batch_input": 5, "batch_output": 15}
    units = {meter: "second" if meter == "compute_s" else "token" for meter in meters}
    book = book_of(tmp_path, *(f"{meter},acme/m,{meter},{units[meter]},{price},2026-01-01,,t" for meter, price in meters.items()))
    used = Usage(1, 1, 1, 1, compute_s=Decimal(1))
    assert book.cost("acme/m", used, NOW).usd == 10 + 1 + 20 + 30 + 7
    cost = book.cost("acme/m", used, NOW, "batch")
    assert (cost.usd, cost.price_ids) == (5 * 3 + 15, ("batch_input", "batch_output"))
    assert book.upper_bound("acme/m", 2, 2, 9, NOW, "batch") == 5 * 2 + 15 * 2
    both = book_of(
        tmp_path,
        "i,acme/m,batch_input,token,5,2026-01-01,,t",
        "r,acme/m,batch_cache_read,token,1,2026-01-01,,t",
        "w,acme/m,batch_cache_write,token,6,2026-01-01,,t",
        "o,acme/m,batch_output,token,15,2026-01-01,,t",
    )
    assert both.cost("acme/m", used, NOW, "batch").usd == 5 + 1 + 6 + 15
    assert both.upper_bound("acme/m", 1, 0, 0, NOW, "batch") == 6


def test_a_model_without_batch_prices_is_unpriced_in_that_lane_alone(tmp_path: Path) -> None:
    book = book_of(
        tmp_path,
        "a,acme/m,input,token,1,2026-01-01,,t",
        "b,acme/m,output,token,1,2026-01-01,,t",
        "c,acme/m,batch_input,token,1,2026-01-01,,t",
    )
    book.check("acme/m", NOW)
    with pytest.raises(
        Unpriced, match=r"acme/m.* no batch price on 2026-11-20: only batch_input, input, output .*batch_input and batch_output"
    ):
        book.check("acme/m", NOW, "batch")
    with pytest.raises(Unpriced, match="no batch price"):
        BOOK.upper_bound("embedded/smollm2-135m", 1, 1, 1, NOW, "batch")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b,acme/m,input,token,2,2026-06-01,,t", r"book\.csv:3: acme/m input from 2026-06-01 overlaps .*book\.csv:2"),
        ("a,acme/x,input,token,2,2026-06-01,,t", r"book\.csv:3: price_id 'a' stands in .*book\.csv:2"),
        ("b,acme/m,thoughts,token,2,2026-06-01,,t", r"book\.csv:3: meter 'thoughts' per 'token': allowed are input per token"),
        ("b,acme/m,compute_s,token,2,2026-06-01,,t", r"book\.csv:3: .*compute_s per second"),
        ("b,acme/m,output,token,two,2026-06-01,,t", r"book\.csv:3: price_usd is 'two'"),
        ("b,acme/m,output,token,-2,2026-06-01,,t", r"book\.csv:3: price_usd is '-2'.* 0 or more"),
        ("b,acme/m,output,token,NaN,2026-06-01,,t", r"book\.csv:3: price_usd is 'NaN'"),
        ("b,acme/m,output,token,0.000000000000000000001,2026-06-01,,t", r"at most 20 places"),
        ("b,acme/m,output,token,2,yesterday,,t", r"book\.csv:3: valid_from is 'yesterday'.*2026-01-31"),
        ("b,acme/m,output,token,2,2026-06-01,2026-06-01,t", r"book\.csv:3: valid_to 2026-06-01 is not after"),
        ("b,,output,token,2,2026-06-01,,t", r"book\.csv:3: model is empty"),
        ("b,acme/m,output,token,2", r"book\.csv:3: the row does not have 8 fields"),
        ("b,acme/m,output,token,2,2026-06-01,,t,more", r"book\.csv:3: the row does not have 8 fields"),
    ],
)
def test_a_malformed_row_is_refused_with_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        book_of(tmp_path, "a,acme/m,input,token,1,2026-01-01,,t", row)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "book.csv").write_text("model,price\n", "utf-8")
    with pytest.raises(ConfigError, match=r"book\.csv:1: the columns are model, price; they have to be price_id, model"):
        PriceBook.load(tmp_path)
