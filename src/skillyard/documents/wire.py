"""How the pool and its workers talk: JSON, because a process that has read a hostile document is not trusted with pickles."""

import json
from dataclasses import asdict
from typing import Any

from skillyard.documents.result import Parsed, ParsedPage, Rejected

READY = b"ready"


def encode_result(result: Parsed | Rejected) -> bytes:
    """Return a result as bytes."""
    return json.dumps([type(result).__name__, asdict(result)]).encode()


def decode_result(data: bytes) -> Parsed | Rejected:
    """Return the result again, of exactly the types it is declared to have; ``ValueError`` or ``TypeError`` for anything else."""
    name, fields = json.loads(data)
    if name == "Rejected":
        return Rejected(**_checked(fields))
    pages = tuple(ParsedPage(**_checked(page)) for page in fields.pop("pages"))
    return Parsed(**_checked(fields), pages=pages)


def encode_fields(fields: dict[str, Any]) -> bytes:
    """Return a small message as bytes."""
    return json.dumps(fields).encode()


def decode_fields(data: bytes) -> dict[str, Any]:
    """Return a small message's fields."""
    return _checked(json.loads(data))


def _checked(fields: Any) -> dict[str, Any]:
    if not isinstance(fields, dict) or not all(value is None or isinstance(value, str | int | float) for value in fields.values()):
        raise ValueError("not a flat object")
    return fields
