"""Numbers of people and other numbers, in the layouts of both: what redact-personal-data masks and what it leaves."""

import random
import time

import phonenumbers
import pytest

from skillyard.skills import Catalogue, Skill, Source


@pytest.fixture(scope="module")
def redact(catalogue: Catalogue) -> Skill:
    return catalogue.load("redact-personal-data")


def found(skill: Skill, text: str) -> list[tuple[str, str]]:
    value = skill.run_library(Source(text))
    assert value is not None
    return [(span["kind"], text[span["start"] : span["end"]]) for span in value["spans"]]


OTHER_NUMBERS = [
    "Order {} has been shipped today.",
    "Invoice no. {} is due next week.",
    "Please quote reference {} in every letter.",
    "Die Rechnung Nr. {} ist noch offen.",
    "La commande {} est en préparation.",
    "El pedido {} sale mañana.",
    "Article {} is out of stock.",
    "Serial number: {}",
    "Der Zählerstand {} wurde abgelesen.",
    "Ticket #{} was closed.",
    "Version {} mends the fault.",
]
LAYOUTS = [
    "#######",
    "##########",
    "############",
    "####-####",
    "####-####-####",
    "###-###-####",
    "### ### ####",
    "###-##-####",
    "##.##.##.##",
]
LAYOUTS += ["0### ### ###", "0###-######", "00########", "## ### ###", "## ## ## ##", "2024-######", "AB-####-####", "#.#.#.#", "#####/###"]


@pytest.mark.parametrize("sentence", OTHER_NUMBERS)
def test_a_number_that_its_sentence_calls_another_stays_in_any_layout(redact: Skill, sentence: str) -> None:
    draw = random.Random(sentence)
    for layout in LAYOUTS * 3:
        number = "".join(draw.choice("123456789") if sign == "#" else sign for sign in layout)
        assert found(redact, sentence.format(number)) == []


@pytest.mark.parametrize(
    "text",
    [
        "We open 08.30-12.30 and 13.30-18.00, from 01.02.2024 to 31.12.2024.",
        "Revenue rose by 12 345 678 euros to 1.234.567,89 and costs to $4,500,000.",
        "Growth of +250 000 000 in one year and +12 500 000 in the next.",
        "At 48.137154, 11.576124 or +48.137154 +11.576124 lies the hall.",
        "ISBN 978-3-16-148410-0, EAN 4006381333931, timestamps 20240305101533 and 1709633733.",
        "Call centre: 1 200 300 calls in 2024. They called 12 345 678 people.",
        "The phone costs 1 299 EUR, phone model 12345678 is sold out.",
        "Please call before 2024-05-06 12:00 about order 9472 7916.",
        "PO 0815-4711-22 of 03.04.2024, drawing 030-123456, DIN 0276 1000-2000.",
        "The label reads 1234 5678, the box 9472-7916, the shelf 12-345678, the pallet 61487-1234.",
        "Firmware 12.3.4.5 replaces release 10.0.0.1 (section 4.3.2.1).",
        "The order 4111111111111111 and the batch 5018123456780 are ready.",
        "The card game has 4111 1111 1111 1112 outcomes.",
    ],
)
def test_dates_amounts_and_codes_stay(redact: Skill, text: str) -> None:
    assert found(redact, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Ana Rivers, Northwind, <(212) 555-0142>",
        "Ana Rivers <212-736-5000 x12>, Northwind",
        "Ana Rivers, <212.736.5000>",
        "Write to Ana or <01 99 00 27 54>.",
        "You reach Ana under <030 901820>.",
        "Ana: <0161 496 0412>, room 4",
        "Phone: <467 3395>",
        "Fax:\n<78 651 450>",
        "<9472 7916> (mobile)",
        "Desk: <71-33-52-22>",
        "Please call me on <699 956 915>.",
        "Llámame al <699 956 915>, por favor.",
        "Ana, <+44 20\n7946 0958>, Northwind",
        "Ana, <0049 30 901820>, Northwind",
        "Customer: <0161 496 0412>",
        "Ben Holt, Tel. <0171 2345678> 80331 München",
        "Ana Rivers <212-736-5000> 10 am to 4 pm",
        "Your order 4711 0815 is ready, call <9472 7916>.",
    ],
)
def test_a_phone_is_known_by_its_layout_or_by_the_words_around_it(redact: Skill, text: str) -> None:
    phone = text[text.index("<") + 1 : text.index(">")]
    assert found(redact, text.replace("<", "").replace(">", "")) == [("phone_number", phone)]


def test_the_number_of_any_country_is_found_with_its_code(redact: Skill) -> None:
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        number = phonenumbers.format_number(phonenumbers.example_number(region), phonenumbers.PhoneNumberFormat.INTERNATIONAL)
        assert found(redact, f"Ana Rivers, Northwind, {number}") == [("phone_number", number)]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Paid with 4111 1111 1111 1111 12/27.", "4111 1111 1111 1111"),
        ("Paid with 3782-822463-10005 at noon.", "3782-822463-10005"),
        ("Paid with 2223003122003222 at noon.", "2223003122003222"),
        ("Paid with 6759649826438453 at noon.", "6759649826438453"),
        ("My card 213100000000003 is lost.", None),
        ("My card 4222222222222 is lost.", "4222222222222"),
        ("Paid with 4222222222222 at noon.", None),
    ],
)
def test_a_card_is_known_by_issuer_and_check_digit_or_by_its_word(redact: Skill, text: str, number: str | None) -> None:
    assert found(redact, text) == ([("credit_card", number)] if number else [])


def test_other_personal_numbers_stay_personal_after_words_that_name_them(redact: Skill) -> None:
    assert found(redact, "SSN on file: 536-22-1234") == [("us_ssn", "536-22-1234")]
    assert found(redact, "NHS number of the patient: 943 476 5919") == [("uk_nhs", "943 476 5919")]
    assert found(redact, "my iban is gb29nwbk60161331926819, thanks") == [("iban_code", "gb29nwbk60161331926819")]
    assert found(redact, "The machine at 192.0.2.17 answers.") == [("ip_address", "192.0.2.17")]


@pytest.mark.parametrize(
    "piece",
    ["0171 {:07}, ", "+1 {:07} ", "(0{:04}) 12 34 ", "4111 1111 {:08} ", "call {:04} {:04} ", "+", "(0", "+-.{:04}", "1-", "{:016}\n"],
)
def test_a_text_full_of_numbers_is_read_in_seconds(redact: Skill, piece: str) -> None:
    text = "".join(piece.format(n, n) for n in range(20_000))[:20_000]
    started = time.process_time()
    found(redact, text)
    assert time.process_time() - started < 10
