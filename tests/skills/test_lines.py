from pathlib import Path

import pytest

from skillyard.skills.lines import line_of

YAML = """kind: llm
output:
  schema:
    properties:
      mood: {type: string}
checks:
  - {name: a}
  - name: b
    field: mood
expect:
  lines.amount: {equals: 1}
"""


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("kind", 1),
        ("output.schema.properties.mood.type", 5),
        ("output.schema.properties.missing", 4),
        ("checks", 6),
        ("checks.1", 8),
        ("checks.1.field", 9),
        ("checks.0.missing", 7),
        ("checks.7", 6),
        ("expect.lines.amount.equals", 11),
        ("nothing", 1),
        ("", None),
    ],
)
def test_a_field_stands_on_its_line_and_a_missing_one_on_that_above_it(tmp_path: Path, field: str, line: int | None) -> None:
    (tmp_path / "skill.yaml").write_text(YAML)
    assert line_of(tmp_path / "skill.yaml", field) == line


def test_lines_of_a_frontmatter_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").write_text("---\nname: x\nmetadata:\n  bucket: y\n---\nbody: 1\n")
    assert line_of(tmp_path / "SKILL.md", "metadata.bucket") == 4
    (tmp_path / "SKILL.md").write_text("---\nname: x\nname: y\n---\n")
    assert line_of(tmp_path / "SKILL.md", "") == 3


@pytest.mark.parametrize(("source", "line"), [("a: 1\nb: [\n", 3), ("a: 1\nb: 2\na: 3\n", 3), ("a: !x 1\n", 1), ("", None)])
def test_what_is_no_yaml_has_the_line_where_it_ends_to_be(tmp_path: Path, source: str, line: int | None) -> None:
    (tmp_path / "skill.yaml").write_text(source)
    assert line_of(tmp_path / "skill.yaml", "") == line


def test_a_file_that_cannot_be_read_or_is_no_yaml_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "skill.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "handler.py").write_text("a: 1")
    assert [line_of(tmp_path / name, "a") for name in ("skill.yaml", "handler.py", "none.yaml")] == [None, None, None]
