"""The prices in the repository: complete for every profile, and equal to what two other lists know."""

from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter

import pytest

from skillyard.costs.prices.book import PriceBook, load_prices
from skillyard.costs.prices.check import check_prices
from skillyard.costs.prices.price import BATCH, STANDARD, hash_of
from skillyard.gateway.litellm_prices import litellm_prices
from skillyard.profiles import load_profile
from skillyard.settings import Settings
from skillyard.tiers import TIERS
from tests.conftest import PROFILE, ROOT, settings_in

PROFILES = sorted((ROOT / "include" / "profiles").glob("*.yaml"))
NOW = datetime.now(UTC)
OURS = Settings.from_env({"SKILLYARD_HOME": str(ROOT)})


@pytest.mark.parametrize("path", [*PROFILES, PROFILE], ids=lambda path: path.stem)
def test_every_model_of_a_profile_is_priced_today(path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    book = load_prices(settings)
    for tier in TIERS:
        for deployment in load_profile(str(path), settings.include).deployments(tier):
            book.check(deployment.model, NOW, deployment.service_tier, deployment.region)
            if deployment.has_batch:
                book.check(deployment.model, NOW, BATCH)


def test_all_that_litellms_map_has_for_the_models_of_the_profiles_is_in_the_book() -> None:
    book = PriceBook.load(ROOT / "include")
    rows = {(p.model, p.meter, p.service_tier, p.context_over): p.price for p in book if not p.valid_to}
    for model in provider_models():
        listed = {(model, one.meter, one.service_tier, one.context_over): one.price for one in litellm_prices(model)}
        assert listed == {key: price for key, price in rows.items() if key[0] == model}
    assert {service_tier for _, _, service_tier, _ in rows} == {STANDARD, BATCH, "flex", "priority"}
    assert {over for *_, over in rows} == {0, 100_000, 272_000}


def test_no_seeded_row_was_altered() -> None:
    assert [p.where for p in PriceBook.load(ROOT / "include") if p.hash != hash_of(p)] == []


def test_two_other_lists_agree_with_the_book_today() -> None:
    assert check_prices(OURS, date(2026, 11, 20)) == []


def test_a_list_with_dates_knows_that_two_models_cost_more_before_the_price_that_the_book_began_with() -> None:
    found = check_prices(OURS, date(2026, 7, 15))
    assert {one.model for one in found} == {"openai/gpt-5.6-sol", "openai/gpt-5.6-terra"}
    assert {(one.whose, one.note, one.differs) for one in found} == {("genai-prices", "litellm agrees with the book", True)}
    assert len(found) == 2 * 4 * 2, "each of four meters, for short prompts and for long ones"


def test_one_price_holds_over_the_whole_window_of_a_deployment() -> None:
    book = PriceBook.load(ROOT / "include")
    for path in PROFILES:
        for tier in TIERS:
            for deployment in load_profile(str(path), ROOT / "include").deployments(tier):
                assert all(deployment.context_tokens <= over for over in book.context_tiers(deployment.model, NOW.date())), deployment.model


def test_a_profile_given_by_its_path_brings_the_prices_beside_it(tmp_path: Path) -> None:
    with_path, by_name = settings_in(tmp_path), settings_in(tmp_path, SKILLYARD_PROFILE="openai")
    load_prices(with_path).check("openai/sim-fast", NOW)
    with pytest.raises(Exception, match="openai/sim-fast"):
        load_prices(by_name).check("openai/sim-fast", NOW)


def test_the_book_is_read_in_a_moment() -> None:
    def seconds() -> float:
        started = perf_counter()
        PriceBook.load(ROOT / "include")
        return perf_counter() - started

    assert min(seconds() for _ in range(5)) < 0.03


def test_litellms_map_is_read_as_litellm_reads_it() -> None:
    import litellm

    for model in provider_models():
        entry = litellm.model_cost[model.split("/", 1)[1]]
        listed = {(one.meter, one.service_tier, one.context_over): one.price for one in litellm_prices(model)}
        assert float(listed["input", STANDARD, 0]) == entry["input_cost_per_token"]
        assert float(listed["output", BATCH, 0]) == entry["output_cost_per_token_batches"]
        steps = {int(k.split("_above_")[1].split("k_")[0]) * 1000 for k in entry if k.startswith("input_cost_per_token_above_")}
        assert {over for _, _, over in listed} == {0, *steps}


@pytest.mark.parametrize("model", ["nobody/gpt-6-luna", "openai/no-such-model", "anthropic/gpt-6-luna", "embedded/smollm2-135m"])
def test_litellms_map_knows_a_model_at_its_own_provider_alone(model: str) -> None:
    assert litellm_prices(model) == []


def test_a_day_is_compared_with_what_held_on_it() -> None:
    before, after = (check_prices(OURS, day) for day in (date(2026, 8, 20), date(2026, 8, 21)))
    assert {one.model for one in before} == {"openai/gpt-5.6-sol"} and after == []


def provider_models() -> set[str]:
    """Return the models of all profiles that a provider bills by tokens."""
    profiles = [load_profile(str(path), ROOT / "include") for path in PROFILES]
    models = {d.model for profile in profiles for tier in TIERS for d in profile.deployments(tier)}
    return {model for model in models if not model.startswith("embedded/")}
