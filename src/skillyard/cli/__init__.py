"""The command line: every pipeline without Airflow, on the same lake and state store.

Data goes to standard output (``--json`` where a program reads it), progress and errors to standard error. Exit codes: 0 done, 1 the
work failed or is incomplete, 2 something asked for is not allowed. One module per group of commands.
"""

import sys

import typer

from skillyard.cli import airflow, cache, cost, lake, prices, quality, route, router, skills
from skillyard.cli.ingest import ingest
from skillyard.cli.run import run
from skillyard.errors import ConfigError, SkillyardError

app = typer.Typer(
    help="Skillyard: AI skills over documents in bulk, each call on the cheapest good tier, paid once, accounted for.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(ingest)
app.command()(run)
for module in (skills, route, router, quality, cost, prices, cache, lake, airflow):
    app.add_typer(module.app, name=module.__name__.rpartition(".")[2])


def main() -> None:
    """Run the command line; an error of ours is one readable line."""
    try:
        app()
    except SkillyardError as error:
        print(f"skillyard: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
