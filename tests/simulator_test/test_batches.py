"""Files and batches: the shapes and states of OpenAI's, at the batch price, found again by listing."""

import asyncio
import gc
import io
import json
import time
from decimal import ROUND_HALF_EVEN, Decimal

import pytest

from tests.simulator import Simulator
from tests.simulator.bill import load_prices
from tests.simulator_test.asking import ask, request
from tests.simulator_test.batching import call, create, jsonl, results, row, upload, wait


def test_a_file_is_kept_read_and_deleted(simulator: Simulator) -> None:
    content = jsonl([row(1)])
    _, file = upload(simulator.url, content)
    assert (file["object"], file["purpose"], file["bytes"], file["filename"]) == ("file", "batch", len(content), "in.jsonl")
    where = f"{simulator.url}/files/{file['id']}"
    assert call("GET", where) == (200, file)
    assert call("GET", f"{where}/content") == (200, content)
    assert call("DELETE", where) == (200, {"id": file["id"], "object": "file", "deleted": True})
    assert call("GET", f"{where}/content")[0] == 404


def test_rows_are_answered_like_live_calls_with_the_same_prompt(simulator: Simulator) -> None:
    n = 40
    batch = wait(simulator.url, create(simulator.url, [row(i) for i in range(n)])["id"])
    assert batch["status"] == "completed" and batch["error_file_id"] is None
    assert batch["request_counts"] == {"total": n, "completed": n, "failed": 0}
    answered = results(simulator.url, batch)
    live = ask(simulator.url, *[request(i) for i in range(n)])
    for i, got in enumerate(live):
        line = answered[f"row-{i}"]
        assert line["error"] is None and line["response"]["status_code"] == 200
        body = line["response"]["body"]
        assert (body["choices"], body["usage"], body["id"]) == (got.body["choices"], got.body["usage"], line["response"]["request_id"])
    assert list(answered) != [f"row-{i}" for i in range(n)], "lines come in an order of their own"


def test_a_done_row_is_billed_once_at_the_batch_price(simulator: Simulator) -> None:
    simulator.configure(cached_fraction=0.3)
    for model, price in load_prices().items():
        simulator.reset()
        batch = wait(simulator.url, create(simulator.url, [row(i, body=request(i, model)) for i in range(5)])["id"])
        lines = simulator.bill()["lines"]
        assert {line["call_id"] for line in lines} == {f"row-{i}" for i in range(5)}
        for line in lines:
            assert (line["lane"], line["model"]) == ("batch", model)
            cached, uncached, output = line["cache_read_tokens"], line["input_tokens"], line["output_tokens"]
            exact = (price.input * uncached + price.cache_read * cached + price.output * output) / 2
            assert Decimal(line["amount_usd"]) == exact.quantize(Decimal("1e-12"), ROUND_HALF_EVEN) > 0
        usage = batch["usage"]
        assert usage["input_tokens"] == sum(line["input_tokens"] + line["cache_read_tokens"] for line in lines)
        assert usage["input_tokens_details"]["cached_tokens"] == sum(line["cache_read_tokens"] for line in lines)
        assert usage["output_tokens"] == sum(line["output_tokens"] for line in lines)


def test_a_batch_goes_through_its_states_and_its_rows_get_done_on_the_way(simulator: Simulator) -> None:
    simulator.configure(batch={"seconds": 1.5})
    batch_id = create(simulator.url, [row(i) for i in range(30)])["id"]
    seen, n_done = [], []
    while not seen or seen[-1] != "completed":
        _, batch = call("GET", f"{simulator.url}/batches/{batch_id}")
        seen += [batch["status"]] if batch["status"] not in seen else []
        n_done.append(batch["request_counts"]["completed"])
        assert (batch["output_file_id"] is not None) == (batch["status"] == "completed")
        time.sleep(0.02)
    assert seen == ["validating", "in_progress", "finalizing", "completed"]
    assert n_done == sorted(n_done) and len(set(n_done)) > 10
    assert None not in (batch["in_progress_at"], batch["finalizing_at"], batch["completed_at"], batch["expires_at"])


def test_a_cancelled_batch_has_the_rows_done_so_far_and_only_they_are_billed(simulator: Simulator) -> None:
    simulator.configure(batch={"seconds": 2})
    batch_id = create(simulator.url, [row(i) for i in range(40)])["id"]
    wait(simulator.url, batch_id, "in_progress")
    time.sleep(0.5)
    status, cancelling = call("POST", f"{simulator.url}/batches/{batch_id}/cancel", b"")
    assert (status, cancelling["status"]) == (200, "cancelling")
    batch = wait(simulator.url, batch_id)
    answered, undone = results(simulator.url, batch), results(simulator.url, batch, "error")
    assert batch["status"] == "cancelled" and 5 < len(answered) < 35 and len(answered) + len(undone) == 40
    assert {line["error"]["code"] for line in undone.values()} == {"batch_cancelled"}
    assert {line["call_id"] for line in simulator.bill()["lines"]} == set(answered)
    assert call("POST", f"{simulator.url}/batches/{batch_id}/cancel", b"")[0] == 409


@pytest.mark.parametrize("outcome", ["expired", "cancelled"])
def test_a_batch_that_the_provider_ends_has_half_of_its_rows(simulator: Simulator, outcome: str) -> None:
    simulator.configure(batch={"outcome": outcome})
    batch = wait(simulator.url, create(simulator.url, [row(i) for i in range(20)])["id"])
    answered, undone = results(simulator.url, batch), results(simulator.url, batch, "error")
    assert (batch["status"], len(answered), len(undone)) == (outcome, 10, 10)
    assert all(line["response"] is None and line["error"]["code"] == f"batch_{outcome}" for line in undone.values())
    assert len(simulator.bill()["lines"]) == 10


def test_a_stuck_batch_ends_when_its_window_does_or_when_it_is_cancelled(simulator: Simulator) -> None:
    simulator.configure(batch={"outcome": "stuck", "window_s": 0.6})
    batch = wait(simulator.url, create(simulator.url, [row(i) for i in range(10)])["id"])
    assert (batch["status"], batch["request_counts"]["completed"]) == ("expired", 5)
    simulator.configure(batch={"outcome": "stuck"})
    batch_id = create(simulator.url, [row(i) for i in range(10)])["id"]
    time.sleep(0.3)
    assert call("GET", f"{simulator.url}/batches/{batch_id}")[1]["status"] == "in_progress"
    call("POST", f"{simulator.url}/batches/{batch_id}/cancel", b"")
    assert wait(simulator.url, batch_id)["request_counts"] == {"total": 10, "completed": 5, "failed": 5}


def test_an_unfinished_batch_expires_with_the_rows_done_so_far(simulator: Simulator) -> None:
    simulator.configure(batch={"seconds": 10, "window_s": 2.5})
    batch = wait(simulator.url, create(simulator.url, [row(i) for i in range(80)])["id"])
    assert batch["status"] == "expired" and 5 <= len(results(simulator.url, batch)) <= 25
    assert len(results(simulator.url, batch)) + len(results(simulator.url, batch, "error")) == 80


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (jsonl([row(1)]) + b"{not json\n", "invalid_json_line", 2),
        (jsonl([row(1), row(2), row(1)]), "duplicate_custom_id", 3),
        (jsonl([row(1, url="/v1/embeddings")]), "url_mismatch", 1),
        (jsonl([row(1), row(2, body=request(2, "sim-expert"))]), "model_mismatch", 2),
        (jsonl([{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}]), "missing_required_parameter", 1),
        (b"", "empty_file", None),
    ],
)
def test_a_bad_file_fails_its_batch_and_says_why(simulator: Simulator, content: bytes, code: str, line: int | None) -> None:
    _, file = upload(simulator.url, content)
    asked = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    batch = wait(simulator.url, call("POST", f"{simulator.url}/batches", asked)[1]["id"])
    (error,) = batch["errors"]["data"]
    assert (batch["status"], error["code"], error["line"]) == ("failed", code, line)
    assert batch["output_file_id"] is None and batch["error_file_id"] is None and simulator.bill()["lines"] == []


def test_a_failed_batch_did_nothing(simulator: Simulator) -> None:
    simulator.configure(batch={"outcome": "failed"})
    batch = wait(simulator.url, create(simulator.url, [row(1)])["id"])
    assert (batch["status"], batch["errors"]["data"][0]["code"]) == ("failed", "token_limit_exceeded")
    assert simulator.bill()["lines"] == [] and simulator.calls() == []


def test_a_request_for_something_else_is_refused_by_name(simulator: Simulator) -> None:
    _, file = upload(simulator.url, jsonl([row(1)]))
    good = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    for wrong in ({"input_file_id": "file-x"}, {"endpoint": "/v1/embeddings"}, {"completion_window": "1h"}, {"metadata": {"a": 1}}):
        status, answer = call("POST", f"{simulator.url}/batches", good | wrong)
        assert (status, answer["error"]["param"]) == (400, next(iter(wrong)))
    assert upload(simulator.url, b"", "vision")[0] == 400
    assert call("POST", f"{simulator.url}/files", b"{}")[0] == 400
    for path in ("batches/batch_x", "files/file-x"):
        assert call("GET", f"{simulator.url}/{path}")[0] == 404
    assert call("PUT", f"{simulator.url}/batches")[0] == 404
    assert call("GET", f"{simulator.url}/batches")[1]["data"] == []


def test_batches_are_listed_newest_first_in_pages_until_reset(simulator: Simulator) -> None:
    ids = [create(simulator.url, [row(n)], metadata={"lane": f"n{n}"})["id"] for n in range(5)]
    _, first = call("GET", f"{simulator.url}/batches?limit=3")
    assert ([b["id"] for b in first["data"]], first["has_more"]) == (ids[:1:-1], True)
    assert [b["metadata"]["lane"] for b in first["data"]] == ["n4", "n3", "n2"]
    _, second = call("GET", f"{simulator.url}/batches?limit=3&after={first['last_id']}")
    assert ([b["id"] for b in second["data"]], second["has_more"]) == (ids[1::-1], False)
    simulator.reset()
    assert call("GET", f"{simulator.url}/batches")[1]["data"] == []


def test_files_beyond_the_bound_are_refused(simulator: Simulator) -> None:
    large = b" " * 120_000_000
    assert upload(simulator.url, large)[0] == 200
    status, answer = upload(simulator.url, large)
    assert status == 413 and "200000000" in answer["error"]["message"]
    simulator.reset()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_litellm_reads_files_and_batches(simulator: Simulator) -> None:
    import litellm

    where = {"custom_llm_provider": "openai", "api_base": simulator.url, "api_key": "sk-simulated"}

    async def use() -> None:
        content = io.BytesIO(jsonl([row(i) for i in range(3)]))
        file = await litellm.acreate_file(file=("in.jsonl", content), purpose="batch", **where)
        asked = {"completion_window": "24h", "endpoint": "/v1/chat/completions", "input_file_id": file.id}
        created = await litellm.acreate_batch(**asked, metadata={"run": "r1"}, **where)
        for _ in range(200):
            batch = await litellm.aretrieve_batch(batch_id=created.id, **where)
            if batch.status == "completed":
                break
            await asyncio.sleep(0.02)
        assert (batch.status, batch.request_counts.completed, batch.metadata) == ("completed", 3, {"run": "r1"})
        raw = await litellm.afile_content(file_id=batch.output_file_id, **where)
        lines = {line["custom_id"]: line for line in map(json.loads, raw.content.splitlines())}
        assert set(lines) == {"row-0", "row-1", "row-2"} and lines["row-0"]["response"]["status_code"] == 200
        listed = await litellm.alist_batches(limit=5, **where)
        assert [b.id for b in listed.data] == [created.id]
        simulator.configure(batch={"outcome": "stuck"})
        stuck = await litellm.acreate_batch(**asked, **where)
        assert (await litellm.acancel_batch(batch_id=stuck.id, **where)).status == "cancelling"

    asyncio.run(use())
    gc.collect()  # litellm opens a client for each of these calls and closes none: its warnings belong to this test
    assert {line["lane"] for line in simulator.bill()["lines"]} == {"batch"}
