"""A run's quote, made before anything is spent: what a person agrees to, and what the plan keeps."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

BASES = {
    "free": "no model is asked",
    "history": "like the past operations of this version of the skill",
    "older_history": "like the past operations of this and earlier versions of the skill",
    "worst_case": "a bound: no past to go by, so every attempt on every tier is taken to be billed in full",
    "other_tiers": "like the operations that began on other tiers, at this tier's prices",
}
"""Where a range comes from."""


@dataclass(frozen=True, slots=True)
class TierQuote:
    """The items that start on one tier and have to be paid. Amounts in USD, as text."""

    tier: str
    n_items: int
    input_tokens: int
    basis: str
    n_past: int
    """Past operations that began on it."""
    expected_usd: str
    low_usd: str
    high_usd: str


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """A limit that holds for the run."""

    limit: str
    hard_usd: str | None
    left_usd: str | None
    """Neither spent nor reserved; None for a limit that only warns."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a run would cost and take. Amounts in USD, as text; they are estimates and have six digits."""

    n_items: int
    n_cached: int
    """Items whose answer is stored: they cost nothing, and are in none of the other figures."""
    input_tokens: int
    basis: str
    """See ``BASES``."""
    n_past: int
    """Operations that the range comes from."""
    expected_usd: str
    low_usd: str
    high_usd: str
    """The sum of the tiers' expectations and the classifier's; its ends are no sums: not all tiers are dear in the same run."""
    tiers: tuple[TierQuote, ...]
    budgets: tuple[BudgetLeft, ...]
    """Empty when there is no limit."""
    duration_s: float
    """At the deployments' rates and concurrency."""
    is_duration_bound: bool
    """A latency is not known, so the timeout was taken."""
    approval: str | None
    """Why a person has to agree first."""
    classifier_usd: str = "0"
    """Expected for asking the classifier; part of the totals, of no tier."""

    @classmethod
    def load(cls, value: Mapping[str, Any]) -> "Quote":
        """Return it from JSON."""
        tiers = tuple(TierQuote(**tier) for tier in value["tiers"])
        return cls(**{**value, "tiers": tiers, "budgets": tuple(BudgetLeft(**left) for left in value["budgets"])})

    @property
    def text(self) -> str:
        """The quote for people: lines that are Markdown too."""
        cached = f" ({self.n_cached} of their answers are stored already and cost nothing)" if self.n_cached else ""
        if not self.tiers:
            return f"- {self.n_items} items{cached}: $0.00, no model is asked"
        lines = [f"{self.n_items} items{cached}, about {self.input_tokens:,} input tokens"]
        lines.append(f"expected {_span(self)}: {self._source}")
        for t in self.tiers:
            lines.append(f"{t.n_items} items start on {t.tier}: {_span(t)}{f' ({BASES[t.basis]})' if t.basis != self.basis else ''}")
        if Decimal(self.classifier_usd):
            lines.append(f"${_short(self.classifier_usd)} of it for the classifier, which may start items on other tiers than these")
        lines += [f"{left.limit}: {_left(left, Decimal(self.expected_usd))}" for left in self.budgets]
        lines.append(f"time at the current limits: {'at most' if self.is_duration_bound else 'about'} {_duration(self.duration_s)}")
        if self.approval:
            lines.append(f"needs approval: {self.approval}")
        return "\n".join(f"- {line}" for line in lines)

    @property
    def _source(self) -> str:
        return f"{self.n_past} {BASES[self.basis].removeprefix('like the ')}" if self.n_past else BASES[self.basis]


NO_QUOTE = Quote(0, 0, 0, "free", 0, "0", "0", "0", (), (), 0.0, False, None)


def usd(amount: float) -> str:
    """Return an estimate as text with six digits."""
    return f"{Decimal(f'{amount:.5e}').normalize():f}"


def _span(quoted: Quote | TierQuote) -> str:
    return f"${_short(quoted.expected_usd)}, between ${_short(quoted.low_usd)} and ${_short(quoted.high_usd)}"


def _short(amount: str) -> str:
    """Return cents, or three digits of less than a dollar."""
    exact = Decimal(amount)
    return f"{exact:.2f}" if exact >= 1 or not exact else f"{Decimal(f'{exact:.2e}'):f}"


def _left(left: BudgetLeft, expected: Decimal) -> str:
    if left.left_usd is None:
        return "warns only"
    stops = ", less than expected: the run would stop there" if Decimal(left.left_usd) < expected else ""
    return f"${_short(left.left_usd)} left of ${left.hard_usd}{stops}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
