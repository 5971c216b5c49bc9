"""A document's title, from what its maker wrote or its first line says."""

import re

MAX_CHARS = 150
PROGRAM = re.compile(r"^Microsoft (?:Word|PowerPoint|Excel) - ")
NAMELESS = re.compile(r"(?:untitled|unknown|document|title|none|null|powerpoint presentation|slide \d+)(?: ?\d+)?(?: document.*)?", re.I)


def stated_title(stated: str | None) -> str | None:
    """Return a title from metadata, or None when it only says which program made the file."""
    title = " ".join(PROGRAM.sub("", stated or "").split())
    return title[:MAX_CHARS] if title and not NAMELESS.fullmatch(title) else None


def first_line(text: str) -> str | None:
    """Return the first line that says something if it is as short as a heading is."""
    for line in text.lstrip().splitlines()[:5]:
        title = " ".join(line.strip(" #*_=-|\t").split())
        if sum(map(str.isalpha, title)) >= 3:
            return title if len(title) <= MAX_CHARS else None
    return None
