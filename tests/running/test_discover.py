"""What a look at the inbox finds: the same as comparing everything with everything, in one walk that holds nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.errors import InboxError, UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.tables import DOCUMENTS
from skillyard.running import inbox_known
from skillyard.running.inbox_diff import CHANGED, DELETED, NEW, SAME, UNSURE, Known, diff
from skillyard.running.inbox_known import Seen, keep_snapshot, known_objects, snapshot_key
from skillyard.running.inbox_look import Counts, IngestRequest, look
from skillyard.storage import ObjectInfo

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEYS = st.text(st.sampled_from("ab /!é\U0001f600-"), min_size=1, max_size=4)


def listed(key: str, etag: str = "e", size: int = 1) -> ObjectInfo:
    return ObjectInfo(key, size, etag, NOW)


def known(key: str, etag: str = "e", size: int = 1, parent: str | None = None) -> Known:
    return Known(key, 0, etag, size, "d" * 64, "parsed", "txt", "text/plain", parent, key if parent else None)


@given(st.dictionaries(KEYS, st.sampled_from("ef")), st.dictionaries(KEYS, st.sampled_from("ef")))
def test_one_walk_finds_what_two_dictionaries_would(there: dict[str, str], before: dict[str, str]):
    found = {(change.kind, (change.info or change.known).key) for change in diff(in_order(there), in_order(before, known))}
    wanted = {(NEW, key) for key in there.keys() - before.keys()} | {(DELETED, key) for key in before.keys() - there.keys()}
    wanted |= {(SAME if there[key] == before[key] else CHANGED, key) for key in there.keys() & before.keys()}
    assert found == wanted


def in_order(entries: dict[str, str], make=listed) -> Iterator:
    return (make(key, entries[key]) for key in sorted(entries, key=lambda key: key.encode()))


@given(
    st.dictionaries(KEYS, st.sampled_from("ef")),
    st.dictionaries(KEYS, st.sampled_from("ef")),
    st.sets(st.tuples(KEYS, st.lists(KEYS, min_size=1, max_size=2).map(tuple))),
)
def test_members_share_the_fate_of_their_archive(there: dict[str, str], before: dict[str, str], inside: set):
    inside = {(archive, "!/".join((archive, *path))) for archive, path in inside if archive in before and "!/" not in archive}
    members = {key: archive for archive, key in inside if key not in before}
    rows = sorted([known(key, before[key]) for key in before] + [known(key, parent="p") for key in members], key=lambda one: one.key)
    found = {change.known.key: change.kind for change in diff(in_order(there), rows) if change.known and change.known.parent_doc_id}
    for key, archive in members.items():
        fate = DELETED if archive not in there else UNSURE if there[archive] != before[archive] else None
        nested = [other for other in before if key.startswith(f"{other}!/")]
        if nested == [archive]:
            assert found.get(key) == fate, key


def test_a_million_objects_are_walked_through_with_flat_memory():
    import tracemalloc

    def keys() -> Iterator[str]:
        return (f"mail/{n:07}.txt" for n in range(1_000_000))

    changes = diff((listed(key, "f" if key.endswith("00.txt") else "e") for key in keys()), (known(key) for key in keys()))
    for _ in range(1000):
        next(changes)
    tracemalloc.start()
    n_changed = sum(change.kind == CHANGED for _, change in zip(range(100_000), changes, strict=False))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    n_changed += sum(change.kind == CHANGED for change in changes)
    assert n_changed == 9_990
    assert peak < 1_000_000


def test_a_listing_out_of_order_is_refused():
    with pytest.raises(InboxError, match="'a' after 'b'"):
        list(diff([listed("b"), listed("a")], []))


def row(inbox: str, name: str, at: datetime, **changes: object) -> dict[str, object]:
    return {
        "doc_id": "1" * 64,
        "uri": f"{inbox}/{name}",
        "kind": "txt",
        "mime_type": "text/plain",
        "size_bytes": 1,
        "etag": "e",
        "n_pages": 0,
        "n_chars": 0,
        "n_chunks": 0,
        "status": "parsed",
        "run_id": "r",
        "ingested_at": at,
        "ingested_on": at.date(),
    } | changes


def publish(lake: Lake, part: str, *rows: dict[str, object]) -> None:
    append(lake, DOCUMENTS, pa.Table.from_pylist(rows, schema=DOCUMENTS.schema), part)


@pytest.mark.parametrize("store", ["local", "s3"])
def test_what_is_known_is_the_newest_of_each_address_whatever_the_snapshot_has_seen(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    monkeypatch.setattr(inbox_known, "RUN_ROWS", 3)
    base = str(tmp_path) if store == "local" else f"s3://{request.getfixturevalue('s3').bucket}/{tmp_path.name}"
    lake = Lake(f"{base}/lake")
    inbox = (tmp_path / "inbox").as_uri() if store == "local" else f"{base}/inbox"
    spaced = "b%20c.txt" if store == "local" else "b c.txt"
    publish(lake, "one", *(row(inbox, name, NOW) for name in ("z.txt", "a.txt", spaced, "gone.txt", "m/x.zip")))
    publish(lake, "other", row("file:///elsewhere", "a.txt", NOW))
    assert [one.key for one in known_objects(lake, inbox)] == ["a.txt", "b c.txt", "gone.txt", "m/x.zip", "z.txt"]
    keep_snapshot(lake, inbox, [Seen(f"{inbox}/z.txt", "touched", "1" * 64, us(NOW, 5)), Seen(f"{inbox}/a.txt", "x", "2" * 64, us(NOW, 5))])

    later = NOW + timedelta(hours=1)
    publish(lake, "two", row(inbox, "a.txt", later, etag="new", status="rejected"), row(inbox, "gone.txt", later, status="deleted"))
    publish(lake, "three", row(inbox, "m/x.zip!/in%20it.txt", later, parent_doc_id="1" * 64))
    wanted = {
        "a.txt": ("new", "rejected"),
        "b c.txt": ("e", "parsed"),
        "m/x.zip": ("e", "parsed"),
        "m/x.zip!/in%20it.txt": ("e", "parsed"),
        "z.txt": ("touched", "parsed"),
    }
    assert {one.key: (one.etag, one.status) for one in known_objects(lake, inbox)} == wanted
    keep_snapshot(lake, inbox, [])
    assert {one.key: (one.etag, one.status) for one in known_objects(lake, inbox)} == wanted

    rows = [row for key in list(lake.storage.list("documents/")) for row in lake.read_frame(key.key).to_pylist()]
    for found in list(lake.storage.list("documents/")):
        lake.storage.delete(found.key)
    publish(lake, "compacted", *rows)
    assert {one.key: (one.etag, one.status) for one in known_objects(lake, inbox)} == wanted
    lake.storage.delete(snapshot_key(inbox))
    assert {one.key: one.etag for one in known_objects(lake, inbox)}["z.txt"] == "e", "documents is the truth"


def us(at: datetime, plus_s: int) -> int:
    return int(at.timestamp() + plus_s) * 1_000_000


def look_at(tmp_path: Path, **asked: object) -> tuple[list[str], Counts]:
    counts = Counts()
    lake, inbox = Lake(str(tmp_path / "lake")), (tmp_path / "inbox").as_uri()
    found = look(lake, inbox, IngestRequest(**asked), counts)  # type: ignore[arg-type]
    return [one.item.key for one in found if one.item], counts


def test_globs_choose_by_path_or_by_an_end_of_it_and_case_does_not_count(tmp_path: Path):
    for name in ("a.pdf", "mail/B.PDF", "mail/old/c.pdf", "mail/d.txt"):
        (tmp_path / "inbox" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "inbox" / name).write_bytes(b"x")
    assert look_at(tmp_path, include=("*.pdf",))[0] == ["a.pdf", "mail/B.PDF", "mail/old/c.pdf"]
    assert look_at(tmp_path, include=("old/*", "*.txt"))[0] == ["mail/d.txt", "mail/old/c.pdf"]
    assert look_at(tmp_path, include=("*.pdf",), exclude=("MAIL/*",))[0] == ["a.pdf"]
    assert look_at(tmp_path, prefix="mail/", exclude=("*.txt",))[0] == ["mail/B.PDF", "mail/old/c.pdf"]


def test_a_name_that_is_no_text_is_left_out_and_counted(tmp_path: Path):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "good.txt").write_bytes(b"x")
    with open(bytes(tmp_path / "inbox") + b"/bad\xff.txt", "wb") as file:  # noqa: PTH123
        file.write(b"x")
    keys, counts = look_at(tmp_path)
    assert (keys, counts.n_listed, counts.n_unnamed) == (["good.txt"], 1, 1)


def test_an_unknown_kind_of_reject_is_refused_with_those_there_are():
    with pytest.raises(UnknownName, match="password_required"):
        IngestRequest(retry_rejects=("passwort_required",))
