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


def slow_html() -> bytes:
    """Return a web page of 5 MB whose main text takes ten seconds to find."""
    return f"<html><body>{'<p>The harbour of Northwick opens at nine.</p>' * 100_000}</body></html>".encode()


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


def msg(subject: str, body: str, attachments: dict[str, bytes], inside: tuple[str, str] | None = None) -> bytes:
    """Return an Outlook message; ``inside`` is subject and body of a message attached to it."""

    def text(value: str) -> bytes:
        return value.encode("utf-16-le")

    def properties(subject: str, body: str) -> dict[str, bytes]:
        sender = {"0C1A001F": text("Ada Quill"), "5D01001F": text("ada@example.com"), "0E04001F": text("office@example.org")}
        found = {"0037001F": text(subject), "1000001F": text(body), **sender}
        return {f"__substg1.0_{tag}": value for tag, value in found.items()}

    sent = bytes(4) + (0x00390040).to_bytes(4, "little") + bytes(4) + (0x01DC4C27A3F1C000).to_bytes(8, "little")
    root: dict = {"__properties_version1.0": bytes(32) + sent[4:], **properties(subject, body)}
    for number, (name, data) in enumerate(attachments.items()):
        root[f"__attach_version1.0_#{number:08X}"] = {"__substg1.0_3707001F": text(name), "__substg1.0_37010102": data}
    if inside:
        root["__attach_version1.0_#000000FF"] = {"__substg1.0_3001001F": text(inside[0]), "__substg1.0_3701000D": properties(*inside)}
    return ole(root)


def ole(root: dict) -> bytes:
    """Return a compound file of these streams (bytes) and storages (dicts), padded to 4 KiB: shorter ones would be kept apart."""
    sectors: list[bytes] = []
    fat: list[int] = []
    entries: list[list] = []

    def put(data: bytes) -> int:
        start = len(sectors)
        n = -(-len(data) // 512)
        sectors.extend(data[at * 512 : (at + 1) * 512].ljust(512, b"\0") for at in range(n))
        fat.extend([*range(start + 1, start + n), 0xFFFFFFFE])
        return start

    def add(name: str, content: dict | bytes) -> int:
        number = len(entries)
        entries.append([name, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0])  # name, type, next sibling, first child, start, size
        if isinstance(content, bytes):
            data = content if len(content) >= 4096 else content.ljust(4096, b"\0")
            entries[number][1], entries[number][4], entries[number][5] = 2, put(data), len(data)
            return number
        above = None
        for key, value in content.items():
            child = add(key, value)
            if above is None:
                entries[number][3] = child
            else:
                entries[above][2] = child
            above = child
        return number

    add("Root Entry", root)
    entries[0][1], entries[0][4] = 5, 0xFFFFFFFE
    directory = b"".join(
        name.encode("utf-16-le").ljust(64, b"\0") + bytes([2 * len(name) + 2, 0, kind, 1]) + b"\xff" * 4
        + b"".join(number.to_bytes(4, "little") for number in (following, child, *[0] * 9, start, size, 0))
        for name, kind, following, child, start, size in entries
    )  # fmt: skip
    start = put(directory)
    n_fat = -(-(len(fat) + len(fat) // 100 + 8) // 128)
    tables = range(len(sectors), len(sectors) + n_fat)
    fat += [0xFFFFFFFD] * n_fat
    table = b"".join(value.to_bytes(4, "little") for value in fat).ljust(512 * n_fat, b"\xff")
    numbers = (n_fat, start, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + b"\x3e\0\x03\0\xfe\xff\x09\0\x06\0" + bytes(10)
    head += b"".join(value.to_bytes(4, "little") for value in numbers)
    head += b"".join(value.to_bytes(4, "little") for value in tables).ljust(436, b"\xff")
    return head + b"".join(sectors) + table
