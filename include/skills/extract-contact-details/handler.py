"""Find phone numbers, e-mail addresses and web links, and keep the valid ones."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from skillyard.skills import Source

IN_ADDRESS = r"[^\s@<>()\[\]{},;:\"'“”„«»|]"
EMAIL = re.compile(rf"(?<!{IN_ADDRESS}){IN_ADDRESS}{{1,64}}@(?:(?!/){IN_ADDRESS}){{3,254}}")
"""Bounded, and begun only where a run of such characters begins: a long text without any address is read once."""
URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'“”„«»|\\^`{}]{1,2000}", re.IGNORECASE)
RESERVED_SUFFIX = "example"


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return phones, emails and urls, each once, in the order of the text."""
    text = source.text
    found = {
        "phones": _phones(text, parameters["region"]),
        "emails": _emails(text),
        "urls": _urls(text),
    }
    return {name: list(dict.fromkeys(values)) for name, values in found.items()}


def _phones(text: str, region: str) -> Iterator[str]:
    """Yield valid numbers in E.164 form; 00 before a country code is read as +."""
    import phonenumbers

    without_links = EMAIL.sub(" ", URL.sub(" ", text))
    international = re.sub(r"(?<![\d+])00(?=[1-9]\d)", "+", without_links)
    for match in phonenumbers.PhoneNumberMatcher(international, region, max_tries=10_000):
        yield phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)


def _emails(text: str) -> Iterator[str]:
    """Yield addresses with valid syntax and a public suffix."""
    from email_validator import EmailNotValidError, validate_email

    for match in EMAIL.finditer(text):
        candidate = re.sub(r"^(?:mailto:)", "", match.group().strip(".!?*_"), flags=re.IGNORECASE)
        try:
            address = validate_email(candidate, check_deliverability=False, globally_deliverable=False)
        except EmailNotValidError:
            continue
        if _has_public_suffix(address.ascii_domain or address.domain):
            yield address.normalized


def _urls(text: str) -> Iterator[str]:
    """Yield links whose host has a public suffix."""
    for match in URL.finditer(text):
        link = _trimmed(match.group())
        host = re.sub(r"^https?://", "", link, flags=re.IGNORECASE).split("/")[0].split("?")[0].split("#")[0]
        if _has_public_suffix(host.rsplit("@", 1)[-1].split(":")[0]):
            yield link


def _trimmed(link: str) -> str:
    """Return a link without the punctuation of its sentence; a closing bracket stays when the link opened it."""
    while link and (link[-1] in ".,;:!?*_…。、，" or _is_unopened(link)):
        link = link[:-1]
    return link


def _is_unopened(link: str) -> bool:
    """Return whether a link ends with a closing bracket that it did not open."""
    opening = {")": "(", "]": "["}.get(link[-1])
    return opening is not None and link.count(link[-1]) > link.count(opening)


def _has_public_suffix(host: str) -> bool:
    """Return whether a host is a name under a suffix of the public list, or of the reserved one."""
    parts = _suffixes()(host)
    return bool(parts.suffix and parts.domain) or host.lower().rstrip(".").endswith(f".{RESERVED_SUFFIX}")


@cache
def _suffixes() -> Any:
    """Return the extractor over the bundled list: no network, no cache on disk."""
    from tldextract import TLDExtract

    return TLDExtract(cache_dir=None, suffix_list_urls=(), fallback_to_snapshot=True)
