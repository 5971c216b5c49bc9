"""The image: what it copies exists, its versions are fixed, and nothing in it runs as root."""

import re

from tests.deploy.stack import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = re.findall(r"(?m)^([A-Z]+) (.+)$", re.sub(r"\\\n\s*", " ", DOCKERFILE))


def test_everything_it_copies_exists_and_enters_the_build() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {s for name, rest in INSTRUCTIONS if name == "COPY" and not rest.startswith("--from") for s in rest.split()[:-1]}
    assert copied == allowed
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_base_images_have_an_exact_version() -> None:
    bases = [rest.split()[0] for name, rest in INSTRUCTIONS if name == "FROM"]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.1[12]\.\d+-slim-bookworm", bases[0])


def test_it_installs_the_lock_and_resolves_nothing() -> None:
    installs = [rest for name, rest in INSTRUCTIONS if name == "RUN" and "pip install" in rest]
    assert len(installs) == 2
    assert all("--no-deps" in command for command in installs)


def test_the_last_stage_leaves_root_before_it_starts_anything() -> None:
    names = [name for name, _ in INSTRUCTIONS]
    last = len(names) - names[::-1].index("FROM")
    users = [rest for name, rest in INSTRUCTIONS[last:] if name == "USER"]
    assert users == ["10001:10001"]
    assert "RUN" not in names[names.index("USER") :]
    assert {"HEALTHCHECK", "CMD"} <= set(names[names.index("USER") :])
