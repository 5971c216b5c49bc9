"""Writes the Word files of the cases of extract-docx-text: ``python samples/case_files/extract_docx_text.py``."""

import io
import sys
from pathlib import Path
from typing import Any

from docx import Document
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "include" / "skills" / "extract-docx-text" / "evals" / "files"
SAID = 'w:author="Marta Kovač" w:date="2026-03-02T10:15:00Z"'


def main() -> None:
    """Write every file."""
    FILES.mkdir(parents=True, exist_ok=True)
    for name, make in (("ferry-charter.docx", ferry), ("pausenordnung.docx", rules), ("empty-form.docx", Document)):
        (FILES / name).write_bytes(saved(make()))
    (FILES / "half-a-charter.docx").write_bytes((FILES / "ferry-charter.docx").read_bytes()[:2500])


def ferry() -> Any:
    """Return a draft with a comment, tracked changes, a merged cell, a content control, a header and a text box."""
    document = Document()
    document.add_heading("Charter of the ferry Lysbet", 0)
    document.add_heading("Price and term", 1)
    paragraph = document.add_paragraph("The charter fee is ")
    run = paragraph.add_run("GBP 4,200 a day")
    paragraph.add_run(", due every ")
    paragraph._p.append(change("del", '<w:delText xml:space="preserve">month</w:delText>'))
    paragraph._p.append(change("ins", "<w:t>fortnight</w:t>"))
    paragraph.add_run(".")
    document.add_comment(run, "Too low: the last charter was 4,900.", author="Idris Bello", initials="IB")
    for comment in document.part._comments_part.element:
        comment.set("{http://schemas.openxmlformats.org/wordprocessingml/2006/main}date", "2026-03-02T09:00:00Z")
    table = document.add_table(3, 3)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "Route"
    table.cell(1, 0).merge(table.cell(2, 0)).text = "Summer"
    for row, column, text in ((0, 2, "Crossings"), (1, 1, "Norrhamn"), (1, 2, "14"), (2, 1, "Skerry"), (2, 2, "6")):
        table.cell(row, column).text = text
    document.add_paragraph("Fuel is at the charterer's cost.", style="List Number")
    document.element.body.insert(-1, parse_xml(CONTROL))
    document.element.body.insert(-1, parse_xml(BOX))
    document.sections[0].header.paragraphs[0].text = "Draft 3, not binding"
    return document


def rules() -> Any:
    """Return a German house rule whose heading has a style that Word itself has translated, and one moved sentence."""
    document = Document()
    style = document.styles["Heading 2"]
    style.element.set("{http://schemas.openxmlformats.org/wordprocessingml/2006/main}styleId", "berschrift2")
    document.add_paragraph("Pausenordnung der Werkhalle", style="Heading 2")
    moved = document.add_paragraph()
    moved._p.append(change("moveFrom", "<w:t>Rauchen ist nur im Hof erlaubt.</w:t>"))
    document.add_paragraph("Die Mittagspause dauert 45 Minuten.")
    moved = document.add_paragraph()
    moved._p.append(change("moveTo", "<w:t>Rauchen ist nur im Hof erlaubt.</w:t>"))
    return document


def change(kind: str, content: str) -> Any:
    """Return a run that is inserted, deleted or moved."""
    return parse_xml(f'<w:{kind} {nsdecls("w")} w:id="90" {SAID}><w:r>{content}</w:r></w:{kind}>')


CONTROL = (
    f"""<w:sdt {nsdecls("w")}><w:sdtContent><w:p><w:r><w:t>Port of delivery: Norrhamn, quay 2</w:t></w:r></w:p></w:sdtContent></w:sdt>"""
)
BOX = f"""<w:p {nsdecls("w")}><w:r><w:t>See the plan.</w:t></w:r><w:r><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:textbox>
<w:txbxContent><w:p><w:r><w:t>Lifeboats are checked before each crossing.</w:t></w:r></w:p></w:txbxContent>
</v:textbox></v:shape></w:pict></w:r></w:p>"""


def saved(document: Any) -> bytes:
    """Return the document's bytes, the same each time."""
    sys.path.insert(0, str(ROOT / "samples"))
    from rendering.word import SAVED_AT, repacked

    document.core_properties.created = document.core_properties.modified = SAVED_AT
    relations = document.part.package.rels
    for key in [key for key, relation in relations.items() if relation.reltype.endswith("/thumbnail")]:
        del relations[key]  # a picture of the empty template
    out = io.BytesIO()
    document.save(out)
    return repacked(out.getvalue())


if __name__ == "__main__":
    main()
