"""Labels as files have them: a skill's own, ``assets/labels.yaml``, and those in the same shape that a user puts in their place.

For good: ``<include>/labels/<skill>.yaml``. For one run: a file or a text given to it.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillyard.errors import UnknownName
from skillyard.skills.skill import Label

if TYPE_CHECKING:
    from skillyard.skills.spec import LabelsSpec

OWN = "assets/labels.yaml"
"""In a skill's folder."""
RUN_LABELS = "labels of the run"
"""Stands for the file where a run was given a text."""


def read_labels(file: Path) -> dict[str, Label]:
    """Return a file's labels in its order; SkillError names the file and the field that is wrong."""
    from skillyard.skills.spec import LabelsSpec, read_yaml

    return _labels(read_yaml(LabelsSpec, file))


def parse_labels(text: str) -> dict[str, Label]:
    """Return the labels of a text that a run was given, YAML or JSON."""
    from skillyard.skills.spec import LabelsSpec, parse_yaml

    return _labels(parse_yaml(LabelsSpec, text, Path(RUN_LABELS)))


def given_file(include: Path, skill: str) -> Path | None:
    """Return the file whose labels take the place of a skill's own, if there is one."""
    file = include / "labels" / f"{skill}.yaml"
    return file if file.is_file() else None


def check_given_files(include: Path, skills: Collection[str]) -> None:
    """Raise UnknownName for labels that would never be used, because no skill has the file's name."""
    for file in sorted((include / "labels").glob("*.y*ml")):
        if file.stem not in skills or file.suffix != ".yaml":
            raise UnknownName(f"skill of {file}", file.name, [f"{name}.yaml" for name in skills])


def as_values(labels: Mapping[str, Label]) -> dict[str, Any]:
    """Return labels as plain values, as under ``labels`` in the file."""
    return {name: {key: value for key, value in asdict(label).items() if key != "name"} for name, label in labels.items()}


def of_values(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Label]:
    """Return the labels that ``as_values`` has made plain."""
    return {n: Label(n, v["description"], tuple(v["includes"]), tuple(v["excludes"])) for n, v in values.items()}


def _labels(spec: "LabelsSpec") -> dict[str, Label]:
    return {n: Label(n, label.description, tuple(label.includes), tuple(label.excludes)) for n, label in spec.labels.items()}
