"""The group of commands about the catalogue."""

import typer

app = typer.Typer(help="The catalogue of skills: see it, add to it, check it, compare it.", no_args_is_help=True)
