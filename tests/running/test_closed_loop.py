"""The loop closes: a fast model that gets worse on one skill is noticed, routed around, and used again when it recovers."""

import pytest

from skillyard.lake.lake import Lake
from skillyard.running.routers import champion
from skillyard.settings import Settings
from tests.running.nights import DRIFTING, STEADY, World
from tests.simulator import Simulator


@pytest.mark.timeout(600)
def test_a_skill_whose_fast_model_gets_worse_moves_up_within_two_nights_and_back_when_it_recovers(
    settings: Settings, simulator: Simulator
) -> None:
    world = World(settings, simulator)
    world.live(400)
    assert champion(Lake(settings.lake)).router, "the first night makes a champion"

    assert world.live_until(50, wrong=0.6, is_on_fast=False, most=2) is not None
    noticed, moved = world.nights[1], world.nights[-1]
    seen = noticed.report[DRIFTING]
    assert seen.retained is not None and seen.retained < 0.8 and "retention" in seen.red_flags
    assert moved.usd_per_item[DRIFTING] > 5 * noticed.usd_per_item[DRIFTING]
    mended = moved.report[DRIFTING]
    assert mended.retained_lower and mended.target and mended.retained_lower > mended.target and "retention" not in mended.red_flags

    assert world.live_until(50, wrong=0.0, is_on_fast=True, most=3) is not None
    assert world.nights[-1].usd_per_item[DRIFTING] < 2 * noticed.usd_per_item[DRIFTING]
    assert all(night.on_fast(STEADY) == 1 for night in world.nights), "the other skill of the family stays where it was"
