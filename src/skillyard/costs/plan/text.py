"""The scaling plan as a Markdown document."""

from collections.abc import Iterable, Mapping, Sequence

from skillyard.costs.plan.changes import Change
from skillyard.costs.plan.complexity import ClassRow
from skillyard.costs.plan.plan import DAYS, TARGETS, Plan, Projection


def render(plan: Plan) -> str:
    """Return the plan as Markdown."""
    serving = ", ".join(f"{purpose} ${usd:.6f}" for purpose, usd in plan.cost_usd.items())
    lines = [
        f"# Scaling plan of {plan.made_on}",
        "",
        f"Ledger of {plan.first} to {plan.made_on}: {plan.n_items} items of {plan.n_answered_documents} documents answered by models"
        f" ({plan.n_documents} documents on the lake). Profile {plan.profile}; {plan.router}.",
        f"Measured cost by purpose: {serving}. Per 1,000 documents worked on: ${plan.per_1000_documents_usd:.6f}.",
        f"Published for tiered routing: {TARGETS}.",
        "",
        "## By class of complexity",
        "",
        "Measured. The class is that of `route_score`, 0 easy to 1 hard; cost and latency count escalations in.",
        "",
        *_table(
            ["class", "route_score", "items", "share", "answered by", "p50", "p95", "USD per 1,000", "cache TTL", "from cache"],
            map(_class_row, plan.classes),
        ),
        "",
        "## What a month costs",
        "",
        f"A month is {DAYS} times the mean day from {plan.first} to {plan.made_on}; answers alone. Brackets: 95 % interval by resampling",
        f"the {plan.n_modelled} items that were looked at. Modelled: the tokens of each item's last answer at another tier's price.",
        "Saved: of everything on the highest tier.",
        "",
        *_table(["", "basis", "USD a month", "saved"], map(_projection_row, plan.projections)),
        "",
        "## Quality kept",
        "",
        *(_quality(plan) or ["Not known: nothing was audited in these days."]),
        "",
        "## Red flags",
        "",
        *([f"- `{flag.flag}`: {flag.message}." for flag in plan.red_flags] or ["None."]),
        "",
        "## What to change, the most money first",
        "",
        *(_numbered(plan.changes) or ["Nothing that the ledger or the audits show."]),
        "",
        "## Not known yet",
        "",
        *([f"- {missing.what}. `{missing.command}`" for missing in plan.missing] or ["Nothing that a command could tell."]),
        "",
    ]
    return "\n".join(lines)


def _class_row(row: ClassRow) -> list[str]:
    seconds = [f"{value:.2f} s" if value is not None else "–" for value in (row.p50_s, row.p95_s)]
    cells = [row.complexity, row.route_score, str(row.n_items), f"{row.share:.0%}", _shares(row.tiers), *seconds]
    return [*cells, f"{row.usd_per_1000:.6f}", _shares(row.cache_ttl), f"{row.cache_hit_share:.0%}"]


def _projection_row(row: Projection) -> list[str]:
    month = f"{row.month.usd:.6f} [{row.month.low_usd:.6f}, {row.month.high_usd:.6f}]"
    return [row.name, row.basis, month, f"{row.saved_share:.0%}" if row.saved_share else "–"]


def _quality(plan: Plan) -> list[str]:
    rows = [
        [
            row["skill"],
            f"{row['retained']:.1%} [{row['retained_lower']:.1%}, {row['retained_upper']:.1%}]",
            f"{row['target']:.0%}",
            str(row["n_audited"]),
            row["router_version"],
            str(row["usage_date"]),
        ]
        for row in plan.quality
    ]
    return _table(["skill", "kept of its highest tier", "target", "audited items", "router", "as of"], rows) if rows else []


def _numbered(changes: Sequence[Change]) -> list[str]:
    return [f"{n}. ${c.saves_usd:.6f} a month ({c.basis}): {c.what}. To do: {c.how}." for n, c in enumerate(changes, 1)]


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(row)} |" for row in cells]
