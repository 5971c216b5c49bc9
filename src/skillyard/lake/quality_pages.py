"""The pages of the data docs.

Rendered here and not by great-expectations: its own pages load scripts, styles and pictures from a dozen hosts, and a page about
somebody's documents should open without any. No script, no request; light and dark as the reader's system has it.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from skillyard.lake.profiles import Run
from skillyard.lake.quality import Outcome, Record, page_of
from skillyard.lake.trends import MIN_RUNS, TRENDS

STYLE = """:root{color-scheme:light dark;--ink:#1c2330;--soft:#5b6577;--line:#d8dde6;--card:#f6f7f9;--page:#fff;
--good:#1a6b3c;--bad:#a3261d;--warn:#8a5a00;--link:#1f4fa3}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ef;--soft:#9aa4b5;--line:#333b49;--card:#1c222c;--page:#12161d;
--good:#6cc592;--bad:#f08a80;--warn:#e0b25a;--link:#8db4f5}}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1.2rem;color:var(--ink);background:var(--page)}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.1rem;margin:2rem 0 .4rem}p{color:var(--soft);margin:.3rem 0 1rem}a{color:var(--link)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.45rem .8rem .45rem 0;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:500;font-size:13px}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
code{font:13px ui-monospace,monospace;color:var(--soft)}.samples code{overflow-wrap:anywhere}
.passed{color:var(--good)}.failed{color:var(--bad);font-weight:600}.warned{color:var(--warn);font-weight:600}.none{color:var(--soft)}
.strip a{text-decoration:none}.sums{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}
.sums div{background:var(--card);border-radius:8px;padding:.6rem 1.1rem;min-width:6rem}
.sums b{display:block;font-size:1.4rem;font-variant-numeric:tabular-nums}.sums span{color:var(--soft);font-size:13px}
svg{display:block}svg .line{fill:none;stroke:var(--link);stroke-width:1.5}svg .dot{fill:var(--link)}svg .out{fill:var(--bad)}
svg .bound{stroke:var(--soft);stroke-dasharray:3 3}summary{cursor:pointer;color:var(--soft);margin:1rem 0}"""
WIDTH, HEIGHT, MARGIN = 180, 34, 4


def render_page(record: Record, runs: Sequence[Run], history: Sequence[Mapping[str, Any]]) -> str:
    """Return the page of one validation: what failed, the run beside earlier ones, all rules, the validations before."""
    run = f" of the run <code>{escape(record.run_id)}</code>" if record.run_id else ""
    intro = (
        f'<p><a href="index.html">All tables</a> · {record.n_rows:,} rows{run}, checked {record.at:%Y-%m-%d %H:%M:%S} UTC, before they '
        f"were published. {_verdict(record)}</p>"
    )
    return _html(record.table, intro + _sums(record) + _values(record) + _trends(record, runs) + _history(record, history))


def render_index(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the page that leads to all of them."""
    rows = [
        f'<tr>{_line_state(lines[0])}<td><a href="{escape(page_of(name))}">{escape(name)}</a></td><td class="n">{lines[0]["n_checks"]}</td>'
        f'<td class="n">{lines[0]["n_blocking"]}</td><td class="n">{lines[0]["n_warning"]}</td><td class="n">{lines[0]["n_rows"]:,}</td>'
        f'<td>{escape(lines[0]["at"])}</td><td class="strip">{_strip(lines)}</td></tr>'
        for name, lines in sorted(tables.items())
    ]
    head = _head("outcome", "table", "#checks", "#blocking", "#warnings", "#rows", "checked", "last validations")
    intro = "<p>The newest validation of each table: a check that blocks keeps rows from being published, one that warns is only said.</p>"
    return _html("Data quality", f'{intro}<div class="wide"><table>{head}{"".join(rows)}</table></div>')


def sparkline(values: Sequence[float], bound: float | None = None, is_out: bool = False) -> str:
    """Return the values as a small drawing, the newest marked, the bound dashed."""
    top = max([*values, bound or 0.0, 0.0]) or 1.0
    places = [(_across(i, len(values)), _height(value, top)) for i, value in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dashed = f'<line class="bound" x1="0" x2="{WIDTH}" y1="{(y := _height(bound, top)):.1f}" y2="{y:.1f}"/>' if bound is not None else ""
    x, y = places[-1]
    title = f"<title>{escape(', '.join(_number(value) for value in values))}</title>"
    drawn = (
        f'{dashed}<polyline class="line" points="{line}"/><circle class="{"out" if is_out else "dot"}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    )
    return f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{title}{drawn}</svg>'


def _values(record: Record) -> str:
    """Return the rules about values, broken ones first, the others folded away where any is broken."""
    values = [outcome for outcome in record.outcomes if outcome.expectation not in TRENDS]
    broken = sorted((outcome for outcome in values if not outcome.has_passed), key=lambda outcome: outcome.severity)
    held = [outcome for outcome in values if outcome.has_passed]
    shown = f"<h2>Broken rules</h2>{_rules(broken)}" if broken else ""
    if held:
        shown += f"<details{'' if broken else ' open'}><summary>{len(held)} rules hold</summary>{_rules(held)}</details>"
    return shown


def _trends(record: Record, runs: Sequence[Run]) -> str:
    """Return the section that sets the run beside those before it."""
    known = next((n for n, run in enumerate(runs) if run.run_id == record.run_id), None)
    if known is None:
        return ""
    upto, found = runs[: known + 1], {(o.expectation, o.columns): o for o in record.outcomes if o.expectation in TRENDS}
    rows = []
    for check, column, series in _series(upto):
        outcome = found.get((check, column))
        bound = outcome.bound if outcome else None
        state = _state(outcome) if outcome else '<td class="none">not compared</td>'
        drawn = sparkline(series, bound, outcome is not None and not outcome.has_passed)
        rows.append(
            f"<tr>{state}<td>{escape(TRENDS[check])}<br><code>{escape(check)}</code></td><td><code>{escape(column)}</code></td>"
            f'<td class="n">{_number(series[-1])}</td><td class="n">{"" if bound is None else _number(bound)}</td><td>{drawn}</td>'
            f"<td>{escape(outcome.samples[0]) if outcome and outcome.samples else ''}</td></tr>"
        )
    head = _head("outcome", "rule", "column", "#this run", "#bound", f"last {len(upto)} runs", "found")
    intro = f"<p>Compared once {MIN_RUNS} earlier runs were published, and where there are rows enough.</p>"
    return f'<h2>Beside the runs before</h2>{intro}<div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _series(runs: Sequence[Run]) -> list[tuple[str, str, list[float]]]:
    """Return check, column and the values of the runs, for everything the last run has a number for."""
    profiles = [run.profile for run in runs]
    series = [("row_count", "", [float(profile.n_rows) for profile in profiles])]
    for name in profiles[-1].shares:
        check, _, column = name.partition(" ")
        series.append((check, column, [n / of for n, of in (p.shares.get(name, (0, 0)) for p in profiles) if of]))
    for column in profiles[-1].labels:
        for check in ("label_distribution", "new_labels"):
            series.append((check, column, [run.measured[key] for run in runs if (key := f"{check} {column}") in run.measured]))
    return [one for one in series if one[2]]


def _history(record: Record, lines: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for line in lines:
        link = f'<a href="{escape(line["page"])}">{escape(line["at"])}</a>{" · this one" if line["page"] == record.page else ""}'
        counts = "".join(f'<td class="n">{line[name]:,}</td>' for name in ("n_rows", "n_checks", "n_blocking", "n_warning"))
        rows.append(f"<tr>{_line_state(line)}<td>{link}</td><td><code>{escape(line['run_id'] or '')}</code></td>{counts}</tr>")
    head = _head("outcome", "checked", "run", "#rows", "#checks", "#blocking", "#warnings")
    return f'<h2>Last validations</h2><div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _rules(outcomes: Sequence[Outcome]) -> str:
    head = _head("outcome", "rule", "columns", "#unexpected rows", "samples")
    return f'<div class="wide"><table>{head}{"".join(map(_rule, outcomes))}</table></div>'


def _rule(o: Outcome) -> str:
    samples = "<br>".join(f"<code>{escape(sample)}</code>" for sample in o.samples)
    value = "" if o.value is None else f"{_number(o.value)} found<br>"
    return (
        f"<tr>{_state(o)}<td>{escape(o.notes)}<br><code>{escape(o.expectation)}</code></td><td><code>{escape(o.columns)}</code></td>"
        f'<td class="n">{o.n_unexpected:,}</td><td class="samples">{value}{samples}</td></tr>'
    )


def _sums(record: Record) -> str:
    n_passed = sum(outcome.has_passed for outcome in record.outcomes)
    sums = (
        ("rows", record.n_rows),
        ("checks passed", n_passed),
        ("failed, blocking", record.n_failed("block")),
        ("failed, warning", record.n_failed("warn")),
    )
    return f'<div class="sums">{"".join(f"<div><b>{n:,}</b><span>{word}</span></div>" for word, n in sums)}</div>'


def _verdict(record: Record) -> str:
    if record.n_failed("block"):
        return '<span class="failed">They were not published.</span>'
    if not record.is_published:
        return '<span class="failed">They were not published: another table of the same publish was refused.</span>'
    return (
        '<span class="warned">Published, with warnings.</span>' if record.n_failed("warn") else '<span class="passed">All is well.</span>'
    )


def _strip(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return a table's last validations as marks, oldest first, each leading to its page."""
    marks = (
        f'<a class="{kind}" title="{escape(line["at"])}: {kind}" href="{escape(line["page"])}">■</a>'
        for line in reversed(lines)
        for kind in [_kind(line)]
    )
    return "".join(marks)


def _state(outcome: Outcome) -> str:
    if outcome.has_passed:
        return '<td class="passed">passed</td>'
    return '<td class="failed">blocks</td>' if outcome.severity == "block" else '<td class="warned">warns</td>'


def _line_state(line: Mapping[str, Any]) -> str:
    return f'<td class="{_kind(line)}">{_kind(line)}</td>'


def _kind(line: Mapping[str, Any]) -> str:
    return "failed" if line["n_blocking"] else "warned" if line["n_warning"] else "passed"


def _head(*names: str) -> str:
    """Return a table's head; a name that begins with # stands over numbers."""
    cells = (f'<th class="n">{escape(name[1:])}</th>' if name.startswith("#") else f"<th>{escape(name)}</th>" for name in names)
    return f"<tr>{''.join(cells)}</tr>"


def _across(number: int, of: int) -> float:
    return MARGIN + (WIDTH - 2 * MARGIN) * (number / (of - 1) if of > 1 else 1.0)


def _height(value: float, top: float) -> float:
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * value / top


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def _html(title: str, body: str) -> str:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{escape(title)}</h1>{body}</body></html>\n'
