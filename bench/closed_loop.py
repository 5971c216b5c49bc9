"""The loop from audit to router: how many nights pass until a skill moves up whose fast model got worse, and back once it recovered.

Every day documents arrive and two skills of one family run over them; every night a sample of results is audited on every tier and the
champion is recalibrated. The provider is the simulator over HTTP; the nights' clock is moved on. The model drifts on one skill alone, by
more and by less.
"""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "GX_ANALYTICS_ENABLED": "false"}

from bench.figures import Figure, parser, report
from tests.conftest import settings_in
from tests.running.nights import DRIFTING, STEADY, Night, World
from tests.simulator import Simulator

GOAL_UP, MOST_BACK = 2, 6
"""Nights."""


def main() -> int:
    """Simulate, print every day, and report; 1 when a skill moves up late or the other one moves."""
    options = parser(__doc__).parse_args()
    n_first, n_a_night, drifts = (400, 40, ((0.0, 0.6),)) if options.quick else (700, 40, ((0.0, 0.6), (0.005, 0.2)))
    figures: list[Figure] = []
    with Simulator() as simulator:
        os.environ |= {"SIMULATOR_URL": simulator.url, "SIMULATOR_KEY": "sk-simulated"}
        for usual, wrong in drifts:
            with tempfile.TemporaryDirectory() as folder:
                world = World(settings_in(Path(folder)), simulator, usual)
                figures += measure(world, n_first, n_a_night, wrong)
                print_nights(world.nights)
    workload = f"2 skills, {n_first} documents audited on the first night and {n_a_night} on each one after it"
    return report(figures, workload, options.json)


def measure(world: World, n_first: int, n_a_night: int, wrong: float) -> list[Figure]:
    """Live through the drift and the recovery."""
    name = f"{world.usual:.1%} to {wrong:.0%} wrong"
    world.live(n_first)
    up = world.live_until(n_a_night, wrong, is_on_fast=False, most=GOAL_UP + 2)
    drifted, moved = world.nights[1], world.nights[-1]
    back = world.live_until(n_a_night, 0.0, is_on_fast=True, most=MOST_BACK)
    steady = min(night.on_fast(STEADY) for night in world.nights)
    return [
        Figure(f"{name}: moves up after", float("nan") if up is None else up, "nights", f"<= {GOAL_UP}", up is not None and up <= GOAL_UP),
        Figure(f"{name}: back after recovery", float("nan") if back is None else back, "nights", "comes back", back is not None),
        Figure(f"{name}: the other skill on fast", 100 * steady, "% at least", ">= 100", steady == 1),
        Figure(f"{name}: kept, as reported before the move", 100 * (drifted.report[DRIFTING].retained or 0.0), "%"),
        Figure(f"{name}: kept, as reported after the move", 100 * (moved.report[DRIFTING].retained or 0.0), "%"),
        Figure(f"{name}: an item before the move", 1e6 * drifted.usd_per_item[DRIFTING], "USD / million"),
        Figure(f"{name}: an item after the move", 1e6 * moved.usd_per_item[DRIFTING], "USD / million"),
    ]


def print_nights(nights: list[Night]) -> None:
    """Print a line per day and skill: what the model did, where items started, what the report said the morning after."""
    print(f"\n{'day':>3}  {'skill':<24}{'fast is wrong':>14}  {'starts':<28}{'USD/item':>10}  kept [at least], red flags")
    for night in nights:
        for skill, starts in night.starts.items():
            said, wrong = night.report[skill], night.wrong[skill]
            starts_on = ", ".join(f"{tier} {n}" for tier, n in starts.items())
            kept = f"{said.retained or 0:.1%} [{said.retained_lower or 0:.1%}] {' '.join(said.red_flags)}"
            print(f"{night.number:>3}  {skill:<24}{wrong:>14.1%}  {starts_on:<28}{night.usd_per_item[skill]:>10.6f}  {kept}")


if __name__ == "__main__":
    sys.exit(main())
