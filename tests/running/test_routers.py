"""Versions of the router on the lake: which one is in use, promotion, rollback, and what happens to a broken one."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from skillyard.errors import ConfigError, PublishConflict, UnknownName
from skillyard.lake.lake import Lake
from skillyard.routing.decide import HEURISTIC, Traits
from skillyard.routing.router import Router, RouterUnusable, save_router
from skillyard.routing.training import train
from skillyard.running.routers import (
    FOLDER,
    POINTER,
    Pointer,
    PromotionConflict,
    champion,
    describe_router,
    list_versions,
    load_version,
    promote,
    rollback,
    save_version,
)
from skillyard.settings import Settings
from tests.routing.rows import audited_night
from tests.s3_server import S3Server

NOW = datetime(2026, 4, 1, tzinfo=UTC)
TRAITS = {"classify-things": Traits("fast", "expert", n_labels=4, n_fields=2, n_prompt_tokens=200, n_output_tokens=50)}


@pytest.fixture(scope="module")
def made() -> Router:
    return train(audited_night(0, 60, 0.9), TRAITS, {}, None, NOW)


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings.lake)


def version(made: Router, name: str) -> Router:
    return replace(made, version=name)


def two_versions(lake: Lake, made: Router) -> None:
    for name in ("a", "b"):
        save_version(lake, version(made, name))
        promote(lake, name, "a test", "because", NOW)


def test_without_a_promotion_declared_traits_decide_and_nothing_is_wrong(lake: Lake) -> None:
    found = champion(lake)
    assert (found.router, found.problem, found.version) == (None, "", HEURISTIC)
    assert "no router is in use" in found.text


def test_a_promoted_version_is_the_champion_and_says_who_why_and_what_before(lake: Lake, made: Router) -> None:
    two_versions(lake, made)
    found = champion(lake)
    assert found.router and found.version == "b"
    assert found.pointer == Pointer("b", "a", NOW.isoformat(), "a test", "because")
    assert [row["version"] for row in list_versions(lake)] == ["a", "b"]


def test_a_rollback_goes_back_to_the_version_before_and_a_second_one_undoes_it(lake: Lake, made: Router) -> None:
    two_versions(lake, made)
    assert rollback(lake, "a test", NOW).why == "rollback from b"
    assert champion(lake).version == "a"
    rollback(lake, "a test", NOW)
    assert champion(lake).version == "b"


def test_promoting_the_champion_again_forgets_nothing(lake: Lake, made: Router) -> None:
    two_versions(lake, made)
    before = champion(lake).pointer
    assert promote(lake, "b", "a test", "again", NOW) == champion(lake).pointer == before


def test_a_rollback_of_the_first_champion_goes_back_to_declared_traits(lake: Lake, made: Router) -> None:
    with pytest.raises(ConfigError, match="nothing to go back to"):
        rollback(lake, "a test", NOW)
    save_version(lake, version(made, "a"))
    promote(lake, "a", "a test", "because", NOW)
    assert rollback(lake, "a test", NOW).version == HEURISTIC
    assert (champion(lake).router, champion(lake).problem) == (None, "")


def test_a_version_never_changes(lake: Lake, made: Router) -> None:
    save_version(lake, version(made, "a"))
    save_version(lake, version(made, "a"))
    with pytest.raises(PublishConflict, match="a version never changes"):
        save_version(lake, replace(made, version="a", n_evidence=7))


def test_a_version_that_is_not_there_is_not_promoted_and_the_champion_stays(lake: Lake, made: Router) -> None:
    two_versions(lake, made)
    with pytest.raises(UnknownName, match=r"unknown router version 'c'.*Allowed: a, b"):
        promote(lake, "c", "a test", "because", NOW)
    lake.storage.put(f"{FOLDER}c.npz", b"rubbish")
    with pytest.raises(RouterUnusable):
        promote(lake, "c", "a test", "because", NOW)
    with pytest.raises(ConfigError, match="not an object key"):
        promote(lake, "../c", "a test", "because", NOW)
    assert champion(lake).version == "b"


def damage(lake: Lake, made: Router, kind: str) -> None:
    if kind == "missing":
        lake.storage.delete(f"{FOLDER}b.npz")
    elif kind == "corrupt":
        lake.storage.put(f"{FOLDER}b.npz", save_router(made)[:-200])
    elif kind == "other tiers":
        lake.storage.put(f"{FOLDER}b.npz", save_router(replace(made, tiers=("small", "large"))))
    else:
        lake.storage.put(POINTER, b"{no json")


@pytest.mark.parametrize("kind", ["missing", "corrupt", "other tiers", "pointer"])
def test_a_champion_that_cannot_be_used_is_a_problem_in_words_and_declared_traits_serve(lake: Lake, made: Router, kind: str) -> None:
    two_versions(lake, made)
    damage(lake, made, kind)
    found = champion(lake)
    assert found.router is None and found.version == HEURISTIC
    assert found.problem and found.problem in found.text
    promote(lake, "a", "a test", "repair", NOW)
    assert champion(lake).version == "a"


def test_of_two_promotions_over_the_same_champion_one_is_told(lake: Lake, made: Router) -> None:
    for name in ("a", "b"):
        save_version(lake, version(made, name))
    seen = champion(lake)
    promote(lake, "a", "first", "because", NOW, seen)
    with pytest.raises(PromotionConflict, match=r"b was not promoted: .* has changed meanwhile, to a"):
        promote(lake, "b", "second", "because", NOW, seen)


def race_for(lake: Lake, made: Router) -> None:
    names = [f"v{n}" for n in range(8)]
    for name in names:
        save_version(lake, version(made, name))
    seen, barrier = champion(lake), threading.Barrier(len(names))

    def promoted(name: str) -> str | None:
        barrier.wait()
        try:
            return promote(lake, name, "a test", "because", NOW, seen).version
        except PromotionConflict:
            return None

    with ThreadPoolExecutor(len(names)) as pool:
        won = [name for name in pool.map(promoted, names) if name]
    assert [champion(lake).version] == won


def test_of_many_promotions_at_the_same_time_one_wins(lake: Lake, made: Router) -> None:
    race_for(lake, made)


def test_of_many_promotions_at_the_same_time_one_wins_on_s3(s3: S3Server, made: Router) -> None:
    race_for(Lake(f"s3://{s3.bucket}/routers"), made)


def test_a_router_is_described_in_plain_json(settings: Settings, lake: Lake, made: Router) -> None:
    two_versions(lake, made)
    shown = describe_router(settings)
    assert (shown["champion"], shown["version"], shown["pointer"]["previous"]) == ("b", "b", "a")
    assert json.loads(json.dumps(shown["policies"], allow_nan=False))["classify-things"]["n_evidence"] > 0
    assert describe_router(settings, "a")["version"] == "a"
    assert load_version(lake, "a").version == "a"
