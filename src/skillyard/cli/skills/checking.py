"""What is wrong with skill folders: check."""

from dataclasses import asdict
from typing import Annotated

import typer

from skillyard.cli.options import AsJson
from skillyard.cli.output import print_rows, say
from skillyard.cli.skills.group import app
from skillyard.errors import UnknownName
from skillyard.settings import Settings


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
