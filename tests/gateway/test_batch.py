"""Files and batches through litellm against the simulator, and the steps of a batch in the state store."""

import asyncio
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from skillyard.costs.prices.book import PriceBook
from skillyard.errors import UnknownName
from skillyard.gateway import batch as lane
from skillyard.gateway import files, ledger
from skillyard.gateway.batch_rows import Batch, find_batch, open_batches
from skillyard.gateway.budgets import Limits
from skillyard.gateway.complete import Gateway, WaitingForBatch
from skillyard.gateway.files import BatchRefused, BatchUnavailable
from skillyard.gateway.request import Request
from skillyard.gateway.state import ATTEMPTS, BUDGETS, LEASES, open_state, reading
from skillyard.profiles import Deployment, Profile, load_profile
from skillyard.settings import Settings
from skillyard.skills.teams import Budget
from tests.simulator import Simulator

SCHEMA = {"type": "object", "additionalProperties": False, "required": ["label"], "properties": {"label": {"enum": ["a", "b"]}}}
LIMITS = Limits("records", "tag", "r1")


@pytest.fixture
def profile(settings: Settings, simulator: Simulator) -> Profile:
    return load_profile(settings.profile, settings.include)


@pytest.fixture
def deployment(profile: Profile) -> Deployment:
    return profile.deployments("fast")[0]


@pytest.fixture
def prices(settings: Settings) -> PriceBook:
    return PriceBook.load(settings.include, Path(settings.profile).with_name("prices.csv"))


@pytest.fixture
def state(settings: Settings) -> Engine:
    return open_state(settings.state)


def request(n: int, **changes: Any) -> Request:
    messages = [{"role": "system", "content": "Say what it is – briefly."}, {"role": "user", "content": f"Document {n}: “déjà vu”\n\t{n}"}]
    made = Request("r1", "cli", "records", "tag", "f1", f"item-{n}", f"doc-{n}", "fast", messages, SCHEMA, 50, 20.0)
    return replace(made, **changes)


def batch_of(name: str = "b1", shard: str = "file:///lake/shard", hours: float = 25) -> Batch:
    now = datetime.now(UTC)
    return Batch(name, "r1", "tag", shard, "fast", "sim-fast", "preparing", 0, now, now + timedelta(hours=hours))


def prepare(
    state: Engine, deployment: Deployment, prices: PriceBook, requests: list[Request], limits: Limits = LIMITS, **changes: Any
) -> tuple[Batch, lane.Prepared]:
    batch = batch_of(**changes)
    return batch, lane.prepare(state, batch, requests, [deployment], deployment, prices, limits)


def hand_over(state: Engine, deployment: Deployment, prices: PriceBook, n: int) -> Batch:
    batch, prepared = prepare(state, deployment, prices, [request(i) for i in range(n)])
    return lane.hand_over(state, batch, deployment, prepared.calls)


def wait_until_over(deployment: Deployment, batch: Batch) -> files.ProviderBatch:
    assert batch.provider_batch_id is not None
    asyncio.run(lane.wait_for_batch(deployment, batch.provider_batch_id, datetime.now(UTC) + timedelta(seconds=20)))
    return files.look_at(deployment, batch.provider_batch_id)


def rows(state: Engine) -> list[dict[str, Any]]:
    with reading(state) as connection:
        return [dict(row) for row in connection.execute(select(ATTEMPTS)).mappings()]


def reserved(state: Engine) -> set[Decimal]:
    with reading(state) as connection:
        return set(connection.execute(select(BUDGETS.c.reserved_usd)).scalars())


def n_leases(state: Engine) -> int:
    with reading(state) as connection:
        return len(connection.execute(select(LEASES)).all())


def upload(deployment: Deployment, folder: Path, n: int = 2) -> str:
    file = folder / "in.jsonl"
    file.write_text("".join(files.request_line(deployment, f"call-{i}", request(i).messages, SCHEMA, "tag", 50) for i in range(n)))
    return files.upload(deployment, file)


@pytest.mark.parametrize("params", [{"temperature": 0}, {"temperature": 0, "top_k": 3}])
def test_a_row_asks_exactly_what_a_live_call_asks(
    profile: Profile, deployment: Deployment, simulator: Simulator, settings: Settings, prices: PriceBook, params: dict[str, Any]
) -> None:
    simulator.configure(keep_requests=True)
    own = replace(deployment, params=params)
    live = Gateway(open_state(settings.state), replace(profile, tiers={**profile.tiers, "fast": (own,)}), prices, LIMITS)

    async def ask() -> None:
        await live.complete(request(1))
        await live.stop()

    asyncio.run(ask())
    line = json.loads(files.request_line(own, "call-1", request(1).messages, SCHEMA, "tag", 50))
    assert line["body"] == simulator.calls()[0]["body"]
    assert (line["custom_id"], line["method"], line["url"]) == ("call-1", "POST", "/v1/chat/completions")


def test_reasoning_models_get_their_own_name_of_the_output_limit(deployment: Deployment) -> None:
    own = replace(deployment, model="openai/gpt-6-luna", params={"reasoning_effort": "none"})
    body = json.loads(files.request_line(own, "c", request(1).messages, SCHEMA, "tag", 50))["body"]
    assert (body["max_completion_tokens"], body["reasoning_effort"], "max_tokens" in body) == (50, "none", False)


def test_a_batch_is_found_by_our_name_behind_hundreds_of_others(deployment: Deployment, simulator: Simulator, tmp_path: Path) -> None:
    file_id = upload(deployment, tmp_path)
    wanted = files.create_batch(deployment, file_id, "wanted")
    for n in range(files.PAGE + 5):
        files.create_batch(deployment, file_id, f"other-{n}")
    found = files.find_batch(deployment, "wanted")
    assert found is not None and found.batch_id == wanted.batch_id
    assert files.find_batch(deployment, "unheard of") is None


def test_cancelling_a_batch_that_is_over_does_nothing(deployment: Deployment, simulator: Simulator, tmp_path: Path) -> None:
    made = files.create_batch(deployment, upload(deployment, tmp_path), "b")
    while not files.look_at(deployment, made.batch_id).is_over:
        time.sleep(0.02)
    files.cancel(deployment, made.batch_id)
    assert files.look_at(deployment, made.batch_id).status == "completed"


def test_a_provider_that_does_not_answer_is_unavailable_and_one_that_refuses_is_not(
    deployment: Deployment, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.configure(rules=[{"fault": "unavailable", "on": "POST /v1/files"}, {"fault": "cut_after", "on": "POST /v1/batches"}])
    with pytest.raises(BatchUnavailable, match="sim-fast"):
        upload(deployment, tmp_path)
    simulator.configure(rules=[{"fault": "cut_after", "on": "POST /v1/batches"}])
    file_id = upload(deployment, tmp_path)
    with pytest.raises(BatchUnavailable):
        files.create_batch(deployment, file_id, "cut")
    assert files.find_batch(deployment, "cut") is not None, "it may have been made all the same"
    simulator.configure(rules=[])
    with pytest.raises(BatchRefused):
        files.create_batch(deployment, "file-unknown", "b")
    with pytest.raises(BatchUnavailable):
        files.look_at(replace(deployment, api_base="http://127.0.0.1:9"), "batch-1")


def test_a_look_that_fails_once_is_repeated_and_a_creation_is_not(deployment: Deployment, simulator: Simulator, tmp_path: Path) -> None:
    file_id = upload(deployment, tmp_path)
    simulator.configure(rules=[{"fault": "server_error", "on": "GET /v1/batches/*", "nth": [1]}])
    made = files.create_batch(deployment, file_id, "b")
    assert files.look_at(deployment, made.batch_id).batch_id == made.batch_id
    simulator.configure(rules=[{"fault": "server_error", "on": "POST /v1/batches", "nth": [1]}])
    with pytest.raises(BatchUnavailable):
        files.create_batch(deployment, file_id, "c")


def test_a_key_that_a_provider_echoes_stays_out_of_the_error(deployment: Deployment) -> None:
    def refuse(**_: Any) -> None:
        raise ValueError("bad key sk-simulated")

    with pytest.raises(BatchUnavailable) as raised:
        files._ask(refuse, deployment)
    assert "sk-simulated" not in str(raised.value) and "***" in str(raised.value)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ({"response": None, "error": {"code": "batch_expired", "message": "…"}}, "batch_expired"),
        ({"response": None, "error": {"code": "batch_cancelled", "message": "…"}}, "batch_cancelled"),
        ({"response": {"status_code": 429, "body": {"error": {"code": None}}}, "error": None}, "rate_limited"),
        ({"response": {"status_code": 503, "body": {}}, "error": None}, "server_error"),
        ({"response": {"status_code": 400, "body": {"error": {"code": "context_length_exceeded"}}}, "error": None}, "overflow"),
        ({"response": {"status_code": 400, "body": {"error": {"code": "what"}}}, "error": None}, "bad_request"),
    ],
)
def test_a_row_without_an_answer_says_why_and_is_not_billed(line: dict[str, Any], kind: str) -> None:
    row = files.read_row(json.dumps({"custom_id": "c1", **line}).encode())
    assert row == files.ResultRow("c1", None, kind)


def test_a_row_that_cannot_be_read_may_have_been_billed_and_a_line_without_a_name_says_nothing() -> None:
    row = files.read_row(b'{"custom_id": "c1", "response": {"status_code": 200, "body": {"choices": []}}}')
    assert row == files.ResultRow("c1", None, "unreadable_reply", is_billed_unknown=True)
    assert files.read_row(b"{broken") is files.read_row(b"[]") is files.read_row(b'{"id": 1}') is None


def test_requests_that_are_stored_asked_elsewhere_or_too_dear_stay_out(
    state: Engine, deployment: Deployment, prices: PriceBook, simulator: Simulator
) -> None:
    first, prepared = prepare(state, deployment, prices, [request(0)])
    shown = wait_until_over(deployment, lane.hand_over(state, first, deployment, prepared.calls))
    assert lane.collect(state, first, deployment, shown, prices, is_shared=False) == 1
    prepare(state, deployment, prices, [request(1)], name="b2", shard="file:///lake/2")
    bound = next(row["reserved_usd"] for row in rows(state) if row["item_id"] == "item-1")
    spent = next(row["cost_usd"] for row in rows(state) if row["item_id"] == "item-0")
    limits = replace(LIMITS, budgets=(Budget(None, "month", None, spent + bound * Decimal("3.5"), "alert"),))
    _, third = prepare(state, deployment, prices, [request(i) for i in range(6)], limits, name="b3", shard="file:///lake/3")
    assert {r.item_id for r in third.calls.values()} == {"item-2", "item-3"}
    assert n_leases(state) == 3, "what was refused holds no lease"
    _, none = prepare(state, deployment, prices, [request(0), request(1)], name="b4", shard="file:///lake/4")
    assert not none.calls and find_batch(state, "file:///lake/4") is None


def test_a_live_request_for_what_a_batch_holds_is_told_to_wait(
    state: Engine, profile: Profile, deployment: Deployment, prices: PriceBook, simulator: Simulator
) -> None:
    prepare(state, deployment, prices, [request(0)])
    live = Gateway(state, profile, prices, LIMITS)

    async def ask() -> None:
        try:
            with pytest.raises(WaitingForBatch):
                await live.complete(request(0))
        finally:
            await live.stop()

    asyncio.run(ask())
    assert simulator.calls() == []


def test_collected_answers_cost_the_batch_price_and_free_reservation_and_leases(
    state: Engine, profile: Profile, deployment: Deployment, prices: PriceBook, simulator: Simulator
) -> None:
    batch = hand_over(state, deployment, prices, 7)
    assert {row["lane"] for row in rows(state)} == {"batch"} and reserved(state) != {Decimal(0)} and n_leases(state) == 7
    shown = wait_until_over(deployment, batch)
    assert lane.collect(state, batch, deployment, shown, prices, is_shared=False) == 7
    assert lane.collect(state, batch, deployment, shown, prices, is_shared=False) == 0, "again is nothing new"
    assert {row["call_id"]: row["cost_usd"] for row in rows(state)} == {
        line["call_id"]: Decimal(line["amount_usd"]) for line in simulator.bill()["lines"]
    }
    assert reserved(state) == {Decimal(0)} and n_leases(state) == 0
    live = Gateway(state, profile, prices, LIMITS)

    async def ask() -> list[Any]:
        found = [await live.complete(request(i)) for i in range(7)]
        await live.stop()
        return found

    assert [c.answer.cost_usd for c in asyncio.run(ask())] == [r["cost_usd"] for r in sorted(rows(state), key=lambda r: r["item_id"])]
    assert {call["lane"] for call in simulator.calls()} == {"batch"}, "the live requests found the batch's answers"
    assert [b.batch for b in open_batches(state, "tag", "file:///lake")] == []


def test_an_answer_replaces_the_expired_cache_entry_of_the_same_request(
    state: Engine, deployment: Deployment, prices: PriceBook, simulator: Simulator
) -> None:
    batch = hand_over(state, deployment, prices, 1)
    lane.collect(state, batch, deployment, wait_until_over(deployment, batch), prices, is_shared=False)
    with state.begin() as connection:
        ledger.end_journal(connection, "tag", "f1", ["item-0"], [], {"fast": timedelta(0)})
    again, prepared = prepare(state, deployment, prices, [request(0)], name="b2")
    lane.hand_over(state, again, deployment, prepared.calls)
    found = find_batch(state, again.shard_key)
    assert found is not None and found.batch == "b2"
    lane.collect(state, found, deployment, wait_until_over(deployment, found), prices, is_shared=False)
    with state.begin() as connection:
        [claimed] = ledger.claim(connection, [ledger.Claim((request(0).key(deployment),), 1.0)])
    assert isinstance(claimed, ledger.Found) and not claimed.answer.is_published


def test_waiting_is_over_with_the_batch_or_with_the_time_and_a_failed_look_is_no_news(
    state: Engine, deployment: Deployment, prices: PriceBook, simulator: Simulator
) -> None:
    simulator.configure(batch={"outcome": "stuck"})
    batch = hand_over(state, deployment, prices, 2)
    assert batch.provider_batch_id is not None
    said: list[str] = []

    def wait(seconds: float) -> str:
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        return asyncio.run(lane.wait_for_batch(deployment, str(batch.provider_batch_id), until, said.append))

    assert wait(1.5) == lane.TIME_IS_UP and any("in_progress" in line for line in said)
    simulator.configure(rules=[{"fault": "unavailable", "on": "GET /v1/batches/*"}])
    assert wait(0.5) == lane.TIME_IS_UP and any("unavailable" in line or "server_error" in line for line in said)
    simulator.configure(rules=[])
    files.cancel(deployment, batch.provider_batch_id)
    assert wait(10) == "cancelled"


def test_a_batch_that_no_cancellation_ends_is_given_up(
    state: Engine, deployment: Deployment, prices: PriceBook, simulator: Simulator
) -> None:
    simulator.configure(batch={"outcome": "stuck"}, rules=[{"fault": "server_error", "on": "POST /v1/batches/*/cancel"}])
    batch = hand_over(state, deployment, prices, 3)
    assert lane.stop_batch(deployment, str(batch.provider_batch_id), datetime.now(UTC) + timedelta(seconds=0.5)) is None
    before = reserved(state)
    lane.abandon(state, batch)
    assert {(row["status"], row["error_kind"]) for row in rows(state)} == {("unknown", "batch_stuck")}
    assert reserved(state) == before and n_leases(state) == 0, "the reservation stays, the items may be asked again"


def test_one_process_at_a_time_hands_a_shard_over(state: Engine) -> None:
    order: list[str] = []

    def second() -> None:
        with lane.alone(state, "shard", "tag"):
            order.append("second")

    with lane.alone(state, "shard", "tag"):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.3)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_a_deployment_that_left_the_profile_is_named(profile: Profile) -> None:
    with pytest.raises(UnknownName, match=r"not collected yet, 'gone'.*sim-fast"):
        lane.deployment_of(profile, "fast", "gone")


def test_only_batches_of_this_skill_and_lake_are_open(state: Engine, deployment: Deployment, prices: PriceBook) -> None:
    prepare(state, deployment, prices, [request(0)], name="b1", shard="file:///lake/a")
    prepare(state, deployment, prices, [request(1)], name="b2", shard="file:///lake2/a")
    assert [b.batch for b in open_batches(state, "tag", "file:///lake")] == ["b1"]
    assert open_batches(state, "other", "file:///lake") == []
