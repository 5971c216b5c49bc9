"""The bad ones: files that a reader has to refuse quickly, each with its reason.

Source of the bit layout: RFC 1951 (deflate), https://www.rfc-editor.org/rfc/rfc1951
"""

import io
import random
import struct
import zipfile
import zlib

import pikepdf

LONGEST_MATCH = 258
CODE_LENGTH_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
SAVED_AT = (2026, 3, 2, 9, 0, 0)


def broken_off(pdf: bytes) -> bytes:
    """Return what a broken download leaves of a PDF: the pages may be there, the list of pages is not."""
    return pdf[: pdf.index(b"/Type /Catalog")]


def encrypted(pdf: bytes, password: str) -> bytes:
    """Return the PDF locked with a user password (RC4: the one cipher of PDF without random bytes in the file)."""
    out = io.BytesIO()
    lock = pikepdf.Encryption(owner=password + "-owner", user=password, R=3, aes=False, metadata=False)
    with pikepdf.open(io.BytesIO(pdf)) as document:
        document.save(out, encryption=lock, static_id=True, compress_streams=False)
    return out.getvalue()


def garbage(seed: int, size_bytes: int) -> bytes:
    """Return bytes without any format."""
    return random.Random(seed).randbytes(size_bytes)


def elf(seed: int, size_bytes: int) -> bytes:
    """Return what begins like a 64-bit Linux program and holds no program."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0x1040, 64, 0, 0, 64, 56, 0, 64, 0, 0)
    return ident + header + b"\0/lib64/ld-linux-x86-64.so.2\0" + garbage(seed, size_bytes)


def pdf_bomb(n_matches: int) -> bytes:
    """Return a PDF of one page whose content inflates to n_matches times 258 bytes of drawing operators."""
    content = b"BT /F1 9 Tf 40 780 Td (Stock list, see next page) Tj ET\nq\n"
    body, _, checksum = _deflated_run(content, len(b"q\n"), n_matches, b" ")
    stream = b"\x78\xda" + body + struct.pack(">I", checksum)
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    out, offsets = b"%PDF-1.4\n", []
    for number, value in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, value)
    table = b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + table + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)


def half_docx() -> bytes:
    """Return the first half of a DOCX: an archive without its directory."""
    whole = _small_docx("<w:p><w:r><w:t>Delivery terms, second version.</w:t></w:r></w:p>" * 40 + "</w:body></w:document>")
    return whole[: len(whole) // 2]


def unclosed_docx() -> bytes:
    """Return a DOCX whose XML stops in the middle of a tag."""
    return _small_docx("<w:p><w:r><w:t>Agenda for the supplier day</w:t></w:r></w:p><w:p><w:r><w:t xml:sp")


def _small_docx(body: str) -> bytes:
    kinds = "http://schemas.openxmlformats.org/package/2006/content-types"
    links = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    words = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    part = f'<Override PartName="/word/document.xml" ContentType="{main}"/>'
    members = {
        "[Content_Types].xml": f'<Types xmlns="{kinds}"><Default Extension="rels" ContentType="application/xml"/>{part}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{links}"><Relationship Id="r1" Type="{office}" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{words}"><w:body>{body}',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name, SAVED_AT), text)
    return out.getvalue()


def docx_bomb(docx: bytes, n_matches: int) -> bytes:
    """Return the DOCX with its document.xml grown by n_matches times 258 spaces inside one paragraph."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(docx)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            member = zipfile.ZipInfo(info.filename, SAVED_AT)
            content = old.read(info)
            if info.filename != "word/document.xml":
                new.writestr(member, content, zipfile.ZIP_DEFLATED)
                continue
            before, after = content.split(b"</w:t>", 1)
            body, size_bytes, _ = _deflated_run(before + b" ", 1, n_matches, b"</w:t>" + after)
            new.writestr(member, body)
            _declare_deflated(new, member, body, size_bytes)
    return out.getvalue()


def _declare_deflated(archive: zipfile.ZipFile, member: zipfile.ZipInfo, body: bytes, size_bytes: int) -> None:
    """Correct the headers of a member that was written as it is but holds a deflate stream."""
    unpacker, checksum = zlib.decompressobj(-15), 0
    rest = body
    while rest:
        checksum = zlib.crc32(unpacker.decompress(rest, 1 << 24), checksum)
        rest = unpacker.unconsumed_tail
    member.compress_type, member.file_size, member.CRC = zipfile.ZIP_DEFLATED, size_bytes, checksum
    end = archive.fp.tell()
    archive.fp.seek(member.header_offset)
    archive.fp.write(member.FileHeader())
    archive.fp.seek(end)


def _deflated_run(before: bytes, distance: int, n_matches: int, after: bytes) -> tuple[bytes, int, int]:
    """Return a deflate stream of ``before``, its last ``distance`` bytes repeated, and ``after``; its size inflated; its Adler-32.

    The run is one block in which a match of 258 bytes costs two bits, so that a megabyte inflates to a gigabyte.
    """
    run = before[-distance:] * (LONGEST_MATCH // distance)
    checksum = zlib.adler32(before)
    for _ in range(n_matches):
        checksum = zlib.adler32(run, checksum)
    bits = _run_block(distance, n_matches) + "100"
    packed = int(bits[::-1], 2).to_bytes((len(bits) + 7) // 8, "little")
    body = b"\0" + _counted(before) + packed + _counted(after)
    return body, len(before) + len(run) * n_matches + len(after), zlib.adler32(after, checksum)


def _counted(data: bytes) -> bytes:
    """Return what follows the three head bits of a stored block: its length twice, and the bytes."""
    return struct.pack("<HH", len(data), len(data) ^ 0xFFFF) + data


def _run_block(distance: int, n_matches: int) -> str:
    """Return the bits of a block that knows three codes of one bit: end, match of 258, and this distance (1 to 4)."""
    lengths = "0" * 256 + "1" + "0" * 28 + "1" + "0" * (distance - 1) + "1"
    code_lengths = "".join("100" if symbol in (0, 1) else "000" for symbol in CODE_LENGTH_ORDER)
    head = "0" + "01" + _bits(286 - 257, 5) + _bits(distance - 1, 5) + _bits(len(CODE_LENGTH_ORDER) - 4, 4)
    return head + code_lengths + lengths + "10" * n_matches + "0"


def _bits(value: int, width: int) -> str:
    """Return a number as bits, the lowest first."""
    return f"{value:0{width}b}"[::-1]
