"""The prices in litellm's own map, as the installed version brings it: without dates, a second opinion and a start for a book.

The map is read from its file, so that its numbers stay the decimals they are and nothing of litellm has to be imported.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from skillyard.costs.prices.price import BATCH, STANDARD, Listed

FILE = "model_prices_and_context_window_backup.json"
METERS = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_token": "output",
    "input_cost_per_image": "image",
    "input_cost_per_request": "request",
}
HOUR, MINUTES = "cache_write_1h", "cache_write"
SERVICE_TIERS = {None: STANDARD, "batches": BATCH, "flex": "flex", "priority": "priority"}
_KEY = re.compile(rf"({'|'.join(sorted(METERS, key=len, reverse=True))})(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority))?")


def litellm_source() -> str:
    """Return the name of the map for the column ``source``."""
    return f"litellm {version('litellm')} model_cost"


def litellm_prices(model: str) -> list[Listed]:
    """Return what the map says that a model costs; nothing for one it does not know.

    Where it has a batch price of tokens cached for minutes and none of those cached for an hour, the latter is taken to be reduced alike.
    """
    found = {}
    for name, value in _entry(model).items():
        matched = _KEY.fullmatch(name)
        if matched and isinstance(value, int | Decimal):
            meter = METERS[matched[1]]
            if value or meter not in ("image", "request"):  # 0 there: nothing is charged for it
                listed = Listed(meter, SERVICE_TIERS[matched[3]], int(matched[2] or 0) * 1000, Decimal(value))
                found[listed.service_tier, listed.context_over, meter] = listed
    for over in {over for _, over, _ in found}:
        hour, minutes, reduced = (found.get(key) for key in ((STANDARD, over, HOUR), (STANDARD, over, MINUTES), (BATCH, over, MINUTES)))
        if hour and minutes and reduced and (BATCH, over, HOUR) not in found:
            price = hour.price * reduced.price / minutes.price
            found[BATCH, over, HOUR] = Listed(HOUR, BATCH, over, price, f"reduced as {MINUTES}")
    return list(found.values())


def _entry(model: str) -> Mapping[str, Any]:
    """Return the map's entry: under the whole name, or under the name at its provider, if that is the same provider."""
    if model in (models := _map()):
        return models[model]
    provider, _, name = model.partition("/")
    entry = models.get(name, {})
    return entry if str(entry.get("litellm_provider", "")).startswith(provider) else {}


@cache
def _map() -> dict[str, dict[str, Any]]:
    spec = find_spec("litellm")
    assert spec is not None and spec.origin is not None
    found: dict[str, dict[str, Any]] = json.loads(Path(spec.origin).with_name(FILE).read_text("utf-8"), parse_float=Decimal)
    return found
