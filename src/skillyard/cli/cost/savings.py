"""What routing, cache and batch saved, and what a piece of work costs."""

from typing import Annotated

import typer

from skillyard.cli.cost.group import app
from skillyard.cli.options import AsJson, FirstDay, LastDay, days_of
from skillyard.cli.output import print_rows
from skillyard.settings import Settings

_SHOWN = ("cost_usd", "baseline_usd", "routing_saved_usd", "routing_basis", "cache_saved_usd", "batch_saved_usd", "saved_share")


@app.command("savings")
def show_savings(
    first: FirstDay = None,
    last: LastDay = None,
    by: Annotated[str, typer.Option(help="skill, team, tier or day.")] = "skill",
    as_json: AsJson = False,
) -> None:
    """Show what was paid beside the same work sent to the expert tier: cost = baseline - routing - cache - batch.

    As it was last attributed, exact in every row and in the total. Measured (=): from audited items that the expert answered too, from what
    a cached answer once cost, from the live price of what a batch did. Modelled (~): the same tokens at the expert's prices of their day,
    with its retries. Routing's saving is net of classifiers, votes, audits and answers that were not used; it can be negative.
    docs/decisions has the method.
    """
    from skillyard.costs.savings_report import savings_report, waterfall

    groups = savings_report(Settings.from_env(), *days_of(first, last), by)
    rows = [group.as_dict(by) for group in groups]
    if as_json or not rows:
        print_rows(rows, as_json)
        return
    print("\n".join(waterfall(groups[-1])))
    print()
    print_rows([{name: row[name] for name in (by, *_SHOWN)} for row in rows], as_json)


@app.command("units")
def show_units(
    first: FirstDay = None,
    last: LastDay = None,
    by: Annotated[str, typer.Option(help="skill, version or team.")] = "skill",
    as_json: AsJson = False,
) -> None:
    """Show what a document, a page, 1,000 items and an accepted result cost, as it was last attributed: all that was charged for them.

    By version: every fingerprint of a skill with its first and last day beside the one before it; change_percent is that of the cost per
    accepted result. Null (null, None): there is nothing to divide by, or nothing to compare with.
    """
    from skillyard.costs.units import SHORT, unit_costs

    rows = [row.as_dict() for row in unit_costs(Settings.from_env(), *days_of(first, last), by)]
    if not as_json:
        rows = [row | ({"fingerprint": row["fingerprint"][:SHORT]} if "fingerprint" in row else {}) for row in rows]
    print_rows(rows, as_json)
