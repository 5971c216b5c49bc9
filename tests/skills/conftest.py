"""The project's own catalogue, and a small skill that a test may break."""

import shutil
from pathlib import Path

import pytest

from skillyard.skills import Catalogue, Skill
from skillyard.skills.load import load_skill
from skillyard.skills.prompt_file import write_prompt

INCLUDE = Path(__file__).parents[2] / "include"

SKILL_MD = """---
name: name-mood
description: Names the mood of a text. Use when moods have to be counted.
metadata:
  version: "1.0.0"
  bucket: qa-classification
---
Name the mood.
"""

SKILL_YAML = """kind: llm
input_unit: document
owner: records
tier: {default: fast, max: standard}
applies_to: {min_chars: 20}
limits: {input_tokens: 1000, output_tokens: 40, timeout_s: 30}
output:
  major: 1
  schema:
    type: object
    additionalProperties: false
    required: [mood]
    properties:
      mood: {type: string, enum_from: labels}
checks:
  - {name: label_in_list, field: mood}
quality: {min_pass_rate: 0.8}
parameters:
  tone: {title: Tone, description: How to speak., default: dry, allowed: [dry, warm]}
"""

LABELS = """labels:
  glad: {description: content}
  sad: {description: not content, excludes: [tired]}
"""

CASES = """cases:
  - id: one
    text: I am glad.
    expect: {mood: {equals: glad}}
"""


ANSWERS = """answers:
  one:
    right: {mood: glad}
    wrong: {mood: sad}
"""


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue(INCLUDE)


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """An include folder with one sound skill, ``name-mood``."""
    folder = tmp_path / "skills" / "name-mood"
    (folder / "assets").mkdir(parents=True)
    (folder / "evals").mkdir()
    (folder / "SKILL.md").write_text(SKILL_MD)
    (folder / "skill.yaml").write_text(SKILL_YAML)
    (folder / "assets" / "labels.yaml").write_text(LABELS)
    (folder / "evals" / "cases.yaml").write_text(CASES)
    (folder / "evals" / "answers.yaml").write_text(ANSWERS)
    write_prompt(load_skill(folder))
    return tmp_path


@pytest.fixture
def mood(include: Path) -> Skill:
    return Catalogue(include).load("name-mood")


def copy_skill(include: Path, name: str) -> Path:
    """Put a second sound skill beside ``name-mood``, the same but for its name, and return its folder."""
    folder = include / "skills" / name
    shutil.copytree(include / "skills" / "name-mood", folder)
    (folder / "SKILL.md").write_text(SKILL_MD.replace("name: name-mood", f"name: {name}"))
    return folder
