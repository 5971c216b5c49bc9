"""A provider's bill beside the ledger."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from skillyard.cli.cost.group import app
from skillyard.cli.options import AsJson
from skillyard.cli.output import print_rows, print_value
from skillyard.errors import ConfigError
from skillyard.settings import Settings


@app.command("reconcile")
def reconcile_bill(
    bill: Annotated[
        Path, typer.Argument(help="A .json or .csv file of lines: call_id or request_id, model, amount_usd.", show_default=False)
    ],
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day that the bill is whole for.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC day that the bill is whole for.")] = None,
    deployment: Annotated[
        list[str] | None, typer.Option(help="A deployment that the bill is whole for, may be repeated; by default those it has lines of.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be closed; change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Close attempts of unknown outcome by a provider's bill, and compare it with the ledger. Exit code 1 when they differ.

    An attempt without a line is closed as not billed only on days that the bill is said to be whole for.
    """
    from skillyard.costs.comparison import Coverage
    from skillyard.gateway.reconcile import reconcile

    if (first is None) != (last is None) or (deployment and first is None):
        raise ConfigError("--from and --to belong together, and --deployment needs both: they say what the bill is whole for.")
    covered = Coverage(first.date(), last.date(), frozenset(deployment or ())) if first and last else None
    report = asdict(reconcile(Settings.from_env(), bill, covered, is_dry_run=dry_run))
    entries = report["entries"] if as_json else report.pop("entries")
    print_value(report, as_json)
    if entries and not as_json:
        print()
        print_rows(entries, as_json)
    if report["n_differing"]:
        raise typer.Exit(1)
