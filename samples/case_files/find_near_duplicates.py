"""Makes the archives of the cases of find-near-duplicates again: ``python samples/case_files/find_near_duplicates.py``."""

import io
import zipfile
from pathlib import Path

FILES = Path(__file__).resolve().parents[2] / "include" / "skills" / "find-near-duplicates" / "evals" / "files"
THEN = (2026, 3, 2, 12, 0, 0)
LETTER = (
    "Dear {name}, on {day} our technician inspected the heating of your building and found it in good order. The pressure was raised "
    "to one and a half bar, two valves in the cellar were greased, and the filter of the pump was cleaned. Nothing has to be done "
    "before the next inspection, which takes place in spring. If a radiator stays cold, please let the air out first and call us when"
    " that does not help. The bill for the inspection follows by post."
)
BRIEF = (
    "Sehr geehrte Frau {name}, am {day} haben wir die Heizung Ihres Hauses geprüft und in gutem Zustand gefunden. Der Druck wurde "
    "erhöht, zwei Ventile im Keller wurden gefettet und der Filter der Pumpe gereinigt. Vor der nächsten Prüfung im Frühjahr ist "
    "nichts zu tun. Bleibt ein Heizkörper kalt, entlüften Sie ihn bitte zuerst."
)
OTHER = (
    "Minutes of the garden club. The board met in the shed and talked about the hedge along the lane. It was decided to plant "
    "hornbeam instead of thuja, because it keeps its leaves over the winter and feeds the birds. The plants are ordered in September,"
    " everybody brings a spade on the second Saturday of October."
)


def zipped(members: dict[str, bytes]) -> bytes:
    """Return a ZIP of one time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for path, data in members.items():
            file.writestr(zipfile.ZipInfo(path, THEN), data)
    return out.getvalue()


def html(text: str) -> bytes:
    """Return a text as a page."""
    return f"<html><body><p>{text}</p></body></html>".encode()


if __name__ == "__main__":
    ana, tom = (LETTER.format(name=name, day=day) for name, day in (("Ms Rivers", "4 March"), ("Mr Okafor", "5 March")))
    made = {
        "letters.zip": {"ana.txt": ana.encode(), "tom.html": html(tom), "garden.txt": OTHER.encode()},
        "briefe.zip": {
            f"{name}.txt": BRIEF.format(name=name, day=day).encode() for name, day in (("Berg", "4. März"), ("Lindt", "9. März"))
        },
        "short.zip": {"a.txt": b"Out of office.", "b.txt": b"out of  OFFICE", "c.txt": b"Out of order."},
        "half.zip": {"whole.txt": ana.encode(), "half.txt": ana[: len(ana) // 2].encode()},
        "nothing.zip": {"empty.txt": b" \n", "inner.zip": zipped({"ana.txt": ana.encode()})},
    }
    for name, members in made.items():
        (FILES / name).write_bytes(zipped(members))
