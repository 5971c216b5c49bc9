"""Undo wrongly decoded characters, line by line, with ftfy."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from skillyard.skills import Source


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mended text and the names of the steps."""
    from ftfy import fix_encoding_and_explain

    lines: list[str] = []
    fixes: dict[str, None] = {}
    # Not splitlines: the C1 control U+0085 ends a line there, and is half of a broken letter here.
    for line in source.text.split("\n"):
        if line.isascii():
            lines.append(line)
            continue
        mended, steps = fix_encoding_and_explain(line, _config())
        lines.append(mended)
        fixes |= dict.fromkeys(f"{action} {what}" for action, what in steps or ())
    return {"text": "\n".join(lines), "fixes": list(fixes)}


@cache
def _config() -> Any:
    """Return ftfy's settings: the repair of encodings alone."""
    from ftfy import TextFixerConfig

    return TextFixerConfig(
        unescape_html=False,
        remove_terminal_escapes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        uncurl_quotes=False,
        fix_line_breaks=False,
        fix_surrogates=False,
        remove_control_chars=False,
        normalization=None,
    )
