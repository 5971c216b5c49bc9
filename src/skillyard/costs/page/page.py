"""The cost report as one HTML file: it asks no network for anything, opens from the lake or a mail, light and dark, and prints.

Its policy (CSP) allows the style and the script that stand in it and nothing else, so a name in a table can do nothing but be read.
"""

import json
from base64 import b64encode
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from html import escape
from importlib.resources import files

from skillyard.costs.page.charts import (
    burn_chart,
    forecast_chart,
    movers_chart,
    retention_chart,
    spend_chart,
    tier_class,
    waterfall,
)
from skillyard.costs.page.data import Bill, Budget, PageData
from skillyard.costs.page.html import Sheet, count, details, legend, missing, name, percent, section, short_usd, usd
from skillyard.costs.page.sheets import make_sheets
from skillyard.tiers import TIERS

MOST_FORECASTS = 12
"""Budgets whose forecast is drawn, the largest first; the table has all."""
EXACT = "The figures, exact"
WORDS = (
    ("charged", "direct + waste + allocated: what a row has to bear. Its sum over all rows is that of the cost."),
    ("cost", "what the settled calls cost, a provider's corrections included: direct + waste + shared."),
    ("direct", "bought answers that were used."),
    ("waste", "bought answers that were not: repeated after a failed check, escalated, or of an item that ended as a reject."),
    ("shared", "serves many: routing, audits, judges, evals, corrections. It comes back to the rows as allocated."),
    ("unknown", "calls whose outcome is not known; what is reserved for them is the most they can have cost, and in no sum."),
    ("measured", "seen on real calls; modelled: computed from tokens and prices, never paid."),
)


def render_page(data: PageData) -> str:
    """Return the whole page."""
    sheets = make_sheets(data)
    style, script = _asset("page.css"), _asset("page.js")
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    title = f"Cost report, {_period(data.first, data.last)}"
    sections = (_spend, _savings, _movers, _bills, _burn, _forecast, _retention, _findings, _units)
    body = _header(data) + _headline(data, sheets) + "".join(make(data, sheets) for make in sections) + _footer()
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>{body}</main>"
        f'<script type="application/json" id="data">{_embedded(data, sheets.values())}</script><script>{script}</script></body></html>\n'
    )


def _header(data: PageData) -> str:
    days = (data.last - data.first).days + 1
    return (
        f'<header><div><p class="eyebrow">Skillyard cost report</p><h1>{_period(data.first, data.last)}</h1>'
        f'<p class="lead">{days} {"day" if days == 1 else "days"} in <bdi>{escape(data.zone)}</bdi>, beside the {days} before. '
        f"Made {data.made_at:%Y-%m-%d %H:%M} UTC.</p></div>"
        f'<button id="scheme" type="button" hidden>Dark</button></header>'
    )


def _headline(data: PageData, sheets: dict[str, Sheet]) -> str:
    total = data.total
    change = f"{usd(total.change_usd, signed=True)} ({percent(total.change_usd, total.before_usd, signed=True)}) on the period before"
    if not total.before_usd:
        change = "nothing in the period before"
    tiles = [("Charged", usd(total.charged_usd), change)]
    if saved := data.savings:
        parts = ", ".join(
            f"{word} {short_usd(amount)}"
            for word, amount in (("routing", saved.routing_usd), ("cache", saved.cache_usd), ("batch", saved.batch_usd))
        )
        tiles.append(("Saved", usd(saved.saved_usd), f"{percent(saved.saved_usd, saved.baseline_usd)} of all on expert: {parts}"))
    tiles.append(
        ("Waste", usd(total.waste_usd), f"{percent(total.waste_usd, total.cost_usd)} of the cost bought answers that were not used")
    )
    tiles.append(("Unknown", usd(total.unknown_reserved_usd), f"reserved by {_counted(total.n_unknown, 'call')} of unknown outcome"))
    if data.retention:
        lowest = min(data.retention, key=lambda row: (row.retained, row.skill))
        held = sum(row.retained >= row.target for row in data.retention)
        shown = f'<data value="{lowest.retained!r}">{lowest.retained:.1%}</data>'
        tiles.append(
            ("Quality kept, lowest", shown, f"{name(lowest.skill)}; {held} of {len(data.retention)} audited skills reach their target")
        )
    tiles.append(("Calls", count(total.n_calls), f"and {_counted(total.n_cached, 'answer')} from the cache"))
    shown_tiles = "".join(f"<div><dt>{word}</dt><dd><b>{value}</b><span>{said}</span></dd></div>" for word, value, said in tiles)
    return f'<dl class="tiles">{shown_tiles}</dl>{details(EXACT, sheets["total"].as_html("The whole period"))}'


def _spend(data: PageData, sheets: dict[str, Sheet]) -> str:
    lead = f"Charged by day and tier; days in <bdi>{escape(data.zone)}</bdi>."
    if not data.spend:
        return section("spend", "Spend", lead, missing("There are no calls in these days.", "skillyard run SKILL"))
    tiers = sorted({spend.tier for spend in data.spend}, key=lambda tier: (TIERS.index(tier) if tier in TIERS else len(TIERS), tier))
    marks = legend((tier_class(tier), tier) for tier in tiers)
    return section("spend", "Spend", lead, marks, spend_chart(data), details(EXACT, sheets["spend"].as_html("Charged by day and tier")))


def _savings(data: PageData, sheets: dict[str, Sheet]) -> str:
    lead = (
        "What the same work would have cost with everything sent live to the expert tier, and what it did cost. "
        "Hatched is modelled, whole is measured."
    )
    if data.savings is None:
        text = "No savings have been computed for these days."
        return section("savings", "Savings", lead, missing(text, f"skillyard cost report --from {data.first} --to {data.last}"))
    aside = ""
    if data.savings.unpriced_usd:
        aside = (
            f'<p class="note">{usd(data.savings.unpriced_usd)} of the cost has no baseline, for want of a price of the expert tier, '
            "and is left out here.</p>"
        )
    note = '<p class="note">Corrections of a provider’s bill are in no row of the savings.</p>'
    table = details(EXACT, sheets["savings"].as_html("From the baseline to the cost"))
    return section("savings", "Savings", lead, waterfall(data.savings), aside, note, table)


def _movers(data: PageData, sheets: dict[str, Sheet]) -> str:
    before = _period(data.first_before, data.first - timedelta(days=1))
    charts = "".join(
        f"<div><h3>{title}</h3>{movers_chart(_moved(data.of(kind)))}</div>" for kind, title in (("team", "Teams"), ("skill", "Skills"))
    )
    lead = f"Who is charged more or less than in the period before ({before})."
    return section(
        "movers", "Top movers", lead, f'<div class="pair">{charts}</div><p class="scale">All teams and skills stand in the bill below.</p>'
    )


def _bills(data: PageData, sheets: dict[str, Sheet]) -> str:
    tables = "".join(
        details(f"By {kind} ({len(sheets[kind].rows)})", sheets[kind].as_html(f"The bill by {kind}"))
        for kind in ("team", "skill", "tier", "model", "purpose")
    )
    return section("bill", "The bill", "Every grouping adds up to the same sum, to the last decimal.", tables)


def _burn(data: PageData, sheets: dict[str, Sheet]) -> str:
    lead = (
        "The month to date in UTC days beside its soft and hard limit; the dot and its line are the projected month end and its "
        "80% interval."
    )
    newest = _newest(data)
    if not newest:
        return section("burn", "Budgets", lead, _no_budgets())
    marks = legend(
        [
            ("spent", "month to date"),
            ("soft", "soft limit"),
            ("hard", "hard limit"),
            ("ahead", "projected"),
        ]
    )
    table = details(EXACT, sheets["budgets"].as_html("The month day by day, by team and by skill (*: all of the team's)"))
    shown = [b for b in newest if b.soft_usd is not None or b.hard_usd is not None or (b.skill == "*" and b.projected_upper_usd > 0)]
    return section("burn", f"Budgets on {newest[0].day}", lead, marks, burn_chart(shown), table)


def _forecast(data: PageData, sheets: dict[str, Sheet]) -> str:
    lead = "Charged since the first of the month, and where it is going. The shaded cone is the 80% interval."
    teams = sorted((b for b in _newest(data) if b.skill == "*" and b.projected_upper_usd > 0), key=lambda b: (-b.projected_usd, b.team))
    if not teams:
        return section("forecast", "Forecast", lead, _no_budgets())
    history = {team.team: [b for b in data.budgets if (b.team, b.skill) == (team.team, "*")] for team in teams[:MOST_FORECASTS]}
    charts = f'<div class="smalls">{"".join(map(forecast_chart, history.values()))}</div>'
    columns = ("tomorrow_usd", "tomorrow_lower_usd", "tomorrow_upper_usd")
    rows = "".join(
        f"<tr><td>{name(b.name)}</td>{''.join(f'<td class=n>{usd(getattr(b, column))}</td>' for column in columns)}</tr>" for b in teams
    )
    head = "<tr><th scope=col>team</th><th scope=col class=n>tomorrow</th><th scope=col class=n>from</th><th scope=col class=n>to</th></tr>"
    table = f'<h3>The day after {teams[0].day}</h3><div class="wide" tabindex=0><table>{head}{rows}</table></div>'
    marks = legend([("spent", "charged"), ("soft", "soft limit"), ("hard", "hard limit")])
    note = '<p class="scale">The exact figures stand in the table of the budgets.</p>'
    return section("forecast", "Forecast", lead, marks, charts, table, note)


def _retention(data: PageData, sheets: dict[str, Sheet]) -> str:
    lead = "The share of the expert tier’s quality that each skill keeps, as its audits show, with its 95% interval."
    if not data.retention:
        return section("retention", "Quality kept", lead, missing("No audits in the last 30 days.", "skillyard quality audit SKILL"))
    return section(
        "retention", "Quality kept", lead, retention_chart(data.retention), details(EXACT, sheets["retention"].as_html("Retained quality"))
    )


def _findings(data: PageData, sheets: dict[str, Sheet]) -> str:
    lead = "What is wrong, and nobody has acknowledged it." + (
        f" {data.n_acknowledged} more are acknowledged." if data.n_acknowledged else ""
    )
    if not data.findings:
        return section(
            "findings",
            "Anomalies",
            lead,
            '<p class="missing">None is open. The nightly DAG <code>cost_attribution</code> looks for them.</p>',
        )
    items = "".join(
        f'<li class="{"alert" if f.severity == "alert" else "warn"}"><p><b>{name(f.severity)}</b> {name(f.kind)} · {f.day}'
        f"{''.join(f' · {name(part)}' for part in (f.team, f.skill, f.model) if part != '*')}</p><p>{name(f.message)}</p></li>"
        for f in data.findings
    )
    table = details("As a table", sheets["findings"].as_html("Open anomalies"))
    return section("findings", f"Anomalies ({len(data.findings)} open)", lead, f'<ul class="findings">{items}</ul>', table)


def _units(data: PageData, sheets: dict[str, Sheet]) -> str:
    lead = "What was charged, divided by what it made, by version of a skill. Documents and pages count once a UTC day."
    if not data.units:
        text = "No unit costs have been computed for these days."
        return section("units", "Unit costs", lead, missing(text, f"skillyard cost report --from {data.first} --to {data.last}"))
    return section("units", "Unit costs", lead, sheets["units"].as_html("Unit costs by skill and version"))


def _footer() -> str:
    words = "".join(f"<dt>{word}</dt><dd>{escape(said)}</dd>" for word, said in WORDS)
    note = "Amounts in USD. Charts and headlines are rounded; tables and the page’s JSON are exact."
    return f"<footer><h2>Words</h2><dl>{words}</dl><p>{note}</p></footer>"


def _no_budgets() -> str:
    return missing("No night has looked at the budgets of these days yet: the DAG cost_attribution does.", "skillyard cost anomalies")


def _newest(data: PageData) -> list[Budget]:
    newest = max((budget.day for budget in data.budgets), default=None)
    return sorted((b for b in data.budgets if b.day == newest), key=lambda b: (b.team, b.skill != "*", b.skill))


def _counted(n: int, word: str) -> str:
    return f"{count(n)} {word}{'' if n == 1 else 's'}"


def _moved(bills: Iterable[Bill]) -> list[tuple[str, Decimal, Decimal]]:
    return [(bill.name, bill.charged_usd, bill.before_usd) for bill in bills]


def _period(first: date, last: date) -> str:
    if first == last:
        return f"{last.day} {last:%B %Y}"
    start = f"{first.day}" if (first.year, first.month) == (last.year, last.month) else f"{first.day} {first:%B}"
    return f"{start}{f' {first.year}' if first.year != last.year else ''} – {last.day} {last:%B %Y}"


def _embedded(data: PageData, sheets: Iterable[Sheet]) -> str:
    """Return the page's numbers as JSON that nothing in it can end."""
    value = {
        "from": data.first.isoformat(),
        "to": data.last.isoformat(),
        "from_before": data.first_before.isoformat(),
        "timezone": data.zone,
        "made_at": data.made_at.isoformat(),
        "sheets": {sheet.name: sheet.as_json() for sheet in sheets},
    }
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _asset(file: str) -> str:
    return files("skillyard.costs.page").joinpath(file).read_text("utf-8")


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
