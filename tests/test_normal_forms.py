import time
import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.normal_forms import normal_form


@given(st.text(max_size=200), st.sampled_from(["NFC", "NFKC"]))
def test_a_text_in_pieces_has_the_form_of_the_whole(text: str, form: Literal["NFC", "NFKC"]) -> None:
    assert normal_form(text, form) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("letters", ["e\u0301", "か\u3099", "\u1112\u1161\u11ab"])
def test_a_long_run_without_spaces_is_joined_as_a_whole(letters: str) -> None:
    assert normal_form("x" + letters * 4_000, "NFC") == unicodedata.normalize("NFC", "x" + letters * 4_000)


def test_thousands_of_marks_on_a_letter_take_a_moment() -> None:
    started = time.process_time()
    normal_form("a" + "\u0301\u0323" * 100_000, "NFC")
    assert time.process_time() - started < 5
