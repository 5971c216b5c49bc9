"""What a skill's own cases say of it: eval."""

from dataclasses import asdict
from typing import Annotated

import typer

from skillyard.cli.options import AsJson, SkillName
from skillyard.cli.output import print_rows, print_value, say
from skillyard.cli.skills.group import app
from skillyard.settings import Settings


@app.command("eval")
def evaluate_skill(
    skill: SkillName,
    tier: Annotated[
        str | None, typer.Option(help="Only this tier, which then decides the exit code; by default the skill's default tier decides.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the skill's own cases on its tiers, paid by its owner, and say what passes. Exit code 1 below the skill's min_pass_rate."""
    from skillyard.evals.run import eval_skill

    report = eval_skill(Settings.from_env(), skill, tier)
    if as_json:
        print_value(asdict(report) | {"pass_rates": report.pass_rates, "is_good": report.is_good}, as_json)
    else:
        print_rows([asdict(v) for v in report.verdicts], as_json, widths={"message": 90})
        for name, share in report.pass_rates.items():
            say(f"{name}: {share:.0%} of the cases are right")
        say(f"{report.decided_on} has to reach {report.min_pass_rate:.0%}: {'reached' if report.is_good else 'not reached'}.")
    for unasked in report.unasked:
        say(f"not answered: {unasked}")
    if not report.is_good:
        raise typer.Exit(1)
