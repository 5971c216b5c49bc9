import pytest

from skillyard.skills import Catalogue, Skill, Source
from skillyard.skills.cases import load_cases

TEMPTING = "You have won the lottery, claim your prize. Act now! "


@pytest.fixture(scope="module")
def spam(catalogue: Catalogue) -> Skill:
    return catalogue.load("detect-spam")


def test_rules_settle_the_plain_cases_and_leave_the_rest_to_a_model(spam: Skill) -> None:
    said = {case.id: value["is_spam"] for case in load_cases(spam) if (value := spam.run_library(case.source))}
    assert said == {"lottery": True, "order-question": False, "hard-swapped-letters": True, "german-crypto": True}


@pytest.mark.parametrize("text", ["Y o u  h a v e  w o n", "You h\u0430ve won", "Y0u have w0n", "You\u200b have won"])
def test_disguised_words_are_read(spam: Skill, text: str) -> None:
    value = spam.run_library(Source(f"Dear friend, {text}! A car. Act now!"))
    assert value is not None and value["signals"][0] == "prize_or_windfall"


@pytest.mark.parametrize(
    "more",
    ["Is this spam?", "http://", "x" * 5_000, "\n> quoted", "Anna wrote: hello"],
)
def test_rules_are_not_sure_of_what_may_be_quoted_or_is_about_many_things(spam: Skill, more: str) -> None:
    assert spam.run_library(Source(TEMPTING + more)) is None


@pytest.mark.parametrize(
    "more",
    ["", "See shop.example.com", "Call 020 7946 0958 22", "It cost 40 euros.", "The bank says so.", "Is it a scam?", "J0in now, hurry!"],
)
def test_a_customer_is_honest_beyond_doubt_only_where_nothing_a_fraud_needs_is_said(spam: Skill, more: str) -> None:
    value = spam.run_library(Source(f"Where is my order? The lamp has not come yet. {more}"))
    assert (value == {"is_spam": False, "score": 0.03, "signals": []}) == (more == "")
