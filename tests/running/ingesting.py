"""One run of ingestion from a folder, as the command line makes it."""

from pathlib import Path

from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.ingest import IngestReport, IngestRequest, discover, ingest_shards, parse_shard, publish_documents
from skillyard.settings import Settings


def fill(settings: Settings, files: dict[str, bytes]) -> Path:
    """Put files into the inbox and return its folder."""
    inbox = Path(settings.inbox.removeprefix("file://"))
    for name, data in files.items():
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_bytes(data)
    return inbox


def ingest(settings: Settings, run_id: str, n_shards: int = 8, **asked: object) -> IngestReport:
    """Discover, parse and publish."""
    plan = discover(settings, run_id, IngestRequest(**asked), n_shards=n_shards)  # type: ignore[arg-type]
    for shard in ingest_shards(settings, plan.run_key):
        parse_shard(settings, shard, n_workers=1)
    return publish_documents(settings, plan.run_key)


def rows(settings: Settings, table: str) -> list[dict]:
    """Return a table."""
    return read(Lake(settings.lake), table).to_pylist()


def tables(settings: Settings) -> dict[str, bytes]:
    """Return every file of the tables of ingestion."""
    lake = Path(settings.lake.removeprefix("file://"))
    return {str(p): p.read_bytes() for name in ("documents", "pages", "rejects") for p in (lake / name).rglob("*") if p.is_file()}
