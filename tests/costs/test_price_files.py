"""The prices in the repository: complete for every profile, and equal to what litellm knows."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from skillyard.costs.prices import load_prices
from skillyard.profiles import load_profile
from skillyard.settings import Settings
from skillyard.tiers import TIERS
from tests.conftest import PROFILE, ROOT, settings_in

PROFILES = sorted((ROOT / "include" / "profiles").glob("*.yaml"))
NOW = datetime.now(UTC)
KEYS = {
    "input": "input_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "output": "output_cost_per_token",
}
SUFFIX = {"live": "", "batch": "_batches"}


@pytest.mark.parametrize("path", [*PROFILES, PROFILE], ids=lambda path: path.stem)
def test_every_model_of_a_profile_is_priced_today(path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    book = load_prices(settings)
    for tier in TIERS:
        for deployment in load_profile(str(path), settings.include).deployments(tier):
            book.check(deployment.model, NOW)


@pytest.mark.parametrize("lane", SUFFIX)
def test_prices_of_providers_are_those_of_litellms_map(lane: str) -> None:
    import litellm

    book, seen = load_prices(Settings.from_env({"SKILLYARD_HOME": str(ROOT)})), 0
    for model in provider_models():
        listed, rates = litellm.model_cost[model.split("/", 1)[1]], book.rates(model, NOW, lane)
        for meter, key in KEYS.items():
            expected = listed.get(key + SUFFIX[lane], listed[KEYS["input"] + SUFFIX[lane]])
            assert rates[meter] == Decimal(repr(expected)), f"{model} {meter}"
            seen += 1
        assert rates["compute_s"] == 0
    assert seen >= 4 * 6


def test_one_price_holds_over_the_whole_window_of_a_deployment() -> None:
    import litellm

    for path in PROFILES:
        for tier in TIERS:
            for deployment in load_profile(str(path), ROOT / "include").deployments(tier):
                listed = litellm.model_cost.get(deployment.model.split("/", 1)[1], {})
                steps = [key.rsplit("_above_", 1)[1] for key in listed if key.startswith("input_cost_per_token_above_")]
                assert all(deployment.context_tokens <= int(step.split("k_", 1)[0]) * 1000 for step in steps), deployment.model


def test_a_profile_given_by_its_path_brings_the_prices_beside_it(tmp_path: Path) -> None:
    with_path, by_name = settings_in(tmp_path), settings_in(tmp_path, SKILLYARD_PROFILE="openai")
    load_prices(with_path).check("openai/sim-fast", NOW)
    with pytest.raises(Exception, match="openai/sim-fast"):
        load_prices(by_name).check("openai/sim-fast", NOW)


def provider_models() -> set[str]:
    """Return the models of all profiles that a provider bills by tokens."""
    profiles = [load_profile(str(path), ROOT / "include") for path in PROFILES]
    models = {d.model for profile in profiles for tier in TIERS for d in profile.deployments(tier)}
    return {model for model in models if not model.startswith("embedded/")}
