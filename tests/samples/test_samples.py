"""The samples: their number and mix, the labels in truth.yaml against what the files really say, and the generator."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillyard.documents.parse import parse_document
from skillyard.documents.pool import ParsePool
from skillyard.documents.result import ERROR_KINDS, Parsed, Rejected

ROOT = Path(__file__).resolve().parents[2]
SAMPLES, SKILLS = ROOT / "samples", ROOT / "include" / "skills"
INBOX = SAMPLES / "inbox"
TRUTH: dict[str, dict[str, Any]] = yaml.safe_load((SAMPLES / "truth.yaml").read_text(encoding="utf-8"))
GOOD = sorted(name for name, label in TRUTH.items() if "reject" not in label)
WITH_TEXT = [name for name in GOOD if TRUTH[name].get("has_text", True)]
BAD = sorted(TRUTH.keys() - set(GOOD))
INVOICES = [name for name in GOOD if "invoice" in TRUTH[name]]

REQUIRED = {"kind", "language", "document_type", "tags", "urgency", "sentiment", "emails", "phones"}
OPTIONAL = {"has_text", "invoice", "injection"}
RESERVED_HOST = re.compile(r"(^|\.)example\.(com|org|net)$")
FICTIONAL_PHONES = (
    r"\+120255501\d\d",
    r"\+4420794600?\d+",
    r"\+441614960\d{3}",
    r"\+49302312\d+",
    r"\+498999998\d{3}",
    r"\+494066969\d{3}",
    r"\+492214710\d{3}",
    r"\+4917139200\d\d",
    r"\+33(19900|26191)\d{4}",
    r"\+468465004\d\d",
)
"""Ranges that national regulators keep free for films and books."""
N_SHORT_CHARS = 1250
"""About 300 tokens: what a small model in the process reads in a second."""


@cache
def parsed(name: str) -> Parsed | Rejected:
    return parse_document((INBOX / name).read_bytes(), name)


def text_of(name: str) -> str:
    found = parsed(name)
    assert isinstance(found, Parsed), f"{name}: {found}"
    return "\n".join(page.text for page in found.pages)


def digits_in(text: str) -> str:
    return re.sub(r"\D", "", text)


def amount_pattern(amount: str) -> re.Pattern[str]:
    """Return a pattern of an amount as any of our languages writes it: 1268.00 as 1,268.00 or 1.268,00 or 1 268,00 or 1'268.00."""
    whole, _, cents = amount.lstrip("-").partition(".")
    grouped = re.sub(r"(?<=\d)(?=(\d{3})+$)", r"[.,'\\s]?", whole)
    return re.compile(rf"(?<!\d){grouped}" + (rf"[.,]{cents}" if cents else "") + r"(?!\d)")


def labels_of(skill: str) -> set[str]:
    return set(yaml.safe_load((SKILLS / skill / "assets" / "labels.yaml").read_text(encoding="utf-8"))["labels"])


def wrong_labels(label: dict[str, Any]) -> Iterator[str]:
    vocabularies = {"document_type": "classify-document-type", "urgency": "classify-urgency", "sentiment": "classify-sentiment"}
    for field, skill in vocabularies.items():
        if label[field] not in labels_of(skill):
            yield f"{field}: {label[field]}"
    yield from (f"tag: {tag}" for tag in label["tags"] if tag not in labels_of("tag-document"))


def test_every_file_has_truth_and_every_truth_a_file() -> None:
    assert {path.relative_to(INBOX).as_posix() for path in INBOX.rglob("*") if path.is_file()} == TRUTH.keys()


def test_the_samples_are_many_mixed_and_small() -> None:
    assert len(GOOD) >= 70 and len(BAD) >= 8
    types = Counter(TRUTH[name]["document_type"] for name in GOOD)
    assert types["invoice"] >= 12 and types["support_mail"] >= 10
    assert types.keys() == labels_of("classify-document-type")
    assert {TRUTH[name]["kind"] for name in GOOD} >= {"pdf", "docx", "html", "eml", "txt", "csv", "md", "image"}
    assert {TRUTH[name]["language"] for name in GOOD} >= {"en", "de", "fr", "es", "ja", "el"}
    mails = [TRUTH[name] for name in GOOD if TRUTH[name]["document_type"] == "support_mail"]
    assert {mail["urgency"] for mail in mails} == labels_of("classify-urgency")
    assert {mail["sentiment"] for mail in mails} == labels_of("classify-sentiment")
    sizes = [path.stat().st_size for path in INBOX.rglob("*") if path.is_file()]
    assert sum(sizes) < 4_000_000 and max(sizes) < 1_000_000


def test_many_documents_are_short_and_some_are_long() -> None:
    lengths = [len(text_of(name)) for name in WITH_TEXT]
    assert sum(length < N_SHORT_CHARS for length in lengths) >= 40
    assert sum(length > 2 * N_SHORT_CHARS for length in lengths) >= 4


def test_no_two_documents_are_alike() -> None:
    """By runs of five words: a text with a swapped number or name would share most of them with its model."""
    seen: dict[str, set[tuple[str, ...]]] = {}
    for name in WITH_TEXT:
        words = re.findall(r"\w+", text_of(name).lower())
        runs = {tuple(words[n : n + 5]) for n in range(len(words) - 4)}
        for other, others in seen.items():
            assert len(runs & others) <= 0.2 * max(1, min(len(runs), len(others))), f"{name} repeats {other}"
        seen[name] = runs


@pytest.mark.parametrize("name", GOOD)
def test_labels_are_complete_and_from_the_vocabularies(name: str) -> None:
    label = TRUTH[name]
    assert label.keys() >= REQUIRED and label.keys() <= REQUIRED | OPTIONAL
    assert list(wrong_labels(label)) == []
    assert (label["document_type"] == "invoice") == ("invoice" in label)


@pytest.mark.parametrize("name", GOOD)
def test_kind_and_text_are_what_the_parser_finds(name: str) -> None:
    found, label = parsed(name), TRUTH[name]
    assert isinstance(found, Parsed)
    assert found.kind == label["kind"]
    if label.get("has_text", True):
        assert text_of(name).strip()
    else:
        assert all(page.ocr_confidence for page in found.pages if page.text), "only OCR finds text there"


@pytest.mark.parametrize("name", WITH_TEXT)
def test_contact_details_are_those_of_the_text_and_fictional(name: str) -> None:
    text, label = text_of(name), TRUTH[name]
    found = {match.rstrip(".") for match in re.findall(r"[\w.+-]+@[\w.-]+", text)}
    assert found == set(label["emails"])
    assert all(RESERVED_HOST.search(address.split("@")[1]) for address in found)
    assert all(any(re.fullmatch(known, phone) for known in FICTIONAL_PHONES) for phone in label["phones"])
    assert [phone for phone in label["phones"] if phone[-7:] not in digits_in(text)] == []


@pytest.mark.parametrize("name", INVOICES)
def test_invoice_sums_agree_except_where_truth_says_otherwise(name: str) -> None:
    invoice = TRUTH[name]["invoice"]
    net, tax, total = (Decimal(invoice[field]) for field in ("net", "tax", "total"))
    amounts = [Decimal(amount) for amount in invoice["line_amounts"]]
    assert len(amounts) == invoice["lines"]
    assert (sum(amounts) == net and net + tax == total) == invoice.get("adds_up", True)


@pytest.mark.parametrize("name", sorted(set(INVOICES) & set(WITH_TEXT)))
def test_invoice_fields_stand_in_the_text(name: str) -> None:
    invoice, text = TRUTH[name]["invoice"], text_of(name)
    amounts = [invoice["net"], invoice["tax"], invoice["total"], *invoice["line_amounts"]]
    missing = [amount for amount in amounts if not amount_pattern(amount).search(text)]
    assert missing == []
    assert invoice["invoice_no"] in text
    assert invoice["supplier"].casefold() in text.casefold()


def test_exactly_two_invoices_do_not_add_up() -> None:
    assert sum(not TRUTH[name]["invoice"].get("adds_up", True) for name in INVOICES) == 2


def test_some_texts_give_orders_to_the_model_and_some_have_no_contact_details() -> None:
    assert sum(TRUTH[name].get("injection", False) for name in GOOD) >= 2
    assert any(not TRUTH[name]["emails"] and not TRUTH[name]["phones"] for name in WITH_TEXT)


def test_bad_files_are_refused_for_the_reason_given() -> None:
    """In the pool, with its limits: two of them inflate to 387 MB."""
    assert {kind for name in BAD for kind in TRUTH[name]["reject"]} <= ERROR_KINDS.keys()
    with ParsePool(1, deadline_s=20, memory_mb=512) as pool:
        found = dict(pool.parse((name, name, (INBOX / name).read_bytes()) for name in BAD))
    wrong = {name: str(result) for name, result in found.items() if getattr(result, "error_kind", None) not in TRUTH[name]["reject"]}
    assert wrong == {} and found.keys() == set(BAD)


def test_the_generator_makes_the_same_files_again() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "samples/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
