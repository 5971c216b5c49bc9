"""A skill from nothing, and the prompt it makes: new, prompt."""

from typing import TYPE_CHECKING, Annotated

import typer

from skillyard.cli.options import AsJson
from skillyard.cli.output import print_rows, print_value, say
from skillyard.cli.skills.catalogue import read_skills
from skillyard.cli.skills.group import app
from skillyard.settings import Settings
from skillyard.skills.kinds import Bucket, Kind

if TYPE_CHECKING:
    from skillyard.skills import Catalogue


@app.command("new")
def make_new(
    name: Annotated[str, typer.Argument(help="A verb and what it works on, such as classify-tone.", show_default=False)],
    kind: Annotated[Kind, typer.Option(help="Who answers: a model, a library, or a library first.", show_default=False)],
    bucket: Annotated[Bucket, typer.Option(help="Where it stands in the catalogue.", show_default=False)],
    owner: Annotated[
        str | None, typer.Option(help="The team that pays, see include/teams.yaml; its first by default.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the folder of a new skill: small and sound, with a mark TODO(author) wherever there is something to say.

    In the bucket qa-classification it chooses a label, in the others it finds a value with the passage that proves it; both are there to be
    replaced. `skillyard skills check NAME` lists what is left to say, with file and line. Nothing is overwritten.
    """
    from skillyard.skills.scaffold import make_skill
    from skillyard.skills.teams import find_team, load_teams

    settings = Settings.from_env()
    teams = load_teams(settings.include / "teams.yaml")
    team = find_team(teams, owner or next(iter(teams)))
    files = make_skill(settings.include / "skills", name, kind, bucket, team.name)
    if as_json:
        print_value({"skill": name, "owner": team.name, "files": files}, as_json)
    else:
        print("\n".join(map(str, files)))
    say(f"{name} belongs to {team.name}. What is left to say, with file and line: skillyard skills check {name}")


@app.command("prompt")
def show_prompt(
    skill: Annotated[str | None, typer.Argument(help="A skill's name; with --write all of them by default.", show_default=False)] = None,
    case: Annotated[str | None, typer.Option(help="A case's id in evals/cases.yaml; the first one by default.", show_default=False)] = None,
    write: Annotated[bool, typer.Option("--write", help="Keep the first case's in the folder, as evals/prompt.md.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the messages that a model is sent for a case of a skill: instructions, labels, parameters, inputs, text.

    With --write they stay in the folder, as its own labels make them, so that a review of an edit shows what changes for the
    model; `skills check` says when they are out of date. Nothing is asked and nothing is paid.
    """
    from skillyard.skills import Catalogue
    from skillyard.skills.prompt_file import choose_case, messages_of, render_prompt

    catalogue = Catalogue(Settings.from_env().include)
    if write and case is not None:
        raise typer.BadParameter("--write keeps the prompt of the first case: leave --case out")
    if write:
        _write_prompts(catalogue, skill)
        return
    if skill is None:
        raise typer.BadParameter("name a skill to see its prompt, or keep those of all with --write")
    loaded = catalogue.load(skill)
    chosen = choose_case(loaded, case)
    if as_json:
        print_rows(messages_of(loaded, chosen), as_json)
    else:
        print(render_prompt(loaded, chosen), end="")


def _write_prompts(catalogue: "Catalogue", skill: str | None) -> None:
    """Write a skill's prompt.md, or that of every skill that asks a model, and say which have changed."""
    from skillyard.skills.load import load_skill
    from skillyard.skills.prompt_file import prompt_problems, write_prompt

    if skill is not None:
        say(f"written to {write_prompt(load_skill(catalogue.load(skill).folder))}")
        return
    skills = [load_skill(s.folder) for s in read_skills(catalogue) if s.kind != "library"]
    changed = [s for s in skills if list(prompt_problems(s))]
    for s in changed:
        say(f"written to {write_prompt(s)}")
    say(f"{len(changed)} of {len(skills)} prompts have changed.")
