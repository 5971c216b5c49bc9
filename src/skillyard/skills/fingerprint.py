"""What makes an answer: the sha256 by which a skill's results are known to be current or stale."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skillyard.skills.skill import Skill

NOT_COUNTED = ("evals", "expectations.yaml", "__pycache__")
"""What in a skill's folder never changes an answer."""


def fingerprint(skill: Skill, parameters: Mapping[str, Any]) -> str:
    """Return the hash of every file's name and bytes, the effective labels and the effective parameters."""
    whole = hashlib.sha256()
    for file in _files(skill.folder):
        name, content = file.relative_to(skill.folder).as_posix(), file.read_bytes()
        whole.update(f"{name}\0{len(content)}\0".encode())
        whole.update(content)
    labels = {name: asdict(label) for name, label in (skill.labels or {}).items()}
    whole.update(json.dumps([list(labels.items()), parameters], ensure_ascii=True, sort_keys=True).encode())
    return whole.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files that count, in one order on every machine."""
    for file in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix()):
        parts = file.relative_to(folder).parts
        if file.is_file() and parts[0] not in NOT_COUNTED and not any(p.startswith(".") or p == "__pycache__" for p in parts):
            yield file
