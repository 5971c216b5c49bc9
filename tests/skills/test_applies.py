from pathlib import Path
from typing import Any

import pytest

from skillyard.skills import Catalogue, Skill, applies

RULE = '{kinds: [eml, txt], globs: ["mail/*", "*invoice*"], languages: [en], min_chars: 20, max_chars: 100}'
FITS = {"kind": "txt", "uri": "file:///in/mail/2024/a.txt", "language": "en", "n_chars": 50}


@pytest.fixture
def skill(include: Path) -> Skill:
    path = include / "skills" / "name-mood" / "skill.yaml"
    path.write_text(path.read_text().replace("{min_chars: 20}", RULE))
    return Catalogue(include).load("name-mood")


@pytest.mark.parametrize(
    "change",
    [{}, {"uri": "s3://b/Q3/Invoice-1.eml", "kind": "eml"}, {"uri": "file:///in/%C3%BC/mail/b.txt"}, {"n_chars": 20}, {"n_chars": 100}],
)
def test_item_within_the_rule_applies(skill: Skill, change: dict[str, Any]) -> None:
    assert applies(skill, **{**FITS, **change})


@pytest.mark.parametrize(
    "change",
    [{"kind": "pdf"}, {"uri": "file:///in/other/a.txt"}, {"language": "de"}, {"language": None}, {"n_chars": 19}, {"n_chars": 101}],
)
def test_item_outside_the_rule_does_not(skill: Skill, change: dict[str, Any]) -> None:
    assert not applies(skill, **{**FITS, **change})


def test_empty_rule_takes_everything_long_enough(mood: Skill) -> None:
    assert applies(mood, "pdf", "s3://bucket/x", None, 20)
    assert not applies(mood, "pdf", "s3://bucket/x", None, 19)
