"""Names of encodings: what a text file states of itself, and under which name an encoding is registered."""

import codecs
import re

STATED = re.compile(rb"""(?:<\?xml[^>]{0,200}encoding|<meta[^>]{0,200}charset|^@charset)\s*=?\s*["']?([A-Za-z0-9_-]{3,40})""", re.I)
STATED_BYTES = 4096
OF_TEXTS = re.compile(r"ascii|utf-(8|16|32)|iso8859-\d+|cp\d+|koi8-.|mac-\w+|shift_jis\w*|euc_\w+|gb\w+|big5\w*|iso2022_\w+|tis-620")
"""Python's names of what a file may state: it has codecs for other things, too."""
REGISTERED = {"ascii": "us-ascii", "iso2022_jp": "iso-2022-jp", "mac-roman": "macintosh", "euc_jp": "euc-jp", "euc_kr": "euc-kr"}


def stated_encoding(data: bytes) -> str | None:
    """Return the encoding that the file names, by Python's name, where it is one of texts."""
    found = STATED.search(data[:STATED_BYTES].replace(b"\0", b""))
    try:
        name = codecs.lookup(found.group(1).decode("ascii")).name if found else ""
    except LookupError:
        return None
    return name if OF_TEXTS.match(name) else None


def iana_name(name: str) -> str:
    """Return the name under which the encoding is registered. Source: https://www.iana.org/assignments/character-sets"""
    name = codecs.lookup(name).name.removesuffix("-sig")
    name = re.sub(r"^cp(?=125\d$)", "windows-", name)
    name = re.sub(r"^iso8859[-_]", "iso-8859-", name)
    return REGISTERED.get(name, name)
