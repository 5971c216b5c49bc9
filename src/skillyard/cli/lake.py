"""The output tables."""

from typing import Annotated

import typer

from skillyard.cli.options import AsJson
from skillyard.cli.output import print_rows, print_value, say
from skillyard.settings import Settings

app = typer.Typer(help="The output tables.", no_args_is_help=True)


@app.command("tables")
def list_tables(as_json: AsJson = False) -> None:
    """List the tables with their row counts."""
    from skillyard.lake.lake import Lake
    from skillyard.lake.read import read, table_names
    from skillyard.lake.tables import TABLES

    lake = Lake(Settings.from_env().lake)
    rows = []
    for name in table_names(lake):
        key = TABLES[name].key[0] if name in TABLES else "item_id"
        rows.append({"table": name, "rows": read(lake, name, [key]).num_rows, "location": lake.storage.uri(name)})
    print_rows(rows, as_json, widths={"location": 90})


@app.command("show")
def show_table(
    table: Annotated[str, typer.Argument(help="documents, pages, rejects, llm_calls, cost_daily, results/<skill>", show_default=False)],
    limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 20,
    columns: Annotated[str | None, typer.Option(help="Comma-separated names; all by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the first rows of a table."""
    from skillyard.lake.lake import Lake
    from skillyard.lake.read import read

    rows = read(Lake(Settings.from_env().lake), table, columns.split(",") if columns else None)
    say(f"{table}: {rows.num_rows} rows, {rows.num_columns} columns")
    print_rows(rows.slice(0, limit).to_pylist(), as_json)


@app.command("verify")
def verify_tables(
    table: Annotated[str | None, typer.Argument(help="One table; by default all of them and what they say of each other.")] = None,
    is_deep: Annotated[bool, typer.Option("--deep", help="Read every value and compute the hash of all rows anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check that nothing is lost, doubled, damaged or left lying: files, schemas, counts, keys, and the tables against each other.

    It ends with 1 when something is wrong; each problem says what to do. It may run while others publish.
    """
    from dataclasses import asdict

    from skillyard.lake.lake import Lake
    from skillyard.lake.verify import verify

    found = verify(Lake(Settings.from_env().lake), [table] if table else None, is_deep, say)
    n = len(found.problems)
    say(f"{found.n_files} files, {found.n_rows} rows in {found.n_tables} tables: {n} problem{'' if n == 1 else 's'}")
    if as_json:
        print_value(found, as_json)
    elif found.problems:
        print_rows([asdict(problem) for problem in found.problems], as_json, widths={"key": 90, "message": 400})
    if found.problems:
        raise typer.Exit(1)
