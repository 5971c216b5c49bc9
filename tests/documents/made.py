"""Small documents of every kind, good and bad, made on the spot."""

import io
import zipfile
import zlib

TEXT = "The harbour office of Northwick opens at nine. Visitors are kindly asked to leave their boats at the eastern pier."
GERMAN = "Das Hafenamt von Nordwick öffnet um neun Uhr. Besucher werden gebeten, ihre Boote am östlichen Anleger zu lassen."

SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    '<row r="1"><c r="A1" t="inlineStr"><is><t>{0}</t></is></c><c r="B1" t="inlineStr"><is><t>Amount</t></is></c></row>'
    '<row r="2"><c r="A2" t="inlineStr"><is><t>Rope</t></is></c><c r="B2"><v>{1}</v></c></row></sheetData></worksheet>'
)
RELATIONS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{0}</Relationships>'
RELATION = '<Relationship Id="rId{0}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{1}" Target="{2}"/>'


def pdf(*pages: str, title: str = "", password: str = "") -> bytes:
    """Return a PDF with one text line a page; an empty text makes a blank page."""
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, encrypt=StandardEncryption(password) if password else None, invariant=1)
    canvas.setTitle(title)
    for text in pages:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(72, 700, text)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def raw_pdf(*objects: bytes) -> bytes:
    """Return a PDF of these numbered objects, the first its catalogue, without a cross-reference table: readers rebuild that."""
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, value) for number, value in enumerate(objects, start=1))
    return b"%PDF-1.4\n" + body + b"trailer\n<< /Root 1 0 R /Size %d >>\n%%%%EOF\n" % (len(objects) + 1)


def slow_pdf() -> bytes:
    """Return a PDF whose page tree claims a million pages and contains itself: asking for each takes over a second."""
    return raw_pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 1000000 /Kids [2 0 R] >>")


def flate_bomb_pdf(size_mb: int = 300) -> bytes:
    """Return a PDF whose one page is drawn by a stream of spaces that unpacks to so many MiB."""
    squeeze = zlib.compressobj(9)
    stream = b"".join(squeeze.compress(b" " * 1024**2) for _ in range(size_mb)) + squeeze.flush()
    return raw_pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream),
    )


def docx(*paragraphs: str, title: str = "") -> bytes:
    """Return a DOCX whose first paragraph is a heading."""
    from docx import Document

    document = Document()
    document.core_properties.title = title
    for number, text in enumerate(paragraphs):
        document.add_heading(text) if number == 0 else document.add_paragraph(text)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def pptx(*slides: str) -> bytes:
    """Return a PPTX with a title on each slide."""
    from pptx import Presentation

    deck = Presentation()
    for text in slides:
        deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = text
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def xlsx(**sheets: str) -> bytes:
    """Return a workbook with one small table a sheet: the sheet's value is an amount."""
    names = list(sheets)
    numbers = range(1, len(names) + 1)
    overrides = "".join(
        f'<Override PartName="/xl/{part}.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.{kind}+xml"/>'
        for part, kind in [("workbook", "sheet.main"), *((f"worksheets/sheet{n}", "worksheet") for n in numbers)]
    )
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(names, start=1))
    files = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>' + overrides + "</Types>",
        "_rels/.rels": RELATIONS.format(RELATION.format(1, "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
        'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": RELATIONS.format(
            "".join(RELATION.format(n, "worksheet", f"worksheets/sheet{n}.xml") for n in numbers)
        ),
    }
    files |= {f"xl/worksheets/sheet{n}.xml": SHEET.format(name, sheets[name]) for n, name in enumerate(names, start=1)}
    return archive(files)


def archive(files: dict[str, str | bytes]) -> bytes:
    """Return a zip of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return out.getvalue()


def zip_bomb_docx() -> bytes:
    """Return a DOCX whose body is 64 MiB of spaces in 64 KiB."""
    return archive({"[Content_Types].xml": "<Types/>", "word/document.xml": b" " * (64 * 1024**2)})


def png() -> bytes:
    """Return an image of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = (1).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")


def html(body: str, head: str = "") -> bytes:
    """Return a page with navigation around its article."""
    nav = "<nav><ul><li><a href='/'>Home</a></li><li><a href='/cart'>Cart</a></li></ul></nav>"
    return f"<!doctype html><html><head>{head}</head><body>{nav}<article>{body}</article></body></html>".encode()


def eml(body: str, subject: str = "Boats at the pier", kind: str = "plain") -> bytes:
    """Return a message."""
    from email.message import EmailMessage

    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ada Quill <ada@example.com>", "office@example.org", subject
    message["Date"], message["Message-ID"] = "Mon, 02 Nov 2026 09:00:00 +0000", "<1@example.com>"
    message.set_content(body, subtype=kind)
    return message.as_bytes()
