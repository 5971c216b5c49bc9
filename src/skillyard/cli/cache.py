"""The response store."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from skillyard.cli.options import AsJson
from skillyard.cli.output import print_rows, print_value, say
from skillyard.errors import ConfigError
from skillyard.settings import Settings

app = typer.Typer(help="Answers that were paid: kept until they are published, then served again for a while.", no_args_is_help=True)


@app.command("stats")
def show_cache(
    days: Annotated[int, typer.Option(min=1, max=30, help="Count what the cache saved in so many days.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Show the stored answers by skill: paid and not yet published (journal), serving again (cache), expired; and what they saved."""
    from skillyard.gateway.cache import cache_stats
    from skillyard.gateway.state import open_state

    stats = asdict(cache_stats(open_state(Settings.from_env().state), datetime.now(UTC), days))
    entries = stats["entries"] if as_json else stats.pop("entries")
    print_value(stats, as_json)
    if not as_json:
        print()
        print_rows(entries, as_json)


@app.command("clear")
def empty_cache(
    skill: Annotated[str | None, typer.Option(help="Only answers of this skill.")] = None,
    team: Annotated[str | None, typer.Option(help="Only answers of this team; * for those that serve all teams.")] = None,
    expired: Annotated[bool, typer.Option("--expired", help="Of the published answers, only those whose time has passed.")] = False,
    unpublished: Annotated[
        bool, typer.Option("--unpublished", help="Also answers that are not published yet: they would be paid again. Needs --yes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete published answers from the cache; whoever asks for them again pays again. Results on the lake stay."""
    from skillyard.gateway.cache import Choice, chosen_answers, clear_cache
    from skillyard.gateway.state import open_state

    state, choice, now = open_state(Settings.from_env().state), Choice(skill, team, expired, unpublished), datetime.now(UTC)
    n, n_unpublished, cost = chosen_answers(state, choice, now)
    if n_unpublished and not yes:
        raise ConfigError(
            f"{n_unpublished} of these {n} answers are not published yet. They cost ${cost:.6f}, and whoever asks again pays again: "
            "finish their runs first, or say --yes."
        )
    if n and not yes and not sys.stdin.isatty():
        raise ConfigError(f"this would delete {n} answers, and nobody can be asked here: say --yes.")
    if n and not yes:
        typer.confirm(f"Delete {n} published answers?", abort=True)
    say(f"{clear_cache(state, choice, now)} answers are deleted.")
