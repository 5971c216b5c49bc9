"""The output tables."""

from typing import Annotated

import typer

from skillyard.cli.options import AsJson
from skillyard.cli.output import print_rows, say
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
