"""Limits: how much a model takes at once and a minute, seen from outside; and what each call says about itself."""

import time
from statistics import median

import pytest

from tests.simulator import Simulator
from tests.simulator_test.asking import ask, request
from tests.simulator_test.batching import create, row, wait


def test_what_is_above_the_capacity_waits_its_turn(simulator: Simulator) -> None:
    simulator.configure(latency={"kind": "fixed", "ms": 100}, models={"sim-fast": {"max_in_flight": 4}})
    started = time.monotonic()
    got = ask(simulator.url, *[request(n) for n in range(16)], concurrency=16)
    assert {g.status for g in got} == {200} and time.monotonic() - started >= 0.4
    assert simulator.stats()["in_flight_peak_by_model"]["sim-fast"] == 16
    took = sorted(call["answered_at"] - call["at"] for call in simulator.calls())
    assert took[0] < 0.2 and took[-1] > 0.35


def test_what_is_above_the_capacity_is_refused_unbilled(simulator: Simulator) -> None:
    simulator.configure(latency={"kind": "fixed", "ms": 300}, max_in_flight=4, overflow="reject", retry_after_s=2)
    got = ask(simulator.url, *[request(n) for n in range(10)], request(1, "sim-expert"), concurrency=11)
    refused = [g for g in got if g.status == 429]
    assert len(refused) == 6 and {g.headers["retry-after"] for g in refused} == {"2"}
    assert refused[0].body["error"]["code"] == "rate_limit_exceeded"
    stats = simulator.stats()
    assert stats["in_flight_peak_by_model"] == {"sim-fast": 4, "sim-expert": 1}
    assert stats["over_limit_by_model"] == {"sim-fast": 6, "sim-expert": 0}
    assert stats["by_fault"] == {"over_limit": 6} and len(simulator.bill()["lines"]) == 5


def test_who_gives_up_waiting_is_billed_and_holds_nobody_up(simulator: Simulator) -> None:
    simulator.configure(latency={"kind": "fixed", "ms": 500}, max_in_flight=1)
    got = ask(simulator.url, *[request(n) for n in range(20)], concurrency=20, timeout_s=0.3)
    assert {g.status for g in got} == {0}
    time.sleep(0.6)
    assert simulator.stats()["n_in_flight"] == 0
    assert len(simulator.bill()["lines"]) == 20


def test_requests_of_a_window_are_bounded_and_retry_after_is_true(simulator: Simulator) -> None:
    simulator.configure(models={"sim-fast": {"rpm": 600, "window_s": 1}})
    got = ask(simulator.url, *[request(n) for n in range(15)])
    assert [g.status for g in got].count(200) == 10
    again_s = float(next(g for g in got if g.status == 429).headers["retry-after"])
    assert 0 < again_s <= 1
    time.sleep(again_s)
    (later,) = ask(simulator.url, request(99))
    assert later.status == 200
    assert simulator.stats()["over_limit_by_model"]["sim-fast"] == 5


def test_tokens_of_a_window_are_bounded(simulator: Simulator) -> None:
    (first,) = ask(simulator.url, request(1))
    total, prompt = first.body["usage"]["total_tokens"], first.body["usage"]["prompt_tokens"]
    simulator.configure(tpm=(total * 3 + prompt) * 60, window_s=1)
    got = ask(simulator.url, *[request(1) for _ in range(6)], concurrency=1)
    assert [g.status for g in got] == [200] * 4 + [429] * 2


def test_a_batchs_rows_are_outside_the_live_limits(simulator: Simulator) -> None:
    simulator.configure(rpm=1, max_in_flight=1, overflow="reject")
    batch = wait(simulator.url, create(simulator.url, [row(i) for i in range(5)])["id"])
    assert batch["request_counts"]["completed"] == 5


def test_a_call_says_when_it_came_and_was_answered_its_lane_and_its_max_tokens(simulator: Simulator) -> None:
    simulator.configure(latency={"kind": "fixed", "ms": 50})
    before = time.time()
    ask(simulator.url, request(1, max_tokens=77), request(2, max_completion_tokens=88), request(3), concurrency=1)
    wait(simulator.url, create(simulator.url, [row(4)])["id"])
    calls = simulator.calls()
    assert [call["max_tokens"] for call in calls] == [77, 88, None, None]
    assert [call["lane"] for call in calls] == ["live"] * 3 + ["batch"]
    assert [line["lane"] for line in simulator.bill()["lines"]] == ["live"] * 3 + ["batch"]
    assert before <= calls[0]["at"] <= calls[0]["answered_at"] <= time.time()
    assert all(0.05 <= call["answered_at"] - call["at"] < 1 for call in calls[:3])


def test_output_lengths_are_log_normal_within_max_tokens_and_billed(simulator: Simulator) -> None:
    simulator.configure(output_tokens={"median": 400, "sigma": 0.5})
    got = ask(simulator.url, *[request(n) for n in range(150)])
    lengths = sorted(g.body["usage"]["completion_tokens"] for g in got)
    assert 340 <= median(lengths) <= 460 and lengths[24] <= 0.72 * 400 and lengths[-24] >= 1.4 * 400
    assert all(g.value["label"] for g in got)
    usage = got[0].body["usage"]
    assert 0 < usage["completion_tokens_details"]["reasoning_tokens"] < usage["completion_tokens"]
    assert sorted(line["output_tokens"] for line in simulator.bill()["lines"]) == lengths
    again = ask(simulator.url, request(0))[0]
    assert again.body["usage"] == usage
    simulator.reset()
    capped = ask(simulator.url, *[request(n, max_tokens=300) for n in range(150)])
    for full, cut in zip(got, capped, strict=True):
        wanted = full.body["usage"]["completion_tokens"]
        assert cut.body["usage"]["completion_tokens"] == min(wanted, 300)
        assert cut.body["choices"][0]["finish_reason"] == ("length" if wanted > 300 else "stop")
    assert max(line["output_tokens"] for line in simulator.bill()["lines"]) == 300


def test_a_mistaken_limit_is_refused(simulator: Simulator) -> None:
    with pytest.raises(RuntimeError, match="overflow 'drop'"):
        simulator.configure(overflow="drop")
