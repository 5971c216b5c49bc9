from pathlib import Path

import pytest

from skillyard.skills.words import find_words, fold

LIST = """
asks:
  en: [pay now, gift card*]
  fr: [réglez]
  ja: [支払い]
"""


@pytest.fixture
def words(tmp_path: Path) -> Path:
    file = tmp_path / "words.yaml"
    file.write_text(LIST, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Please PAY\n now.", {"pay now"}),
        ("two gift cards", {"gift card"}),
        ("Reglez, RÉGLEZ!", {"reglez"}),
        ("お支払いください", {"支払い"}),
        ("p\u200bay now", {"pay now"}),
    ],
)
def test_a_word_is_found_whatever_its_case_accents_spaces_and_endings(words: Path, text: str, found: set[str]) -> None:
    assert find_words(words, fold(text)) == {"asks": found}


@pytest.mark.parametrize("text", ["", "repay now", "pay nowhere", "agift card"])
def test_a_word_within_another_one_is_none(words: Path, text: str) -> None:
    assert find_words(words, fold(text)) == {}
