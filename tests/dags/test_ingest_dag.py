"""What starts ``ingest_documents``, as the DAG processor sees it."""

from pathlib import Path

from tests.dags.bag import load_dags

QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/inbox"


def test_only_a_person_starts_ingestion_unless_an_asset_or_a_queue_is_named(tmp_path: Path) -> None:
    off = load_dags(tmp_path / "off", only="ingest_documents")["dags"]["ingest_documents"]
    assert (off["follows"], off["schedule"]) == ([], None)
    on = load_dags(tmp_path / "on", only="ingest_documents", SKILLYARD_INBOX_ASSET="crawled", SKILLYARD_INBOX_QUEUE=QUEUE)
    assert on["errors"] == {} and on["heavy"] == []
    assert on["dags"]["ingest_documents"]["follows"] == ["crawled", "inbox_messages"]
    again = load_dags(tmp_path / "again", only="ingest_documents", SKILLYARD_INBOX_ASSET="crawled", SKILLYARD_INBOX_QUEUE=QUEUE)
    assert again["dags"]["ingest_documents"]["hash"] == on["dags"]["ingest_documents"]["hash"]


def test_a_queue_that_is_no_url_is_an_error_of_the_file(tmp_path: Path) -> None:
    errors = load_dags(tmp_path, only="ingest_documents", SKILLYARD_INBOX_QUEUE="inbox")["errors"]
    assert len(errors) == 1 and "SKILLYARD_INBOX_QUEUE" in str(errors)
