"""Routes explained."""

from typing import Annotated

import typer

from skillyard.cli.options import AsJson, SkillName
from skillyard.cli.output import print_rows, print_value
from skillyard.settings import Settings

app = typer.Typer(help="Why an item goes to which tier.", no_args_is_help=True)


@app.command("explain")
def explain_route(
    skill: SkillName,
    item: Annotated[str, typer.Argument(help="A file to parse, or the text itself.", show_default=False)],
    first_tier: Annotated[str | None, typer.Option(help="Start on this tier whatever the score.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say on which tier an item would start, its score and the reason, without asking any model."""
    from skillyard.running.explain import explain_item

    explained = explain_item(Settings.from_env(), skill, item, first_tier)
    tiers = {} if as_json else explained.pop("tiers", {})
    print_value(explained, as_json)
    if tiers:
        print()
        said = {tier: {n: "no evidence" if v is None else f"{v:.6g}" for n, v in own.items()} for tier, own in tiers.items()}
        print_rows([{"tier": tier} | own for tier, own in said.items()], as_json)
