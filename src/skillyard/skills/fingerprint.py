"""What makes an answer: the sha256 by which a skill's results are known to be current or stale."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

from skillyard.skills.labels import OWN
from skillyard.skills.skill import Skill

NOT_COUNTED = ("evals", "expectations.yaml")
"""What in a skill's folder never changes an answer."""


def fingerprint(skill: Skill, parameters: Mapping[str, Any]) -> str:
    """Return the hash of every file's name and bytes, the effective labels and the effective parameters.

    Where a user's labels stand in for the skill's own, the file of those does not count.
    """
    whole = hashlib.sha256()
    for file in _files(skill.folder):
        name, content = file.relative_to(skill.folder).as_posix(), file.read_bytes()
        if name == OWN and skill.given_labels is not None:
            continue
        whole.update(f"{name}\0{len(content)}\0".encode())
        whole.update(content)
    labels = {name: asdict(label) for name, label in (skill.labels or {}).items()}
    whole.update(json.dumps([list(labels.items()), parameters], ensure_ascii=True, sort_keys=True).encode())
    return whole.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files that count, in one order on every machine."""
    for file in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix()):
        path = file.relative_to(folder)
        if file.is_file() and is_kept(path) and is_counted(path):
            yield file


def is_kept(path: PurePath) -> bool:
    """Return whether a path in a skill's folder is part of it, and no cache or hidden file of this machine's."""
    return not any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def is_counted(path: PurePath) -> bool:
    """Return whether a file of a skill can change an answer."""
    return path.parts[0] not in NOT_COUNTED
