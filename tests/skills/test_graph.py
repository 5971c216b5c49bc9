from pathlib import Path

import pytest

from skillyard.errors import ConfigError
from skillyard.skills.graph import ROOT, Edge, edges_of, find_cycle, refuse_cycles, render_mermaid, render_text
from skillyard.skills.inspection import check_skill
from skillyard.skills.load import load_skill
from tests.skills.conftest import copy_skill

EDGES = [
    Edge(ROOT, "sort", ""),
    Edge("sort", "extract", 'where label is "x"'),
    Edge("sort", "judge", "takes label"),
    Edge("extract", "judge", "takes text"),
    Edge("extract", "judge", "takes total"),
]


def test_a_skill_stands_below_each_skill_that_it_goes_by() -> None:
    assert render_text(EDGES).splitlines() == [
        "documents",
        "  sort",
        '    extract  where label is "x"',
        "      judge  takes text, takes total",
        "    judge    takes label",
    ]


def test_mermaid_numbers_its_nodes_and_labels_its_arrows() -> None:
    lines = render_mermaid(EDGES).splitlines()
    assert lines[:2] == ["flowchart LR", '  n0["documents"]'] and '  n3["sort"]' in lines
    assert "  n0 --> n3" in lines and "  n3 -->|\"where label is 'x'\"| n1" in lines


@pytest.mark.parametrize(
    ("sources", "cycle"),
    [
        ({"a": ["b"], "b": ["c"], "c": []}, []),
        ({"a": ["a"]}, ["a", "a"]),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, ["a", "b", "c", "a"]),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, []),
    ],
)
def test_a_cycle_is_found_from_the_skills_that_are_in_it(sources: dict[str, list[str]], cycle: list[str]) -> None:
    assert find_cycle("a", lambda name: sources[name]) == cycle


def test_a_graph_with_a_cycle_is_refused_by_its_way() -> None:
    refuse_cycles(EDGES)
    with pytest.raises(ConfigError, match="sort → extract → sort"):
        refuse_cycles([Edge("extract", "sort", ""), *EDGES])


def test_skills_that_wait_for_each_other_are_a_problem_of_each(include: Path) -> None:
    mood, tone = include / "skills" / "name-mood", copy_skill(include, "name-tone")
    for folder, other in ((mood, "name-tone"), (tone, "name-mood")):
        spec = (folder / "skill.yaml").read_text()
        assert edges_of(load_skill(folder)) == [Edge(ROOT, folder.name, "")]
        (folder / "skill.yaml").write_text(f"{spec}takes:\n  said: {{skill: {other}, column: mood, description: The mood.}}\n")
        assert edges_of(load_skill(folder)) == [Edge(other, folder.name, "takes mood")]
    [problem] = [p for p in check_skill(mood) if "wait for each other" in p.message]
    assert (Path(problem.file).name, problem.field, problem.line) == ("skill.yaml", "takes", 20)
    assert "name-mood → name-tone → name-mood" in problem.message and any("name-tone →" in p.message for p in check_skill(tone))


def test_a_source_that_is_no_skill_or_no_column_of_it_is_named(include: Path) -> None:
    mood, _ = include / "skills" / "name-mood", copy_skill(include, "name-tone")
    spec = (mood / "skill.yaml").read_text()
    for skill, column, said in (("name-tine", "mood", "Did you mean 'name-tone'?"), ("name-tone", "mode", "Allowed: mood, uri")):
        (mood / "skill.yaml").write_text(f"{spec}takes:\n  said: {{skill: {skill}, column: {column}, description: The mood.}}\n")
        [problem] = [p for p in check_skill(mood, ["uri"]) if said in p.message]
        assert problem.line == 21
    (include / "skills" / "name-tone" / "skill.yaml").write_text("kind: [")
    assert not [p for p in check_skill(mood) if "takes" in p.field], "what is wrong with another skill is told there"
