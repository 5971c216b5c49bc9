"""Whether a page's text can be used, and its lines without pdfium's marks."""

import re

MIN_PAGE_CHARS = 20
MAX_UNMAPPED_SHARE = 0.05
UNMAPPED = re.compile(r"[\ufffd\ue000-\uf8ff\x00\x01\x03-\x08\x0b\x0e-\x1f]")
"""What a font without a character map yields instead of letters."""
LINE_END_HYPHEN = re.compile(r"[\x02\ufffe](?:\r?\n)?(?=([a-z\u00df-\u00ff])?)")
MARKS = "\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
STRAY_MARK = re.compile(rf"\s+(?=[{MARKS}])|\u093f(?=[\u093e-\u094c])")
"""White space before a mark that belongs to the letter before it, and a Devanagari vowel sign before another: neither is ever written."""
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")


def is_unmapped(text: str) -> bool:
    """Return whether too much of the text is no character that anybody could read."""
    return bool(UNMAPPED.search(text)) and len(UNMAPPED.findall(text)) > len(text) * MAX_UNMAPPED_SHARE


def plain_lines(text: str) -> str:
    """Return the text with words joined over line ends."""
    if "\x02" in text or "\ufffe" in text:
        text = LINE_END_HYPHEN.sub(lambda found: "" if found.group(1) else "-", text)
    if not text.isascii():
        text = STRAY_MARK.sub("", text)
    return CONTROL.sub(" ", text)
