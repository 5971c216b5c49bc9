"""The bill: one line per request it did the work for, exact, and not lost with the process."""

import json
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

from skillyard.costs.prices.book import PriceBook, Usage
from tests.conftest import PROFILE, ROOT
from tests.simulator import Simulator
from tests.simulator.bill import load_prices
from tests.simulator_test.asking import ask, request


def test_each_line_is_tokens_by_price_rounded_once(simulator: Simulator) -> None:
    simulator.configure(cached_fraction=0.4)
    got = ask(simulator.url, *[request(n, model) for n in range(5) for model in load_prices()])
    lines = {line["request_id"]: line for line in simulator.bill()["lines"]}
    for answer in got:
        line, usage = lines[answer.headers["x-request-id"]], answer.body["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        assert line["request_id"] == answer.body["id"]
        assert (line["input_tokens"], line["cache_read_tokens"]) == (usage["prompt_tokens"] - cached, cached)
        price = load_prices()[line["model"]]
        exact = price.input * line["input_tokens"] + price.cache_read * cached + price.output * usage["completion_tokens"]
        assert Decimal(line["amount_usd"]) == exact.quantize(Decimal("1e-12"), ROUND_HALF_EVEN) > 0


def test_the_totals_are_the_sums_of_the_lines(simulator: Simulator) -> None:
    ask(simulator.url, *[request(n, model) for n in range(20) for model in load_prices()])
    bill = simulator.bill()
    amounts = [Decimal(line["amount_usd"]) for line in bill["lines"]]
    assert len(amounts) == 60
    assert Decimal(bill["total_usd"]) == sum(amounts) == sum(Decimal(a) for a in bill["by_model"].values())


def test_a_bill_file_survives_the_process(tmp_path: Path) -> None:
    file = tmp_path / "bill.json"
    with Simulator(bill_file=file) as first:
        ask(first.url, request(1))
        first.save_bill()
        saved = first.bill()
        assert json.loads(file.read_text("utf-8")) == saved
    with Simulator(bill_file=file) as second:
        ask(second.url, request(2))
        assert second.bill()["lines"][0] == saved["lines"][0]
    assert len(json.loads(file.read_text("utf-8"))["lines"]) == 2


def test_our_prices_of_the_simulator_are_its_own() -> None:
    from datetime import UTC, datetime

    book, now = PriceBook.load(ROOT / "include", PROFILE.with_name("prices.csv")), datetime.now(UTC)
    for model, price in load_prices().items():
        for lane, service_tier in (("live", "standard"), ("batch", "batch")):
            usage = Usage(input_tokens=1013, cache_read_tokens=77, output_tokens=131)
            assert book.cost(f"openai/{model}", usage, now, service_tier).usd == price.amount_usd(lane, 1013, 77, 131)
            for meter in ("input", "cache_read", "output"):
                ours = book.cost(f"openai/{model}", Usage(**{f"{meter}_tokens": 10**9}), now, service_tier).usd
                assert ours == getattr(price, meter if lane == "live" else f"batch_{meter}") * 10**9
