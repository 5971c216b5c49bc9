"""The normal forms of Unicode in time that grows with the text."""

import re
import unicodedata
from typing import Literal

PIECE = re.compile(r"\s+|\S{1,2000}[\u0300-\u036f\u1160-\u11ff\u3099\u309a]{0,30}")
"""White space, which no mark joins, or characters up to the end of one with its marks. Marks are sorted in quadratic time: thousands
of them on one letter would take minutes."""


def normal_form(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """Return the text in a normal form. Source: https://www.unicode.org/reports/tr15/"""
    if text.isascii():
        return text
    return "".join(unicodedata.normalize(form, piece) for piece in PIECE.findall(text))
