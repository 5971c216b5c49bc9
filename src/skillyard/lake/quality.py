"""The data docs: a static site under ``_quality/`` with the newest validation of every table.

Rendered here and not by great-expectations: its own pages load scripts, styles and pictures from a dozen hosts, and a page about
somebody's documents should open without any. No script, no request, one file a table and an index.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from skillyard.errors import StorageError
from skillyard.lake.lake import Lake

INDEX = "_quality/tables.json"
INDEX_TRIES = 20
STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1c2330}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.4rem .8rem;border-bottom:1px solid #d8dde6}
.passed{color:#1a6b3c}.failed{color:#a3261d;font-weight:600}code{font-size:13px;overflow-wrap:anywhere}"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one expectation fared."""

    expectation: str
    columns: str
    notes: str
    """The rule in a sentence, as the suite has it."""
    has_passed: bool
    n_unexpected: int
    samples: tuple[str, ...]
    """Keys and offending values of some rows."""

    def __str__(self) -> str:
        shown = f", such as {'; '.join(self.samples)}" if self.samples else ""
        return f"{self.expectation} on {self.columns} ({self.notes}): {self.n_unexpected} unexpected{shown}"


def write_docs(lake: Lake, table: str, n_rows: int, outcomes: Sequence[Outcome], at: datetime) -> str:
    """Write the table's page over its last one and its line in the index; return the page's URL."""
    page = f"{table.replace('/', '.')}.html"
    lake.storage.put(f"_quality/{page}", render_page(table, n_rows, outcomes, at).encode())
    n_failed = sum(not outcome.has_passed for outcome in outcomes)
    line = {"page": page, "at": f"{at:%Y-%m-%d %H:%M:%S} UTC", "n_rows": n_rows, "n_checks": len(outcomes), "n_failed": n_failed}
    lake.storage.put("_quality/index.html", render_index(_record(lake, table, line)).encode())
    return lake.storage.uri(f"_quality/{page}")


def render_page(table: str, n_rows: int, outcomes: Sequence[Outcome], at: datetime) -> str:
    """Return the page of one validation, failed expectations first."""
    rows = [
        f"<tr>{_state(o.has_passed)}<td>{escape(o.notes)}<br><code>{escape(o.expectation)}</code></td><td><code>{escape(o.columns)}</code></td>"
        f"<td>{o.n_unexpected}</td><td>{'<br>'.join(f'<code>{escape(sample)}</code>' for sample in o.samples)}</td></tr>"
        for o in sorted(outcomes, key=lambda o: o.has_passed)
    ]
    head = "<tr><th>outcome</th><th>rule</th><th>columns</th><th>unexpected rows</th><th>samples</th></tr>"
    intro = f'<p>{n_rows} rows, checked {at:%Y-%m-%d %H:%M:%S} UTC before they were published. <a href="index.html">All tables</a></p>'
    return _html(table, f"{intro}<table>{head}{''.join(rows)}</table>")


def render_index(tables: dict[str, Any]) -> str:
    """Return the page that leads to all of them."""
    rows = [
        f'<tr>{_state(not t["n_failed"])}<td><a href="{escape(t["page"])}">{escape(name)}</a></td><td>{t["n_checks"]}</td>'
        f"<td>{t['n_failed']}</td><td>{t['n_rows']}</td><td>{escape(t['at'])}</td></tr>"
        for name, t in sorted(tables.items())
    ]
    head = "<tr><th>outcome</th><th>table</th><th>expectations</th><th>failed</th><th>rows</th><th>checked</th></tr>"
    return _html("Data quality", f"<p>The newest validation of each table.</p><table>{head}{''.join(rows)}</table>")


def _record(lake: Lake, table: str, line: dict[str, Any]) -> dict[str, Any]:
    """Put one table's line into the list of all, whoever else does so at the same time; return the list."""
    for _ in range(INDEX_TRIES):
        found = lake.storage.head(INDEX)
        tables: dict[str, Any] = lake.read_json(INDEX) if found else {}
        tables[table] = line
        data = json.dumps(tables, sort_keys=True, indent=1).encode()
        if lake.storage.replace_if_match(INDEX, data, found.etag if found else None):
            return tables
    raise StorageError(f"{lake.storage.uri(INDEX)} was changed by others {INDEX_TRIES} times while this run tried to: try again.")


def _state(has_passed: bool) -> str:
    return '<td class="passed">passed</td>' if has_passed else '<td class="failed">failed</td>'


def _html(title: str, body: str) -> str:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{escape(title)}</h1>{body}</body></html>\n'
