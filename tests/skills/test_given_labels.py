"""A user's own labels in place of a skill's: what they fill, what they change, and how bad ones are refused."""

from pathlib import Path

import pytest

from skillyard.errors import UnknownName
from skillyard.skills import Catalogue, Label, Skill, SkillError, Source, run_checks
from skillyard.skills.labels import as_values, check_given_files, of_values, parse_labels, read_labels

GIVEN = """labels:
  calm: {description: at rest, includes: [serene]}
  tense: {description: not at rest}
"""


def give(include: Path, text: str = GIVEN, name: str = "name-mood.yaml") -> Path:
    """Put labels where the catalogue looks for them."""
    (include / "labels").mkdir(exist_ok=True)
    (include / "labels" / name).write_text(text)
    return include / "labels" / name


def test_a_file_beside_the_skills_replaces_the_labels_everywhere(include: Path, mood: Skill) -> None:
    give(include)
    given = Catalogue(include).load("name-mood")
    assert list(given.labels or ()) == ["calm", "tense"] and list(mood.labels or ()) == ["glad", "sad"]
    assert given.request_schema["properties"]["mood"]["enum"] == ["calm", "tense"]
    asked = given.messages(Source("I am glad."))[1]["content"]
    assert "- calm: at rest Includes: serene." in asked and "glad: content" not in asked
    assert run_checks(given, {"mood": "calm"}, Source("x")) == []
    assert "Allowed: calm, tense" in run_checks(given, {"mood": "glad"}, Source("x"))[0].message


def test_they_are_part_of_the_fingerprint_and_those_they_stand_in_for_are_not(include: Path, mood: Skill) -> None:
    given = mood.with_labels(parse_labels(GIVEN))
    assert given.fingerprint() != mood.fingerprint() == given.with_labels(None).fingerprint()
    before = given.fingerprint()
    own = mood.folder / "assets" / "labels.yaml"
    own.write_text(own.read_text().replace("content}", "happy}"))
    assert given.fingerprint() == before
    other = parse_labels(GIVEN.replace("at rest, includes", "quiet, includes"))
    assert mood.with_labels(other).fingerprint() != before


def test_the_same_labels_again_change_nothing(mood: Skill) -> None:
    same = mood.with_labels(read_labels(mood.folder / "assets" / "labels.yaml"))
    assert same.given_labels is None and same.fingerprint() == mood.fingerprint()
    turned = mood.with_labels(dict(reversed(list((mood.labels or {}).items()))))
    assert turned.fingerprint() != mood.fingerprint(), "their order is that of the prompt"


def test_they_go_through_plain_values_unchanged() -> None:
    labels = parse_labels(GIVEN)
    assert labels["calm"] == Label("calm", "at rest", ("serene",), ())
    assert of_values(as_values(labels)) == labels and list(as_values(labels)) == ["calm", "tense"]
    assert parse_labels('{"labels": {"a": {"description": "x"}, "b": {"description": "y"}}}').keys() == {"a", "b"}, "JSON is YAML"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("labels: {calm: {description: at rest}}", "labels"),
        ("labels: {calm: {description: at rest}, Tense: {description: x}}", "labels.Tense"),
        ("labels: {calm: {description: at rest}, tense: {}}", "labels.tense.description"),
        ("labels: {calm: {description: at rest, colour: blue}, tense: {description: x}}", "labels.calm.colour"),
        ("words: {}", "labels"),
        ("labels: [", ""),
        ("labels: {calm: {description: a}, calm: {description: b}}", ""),
    ],
)
def test_bad_labels_are_refused_with_file_and_field(include: Path, text: str, field: str) -> None:
    file = give(include, text)
    with pytest.raises(SkillError) as refused:
        Catalogue(include).load("name-mood")
    assert (refused.value.file, refused.value.field) == (str(file), field)
    with pytest.raises(SkillError) as refused:
        parse_labels(text)
    assert (refused.value.file, refused.value.field) == ("labels of the run", field)


def test_a_skill_without_labels_takes_none(include: Path, mood: Skill) -> None:
    (mood.folder / "assets" / "labels.yaml").unlink()
    file = give(include)
    with pytest.raises(SkillError, match="name-mood has no labels that others could take the place of") as refused:
        Catalogue(include).load("name-mood")
    assert refused.value.file == str(file)


def test_labels_that_no_skill_would_use_are_refused(include: Path) -> None:
    check_given_files(include, ["name-mood"])
    give(include)
    check_given_files(include, ["name-mood"])
    for name in ("name-moods.yaml", "name-mood.yml"):
        file = give(include, name=name)
        with pytest.raises(UnknownName, match=name):
            check_given_files(include, ["name-mood"])
        file.unlink()
