"""What the skills that cut, mend and compare texts hold for any text."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillyard.skills import Catalogue, Source

WORDS = st.sampled_from(
    ["lamp", "Dr.", "3.50", "No.", "5!", "¿Cuándo?", "今日は。", "\n", "\n\n", " ", "\t", "- one", "# Plan", "“Yes.”", "e\u0301", "|"]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=60).map(" ".join))


def run(catalogue: Catalogue, name: str, text: str, **parameters: Any) -> dict[str, Any]:
    value = catalogue.load(name).run_library(Source(text), parameters)
    assert value is not None
    return value


def uncovered(text: str, spans: list[dict[str, Any]]) -> str:
    """Return what stands in no span, without white space."""
    covered = {at for span in spans for at in range(span["start"], span["end"])}
    return "".join(char for at, char in enumerate(text) if at not in covered).strip()


@settings(deadline=None, max_examples=60)
@given(text=TEXTS)
def test_sentences_stand_where_they_say_and_leave_nothing_out(text: str, catalogue: Catalogue) -> None:
    sentences = run(catalogue, "split-sentences", text)["sentences"]
    assert all(text[s["start"] : s["end"]] == s["text"] == s["text"].strip() != "" for s in sentences)
    assert all(a["end"] <= b["start"] for a, b in pairwise(sentences))
    assert uncovered(text, sentences).split() == []


@settings(deadline=None, max_examples=60)
@given(text=TEXTS, most=st.sampled_from([32, 64]), overlap=st.sampled_from([0, 16, 64]))
def test_chunks_stand_where_they_say_are_bounded_and_leave_nothing_out(text: str, most: int, overlap: int, catalogue: Catalogue) -> None:
    chunks = run(catalogue, "chunk-text", text, max_tokens=most, overlap=overlap)["chunks"]
    assert all(text[c["start"] : c["end"]] == c["text"] and c["n_tokens"] <= most for c in chunks)
    assert uncovered(text, chunks).split() == []


@settings(deadline=None, max_examples=60)
@given(text=TEXTS, form=st.sampled_from(["NFC", "NFKC"]), quotes=st.sampled_from(["straight", "keep"]))
def test_a_normalised_text_is_left_alone(text: str, form: str, quotes: str, catalogue: Catalogue) -> None:
    once = run(catalogue, "normalise-text", text, form=form, quotes=quotes)
    again = run(catalogue, "normalise-text", once["text"], form=form, quotes=quotes)
    assert again == {"text": once["text"], "changed_chars": 0}
    assert (once["changed_chars"] == 0) == (once["text"] == text)


@settings(deadline=None, max_examples=60)
@given(text=TEXTS)
def test_copies_in_other_case_and_spacing_share_a_hash(text: str, catalogue: Catalogue) -> None:
    copy = "  " + text.replace(" ", "\n ") + "."
    assert run(catalogue, "hash-content", text)["copy_sha256"] == run(catalogue, "hash-content", copy)["copy_sha256"]


@settings(deadline=None, max_examples=60)
@given(
    lines=st.lists(st.sampled_from(["Report", "Page 1", "Page 2", "3", "4", "", "", "\f", "A line of text.", "Another line."]), max_size=60)
)
def test_only_the_named_lines_are_stripped(lines: list[str], catalogue: Catalogue) -> None:
    text = "\n".join(lines)
    value = run(catalogue, "strip-repeated-furniture", text)
    before, after = text.replace("\f", "\n").split(), value["text"].replace("\f", "\n").split()
    n_dropped = sum(len(line["text"].split()) * line["n_times"] for line in value["removed"])
    assert len(before) == len(after) + n_dropped
    rest = iter(before)
    assert all(word in rest for word in after)
    assert value["removed"] or value["text"] == text


MAIL_LINES = [
    *("Yes, on Friday.", "Ana Rivers", "Best regards", "-- ", "", "", "> Is it done?", ">> When?", "> ", "Subject: Gate", "To: Lee"),
    *("On 2 May 2024, Lee wrote:", "> Am 2. Mai 2024 schrieb Lee:", "-----Original Message-----", "From: Ana", "Sent: Monday"),
]


@settings(deadline=None, max_examples=150)
@given(lines=st.lists(st.sampled_from(MAIL_LINES), max_size=25))
def test_the_parts_of_a_mail_are_all_of_it_but_two_dashes(lines: list[str], catalogue: Catalogue) -> None:
    text = "\n".join(lines)
    value = catalogue.load("split-email-thread").run_library(Source(text))
    if value is None:
        return
    parts = [part for part in (value["latest"], value["signature"], *value["quoted"]) if part]
    assert all(part in text for part in parts)
    n_head = next((at for at, line in enumerate(lines) if not line.startswith(("Subject: ", "From: ", "To: "))), len(lines))
    whole = [line.strip() for line in lines[n_head if n_head > 1 else 0 :] if line.strip()]
    found = [line.strip() for part in parts for line in part.split("\n") if line.strip()]
    missing = Counter(whole) - Counter(found)
    assert not Counter(found) - Counter(whole)
    assert missing.total() == missing["--"] <= 1


@pytest.mark.parametrize("dim", [64, 256])
def test_vectors_have_length_one_and_like_texts_lie_closer(dim: int, catalogue: Catalogue) -> None:
    broken, damaged, budget = (
        run(catalogue, "embed-text", text, dim=dim)["vector"]
        for text in (
            "The lamp arrived broken and I want my money back.",
            "My desk light came damaged, please refund me.",
            "The board approved the budget for next year.",
        )
    )

    def cosine(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert len(broken) == dim and cosine(broken, broken) == pytest.approx(1, abs=1e-4)
    assert cosine(broken, damaged) > cosine(broken, budget) + 0.2
