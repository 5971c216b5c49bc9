"""What text files state of their encoding, and the registered names."""

import pytest

from skillyard.documents.charsets import iana_name, stated_encoding


@pytest.mark.parametrize(
    ("head", "stated"),
    [
        (b'<?xml version="1.0" encoding="Shift_JIS"?>', "shift_jis"),
        (b"<html><head><META http-equiv=content-type content='text/html; charset=koi8-r'>", "koi8-r"),
        (b'@charset "windows-1252";', "cp1252"),
        (b"The charset = of this note is never stated.", None),
        (b"<meta charset=punycode>", None),
        (b"<meta charset=no-such-thing>", None),
    ],
)
def test_a_file_states_an_encoding_only_where_it_is_one_of_texts(head: bytes, stated: str | None) -> None:
    assert stated_encoding(head) == stated


def test_names_are_the_registered_ones() -> None:
    names = ["cp1252", "iso8859_2", "utf-8-sig", "ascii", "iso2022_jp", "euc_kr", "shift_jis"]
    assert [iana_name(name) for name in names] == ["windows-1252", "iso-8859-2", "utf-8", "us-ascii", "iso-2022-jp", "euc-kr", "shift_jis"]
