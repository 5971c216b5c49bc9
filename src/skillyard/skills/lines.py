"""The line on which a field stands in its file: where a person has to look."""

from collections.abc import Iterator
from pathlib import Path

import yaml


def line_of(file: Path, field: str) -> int | None:
    """Return the line, from 1, of a field or of the nearest thing above it that is there; None where there is no such line.

    ``field`` is a path of keys and numbers such as ``checks.0.field``; empty: the place where the file ceases to be YAML.
    """
    source = _yaml_of(file)
    if source is None:
        return None
    from skillyard.skills.spec import UniqueKeys

    try:
        yaml.load(source, Loader=UniqueKeys)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return mark.line + 1 if mark else None
    except yaml.YAMLError:
        return None
    root = yaml.compose(source, Loader=UniqueKeys)
    return _find(root, field.split("."), root.start_mark.line) + 1 if field and root is not None else None


def _yaml_of(file: Path) -> str | None:
    """Return the YAML of a file with every line at its place; None when there is none to read."""
    try:
        source = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    if file.name == "SKILL.md":
        return "\n" + source.partition("\n")[2].partition("\n---\n")[0]
    return source if file.suffix == ".yaml" else None


def _find(node: yaml.Node, path: list[str], line: int) -> int:
    """Return the line, from 0, to which a path leads from a node that stands on ``line``, as far as it goes."""
    for below, rest, its_line in _step(node, path):
        return _find(below, rest, its_line)
    return line


def _step(node: yaml.Node, path: list[str]) -> Iterator[tuple[yaml.Node, list[str], int]]:
    """Yield what the first part of a path leads to, the path from there, and its line; a key may itself have dots in it."""
    if isinstance(node, yaml.SequenceNode) and path and path[0].isdecimal() and int(path[0]) < len(node.value):
        item = node.value[int(path[0])]
        yield item, path[1:], item.start_mark.line
    elif isinstance(node, yaml.MappingNode):
        keys = {str(key.value): (key, value) for key, value in node.value}
        for length in range(len(path), 0, -1):
            if (name := ".".join(path[:length])) in keys:
                key, value = keys[name]
                yield value, path[length:], key.start_mark.line
                return
