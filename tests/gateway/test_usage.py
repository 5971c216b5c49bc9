"""Recorded responses of every shape, over HTTP and through litellm: each token on one meter, and the cost that was worked out by hand.

Each file of ``usage/`` is one response as its provider documents it, with the meters and the cost that follow from it.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from skillyard.costs.prices.book import PriceBook, Usage
from skillyard.costs.prices.files import read_prices
from skillyard.gateway.files import read_lines, read_row
from skillyard.gateway.transport import CallFailed, Reply, close_clients, send
from skillyard.gateway.usage import read_usage
from skillyard.profiles import Deployment
from skillyard.tokens import n_images
from tests.gateway.replaying import Handler, Replay

FOLDER = Path(__file__).with_name("usage")
CASES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
BOOK = PriceBook(read_prices(FOLDER / "prices.csv"))
ANSWER = "The invoice is due on Friday."
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
Case = Mapping[str, Any]


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with pytest.MonkeyPatch.context() as environment, Replay(("127.0.0.1", 0), Handler) as server:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "of-nobody")
        environment.setenv("AWS_REGION_NAME", "us-east-1")
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def deployment(replay: Replay, model: str, is_streamed: bool = False) -> Deployment:
    base = replay.url + ("/v1" if model.startswith("openai/") else "")
    return Deployment("d", "fast", model, 500_000, 5_000, False, 4, {"stream": True} if is_streamed else {}, api_base=base, api_key="sk-1")


def ask(replay: Replay, case: Case) -> Reply:
    replay.play(case)
    asked = deployment(replay, case["model"], "body" not in case)

    async def asking() -> Reply:
        try:
            return await send(asked, [{"role": "user", "content": "When is it due?"}], None, "due", 100, 10.0, "call-1")
        finally:
            await close_clients()

    return asyncio.run(asking())


def usage_of(case: Case) -> Usage:
    return Usage(**case["meters"])


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_response_has_the_meters_and_the_cost_that_were_worked_out_by_hand(replay: Replay, name: str) -> None:
    case = CASES[name]
    if "fails" in case:
        with pytest.raises(CallFailed) as failed:
            ask(replay, case)
        assert (failed.value.kind, failed.value.is_billed_unknown, failed.value.can_retry) == (case["fails"], True, True)
        return
    reply = ask(replay, case)
    assert reply.usage == usage_of(case)
    assert reply.service_tier == case.get("says_tier")
    assert reply.request_id == case.get("request_id", reply.request_id)
    assert reply.refusal == case.get("refusal")
    if reply.usage != Usage():
        cost = BOOK.cost(case["model"], reply.usage, NOW, reply.service_tier or "standard")
        assert cost.usd == Decimal(case["cost_usd"])
    assert reply.content == ANSWER or reply.refusal or reply.finish_reason == "content_filter"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "body" in case])
def test_a_raw_response_reads_as_through_litellm(name: str) -> None:
    body = CASES[name]["body"]
    assert read_usage(body.get("usage") or body.get("usageMetadata")) == usage_of(CASES[name])


def test_every_shape_has_each_kind_of_response() -> None:
    for provider in ("openai", "anthropic", "gemini", "bedrock"):
        names = {name for name in CASES if name.startswith(f"{provider}-")}
        assert {f"{provider}-{kind}" for kind in ("cached", "stream", "stream-cut", "no-usage")} <= names
        assert any(case.get("working") for name, case in CASES.items() if name in names)


def test_the_rows_of_a_batch_have_the_meters_and_the_batch_cost_that_were_worked_out_by_hand(replay: Replay) -> None:
    replay.body, replay.headers = (FOLDER / "openai-batch.jsonl").read_bytes(), {"content-type": "application/octet-stream"}
    lines = read_lines(deployment(replay, "openai/gpt-recorded"), "file-1")
    rows = {row.call_id: row for row in map(read_row, lines) if row is not None}
    usages = {call_id: row.reply.usage for call_id, row in rows.items() if row.reply is not None}
    assert usages == {
        "cached": Usage(input_tokens=4000, cache_read_tokens=8000, output_tokens=1500, reasoning_tokens=1000),
        "filtered": Usage(input_tokens=2000, output_tokens=40),
        "silent": Usage(),
    }
    costs = {call_id: BOOK.cost("openai/gpt-recorded", usage, NOW, "batch").usd for call_id, usage in usages.items()}
    assert costs["cached"] == Decimal("0.012")  # 4000 x 1 + 8000 x 0.25 + 1500 x 4 = 12000 millionths
    assert costs["filtered"] == Decimal("0.00216")  # 2000 x 1 + 40 x 4 = 2160
    assert (rows["failed"].error_kind, rows["failed"].is_billed_unknown) == ("server_error", False)


RESPONSES = {"input_tokens": 12_000, "output_tokens": 1500, "total_tokens": 13_500}
DETAILS = {"input_tokens_details": {"cached_tokens": 8000}, "output_tokens_details": {"reasoning_tokens": 1000}}


def test_openais_responses_read_as_its_chat_completions() -> None:
    assert read_usage(RESPONSES | DETAILS) == Usage(4000, 8000, 0, 1500, 1000)


NONSENSE: dict[str, dict[str, Any]] = {
    "a negative prompt": {"prompt_tokens": -1, "completion_tokens": 2},
    "a negative output": {"input_tokens": 5, "output_tokens": -2},
    "a fraction": {"promptTokenCount": 5.5, "candidatesTokenCount": 2},
    "a truth value": {"inputTokens": 5, "outputTokens": True},
    "a text": {"prompt_tokens": "5", "completion_tokens": 2},
    "more read than there was": {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 6}},
    "more read and written than there was": {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_creation_tokens": 3},
    },
    "more reasoned than answered": {"prompt_tokens": 5, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 3}},
    "more read than there was, of Gemini": {"promptTokenCount": 5, "cachedContentTokenCount": 6, "candidatesTokenCount": 2},
    "a split that is not the whole": {"inputTokens": 5, "cacheWriteInputTokens": 9, "cacheDetails": [{"ttl": "1h", "inputTokens": 8}]},
    "an empty prompt": {"prompt_tokens": 0, "completion_tokens": 2},
    "nothing that is known": {"tokens": 5},
    "nothing": {},
}


@pytest.mark.parametrize("name", NONSENSE)
def test_counts_that_cannot_be_true_are_no_usage(name: str) -> None:
    assert read_usage(NONSENSE[name]) == Usage()
    assert read_usage(None) == Usage()


def test_compute_seconds_stay_whatever_the_tokens_are() -> None:
    assert asdict(read_usage({"prompt_tokens": -1, "compute_s": "1.25"})) == asdict(Usage(compute_s=Decimal("1.25")))


def test_images_are_counted_in_the_messages() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    assert n_images([{"role": "user", "content": [{"type": "text", "text": "?"}, picture, picture]}]) == 2
    assert n_images([{"role": "user", "content": "an image_url"}]) == 0
