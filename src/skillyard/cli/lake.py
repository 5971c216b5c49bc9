"""The output tables."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from skillyard.cli.options import AsJson, SkillName
from skillyard.cli.output import print_rows, print_value, say
from skillyard.settings import Settings

app = typer.Typer(help="The output tables.", no_args_is_help=True)


@app.command("tables")
def list_tables(as_json: AsJson = False) -> None:
    """List the tables with the version of their schema and their row counts."""
    from skillyard.lake.contents import find_contents, table_names
    from skillyard.lake.lake import Lake
    from skillyard.lake.read import count_rows

    lake = Lake(Settings.from_env().lake)
    rows = []
    for name in table_names(lake):
        version, n_rows = find_contents(lake, name).table.version, count_rows(lake, name)
        rows.append({"table": name, "version": version, "rows": n_rows, "location": lake.storage.uri(name)})
    print_rows(rows, as_json, widths={"location": 90})


@app.command("show")
def show_table(
    table: Annotated[str, typer.Argument(help="documents, pages, rejects, llm_calls, cost_daily, results/<skill>", show_default=False)],
    limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 20,
    columns: Annotated[str | None, typer.Option(help="Comma-separated names; all by default.")] = None,
    is_schema: Annotated[bool, typer.Option("--schema", help="Show the columns, their types and what they mean, instead of rows.")] = False,
    is_how: Annotated[bool, typer.Option("--how", help="Print code that reads the table: to copy and paste.")] = False,
    engine: Annotated[str | None, typer.Option(help="With --how: pandas, duckdb, spark, athena, iceberg or skillyard alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the first rows of a table, its columns, or how to read it elsewhere."""
    from skillyard.lake.contents import find_contents
    from skillyard.lake.dictionary import described
    from skillyard.lake.how import how
    from skillyard.lake.lake import Lake
    from skillyard.lake.read import count_rows, scan

    lake = Lake(Settings.from_env().lake)
    found = find_contents(lake, table).table
    if is_how or engine:
        print(how(lake, found, engine))
    elif is_schema:
        print_rows(described(found.schema), as_json, widths={"type": 60, "meaning": 120})
    else:
        shown: list[dict[str, Any]] = []
        for batch in scan(lake, table, columns.split(",") if columns else None):
            shown += batch.slice(0, limit - len(shown)).to_pylist()
            if len(shown) >= limit:
                break
        say(f"{found.name}, schema version {found.version}: {count_rows(lake, table)} rows")
        print_rows(shown, as_json)


@app.command("compact")
def compact_tables(
    table: Annotated[str | None, typer.Argument(help="One table; by default all of them.")] = None,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be merged, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Merge the small files of days that are over into files of about 256 MB, sorted. The nightly DAG lake_maintenance does the same.

    Readers and writers go on meanwhile; interrupted, it goes on where it was. Superseded files move to _superseded/ for 7 days.
    """
    from skillyard.lake.compact import merge_day, plan_merges
    from skillyard.lake.iceberg import follow
    from skillyard.lake.lake import Lake

    settings = Settings.from_env()
    lake = Lake(settings.lake)
    merges = plan_merges(lake, [table] if table else None)
    rows = [{"table": m.table, "day": m.day, "n_files": len(m.keys), "size_bytes": m.size_bytes} for m in merges]
    if not is_dry_run:
        for number, merge in enumerate(merges):
            done = merge_day(lake, merge)
            rows[number] = asdict(done)
            outcome = (
                f"{done.n_rows} rows, {done.size_bytes / 1e6:.1f} MB" if done.size_bytes else "others changed it: left for the next time"
            )
            say(f"{number + 1}/{len(merges)}  {merge.table} {merge.day}: {len(merge.keys)} files, {outcome}")
        follow(settings, lake, "compact", [table] if table else None)
    print_rows(rows, as_json)


@app.command("verify")
def verify_tables(
    table: Annotated[str | None, typer.Argument(help="One table; by default all of them and what they say of each other.")] = None,
    is_deep: Annotated[bool, typer.Option("--deep", help="Read every value and compute the hash of all rows anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check that nothing is lost, doubled, damaged or left lying: files, schemas, counts, keys, and the tables against each other.

    It ends with 1 when something is wrong; each problem says what to do. It may run while others publish.
    """
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


@app.command("migrate")
def migrate_results(
    skill: SkillName,
    from_major: Annotated[
        int | None, typer.Option("--from", min=1, help="The version to carry from; the newest older one by default.")
    ] = None,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what could be carried, and carry nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Carry a skill's results over to the table of its new output schema, wherever an old answer would be one of the new schema too.

    What cannot be carried is listed with the reason and stays pending: the next run of the skill answers it. The old table stays.
    """
    from collections import Counter

    from skillyard.running.migrate import migrate

    done = migrate(Settings.from_env(), skill, from_major, is_dry_run)
    said = "would be carried" if is_dry_run else "carried"
    counts = f"{done.n_carried} of {done.n_rows} rows {said}, {done.n_there} were there, {done.n_refused} cannot be"
    say(f"{done.source} to {done.target}: {counts}")
    if as_json:
        print_value(done, as_json)
    elif done.refused:
        reasons = Counter(done.refused.values())
        print_rows([{"rows": n, "reason": reason} for reason, n in reasons.most_common()], as_json, widths={"reason": 200})


@app.command("iceberg")
def sync_iceberg(
    table: Annotated[str | None, typer.Argument(help="One table; by default all that are not recomputed day by day.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the Iceberg catalog of SKILLYARD_ICEBERG to the state of the lake: the same files, one snapshot per table that changed.

    Where the variable is set, every publish does so by itself; this makes up for what it missed.
    """
    from dataclasses import asdict

    from skillyard.errors import ConfigError
    from skillyard.lake.iceberg import sync_tables
    from skillyard.lake.lake import Lake

    settings = Settings.from_env()
    if settings.iceberg is None:
        raise ConfigError("SKILLYARD_ICEBERG is not set: give a catalog's SQLAlchemy URL, such as sqlite:////path/iceberg.db.")
    done = sync_tables(Lake(settings.lake), settings.iceberg, [table] if table else None)
    print_rows([asdict(synced) for synced in done], as_json)
