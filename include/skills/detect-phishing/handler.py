"""Tell phishing by its links where there is no doubt: exact comparisons that a model does badly. All else is for a model to judge.

Sure is a link under a false name together with a request for data or money. That no rule finds anything proves nothing: fraud without any
link is common, so no message is ever cleared here. Nor does an address shown over another one prove it: links that count clicks do so, too.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from skillyard.skills import Source
from skillyard.skills.words import find_words, fold

WORDS = Path(__file__).parent / "assets" / "words.yaml"
FALSE_NAMES = ("lookalike_domain", "number_as_host", "hidden_target")
REQUESTS = ("asks_for_credentials", "asks_for_payment")
SIGNALS = (*FALSE_NAMES, "link_elsewhere", *REQUESTS, "threat_or_deadline")
MAX_CHARS, MAX_LINKS, MIN_NAME_CHARS = 20_000, 200, 5
URL = r"https?://[^\s<>\"'()\[\]\\]{1,2000}"
LINK = re.compile(URL, re.IGNORECASE)
SHOWN_OVER = (
    re.compile(rf"\[(?P<shown>[^\[\]\n]{{1,300}})\]\((?P<target>{URL})\)", re.IGNORECASE),
    re.compile(rf"<a\b[^<>]{{0,300}}?href=[\"']?(?P<target>{URL})[\"']?[^<>]{{0,300}}>(?P<shown>[^<>]{{1,300}})</a>", re.IGNORECASE),
    re.compile(rf"(?<!\S)(?P<shown>[^\s<>()\[\]]{{4,300}})\s?[<(](?P<target>{URL})[>)]", re.IGNORECASE),
)
ADDRESS = re.compile(r"(?:https?://)?(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?:[/:?#]\S*)?", re.IGNORECASE)
MAILBOX = re.compile(r"@((?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24})\b")
AT_HOME = tuple(map(ip_network, ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")))
SWAPPED = {"rn": "m", "vv": "w", **dict(zip("0134578аеорсухіѕοαενικρ", "oieastbaeopcyxisoaevikp", strict=True))}


class Host(NamedTuple):
    """A host as written before its port, and whose it is by the public suffixes: (subdomain, name, suffix)."""

    written: str
    has_user: bool
    below: str
    name: str
    suffix: str


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a verdict on a message whose links leave no doubt; None for every other one."""
    text = source.text
    words = set(find_words(WORDS, fold(text))) if len(text) <= MAX_CHARS else {"doubt"}
    if "doubt" in words or not words & set(REQUESTS):
        return None
    links = set(_link_signals(text))
    if not links & set(FALSE_NAMES):
        return None
    return {"signals": [name for name in SIGNALS if name in links | words], "is_phishing": True}


def _link_signals(text: str) -> Iterator[str]:
    """Yield what is wrong with the links, a signal once or more."""
    pairs = [(m["shown"].strip(), m["target"]) for pattern in SHOWN_OVER for m in pattern.finditer(text)][:MAX_LINKS]
    pairs = [(shown if ADDRESS.fullmatch(shown) else "", target) for shown, target in pairs]
    known = {host for name in (*(shown for shown, _ in pairs), *MAILBOX.findall(text)[:MAX_LINKS]) if (host := _host(name)) and host.name}
    names = set(re.findall(rf"[a-z]{{{MIN_NAME_CHARS},40}}", fold(text))) | {host.name for host in known}
    for shown, target in pairs:
        before, behind = _host(shown), _host(target)
        if before and behind and before.name and before.name != behind.name:
            yield "link_elsewhere"
    for target in dict.fromkeys((*(target for _, target in pairs), *LINK.findall(text)[:MAX_LINKS])):
        if host := _host(target):
            found = {"number_as_host": _is_number(host), "hidden_target": host.has_user, "lookalike_domain": _imitates(host, known, names)}
            yield from (signal for signal, is_found in found.items() if is_found)


def _imitates(host: Host, known: set[Host], names: set[str]) -> bool:
    """Return whether a host's name reads like one that the text names, or carries a whole other address before it."""
    from rapidfuzz.distance import Levenshtein

    parts = [part for part in (host.name, *host.name.split("-")) if len(part) >= MIN_NAME_CHARS]
    reads_alike = any(_read(part) != part and _read(part) in names for part in parts)
    one_off = any(len(one.name) > MIN_NAME_CHARS and Levenshtein.distance(host.name, one.name, score_cutoff=1) == 1 for one in known)
    carries = any(f".{one.name}.{one.suffix}." in f".{host.below}." and one.name != host.name for one in known)
    return reads_alike or one_off or carries


def _read(name: str) -> str:
    """Return a name as a hasty eye reads it."""
    for swapped, letter in SWAPPED.items():
        name = name.replace(swapped, letter)
    return name


def _is_number(host: Host) -> bool:
    """Return whether a host is a bare number, and none of a local network."""
    try:
        address = IPv4Address(int(host.written) if host.written.isdecimal() else host.written)
    except ValueError:
        return False
    return not any(address in network for network in AT_HOME)


def _host(address: str) -> Host | None:
    """Return the host of an address; None where there is none, or it cannot be one."""
    try:
        split = urlsplit(address if "//" in address else f"//{address}")
        written = split.hostname or ""
        parts = _suffixes()(written.encode("ascii").decode("idna") if "xn--" in written else written)
    except ValueError:
        return None
    is_named = bool(parts.suffix and parts.domain)
    owner = (parts.subdomain, parts.domain, parts.suffix) if is_named else ("", "", "")
    return Host(written, "@" in split.netloc, *owner) if written else None


@cache
def _suffixes() -> Any:
    """Return the extractor over the bundled list: no network, no cache on disk."""
    from tldextract import TLDExtract

    return TLDExtract(cache_dir=None, suffix_list_urls=(), fallback_to_snapshot=True, extra_suffixes=("example",))
