"""Ingestion from the inbox to the tables: nothing vanishes, nothing is read into a table twice."""

import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from skillyard.errors import ConfigError, CountMismatch, InboxError, LakeNotWritable
from skillyard.lake.lake import Lake
from skillyard.running.inbox_look import InboxItem
from skillyard.running.inbox_shards import cut
from skillyard.running.ingest import IngestRequest, discover, ingest_shards, parse_shard, publish_documents
from skillyard.running.parsing import outcome_key
from skillyard.settings import Settings
from tests.documents import made
from tests.documents.made import GERMAN, TEXT
from tests.running.ingesting import fill, ingest, rows, tables
from tests.s3_server import S3Server

MIXED = {
    "contracts/rules.pdf": made.pdf(TEXT, GERMAN),
    "contracts/copy of rules.pdf": made.pdf(TEXT, GERMAN),
    "mail/boats.eml": made.eml(TEXT),
    "notes/a b.txt": TEXT.encode(),
    "notes/.hidden.md": b"# Harbour\n\n" + GERMAN.encode(),
    "truth.yaml": b"labels: {}\n",
    "bad/empty.pdf": b"",
    "bad/locked.pdf": made.pdf(TEXT, password="secret"),
    "bad/locked twin.pdf": made.pdf(TEXT, password="secret"),
    "bad/tool.exe": b"MZ\x90\x00\x03" + bytes(64),
}


def test_a_mixed_inbox_ends_in_documents_pages_and_rejects(settings: Settings):
    inbox = fill(settings, MIXED)
    report = ingest(settings, "manual__2026-11-21T03:00:00+00:00")
    assert (report.n_listed, report.n_planned, report.n_documents, report.n_new, report.n_pending) == (10, 10, 10, 6, 0)
    assert report.rejects == {"empty": 1, "password_required": 2, "unsupported_type": 1}
    documents = {row["uri"]: row for row in rows(settings, "documents")}
    assert set(documents) == {(inbox / name).as_uri() for name in MIXED}
    rules = documents[(inbox / "contracts/rules.pdf").as_uri()]
    assert (rules["kind"], rules["status"], rules["n_pages"], rules["language"]) == ("pdf", "parsed", 2, "en")
    assert rules["n_chars"] == len(TEXT) + len(GERMAN) and rules["size_bytes"] == len(MIXED["contracts/rules.pdf"])
    assert rules["run_id"] == "manual__2026-11-21T03:00:00+00:00"
    pages = Counter((row["doc_id"], row["page_no"]) for row in rows(settings, "pages"))
    assert set(pages.values()) == {1} and report.n_pages == len(pages) == 6
    assert all(any(doc_id == row["doc_id"] for doc_id, _ in pages) for row in documents.values() if row["status"] == "parsed")
    rejects = rows(settings, "rejects")
    assert Counter(row["error_kind"] for row in rejects) == {"empty": 1, "password_required": 1, "unsupported_type": 1}
    assert all(row["stage"] == "parse" and row["item_id"] == row["doc_id"] and row["cost_usd"] == 0 for row in rejects)


def test_a_second_run_finds_nothing_new_and_writes_nothing(settings: Settings):
    fill(settings, MIXED)
    ingest(settings, "one")
    before = tables(settings)
    report = ingest(settings, "two")
    assert (report.n_listed, report.n_planned, report.n_documents, report.n_new) == (10, 0, 0, 0)
    assert "none of them new" in report.message
    assert tables(settings) == before


def test_touched_files_are_read_once_and_never_published_again(settings: Settings):
    inbox = fill(settings, MIXED)
    ingest(settings, "one")
    before = tables(settings)
    for name in MIXED:
        os.utime(inbox / name, (1_000_000_000, 1_000_000_000))
    report = ingest(settings, "two")
    assert (report.n_planned, report.n_unchanged, report.n_documents) == (10, 10, 0)
    assert tables(settings) == before
    assert discover(settings, "three").n_new == 0


def test_a_changed_file_is_a_new_version_and_may_change_back(settings: Settings):
    inbox = fill(settings, {"a.txt": TEXT.encode()})
    first = ingest(settings, "one")
    fill(settings, {"a.txt": GERMAN.encode()})
    second = ingest(settings, "two")
    fill(settings, {"a.txt": TEXT.encode()})
    third = ingest(settings, "three")
    assert [r.n_documents for r in (first, second, third)] == [1, 1, 1]
    assert [r.n_pages for r in (first, second, third)] == [1, 1, 0]
    newest = max(rows(settings, "documents"), key=lambda row: row["ingested_at"])
    assert (newest["language"], newest["uri"]) == ("en", (inbox / "a.txt").as_uri())
    assert discover(settings, "four").n_new == 0


def test_known_bytes_at_a_new_place_get_a_row_without_being_parsed(settings: Settings):
    inbox = fill(settings, {"a.pdf": made.pdf(TEXT, title="Rules")})
    ingest(settings, "one")
    shutil.copy(inbox / "a.pdf", inbox / "b.pdf")
    report = ingest(settings, "two")
    assert (report.n_documents, report.n_pages) == (1, 0)
    first, second = sorted(rows(settings, "documents"), key=lambda row: row["uri"])
    assert first["doc_id"] == second["doc_id"] and second["title"] == "Rules" and second["n_pages"] == 1
    assert len(rows(settings, "pages")) == 1


def test_a_reject_is_tried_again_only_when_it_changes_or_by_force(settings: Settings):
    fill(settings, {"a.pdf": made.pdf(TEXT, password="secret"), "b.txt": TEXT.encode()})
    ingest(settings, "one")
    assert discover(settings, "two").n_new == 0
    forced = ingest(settings, "three", force=True)
    assert (forced.n_planned, forced.n_unchanged, forced.rejects) == (2, 1, {"password_required": 1})
    fill(settings, {"a.pdf": made.pdf(TEXT)})
    changed = ingest(settings, "four")
    assert (changed.n_planned, changed.n_new, changed.rejects) == (1, 1, {})
    assert len(rows(settings, "pages")) == 2


def test_limit_and_prefix_bound_a_run_and_the_next_one_takes_the_rest(settings: Settings):
    fill(settings, MIXED)
    assert ingest(settings, "one", limit=3).n_documents == 3
    assert ingest(settings, "two", prefix="contracts/").n_listed == 2
    rest = ingest(settings, "three")
    assert len(rows(settings, "documents")) == 10 and rest.n_documents < 7


def test_an_empty_inbox_is_success_and_says_so(settings: Settings):
    report = ingest(settings, "one")
    assert (report.n_listed, report.n_new, report.rejects) == (0, 0, {})
    assert "is empty" in report.message and settings.inbox in report.message
    fill(settings, MIXED)
    assert "is empty below 'nowhere/'" in ingest(settings, "two", prefix="nowhere/").message


def test_an_inbox_that_does_not_exist_is_named_with_its_variable(settings: Settings):
    wrong = replace(settings, inbox=settings.inbox + "-not-there")
    with pytest.raises(InboxError, match=r"inbox-not-there does not exist.*SKILLYARD_INBOX"):
        discover(wrong, "one")
    inbox = fill(settings, {"a.txt": b"x"})
    with pytest.raises(InboxError, match="is a file, not a folder"):
        discover(replace(settings, inbox=(inbox / "a.txt").as_uri()), "one")
    with pytest.raises(ConfigError):
        discover(settings, "one", IngestRequest(prefix="../"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_inbox_without_permission_is_an_inbox_error(settings: Settings):
    inbox = fill(settings, MIXED)
    inbox.chmod(0)
    try:
        with pytest.raises(InboxError, match="permission"):
            discover(settings, "one")
    finally:
        inbox.chmod(0o755)


def test_a_lake_that_cannot_be_written_is_found_before_anything_is_read(settings: Settings, tmp_path: Path):
    (tmp_path / "occupied").write_text("a file where the lake should be")
    with pytest.raises(LakeNotWritable):
        discover(replace(settings, lake=(tmp_path / "occupied").as_uri()), "one")


def test_what_a_failed_shard_left_is_pending_and_published_later(settings: Settings):
    fill(settings, {f"{n:03}.txt": f"{TEXT} Berth {n}.".encode() for n in range(100)})
    plan = discover(settings, "one", n_shards=3)
    first, second, third = ingest_shards(settings, plan.run_key)
    parse_shard(settings, first), parse_shard(settings, third)
    report = publish_documents(settings, plan.run_key)
    assert report.n_pending == plan.shards[second] and report.pending == {"failed_shard": plan.shards[second]}
    assert report.n_documents == 100 - plan.shards[second] == len(rows(settings, "documents"))
    before = tables(settings)
    assert publish_documents(settings, plan.run_key) == report
    assert tables(settings) == before
    parse_shard(settings, second)
    whole = publish_documents(settings, plan.run_key)
    assert (whole.n_documents, whole.n_pages, whole.n_pending) == (100, 100, 0)
    assert before.items() <= tables(settings).items()
    assert len(rows(settings, "documents")) == len(rows(settings, "pages")) == 100


def test_equal_bytes_in_two_shards_give_two_documents_and_one_set_of_pages_and_rejects(settings: Settings):
    twins = {f"{n:03}.txt": f"{TEXT} Berth {n % 50}.".encode() for n in range(100)}
    fill(settings, twins | {"x1.pdf": made.pdf(TEXT, password="s"), "x2.pdf": made.pdf(TEXT, password="s")})
    report = ingest(settings, "one", n_shards=3)
    assert (report.n_documents, report.n_pages, report.rejects) == (102, 50, {"password_required": 2})
    assert len(rows(settings, "pages")) == 50 and len(rows(settings, "rejects")) == 1


def test_a_finished_shard_returns_at_once_and_a_planned_run_keeps_its_plan(settings: Settings):
    inbox = fill(settings, MIXED)
    plan = discover(settings, "one")
    (shard,) = ingest_shards(settings, plan.run_key)
    told: list[object] = []
    report = parse_shard(settings, shard, told.append)
    assert (report.n_items, report.n_parsed, report.n_rejected, report.n_pages) == (10, 6, 4, 6)
    assert told and "10/10 documents" in str(told[-1])
    shutil.rmtree(inbox)
    assert parse_shard(settings, shard) == report
    assert discover(settings, "one") == plan


def test_documents_that_go_away_between_listing_and_reading_are_counted_as_gone(settings: Settings):
    inbox = fill(settings, MIXED)
    plan = discover(settings, "one")
    (inbox / "notes/a b.txt").unlink()
    for shard in ingest_shards(settings, plan.run_key):
        parse_shard(settings, shard)
    report = publish_documents(settings, plan.run_key)
    assert (report.n_planned, report.n_documents, report.n_gone, report.n_pending) == (10, 9, 1, 0)


def test_a_run_whose_counts_do_not_agree_fails(settings: Settings):
    fill(settings, MIXED)
    plan = discover(settings, "one")
    (shard,) = ingest_shards(settings, plan.run_key)
    parse_shard(settings, shard)
    lake = Lake(settings.lake)
    outcome = lake.read_json(outcome_key(shard))
    outcome["report"]["n_parsed"] -= 1
    lake.write_json(outcome_key(shard), outcome)
    with pytest.raises(CountMismatch, match="9 of 10 objects"):
        publish_documents(settings, plan.run_key)


def test_a_document_too_large_to_be_held_is_rejected_unread(settings: Settings):
    inbox = fill(settings, {"a.txt": TEXT.encode()})
    with (inbox / "huge.pdf").open("wb") as file:
        file.truncate(300 * 1024**2)
    report = ingest(settings, "one")
    assert (report.n_new, report.rejects) == (1, {"too_large": 1})


def test_pages_of_a_large_shard_are_written_in_frames_and_never_split_within_a_document(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    from skillyard.running import ingest_batches as publishing
    from skillyard.running import shard_rows

    monkeypatch.setattr(shard_rows, "PAGES_FRAME_CHARS", 1000)
    monkeypatch.setattr(publishing, "PAGES_FRAME_CHARS", 1500)
    fill(settings, {f"{n}.pdf": made.pdf(*(f"{TEXT} Page {page} of {n}." for page in range(4))) for n in range(9)})
    report = ingest(settings, "one")
    assert report.n_pages == 36
    files = [path for path in tables(settings) if "/pages/" in path]
    assert len(files) > 2
    import pyarrow.parquet as pq

    holders = Counter(doc_id for path in files for doc_id in set(pq.read_table(path)["doc_id"].to_pylist()))
    assert set(holders.values()) == {1}


def test_inbox_and_lake_may_be_on_s3_and_wrong_keys_are_an_inbox_error(settings: Settings, s3: S3Server, monkeypatch: pytest.MonkeyPatch):
    from skillyard.storage import open_storage

    base = f"s3://{s3.bucket}/{uuid4().hex}"
    remote = replace(settings, inbox=f"{base}/inbox", lake=f"{base}/lake")
    store = open_storage(remote.inbox)
    for name, data in MIXED.items():
        store.put(name, data)
    report = ingest(remote, "one")
    assert (report.n_documents, report.n_new, report.n_pages) == (10, 6, 6)
    store.put("notes/a b.txt", MIXED["notes/a b.txt"])
    assert discover(remote, "two").n_new == 0
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(InboxError, match="SKILLYARD_INBOX"):
        discover(replace(remote, lake=settings.lake), "three")


def test_shards_are_cut_to_about_equal_weight_in_the_order_of_their_keys():
    from datetime import UTC, datetime

    def shards_of(items: list[InboxItem], n: int) -> list[list[InboxItem]]:
        return list(cut(items, len(items), sum(item.size_bytes for item in items), n))

    items = [InboxItem(f"{n:05}", size, "e", datetime.now(UTC)) for n, size in enumerate([10**7, *([10**4] * 2000)])]
    shards = shards_of(items, 4)
    weights = sorted(sum(item.size_bytes + 20_000 for item in shard) for shard in shards)
    assert len(shards) == 4 and weights[-1] < 1.05 * weights[0]
    assert [item for shard in shards for item in shard] == items
    assert [len(shard) for shard in shards_of(items[:5], 8)] == [5]
    assert len(shards_of(items * 20, 2)) == 9
    assert shards_of([], 8) == []
    many = shards_of([InboxItem("k", 10**9 if n % 9 == 0 else 1, "e", datetime.now(UTC)) for n in range(90_000)], 8)
    assert max(map(len, many)) <= 5_000 and sum(map(len, many)) == 90_000 and len(many) <= 1000
