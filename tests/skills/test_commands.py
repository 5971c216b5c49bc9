"""The commands about skills, as a person and a program meet them."""

import json
from pathlib import Path

import pytest

from tests.commands import call
from tests.skills.conftest import copy_skill
from tests.skills.test_changes import git

TEAMS = "teams:\n  records: {title: Records, contact: r@example.com}\n  finance: {title: Finance, contact: f@example.com}\n"


@pytest.fixture
def home(include: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one skill and two teams."""
    (include / "teams.yaml").write_text(TEAMS)
    monkeypatch.setenv("SKILLYARD_HOME", str(tmp_path))
    monkeypatch.setenv("SKILLYARD_INCLUDE", str(include))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_skill_is_written_listed_and_checked(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("skills", "new", "find-reference", "--kind", "mixed", "--bucket", "workflows")
    code, out, err = call(capsys, monkeypatch, *words, "--owner", "finance", "--json")
    assert code == 0 and "skillyard skills check find-reference" in err
    made = json.loads(out)
    assert made["owner"] == "finance" and all(Path(file).is_file() for file in made["files"])
    code, out, err = call(capsys, monkeypatch, "skills", "check", "find-reference")
    lines = out.splitlines()
    assert (code, err) == (1, f"{len(lines)} problems.\n") and lines[0].startswith("skills/find-reference/SKILL.md:3: still to do: ")
    assert call(capsys, monkeypatch, *words)[0] == 2
    rows = json.loads(call(capsys, monkeypatch, "skills", "list", "--json", "--kind", "mixed", "--bucket", "workflows")[1])
    assert [(row["skill"], row["owner"], row["tiers"]) for row in rows] == [("find-reference", "finance", "fast-expert")]
    assert call(capsys, monkeypatch, "skills", "list", "--kind", "mixed", "--owner", "records")[1] == "no rows\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("new", "find-reference", "--kind", "mixed", "--bucket", "workflows", "--owner", "record"), "Did you mean 'records'"),
        (("new", "find-reference", "--kind", "mixed", "--bucket", "misc"), "'structured-tools'"),
        (("list", "--owner", "record"), "Did you mean 'records'"),
        (("prompt", "name-mood", "--case", "two"), "Allowed: one"),
        (("prompt", "name-mood", "--case", "one", "--write"), "leave --case out"),
        (("prompt",), "name a skill"),
        (("diff", "name-mood", "HEAD"), "in a git checkout"),
        (("diff", "name-mode", "HEAD"), "Did you mean 'name-mood'"),
    ],
)
def test_what_is_not_allowed_says_what_is(
    home: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = call(capsys, monkeypatch, "skills", *words)
    assert (code, out) == (2, "") and said in err and not (home / "skills" / "find-reference").exists()


def test_problems_are_json_with_their_line(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    spec = home / "skills" / "name-mood" / "skill.yaml"
    spec.write_text(spec.read_text().replace("kind: llm", "kind: model"))
    code, out, _ = call(capsys, monkeypatch, "skills", "check", "--json")
    [problem] = json.loads(out)
    assert code == 1 and (problem["file"], problem["line"], problem["field"]) == (str(spec), 1, "kind")
    assert problem["message"] == "found 'model'. Allowed: llm, library, mixed"


def test_a_broken_skill_hides_no_other(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (copy_skill(home, "name-tone") / "skill.yaml").write_text("kind: [")
    for words in (("list",), ("graph",)):
        code, out, err = call(capsys, monkeypatch, "skills", *words)
        assert code == 0 and "name-mood" in out and "left out: " in err and "name-tone" in err


def test_the_graph_is_a_tree_a_flowchart_or_json(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    tone = copy_skill(home, "name-tone") / "skill.yaml"
    tone.write_text(tone.read_text() + "takes:\n  said: {skill: name-mood, column: mood, description: The mood.}\n")
    assert call(capsys, monkeypatch, "skills", "graph")[1] == "documents\n  name-mood\n    name-tone  takes mood\n"
    assert call(capsys, monkeypatch, "skills", "graph", "--format", "mermaid")[1].startswith("flowchart LR\n")
    edges = json.loads(call(capsys, monkeypatch, "skills", "graph", "--format", "json")[1])
    assert edges[1] == {"source": "name-mood", "skill": "name-tone", "why": "takes mood"}


def test_the_prompt_is_printed_and_kept(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    kept = home / "skills" / "name-mood" / "evals" / "prompt.md"
    shown = call(capsys, monkeypatch, "skills", "prompt", "name-mood")[1]
    code, out, err = call(capsys, monkeypatch, "skills", "prompt", "name-mood", "--write")
    assert (code, out, err) == (0, "", f"written to {kept}\n") and kept.read_text() == shown
    kept.unlink()
    err = call(capsys, monkeypatch, "skills", "prompt", "--write")[2]
    assert err == f"written to {kept}\n1 of 1 prompts have changed.\n" and kept.read_text() == shown
    assert call(capsys, monkeypatch, "skills", "prompt", "--write")[2] == "0 of 1 prompts have changed.\n"
    messages = json.loads(call(capsys, monkeypatch, "skills", "prompt", "name-mood", "--case", "one", "--json")[1])
    assert [m["role"] for m in messages] == ["system", "user"] and messages[0]["content"] == "Name the mood."


def test_a_major_change_under_the_same_major_ends_with_1(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    git(home, "init", "--quiet")
    git(home, "add", ".")
    git(home, "commit", "--quiet", "-m", "first")
    folder = home / "skills" / "name-mood"
    assert call(capsys, monkeypatch, "skills", "diff", "name-mood", "HEAD")[0] == 0
    labels, spec = folder / "assets" / "labels.yaml", folder / "skill.yaml"
    labels.write_text(labels.read_text().replace("sad:", "gloomy:"))
    code, out, err = call(capsys, monkeypatch, "skills", "diff", "name-mood", "HEAD")
    assert code == 1 and "mood: no longer among the values: sad (major)" in out and "Set it to 2" in err
    spec.write_text(spec.read_text().replace("major: 1", "major: 2"))
    code, out, _ = call(capsys, monkeypatch, "skills", "diff", "name-mood", "HEAD", "--json")
    compared = json.loads(out)
    assert code == 0 and (compared["level"], compared["problem"], compared["major"]) == ("major", None, {"before": 1, "after": 2})
    assert [file["path"] for file in compared["files"]] == ["assets/labels.yaml", "skill.yaml"]
