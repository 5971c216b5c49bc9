"""One batch: its rows, what became of them, and how it reads."""

import asyncio
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulator.config import BatchBehaviour
from tests.simulator.provider import Provider, Reply
from tests.simulator.replies import completion, error_of

ENDPOINT = "/v1/chat/completions"
STATES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
DAY_S = 24 * 60 * 60
_UNDONE = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed because the batch was cancelled."),
}


@dataclass(slots=True)
class Batch:
    """A batch from its creation to its end, and after."""

    input_file_id: str
    metadata: dict[str, str] | None
    how: BatchBehaviour
    id: str = field(default_factory=lambda: f"batch_{uuid.uuid4().hex}")
    created_at: float = field(default_factory=time.time)
    status: str = "validating"
    times: dict[str, int] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    """The rows not begun yet, the next one last."""
    answered: list[bytes] = field(default_factory=list)
    failed: list[bytes] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    model: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    task: asyncio.Task[None] | None = None

    def turn(self, status: str) -> None:
        """Go on to a state."""
        self.status = status
        self.times[f"{status}_at"] = int(time.time())

    def as_dict(self) -> dict[str, Any]:
        """Return the batch object."""
        tokens = self.tokens
        usage = {
            "input_tokens": tokens["input"],
            "input_tokens_details": {"cached_tokens": tokens["cached"]},
            "output_tokens": tokens["output"],
            "output_tokens_details": {"reasoning_tokens": tokens["reasoning"]},
            "total_tokens": tokens["input"] + tokens["output"],
        }
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": ENDPOINT,
            "model": self.model,
            "errors": {"object": "list", "data": self.errors} if self.errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": "24h",
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": int(self.created_at),
            "expires_at": int(self.created_at + (self.how.window_s or DAY_S)),
            **{f"{state}_at": self.times.get(f"{state}_at") for state in STATES},
            "request_counts": {name: self.counts[name] for name in ("total", "completed", "failed")},
            "usage": usage,
            "metadata": self.metadata,
        }

    def do_next(self, provider: Provider) -> None:
        """Do the next row, bill it, and write its line, if it gets one: one lost on its way is billed and has none."""
        row = self.rows.pop()
        body = row["body"]
        problem = provider.problem(body)
        if problem is not None:
            status, message, code = problem
            error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
            return self._fail(row, _response(status, {"error": error}, f"req_{uuid.uuid4().hex}"))
        reply = provider.decide(body, self.how.row_faults())
        call = provider.record(body, reply, row["custom_id"], "batch")
        call["answered_at"] = time.time()
        refusal = error_of(reply.fault)
        if refusal is not None:
            return self._fail(row, _response(*refusal, call["request_id"]))
        if not reply.is_billed:
            self.counts["expired"] += 1
            return self._fail(row, None, "expired")
        self.counts["completed"] += 1
        self._count_tokens(reply)
        if reply.fault not in ("cut_after", "broken_body", "late"):
            response = _response(200, completion(body["model"], reply, call["request_id"]), call["request_id"])
            self.answered.append(_line(row, response, None))
        return None

    def drop_rest(self, why: str) -> None:
        """Write an error line for each row not begun."""
        while self.rows:
            self._fail(self.rows.pop(), None, why)

    def shuffle(self) -> None:
        """Put the lines into another order than the rows', as providers do."""
        for lines in (self.answered, self.failed):
            random.Random(len(lines)).shuffle(lines)

    def _fail(self, row: Mapping[str, Any], response: dict[str, Any] | None, why: str | None = None) -> None:
        code, message = _UNDONE[why] if why else (None, None)
        self.counts["failed"] += 1
        self.failed.append(_line(row, response, {"code": code, "message": message} if why else None))

    def _count_tokens(self, reply: Reply) -> None:
        self.tokens.update(
            input=reply.prompt_tokens, cached=reply.cached_tokens, output=reply.completion_tokens, reasoning=reply.reasoning_tokens
        )


def read_rows(content: bytes) -> Iterator[tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    """Yield, for each line of an input file, its row or what is wrong with it."""
    seen: set[str] = set()
    models: set[str] = set()
    for n, line in enumerate(content.splitlines(), start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        problem = _problem(row, seen, models)
        if problem is None:
            yield row, None
        else:
            yield None, {"code": problem[0], "line": n, "message": problem[1], "param": problem[2]}


def _problem(row: Any, seen: set[str], models: set[str]) -> tuple[str, str, str | None] | None:
    if not isinstance(row, dict):
        return "invalid_json_line", "This line is not parseable as valid JSON.", None
    missing = [name for name in ("custom_id", "method", "url", "body") if not row.get(name)]
    if missing or not isinstance(row["body"], dict):
        name = missing[0] if missing else "body"
        return "missing_required_parameter", f"Missing required parameter: '{name}'.", name
    if row["custom_id"] in seen:
        return "duplicate_custom_id", f"The custom_id {row['custom_id']!r} is another line's too; it has to be unique.", "custom_id"
    if row["method"] != "POST" or row["url"] != ENDPOINT:
        return "url_mismatch", f"{row['method']} {row['url']} is not the batch's endpoint, POST {ENDPOINT}.", "url"
    seen.add(row["custom_id"])
    models.add(str(row["body"].get("model")))
    if len(models) > 1:
        return "model_mismatch", f"The batch's rows ask {' and '.join(sorted(models))}; all have to ask one model.", "body.model"
    return None


def _response(status: int, body: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    return {"status_code": status, "request_id": request_id, "body": body}


def _line(row: Mapping[str, Any], response: dict[str, Any] | None, error: dict[str, Any] | None) -> bytes:
    line = {"id": f"batch_req_{uuid.uuid4().hex}", "custom_id": row["custom_id"], "response": response, "error": error}
    return json.dumps(line, ensure_ascii=False).encode()
