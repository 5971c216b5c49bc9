"""The group of commands about money."""

import typer

app = typer.Typer(help="What was spent, by whom, on what, and what is wrong with it.", no_args_is_help=True)
