"""A new skill's folder: sound from the first minute, with a mark wherever its author has something to say."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from skillyard.errors import ConfigError
from skillyard.skills.fingerprint import is_kept
from skillyard.skills.kinds import Bucket, Kind
from skillyard.skills.load import load_skill
from skillyard.skills.prompt_file import write_prompt
from skillyard.skills.templates import MARK, files_of

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
MAX_NAME = 64
"""Source: https://agentskills.io/specification"""


def make_skill(skills: Path, name: str, kind: Kind, bucket: Bucket, owner: str) -> list[Path]:
    """Write the folder of a new skill below ``skills`` and return its files; ConfigError when the name will not do or is taken.

    It appears whole or not at all: what watches the folder never meets half a skill.
    """
    folder = skills / name
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise ConfigError(
            f"{name!r} is no name of a skill. Allowed: a verb and what it works on, in small letters and digits with hyphens between, "
            f"at most {MAX_NAME} characters, such as classify-tone."
        )
    if not skills.is_dir():
        raise ConfigError(f"there is no folder {skills}. Go to the project, or set SKILLYARD_HOME to it.")
    if folder.exists():
        raise ConfigError(f"{folder} exists already, and nothing is overwritten. Choose another name, or edit what is there.")
    around = Path(mkdtemp(prefix=".new-", dir=skills))
    try:
        _write(around / name, files_of(name, kind, bucket, owner))
        (around / name).rename(folder)
    finally:
        rmtree(around)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files, then the prompt that they make."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    skill = load_skill(folder)
    if skill.kind != "library":
        write_prompt(skill)


def open_marks(folder: Path) -> Iterator[tuple[Path, int, str]]:
    """Yield file, line and what is asked for, wherever a mark still stands in a skill's folder."""
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder)
        if file.is_file() and is_kept(path) and path.as_posix() != "evals/prompt.md":
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            yield from ((file, n, _after(line)) for n, line in enumerate(lines, start=1) if MARK in line)


def _after(line: str) -> str:
    """Return what follows the first mark, as a sentence on a line of its own."""
    return line.partition(MARK)[2].replace(MARK, "…").strip(" \"'#") or "say it here, and take the mark away"
