"""Documents in."""

from functools import partial
from typing import Annotated

import typer

from skillyard.cli.options import AsJson, new_run_id
from skillyard.cli.output import print_value, say
from skillyard.settings import Settings

Globs = list[str]


def ingest(
    prefix: Annotated[str, typer.Option(help="Only objects whose path below the inbox begins so.")] = "",
    include: Annotated[
        Globs | None, typer.Option(metavar="GLOB", help="Only objects whose path, or its end after a slash, fits, in any case. Repeatable.")
    ] = None,
    exclude: Annotated[Globs | None, typer.Option(metavar="GLOB", help="Not those that fit. Repeatable.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Read at most so many objects. Such a run records no deletions.")] = None,
    retry_rejects: Annotated[
        Globs | None,
        typer.Option(metavar="KIND", help="Beside what is new, parse again what was rejected with this error_kind, or: any. Repeatable."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            help="Look at every document again, and try again those that were rejected. Pages of unchanged bytes stay as they were parsed: "
            "a newer parser does not replace them."
        ),
    ] = False,
    confirm_deletions: Annotated[
        bool, typer.Option(help="Record deletions even if more than half of the known documents are gone.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be looked at: nothing is read or written.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find new, changed and deleted documents in the inbox (SKILLYARD_INBOX) and publish documents, pages, chunks and rejects.

    Running it again does nothing twice: what has not changed is skipped. A document that is gone gets a row with the status deleted.
    """
    from skillyard.cli.ingest_progress import progress_of
    from skillyard.lake.validate import import_ahead
    from skillyard.running import ingest as steps

    settings = Settings.from_env()
    request = steps.IngestRequest(
        prefix=prefix,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        limit=limit,
        force=force,
        retry_rejects=tuple(retry_rejects or ()),
        confirm_deletions=confirm_deletions,
    )
    if dry_run:
        print_value(steps.preview(settings, request, say), as_json)
        return
    plan = steps.discover(settings, new_run_id(), request, n_shards=1, progress=say)  # one after the other: each costs a pool's start
    if plan.shards:
        import_ahead()
    try:
        with progress_of(plan.n_new) as show:
            n_before = 0
            for shard in steps.ingest_shards(settings, plan.run_key):
                steps.parse_shard(settings, shard, partial(show, n_before))
                n_before += plan.shards[shard]
    finally:
        report = steps.publish_documents(settings, plan.run_key)
    print_value(report, as_json)
    if report.n_pending:
        raise typer.Exit(1)
