"""What counts as a jump of unit costs: an accepted result that costs more than on the days before, or than under the last version."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from skillyard.costs.anomalies.anomaly import Anomaly
from skillyard.costs.anomalies.rules import LEAST_SCORE, LEAST_TIMES, LEAST_USD, score_of

UNIT_DAYS, LEAST_UNIT_DAYS = 28, 5
"""Days before that a day's unit cost is compared with, and the fewest of them."""
LEAST_RESULTS = 20
"""Of a day that is compared: the mean of fewer says little."""
UNIT_SPREAD = 0.05
"""Least standard deviation of a unit cost, as a part of the usual one."""
VERSION_DAYS, LEAST_VERSION_RESULTS, VERSION_TIMES = 7, 50, 1.25
"""A version is new for so many days; both need so many results; and the new one has to cost so many times the other."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Unit:
    """What was charged, and the accepted results it made."""

    usd: Decimal = Decimal(0)
    n_results: int = 0

    @property
    def each(self) -> float:
        return float(self.usd) / self.n_results

    def __add__(self, other: "_Unit") -> "_Unit":
        return _Unit(self.usd + other.usd, self.n_results + other.n_results)


def find_unit_jumps(rows: Iterable[Row], day: date) -> list[Anomaly]:
    """Return the skills whose accepted result cost far more on the day than on the days before; rows of ``unit_costs`` up to the day."""
    by_scope: dict[tuple[str, str], dict[date, _Unit]] = defaultdict(lambda: defaultdict(_Unit))
    for row in rows:
        by_scope[row["team"], row["skill"]][row["usage_date"]] += _unit(row)
    found = []
    for scope, days in sorted(by_scope.items()):
        today = days.get(day, _Unit())
        before = [u.each for on, u in days.items() if 0 < (day - on).days <= UNIT_DAYS and u.n_results >= LEAST_RESULTS and u.usd > 0]
        if today.n_results >= LEAST_RESULTS and len(before) >= LEAST_UNIT_DAYS and (anomaly := _jump(day, scope, today, before)):
            found.append(anomaly)
    return found


def find_version_jumps(rows: Iterable[Row], day: date) -> list[Anomaly]:
    """Return the skills whose new version costs more per accepted result than the one before it; told once per version."""
    by_scope: dict[tuple[str, str], dict[str, dict[date, _Unit]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(_Unit)))
    for row in rows:
        by_scope[row["team"], row["skill"]][row["fingerprint"]][row["usage_date"]] += _unit(row)
    return [a for scope, versions in sorted(by_scope.items()) if (a := _version_jump(day, scope, versions)) is not None]


def _unit(row: Row) -> _Unit:
    return _Unit(row["direct_usd"] + row["waste_usd"] + row["allocated_usd"], row["n_results"])


def _jump(day: date, scope: tuple[str, str], today: _Unit, before: Sequence[float]) -> Anomaly | None:
    usual, _ = score_of(today.each, before, 0.0)
    _, score = score_of(today.each, before, UNIT_SPREAD * usual)
    excess = (today.each - usual) * today.n_results
    if score < LEAST_SCORE or today.each < LEAST_TIMES * max(usual, sorted(before)[-2]) or excess < LEAST_USD:
        return None
    team, skill = scope
    message = (
        f"An accepted result of {skill} ({team}) cost {today.each:.6f} USD, {today.each / usual:.1f} times the usual {usual:.6f} "
        f"of {len(before)} days, over {today.n_results} results. A dearer tier, longer documents, fewer cached answers? See "
        "`skillyard cost report --by tier`."
    )
    numbers = {"charged_usd": today.usd, "n_results": today.n_results, "n_days": len(before)}
    return Anomaly(
        "unit_cost", day, "warn", message, team=team, skill=skill, value=today.each, expected=usual, score=score, numbers=numbers
    )


def _version_jump(day: date, scope: tuple[str, str], versions: Mapping[str, Mapping[date, _Unit]]) -> Anomaly | None:
    """Compare the newest version, if it works on the day and is new, with the one that made results most recently before it."""
    began = {fingerprint: min(days) for fingerprint, days in versions.items()}
    new = max(began, key=lambda fingerprint: (began[fingerprint], fingerprint))
    earlier = {
        f: max(on for on in days if on < began[new])
        for f, days in versions.items()
        if f != new and any(on < began[new] and u.n_results for on, u in days.items())
    }
    if day not in versions[new] or (day - began[new]).days >= VERSION_DAYS or not earlier:
        return None
    old = max(earlier, key=lambda fingerprint: (earlier[fingerprint], fingerprint))
    now = sum(versions[new].values(), _Unit())
    then = sum((u for on, u in versions[old].items() if on < began[new] and (began[new] - on).days <= UNIT_DAYS), _Unit())
    if min(now.n_results, then.n_results) < LEAST_VERSION_RESULTS or then.usd <= 0 or now.each < VERSION_TIMES * then.each:
        return None
    if (now.each - then.each) * now.n_results < LEAST_USD:
        return None
    team, skill = scope
    message = (
        f"The new version {new[:8]} of {skill} ({team}) costs {now.each:.6f} USD per accepted result, {now.each / then.each:.2f} times the "
        f"{then.each:.6f} of {old[:8]} before it. Is it worth it? `skillyard skills eval {skill}` says what it is better at."
    )
    numbers = {"fingerprint": new, "before": old, "n_results": now.n_results, "n_results_before": then.n_results}
    return Anomaly(
        "unit_cost_version", day, "warn", message, team=team, skill=skill, value=now.each, expected=then.each, numbers=numbers, lasting=new
    )
