"""A skill's folder as it was at a revision of git, beside the folder as it is."""

import subprocess
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from skillyard.errors import ConfigError
from skillyard.skills.changes import Comparison, State, compare
from skillyard.skills.errors import SkillError
from skillyard.skills.fingerprint import is_kept
from skillyard.skills.load import load_skill


def compare_with(folder: Path, revision: str) -> Comparison:
    """Return what lies between a skill at a revision and its folder now; ConfigError when there is nothing to compare with."""
    commit = _commit(folder, revision)
    with TemporaryDirectory(prefix="skillyard-") as name:
        earlier = Path(name) / folder.name
        _restore(folder, commit, revision, earlier)
        try:
            before = _state(earlier)
        except SkillError as error:
            raise ConfigError(f"{folder.name} cannot be read as it was at {revision}: {error.field}: {error.message}.") from error
    return compare(before, _state(folder), load_skill(folder).cosmetic)


def _commit(folder: Path, revision: str) -> str:
    """Return the commit that a revision names."""
    if _git(folder, "rev-parse", "--is-inside-work-tree").strip() != b"true":
        raise ConfigError(f"{folder} is in no working tree of git, so there is no earlier state to compare with.")
    try:
        return _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
    except ConfigError:
        raise ConfigError(
            f"git knows no revision {revision!r} here. Allowed: a commit, branch or tag, such as HEAD, main or v1.0."
        ) from None


def _restore(folder: Path, commit: str, revision: str, target: Path) -> None:
    """Write the files of a commit's folder to ``target``."""
    listed = _git(folder, "ls-tree", "-r", "-z", "--name-only", commit, "--", ".").decode().split("\0")
    paths = [path for path in listed if path]
    if not paths:
        raise ConfigError(f"there was no {folder.name} at {revision}: a new skill has nothing to be compared with.")
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(_git(folder, "show", f"{commit}:./{path}"))


def _state(folder: Path) -> State:
    """Return a skill's folder as a value."""
    skill = load_skill(folder)
    paths = {PurePosixPath(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    files = {path.as_posix(): file.read_bytes() for path, file in paths.items() if is_kept(path)}
    return State(skill.fingerprint(), skill.version, skill.output_major, skill.output_schema, files)


def _git(folder: Path, *words: str) -> bytes:
    """Return what git prints about a folder; ConfigError with its own words when it cannot."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=False)
    except FileNotFoundError:
        raise ConfigError("git is not installed: comparing with an earlier state needs it.") from None
    if done.returncode:
        raise ConfigError(
            f"git refused ({done.stderr.decode(errors='replace').strip() or 'no reason given'}). Is {folder} in a git checkout?"
        )
    return done.stdout
