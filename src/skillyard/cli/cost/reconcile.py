"""A provider's bill beside the ledger: by request, or by day and model as its own cost report has it."""

import sys
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillyard.cli.cost.group import app
from skillyard.cli.options import AsJson
from skillyard.cli.output import print_rows, print_value, say
from skillyard.errors import ConfigError
from skillyard.settings import Settings

if TYPE_CHECKING:
    from skillyard.costs.reconciling.cost_reports import CostReport
    from skillyard.costs.reconciling.provider_bill import ReportComparison

API = "api"
_COLUMNS = (
    "usage_date",
    "model",
    "billed_usd",
    "ledger_usd",
    "missing_usd",
    "price_usd",
    "rounding_usd",
    "unexplained_usd",
    "capture_rate",
)


@app.command("reconcile")
def reconcile_bill(
    bill: Annotated[
        list[str],
        typer.Argument(
            help="A .json or .csv file of lines by request: call_id or request_id, model, amount_usd. With --provider the files of its "
            "cost report (costs, and usage if it was exported), or: api",
            show_default=False,
        ),
    ],
    provider: Annotated[
        str | None, typer.Option(help="openai, anthropic or bedrock: the bill is this provider's cost report by day and model.")
    ] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day that the bill is whole for.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC day that the bill is whole for.")] = None,
    deployment: Annotated[
        list[str] | None, typer.Option(help="A deployment that the bill is whole for, may be repeated; by default those it has lines of.")
    ] = None,
    project: Annotated[
        list[str] | None,
        typer.Option(help="With --provider: only what this project, workspace or account was charged, as the report names it; repeatable."),
    ] = None,
    post: Annotated[
        bool, typer.Option("--post", help="Without --provider: post what the bill does not close as corrections of the ledger.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be closed or posted; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --provider: post without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare a provider's bill with the ledger, and post what differs. History is never rewritten.

    A bill by request closes attempts of unknown outcome; an attempt without a line only on days that the bill is said to be whole for. What
    then still differs is listed, with exit code 1, and posted as corrections with --post.

    With --provider: its cost report by UTC day and model. Differences are explained by missing calls, price and rounding, shown, and posted
    as corrections after a question on a terminal. `api` fetches it with OPENAI_ADMIN_KEY or ANTHROPIC_ADMIN_KEY: last month, unless told
    otherwise. --from and --to say what a file is whole for; by default the days it names. Exit code 1 when a difference is left.
    """
    if provider is None:
        if project or yes or len(bill) != 1:
            raise ConfigError("without --provider there is one bill, by request; --project and --yes belong to --provider.")
        _by_request(Path(bill[0]), first, last, deployment, post, dry_run, as_json)
    elif deployment or post:
        raise ConfigError(
            "--deployment and --post are for a bill by request; a provider's report is for its models, and is posted unless --dry-run."
        )
    else:
        _by_day(provider, bill, first, last, project or [], dry_run, yes, as_json)


def _by_request(
    bill: Path, first: datetime | None, last: datetime | None, deployment: list[str] | None, post: bool, dry_run: bool, as_json: bool
) -> None:
    from skillyard.costs.reconciling.comparison import Coverage
    from skillyard.gateway.reconcile import reconcile

    if (first is None) != (last is None) or (deployment and first is None):
        raise ConfigError("--from and --to belong together, and --deployment needs both: they say what the bill is whole for.")
    covered = Coverage(first.date(), last.date(), frozenset(deployment or ())) if first and last else None
    report = asdict(reconcile(Settings.from_env(), bill, covered, is_dry_run=dry_run, is_posting=post))
    entries = report["entries"] if as_json else report.pop("entries")
    print_value(report, as_json)
    if entries and not as_json:
        print()
        print_rows(entries, as_json)
    if report["n_differing"]:
        raise typer.Exit(1)


def _by_day(
    provider: str,
    bill: list[str],
    first: datetime | None,
    last: datetime | None,
    projects: list[str],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    from skillyard.costs.reconciling.provider_bill import compare_report, post_report

    settings = Settings.from_env()
    report = _read(provider, bill, first, last, projects)
    found = compare_report(settings, report)
    if not as_json:
        _show(found)
    if not dry_run and (yes or not found.needs_posting or _may_post(found)):
        posted = post_report(settings, report)
        if as_json:
            print_value(posted, as_json)
        else:
            say(f"{posted.n_corrections} corrections posted; billed less ledger is now {posted.left_usd:f} USD")
        found = posted
    elif as_json:
        print_value(found, as_json)
    if found.left_usd:
        raise typer.Exit(1)


def _read(provider: str, bill: list[str], first: datetime | None, last: datetime | None, projects: list[str]) -> "CostReport":
    from skillyard.costs.reconciling.cost_reports import narrowed, read_report

    today = datetime.now(UTC).date()
    if bill == [API]:
        from skillyard.gateway.cost_api import fetch_report

        days = _days(first, last, today)
        return narrowed(fetch_report(provider, *days, today, say), *days, projects)
    report = read_report(provider, [Path(name) for name in bill], today)
    return narrowed(report, first.date() if first else None, last.date() if last else None, projects)


def _days(first: datetime | None, last: datetime | None, today: date) -> tuple[date, date]:
    """Return the days to fetch: the whole of last month, unless told otherwise."""
    last_month, yesterday = today.replace(day=1) - timedelta(days=1), today - timedelta(days=1)
    last_day = last.date() if last else yesterday if first else last_month
    first_day = first.date() if first else last_day.replace(day=1)
    if last_day < first_day:
        raise ConfigError(f"the days from {first_day} to {last_day} end before they begin: the first has to be the earlier one.")
    return first_day, last_day


def _may_post(found: "ReportComparison") -> bool:
    """Ask on a terminal; where nobody can answer, go on: the differences have been shown."""
    if not sys.stdin.isatty():
        return True
    return typer.confirm(f"Post corrections of {found.difference_usd:f} USD to the ledger?", err=True)


def _show(found: "ReportComparison") -> None:
    print_value({name: value for name, value in asdict(found).items() if name != "rows" and value != ()}, False)
    print()
    print_rows([{name: getattr(row, name) for name in _COLUMNS} for row in found.rows], False)
    for row in found.rows:
        if row.message != "agrees":
            print(f"{row.usage_date} {row.model}: {row.message}")
