"""What an edit of a skill changes: its files, its fingerprint, and what readers of its results have to know. Pure comparisons."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from skillyard.skills.fingerprint import is_counted

Level = Literal["patch", "minor", "major"]
"""patch: the schema is the same. minor: whoever reads the results goes on as before. major: another table, so another ``output.major``."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that is not as it was."""

    path: str
    change: Literal["added", "removed", "edited"]
    counts: bool
    """Whether it is part of the fingerprint."""


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One difference between two output schemas."""

    path: str
    level: Level
    message: str


@dataclass(frozen=True, slots=True)
class State:
    """What a comparison needs to know of a skill at one time."""

    fingerprint: str
    version: str
    major: int
    schema: Mapping[str, Any]
    """The output schema, its enums filled from the labels."""
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A skill before and after an edit."""

    before: State
    after: State
    is_cosmetic: bool
    """The edit says of itself that it changes no answer: results of the fingerprint before it are carried over."""
    files: tuple[FileChange, ...]
    schema: tuple[SchemaChange, ...]

    @property
    def level(self) -> Level:
        """How much of a change of the output schema it is."""
        levels = {change.level for change in self.schema}
        return "major" if "major" in levels else "minor" if levels else "patch"

    @property
    def problem(self) -> str | None:
        """What has to be mended before the edit is merged; None when nothing has."""
        if self.after.major < self.before.major:
            return f"output.major went down from {self.before.major} to {self.after.major}: that table exists with other columns"
        if self.level == "major" and self.after.major == self.before.major:
            return f"the change is major, and output.major is still {self.after.major}. Set it to {self.after.major + 1}"
        if self.is_cosmetic and self.schema:
            return "the skill says cosmetic: true, but its output schema has changed. Take cosmetic out"
        return None


def compare(before: State, after: State, is_cosmetic: bool) -> Comparison:
    """Return what lies between two states of a skill."""
    files, schema = compare_files(before.files, after.files), compare_schemas(before.schema, after.schema)
    return Comparison(before, after, is_cosmetic, tuple(files), tuple(schema))


def compare_files(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[FileChange]:
    """Yield the files that were added, removed or edited, by path."""
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            change: Literal["added", "removed", "edited"] = "added" if path not in before else "removed" if path not in after else "edited"
            yield FileChange(path, change, is_counted(PurePosixPath(path)))


def compare_schemas(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[SchemaChange]:
    """Yield the differences of two output schemas, columns first, then what lies below them."""
    if path and _column_type(before) != _column_type(after):
        yield SchemaChange(path, "major", f"the type was {_shown(before)}, and is {_shown(after)}")
        return
    yield from _compare_enums(before, after, path)
    yield from _compare_words(before, after, path)
    yield from _compare_properties(before.get("properties", {}), after.get("properties", {}), path)
    if "items" in before:
        yield from compare_schemas(before["items"], after["items"], f"{path}[]")


def _compare_properties(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[SchemaChange]:
    """Yield properties that came, went or changed. Within a table only a column that may be null may come."""
    for name in (n for n in before if n not in after):
        yield SchemaChange(_join(path, name), "major", "removed")
    for name in (n for n in after if n not in before):
        if path:
            yield SchemaChange(_join(path, name), "major", "added within a column, which makes it another type")
        elif "null" in _types(after[name]):
            yield SchemaChange(name, "minor", "added; null in older rows")
        else:
            yield SchemaChange(name, "major", "added, but it may not be null as it has to be in older rows")
    for name in (n for n in after if n in before):
        yield from compare_schemas(before[name], after[name], _join(path, name))


def _compare_enums(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[SchemaChange]:
    """Yield values that an answer may no longer have, or may have now."""
    old, new = (schema.get("enum", []) for schema in (before, after))
    if gone := [value for value in old if value not in new]:
        yield SchemaChange(path, "major", f"no longer among the values: {', '.join(map(str, gone))}")
    if come := [value for value in new if value not in old]:
        yield SchemaChange(path, "minor", f"new among the values: {', '.join(map(str, come))}")


def _compare_words(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[SchemaChange]:
    """Yield other words of the schema that say something else: they change what an answer may be, not the column."""
    ignored = ("type", "enum", "properties", "items", "required", "additionalProperties")
    words = [word for word in sorted({*before, *after}) if word not in ignored and before.get(word) != after.get(word)]
    if words:
        yield SchemaChange(path or "output", "minor", f"says something else: {', '.join(words)}")


def _column_type(schema: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what makes a column's type: an enum makes it a dictionary, a format a date, x-decimal an exact number."""
    return frozenset(_types(schema)), schema.get("format"), bool(schema.get("x-decimal")), "enum" in schema


def _types(schema: Mapping[str, Any]) -> list[Any]:
    declared = schema.get("type")
    return list(declared) if isinstance(declared, list) else [declared]


def _shown(schema: Mapping[str, Any]) -> str:
    """Return a type as a person would say it."""
    words = [word for word in ("format", "enum", "x-decimal") if word in schema]
    kinds = " or ".join(str(kind) for kind in _types(schema))
    return f"{kinds} with {' and '.join(words)}" if words else kinds


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
