"""What the catalogue holds: list, show, graph."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from skillyard.cli.options import AsJson, SkillName
from skillyard.cli.output import print_rows, print_value, say
from skillyard.cli.skills.group import app
from skillyard.settings import Settings
from skillyard.skills.kinds import Bucket, Kind

if TYPE_CHECKING:
    from skillyard.skills import Catalogue, Skill


@app.command("list")
def list_skills(
    bucket: Annotated[Bucket | None, typer.Option(help="Only skills of this bucket.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only skills of this team, see include/teams.yaml.", show_default=False)] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only skills of this kind.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the catalogue: bucket, kind, tiers, owner, what each skill is for.

    The options narrow the list, all of them together. docs/skills.md has the same list with links.
    """
    from skillyard.skills import Catalogue
    from skillyard.skills.overview import tiers_of
    from skillyard.skills.teams import find_team, load_teams

    settings = Settings.from_env()
    if owner is not None:
        find_team(load_teams(settings.include / "teams.yaml"), owner)
    rows = [
        {
            "skill": s.name,
            "bucket": s.bucket,
            "kind": s.kind,
            "tiers": tiers_of(s),
            "owner": s.owner,
            "version": s.version,
            "description": s.description,
        }
        for s in read_skills(Catalogue(settings.include))
        if bucket in (None, s.bucket) and owner in (None, s.owner) and kind in (None, s.kind)
    ]
    print_rows(rows, as_json, widths={"description": 90})


@app.command("show")
def show_skill(skill: SkillName, as_json: AsJson = False) -> None:
    """Show one skill: instructions, labels, output fields, checks, fingerprint, what its newest evals prove."""
    from skillyard.running.eval_rates import tell_evals
    from skillyard.skills import Catalogue

    settings = Settings.from_env()
    s = Catalogue(settings.include).load(skill)
    shown = {
        "skill": s.name,
        "version": s.version,
        "fingerprint": s.fingerprint(),
        "kind": s.kind,
        "bucket": s.bucket,
        "tiers": s.lanes,
        "owner": s.owner,
        "applies_to": asdict(s.applies_to),
        "takes": {name: asdict(t) for name, t in s.takes.items()},
        "parameters": {name: asdict(p) for name, p in s.parameters.items()},
        "labels": {name: label.description for name, label in (s.labels or {}).items()},
        "checks": [c.name for c in s.checks],
        "evals": tell_evals(settings, s),
        "output_schema": s.output_schema,
        "instructions": s.instructions,
    }
    print_value(shown, as_json)


@app.command("graph")
def show_graph(
    form: Annotated[
        Literal["text", "mermaid", "json"],
        typer.Option("--format", help="A tree for people, a Mermaid flowchart for Markdown, or JSON for a program."),
    ] = "text",
) -> None:
    """Show which skills go by others: a result they take, or one that says whether they apply. Documents are the root.

    A skill runs once those above it have their results for the same document. One that goes by two others stands below both.
    """
    from skillyard.skills import Catalogue
    from skillyard.skills.graph import edges_of, refuse_cycles, render_mermaid, render_text

    edges = [edge for skill in read_skills(Catalogue(Settings.from_env().include)) for edge in edges_of(skill)]
    refuse_cycles(edges)
    if form == "json":
        print_rows(map(asdict, edges), as_json=True)
    else:
        print(render_mermaid(edges) if form == "mermaid" else render_text(edges))


def read_skills(catalogue: "Catalogue") -> "Iterator[Skill]":
    """Yield the skills that can be read; the others are told to standard error and hide nothing else."""
    from skillyard.skills import SkillError

    for name in catalogue.names():
        try:
            yield catalogue.load(name)
        except SkillError as error:
            say(f"left out: {error}")
