"""Writes the made files of convert-to-markdown's cases; the others there are copies from the inbox."""

import io
import zipfile
from pathlib import Path

FILES = Path(__file__).parents[2] / "include" / "skills" / "convert-to-markdown" / "evals" / "files"
DAY = (2026, 3, 2, 9, 0, 0)
TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" {0}/>{1}</Types>'
RELATION_TYPE = 'ContentType="application/vnd.openxmlformats-package.relationships+xml"'
OVERRIDE = '<Override PartName="/{0}" ContentType="application/vnd.openxmlformats-officedocument.{1}+xml"/>'
RELATIONS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{0}</Relationships>'
RELATION = '<Relationship Id="r{0}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{1}" Target="{2}"/>'
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def main() -> None:
    """Write each file."""
    (FILES / "reviewed-terms.docx").write_bytes(packed(reviewed_terms()))
    (FILES / "stock.xlsx").write_bytes(packed(stock()))


def reviewed_terms() -> dict[str, str]:
    """Return a document with a tracked change, a comment, a header and an image beside it."""
    text = (
        f"<w:document {WORD}><w:body><w:p><w:r><w:t>The hire begins on</w:t></w:r>"
        '<w:del w:id="1" w:author="M. Soto"><w:r><w:delText xml:space="preserve"> Monday</w:delText></w:r></w:del>'
        '<w:ins w:id="2" w:author="M. Soto"><w:r><w:t xml:space="preserve"> Wednesday</w:t></w:r></w:ins>'
        "<w:r><w:t>, 4 March 2026.</w:t></w:r></w:p></w:body></w:document>"
    )
    return {
        "[Content_Types].xml": TYPES.format(RELATION_TYPE, OVERRIDE.format("word/document.xml", "wordprocessingml.document.main")),
        "_rels/.rels": RELATIONS.format(RELATION.format(1, "officeDocument", "word/document.xml")),
        "word/document.xml": text,
        "word/comments.xml": f"<w:comments {WORD}/>",
        "word/header1.xml": f"<w:hdr {WORD}/>",
        "word/media/image1.png": "no picture",
    }


def stock() -> dict[str, str]:
    """Return a workbook of two sheets, the second hidden."""
    rows = (
        '<row r="1"><c r="A1" t="inlineStr"><is><t>{0}</t></is></c><c r="B1" t="inlineStr"><is><t>Pieces</t></is></c></row>'
        '<row r="2"><c r="A2" t="inlineStr"><is><t>Rope | 12 m</t></is></c><c r="B2"><v>{1}</v></c></row>'
    )
    sheets = {
        f"xl/worksheets/sheet{number}.xml": f'<worksheet xmlns="{SHEET}"><sheetData>{rows.format(name, amount)}</sheetData></worksheet>'
        for number, (name, amount) in enumerate((("Article", 40), ("Old article", 7)), 1)
    }
    parts = OVERRIDE.format("xl/workbook.xml", "spreadsheetml.sheet.main") + "".join(
        OVERRIDE.format(name, "spreadsheetml.worksheet") for name in sheets
    )
    book = (
        f'<workbook xmlns="{SHEET}" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>'
        '<sheet name="Stock" sheetId="1" r:id="r1"/><sheet name="Before" sheetId="2" state="hidden" r:id="r2"/></sheets></workbook>'
    )
    return {
        "[Content_Types].xml": TYPES.format(RELATION_TYPE, parts),
        "_rels/.rels": RELATIONS.format(RELATION.format(1, "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": book,
        "xl/_rels/workbook.xml.rels": RELATIONS.format(
            "".join(RELATION.format(number, "worksheet", name.removeprefix("xl/")) for number, name in enumerate(sheets, 1))
        ),
        **sheets,
    }


def packed(files: dict[str, str]) -> bytes:
    """Return a zip archive of these files, each of one day."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, DAY), text)
    return out.getvalue()


if __name__ == "__main__":
    main()
