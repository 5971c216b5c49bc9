"""Which skills go by others: documents at the root, an edge for each result that a skill takes or that says whether it applies."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from skillyard.errors import ConfigError
from skillyard.skills.errors import SkillError
from skillyard.skills.load import load_skill
from skillyard.skills.skill import Skill

ROOT = "documents"
"""Where skills begin that go by no other."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One reason why a skill comes after another, or after the documents."""

    source: str
    skill: str
    why: str
    """What it goes by, such as ``where label is invoice``; empty for the documents."""


def edges_of(skill: Skill) -> list[Edge]:
    """Return a skill's edges, one from the documents when it goes by no other skill."""
    edges = [Edge(w.skill, skill.name, f"where {w.column} is {w.equals}") for w in skill.applies_to.where]
    edges += [Edge(t.skill, skill.name, f"takes {t.column}") for t in skill.takes.values()]
    return edges or [Edge(ROOT, skill.name, "")]


def sources_of(folder: Path) -> list[str]:
    """Return the skills that the one in a folder goes by; none when its files cannot be read."""
    try:
        return load_skill(folder).sources
    except SkillError:
        return []


def find_cycle(name: str, sources: Callable[[str], Iterable[str]]) -> list[str]:
    """Return the shortest way from a skill along its sources back to itself, itself at both ends; empty when there is none."""
    ways, seen = [[name]], {name}
    for way in ways:
        for source in sources(way[-1]):
            if source == name:
                return [*way, name]
            if source not in seen:
                seen.add(source)
                ways.append([*way, source])
    return []


def refuse_cycles(edges: Iterable[Edge]) -> None:
    """Raise ConfigError when skills wait for each other's results: none of them would ever begin."""
    sources: dict[str, list[str]] = {}
    for edge in edges:
        sources.setdefault(edge.skill, []).append(edge.source)
    for name in sources:
        if cycle := find_cycle(name, lambda skill: sources.get(skill, [])):
            raise ConfigError(
                f"skills wait for each other: {' → '.join(cycle)}. Take one of these steps out; see: skillyard skills check {name}"
            )


def render_text(edges: Sequence[Edge]) -> str:
    """Return the graph as a tree of lines; a skill that goes by two others stands below both."""
    below: dict[str, dict[str, list[str]]] = {}
    for edge in edges:
        below.setdefault(edge.source, {}).setdefault(edge.skill, []).append(edge.why)
    lines = list(_branch(ROOT, "", below, ()))
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {why}".rstrip() for name, why in lines)


def _branch(name: str, why: str, below: Mapping[str, Mapping[str, list[str]]], above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield a skill, indented, with what it goes by, then what goes by it."""
    yield "  " * len(above) + name, why
    if name not in above:
        for skill, reasons in sorted(below.get(name, {}).items()):
            yield from _branch(skill, ", ".join(reasons), below, (*above, name))


def render_mermaid(edges: Sequence[Edge]) -> str:
    """Return the graph as a Mermaid flowchart, which Markdown viewers draw."""
    names = sorted({name for edge in edges for name in (edge.source, edge.skill)}, key=lambda name: (name != ROOT, name))
    ids = {name: f"n{number}" for number, name in enumerate(names)}
    lines = [f'  {ids[name]}["{name}"]' for name in names]
    for edge in sorted(edges, key=lambda e: (e.skill, e.source, e.why)):
        label = '|"{}"|'.format(edge.why.replace('"', "'")) if edge.why else ""
        lines.append(f"  {ids[edge.source]} -->{label} {ids[edge.skill]}")
    return "\n".join(["flowchart LR", *lines])
