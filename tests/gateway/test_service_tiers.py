"""Which price list a call is charged by: what the deployment asks for, what the provider says, and the region."""

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select

from skillyard.costs.prices.book import PriceBook
from skillyard.errors import ConfigError
from skillyard.gateway.complete import Completion, Gateway
from skillyard.gateway.state import ATTEMPTS, open_state
from skillyard.profiles import Profile, load_profile
from tests.costs.books import price
from tests.gateway.replaying import Handler, Replay
from tests.gateway.test_complete import limits, request

MODEL = "openai/gpt-recorded"
PROFILE = """
description: One model.
tiers:
  fast: &all
    - name: d
      model: openai/gpt-recorded
      api_base: URL
      api_key_env: KEY
      context_tokens: 500000
      max_output_tokens: 5000
      json_schema: false
      MORE
  standard: *all
  expert: *all
"""
PER_TOKEN = {"standard": "0.000004", "flex": "0.000002", "priority": "0.000008"}
BOOK = PriceBook(
    [price(f"{tier}-{meter}", MODEL, meter, amount, tier) for tier, amount in PER_TOKEN.items() for meter in ("input", "output")]
    + [price("eu-output", MODEL, "output", "0.000005", region="eu")]
)
USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


@pytest.fixture
def replay() -> Iterator[Replay]:
    with Replay(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def profile_of(folder: Path, more: str, url: str = "http://127.0.0.1:1") -> Profile:
    (folder / "own.yaml").write_text(PROFILE.replace("URL", f"{url}/v1").replace("MORE", more))
    return load_profile(str(folder / "own.yaml"), folder, {"KEY": "sk-1"})


def row_of(replay: Replay, folder: Path, more: str, told: str | None) -> dict[str, Any]:
    """Return the ledger's row of one call to a provider that names the price list it worked by."""
    message = {"role": "assistant", "content": json.dumps({"a": "yes"})}
    body = {"id": "c1", "object": "chat.completion", "created": 1763700000, "model": "gpt-recorded", "usage": USAGE}
    replay.play(
        {"body": body | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]} | ({"service_tier": told} if told else {})}
    )
    state = open_state(f"sqlite:///{folder / 'state.db'}")

    async def ask() -> Completion:
        gateway = Gateway(state, profile_of(folder, more, replay.url), BOOK, limits())
        try:
            return await gateway.complete(request())
        finally:
            await gateway.stop()

    answered = asyncio.run(ask())
    with state.connect() as connection:
        (row,) = connection.execute(select(ATTEMPTS)).mappings().all()
    assert row["cost_usd"] == answered.cost_usd
    return dict(row)


@pytest.mark.parametrize(
    ("asked", "told", "charged"),
    [
        (None, None, "standard"),
        (None, "default", "standard"),
        ("flex", None, "flex"),
        ("flex", "flex", "flex"),
        ("priority", "default", "standard"),
        ("auto", "priority", "priority"),
        ("flex", "scale", "flex"),
    ],
)
def test_a_call_is_charged_by_the_list_that_the_provider_says_else_by_the_one_asked_for(
    replay: Replay, tmp_path: Path, asked: str | None, told: str | None, charged: str
) -> None:
    row = row_of(replay, tmp_path, f"params: {{service_tier: {asked}}}" if asked else "params: {}", told)
    assert (row["service_tier"], row["price_ids"]) == (charged, f"{charged}-input,{charged}-output")
    assert row["cost_usd"] == 110 * Decimal(PER_TOKEN[charged])
    asked_list = asked if asked in PER_TOKEN else "standard"
    assert row["reserved_usd"] >= 200 * Decimal(PER_TOKEN[str(asked_list)]), "what is reserved goes by what is asked for"


def test_a_deployment_is_charged_by_the_prices_of_its_region(replay: Replay, tmp_path: Path) -> None:
    row = row_of(replay, tmp_path, "region: eu", None)
    assert (row["price_ids"], row["cost_usd"]) == ("standard-input,eu-output", Decimal("0.00045"))


@pytest.mark.parametrize("asked", ["scale", "[flex]", "2"])
def test_a_service_tier_without_a_price_list_is_refused(tmp_path: Path, asked: str) -> None:
    with pytest.raises(
        ConfigError, match=r"own\.yaml: deployment 'd': service_tier .* has no price list; allowed are auto, default, .*flex"
    ):
        profile_of(tmp_path, f"params: {{service_tier: {asked}}}")
