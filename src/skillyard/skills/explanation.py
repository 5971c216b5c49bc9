"""What pydantic says of a file, in our words: the field, what was found, what is allowed."""

import re
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from skillyard.skills.errors import SkillError

PLAIN = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
"""The types that a field may be one of; pydantic names each at the end of a location."""
Place = tuple[int | str, ...]


def explain(model: type[BaseModel], error: ValidationError, file: str) -> list[SkillError]:
    """Return an error per field, in the order of the model, at least one."""
    by_place: dict[Place, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        loc = details["loc"]
        by_place.setdefault(loc[:-1] if loc and loc[-1] in PLAIN else loc, []).append(details)
    return [_explain(model, place if len(found) > 1 else found[0]["loc"], found, file) for place, found in by_place.items()]


def _explain(model: type[BaseModel], place: Place, errors: Sequence[ErrorDetails], file: str) -> SkillError:
    """Turn what pydantic found at one place into a SkillError."""
    first, field = errors[0], ".".join(str(part) for part in place if part != "[key]")
    found = repr(first["input"])[:120]
    if place != first["loc"]:
        return SkillError(file, field, f"found {found}", tuple(PLAIN[str(error["loc"][-1])] for error in errors))
    if first["type"] == "extra_forbidden":
        return SkillError(file, field, "this field is not known here", tuple(sorted(_fields_at(model, place[:-1]))))
    if first["type"] == "missing":
        return SkillError(file, field, "this field is missing", _values_at(model, place))
    if first["type"] == "literal_error":
        return SkillError(file, field, f"found {found}", tuple(re.findall(r"'([^']*)'", first["ctx"]["expected"])))
    pattern = first.get("ctx", {}).get("pattern")
    rule = f"has to match {pattern}" if pattern else first["msg"].removeprefix("Input ").replace("should", "has to")
    return SkillError(file, field, f"found {found}, which {rule}")


def _fields_at(model: type[BaseModel], loc: Place) -> list[str]:
    """Return the field names allowed in the model that a pydantic location points into."""
    here = _model_at(model, loc)
    return [f.alias or n for n, f in here.model_fields.items()] if here else []


def _values_at(model: type[BaseModel], loc: Place) -> tuple[str, ...]:
    """Return the values allowed for the field that a pydantic location points to, if they can be listed."""
    here = _model_at(model, loc[:-1])
    annotations = [f.annotation for n, f in here.model_fields.items() if loc[-1] in (n, f.alias)] if here else []
    return tuple(str(value) for a in annotations if get_origin(a) is Literal for value in get_args(a))


def _model_at(model: type[BaseModel], loc: Place) -> type[BaseModel] | None:
    """Return the model that a pydantic location points into."""
    here: Any = model
    for part in loc:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = here.model_fields
            here = next((f.annotation for n, f in fields.items() if part in (n, f.alias)), None)
        else:
            here = next((a for a in reversed(get_args(here)) if isinstance(a, type) and issubclass(a, BaseModel)), here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None
