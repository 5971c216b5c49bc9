"""Many processes against the same hard limits: nothing is ever spent beyond them, by the provider's own bill, and little of them is left.

``bench/budget.py`` is the long form, with 32 processes.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from skillyard.settings import Settings
from tests.gateway.spending import TEAM, against_one_limit, side_by_side
from tests.running.trials import installation, n_deadlocks
from tests.simulator import Simulator

N_PROCESSES = 8


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path: Path, simulator: Simulator) -> Iterator[Settings]:
    """An installation on each kind of state store; on PostgreSQL no deadlock is left behind either."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with installation(tmp_path, url, concurrency=256) as settings:
        n_before = n_deadlocks(settings)
        yield settings
        assert n_deadlocks(settings) == n_before


@pytest.mark.timeout(300)
def test_one_hard_limit_is_used_up_and_never_exceeded(shared: Settings, simulator: Simulator) -> None:
    spent = against_one_limit(shared, simulator, N_PROCESSES, 60, 50)
    (counter,) = spent.watched.hard_usd
    assert counter.startswith(f"{TEAM}|*|") and spent.watched.n_failed == 0
    assert (spent.overspend_usd, spent.unexplained_usd, spent.n_asked_again) == (0, 0, 0)
    assert spent.n_statuses.keys() == {"settled"} and spent.n_statuses["settled"] < N_PROCESSES * 60
    assert spent.billed_usd[counter] == spent.held_usd[counter] and spent.used(counter) >= 0.97


@pytest.mark.timeout(300)
def test_limits_of_run_day_month_and_skill_hold_together_through_failures_and_kills_and_a_raised_one_goes_on(
    shared: Settings, simulator: Simulator
) -> None:
    first, second = side_by_side(shared, simulator, N_PROCESSES, 50, 12)
    assert first.watched.n_killed == 2 and first.watched.n_failed == second.watched.n_failed == 0
    for spent in (first, second):
        assert (spent.overspend_usd, spent.unexplained_usd, spent.n_asked_again) == (0, 0, 0), spent
    assert first.n_statuses["failed"] > 0
    assert 0 < first.n_statuses["sent"] == second.n_statuses["sent"], "what the killed had in flight stays reserved"
    limits = first.watched.hard_usd
    (of_tag,) = [c for c in limits if c.startswith(f"{TEAM}|tag|")]
    (day,) = [c for c in limits if c.startswith(f"{TEAM}|*|") and len(c.rpartition("|")[2]) == 10]
    assert first.is_full(of_tag) and first.is_full("run|sort|run of sort") and not first.is_full(day)
    assert second.is_full(day) and second.held_usd[of_tag] > first.held_usd[of_tag]
