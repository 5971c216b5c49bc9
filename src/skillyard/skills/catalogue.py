"""The catalogue: every skill folder by name, each read when it is asked for."""

from pathlib import Path

from skillyard.errors import UnknownName
from skillyard.skills.load import load_skill
from skillyard.skills.skill import Skill


class Catalogue:
    """The skills under ``<include>/skills``. Cheap to make: nothing is read until ``load``."""

    def __init__(self, include: Path) -> None:
        self.folder = include / "skills"
        self._loaded: dict[str, Skill] = {}

    def names(self) -> list[str]:
        """Return the names of all skill folders, sorted, without reading any of them."""
        if not self.folder.is_dir():
            return []
        return sorted(p.name for p in self.folder.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))

    def load(self, name: str) -> Skill:
        """Return one skill, the same object each time; UnknownName, or SkillError with file and field."""
        if name not in self._loaded:
            names = self.names()
            if name not in names:
                raise UnknownName("skill", name, names)
            self._loaded[name] = load_skill(self.folder / name)
        return self._loaded[name]
