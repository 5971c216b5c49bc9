"""Files and batches of an OpenAI-compatible provider through litellm: upload, create, find, look at, cancel, read the results.

What only reads is tried again by the HTTP client. An upload or a create never is: after an uncertain end the caller looks whether the
provider has the batch (``find_batch``) before it creates one.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import litellm
from litellm.utils import convert_to_model_response_object, get_optional_params

from skillyard.errors import SkillyardError, Terminal, Transient
from skillyard.gateway.transport import Reply, explain, parameters, read_reply
from skillyard.profiles import Deployment
from skillyard.tokens import Message

ENDPOINT = "/v1/chat/completions"
NAME_KEY = "skillyard_batch"
"""The key of a batch's metadata that holds our name for it."""
TERMINAL = frozenset({"completed", "failed", "expired", "cancelled"})
LOOK_TIMEOUT_S = 30.0
MOVE_TIMEOUT_S = 600.0
READ_RETRIES = 2
ONE_CALL = {"Connection": "close"}
"""litellm makes a client for each of these calls and leaves it open: its connection is not kept."""
PAGE = 100
MOST_PAGES = 20


class BatchUnavailable(SkillyardError, Transient):
    """The provider did not answer a question about files or batches this time."""


class BatchRefused(SkillyardError, Terminal):
    """The provider will not take or show a file or a batch: asking again changes nothing."""


@dataclass(frozen=True, slots=True)
class ProviderBatch:
    """A batch as the provider shows it."""

    batch_id: str
    status: str
    output_file_id: str | None
    error_file_id: str | None
    n_done: int
    """Requests that were worked on, answered or failed, so far."""
    problem: str
    """Why it failed, in the provider's words."""

    @property
    def is_over(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class ResultRow:
    """What a batch answered to one request: a reply, or why there is none."""

    call_id: str
    reply: Reply | None
    error_kind: str = ""
    is_billed_unknown: bool = False


def request_line(deployment: Deployment, call_id: str, messages: list[Message], schema: Any, name: str, max_tokens: int) -> str:
    """Return one line of a batch's file: the body that a live call would send, under the attempt's call_id."""
    model, provider, _, _ = litellm.get_llm_provider(deployment.model)
    options = get_optional_params(model=model, custom_llm_provider=provider, **parameters(deployment, schema, name, max_tokens))
    extra = options.pop("extra_body", None) or {}
    for live in ("stream", "stream_options"):
        options.pop(live, None)
    body = {"model": model, "messages": messages, **options, **extra}
    return json.dumps({"custom_id": call_id, "method": "POST", "url": ENDPOINT, "body": body}, ensure_ascii=False) + "\n"


def upload(deployment: Deployment, file: Path) -> str:
    """Upload a file of request lines and return its id."""
    with file.open("rb") as stream:
        made = _ask(litellm.create_file, deployment, file=(file.name, stream), purpose="batch", timeout=MOVE_TIMEOUT_S, max_retries=0)
    return str(made.id)


def create_batch(deployment: Deployment, file_id: str, name: str) -> ProviderBatch:
    """Have a file worked on as a batch that carries our name."""
    options = {"completion_window": "24h", "endpoint": ENDPOINT, "input_file_id": file_id, "metadata": {NAME_KEY: name}}
    return _shown(_ask(litellm.create_batch, deployment, timeout=LOOK_TIMEOUT_S, max_retries=0, **options))


def find_batch(deployment: Deployment, name: str) -> ProviderBatch | None:
    """Return the batch that carries our name, if the provider has it among its newest."""
    after = None
    for _ in range(MOST_PAGES):
        page = _look(litellm.list_batches, deployment, after=after, limit=PAGE)
        page._client.close()  # which takes no headers
        for batch in page.data:
            if (batch.metadata or {}).get(NAME_KEY) == name:
                return _shown(batch)
        if not page.data or not getattr(page, "has_more", False):
            break
        after = page.data[-1].id
    return None


def look_at(deployment: Deployment, batch_id: str) -> ProviderBatch:
    """Return a batch as it stands."""
    return _shown(_look(litellm.retrieve_batch, deployment, batch_id=batch_id))


def cancel(deployment: Deployment, batch_id: str) -> None:
    """Ask the provider to stop; what it has answered by then is still there to be read. A batch that is over stays as it is."""
    try:
        _look(litellm.cancel_batch, deployment, batch_id=batch_id)
    except (BatchRefused, BatchUnavailable):
        if not look_at(deployment, batch_id).is_over:
            raise


def read_lines(deployment: Deployment, file_id: str) -> Iterator[bytes]:
    """Yield the lines of a result file as they arrive."""
    result = _ask(
        litellm.file_content, deployment, file_id=file_id, stream=True, chunk_size=1 << 16, timeout=MOVE_TIMEOUT_S, max_retries=READ_RETRIES
    )
    rest = b""
    chunks = result.stream_iterator
    while True:
        chunk = _ask(lambda **_: next(chunks, None), deployment)
        if chunk is None:
            break
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def read_row(line: bytes) -> ResultRow | None:
    """Return what one line of a result or error file says; none for a line that names no request."""
    try:
        row = json.loads(line)
        call_id, response = row["custom_id"], row.get("response") or {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    status = response.get("status_code")
    if status == 200:
        try:
            made = convert_to_model_response_object(response_object=response["body"], model_response_object=litellm.ModelResponse())
            return ResultRow(call_id, read_reply(made))
        except Exception:
            return ResultRow(call_id, None, "unreadable_reply", is_billed_unknown=True)
    error = row.get("error") or (response.get("body") or {}).get("error") or {}
    return ResultRow(
        call_id, None, _ROW_KINDS.get(error.get("code") or status) or ("server_error" if (status or 0) >= 500 else "bad_request")
    )


_ROW_KINDS: dict[object, str] = {
    "batch_expired": "batch_expired",
    "batch_cancelled": "batch_cancelled",
    "context_length_exceeded": "overflow",
    "content_policy_violation": "refusal",
    401: "authentication",
    403: "authentication",
    404: "not_found",
    408: "timed_out",
    429: "rate_limited",
}
"""What a row's error code, or its status, is called in the ledger."""


def _shown(batch: Any) -> ProviderBatch:
    errors = getattr(batch.errors, "data", None) or []
    problem = "; ".join(" ".join(str(e.message).split()) for e in errors[:3])
    counts = batch.request_counts
    n_done = counts.completed + counts.failed if counts else 0
    return ProviderBatch(batch.id, batch.status, batch.output_file_id, batch.error_file_id, n_done, problem[:300])


def _look(function: Callable[..., Any], deployment: Deployment, **options: Any) -> Any:
    return _ask(function, deployment, timeout=LOOK_TIMEOUT_S, max_retries=READ_RETRIES, **options)


def _ask(function: Callable[..., Any], deployment: Deployment, **options: Any) -> Any:
    """Call litellm for one deployment; what fails is BatchUnavailable or BatchRefused, without the key in its text."""
    provider = litellm.get_llm_provider(deployment.model)[1]
    try:
        where = {"custom_llm_provider": provider, "api_base": deployment.api_base, "api_key": deployment.api_key}
        return function(**where, extra_headers=ONE_CALL, **options)
    except Exception as error:
        failure = explain(error, deployment.api_key)
    # Raised outside: the first error holds the client, its connections and the key.
    kind = BatchUnavailable if failure.can_retry else BatchRefused
    raise kind(f"deployment {deployment.name!r}: {failure}")
