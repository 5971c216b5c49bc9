"""The catalogue: every skill folder by name, each read when it is asked for."""

from pathlib import Path

from skillyard.errors import UnknownName
from skillyard.skills.labels import given_file, read_labels
from skillyard.skills.load import load_skill
from skillyard.skills.skill import Skill


class Catalogue:
    """The skills under ``<include>/skills``. Cheap to make: nothing is read until ``load``."""

    def __init__(self, include: Path) -> None:
        self.folder = include / "skills"
        self._include = include
        self._loaded: dict[str, Skill] = {}

    def names(self) -> list[str]:
        """Return the names of all skill folders, sorted, without reading any of them."""
        if not self.folder.is_dir():
            return []
        return sorted(p.name for p in self.folder.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))

    def load(self, name: str) -> Skill:
        """Return one skill, the same object each time, with the labels of ``<include>/labels/<name>.yaml`` where there are such.

        UnknownName, or SkillError with file and field.
        """
        if name not in self._loaded:
            skill, file = self.load_own(name), given_file(self._include, name)
            self._loaded[name] = skill.with_labels(read_labels(file), str(file)) if file else skill
        return self._loaded[name]

    def load_own(self, name: str) -> Skill:
        """Return one skill as its folder has it."""
        names = self.names()
        if name not in names:
            raise UnknownName("skill", name, names)
        return load_skill(self.folder / name)
