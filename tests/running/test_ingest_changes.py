"""What later runs make of an inbox that changes: deletions, moves, rejects tried again, archives, runs that were killed."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from skillyard.cli import app
from skillyard.errors import InboxError
from skillyard.lake.lake import Lake
from skillyard.running import ingest_batches
from skillyard.running.ingest import OPEN, IngestRequest, discover, ingest_shards, parse_shard, preview, publish_documents
from skillyard.running.items import find_items
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from tests.documents import made
from tests.documents.made import GERMAN, TEXT
from tests.running.ingesting import fill, ingest, rows, tables


def texts(n: int, first: int = 0) -> dict[str, bytes]:
    return {f"{number:03}.txt": f"{TEXT} Berth {number}.".encode() for number in range(first, first + n)}


def current(settings: Settings) -> dict[str, str]:
    """Return the newest status by name."""
    newest = {row["uri"]: row["status"] for row in sorted(rows(settings, "documents"), key=lambda row: row["ingested_at"])}
    return {uri.removeprefix(f"{settings.inbox}/"): status for uri, status in newest.items()}


def items(settings: Settings) -> list[str]:
    skill = Catalogue(settings.include).load("tag-document")
    return [item.uri.removeprefix(f"{settings.inbox}/") for item in find_items(Lake(settings.lake), skill, settings.inbox)]


def test_what_is_gone_gets_a_row_and_is_no_item_any_more_until_it_comes_back(settings: Settings):
    inbox = fill(settings, texts(4))
    ingest(settings, "one")
    (inbox / "002.txt").unlink()
    report = ingest(settings, "two")
    assert (report.n_deleted, report.n_planned, report.n_documents, report.n_pages) == (1, 0, 0, 0)
    assert "1 deleted" in report.message
    assert current(settings)["002.txt"] == "deleted" and sorted(items(settings)) == ["000.txt", "001.txt", "003.txt"]
    (gone,) = (row for row in rows(settings, "documents") if row["status"] == "deleted")
    assert (gone["n_pages"], gone["kind"], gone["run_id"], gone["size_bytes"]) == (0, "txt", "two", len(texts(4)["002.txt"]))
    assert ingest(settings, "three").n_deleted == 0, "it is deleted once"
    fill(settings, texts(3))
    back = ingest(settings, "four")
    assert (back.n_new, back.n_pages) == (1, 0) or (back.n_new, back.n_unchanged) == (1, 2)
    assert current(settings)["002.txt"] == "parsed" and len(rows(settings, "pages")) == 4 == len(items(settings))


def test_a_moved_document_is_not_parsed_again_and_stays_one_item(settings: Settings):
    inbox = fill(settings, texts(3))
    ingest(settings, "one")
    (inbox / "001.txt").rename(inbox / "renamed.txt")
    report = ingest(settings, "two")
    assert (report.n_deleted, report.n_new, report.n_pages) == (1, 1, 0)
    assert sorted(items(settings)) == ["000.txt", "002.txt", "renamed.txt"]


def test_an_inbox_that_lost_more_than_half_is_refused_until_that_is_confirmed(settings: Settings):
    inbox = fill(settings, texts(5))
    ingest(settings, "one")
    before = tables(settings)
    for name in ("000.txt", "001.txt", "002.txt"):
        (inbox / name).unlink()
    with pytest.raises(InboxError, match=r"3 of the 5 documents.*--confirm-deletions"):
        discover(settings, "two")
    assert "would be refused" in preview(settings, IngestRequest()).message
    shutil.rmtree(inbox), inbox.mkdir()
    with pytest.raises(InboxError, match="5 of the 5"):
        discover(settings, "three")
    assert tables(settings) == before
    assert ingest(settings, "four", confirm_deletions=True).n_deleted == 5 and items(settings) == []


def test_a_run_records_only_deletions_of_what_it_looked_at(settings: Settings):
    inbox = fill(settings, {f"{folder}/{name}": data for folder in ("a", "b") for name, data in texts(3).items()})
    ingest(settings, "one")
    for name in ("a/000.txt", "b/000.txt", "b/001.txt"):
        (inbox / name).unlink()
    assert ingest(settings, "limited", limit=1).n_deleted == 0
    assert ingest(settings, "below a", prefix="a/").n_deleted == 1
    assert ingest(settings, "some of b", include=("b/*",), exclude=("001.txt",)).n_deleted == 1
    assert {name for name, status in current(settings).items() if status == "deleted"} == {"a/000.txt", "b/000.txt"}
    assert ingest(settings, "all").n_deleted == 1


def test_rejects_of_a_kind_are_tried_again_beside_what_is_new(settings: Settings, tmp_path: Path):
    locked = made.pdf(TEXT, password="secret")
    fill(settings, {"locked.pdf": locked, "empty.pdf": b"", **texts(1)})
    ingest(settings, "one")
    fill(settings, texts(1, 7))
    asked = IngestRequest(retry_rejects=("password_required",))
    seen = preview(settings, asked)
    assert (seen.n_listed, seen.n_new, seen.n_retried, seen.first_keys) == (4, 1, 1, ["007.txt", "locked.pdf"])
    again = ingest(settings, "two", retry_rejects=("password_required",))
    assert (again.n_planned, again.n_new, again.retried) == (2, 1, {"password_required": 1})
    assert ingest(settings, "three", retry_rejects=("timed_out",)).n_planned == 0

    (tmp_path / "passwords").write_text("secret\n")
    from dataclasses import replace

    opened = ingest(replace(settings, passwords=tmp_path / "passwords"), "four", retry_rejects=("any",))
    assert (opened.n_planned, opened.retried) == (2, {"empty": 1, "parsed": 1})
    assert current(settings)["locked.pdf"] == "parsed" and "locked.pdf" in items(settings)
    assert ingest(settings, "five", force=True).retried == {"empty": 1}
    assert sum(TEXT[:30] in row["text"] for row in rows(settings, "pages")) == len(rows(settings, "pages")) == 3


def packed(files: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return sink.getvalue()


def test_members_go_with_their_archive_and_with_what_it_held(settings: Settings):
    old, new = texts(3), {**texts(2), "009.txt": GERMAN.encode()}
    inbox = fill(settings, {"a.zip": packed(old), "b.txt": TEXT.encode()})
    first = ingest(settings, "one")
    assert (first.n_unpacked, first.n_members, first.n_new) == (1, 3, 4)
    fill(settings, {"a.zip": packed(new)})
    second = ingest(settings, "two")
    assert second.n_deleted == 1
    wanted = {"a.zip": "unpacked", "b.txt": "parsed", **{f"a.zip!/{name}": "parsed" for name in new}, "a.zip!/002.txt": "deleted"}
    assert current(settings) == wanted
    (inbox / "a.zip").rename(inbox / "c.zip")
    third = ingest(settings, "three")
    assert (third.n_deleted, third.n_pages) == (4, 0)
    assert sorted(items(settings)) == ["b.txt", *(f"c.zip!/{name}" for name in sorted(new))]
    assert ingest(settings, "four").n_planned == 0


def test_a_run_killed_while_it_published_is_finished_before_the_next_is_planned(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    fill(settings, texts(5))
    plan = discover(settings, "killed")
    for shard in ingest_shards(settings, plan.run_key):
        parse_shard(settings, shard, n_workers=1)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ingest_batches, "_publish_documents", killed)
        with pytest.raises(KeyboardInterrupt):
            publish_documents(settings, plan.run_key)
    assert len(rows(settings, "pages")) == 5 and rows(settings, "documents") == []
    assert Lake(settings.lake).has(OPEN)
    assert ingest(settings, "next").n_planned == 0
    assert len(rows(settings, "pages")) == len(rows(settings, "documents")) == 5
    assert not Lake(settings.lake).has(OPEN)


def test_many_shards_are_published_in_batches_and_equal_bytes_still_once(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ingest_batches, "BATCH_ITEMS", 40)
    fill(settings, {f"{n:03}.txt": f"{TEXT} Berth {n % 60}.".encode() for n in range(120)} | {"x.pdf": b"", "y.pdf": b""})
    report = ingest(settings, "one", n_shards=4)
    assert (report.n_documents, report.n_pages, report.rejects) == (122, 60, {"empty": 2})
    assert len(rows(settings, "pages")) == 60 and len(rows(settings, "rejects")) == 1
    lake = Lake(settings.lake)
    assert len(list(lake.storage.list("_runs/ingest_documents/one/batches/"))) >= 3
    before = tables(settings)
    assert publish_documents(settings, "_runs/ingest_documents/one") == report
    assert tables(settings) == before


def test_near_duplicates_are_marked_with_the_first_of_their_kind(settings: Settings):
    letter = " ".join(f"Clause {n} of the harbour rules says that boat {n * 7} may stay for {n + 3} days." for n in range(60))
    fill(settings, {"a.txt": letter.encode()})
    ingest(settings, "one")
    fill(settings, {"b.txt": f"{letter} Signed.".encode(), "c.txt": GERMAN.encode()})
    report = ingest(settings, "two")
    assert report.n_duplicates == 1
    documents = {row["uri"].rpartition("/")[2]: row for row in rows(settings, "documents")}
    assert documents["b.txt"]["duplicate_of"] == documents["a.txt"]["doc_id"] and documents["c.txt"]["duplicate_of"] is None


def test_the_command_line_previews_without_writing_and_ingests(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    from typer.testing import CliRunner

    fill(settings, texts(3))
    for name in ("lake", "inbox", "state"):
        monkeypatch.setenv(f"SKILLYARD_{name.upper()}", getattr(settings, name))
    monkeypatch.setenv("SKILLYARD_HOME", str(settings.home))
    runner = CliRunner()
    seen = json.loads(runner.invoke(app, ["ingest", "--dry-run", "--json", "--exclude", "002.*"]).stdout)
    assert (seen["n_listed"], seen["n_new"], seen["first_keys"]) == (2, 2, ["000.txt", "001.txt"])
    assert not Path(settings.lake.removeprefix("file://")).exists()
    done = runner.invoke(app, ["ingest", "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["n_documents"] == 3
    assert "3/3 documents" in done.stderr and "left" in done.stderr
    assert runner.invoke(app, ["ingest", "--retry-rejects", "nothing"]).exception is not None
