"""Bytes into text, and text into what a table can hold."""

import codecs
import re
from functools import partial

HEAD_BYTES = 64 * 1024
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
LEGACY = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "iso8859_2"),
    *("shift_jis", "euc_jp", "euc_kr", "gb18030", "big5"),
)
"""What documents that are not in UTF-8 are written in. Guessing among all encodings there are is worse: of 613 single sentences in
15 languages 82 % come out right then, among these 88 %."""
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
UNWANTED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def decode(data: bytes) -> str | None:
    """Return the text that the bytes hold, or None when they are not text."""
    encoding = encoding_of(data)
    return data.decode(encoding, "replace") if encoding else None


def encoding_of(data: bytes) -> str | None:
    """Return the encoding of a text by its mark, by UTF-8 being strict, or by what its bytes are likely to be."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return encoding if _reads_as_text(data[: HEAD_BYTES // 4 * 4], encoding) else None
    head = data[:HEAD_BYTES]
    if b"\0" in head:
        even = head[: len(head) // 2 * 2]
        return next(filter(partial(_reads_as_text, even), ("utf-16-le", "utf-16-be")), None)
    if b"\x1b" in head and _reads_as_text(head, "iso2022_jp"):
        return "iso2022_jp"
    if _reads_as_text(head, "utf-8"):
        return "utf-8"
    from charset_normalizer import from_bytes

    guess = from_bytes(head, cp_isolation=list(LEGACY)).best()
    return guess.encoding if guess is not None and _reads_as_text(head, guess.encoding) else None


def clean(text: str) -> str:
    """Return the text with plain line ends and without what is no character: controls, lone surrogates, noncharacters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n")
    return UNWANTED.sub("", text).strip()


def _reads_as_text(data: bytes, encoding: str) -> bool:
    """Return whether the bytes decode (a character cut off at their end is forgiven) into few control characters."""
    try:
        text = codecs.getincrementaldecoder(encoding)("strict").decode(data)
    except (UnicodeDecodeError, LookupError):
        return False
    if encoding.startswith("utf-16-") and sum(ch < "\u0250" for ch in text) < len(text) * 0.5:
        return False  # without a mark, only what is mostly Latin is trusted to be UTF-16: any two bytes are some character
    return len(CONTROL.findall(text)) <= len(text) * 0.02
