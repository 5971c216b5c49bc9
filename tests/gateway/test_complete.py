"""Gateway.complete against the simulator: paid once, every attempt in the ledger, inside the budget, never beyond the timeout."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, select, update

from skillyard.costs.prices.book import PriceBook
from skillyard.gateway.budgets import Limits, balances_of
from skillyard.gateway.complete import BudgetExhausted, Completion, Gateway, ItemRefused, ProviderUnavailable
from skillyard.gateway.request import Request, upper_bound
from skillyard.gateway.state import ANSWERS, ATTEMPTS, LEASES, open_state
from skillyard.profiles import Profile, load_profile
from tests.conftest import PROFILE, ROOT
from tests.simulator import Simulator

PRICES = PriceBook.load(ROOT / "include", PROFILE.with_name("prices.csv"))
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
Scenario = Callable[[Gateway], Awaitable[Any]]


def request(item: str = "i1", **changed: Any) -> Request:
    messages = [{"role": "user", "content": f"<document>\nThe order of {item} has arrived today.\n</document>"}]
    made = Request("r1", "cli", "records", "tag", "f" * 64, item, item, "fast", messages, SCHEMA, max_tokens=200, timeout_s=20)
    return replace(made, **changed)


@pytest.fixture
def profile(simulator: Simulator) -> Profile:
    return load_profile(str(PROFILE), ROOT / "include")


@pytest.fixture
def state(tmp_path: Path) -> Engine:
    return open_state(f"sqlite:///{tmp_path / 'state.db'}")


def limits(usd: str | None = None) -> Limits:
    return Limits("records", "tag", "r1", (), None if usd is None else Decimal(usd))


def run(state: Engine, profile: Profile, scenario: Scenario, bounds: Limits | None = None) -> Any:
    """Return what a scenario returns in a gateway of its own."""

    async def everything() -> Any:
        gateway = Gateway(state, profile, PRICES, bounds or limits())
        try:
            return await scenario(gateway)
        finally:
            await gateway.stop()

    return asyncio.run(everything())


def complete(state: Engine, profile: Profile, *requests: Request, bounds: Limits | None = None) -> list[Any]:
    """Ask for all at once; an exception is one of the results."""

    async def scenario(gateway: Gateway) -> list[Any]:
        return await asyncio.gather(*(gateway.complete(r) for r in requests), return_exceptions=True)

    found: list[Any] = run(state, profile, scenario, bounds)
    return found


def ledger_rows(state: Engine) -> list[Any]:
    with state.connect() as connection:
        return list(connection.execute(select(ATTEMPTS).order_by(ATTEMPTS.c.sent_at)).mappings())


def publish(state: Engine, lasts: timedelta = timedelta(minutes=1)) -> None:
    now = datetime.now(UTC)
    with state.begin() as connection:
        connection.execute(update(ANSWERS).values(published_at=now, expires_at=now + lasts))


def test_whoever_asks_the_same_at_once_or_later_gets_the_answer_that_one_call_paid(
    state: Engine, profile: Profile, simulator: Simulator
) -> None:
    simulator.configure(latency={"kind": "fixed", "ms": 300})

    async def two_gateways(first: Gateway) -> list[Completion]:
        second = Gateway(state, profile, PRICES, limits())
        try:
            return list(await asyncio.gather(*(g.complete(request()) for g in (first, second, first, second))))
        finally:
            await second.stop()

    answers = run(state, profile, two_gateways)
    (later,) = complete(state, profile, request(run_id="r2"))
    assert len(simulator.calls()) == 1 and len({a.answer.call_id for a in [*answers, later]}) == 1
    assert [r["status"] for r in ledger_rows(state)] == ["settled"]


def test_a_gateway_leaves_no_connection_open(state: Engine, profile: Profile, simulator: Simulator) -> None:
    port = int(simulator.url.rsplit(":", 1)[1].split("/")[0])

    def n_open() -> int:
        gc.collect()
        found = psutil.Process().net_connections(kind="tcp")
        return sum(c.raddr != () and c.raddr.port == port and c.status == psutil.CONN_ESTABLISHED for c in found)

    before = n_open()
    complete(state, profile, *(request(f"item-{n}") for n in range(8)))
    assert len(simulator.calls()) == 8 and n_open() == before


def test_a_cache_hit_stands_in_the_ledger_with_what_it_saved_and_costs_nothing(
    state: Engine, profile: Profile, simulator: Simulator
) -> None:
    (paid,) = complete(state, profile, request())
    publish(state)
    (hit,) = complete(state, profile, request(run_id="r2"))
    settled, cached = ledger_rows(state)
    assert (hit.n_attempts, hit.cost_usd, cached["status"]) == (0, Decimal(0), "cached")
    assert cached["saved_usd"] == settled["cost_usd"] == paid.cost_usd > 0
    publish(state, -timedelta(seconds=1))
    complete(state, profile, request(run_id="r3"))
    assert len(simulator.calls()) == 2


def test_an_answer_serves_another_team_only_when_its_skill_shares(state: Engine, profile: Profile, simulator: Simulator) -> None:
    complete(state, profile, request(), request("i2", is_shared=True))
    publish(state)
    complete(state, profile, request(team="finance"), request("i2", team="finance", is_shared=True))
    assert len(simulator.calls()) == 3


def test_a_stored_answer_is_found_while_the_provider_is_down(
    state: Engine, profile: Profile, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillyard.gateway.endpoints.PATIENCE", timedelta(0))
    monkeypatch.setattr("skillyard.gateway.complete.BACKOFF_S", 0.01)
    complete(state, profile, request())
    simulator.configure(faults={"unavailable": 1.0})
    failed, found = complete(state, profile, request("i2"), request(run_id="r2"))
    assert isinstance(failed, ProviderUnavailable) and isinstance(found, Completion)


HOLDER = """
import asyncio, sys
from tests.gateway.test_complete import PRICES, PROFILE, ROOT, complete, request
from skillyard.gateway.state import open_state
from skillyard.profiles import load_profile
complete(open_state(sys.argv[1]), load_profile(str(PROFILE), ROOT / "include"), request())
"""


def test_a_waiter_makes_one_more_call_when_the_holder_is_killed(state: Engine, profile: Profile, simulator: Simulator) -> None:
    simulator.configure(latency={"kind": "fixed", "ms": 1500})
    url = state.url.render_as_string(hide_password=False)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, url], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 60
    while not simulator.calls() and time.monotonic() < deadline:
        time.sleep(0.05)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    waiters = complete(state, profile, request(run_id="r2"), request(run_id="r3"))
    assert len(simulator.calls()) == 2 and len({w.answer.call_id for w in waiters}) == 1
    assert sorted(r["status"] for r in ledger_rows(state)) == ["sent", "settled"]


def test_an_answer_cut_off_at_the_learned_limit_is_asked_again_at_the_cap_and_never_a_third_time(
    state: Engine, profile: Profile, simulator: Simulator
) -> None:
    low = request(learned_max_tokens=2)
    (answered,) = complete(state, profile, low)
    assert isinstance(answered, Completion) and answered.answer.finish_reason == "stop"
    assert (answered.n_attempts, answered.cost_usd) == (2, Decimal(simulator.bill()["total_usd"]))
    assert [(r["status"], r["max_tokens"], r["finish_reason"]) for r in ledger_rows(state)] == [
        ("settled", 2, "length"),
        ("settled", 200, "stop"),
    ]
    assert ledger_rows(state)[0]["reserved_usd"] < ledger_rows(state)[1]["reserved_usd"]
    with state.begin() as connection:
        connection.execute(ANSWERS.delete().where(ANSWERS.c.call_id == answered.answer.call_id))  # as if it had died between the two
    complete(state, profile, replace(low, run_id="r2"))
    assert [c["max_tokens"] for c in simulator.calls()] == [2, 200, 200], "that the limit was too low is known"
    complete(state, profile, request(run_id="r3"), replace(low, run_id="r4"))
    assert len(simulator.calls()) == 3


def test_a_learned_limit_does_not_change_what_is_the_same_request(state: Engine, profile: Profile, simulator: Simulator) -> None:
    complete(state, profile, request(learned_max_tokens=150))
    complete(state, profile, request(run_id="r2", learned_max_tokens=100), request(run_id="r3"))
    assert len(simulator.calls()) == 1


def test_a_hanging_call_ends_at_its_timeout_and_is_unknown(state: Engine, profile: Profile, simulator: Simulator) -> None:
    complete(state, profile, request())  # litellm is loaded
    simulator.configure(rules=[{"fault": "hang", "times": 1}])
    began = time.monotonic()
    (answered,) = complete(state, profile, request("i2", timeout_s=1.0))
    assert isinstance(answered, Completion) and answered.n_attempts == 2 and time.monotonic() - began < 4
    hung = ledger_rows(state)[1]
    assert (hung["status"], hung["error_kind"]) == ("unknown", "timed_out") and 900 <= hung["latency_ms"] <= 1100


def test_attempts_are_bounded_and_each_stands_in_the_ledger(
    state: Engine, profile: Profile, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillyard.gateway.complete.BACKOFF_S", 0.01)
    simulator.configure(rules=[{"fault": "rate_limited", "contains": "order of i1 "}], retry_after_s=0.05)
    failed, answered = complete(state, profile, request(), request("i2"))
    assert isinstance(failed, ProviderUnavailable) and isinstance(answered, Completion)
    rows = [r for r in ledger_rows(state) if r["item_id"] == "i1"]
    assert [(r["attempt_no"], r["status"], r["error_kind"]) for r in rows] == [(n, "failed", "rate_limited") for n in range(1, 6)]
    assert not leases(state)


def leases(state: Engine) -> list[str]:
    with state.connect() as connection:
        return list(connection.execute(select(LEASES.c.name)).scalars())


def test_a_request_the_provider_will_not_work_on_is_asked_once(state: Engine, profile: Profile, simulator: Simulator) -> None:
    simulator.configure(context_tokens=5)
    (refused,) = complete(state, profile, request())
    assert isinstance(refused, ItemRefused) and refused.kind == "overflow"
    assert len(simulator.calls()) == 1 and not leases(state)


def test_the_budget_is_used_as_far_as_it_goes_and_the_rest_is_told_so(state: Engine, profile: Profile, simulator: Simulator) -> None:
    simulator.configure(latency={"kind": "fixed", "ms": 50})
    bound = upper_bound(request(), profile.deployments("fast")[0], PRICES, 200, datetime.now(UTC))
    bounds = limits(str(bound * 3))
    results = complete(state, profile, *(request(f"i{n}") for n in range(60)), bounds=bounds)
    refused = [r for r in results if isinstance(r, BudgetExhausted)]
    spent = Decimal(simulator.bill()["total_usd"])
    assert refused and all(isinstance(r, Completion | BudgetExhausted) for r in results)
    assert bound * 2 < spent <= bound * 3, "each settled call makes room for another"
    with state.connect() as connection:
        balance = balances_of(connection, ["run|tag|r1"])["run|tag|r1"]
    assert (balance.spent_usd, balance.reserved_usd) == (spent, Decimal(0)) and not leases(state)
    more = complete(state, profile, *(request(f"i{n}") for n in range(60)), bounds=limits("1"))
    assert all(isinstance(r, Completion) for r in more) and len(simulator.calls()) == 60


def test_a_budget_below_one_call_sends_nothing(state: Engine, profile: Profile, simulator: Simulator) -> None:
    (refused,) = complete(state, profile, request(), bounds=limits("0.000001"))
    assert isinstance(refused, BudgetExhausted) and "hard limit of $0.000001" in str(refused)
    assert simulator.calls() == [] and ledger_rows(state) == []


def test_an_endpoint_of_our_own_is_charged_by_its_time(state: Engine, profile: Profile, simulator: Simulator, tmp_path: Path) -> None:
    simulator.configure(latency={"kind": "fixed", "ms": 400})
    text = PROFILE.read_text().replace("concurrency: 256", "concurrency: 2\n      utilisation: 0.5")
    (tmp_path / "own.yaml").write_text(text)
    head = "price_id,model,meter,unit,price,valid_from,valid_to,source\n"
    (tmp_path / "own.csv").write_text(f"{head}own,openai/sim-fast,compute_s,second,0.0005,2020-01-01,,1.80 USD an hour\n")
    own, book = load_profile(str(tmp_path / "own.yaml"), ROOT / "include"), PriceBook.load(tmp_path, tmp_path / "own.csv")

    async def everything() -> Completion:
        gateway = Gateway(state, own, book, limits())
        try:
            return await gateway.complete(request())
        finally:
            await gateway.stop()

    answered = asyncio.run(everything())
    (row,) = ledger_rows(state)
    assert row["cost_usd"] == answered.cost_usd == row["compute_s"] * Decimal("0.0005")
    assert 2 * row["idle_s"] == pytest.approx(row["compute_s"], abs=Decimal("0.000001")), "idle half of the time"
    assert Decimal("0.4") <= row["compute_s"] < Decimal("3") and row["cost_usd"] < row["reserved_usd"] == Decimal("0.01")
