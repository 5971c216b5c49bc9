import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.errors import ConfigError, SchemaMismatch
from skillyard.lake.drift import check_file_schema
from skillyard.lake.results import results_table
from skillyard.skills.changes import FileChange, State, compare, compare_schemas
from skillyard.skills.load import load_skill
from skillyard.skills.revisions import compare_with

MOOD = {"type": "string", "enum": ["glad", "sad"]}
LINES = {"type": "array", "items": {"type": "object", "properties": {"amount": {"type": "number"}}}}


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "additionalProperties": False, "properties": properties}


def state(major: int = 1, **properties: Any) -> State:
    return State("f", "1.0.0", major, schema(**properties), {})


CHANGES = [
    (schema(mood=MOOD), None, ""),
    (schema(mood={**MOOD, "description": "the mood"}), "minor", "description"),
    (schema(mood={**MOOD, "enum": ["glad", "sad", "calm"]}), "minor", "new among the values: calm"),
    (schema(mood={**MOOD, "enum": ["sad", "glad"]}), None, ""),
    (schema(mood={**MOOD, "enum": ["glad"]}), "major", "no longer among the values: sad"),
    (schema(mood=MOOD, note={"type": ["string", "null"]}), "minor", "added"),
    (schema(mood=MOOD, note={"type": "string"}), "major", "may not be null"),
    (schema(note={"type": ["string", "null"]}), "major", "removed"),
    (schema(mood={"type": "string"}), "major", "string with enum, and is string"),
    (schema(mood={"type": ["string", "null"], "enum": ["glad", "sad", None]}), "major", "string or null"),
    (schema(mood={**MOOD, "x-compare": "ignore"}), "minor", "x-compare"),
]


@pytest.mark.parametrize(("after", "level", "said"), CHANGES)
def test_each_change_of_a_column_has_its_level_and_its_reason(after: dict[str, Any], level: str | None, said: str) -> None:
    changes = list(compare_schemas(schema(mood=MOOD), after))
    levels = {change.level for change in changes}
    assert ("major" if "major" in levels else "minor" if levels else None) == level
    assert said in "; ".join(change.message for change in changes)


@pytest.mark.parametrize(("after", "level", "_"), CHANGES)
def test_no_other_change_than_a_major_one_is_refused_by_the_lake(after: dict[str, Any], level: str | None, _: str) -> None:
    old, new = (results_table("name-mood", 1, s).schema for s in (schema(mood=MOOD), after))
    if level != "major":
        check_file_schema(old, new, "a file from before")


@pytest.mark.parametrize(
    ("items", "level", "path"),
    [
        ({"amount": {"type": "number", "minimum": 0}}, "minor", "lines[].amount"),
        ({"amount": {"type": "integer"}}, "major", "lines[].amount"),
        ({"amount": {"type": "number", "x-decimal": True}}, "major", "lines[].amount"),
        ({"amount": {"type": "number"}, "unit": {"type": ["string", "null"]}}, "major", "lines[].unit"),
        ({}, "major", "lines[].amount"),
    ],
)
def test_what_changes_within_a_list_is_found_there(items: dict[str, Any], level: str, path: str) -> None:
    after = schema(lines={"type": "array", "items": {"type": "object", "properties": items}})
    [change] = compare_schemas(schema(lines=LINES), after)
    assert (change.level, change.path) == (level, path)


def nullable(kind: str) -> st.SearchStrategy[Any]:
    return st.sampled_from([kind, [kind, "null"]])


def leaf(kind: str, **words: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": nullable(kind)}, optional=words | {"description": st.sampled_from("ab")})


LEAVES = st.one_of(
    leaf("string", format=st.sampled_from(["date", "date-time", "time"])),
    leaf("string", enum=st.lists(st.sampled_from("abc"), min_size=1, unique=True)),
    leaf("number", minimum=st.integers(0, 1), **{"x-decimal": st.booleans()}),
    leaf("integer"),
    leaf("boolean"),
)


def properties(of: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from("pqr"), of, min_size=1)


COLUMNS = st.recursive(
    LEAVES,
    lambda below: st.one_of(
        st.builds(lambda kind, items: {"type": kind, "items": items}, nullable("array"), below),
        st.builds(lambda kind, named: {"type": kind, "properties": named}, nullable("object"), properties(below)),
    ),
    max_leaves=4,
)


@given(properties(COLUMNS), properties(COLUMNS))
def test_what_the_lake_would_refuse_is_a_major_change(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert list(compare_schemas(schema(**before), schema(**before))) == []
    levels = {change.level for change in compare_schemas(schema(**before), schema(**after))}
    old, new = (results_table("name-mood", 1, schema(**columns)).schema for columns in (before, after))
    try:
        check_file_schema(old, new, "a file from before")
    except SchemaMismatch:
        assert "major" in levels


@given(properties(COLUMNS), st.data())
def test_a_single_new_word_is_found(before: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(before)))
    after = before | {name: before[name] | {"description": "another"}}
    assert [(c.path, c.level) for c in compare_schemas(schema(**before), schema(**after))] == [(name, "minor")]


def test_a_major_change_needs_a_higher_major_and_no_major_goes_down() -> None:
    before = state(mood=MOOD)
    assert "Set it to 2" in str(compare(before, state(lines=LINES), False).problem)
    assert compare(before, state(major=2, lines=LINES), False).problem is None
    assert "went down" in str(compare(state(major=2, mood=MOOD), before, False).problem)
    assert compare(before, before, True).problem is None
    assert "cosmetic" in str(compare(before, state(mood={**MOOD, "enum": ["glad", "sad", "calm"]}), True).problem)


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=Ana", "-c", "user.email=ana@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(include: Path) -> Path:
    """The sound skill, committed."""
    git(include, "init", "--quiet")
    git(include, "add", ".")
    git(include, "commit", "--quiet", "-m", "first")
    return include / "skills" / "name-mood"


def test_an_untouched_folder_is_the_same_at_a_revision(checkout: Path) -> None:
    compared = compare_with(checkout, "HEAD")
    assert compared.before == compared.after and (compared.files, compared.schema, compared.level) == ((), (), "patch")
    assert compared.after.fingerprint == load_skill(checkout).fingerprint()


def test_files_that_came_went_and_changed_are_named_caches_are_not(checkout: Path) -> None:
    (checkout / "evals" / "cases.yaml").unlink()
    (checkout / "assets" / "note.txt").write_text("x")
    (checkout / "SKILL.md").write_text((checkout / "SKILL.md").read_text() + "Be brief.\n")
    (checkout / "__pycache__").mkdir()
    (checkout / "__pycache__" / "handler.pyc").write_text("x")
    compared = compare_with(checkout, "HEAD")
    assert compared.files == (
        FileChange("SKILL.md", "edited", True),
        FileChange("assets/note.txt", "added", True),
        FileChange("evals/cases.yaml", "removed", False),
    )
    assert compared.before.fingerprint != compared.after.fingerprint and not compared.is_cosmetic


def test_a_label_that_goes_is_a_major_change(checkout: Path) -> None:
    labels = checkout / "assets" / "labels.yaml"
    labels.write_text(labels.read_text().replace("sad:", "gloomy:"))
    assert [(c.path, c.level) for c in compare_with(checkout, "HEAD").schema] == [("mood", "major"), ("mood", "minor")]


def test_what_cannot_be_compared_says_why(checkout: Path, include: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    for revision in ("nothing", "--help", "HEAD:skills"):
        with pytest.raises(ConfigError, match="git knows no revision"):
            compare_with(checkout, revision)
    git(include, "mv", "skills/name-mood", "skills/name-tone")
    tone = include / "skills" / "name-tone"
    (tone / "SKILL.md").write_text((tone / "SKILL.md").read_text().replace("name-mood", "name-tone"))
    with pytest.raises(ConfigError, match="there was no name-tone at HEAD"):
        compare_with(tone, "HEAD")
    git(include, "commit", "--quiet", "-am", "without its name")
    (tone / "skill.yaml").write_text("kind: [")
    git(include, "commit", "--quiet", "-am", "broken")
    with pytest.raises(ConfigError, match="name-tone cannot be read as it was at HEAD"):
        compare_with(tone, "HEAD")
    with pytest.raises(ConfigError, match="in a git checkout"):
        compare_with(tmp_path_factory.mktemp("elsewhere"), "HEAD")
