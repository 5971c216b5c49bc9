"""``evals/prompt.md``: what a model is sent for a skill's first case, kept in the folder so that a review of an edit shows it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skillyard.skills.cases import Case, load_cases
from skillyard.skills.errors import SkillError
from skillyard.skills.skill import Skill
from skillyard.tokens import Message


def path_of(skill: Skill) -> Path:
    """Return where a skill's prompt is kept; nothing in ``evals`` counts in the fingerprint."""
    return skill.folder / "evals" / "prompt.md"


def choose_case(skill: Skill, case_id: str | None = None) -> Case:
    """Return a case by its id, the first one by default; SkillError when there is none, or when no model is ever asked."""
    file = str(skill.folder / "evals" / "cases.yaml")
    if skill.kind == "library":
        raise SkillError(
            str(skill.folder / "skill.yaml"), "kind", f"{skill.name} is a library skill: no model is asked, there is no prompt"
        )
    cases = load_cases(skill)
    for case in cases:
        if case_id in (None, case.id):
            return case
    raise SkillError(file, "cases", f"found no case {case_id!r}", tuple(case.id for case in cases))


def messages_of(skill: Skill, case: Case) -> list[Message]:
    """Return the messages that a model is sent for a case."""
    return skill.messages(case.source, case.parameters)


def render_prompt(skill: Skill, case: Case) -> str:
    """Return the prompt for a case as Markdown, as ``prompt.md`` has it."""
    head = f"What a model is sent by {skill.name} for its case `{case.id}`. Made by `{command_of(skill)}`: do not edit."
    return "\n".join([f"# Prompt of {skill.name}\n\n{head}\n", *map(_section, messages_of(skill, case))])


def write_prompt(skill: Skill) -> Path:
    """Write the prompt for the first case to prompt.md and return its path."""
    file = path_of(skill)
    file.write_bytes(render_prompt(skill, choose_case(skill)).encode())
    return file


def command_of(skill: Skill) -> str:
    """Return the command that writes a skill's prompt.md."""
    return f"skillyard skills prompt {skill.name} --write"


def prompt_problems(skill: Skill) -> Iterator[tuple[str, str]]:
    """Yield (field, message) when prompt.md is not what a model is sent now; nothing when that cannot be said."""
    file = path_of(skill)
    try:
        wanted = render_prompt(skill, choose_case(skill))
    except SkillError:
        return
    if not file.exists():
        yield "", f"the file is missing. Write it: {command_of(skill)}"
    elif file.read_bytes() != wanted.encode():
        yield "", f"it is not what a model is sent now. Write it anew, and read what changed: {command_of(skill)}"


def _section(message: Message) -> str:
    """Return one message below its role, in a fence that the message does not close."""
    content = _text_of(message["content"])
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", content)), default=0))
    return f"## {message['role']}\n\n{fence}text\n{content}\n{fence}\n"


def _text_of(content: Any) -> str:
    """Return what a message says; a picture is named, not shown."""
    if isinstance(content, str):
        return content
    return "\n\n".join(str(part["text"]) if part["type"] == "text" else "(a picture)" for part in content)
