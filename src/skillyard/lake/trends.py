"""A run beside the runs before it: how many rows, how often null, which labels, which languages.

Each rule compares with the last runs of the same table, is wide enough for their own spread (median absolute deviation) and for the
chance of small samples, and is silent before there are five of them: a check that cries wolf is switched off by its readers.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.expectations import Suite
from skillyard.lake.flatten import column_at

N_RUNS = 10
"""A run is compared with so many before it."""
MIN_RUNS = 5
"""Nothing is said before there are so many."""
MIN_ROWS = 100
"""Shares and mixes of fewer rows are not compared."""
ROWS_KEPT = 0.5
"""A run of fewer than this part of the median run's rows is a drop."""
PSI_BOUND = 0.25
"""Source: https://scholarworks.wmich.edu/dissertations/3208 (the population stability index and its rule: above 0.25 it has changed)."""
PSI_CHANCE = 3.719
"""Normal quantile of one in 10,000: what sampling alone reaches that rarely is no shift."""
RARE = 0.01
"""Labels with a smaller share count as one: single rows would decide otherwise."""
NEW_LABELS = 0.05
"""Share of values that earlier runs never had."""
SHARE_EFFECT = 0.1
"""A share that moves less is left alone, however certain the move is."""
SHARE_Z = 4.0
"""Standard errors by which two shares have to differ."""
SPREADS = 3.5
"""Robust standard deviations. Source: https://www.itl.nist.gov/div898/handbook/eda/section3/eda35h.htm (the modified z-score's bound)."""
ROW_SPREADS = 6.0
"""The same for row counts, which vary more than they seem to over a few runs."""
MAD_TO_SD = 1.4826
TRENDS = {
    "row_count": "no fewer rows than the runs before let expect",
    "null_share": "null about as often as in the runs before",
    "status_share": "no more rows of this status than in the runs before",
    "reject_share": "no more items without a result than in the runs before",
    "label_distribution": "its values are mixed as in the runs before (population stability index)",
    "new_labels": "hardly any value that no run before had",
}
"""The checks and their rules."""
TRACKED = {"documents": Suite(labels=("kind", "language"), is_counted=False), "pages": Suite(is_counted=False)}
"""Tables of ingestion that are compared, and their vocabularies."""
STATUSES = {"documents": ("rejected",), "pages": ("no_text", "ocr_unavailable", "unreadable")}
"""Statuses that should stay as rare as they are."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A run's rows of one table in numbers; two profiles of one run add up."""

    n_rows: int = 0
    shares: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By check and column (``null_share total``): how many, of how many."""
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By column: values and how often they occur; nulls are not among them."""

    def __add__(self, other: "Profile") -> "Profile":
        shares = {name: [self.shares.get(name, (0, 0)), other.shares.get(name, (0, 0))] for name in {**self.shares, **other.shares}}
        labels = {
            name: dict(Counter(self.labels.get(name, {})) + Counter(other.labels.get(name, {}))) for name in {**self.labels, **other.labels}
        }
        return Profile(self.n_rows + other.n_rows, {n: (a[0] + b[0], a[1] + b[1]) for n, (a, b) in shares.items()}, labels)

    @classmethod
    def load(cls, value: Mapping[str, Any]) -> "Profile":
        """Return it as it was kept in JSON."""
        return cls(value["n_rows"], {name: (n, of) for name, (n, of) in value["shares"].items()}, value["labels"])


@dataclass(frozen=True, slots=True)
class Finding:
    """One number of a run and the bound it may not cross."""

    check: str
    column: str
    value: float
    bound: float
    has_passed: bool
    message: str


def profile_of(table: str, rows: pa.Table, suite: Suite) -> Profile:
    """Return the numbers of some rows; what is gone from the inbox is not of the run."""
    if table == "documents":
        rows = rows.filter(pc.not_equal(rows.column("status"), "deleted"))
    n_rows = rows.num_rows
    shares = {f"null_share {name}": (rows.column(name).null_count, n_rows) for name in suite.nulls}
    for status in STATUSES.get(table, ()):
        shares[f"status_share {status}"] = (pc.sum(pc.equal(rows.column("status"), status)).as_py() or 0, n_rows)
    return Profile(n_rows, shares, {name: _counts(column_at(rows, name).values) for name in suite.labels})


def compare(run: Profile, earlier: Sequence[Profile], is_counted: bool = True) -> list[Finding]:
    """Return how a run stands beside earlier ones, oldest first; nothing while they are too few."""
    before = list(earlier)[-N_RUNS:]
    if len(before) < MIN_RUNS:
        return []
    found = [_row_count(run, before)] if is_counted else []
    found += [finding for name in run.shares for finding in _share(name, run, before)]
    return found + [finding for name in run.labels for finding in _labels(name, run, before)]


def stability_index(counts: Mapping[str, int], expected: Mapping[str, int]) -> tuple[float, int]:
    """Return the population stability index of two samples and the number of its cells.

    Rare labels are one cell, and half an observation is added to each, so that an empty one counts little and not without end.
    Source: https://scholarworks.wmich.edu/dissertations/3208 (the sum over the cells of (p - q) ln(p / q)).
    """
    n_expected = sum(expected.values())
    common = [label for label, n in expected.items() if n >= RARE * n_expected]
    cells = [(counts.get(label, 0), expected[label]) for label in sorted(common)]
    rest = (sum(counts.values()) - sum(a for a, _ in cells), n_expected - sum(b for _, b in cells))
    cells += [rest] if any(rest) else []
    totals = [sum(cell[i] for cell in cells) + len(cells) / 2 for i in (0, 1)]
    shares = [((a + 0.5) / totals[0], (b + 0.5) / totals[1]) for a, b in cells]
    return sum((p - q) * math.log(p / q) for p, q in shares), len(cells)


def _row_count(run: Profile, before: Sequence[Profile]) -> Finding:
    """A drop, and only where the runs before were alike: a day without post is no fault."""
    counts = [one.n_rows for one in before]
    usual = median(counts)
    bound = max(0.0, min(ROWS_KEPT * usual, usual - ROW_SPREADS * _spread(counts)))
    message = f"{run.n_rows} rows; the {len(before)} runs before had {min(counts)} to {max(counts)}, in the middle {usual:g}"
    return Finding("row_count", "", run.n_rows, bound, run.n_rows >= bound, message)


def _share(name: str, run: Profile, before: Sequence[Profile]) -> Iterator[Finding]:
    """A share against all earlier rows by the test of two proportions.

    Source: https://www.itl.nist.gov/div898/handbook/prc/section3/prc33.htm. A null share may neither rise nor fall, the others not rise.
    """
    check, _, column = name.partition(" ")
    (n, of), (n_before, of_before) = run.shares[name], _summed([one.shares.get(name, (0, 0)) for one in before])
    if of < MIN_ROWS or of_before < MIN_ROWS:
        return
    value, usual, pooled = n / of, n_before / of_before, (n + n_before) / (of + of_before)
    own = [k / m for k, m in (one.shares.get(name, (0, 0)) for one in before) if m >= MIN_ROWS]
    error = math.sqrt(pooled * (1 - pooled) * (1 / of + 1 / of_before))
    width = max(SHARE_EFFECT, SHARE_Z * error, SPREADS * _spread(own))
    has_fallen = check == "null_share" and value < usual
    bound = max(0.0, usual - width) if has_fallen else min(1.0, usual + width)
    message = f"{value:.1%} of {of}; {usual:.1%} of {of_before} in the {len(before)} runs before"
    yield Finding(check, column, value, bound, value >= bound if has_fallen else value <= bound, message)


def _labels(name: str, run: Profile, before: Sequence[Profile]) -> Iterator[Finding]:
    """The mix of a column's values, and those that no earlier run had."""
    counts, expected = run.labels[name], _pooled(name, before)
    n, n_before = sum(counts.values()), sum(expected.values())
    if n < MIN_ROWS or n_before < MIN_ROWS:
        return
    value, n_cells = stability_index(counts, expected)
    own = [stability_index(one.labels[name], expected)[0] for one in before if sum(one.labels.get(name, {}).values()) >= MIN_ROWS]
    chance = (1 / n + 1 / n_before) * _chi_squared(n_cells - 1)
    bound = max(PSI_BOUND, chance, _usual_at_most(own))
    yield Finding("label_distribution", name, value, bound, value <= bound, _moved(counts, expected))
    unseen = {label: n for label, n in counts.items() if label not in expected}
    share = sum(unseen.values()) / n
    words = ", ".join(f"{label!r} {n} times" for label, n in Counter(unseen).most_common(5)) or "none"
    yield Finding("new_labels", name, share, NEW_LABELS, share <= NEW_LABELS, f"values no earlier run had: {words}")


def _moved(counts: Mapping[str, int], expected: Mapping[str, int]) -> str:
    """Say which labels' shares moved most."""
    n, m = sum(counts.values()), sum(expected.values())
    shares = {label: (expected.get(label, 0) / m, counts.get(label, 0) / n) for label in {**expected, **counts}}
    most = sorted(shares.items(), key=lambda one: (-abs(one[1][1] - one[1][0]), one[0]))[:3]
    return f"{n} values; moved most: " + ", ".join(f"{label} {before:.0%} to {now:.0%}" for label, (before, now) in most)


def _chi_squared(freedom: int) -> float:
    """Return the quantile that chance exceeds once in 10,000.

    Source: https://doi.org/10.1073/pnas.17.12.684 (Wilson and Hilferty). That the index of equal populations is so distributed:
    https://scholarworks.wmich.edu/dissertations/3208 (Yurdakul).
    """
    if freedom < 1:
        return 0.0
    tail = 2 / (9 * freedom)
    return float(freedom * (1 - tail + PSI_CHANCE * math.sqrt(tail)) ** 3)


def _spread(values: Sequence[float]) -> float:
    """Return the standard deviation as the median absolute deviation estimates it: one odd run does not widen it."""
    if not values:
        return 0.0
    middle = median(values)
    return MAD_TO_SD * median(abs(value - middle) for value in values)


def _usual_at_most(indices: Sequence[float]) -> float:
    """Return what earlier runs' own indices let expect at most, on the scale of logarithms: they spread by factors, not by steps."""
    logs = [math.log(index) for index in indices if index > 0]
    return math.exp(median(logs) + SPREADS * _spread(logs)) if logs else 0.0


def _summed(shares: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(n for n, _ in shares), sum(of for _, of in shares)


def _pooled(name: str, before: Sequence[Profile]) -> Counter[str]:
    return sum((Counter(one.labels.get(name, {})) for one in before), Counter())


def _counts(values: pa.Array) -> dict[str, int]:
    found = pc.value_counts(values.drop_null())
    return dict(sorted((str(one["values"]), one["counts"]) for one in found.to_pylist()))
