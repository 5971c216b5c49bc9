"""Routers: train, replay, promote, roll back."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from skillyard.cli.options import AsJson, RouterVersion
from skillyard.cli.output import print_rows, print_value
from skillyard.settings import Settings

app = typer.Typer(help="What decides where items start: its versions, training, replay.", no_args_is_help=True)


@app.command("train")
def train_router(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Train and compare, but save and promote nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a challenger on audits and evals, replay it beside the champion, promote it only if it is better with confidence."""
    from skillyard.running.training import train_challenger

    report = train_challenger(Settings.from_env(), datetime.now(UTC), dry_run, "the command line")
    if as_json:
        print_value(report, as_json)
    else:
        print(report.text)


@app.command("replay")
def replay_router(version: RouterVersion = None, as_json: AsJson = False) -> None:
    """Replay a version beside declared traits on the evidence that no router learns from: what it saves and keeps, per skill."""
    from skillyard.running.training import replay_rows, replay_versions

    replays = replay_versions(Settings.from_env(), version, datetime.now(UTC))
    if as_json:
        print_rows(map(asdict, replays), as_json)
    else:
        print_rows([row for made in replays for row in replay_rows(made)], as_json)


@app.command("show")
def show_router(version: RouterVersion = None, as_json: AsJson = False) -> None:
    """Show a version, the champion by default: what it was made of, each skill's policy, the versions that there are."""
    from skillyard.running.routers import describe_router

    print_value(describe_router(Settings.from_env(), version), as_json)


@app.command("promote")
def promote_router(
    version: Annotated[str, typer.Argument(help="A version, or heuristic: declared traits.", show_default=False)], as_json: AsJson = False
) -> None:
    """Make a version the champion, whatever a comparison says; the one before can be had back with rollback."""
    from skillyard.lake.lake import Lake
    from skillyard.running.routers import promote

    by = "the command line"
    print_value(promote(Lake(Settings.from_env().lake), version, by, "asked for", datetime.now(UTC)), as_json)


@app.command("rollback")
def roll_router_back(as_json: AsJson = False) -> None:
    """Go back to the champion of before the last training or promotion; doing it twice undoes it."""
    from skillyard.lake.lake import Lake
    from skillyard.running.routers import rollback

    print_value(rollback(Lake(Settings.from_env().lake), "the command line", datetime.now(UTC)), as_json)
