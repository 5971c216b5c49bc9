from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.skills import Catalogue, Skill, Source, run_checks
from skillyard.skills.checks import CHECKS, Answer
from skillyard.skills.checks.numbers import amounts
from skillyard.skills.checks.texts import count_words

INVOICE_TEXT = "Invoice 7, 2025-01-01. Lamp 2 x 1.200,00 = 2.400,00. Net 2 400,00 VAT 480,00 Total € 2’880.00"
INVOICE = {
    "invoice_no": "7",
    "supplier": None,
    "issued_on": "2025-01-01",
    "due_on": None,
    "currency": "EUR",
    "net": 2400,
    "tax": 480.0,
    "total": 2880,
    "lines": [{"description": "Lamp", "quantity": 2, "unit_price": 1200, "amount": 2400}],
}


def failures(catalogue: Catalogue, skill: str, value: dict[str, Any], text: str, **parameters: Any) -> list[str]:
    return [failure.check for failure in run_checks(catalogue.load(skill), value, Source(text), parameters)]


def judged(name: str, value: dict[str, Any], text: str = "", skill: Any = None, **arguments: Any) -> list[str]:
    return list(CHECKS[name](Answer(skill, value, Source(text), {}), **arguments))


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_every_check_says_what_it_holds(name: str) -> None:
    assert (CHECKS[name].__doc__ or "").endswith(".")


def test_sound_invoice_passes_in_any_number_format(catalogue: Catalogue) -> None:
    assert failures(catalogue, "extract-invoice", INVOICE, INVOICE_TEXT) == []


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"total": 2881}, "amounts_in_text"),
        ({"tax": 2400}, "amounts_sum"),
        ({"issued_on": "2025-02-30"}, "dates_parse"),
        ({"issued_on": "20250101"}, "dates_parse"),
        ({"currency": "€"}, "currency_code"),
        ({"lines": [{"description": "Lamp", "quantity": 1, "unit_price": 480, "amount": 480}]}, "amounts_sum"),
    ],
)
def test_wrong_invoice_fails_the_named_check(catalogue: Catalogue, change: dict[str, Any], check: str) -> None:
    assert check in failures(catalogue, "extract-invoice", {**INVOICE, **change}, INVOICE_TEXT)


def test_absent_amounts_are_not_summed(catalogue: Catalogue) -> None:
    assert failures(catalogue, "extract-invoice", {**INVOICE, "tax": None, "net": None, "lines": []}, INVOICE_TEXT) == []


def test_quote_may_differ_in_space_case_and_quotation_marks_only() -> None:
    text = "He said: “Send the\n  new shade by 20 May.” Thanks"
    assert judged("quote_in_text", {"q": 'send the new shade by "20" may'}, text, field="q")
    assert not judged("quote_in_text", {"q": '"Send the new  shade by 20 May."'}, text, field="q")
    assert not judged("quote_in_text", {"q": None}, text, field="q")
    for blank in ("", "  ", '""', "' '"):
        assert judged("quote_in_text", {"q": blank}, text, field="q")[0].startswith("q: a quote without words")


def test_answer_without_quote_fails(catalogue: Catalogue) -> None:
    text = "The office is closed on Friday."
    value = {"is_answerable": True, "quote": None, "answer": "Friday"}
    assert failures(catalogue, "answer-question", value, text) == ["null_unless"]
    assert failures(catalogue, "answer-question", {"is_answerable": False, "quote": None, "answer": None}, text) == []
    assert failures(catalogue, "answer-question", {**value, "quote": "open on Friday"}, text) == ["quote_in_text"]


def test_summary_is_bounded_by_the_parameter(catalogue: Catalogue) -> None:
    text = "The warehouse on Quay Road is closed on Friday for the yearly count of the stock, and opens again on Monday at 8:30."
    summary = {"summary": "The warehouse is closed " + "and closed again " * 12}
    assert failures(catalogue, "summarise-document", summary, text, max_words=20) == ["max_words"]
    assert failures(catalogue, "summarise-document", summary, text, max_words=60) == []
    assert failures(catalogue, "summarise-document", {"summary": "It opens at 9:45."}, text) == ["numbers_in_text"]
    assert failures(catalogue, "summarise-document", {"summary": " "}, text) == ["not_blank"]


def test_summary_in_another_language_fails(catalogue: Catalogue) -> None:
    text = "Die Inventur findet am Freitag statt, das Lager bleibt deshalb ab Mittag geschlossen. Berg informiert die Spedition."
    english = "The count of the stock takes place on Friday and the warehouse stays closed from noon on."
    assert failures(catalogue, "summarise-document", {"summary": english}, text) == ["language_matches"]
    assert failures(catalogue, "summarise-document", {"summary": text}, text) == []


def test_label_outside_the_list_fails(mood: Skill) -> None:
    assert not judged("label_in_list", {"mood": "glad"}, skill=mood, field="mood")
    assert "Allowed: glad, sad" in judged("label_in_list", {"mood": "cross"}, skill=mood, field="mood")[0]


def test_sign_follows_the_label(catalogue: Catalogue) -> None:
    assert failures(catalogue, "classify-sentiment", {"label": "negative", "score": 0.4}, "x") == ["sign_matches"]
    assert failures(catalogue, "classify-sentiment", {"label": "mixed", "score": 0.4}, "x") == []


@given(st.decimals(min_value=0, max_value=10**8, places=2), st.sampled_from([",.", ".,", " ,", "'.", "\u202f,", "\u00a0."]))
def test_every_way_to_write_an_amount_is_found(amount: Decimal, marks: str) -> None:
    written = f"{amount:,.2f}".replace(",", "T").replace(".", marks[1]).replace("T", marks[0])
    assert amount in amounts(f"3 pieces: {written} EUR")


def test_a_page_full_of_numbers_is_read_in_linear_time() -> None:
    assert len(amounts(" ".join(str(n) for n in range(100, 60_000)))) > 59_000


@pytest.mark.parametrize(
    ("text", "n_words"), [("", 0), ("one two", 2), ("the owner's well-known plan", 4), ("12.4 million", 3), ("来週の火曜日にお届け", 5)]
)
def test_words_are_counted_in_scripts_without_spaces_too(text: str, n_words: int) -> None:
    assert count_words(text) == n_words
