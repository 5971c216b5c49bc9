"""How the pool and its workers talk: JSON, because a process that has read a hostile document is not trusted with pickles."""

import json
from dataclasses import asdict
from typing import Any

from skillyard.documents.result import Chunk, Heading, Parsed, ParsedPage, Rejected

READY = b"ready"


def encode_result(result: Parsed | Rejected) -> bytes:
    """Return a result as bytes."""
    return json.dumps([type(result).__name__, asdict(result)]).encode()


def decode_result(data: bytes) -> Parsed | Rejected:
    """Return the result again, of exactly the types it is declared to have; ``ValueError`` or ``TypeError`` for anything else."""
    name, fields = json.loads(data)
    if name == "Rejected":
        return Rejected(**_checked(fields))
    pages = tuple(_page(page) for page in fields.pop("pages"))
    chunks = tuple(Chunk(**_checked(chunk)) for chunk in fields.pop("chunks"))
    metadata = tuple((_text(key), _text(value)) for key, value in fields.pop("metadata"))
    return Parsed(**_checked(fields), pages=pages, metadata=metadata, chunks=chunks)


def encode_fields(fields: dict[str, Any]) -> bytes:
    """Return a small message as bytes."""
    return json.dumps(fields).encode()


def decode_fields(data: bytes) -> dict[str, Any]:
    """Return a small message's fields."""
    return _checked(json.loads(data))


def _page(fields: dict[str, Any]) -> ParsedPage:
    headings = tuple(Heading(**_checked(heading)) for heading in fields.pop("headings"))
    tables = tuple(tuple(tuple(map(_text, row)) for row in table) for table in fields.pop("tables"))
    return ParsedPage(**_checked(fields), headings=headings, tables=tables)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _checked(fields: Any) -> dict[str, Any]:
    if not isinstance(fields, dict) or not all(value is None or isinstance(value, str | int | float) for value in fields.values()):
        raise ValueError("not a flat object")
    return fields
