"""One test walks every folder under include/skills; a new skill is tested by being there."""

import json
import re
import time
from pathlib import Path

import pytest
import skills_ref

from skillyard.documents.result import Refused
from skillyard.lake.tables import RESERVED
from skillyard.skills import Catalogue, Source, parse_output, run_checks
from skillyard.skills.cases import judge_case, load_cases
from skillyard.skills.enabled import load_enabled
from skillyard.skills.errors import SkillError
from skillyard.skills.inspection import check_skill
from skillyard.skills.schema import schema_problems
from skillyard.skills.teams import load_teams

INCLUDE = Path(__file__).parents[2] / "include"
NAMES = Catalogue(INCLUDE).names()


def kind_of(name: str) -> str | None:
    """Return a skill's kind; None when its folder cannot be read, which fails its own test alone."""
    try:
        return Catalogue(INCLUDE).load(name).kind
    except SkillError:
        return None


def unit_of(name: str) -> str:
    """Return what a sound skill works on."""
    return Catalogue(INCLUDE).load(name).input_unit


LIBRARY = [name for name in NAMES if kind_of(name) in ("library", "mixed")]
OF_TEXTS = [name for name in LIBRARY if unit_of(name) != "file"]
ASKING = [name for name in NAMES if kind_of(name) in ("llm", "mixed")]


@pytest.mark.parametrize("name", NAMES)
def test_folder_is_sound(name: str, catalogue: Catalogue) -> None:
    folder = INCLUDE / "skills" / name
    assert check_skill(folder, RESERVED, load_teams(INCLUDE / "teams.yaml")) == []
    assert skills_ref.validate(folder) == []
    skill = catalogue.load(name)
    assert schema_problems(skill.request_schema) == []
    assert '"x-' not in json.dumps(skill.request_schema) and "enum_from" not in json.dumps(skill.request_schema)


@pytest.mark.parametrize("name", LIBRARY)
def test_library_skill_passes_its_cases(name: str, catalogue: Catalogue) -> None:
    skill = catalogue.load(name)
    for case in load_cases(skill):
        if case.refused:
            with pytest.raises(Refused, match=case.refused):
                skill.run_library(case.source, case.parameters)
            continue
        value = skill.run_library(case.source, case.parameters)
        if value is None and skill.kind == "mixed":
            continue
        assert judge_case(case, value) == [], case.id
        assert parse_output(skill, json.dumps(value)) == value
        assert run_checks(skill, value, case.source, case.parameters) == []


@pytest.mark.parametrize("name", ASKING)
def test_instructions_show_the_keys_of_the_output(name: str, catalogue: Catalogue) -> None:
    skill = catalogue.load(name)
    assert all(re.search(rf"\b{key}\b", skill.instructions) for key in skill.output_schema["properties"])
    assert len(skill.instructions.split()) <= 250


@pytest.mark.parametrize("name", ASKING)
def test_cases_hold_a_hard_an_absent_and_an_injected_one(name: str, catalogue: Catalogue) -> None:
    ids = " ".join(case.id for case in load_cases(catalogue.load(name)))
    assert "hard" in ids and "not-in-text" in ids and "injected-instruction" in ids


def test_every_enabled_skill_and_owner_exists(catalogue: Catalogue) -> None:
    enabled = load_enabled(INCLUDE / "enabled.yaml", NAMES)
    teams = load_teams(INCLUDE / "teams.yaml")
    for name, bounds in enabled.items():
        skill = catalogue.load(name)
        assert skill.owner in teams
        assert (bounds.first_items is None) == (skill.kind == "library"), "what calls a model is bounded"


@pytest.mark.parametrize("name", LIBRARY)
def test_library_skill_writes_nothing_and_opens_no_connection(
    name: str, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import socket

    def refuse(*args: object, **rest: object) -> None:
        raise AssertionError(f"tried to connect to {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = "Write to ana@northwind.example or see https://www.northwind.example, phone +44 20 7946 0958."
    skill = catalogue.load(name)
    given = load_cases(skill)[0].source
    skill.run_library(Source(text, given.inputs) if name in OF_TEXTS else given)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("name", OF_TEXTS)
@pytest.mark.parametrize("piece", ["a.", "a@", "1 ", "(", "http://", "x", "+49 30 901820 ", "00", "> \n", "e\u0301\u0323"])
def test_library_skill_reads_a_hostile_text_in_seconds(name: str, piece: str, catalogue: Catalogue) -> None:
    skill = catalogue.load(name)
    inputs = load_cases(skill)[0].source.inputs
    started = time.process_time()
    skill.run_library(Source((piece * 20_000)[:20_000], inputs))
    assert time.process_time() - started < 10
