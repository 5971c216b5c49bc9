"""Audits and the quality they show; the checks of what was published."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from skillyard.cli.options import AsJson, SkillName
from skillyard.cli.output import print_rows, print_value, say
from skillyard.settings import AUDIT_SAMPLE, MOST_AUDITED, Settings

app = typer.Typer(help="What routing keeps of the highest tier's quality, and the checks of every publish.", no_args_is_help=True)


@app.command("audit")
def audit_skill(
    skill: SkillName,
    sample: Annotated[
        int, typer.Option(min=1, max=MOST_AUDITED, help="How many results, new ones first; those of earlier audits are left out.")
    ] = AUDIT_SAMPLE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked and what it would cost; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Answer a sample of a skill's results on every tier it may use, compare with the highest tier's answers, and keep what came of it.

    The team that owns the skill pays, within its budgets. The night's quality_audit does this for every skill with results.
    """
    from skillyard.running.audit import audit

    print_value(audit(Settings.from_env(), skill, n=sample, is_dry_run=dry_run, say=say), as_json)


@app.command("report")
def report_quality(as_json: AsJson = False) -> None:
    """Print each skill's retained quality with its bounds, as quality_audit last computed it."""
    from skillyard.costs.flags import newest_quality
    from skillyard.lake.lake import Lake

    print_rows(newest_quality(Lake(Settings.from_env().lake), datetime.now(UTC).date()), as_json)


@app.command("checks")
def list_checks(
    table: Annotated[str | None, typer.Option(help="Only of this table: pages, results/tag-document/v1 …", show_default=False)] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only checks that did not hold.")] = False,
    days: Annotated[int, typer.Option(min=1, help="Of so many days, today included.")] = 7,
    as_json: AsJson = False,
) -> None:
    """List the checks of what was published, newest first: what was looked at, its bound, whether it held, and what follows.

    The same stands with drawings of the last runs on the pages below <lake>/_quality/, beginning with index.html.
    """
    import pyarrow.compute as pc

    from skillyard.lake.lake import Lake
    from skillyard.lake.read import read
    from skillyard.lake.tables import QUALITY_CHECKS

    lake = Lake(Settings.from_env().lake)
    wanted = pc.field("checked_on") > datetime.now(UTC).date() - timedelta(days=days)
    if table is not None:
        wanted &= pc.field("table") == table
    if failed:
        wanted &= ~pc.field("has_passed")
    rows = read(lake, QUALITY_CHECKS, where=wanted).sort_by([("checked_at", "descending"), ("check_id", "ascending")]).to_pylist()
    shown = ("checked_at", "table", "run_id", "check", "columns", "severity", "has_passed", "n_unexpected", "value", "bound", "message")
    print_rows(rows if as_json else [{name: row[name] for name in shown} for row in rows], as_json)
    n_failed = sum(not row["has_passed"] for row in rows)
    say(f"{n_failed} checks failed{'' if failed else f' of {len(rows)}'}. Pages: {lake.storage.uri('_quality/index.html')}")


@app.command("accept")
def accept_run(
    table: Annotated[str, typer.Argument(help="The table whose publish was blocked, as the message names it.", show_default=False)],
    run: Annotated[str, typer.Argument(help="The run, as the message names it.", show_default=False)],
) -> None:
    """Take a run that differs from those before it for the new normal: it may be published, and later runs are compared from it on.

    Then clear its publish task, or run the skill again: what was paid for is found, not bought again.
    """
    from skillyard.lake.lake import Lake
    from skillyard.lake.profiles import accept

    accept(Lake(Settings.from_env().lake), table, run)
    say(f"{run} is the new normal of {table}. Clear its publish task, or run again: nothing is paid twice.")
