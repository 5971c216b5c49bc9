"""What is wrong with skill folders, and what an edit changes: check, diff."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillyard.cli.options import AsJson, SkillName
from skillyard.cli.output import print_rows, print_value, say
from skillyard.cli.skills.group import app
from skillyard.errors import UnknownName
from skillyard.settings import Settings

if TYPE_CHECKING:
    from skillyard.skills.changes import Comparison


@app.command("check")
def check_skills(
    skill: Annotated[str | None, typer.Argument(help="One skill; all of them by default.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Check skill folders: the standard, schema, labels, cases, recorded answers, prompt.md. Exit code 1 when there are problems.

    A problem is a line: file, line, field, what was found and what is allowed. What `skills new` left to say is a problem, too.
    """
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
    problems = [p for name in ([skill] if skill else names) for p in check_skill(catalogue.folder / name, RESERVED, teams)]
    if as_json:
        print_rows(map(asdict, problems), as_json)
    for problem in [] if as_json else problems:
        print(str(problem).removeprefix(f"{Path.cwd()}/"))
    if problems:
        say(f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}.")
        raise typer.Exit(1)
    say(f"{1 if skill else len(names)} skill folders are clean.")


@app.command("diff")
def compare_skill(
    skill: SkillName,
    revision: Annotated[str, typer.Argument(help="A commit, branch or tag of git, such as HEAD or main.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Compare a skill's folder with its state at a git revision: files, fingerprint, output schema. Exit code 1 when something is to mend.

    A changed fingerprint makes earlier results stale, unless skill.yaml says cosmetic: true. The output schema's change is

    - patch: there is none;

    - minor: a column that may be null, or a value, was added, or a description reads otherwise;

    - major: a column or value was removed, a type or nullability changed. output.major has to go up: a new table of results begins.
    """
    from skillyard.skills import Catalogue
    from skillyard.skills.revisions import compare_with

    catalogue = Catalogue(Settings.from_env().include)
    catalogue.load(skill)
    compared = compare_with(catalogue.folder / skill, revision)
    if as_json:
        print_value(_as_data(skill, revision, compared), as_json)
    else:
        _print_lines(compared)
    if compared.problem:
        say(f"{compared.problem}.")
        raise typer.Exit(1)


def _as_data(skill: str, revision: str, compared: "Comparison") -> dict[str, Any]:
    """Return a comparison for a program."""
    states = {"before": compared.before, "after": compared.after}
    return {
        "skill": skill,
        "revision": revision,
        "fingerprint": {when: state.fingerprint for when, state in states.items()},
        "version": {when: state.version for when, state in states.items()},
        "major": {when: state.major for when, state in states.items()},
        "is_cosmetic": compared.is_cosmetic,
        "files": [asdict(change) for change in compared.files],
        "level": compared.level,
        "schema": [asdict(change) for change in compared.schema],
        "problem": compared.problem,
    }


def _print_lines(compared: "Comparison") -> None:
    """Print a comparison for a person."""
    before, after = compared.before, compared.after
    is_same = before.fingerprint == after.fingerprint
    kept = "results are carried over (cosmetic: true)" if compared.is_cosmetic else "results from before are stale"
    print(f"fingerprint   {before.fingerprint[:12]} → {after.fingerprint[:12]}: {'the same' if is_same else kept}")
    print(f"version       {before.version} → {after.version}")
    print(f"output.major  {before.major} → {after.major}")
    print(f"files         {len(compared.files)} changed")
    for file in compared.files:
        print(f"  {file.path}: {file.change}{'' if file.counts else ', not part of the fingerprint'}")
    print(f"schema        {compared.level}")
    for change in compared.schema:
        print(f"  {change.path}: {change.message} ({change.level})")
