from pathlib import Path

import pytest

from skillyard.skills import Catalogue


def fingerprint(include: Path, **parameters: str) -> str:
    return Catalogue(include).load("name-mood").fingerprint(parameters)


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("SKILL.md", "Name the mood.", "Name that mood."),
        ("assets/labels.yaml", "content}", "happy}"),
        ("skill.yaml", "output_tokens: 40", "output_tokens: 41"),
    ],
)
def test_one_word_of_a_file_changes_it(include: Path, file: str, before: str, after: str) -> None:
    old = fingerprint(include)
    path = include / "skills" / "name-mood" / file
    path.write_text(path.read_text().replace(before, after, 1))
    assert fingerprint(include) != old


def test_a_new_file_or_another_name_changes_it(include: Path) -> None:
    old = fingerprint(include)
    note = include / "skills" / "name-mood" / "assets" / "note.txt"
    note.write_text("x")
    first = fingerprint(include)
    note.rename(note.with_name("other.txt"))
    assert len({old, first, fingerprint(include)}) == 3


def test_a_parameter_changes_it_and_its_default_does_not(include: Path) -> None:
    assert fingerprint(include, tone="warm") != fingerprint(include)
    assert fingerprint(include, tone="dry") == fingerprint(include)


def test_cases_caches_and_hidden_files_do_not_change_it(include: Path) -> None:
    old = fingerprint(include)
    folder = include / "skills" / "name-mood"
    (folder / "evals" / "cases.yaml").write_text("anything")
    (folder / "evals" / "more.yaml").write_text("anything")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "handler.pyc").write_text("x")
    (folder / ".swp").write_text("x")
    assert fingerprint(include) == old
