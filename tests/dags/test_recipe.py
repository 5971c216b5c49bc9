"""The README's recipe for a new skill, followed to the letter: its commands in their order, with the marks filled in between."""

import re
import shutil
from pathlib import Path

import pytest

from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.settings import Settings
from tests.commands import call
from tests.dags.bag import ROOT, load_dags
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

RECIPE = (ROOT / "README.md").read_text().partition("## Add a skill in five minutes")[2].partition("\n\nWhat there is already")[0]
MARK = "TODO(author)"


def commands() -> list[list[str]]:
    """Return the recipe's commands, in order; a word behind one that only adds an option to it is part of it."""
    found = [words.split()[1:] for words in re.findall(r"`(skillyard [^`]+)`", RECIPE)]
    return [[*words, "--write"] if words[:2] == ["skills", "prompt"] else words for words in found]


def fill(folder: Path) -> None:
    """Say what is to be said, wherever there is a mark."""
    for file in folder.rglob("*"):
        if file.is_file():
            said = re.sub(rf"\s*# {re.escape(MARK)}.*", "", file.read_text())
            file.write_text(said.replace(f"{MARK} ", ""))


def test_a_skill_made_by_the_recipe_is_sound_runs_and_has_a_dag(
    settings: Settings, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    include = Path(shutil.copytree(settings.include, tmp_path / "include"))
    for name, value in {"INCLUDE": include, "LAKE": settings.lake, "INBOX": settings.inbox, "STATE": settings.state}.items():
        monkeypatch.setenv(f"SKILLYARD_{name}", str(value))
    monkeypatch.setenv("SKILLYARD_HOME", str(ROOT))
    monkeypatch.setenv("SKILLYARD_PROFILE", str(settings.profile))
    publish_texts(settings, mails(7))
    new, check, prompt, run = commands()

    def cli(words: list[str]) -> tuple[int, str]:
        code, out, err = call(capsys, monkeypatch, *words)
        return code, out + err

    assert cli(new)[0] == 0
    assert MARK in (include / "skills" / "classify-tone" / "SKILL.md").read_text()
    code, said = cli(check)
    assert code == 1 and re.search(r"classify-tone/SKILL\.md:3: still to do: what it answers", said)
    fill(include / "skills" / "classify-tone")
    assert cli(prompt)[0] == 0
    code, said = cli(check)
    assert (code, "clean" in said) == (0, True), said
    assert cli(run)[0] == 0
    assert read(Lake(settings.lake), "results/classify-tone").num_rows == 5
    dags = load_dags(tmp_path / "airflow", include, only="skill.classify-tone")["dags"]
    assert "skill.classify-tone" in dags
