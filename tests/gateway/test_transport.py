"""What each provider fault means for the money, against a real HTTP server."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from skillyard.gateway.transport import CallFailed, Reply, close_clients, explain, send
from skillyard.profiles import Deployment
from tests.simulator import Simulator

MESSAGES = [{"role": "system", "content": "Tag it."}, {"role": "user", "content": "The parcel arrived broken."}]
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["a", "b"]}},
    "required": ["label"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator({"retry_after_s": 2.5}) as running:
        ask(running, timeout_s=60)  # the first call imports the half of litellm
        yield running


def ask(simulator: Simulator, timeout_s: float = 2.0, url: str | None = None, is_streamed: bool = False) -> Reply:
    how, base = {"stream": True} if is_streamed else {}, url or simulator.url
    deployment = Deployment("sim", "fast", "openai/sim-fast", 8000, 500, True, 4, how, api_base=base, api_key="sk-test")

    async def asked() -> Reply:
        try:
            return await send(deployment, MESSAGES, SCHEMA, "tag", 50, timeout_s, "call-1")
        finally:
            await close_clients()

    return asyncio.run(asked())


def fault(simulator: Simulator, name: str, is_streamed: bool = False) -> CallFailed:
    simulator.reset()
    simulator.configure(rules=[{"fault": name}])
    with pytest.raises(CallFailed) as failed:
        ask(simulator, is_streamed=is_streamed)
    return failed.value


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("rate_limited", "rate_limited"),
        ("server_error", "server_error"),
        ("unavailable", "server_error"),
        ("hang", "timed_out"),
        ("cut_before", "connection"),
        ("cut_after", "connection"),
        ("broken_body", "unreadable_reply"),
        ("late", "timed_out"),
    ],
)
def test_a_fault_gets_its_kind_and_is_never_taken_for_unbilled_when_it_is_billed(
    simulator: Simulator, name: str, kind: str, is_streamed: bool
) -> None:
    failure = fault(simulator, name, is_streamed)
    kind = "connection" if is_streamed and name == "broken_body" else kind  # a stream that just ends
    is_billed = simulator.calls()[0]["is_billed"]
    assert (failure.kind, failure.can_retry) == (kind, True)
    assert failure.is_billed_unknown or not is_billed
    assert len(simulator.calls()) == 1, "litellm's own retries have to be off"


def test_a_refused_request_costs_nothing_and_says_when_to_come_back(simulator: Simulator) -> None:
    failure = fault(simulator, "rate_limited")
    assert not failure.is_billed_unknown
    assert failure.retry_after_s == 2.5


def test_a_key_that_a_provider_echoes_stays_out_of_the_error() -> None:
    failure = explain(RuntimeError("Incorrect API key provided: sk-very-secret. Try another."), "sk-very-secret")
    assert "sk-very-secret" not in str(failure) and "***" in failure.message


def test_nobody_listening_is_known_to_be_unbilled(simulator: Simulator) -> None:
    with pytest.raises(CallFailed) as failed:
        ask(simulator, url="http://127.0.0.1:9/v1")
    assert (failed.value.kind, failed.value.is_billed_unknown) == ("connection", False)


def test_a_prompt_over_the_window_is_the_items_own_fault(simulator: Simulator) -> None:
    simulator.configure(rules=[], context_tokens=3)
    with pytest.raises(CallFailed) as failed:
        ask(simulator)
    simulator.configure(context_tokens=None)
    assert (failed.value.kind, failed.value.can_retry, failed.value.is_billed_unknown) == ("overflow", False, False)


def test_an_answer_carries_disjoint_meters_and_our_call_id(simulator: Simulator) -> None:
    simulator.reset()
    simulator.configure(rules=[], cached_fraction=0.5)
    reply = ask(simulator)
    simulator.configure(cached_fraction=0.0)
    line = simulator.bill()["lines"][0]
    assert line["call_id"] == "call-1"
    assert reply.usage.input_tokens > 0 and reply.usage.cache_read_tokens > 0
    assert (reply.usage.input_tokens, reply.usage.cache_read_tokens) == (line["input_tokens"], line["cache_read_tokens"])


def test_a_refusal_is_an_answer_that_was_paid(simulator: Simulator) -> None:
    simulator.reset()
    simulator.configure(rules=[{"fault": "refusal"}])
    reply = ask(simulator)
    simulator.configure(rules=[])
    assert reply.refusal and reply.usage.output_tokens > 0


@pytest.mark.parametrize("rule", [{}, {"fault": "refusal"}, {"fault": "truncated"}])
def test_a_streamed_answer_is_the_one_that_would_have_come_in_one_piece(simulator: Simulator, rule: dict[str, str]) -> None:
    simulator.configure(rules=[rule] if rule else [], cached_fraction=0.5, output_tokens={"median": 30, "sigma": 0.1})
    whole, streamed = ask(simulator), ask(simulator, is_streamed=True)
    simulator.configure(rules=[], cached_fraction=0.0, output_tokens=None)
    assert whole.usage.reasoning_tokens > 0
    assert replace(streamed, request_id=None) == replace(whole, request_id=None)


def test_a_stream_that_takes_too_long_is_cut_off_and_may_be_billed(simulator: Simulator) -> None:
    simulator.configure(latency={"kind": "fixed", "ms": 2000})
    with pytest.raises(CallFailed) as failed:
        ask(simulator, timeout_s=0.5, is_streamed=True)
    simulator.configure(latency={"kind": "fixed", "ms": 0})
    assert (failed.value.kind, failed.value.is_billed_unknown) == ("timed_out", True)
