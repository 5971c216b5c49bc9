"""A report page as a reader of its HTML finds it, and as a real browser makes it."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    # Not even the browser itself finds anybody; the test's own server is reached by its number.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
VOID = {"meta", "img", "br", "link", "input", "hr"}


@dataclass
class Cell:
    """One cell of a table: what is read, and the exact value behind it."""

    text: str = ""
    value: str | None = None


@dataclass
class Dom(HTMLParser):
    """The parts of a page that tests look at."""

    tables: dict[str, list[list[Cell]]] = field(default_factory=dict)
    tiles: list[Cell] = field(default_factory=list)
    """Headline figures."""
    data: dict[str, Any] = field(default_factory=dict)
    """The embedded JSON."""
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    title: str = ""
    said: list[Cell] = field(default_factory=list)
    """Every ``data`` element."""

    def __post_init__(self) -> None:
        """Begin to read."""
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        self._sheet: str | None = None
        self._cell: Cell | None = None
        self._json = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in VOID:
            self._open.append(tag + ("#data" if found.get("id") == "data" else ""))
        if tag == "table":
            self._sheet = found.get("data-sheet")
            if self._sheet:
                self.tables[self._sheet] = []
        elif tag == "tr" and self._sheet:
            self.tables[self._sheet].append([])
        elif tag == "td" and self._sheet:
            self._cell = Cell()
            self.tables[self._sheet][-1].append(self._cell)
        elif tag == "b" and "dl" in self._open:
            self._cell = Cell()
            self.tiles.append(self._cell)
        elif tag == "data":
            self.said.append(Cell("", found.get("value")))
            if self._cell is not None:
                self._cell.value = found.get("value")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "b"):
            self._cell = None
        if tag == "table":
            self._sheet = None
        is_open = bool(self._open) and self._open[-1].split("#")[0] == tag
        if is_open and self._open.pop() == "script#data":
            self.data = json.loads(self._json)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script#data":
            self._json += data
        elif self._open and self._open[-1] == "title" and "svg" not in self._open:
            self.title += data
        elif not (self._open and self._open[-1] in ("style", "script")):
            self.texts.append(data)
        if self._cell is not None:
            self._cell.text += data
        if "data" in self._open:
            self.said[-1].text += data

    def rows(self, sheet: str) -> list[list[Cell]]:
        """Return a table's rows without its head."""
        return [row for row in self.tables[sheet] if row]


def parse(page: str) -> Dom:
    """Return a page read."""
    dom = Dom()
    dom.feed(page)
    return dom


def browse(page: Path, *options: str, folder: Path) -> str:
    """Return the document as the browser has made it, its scripts run; what it complains of stands in ``complaints.txt`` of the folder."""
    assert BROWSER
    words = [BROWSER, *OPTIONS, f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=2000", *options]
    ended = subprocess.run([*words, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=100, check=True)
    (folder / "complaints.txt").write_text(
        "\n".join(line for line in ended.stderr.splitlines() if re.search("CONSOLE|Refused|Policy", line))
    )
    return ended.stdout


def photograph(page: Path, to: Path, *options: str, size: str = "1200,900", query: str = "", folder: Path) -> None:
    """Write a picture of the page."""
    assert BROWSER
    words = [BROWSER, *OPTIONS, f"--user-data-dir={folder / 'profile'}", f"--window-size={size}", f"--screenshot={to}", *options]
    subprocess.run([*words, page.as_uri() + query], capture_output=True, timeout=100, check=True)
