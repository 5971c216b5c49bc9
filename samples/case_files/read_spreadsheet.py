"""Writes the spreadsheets of the cases of read-spreadsheet: ``python samples/case_files/read_spreadsheet.py``."""

import datetime as dt
import io
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

from openpyxl import Workbook

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "include" / "skills" / "read-spreadsheet" / "evals" / "files"


def main() -> None:
    """Write every file."""
    FILES.mkdir(parents=True, exist_ok=True)
    for name, make in (("fleet-costs.xlsx", fleet), ("far-apart.xlsx", far_apart), ("blank.xlsx", Workbook)):
        (FILES / name).write_bytes(saved(make()))
    (FILES / "inventaire-cave.ods").write_bytes(cellar(CONTENT))
    (FILES / "unclosed.ods").write_bytes(cellar(CONTENT.replace("</table:table>", "</table:tabel>")))
    (FILES / "lagerliste.csv").write_bytes(STOCK.encode("cp1252"))
    (FILES / "no-header.csv").write_text(PLAIN, encoding="utf-8")
    (FILES / "half.xlsx").write_bytes((FILES / "fleet-costs.xlsx").read_bytes()[:2000])


def fleet() -> Any:
    """Return a workbook with a title above its header, columns of every type and a hidden sheet with years as header."""
    book = Workbook()
    sheet = book.active
    sheet.title = "Trips"
    sheet.append(["Fleet costs, first quarter"])
    sheet.append([])
    sheet.append(["Van", "Day", "Km", "Fuel EUR", "Own driver", "Left at", "Remark"])
    sheet.append(["BX-104", dt.date(2026, 1, 12), 182, 41.5, True, dt.time(6, 45), None])
    sheet.append(["BX-220", dt.date(2026, 1, 13), 95, 20, False, dt.time(7, 0), "tyre changed"])
    sheet.append(["BX-104", dt.date(2026, 2, 2), 310, 69.25, True, dt.time(5, 30), 12])
    years = book.create_sheet("By year")
    years.append(["Depot", 2023, 2024, 2025])
    years.append(["Norrhamn", 10400, 11250, 9800])
    years.append(["Skerry", 7300, 7100.5, 8020])
    years.sheet_state = "hidden"
    return book


def far_apart() -> Any:
    """Return a sheet in whose last possible cell somebody has left a mark."""
    book = Workbook()
    book.active.append(["Key", "Door"])
    book.active.append([7, "cellar"])
    book.active["XFD1048576"] = "x"
    return book


def cellar(content: str) -> bytes:
    """Return an ODS sheet, written by hand."""
    rows = [("Vin", "Bouteilles"), ("Clos du Moulin 2019", 12), ("Côte des Saules 2021", 30)]
    cells = "".join(f"<table:table-row>{''.join(map(cell, row))}</table:table-row>" for row in rows)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in (("mimetype", ODS), ("META-INF/manifest.xml", MANIFEST), ("content.xml", content.format(cells))):
            archive.writestr(zipfile.ZipInfo(name, (2026, 3, 2, 9, 0, 0)), text)
    return out.getvalue()


def cell(value: str | int) -> str:
    """Return one cell of an ODS sheet."""
    kind = 'office:value-type="string"' if isinstance(value, str) else f'office:value-type="float" office:value="{value}"'
    return f"<table:table-cell {kind}><text:p>{value}</text:p></table:table-cell>"


def saved(book: Any) -> bytes:
    """Return the workbook's bytes, the same each time."""
    sys.path.insert(0, str(ROOT / "samples"))
    from rendering.word import repacked

    out = io.BytesIO()
    book.save(out)
    return repacked(undated(out.getvalue()))


def undated(data: bytes) -> bytes:
    """Return the archive with the time of saving, which openpyxl sets itself, as a fixed one."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, re.sub(rb"\d{4}-\d\d-\d\dT[\d:]{8}Z", b"2026-03-02T09:00:00Z", part) if "core.xml" in name else part)
    return out.getvalue()


ODS = "application/vnd.oasis.opendocument.spreadsheet"
URN = "urn:oasis:names:tc:opendocument:xmlns"
MANIFEST = f"""<manifest:manifest xmlns:manifest="{URN}:manifest:1.0">
<manifest:file-entry manifest:full-path="/" manifest:media-type="{ODS}"/></manifest:manifest>"""
CONTENT = f"""<?xml version="1.0" encoding="UTF-8"?>
<office:document-content xmlns:office="{URN}:office:1.0" xmlns:table="{URN}:table:1.0" xmlns:text="{URN}:text:1.0">
<office:body><office:spreadsheet><table:table table:name="Cave">{{}}</table:table></office:spreadsheet></office:body>
</office:document-content>"""
STOCK = """Artikel-Nr;Bezeichnung;Bestand;Preis;Gezählt am
00412;Türgriff, rund;140;12,50;2026-01-30
00977;Schließzylinder;8;1.034,00;2026-01-30
10033;Scharnier "groß";0;3,20;2026-01-31
"""
PLAIN = """Ana,14,2026-02-01
Ben,9,2026-02-01
Ana,11,2026-02-02
"""

if __name__ == "__main__":
    main()
