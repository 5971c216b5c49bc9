"""Uploaded files and the results of batches, in memory."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.simulator.replies import RefusedError

MAX_BYTES = 200_000_000
"""What all files together may hold."""


@dataclass(frozen=True, slots=True)
class File:
    """A stored file."""

    id: str
    filename: str
    purpose: str
    content: bytes
    created_at: int

    def as_dict(self) -> dict[str, Any]:
        """Return the file object, without the content."""
        values = {"id": self.id, "bytes": len(self.content), "filename": self.filename, "purpose": self.purpose}
        return values | {"object": "file", "created_at": self.created_at, "status": "processed", "expires_at": None}


class Files:
    """Keeps files until they are deleted or the simulator is reset."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}

    def forget(self) -> None:
        """Drop every file."""
        self._files.clear()

    def add(self, filename: str, purpose: str, content: bytes) -> File:
        """Store a file under a new id."""
        file = File(f"file-{uuid.uuid4().hex}", filename, purpose, content, int(time.time()))
        self._files[file.id] = file
        return file

    def find(self, file_id: str) -> File | None:
        """Return a file, or none."""
        return self._files.get(file_id)

    async def upload(self, request: web.BaseRequest, _: str) -> web.Response:
        """Answer ``POST /v1/files``."""
        if not request.content_type.startswith("multipart/"):
            raise RefusedError(400, "a file is uploaded as multipart/form-data with the fields purpose and file")
        filename, purpose, content = "", "", None
        async for part in await request.multipart():
            if part.name == "purpose":
                purpose = await part.text()
            elif part.name == "file":
                filename, content = part.filename or "file", bytes(await part.read())
        if purpose != "batch" or content is None:
            raise RefusedError(400, f"purpose is {purpose!r}: it has to be 'batch', with a file beside it", param="purpose")
        held = sum(len(file.content) for file in self._files.values())
        if held + len(content) > MAX_BYTES:
            raise RefusedError(
                413, f"the file's {len(content)} bytes and the {held} held are more than {MAX_BYTES}: delete files, or reset"
            )
        return web.json_response(self.add(filename, purpose, content).as_dict())

    async def retrieve(self, _: web.BaseRequest, file_id: str) -> web.Response:
        """Answer ``GET /v1/files/{id}``."""
        return web.json_response(self._get(file_id).as_dict())

    async def content(self, _: web.BaseRequest, file_id: str) -> web.Response:
        """Answer ``GET /v1/files/{id}/content``."""
        return web.Response(body=self._get(file_id).content, content_type="application/octet-stream")

    async def delete(self, _: web.BaseRequest, file_id: str) -> web.Response:
        """Answer ``DELETE /v1/files/{id}``."""
        del self._files[self._get(file_id).id]
        return web.json_response({"id": file_id, "object": "file", "deleted": True})

    def _get(self, file_id: str) -> File:
        file = self._files.get(file_id)
        if file is None:
            raise RefusedError(404, f"No such File object: {file_id}", param="id")
        return file
