"""Which items are a skill's own: a pure decision on what is known of a document before it is read."""

from fnmatch import fnmatchcase
from urllib.parse import unquote

from skillyard.skills.skill import Skill


def applies(skill: Skill, kind: str, uri: str, language: str | None, n_chars: int | None) -> bool:
    """Return whether the skill works on such a document; ``applies_to.where`` is for the planner, who can see other results.

    ``n_chars`` is None for a file, whose text nobody has read.
    """
    rule = skill.applies_to
    if n_chars is not None and (n_chars < rule.min_chars or (rule.max_chars is not None and n_chars > rule.max_chars)):
        return False
    if rule.kinds and kind not in rule.kinds:
        return False
    if rule.languages and language not in rule.languages:
        return False
    return not rule.globs or any(_matches(uri, glob) for glob in rule.globs)


def _matches(uri: str, glob: str) -> bool:
    """Return whether a glob fits the whole address or an end of it that follows a slash; case does not count."""
    path, pattern = unquote(uri).casefold(), glob.casefold()
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"*/{pattern}")
