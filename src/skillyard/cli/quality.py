"""Audits and the quality they show."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from skillyard.cli.options import AsJson, SkillName
from skillyard.cli.output import print_rows, print_value, say
from skillyard.settings import AUDIT_SAMPLE, MOST_AUDITED, Settings

app = typer.Typer(help="What routing keeps of the highest tier's quality, measured.", no_args_is_help=True)


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
