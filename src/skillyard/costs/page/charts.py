"""The charts of a report page as SVG, drawn here: no script and no library is needed to read them.

Widths are in percent and heights in pixels, so a chart fits its place while its letters keep their size. Colours are classes of
``page.css``. Geometry alone is in floats: every number that can be read is in the table beneath.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from html import escape
from itertools import accumulate
from math import floor, log10

from skillyard.costs.ledger.zones import days_between
from skillyard.costs.page.data import ZERO, Budget, PageData, Retention, Savings, Spend
from skillyard.costs.page.html import name, percent, short_usd, usd
from skillyard.tiers import TIERS

HEIGHT, TOP, FOOT = 240, 14, 26
"""Of a chart with an axis, in pixels: its drawing, and the room above and below it."""
AXIS = 9.0
"""Percent of the width that the axis' numbers take."""
LABELS = 8
"""Dates under a chart, at most."""
BAR = 18
"""Height of a horizontal bar."""
MOVERS = 8
LEAST = 1e-12
"""What money is counted in."""
OTHER = "other"
"""Class of a tier that is none of ours."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to pixels or percent."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: Decimal | float) -> float:
        """Return a value's place."""
        part = (float(value) - self.low) / ((self.high - self.low) or 1.0)
        return self.start + (self.end - self.start) * part


def tier_class(tier: str) -> str:
    """Return the class of a tier's colour."""
    return tier if tier in TIERS else OTHER


def spend_chart(data: PageData) -> str:
    """Return the days of the period as bars, stacked by tier."""
    days = days_between(data.first, data.last)
    by_day: dict[date, list[Spend]] = {}
    for spend in data.spend:
        by_day.setdefault(spend.day, []).append(spend)
    tops = [float(sum(s.charged_usd for s in found if s.charged_usd > 0)) for found in by_day.values()]
    lows = [float(sum(s.charged_usd for s in found if s.charged_usd < 0)) for found in by_day.values()]
    ticks = nice_ticks(min(lows, default=0.0), max(tops, default=0.0))
    y = Scale(ticks[0], ticks[-1], HEIGHT + TOP, TOP)
    step = (100 - AXIS) / len(days)
    bars = "".join(_stack(by_day.get(day, []), AXIS + i * step + step * 0.14, step * 0.72, y) for i, day in enumerate(days))
    every = -(-len(days) // LABELS)
    dates = "".join(
        f'<text class="tick{" alternate" if i // every % 2 else ""}" x="{AXIS + (i + 0.5) * step:.3f}%" y="{HEIGHT + TOP + 18}" '
        f'text-anchor="middle">{_day(day)}</text>'
        for i, day in enumerate(days)
        if i % every == 0
    )
    label = f"Charged by day and tier, {data.first} to {data.last}"
    return _svg(HEIGHT + TOP + FOOT, label, _grid(ticks, y) + bars + dates)


def waterfall(savings: Savings) -> str:
    """Return the way from the expert tier's price to what was paid; hatched is what was modelled."""
    steps = (("routing", savings.routing_usd), ("cache", savings.cache_usd), ("batch", savings.batch_usd))
    levels = list(accumulate((-amount for _, amount in steps), initial=savings.baseline_usd))
    ticks = nice_ticks(float(min(*levels, ZERO)), float(max(*levels, ZERO)))
    y = Scale(ticks[0], ticks[-1], HEIGHT + TOP, TOP + 14)
    step = (100 - AXIS) / 5
    left = [AXIS + i * step + step * 0.16 for i in range(5)]
    wide = step * 0.68
    parts = [_column(left[0], wide, y, ZERO, savings.baseline_usd, "whole", "all on expert", usd(savings.baseline_usd))]
    for i, (word, amount) in enumerate(steps):
        parts.append(_saving(left[i + 1], wide, y, levels[i], amount, savings.measured_usd[word], word))
    parts.append(_column(left[4], wide, y, ZERO, savings.cost_usd, "paid", "paid", usd(savings.cost_usd)))
    joins = "".join(
        f'<line class="join" x1="{left[i] + wide:.3f}%" x2="{left[i + 1]:.3f}%" y1="{y.at(level):.1f}" y2="{y.at(level):.1f}"/>'
        for i, level in enumerate(levels)
    )
    hatch = (
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="hatch-back" width="6" height="6"/><rect class="hatch-line" width="2.5" height="6"/></pattern></defs>'
    )
    drawn = _svg(
        HEIGHT + TOP + 44,
        "From the price of the expert tier to what was paid",
        hatch + _grid(ticks, y) + joins + "".join(parts),
        "fall-chart",
    )
    return f'<div class="wide" tabindex=0>{drawn}</div>'


def movers_chart(rows: Sequence[tuple[str, Decimal, Decimal]]) -> str:
    """Return who rose and fell most, given name, charged and charged before."""
    moved = sorted((row for row in rows if row[1] != row[2]), key=lambda row: (-abs(row[1] - row[2]), row[0]))[:MOVERS]
    if not moved:
        return '<p class="missing">Nothing moved.</p>'
    changes = [now - before for _, now, before in moved]
    x = Scale(float(min(*changes, ZERO)), float(max(*changes, ZERO)), 0, 100)
    lines = []
    for title, now, before in moved:
        change = now - before
        bar = _bar(x, ZERO, change, "rise" if change > 0 else "fall")
        middle = f'<line class="zero" x1="{x.at(0):.3f}%" x2="{x.at(0):.3f}%" y1="0" y2="{BAR}"/>'
        said = f"{usd(change, signed=True)} <small>{percent(change, before, signed=True) if before else 'new'}</small>"
        lines.append(_line(title, _strip(bar + middle), said))
    return f'<div class="bars">{"".join(lines)}</div>'


def burn_chart(budgets: Sequence[Budget]) -> str:
    """Return each budget's month to date beside its limits, and where the month is projected to end."""
    lines = []
    for budget in budgets:
        limits = [limit for limit in (budget.soft_usd, budget.hard_usd) if limit is not None]
        x = Scale(0, float(max(budget.month_to_date_usd, budget.projected_upper_usd, *limits, Decimal("1e-12"))) * 1.02, 0, 100)
        spent = max(budget.month_to_date_usd, ZERO)
        is_over, is_warned = (limit is not None and spent >= limit for limit in (budget.hard_usd, budget.soft_usd))
        css, said = ("over", "at the hard limit") if is_over else ("warned", "above soft") if is_warned else ("calm", "")
        marks = _mark(x, budget.soft_usd, "soft") + _mark(x, budget.hard_usd, "hard")
        interval = _whisker(x, budget.projected_lower_usd, budget.projected_upper_usd, budget.projected_usd)
        limit = limits[-1] if limits else None
        part = f"{percent(spent, limit)} of {short_usd(limit)}{f', {said}' if said else ''}" if limit else "no limit"
        track = f'<rect class="track" width="100%" y="3" height="{BAR - 6}"/>'
        drawn = _strip(track + _bar(x, ZERO, spent, "spent") + interval + marks)
        lines.append(_line(budget.name, drawn, f'{usd(budget.month_to_date_usd)} <small class="{css}">{part}</small>'))
    return f'<div class="bars">{"".join(lines)}</div>'


def forecast_chart(history: Sequence[Budget]) -> str:
    """Return one budget's month: what was charged day by day, and the way to its projected end with its 80 % interval."""
    newest = history[-1]
    start = newest.day.replace(day=1)
    end = (start + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    limits = [limit for limit in (newest.soft_usd, newest.hard_usd) if limit is not None]
    near = [limit for limit in limits if limit <= newest.projected_upper_usd * 3] if newest.projected_upper_usd > 0 else limits
    top = max(newest.projected_upper_usd, newest.month_to_date_usd, *near, Decimal("1e-12"))
    x, y = Scale(0, (end - start).days + 1, 0, 100), Scale(0, float(top) * 1.04, 100, 0)

    def point(day: date, value: Decimal) -> str:
        return f"{x.at((day - start).days + 1):.2f},{y.at(value):.2f}"

    here = point(newest.day, newest.month_to_date_usd)
    past = " ".join(["0,100", *(point(budget.day, budget.month_to_date_usd) for budget in history)])
    cone = (
        ""
        if newest.day == end
        else f'<polygon class="cone" points="{here} {point(end, newest.projected_upper_usd)} {point(end, newest.projected_lower_usd)}"/>'
    )
    ahead = "" if newest.day == end else f'<polyline class="ahead" points="{here} {point(end, newest.projected_usd)}"/>'
    lines = "".join(
        f'<line class="{css}" x1="0" x2="100" y1="{y.at(limit):.2f}" y2="{y.at(limit):.2f}"/>'
        for css, limit in (("soft", newest.soft_usd), ("hard", newest.hard_usd))
        if limit is not None and limit <= top
    )
    label = f"{newest.name}: charged since {start} and projected to {end}"
    frame = f'<svg class="spark" viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
    drawn = f'{frame}{lines}{cone}{ahead}<polyline class="past" points="{past}"/></svg>'
    return (
        f'<figure class="small"><figcaption>{name(newest.name)}</figcaption>{drawn}'
        f"<p><b>{usd(newest.projected_usd)}</b> by {_day(end)}<small>80%: {short_usd(newest.projected_lower_usd)} to "
        f"{short_usd(newest.projected_upper_usd)}</small></p></figure>"
    )


def retention_chart(rows: Sequence[Retention]) -> str:
    """Return each skill's retained quality with its 95 % interval beside its target."""
    lowest = min(min(row.retained_lower, row.target) for row in rows)
    x = Scale(max(0.0, floor(lowest * 10 - 0.5) / 10), 1.0, 1, 99)
    lines = []
    middle = BAR / 2
    for row in sorted(rows, key=lambda row: (row.retained - row.target, row.skill)):
        css = "held" if row.retained_lower >= row.target else "missed" if row.retained < row.target else "open"
        low, found, high = (x.at(value) for value in (row.retained_lower, row.retained, row.retained_upper))
        drawn = (
            f'<line class="axis" x1="0" x2="100%" y1="{middle}" y2="{middle}"/>'
            f'<line class="span {css}" x1="{low:.3f}%" x2="{high:.3f}%" y1="{middle}" y2="{middle}"/>'
            f'<circle class="{css}" cx="{found:.3f}%" cy="{middle}" r="4.5"/>{_mark_at(x.at(row.target), "goal")}'
        )
        word = {"held": "held", "open": "not certain", "missed": "below target"}[css]
        said = f'<data value="{row.retained!r}">{row.retained:.1%}</data> <small class="{css}">{word}</small>'
        lines.append(_line(row.skill, _strip(drawn), said))
    return f'<div class="bars">{"".join(lines)}</div><p class="scale">Scale: {x.low:.0%} to 100%. The upright mark is the target.</p>'


def nice_ticks(low: float, high: float, n: int = 4) -> list[float]:
    """Return round values from at or below low to at or above high, 0 among them."""
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low < LEAST:
        return [0.0, 1.0]
    rough = (high - low) / n
    unit = 10.0 ** floor(log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
    return [step * i for i in range(floor(low / step + 1e-9), -floor(-high / step + 1e-9) + 1)]


def _stack(spends: Iterable[Spend], left: float, wide: float, y: Scale) -> str:
    up = down = ZERO
    drawn = []
    order = (*TIERS, OTHER)
    for spend in sorted(spends, key=lambda s: (order.index(tier_class(s.tier)), s.tier)):
        start = up if spend.charged_usd >= 0 else down
        end = start + spend.charged_usd
        up, down = (end, down) if spend.charged_usd >= 0 else (up, end)
        top, bottom = sorted((y.at(start), y.at(end)))
        title = f"{_day(spend.day)} {spend.tier}: {short_usd(spend.charged_usd)}"
        drawn.append(
            f'<rect class="{tier_class(spend.tier)}" x="{left:.3f}%" width="{wide:.3f}%" y="{top:.2f}" height="{bottom - top:.2f}">'
            f"<title>{escape(title)}</title></rect>"
        )
    return "".join(drawn)


def _grid(ticks: Sequence[float], y: Scale) -> str:
    return "".join(
        f'<line class="{"zero" if tick == 0 else "grid"}" x1="{AXIS}%" x2="100%" y1="{y.at(tick):.1f}" y2="{y.at(tick):.1f}"/>'
        f'<text class="tick" x="{AXIS - 1}%" y="{y.at(tick) + 4:.1f}" text-anchor="end">{_tick(tick)}</text>'
        for tick in ticks
    )


def _column(left: float, wide: float, y: Scale, start: Decimal, end: Decimal, css: str, word: str, said: str) -> str:
    top, bottom = sorted((y.at(start), y.at(end)))
    bar = f'<rect class="{css}" x="{left:.3f}%" width="{wide:.3f}%" y="{top:.2f}" height="{bottom - top:.2f}"/>'
    return bar + _captions(left + wide / 2, top, word, said, "")


def _captions(middle: float, top: float, word: str, said: str, basis: str) -> str:
    below = HEIGHT + TOP
    return (
        f'<text class="value" x="{middle:.3f}%" y="{top - 6:.1f}" text-anchor="middle">{_plain(said)}</text>'
        f'<text class="word" x="{middle:.3f}%" y="{below + 18}" text-anchor="middle">{word}</text>'
        f'<text class="tick" x="{middle:.3f}%" y="{below + 34}" text-anchor="middle">{basis}</text>'
    )


def _saving(left: float, wide: float, y: Scale, level: Decimal, amount: Decimal, measured: Decimal, word: str) -> str:
    """Return one step down, or up where it lost; the measured part is whole, the modelled part hatched."""
    split, end = level - measured, level - amount
    css = "gain" if amount >= 0 else "loss"
    drawn = ""
    for start, stop, fill in ((level, split, f'class="{css}"'), (split, end, f'class="{css}-line" fill="url(#hatch)"')):
        top, bottom = sorted((y.at(start), y.at(stop)))
        if bottom - top > 0:
            drawn += f'<rect {fill} x="{left:.3f}%" width="{wide:.3f}%" y="{top:.2f}" height="{bottom - top:.2f}"/>'
    basis = (
        "" if not amount else "measured" if measured == amount else "modelled" if not measured else f"{percent(measured, amount)} measured"
    )
    top = min(y.at(level), y.at(end), y.at(split))
    return drawn + _captions(left + wide / 2, top, word, short_usd(-amount, signed=True), basis)


def _plain(said: str) -> str:
    """Return an amount's text: SVG has no ``data`` element."""
    return said.partition(">")[2].partition("<")[0] if said.startswith("<data") else said


def _bar(x: Scale, start: Decimal, end: Decimal, css: str) -> str:
    left, right = sorted((x.at(start), x.at(end)))
    return f'<rect class="{css}" x="{left:.3f}%" width="{right - left:.3f}%" y="3" height="{BAR - 6}" rx="1.5"/>'


def _mark(x: Scale, value: Decimal | None, css: str) -> str:
    return "" if value is None else _mark_at(x.at(value), css)


def _mark_at(place: float, css: str) -> str:
    places = f'x1="{place:.3f}%" x2="{place:.3f}%" y1="0" y2="{BAR}"'
    return f'<line class="halo" {places}/><line class="{css}" {places}/>'


def _whisker(x: Scale, low: Decimal, high: Decimal, middle: Decimal) -> str:
    y = BAR / 2
    return (
        f'<line class="span ahead" x1="{x.at(max(low, ZERO)):.3f}%" x2="{x.at(max(high, ZERO)):.3f}%" y1="{y}" y2="{y}"/>'
        f'<circle class="ahead" cx="{x.at(max(middle, ZERO)):.3f}%" cy="{y}" r="3.5"/>'
    )


def _line(title: str, drawn: str, said: str) -> str:
    return f'<div class="bar"><span class="who">{name(title)}</span>{drawn}<span class="said">{said}</span></div>'


def _strip(inner: str) -> str:
    return f'<svg class="strip" width="100%" height="{BAR}" aria-hidden="true">{inner}</svg>'


def _svg(height: int, label: str, inner: str, css: str = "chart") -> str:
    return f'<svg class="{css}" width="100%" height="{height}" role="img" aria-label="{escape(label)}">{inner}</svg>'


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"


def _tick(value: float) -> str:
    return short_usd(Decimal(f"{value:.6g}")).removesuffix(".00") if value else "0"
