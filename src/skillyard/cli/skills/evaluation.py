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
    """Ask the skill's own cases on its tiers, paid by its owner, and say what that proves. Exit code 1 below the skill's min_pass_rate.

    A library skill answers its cases without a model; the library of a mixed skill answers first, as in a run.
    """
    from skillyard.evals.run import eval_skill

    report = eval_skill(Settings.from_env(), skill, tier, say)
    if as_json:
        print_value(report.as_dict(), as_json)
    else:
        wrong = [{"case": v.case_id, "tier": v.tier, "wrong": v.message} for v in report.verdicts if not v.is_right]
        if wrong:
            print_rows(wrong, as_json, widths={"wrong": 110})
            print()
        shares = ("pass_rate", "lower", "upper")
        print_rows([asdict(s) | {name: f"{getattr(s, name):.1%}" for name in shares} for s in report.scores], as_json)
    for unasked in report.unasked:
        say(f"not answered: {unasked}")
    who, is_reached = "the library" if report.decided_on == "none" else report.decided_on, "reached" if report.is_good else "not reached"
    say(f"{who} has to reach {report.min_pass_rate:.0%}: {is_reached}.")
    say(f"What that proves: {report.verdict}.")
    if not report.is_good:
        raise typer.Exit(1)
