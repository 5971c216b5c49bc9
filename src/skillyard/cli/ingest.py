"""Documents in."""

from typing import Annotated

import typer

from skillyard.cli.options import AsJson, new_run_id
from skillyard.cli.output import print_value, say
from skillyard.settings import Settings


def ingest(
    prefix: Annotated[str, typer.Option(help="Only objects whose path below the inbox begins so.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many new documents.")] = None,
    force: Annotated[bool, typer.Option(help="Look at every document again, and try again those that were rejected.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find new or changed documents in the inbox (SKILLYARD_INBOX) and publish documents, pages and rejects.

    Running it again does nothing twice: what has not changed is skipped.
    """
    from skillyard.running import ingest as steps

    settings = Settings.from_env()
    plan = steps.discover(settings, new_run_id(), prefix=prefix, limit=limit, force=force)
    try:
        for shard in steps.ingest_shards(settings, plan.run_key):
            steps.parse_shard(settings, shard, say)
    finally:
        report = steps.publish_documents(settings, plan.run_key)
    print_value(report, as_json)
    if report.n_pending:
        raise typer.Exit(1)
