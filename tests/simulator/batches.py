"""Batches of chat completions: created over a file, worked through in the background, listed, cancelled."""

import asyncio
import json
import time
from typing import Any

from aiohttp import web

from tests.simulator.batch import DAY_S, ENDPOINT, Batch, read_rows
from tests.simulator.files import Files
from tests.simulator.provider import Provider
from tests.simulator.replies import RefusedError

_MOST_LISTED = 100
_MOST_ERRORS = 20
_AT_ONCE = 16
"""Rows done before others get their turn."""


class Batches:
    """Keeps batches until the simulator is reset."""

    def __init__(self, provider: Provider, files: Files) -> None:
        self._provider, self._files = provider, files
        self._batches: dict[str, Batch] = {}

    def forget(self) -> None:
        """Stop and drop every batch."""
        for batch in self._batches.values():
            if batch.task is not None:
                batch.task.cancel()
        self._batches.clear()

    async def create(self, request: web.BaseRequest, _: str) -> web.Response:
        """Answer ``POST /v1/batches``."""
        asked = _parse(await request.read())
        file = self._files.find(asked.get("input_file_id", ""))
        if file is None:
            raise RefusedError(400, f"No such File object: {asked.get('input_file_id')}", param="input_file_id")
        for name, allowed in (("endpoint", ENDPOINT), ("completion_window", "24h")):
            if asked.get(name) != allowed:
                raise RefusedError(400, f"{name} is {asked.get(name)!r}: it has to be {allowed}", param=name)
        metadata = asked.get("metadata")
        if metadata is not None and not _is_metadata(metadata):
            raise RefusedError(400, "metadata: at most 16 keys of 64 characters, with texts of 512 characters", param="metadata")
        batch = Batch(file.id, metadata, self._provider.config.batch)
        self._batches[batch.id] = batch
        batch.task = asyncio.create_task(self._go(batch, file.content))
        return web.json_response(batch.as_dict())

    async def retrieve(self, _: web.BaseRequest, batch_id: str) -> web.Response:
        """Answer ``GET /v1/batches/{id}``."""
        return web.json_response(self._get(batch_id).as_dict())

    async def listed(self, request: web.BaseRequest, _: str) -> web.Response:
        """Answer ``GET /v1/batches``: the newest first, ``limit`` of those ``after`` an id."""
        newest, after = list(reversed(self._batches.values())), request.query.get("after")
        limit = int(request.query.get("limit", 20))
        if not 1 <= limit <= _MOST_LISTED:
            raise RefusedError(400, f"limit is {limit}: it has to be 1 … {_MOST_LISTED}", param="limit")
        if after is not None:
            newest = newest[newest.index(self._get(after)) + 1 :]
        page = [batch.as_dict() for batch in newest[:limit]]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
        return web.json_response({"object": "list", "data": page, **ends, "has_more": len(newest) > limit})

    async def cancel(self, _: web.BaseRequest, batch_id: str) -> web.Response:
        """Answer ``POST /v1/batches/{id}/cancel``."""
        batch = self._get(batch_id)
        if batch.status in ("validating", "in_progress") and batch.task is not None:
            batch.task.cancel()
            batch.turn("cancelling")
            batch.task = asyncio.create_task(self._end(batch, "cancelled"))
        elif batch.status != "cancelling":
            raise RefusedError(409, f"Cannot cancel a batch with status '{batch.status}'.")
        return web.json_response(batch.as_dict())

    async def _go(self, batch: Batch, content: bytes) -> None:
        """Take the batch to its end."""
        tenth_s = batch.how.seconds / 10
        try:
            async with asyncio.timeout(batch.how.window_s or DAY_S):
                await asyncio.sleep(tenth_s)
                if not await self._validate(batch, content):
                    batch.turn("failed")
                    return
                batch.turn("in_progress")
                await self._work(batch)
                if batch.how.outcome == "stuck":
                    await asyncio.Event().wait()
        except TimeoutError:
            await self._end(batch, "expired")
            return
        is_expired = batch.how.outcome == "expired" or batch.counts["expired"]
        end = "cancelled" if batch.how.outcome == "cancelled" else "expired" if is_expired else "completed"
        batch.turn("cancelling" if end == "cancelled" else "finalizing")
        await self._end(batch, end)

    async def _validate(self, batch: Batch, content: bytes) -> bool:
        """Read the batch's rows, or what is wrong with them; say whether they can be done."""
        for n, (row, error) in enumerate(read_rows(content)):
            if row is not None:
                batch.rows.append(row)
            elif error is not None and len(batch.errors) < _MOST_ERRORS:
                batch.errors.append(error)
            if n % _AT_ONCE == 0:
                await asyncio.sleep(0)
        if batch.how.outcome == "failed":
            batch.errors.append(
                _error("token_limit_exceeded", "Enqueued token limit reached. Please try again once some batches are done.")
            )
        elif not batch.rows and not batch.errors:
            batch.errors.append(_error("empty_file", "The input file has no lines."))
        if batch.errors:
            batch.rows.clear()
            return False
        batch.rows.reverse()
        batch.counts["total"] = len(batch.rows)
        batch.model = batch.rows[0]["body"].get("model")
        return True

    async def _work(self, batch: Batch) -> None:
        """Do the rows one after the other, spread over the batch's time; half of them when it is not to be completed."""
        started, n_rows = time.monotonic(), len(batch.rows)
        each_s = batch.how.seconds * 0.8 / n_rows
        for n in range(n_rows if batch.how.outcome == "completed" else n_rows // 2):
            due_s = started + each_s * (n + 1) - time.monotonic()
            if due_s > 0 or n % _AT_ONCE == 0:
                await asyncio.sleep(max(due_s, 0))
            batch.do_next(self._provider)

    async def _end(self, batch: Batch, status: str) -> None:
        """Store the results and turn to the last state."""
        await asyncio.sleep(batch.how.seconds / 10)
        batch.drop_rest(status)
        batch.shuffle()
        for what, lines in (("output", batch.answered), ("error", batch.failed)):
            if lines:
                file = self._files.add(f"{batch.id}_{what}.jsonl", "batch_output", b"\n".join(lines) + b"\n")
                setattr(batch, f"{what}_file_id", file.id)
                lines.clear()
        batch.turn(status)

    def _get(self, batch_id: str) -> Batch:
        batch = self._batches.get(batch_id)
        if batch is None:
            raise RefusedError(404, f"No batch found with id '{batch_id}'.")
        return batch


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(raw)
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise RefusedError(400, "the body has to be a JSON object")
    return asked


def _is_metadata(value: Any) -> bool:
    is_map = isinstance(value, dict) and len(value) <= 16
    return is_map and all(len(k) <= 64 and isinstance(v, str) and len(v) <= 512 for k, v in value.items())


def _error(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "line": None, "message": message, "param": None}
