"""Faults, the cache, a batch, a killed worker, three models: every table of money says the same, and the bill explains the rest.

``bench/money.py`` is the long form.
"""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.running.money import keep_books, reconcile_by_command, spend_on, spending
from tests.simulator import Simulator

N = 1_000
MODELS = {"sim-fast", "sim-standard", "sim-expert"}


@pytest.mark.timeout(600)
def test_ledger_tables_and_bill_agree_to_the_last_decimal(tmp_path: Path, simulator: Simulator) -> None:
    with spending(tmp_path) as settings:
        settings, n_killed = spend_on(settings, simulator, tmp_path, N)
        books = keep_books(settings, simulator)
        assert n_killed == 1 and sum(books.n_calls.values()) >= N
        assert {("live", "cached"), ("live", "failed"), ("batch", "settled")} <= books.n_calls.keys()
        assert books.billed_by_model_usd.keys() == MODELS
        assert len(set(books.sums_usd.values())) == 1, f"ledger, cost_daily, savings_daily, unit_costs and focus: {books.sums_usd}"
        assert books.n_wrong == 0 and books.n_unknown > 0
        assert books.difference_usd == books.unknown_usd > 0, "the bill less the ledger is exactly what the unknown attempts cost"

        said = reconcile_by_command(settings, simulator, tmp_path)
        closed = keep_books(settings, simulator)
        assert Decimal(said["difference_usd"]) == 0 and (said["n_differing"], said["n_open"], said["n_in_flight"]) == (0, 0, 0)
        assert set(closed.sums_usd.values()) == {closed.billed_usd} == {books.billed_usd}
        assert closed.by_model_usd == closed.billed_by_model_usd
        assert (closed.n_unknown, closed.n_wrong) == (0, 0)
