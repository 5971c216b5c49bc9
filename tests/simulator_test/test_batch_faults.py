"""Faults of a batch's rows, and of the requests about files and batches."""

import json
import time

import jsonschema
import pytest

from tests.simulator import Simulator
from tests.simulator.config import OPERATIONS
from tests.simulator_test.asking import SCHEMA
from tests.simulator_test.batching import call, create, jsonl, results, row, upload, wait


def n_th(**faults: int) -> list[dict[str, object]]:
    """Return rules that give the n-th row its fault."""
    return [{"fault": fault, "nth": [n]} for fault, n in faults.items()]


def test_a_refused_row_stands_in_the_error_file_with_its_status_and_is_not_billed(simulator: Simulator) -> None:
    simulator.configure(rules=n_th(rate_limited=1, server_error=2, unavailable=3), models={"sim-fast": {"context_tokens": 500}})
    rows = [row(i) for i in range(5)]
    rows[4]["body"]["messages"][0]["content"] = "long " * 1000
    batch = wait(simulator.url, create(simulator.url, rows)["id"])
    failed = results(simulator.url, batch, "error")
    assert {key: line["response"]["status_code"] for key, line in failed.items()} == {
        "row-0": 429,
        "row-1": 500,
        "row-2": 503,
        "row-4": 400,
    }
    assert all(line["error"] is None and line["response"]["body"]["error"]["message"] for line in failed.values())
    assert (batch["status"], batch["request_counts"]) == ("completed", {"total": 5, "completed": 1, "failed": 4})
    assert set(results(simulator.url, batch)) == {"row-3"} == {line["call_id"] for line in simulator.bill()["lines"]}


def test_a_row_that_gets_no_work_expires_unbilled(simulator: Simulator) -> None:
    simulator.configure(rules=n_th(cut_before=1, hang=3))
    batch = wait(simulator.url, create(simulator.url, [row(i) for i in range(4)])["id"])
    undone = results(simulator.url, batch, "error")
    assert {key: line["error"]["code"] for key, line in undone.items()} == {"row-0": "batch_expired", "row-2": "batch_expired"}
    assert batch["status"] == "expired"
    assert set(results(simulator.url, batch)) == {"row-1", "row-3"} == {line["call_id"] for line in simulator.bill()["lines"]}


def test_a_row_lost_after_the_work_is_billed_and_in_neither_file(simulator: Simulator) -> None:
    simulator.configure(rules=n_th(cut_after=1, broken_body=2))
    batch = wait(simulator.url, create(simulator.url, [row(i) for i in range(3)])["id"])
    assert set(results(simulator.url, batch)) == {"row-2"} and batch["error_file_id"] is None
    assert (batch["status"], batch["request_counts"]["completed"]) == ("completed", 3)
    assert {line["call_id"] for line in simulator.bill()["lines"]} == {"row-0", "row-1", "row-2"}


def test_content_faults_are_a_rows_too(simulator: Simulator) -> None:
    simulator.configure(rules=n_th(not_json=1, breaks_schema=2, refusal=3, truncated=4))
    answered = results(simulator.url, wait(simulator.url, create(simulator.url, [row(i) for i in range(4)])["id"]))
    choices = [answered[f"row-{i}"]["response"]["body"]["choices"][0] for i in range(4)]
    with pytest.raises(json.JSONDecodeError):
        json.loads(choices[0]["message"]["content"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(choices[1]["message"]["content"]), SCHEMA)
    assert choices[2]["message"]["refusal"] and choices[2]["message"]["content"] is None
    assert choices[3]["finish_reason"] == "length"
    assert len(simulator.bill()["lines"]) == 4


def test_shares_of_the_rows_expire_and_fail_by_the_seed_and_another_batch_may_do_them(simulator: Simulator) -> None:
    simulator.configure(batch={"expire_share": 0.2, "fail_share": 0.2})
    rows = [row(i) for i in range(100)]

    def undone() -> tuple[dict[str, bool], dict[str, bool]]:
        first, second = (wait(simulator.url, create(simulator.url, rows)["id"]) for _ in range(2))
        lines = (results(simulator.url, batch, "error") for batch in (first, second))
        of_first, of_second = ({key: line["response"] is None for key, line in ls.items()} for ls in lines)
        return of_first, of_second

    first, second = undone()
    assert 10 <= list(first.values()).count(True) <= 30 and 10 <= list(first.values()).count(False) <= 30
    assert set(first) - set(second)
    simulator.reset()
    assert undone() == (first, second)


@pytest.mark.parametrize("fault", ["cut_after", "broken_body"])
def test_a_batch_whose_creation_was_cut_off_is_found_by_listing(simulator: Simulator, fault: str) -> None:
    simulator.configure(rules=[{"on": "POST /v1/batches", "fault": fault, "times": 1}])
    with pytest.raises((OSError, ValueError)):
        create(simulator.url, [row(i) for i in range(3)], metadata={"name": "mine"})
    _, listed = call("GET", f"{simulator.url}/batches")
    (batch,) = listed["data"]
    assert batch["metadata"] == {"name": "mine"}
    assert len(results(simulator.url, wait(simulator.url, batch["id"]))) == 3


@pytest.mark.parametrize(("fault", "status"), [("rate_limited", 429), ("server_error", 500), ("unavailable", 503), ("cut_before", 0)])
def test_a_refused_creation_creates_nothing(simulator: Simulator, fault: str, status: int) -> None:
    _, file = upload(simulator.url, jsonl([row(1)]))
    asked = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    simulator.configure(rules=[{"on": "POST /v1/batches", "fault": fault}])
    if status:
        assert call("POST", f"{simulator.url}/batches", asked)[0] == status
    else:
        with pytest.raises(OSError):
            call("POST", f"{simulator.url}/batches", asked)
    assert call("GET", f"{simulator.url}/batches")[1]["data"] == [] == simulator.bill()["lines"]


def test_every_operation_has_its_faults_and_is_counted(simulator: Simulator) -> None:
    simulator.configure(rules=[{"on": operation, "fault": "unavailable"} for operation in OPERATIONS])
    for operation in OPERATIONS:
        method, path = operation.replace("*", "some-id").split()
        assert call(method, simulator.url.removesuffix("/v1") + path)[0] == 503
    assert simulator.stats()["by_operation"] == dict.fromkeys(OPERATIONS, 1)


def test_a_mistaken_rule_or_batch_behaviour_is_refused(simulator: Simulator) -> None:
    for mistake in (
        {"rules": [{"on": "PUT /v1/batches", "fault": "hang"}]},
        {"rules": [{"on": "POST /v1/batches", "fault": "refusal"}]},
        {"batch": {"outcome": "lost"}},
        {"batch": {"mood": 1}},
    ):
        with pytest.raises(RuntimeError, match=r"PUT|refusal|cut_after|lost|mood"):
            simulator.configure(**mistake)


def test_live_calls_are_answered_while_a_batch_is_worked_through(simulator: Simulator) -> None:
    batch_id = create(simulator.url, [row(i) for i in range(4000)])["id"]
    slowest_s = 0.0
    for _ in range(5):
        started = time.monotonic()
        simulator.stats()
        slowest_s = max(slowest_s, time.monotonic() - started)
    assert call("GET", f"{simulator.url}/batches/{batch_id}")[1]["status"] in ("validating", "in_progress")
    assert slowest_s < 0.5
    assert len(results(simulator.url, wait(simulator.url, batch_id))) == 4000
