"""Replies with status 200 that are not what a provider promises: none is counted as free, none ends a whole shard."""

import json
from collections.abc import Iterator
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine

from skillyard.costs.prices.book import Usage
from skillyard.gateway import complete as complete_module
from skillyard.gateway.complete import Completion, ProviderUnavailable
from skillyard.gateway.files import read_row
from skillyard.gateway.state import open_state
from skillyard.profiles import Profile, load_profile
from tests.conftest import PROFILE, ROOT
from tests.gateway.test_complete import complete, request
from tests.running.trials import reserved, rows_of

REPLY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "sim-fast",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "{}"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
}


class Odd(ThreadingHTTPServer):
    """A provider that answers every request the same."""

    reply = REPLY
    n_asked = 0


class Handler(BaseHTTPRequestHandler):
    """Its one answer."""

    protocol_version = "HTTP/1.1"
    server: Odd

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.n_asked += 1
        body = json.dumps(self.server.reply).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def odd() -> Iterator[Odd]:
    with Odd(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def profile(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("SIMULATOR_URL", f"http://127.0.0.1:{odd.server_port}/v1")
    monkeypatch.setenv("SIMULATOR_KEY", "sk-simulated")
    monkeypatch.setattr(complete_module, "BACKOFF_S", 0.01)
    return load_profile(str(PROFILE), ROOT / "include")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Engine]:
    engine = open_state(f"sqlite:///{tmp_path / 'state.db'}")
    yield engine
    engine.dispose()


def test_an_answer_whose_usage_is_not_said_is_kept_once_and_its_price_stays_unknown(odd: Odd, profile: Profile, state: Engine) -> None:
    odd.reply = {name: value for name, value in REPLY.items() if name != "usage"}
    for _ in range(2):
        (answered,) = complete(state, profile, request())
        assert isinstance(answered, Completion) and answered.answer.content == "{}"
    (row,) = rows_of(state)
    assert (odd.n_asked, row["status"], row["error_kind"], row["cost_usd"]) == (1, "unknown", "no_usage", None)
    assert reserved(state) == 5 * row["reserved_usd"] > 0


def test_a_reply_without_any_choice_is_an_attempt_that_failed_not_the_end_of_the_shard(odd: Odd, profile: Profile, state: Engine) -> None:
    odd.reply = REPLY | {"choices": []}
    (failed,) = complete(state, profile, request())
    assert isinstance(failed, ProviderUnavailable)
    assert {(row["status"], row["error_kind"]) for row in rows_of(state)} == {("unknown", "unreadable_reply")}


def test_tokens_that_contradict_their_whole_are_no_usage_and_the_answer_is_kept(odd: Odd, profile: Profile, state: Engine) -> None:
    odd.reply = deepcopy(REPLY)
    odd.reply["usage"]["prompt_tokens_details"] = {"cached_tokens": 300}
    (answered,) = complete(state, profile, request())
    (row,) = rows_of(state)
    assert isinstance(answered, Completion) and answered.answer.content == "{}"
    assert (row["status"], row["error_kind"], row["input_tokens"], row["cost_usd"]) == ("unknown", "no_usage", 0, None)


def test_reasoning_that_the_total_counts_beside_the_output_is_output(odd: Odd, profile: Profile, state: Engine) -> None:
    odd.reply = deepcopy(REPLY)
    odd.reply["usage"] |= {"completion_tokens_details": {"reasoning_tokens": 50}, "total_tokens": 170}
    complete(state, profile, request())
    (row,) = rows_of(state)
    assert (row["status"], row["output_tokens"], row["reasoning_tokens"]) == ("settled", 70, 50)


def test_a_row_of_a_batch_without_usage_says_so() -> None:
    body = {name: value for name, value in REPLY.items() if name != "usage"}
    line = {"custom_id": "call-1", "response": {"status_code": 200, "body": body}}
    row = read_row(json.dumps(line).encode())
    assert row is not None and row.reply is not None and row.reply.usage == Usage()
