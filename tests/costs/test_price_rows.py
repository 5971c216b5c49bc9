"""Price files: each row is checked, and one that was altered after it was written is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from skillyard.costs.prices.book import PriceBook
from skillyard.costs.prices.files import read_prices, write_prices
from skillyard.costs.prices.price import COLUMNS, hash_of
from skillyard.errors import ConfigError
from tests.costs.books import price
from tests.costs.test_prices import NOW, book_of

FULL = "price_id,model,meter,service_tier,context_over,region,unit,price,currency,valid_from,valid_to,source,hash"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b,acme/m,input,token,2,2026-06-01,,t", r"book\.csv:3: acme/m input from 2026-06-01 overlaps .*book\.csv:2"),
        ("a,acme/x,input,token,2,2026-06-01,,t", r"book\.csv:3: price_id 'a' stands in .*book\.csv:2"),
        ("b,acme/m,thoughts,token,2,2026-06-01,,t", r"book\.csv:3: meter 'thoughts' per 'token': allowed are input per token"),
        ("b,acme/m,compute_s,token,2,2026-06-01,,t", r"book\.csv:3: .*compute_s per second"),
        ("b,acme/m,output,token,two,2026-06-01,,t", r"book\.csv:3: price is 'two'"),
        ("b,acme/m,output,token,-2,2026-06-01,,t", r"book\.csv:3: price is '-2'.* 0 or more"),
        ("b,acme/m,output,token,NaN,2026-06-01,,t", r"book\.csv:3: price is 'NaN'"),
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


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b,acme/m,input,slow,0,,token,2,USD,2026-06-01,,t,", r"book\.csv:3: service_tier is 'slow': allowed are standard, batch, flex"),
        ("b,acme/m,input,,-1,,token,2,USD,2026-06-01,,t,", r"book\.csv:3: context_over is '-1': it has to be a whole number"),
        ("b,acme/m,output,,,,token,2,EUR,2026-06-01,,t,", r"book\.csv:3: currency is 'EUR': the ledger is in USD"),
        ("b,acme/m,input,,0,,token,2,,2026-06-01,,t,", r"acme/m input from 2026-06-01 overlaps"),
        ("b,acme/m,output,,,,token,2,,2026-06-01,,t,0123456789abcdef", r"book\.csv:3: price 'b' was altered .*skillyard prices add"),
    ],
)
def test_a_malformed_special_row_is_refused_too(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        book_of(tmp_path, "a,acme/m,input,,,,token,1,,2026-01-01,,t,", row, head=FULL)


def test_prices_of_other_service_tiers_prompts_and_regions_are_no_overlap(tmp_path: Path) -> None:
    rows = [("a", "", "", ""), ("b", "batch", "", ""), ("c", "", "200000", ""), ("d", "", "", "eu"), ("e", "batch", "200000", "eu")]
    book = book_of(tmp_path, *(f"{id_},acme/m,input,{t},{c},{r},token,1,,2026-01-01,,t," for id_, t, c, r in rows), head=FULL)
    assert [p.key[2:] for p in book] == [(t or "standard", int(c or 0), r) for _, t, c, r in rows]


@pytest.mark.parametrize("head", ["model,price", "price_id,model,meter,unit,price_usd,valid_from,valid_to,source", FULL + ",hash"])
def test_other_columns_are_refused(tmp_path: Path, head: str) -> None:
    with pytest.raises(ConfigError, match=r"book\.csv:1: the columns are .*; they have to be price_id, model, .* and any of provider"):
        book_of(tmp_path, head=head)


def test_a_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    plain = price("a", "acme/m", "input", "0.00000010", "flex", 200_000, "eu")
    hashed = replace(plain, hash=hash_of(plain))
    write_prices(tmp_path / "book.csv", [hashed])
    assert (tmp_path / "book.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    (read,) = read_prices(tmp_path / "book.csv")
    assert read == replace(hashed, where=f"{tmp_path}/book.csv:2")
    assert [path.name for path in tmp_path.iterdir()] == ["book.csv"]


@pytest.mark.parametrize("change", [("0.0000001", "0.0000002"), ("2020-01-01", "2019-01-01"), ("acme/m", "acme/n"), ("test", "tested")])
def test_no_field_of_a_hashed_row_can_be_altered_but_its_end(tmp_path: Path, change: tuple[str, str]) -> None:
    plain = price("a", "acme/m", "input", "0.0000001")
    write_prices(file := tmp_path / "book.csv", [replace(plain, hash=hash_of(plain))])
    closed = file.read_text().replace("2020-01-01,,", "2020-01-01,2026-01-01,")
    file.write_text(closed)
    assert [p.valid_to for p in read_prices(file)] == [NOW.date().replace(month=1, day=1)]
    file.write_text(closed.replace(*change))
    with pytest.raises(ConfigError, match=r"book\.csv:2: price 'a' was altered after it was written"):
        PriceBook.load(tmp_path, file)
