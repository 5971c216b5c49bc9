"""Faults come with set probabilities or by rule, and look on the wire as a provider's do."""

import json
import time

import jsonschema
import pytest

from tests.simulator import Simulator
from tests.simulator_test.asking import SCHEMA, ask, request


@pytest.mark.parametrize(("fault", "status"), [("rate_limited", 429), ("server_error", 500), ("unavailable", 503)])
def test_a_refused_request_says_so_and_is_not_billed(simulator: Simulator, fault: str, status: int) -> None:
    simulator.configure(faults={fault: 1.0}, retry_after_s=3)
    (got,) = ask(simulator.url, request())
    assert (got.status, got.headers.get("retry-after")) == (status, "3" if status == 429 else None)
    assert got.body["error"]["message"]
    assert simulator.bill()["lines"] == []


def test_a_hanging_request_never_answers_and_is_not_billed(simulator: Simulator) -> None:
    simulator.configure(faults={"hang": 1.0})
    started = time.monotonic()
    (got,) = ask(simulator.url, request(), timeout_s=0.7)
    assert got.status == 0 and time.monotonic() - started >= 0.7
    assert simulator.bill()["lines"] == []
    time.sleep(0.5)
    assert simulator.stats()["n_in_flight"] == 0


def test_an_answer_later_than_anybody_waits_is_billed(simulator: Simulator) -> None:
    simulator.configure(faults={"late": 1.0})
    (got,) = ask(simulator.url, request(), timeout_s=0.3)
    assert got.status == 0
    assert [line["call_id"] for line in simulator.bill()["lines"]] == ["call-0"]


def test_a_connection_is_cut_before_the_work_unbilled_and_after_it_billed(simulator: Simulator) -> None:
    simulator.configure(rules=[{"fault": "cut_before", "contains": "Invoice 1 "}, {"fault": "cut_after", "contains": "Invoice 2 "}])
    before, after, well = ask(simulator.url, request(1), request(2), request(3))
    assert (before.status, after.status, well.status) == (0, 0, 200)
    assert {line["call_id"] for line in simulator.bill()["lines"]} == {"call-1", "call-2"}


def test_a_broken_body_is_no_json_and_is_billed(simulator: Simulator) -> None:
    simulator.configure(faults={"broken_body": 1.0})
    (got,) = ask(simulator.url, request())
    with pytest.raises(json.JSONDecodeError):
        json.loads(got.raw)
    assert got.status == 200 and len(simulator.bill()["lines"]) == 1


def test_content_that_is_no_json_breaks_the_schema_refuses_or_ends_early(simulator: Simulator) -> None:
    faults = ("not_json", "breaks_schema", "refusal", "truncated")
    simulator.configure(rules=[{"fault": fault, "nth": [n]} for n, fault in enumerate(faults, start=1)])
    got = ask(simulator.url, *[request(n) for n in range(4)], concurrency=1)
    with pytest.raises(json.JSONDecodeError):
        _ = got[0].value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(got[1].value, SCHEMA)
    assert got[2].message["content"] is None and got[2].message["refusal"]
    assert got[3].body["choices"][0]["finish_reason"] == "length"
    assert len(simulator.bill()["lines"]) == 4


def test_rules_go_by_model_and_count_their_own_requests(simulator: Simulator) -> None:
    simulator.configure(rules=[{"fault": "unavailable", "model": "sim-expert", "times": 2}])
    got = ask(simulator.url, *[request(n, model) for n in range(3) for model in ("sim-fast", "sim-expert")], concurrency=1)
    assert [g.status for g in got] == [200, 503, 200, 503, 200, 200]


def test_probabilities_hold_and_a_retry_may_pass(simulator: Simulator) -> None:
    simulator.configure(faults={"rate_limited": 0.3})
    bodies = [request(n) for n in range(300)]
    first, second = ask(simulator.url, *bodies), ask(simulator.url, *bodies)
    failed = [n for n, got in enumerate(first) if got.status == 429]
    assert 60 <= len(failed) <= 120
    assert sum(second[n].status == 200 for n in failed) > 0


def test_what_it_does_not_serve_is_refused_by_name(simulator: Simulator) -> None:
    simulator.configure(models={"sim-fast": {"context_tokens": 10}})
    long, unknown = ask(simulator.url, request(), request(model="sim-nobody"))
    assert (long.status, long.body["error"]["code"]) == (400, "context_length_exceeded")
    assert (unknown.status, unknown.body["error"]["code"]) == (404, "model_not_found")
    assert simulator.bill()["lines"] == []


def test_a_mistaken_configuration_is_refused_and_changes_nothing(simulator: Simulator) -> None:
    for mistake in ({"faults": {"earthquake": 0.5}}, {"latency": {"kind": "sometimes"}}, {"models": {"sim-fast": {"mood": 1}}}):
        with pytest.raises(RuntimeError, match=r"earthquake|sometimes|mood"):
            simulator.configure(**mistake)
    (got,) = ask(simulator.url, request())
    assert got.status == 200
