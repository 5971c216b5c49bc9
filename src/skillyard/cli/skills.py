"""The catalogue."""

from dataclasses import asdict
from typing import Annotated

import typer

from skillyard.cli.options import AsJson, SkillName
from skillyard.cli.output import print_rows, print_value, say
from skillyard.errors import UnknownName
from skillyard.settings import Settings

app = typer.Typer(help="The catalogue of skills.", no_args_is_help=True)


@app.command("list")
def list_skills(as_json: AsJson = False) -> None:
    """List the catalogue: kind, tiers, owner, what each skill is for."""
    from skillyard.skills import Catalogue

    catalogue = Catalogue(Settings.from_env().include)
    rows = []
    for name in catalogue.names():
        s = catalogue.load(name)
        tiers = "none" if s.kind == "library" else f"{s.tier_default}-{s.tier_max}"
        rows.append({"skill": s.name, "kind": s.kind, "tiers": tiers, "owner": s.owner, "version": s.version, "description": s.description})
    print_rows(rows, as_json, widths={"description": 90})


@app.command("show")
def show_skill(skill: SkillName, as_json: AsJson = False) -> None:
    """Show one skill: instructions, labels, output fields, checks, fingerprint."""
    from skillyard.skills import Catalogue

    s = Catalogue(Settings.from_env().include).load(skill)
    shown = {
        "skill": s.name,
        "version": s.version,
        "fingerprint": s.fingerprint(),
        "kind": s.kind,
        "tiers": s.lanes,
        "owner": s.owner,
        "applies_to": asdict(s.applies_to),
        "parameters": {name: asdict(p) for name, p in s.parameters.items()},
        "labels": {name: label.description for name, label in (s.labels or {}).items()},
        "checks": [c.name for c in s.checks],
        "output_schema": s.output_schema,
        "instructions": s.instructions,
    }
    print_value(shown, as_json)


@app.command("check")
def check_skills(
    skill: Annotated[str | None, typer.Argument(help="One skill; all of them by default.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Check skill folders: the standard, schema, labels, cases. Exit code 1 when there are problems."""
    from skillyard.lake.tables import RESERVED
    from skillyard.skills import Catalogue
    from skillyard.skills.inspection import check_skill
    from skillyard.skills.teams import check_teams, load_teams

    settings = Settings.from_env()
    catalogue, teams = Catalogue(settings.include), load_teams(settings.include / "teams.yaml")
    names = catalogue.names()
    check_teams(teams, names)
    if skill is not None and skill not in names:
        raise UnknownName("skill", skill, names)
    problems = [asdict(p) for name in ([skill] if skill else names) for p in check_skill(catalogue.folder / name, RESERVED, teams)]
    if problems or as_json:
        print_rows(problems, as_json)
    if problems:
        raise typer.Exit(1)
    say(f"{1 if skill else len(names)} skill folders are clean.")


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
