"""Each kind of document is read into pages."""

import pytest

from skillyard.documents import Parsed, parse_document
from skillyard.documents.kinds.content import plain_pages
from tests.documents import made
from tests.documents.made import GERMAN, TEXT


def parsed(data: bytes, name: str) -> Parsed:
    result = parse_document(data, name)
    assert isinstance(result, Parsed), result
    return result


def test_a_pdf_gives_one_row_a_page_with_title_and_language():
    result = parsed(made.pdf(TEXT, GERMAN, TEXT, title="Harbour rules"), "rules.pdf")
    assert (result.kind, result.mime_type, result.title, result.language) == ("pdf", "application/pdf", "Harbour rules", "en")
    assert [page.page_no for page in result.pages] == [1, 2, 3]
    assert [page.language for page in result.pages] == ["en", "de", "en"]
    assert [page.text for page in result.pages] == [TEXT, GERMAN, TEXT]
    assert all(page.n_chars == len(page.text) and page.parser == "pypdfium2" for page in result.pages)


def test_a_pdf_page_that_shows_nothing_is_no_text_and_one_that_shows_a_little_text_is_text():
    result = parsed(made.pdf(TEXT, "", "p. 3"), "scan.pdf")
    assert [(page.status, page.text) for page in result.pages] == [("text", TEXT), ("no_text", ""), ("text", "p. 3")]


def test_a_pdf_behind_other_bytes_is_found():
    assert parsed(b"HTTP/1.1 200 OK\r\n\r\n" * 200 + made.pdf(TEXT), "download.bin").pages[0].text == TEXT


def test_a_pdf_title_that_names_the_program_or_nothing_is_replaced_by_the_first_line():
    assert parsed(made.pdf("Rules of the eastern harbour", title="untitled"), "a.pdf").title == "Rules of the eastern harbour"
    assert parsed(made.pdf(TEXT, title="Microsoft Word - Rules"), "a.pdf").title == "Rules"


def test_a_docx_is_one_page_of_markdown():
    result = parsed(made.docx("Rules of the harbour", TEXT, "Price: 12.50 (net) + 3.00!"), "rules.docx")
    assert (result.kind, result.title, result.language) == ("docx", "Rules of the harbour", "en")
    assert TEXT in result.pages[0].text and "Price: 12.50 (net) + 3.00!" in result.pages[0].text


def test_a_docx_without_text_has_a_page_without_text():
    result = parsed(made.docx(), "blank.docx")
    assert [(page.status, page.n_chars) for page in result.pages] == [("no_text", 0)]


def test_a_workbook_gives_one_page_a_sheet():
    result = parsed(made.xlsx(March="41.5", April="7"), "stock.xlsx")
    assert result.kind == "xlsx"
    assert [page.text.splitlines()[0] for page in result.pages] == ["## March", "## April"]
    assert "| Rope | 41.5 |" in result.pages[0].text and "| Rope | 7 |" in result.pages[1].text


def test_a_presentation_gives_one_page_a_slide():
    result = parsed(made.pptx("Harbour plans", "Costs of the new pier"), "plans.pptx")
    assert (result.kind, result.title) == ("pptx", "Harbour plans")
    assert [page.text for page in result.pages] == ["# Harbour plans", "# Costs of the new pier"]


def test_html_gives_its_main_text_without_navigation():
    result = parsed(made.html(f"<h1>Harbour rules</h1><p>{TEXT}</p><p>{TEXT[::-1]}</p>", "<title>Rules</title>"), "rules.html")
    assert (result.kind, result.mime_type) == ("html", "text/html")
    assert TEXT in result.pages[0].text and "Cart" not in result.pages[0].text
    assert result.title


def test_html_tables_keep_their_rows():
    rows = "".join(f"<tr><td><p>Rope {n}</p></td><td><p>{n}.50</p></td></tr>" for n in range(1, 5))
    text = parsed(made.html(f"<p>{TEXT}</p><table><tr><th>Item</th><th>Price</th></tr>{rows}</table>"), "t.html").pages[0].text
    assert TEXT in text
    assert all(f"| Rope {n} | {n}.50 |" in text for n in range(1, 5))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-2"])
def test_html_is_read_in_its_own_encoding(encoding: str):
    page = f"<!doctype html><html><head><meta charset='{encoding}'></head><body><p>Zażółć gęślą jaźń. {TEXT}</p></body></html>"
    assert "Zażółć gęślą jaźń" in parsed(page.encode(encoding), "a.html").pages[0].text


def test_a_message_begins_with_its_headers_and_prefers_plain_text():
    result = parsed(made.eml(TEXT), "boats.eml")
    heads = "Subject: Boats at the pier\nFrom: Ada Quill <ada@example.com>\nTo: office@example.org\nDate: Mon, 02 Nov 2026 09:00:00 +0000"
    assert (result.kind, result.mime_type, result.title) == ("eml", "message/rfc822", "Boats at the pier")
    assert result.pages[0].text == f"{heads}\n\n{TEXT}"


def test_a_message_in_html_only_is_read_as_html():
    text = parsed(made.eml(f"<html><body><p>{TEXT}</p></body></html>", kind="html"), "boats.eml").pages[0].text
    assert text.endswith(TEXT) and "<p>" not in text


def test_a_message_of_parts_in_several_encodings_is_a_message():
    japanese = "港湾事務所は九時に開きます。訪問者は東の桟橋に船を置いてください。"
    head = b"From: a@example.com\nSubject: =?iso-2022-jp?B?GyRCOUEbKEI=?=\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    parts = [("iso-2022-jp", japanese.encode("iso2022_jp")), ("utf-8", GERMAN.encode()), ("windows-1252", GERMAN.encode("cp1252"))]
    body = b"".join(b"--b\nContent-Type: text/plain; charset=%s\n\n%s\n" % (name.encode(), data) for name, data in parts)
    result = parsed(head + body + b"--b--\n", "a.eml")
    assert (result.kind, result.title) == ("eml", "港")
    assert result.pages[0].text.endswith(f"{japanese}\n\n{GERMAN}\n\n{GERMAN}")


def test_a_message_whose_stated_encoding_is_wrong_is_read_all_the_same():
    data = (
        b"From: a@example.com\nSubject: x\nContent-Type: text/plain; charset=klingon\nContent-Transfer-Encoding: 8bit\n\n" + GERMAN.encode()
    )
    assert GERMAN in parsed(data, "x.eml").pages[0].text


@pytest.mark.parametrize(("name", "kind", "title"), [("a.txt", "txt", TEXT), ("a.md", "md", TEXT), ("a.csv", "csv", None)])
def test_text_is_kept_as_it_is(name: str, kind: str, title: str | None):
    result = parsed(TEXT.encode(), name)
    assert (result.kind, result.title, result.pages[0].text, result.pages[0].status) == (kind, title, TEXT, "text")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "utf-32"])
def test_text_is_decoded_from(encoding: str):
    assert parsed(GERMAN.encode(encoding), "a.txt").pages[0].text == GERMAN


def test_text_in_cyrillic_and_japanese_encodings_is_decoded():
    russian = "Портовое управление открывается в девять часов. Посетителей просят оставлять лодки у восточного причала. " * 3
    japanese = "港湾事務所は九時に開きます。訪問者は東の桟橋に船を置いてください。よろしくお願いいたします。" * 3
    assert parsed(russian.encode("cp1251"), "a.txt").pages[0].text == russian.strip()
    for encoding in ("shift_jis", "iso2022_jp", "euc_jp"):
        assert parsed(japanese.encode(encoding), "a.txt").pages[0].text == japanese


def test_text_holds_no_character_that_a_table_cannot():
    assert parsed(TEXT.encode() + b"\x07\r\nfour\x0c", "a.txt").pages[0].text == f"{TEXT}\nfour"


def test_equal_bytes_have_one_id_whatever_their_name():
    assert parsed(made.pdf(TEXT), "a.pdf").doc_id == parsed(made.pdf(TEXT), "copies/b.txt").doc_id


def test_a_further_kind_is_one_registered_reader(monkeypatch: pytest.MonkeyPatch):
    from skillyard.documents import kinds

    monkeypatch.setattr(kinds, "READERS", dict(kinds.READERS))
    kinds.register_reader("poem", lambda data, options: kinds.Content(plain_pages([data.decode()], "by eye")))
    assert kinds.READERS["poem"](b"Roses", kinds.ReadOptions()).pages == plain_pages(["Roses"], "by eye")
