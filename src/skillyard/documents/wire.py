"""How the pool and its workers talk: JSON, because a process that has read a hostile document is not trusted with pickles."""

import json
from collections.abc import Callable
from dataclasses import fields as fields_of
from typing import Any

from skillyard.documents.result import ERROR_KINDS, MAX_DOCUMENT_BYTES, Chunk, Heading, Member, Parsed, ParsedPage, Rejected, Spool

READY = b"ready"


def encode_result(result: Parsed | Rejected) -> bytes:
    """Return a result as bytes."""
    return json.dumps([type(result).__name__, result], default=_to_fields, ensure_ascii=False).encode("utf-8", "surrogatepass")


def decode_result(data: bytes, open_spool: Callable[[], Spool]) -> Parsed | Rejected:
    """Return the result again, of exactly the types it is declared to have; ``ValueError`` or ``TypeError`` for anything else.

    Its members' bytes, if it has any, are read from the spool.
    """
    name, fields = json.loads(data)
    if name == "Rejected":
        return Rejected(**_checked(fields))
    pages = tuple(_page(page) for page in fields.pop("pages"))
    chunks = tuple(Chunk(**_checked(chunk)) for chunk in fields.pop("chunks"))
    metadata = tuple((_text(key), _text(value)) for key, value in fields.pop("metadata"))
    found = fields.pop("members")
    spool = open_spool() if found else None
    members = tuple(_member(member, spool) for member in found)
    return Parsed(**_checked(fields), pages=pages, metadata=metadata, chunks=chunks, members=members)


def encode_fields(fields: dict[str, Any]) -> bytes:
    """Return a small message as bytes."""
    return json.dumps(fields).encode()


def decode_fields(data: bytes) -> dict[str, Any]:
    """Return a small message's fields."""
    return _checked(json.loads(data))


def _to_fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields_of(value)}


def _page(fields: dict[str, Any]) -> ParsedPage:
    headings = tuple(Heading(**_checked(heading)) for heading in fields.pop("headings"))
    tables = tuple(tuple(tuple(map(_text, row)) for row in table) for table in fields.pop("tables"))
    return ParsedPage(**_checked(fields), headings=headings, tables=tables)


def _member(fields: dict[str, Any], spool: Spool | None) -> Member:
    member = Member(**_checked(fields) | {"spool": spool})
    if not (0 <= member.size_bytes <= MAX_DOCUMENT_BYTES and member.offset >= 0 and member.error_kind in (None, *ERROR_KINDS)):
        raise ValueError("not a member")
    return member


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _checked(fields: Any) -> dict[str, Any]:
    if not isinstance(fields, dict) or not all(value is None or isinstance(value, str | int | float) for value in fields.values()):
        raise ValueError("not a flat object")
    return fields
