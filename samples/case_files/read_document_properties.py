"""Writes the made files of read-document-properties' cases; the others there are copies from the inbox."""

import io
import zipfile
from pathlib import Path

import pikepdf
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

ROOT = Path(__file__).parents[2]
FILES = ROOT / "include" / "skills" / "read-document-properties" / "evals" / "files"
DAY = (2026, 3, 2, 9, 0, 0)
PROPERTIES = (
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/">'
    "<dc:title>Umbau der Werkhalle</dc:title><dc:creator>Ines Böttcher</dc:creator><cp:lastModifiedBy>Rolf Adler</cp:lastModifiedBy>"
    "<cp:keywords>Umbau; Halle 3</cp:keywords><dcterms:created>2026-02-11T08:30:00+01:00</dcterms:created>"
    "<dcterms:modified>2026-02-27T16:05:00Z</dcterms:modified></cp:coreProperties>"
)


def main() -> None:
    """Write each file."""
    for name, data in {"umbau.pptm": slides(), "open-but-protected.pdf": protected(), "pier.jpg": photograph()}.items():
        (FILES / name).write_bytes(data)


def slides() -> bytes:
    """Return three slides without shapes, with a program in the file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in {
            "[Content_Types].xml": "<Types/>",
            "ppt/presentation.xml": "<presentation/>",
            **{f"ppt/slides/slide{number}.xml": "<sld/>" for number in (1, 2, 3)},
            "ppt/vbaProject.bin": "a program",
            "docProps/core.xml": PROPERTIES,
        }.items():
            archive.writestr(zipfile.ZipInfo(name, DAY), text)
    return out.getvalue()


def protected() -> bytes:
    """Return a PDF that anybody can open and nobody may print."""
    out = io.BytesIO()
    lock = pikepdf.Encryption(owner="harbour", user="", R=3, aes=False, metadata=False, allow=pikepdf.Permissions(print_lowres=False))
    with pikepdf.open(ROOT / "samples" / "inbox" / "bad" / "really-a-pdf.txt") as document:
        document.docinfo["/Author"] = "(anonymous)"
        document.docinfo["/CreationDate"] = "D:20260302101500+01'00'"
        document.save(out, encryption=lock, static_id=True, compress_streams=False)
    return out.getvalue()


def photograph() -> bytes:
    """Return a small picture that says when and where it was taken, and not in which time zone."""
    exif = Image.Exif()
    exif[0x010E], exif[0x0131], exif[0x013B] = "Pier at low tide", "Shutterbox 2.1", "M. Okafor"
    exif.get_ifd(0x8769)[0x9003] = "2026:02:27 14:03:55"
    place = exif.get_ifd(0x8825)
    place[1], place[3] = "N", "W"
    place[2], place[4] = ((IFDRational(54), IFDRational(30), IFDRational(0)), (IFDRational(3), IFDRational(15), IFDRational(36)))
    out = io.BytesIO()
    Image.new("RGB", (48, 32), (90, 120, 140)).save(out, "JPEG", exif=exif)
    return out.getvalue()


if __name__ == "__main__":
    main()
