"""What every store promises, on a local folder and on S3 alike."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from skillyard.errors import ConfigError, ObjectMissing
from skillyard.storage import Storage, open_storage


def test_what_is_put_is_got_back(storage: Storage) -> None:
    storage.put("a/b/c.bin", b"\x00\xff")
    assert storage.get("a/b/c.bin") == b"\x00\xff"


def test_put_overwrites(storage: Storage) -> None:
    storage.put("a", b"one")
    storage.put("a", b"two")
    assert storage.get("a") == b"two"


def test_the_etag_is_the_same_in_list_head_and_what_a_write_returns(storage: Storage) -> None:
    etag = storage.put("a", b"one")
    head = storage.head("a")
    assert head is not None
    assert [etag, etag] == [head.etag, *(found.etag for found in storage.list("a"))]
    assert head.size_bytes == 3
    assert abs(head.modified_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_every_write_changes_the_etag_of_other_bytes(storage: Storage) -> None:
    assert len({storage.put("a", b"%d" % n) for n in range(10)}) == 10


def test_list_is_sorted_by_key_and_filtered_by_prefix(storage: Storage) -> None:
    keys = ["a-b", "a.b", "a/b", "a/é/x", "a0", "b/c/d", "日本/x"]
    for key in reversed(keys):
        storage.put(key, b"x")
    assert [found.key for found in storage.list()] == sorted(keys)
    assert [found.key for found in storage.list("a/")] == ["a/b", "a/é/x"]
    assert [found.key for found in storage.list("a")] == sorted(key for key in keys if key.startswith("a"))
    assert [found.key for found in storage.list("b/c/")] == ["b/c/d"]
    assert list(storage.list("c")) == []


def test_folders_are_the_names_before_the_next_slash(storage: Storage) -> None:
    for key in ("r/a/v1/x", "r/a/v2/x", "r/b/v1/x", "r/file"):
        storage.put(key, b"x")
    assert list(storage.folders("r/")) == ["a", "b"]
    assert list(storage.folders("r/a/")) == ["v1", "v2"]
    assert list(storage.folders()) == ["r"]
    assert list(storage.folders("nothing/")) == []


def test_a_missing_object_is_missing(storage: Storage) -> None:
    assert storage.head("nothing") is None
    storage.delete("nothing")
    with pytest.raises(ObjectMissing, match="nothing"):
        storage.get("nothing")


def test_a_folder_is_no_object(storage: Storage) -> None:
    storage.put("a/b", b"x")
    assert storage.head("a") is None
    with pytest.raises(ObjectMissing):
        storage.get("a")


def test_delete_removes(storage: Storage) -> None:
    storage.put("a", b"x")
    storage.delete("a")
    assert storage.head("a") is None


def test_put_if_absent_writes_once(storage: Storage) -> None:
    assert storage.put_if_absent("a", b"one") == getattr(storage.head("a"), "etag", None)
    assert storage.put_if_absent("a", b"two") is None
    assert storage.get("a") == b"one"


def test_copy_if_absent_gives_a_second_object_that_stays_when_the_first_goes(storage: Storage) -> None:
    storage.put("from", b"one")
    etag = storage.copy_if_absent("from", "to/here")
    storage.put("from", b"two")
    storage.delete("from")
    head = storage.head("to/here")
    assert head is not None
    assert (storage.get("to/here"), head.etag) == (b"one", etag)
    storage.put("from", b"two")
    assert storage.copy_if_absent("from", "to/here") is None
    assert storage.get("to/here") == b"one"


def test_copy_if_absent_of_nothing_makes_nothing(storage: Storage) -> None:
    with pytest.raises(ObjectMissing):
        storage.copy_if_absent("gone", "to")
    assert storage.head("to") is None


def test_replace_if_match_replaces_what_was_seen_and_nothing_else(storage: Storage) -> None:
    first = storage.replace_if_match("a", b"one", None)
    assert first is not None
    assert storage.replace_if_match("a", b"never", None) is None
    second = storage.replace_if_match("a", b"two", first)
    assert second is not None
    assert storage.replace_if_match("a", b"never", first) is None
    assert storage.get("a") == b"two"
    assert storage.replace_if_match("missing", b"never", second) is None
    assert storage.head("missing") is None


def test_of_sixteen_threads_one_creates_the_object(storage: Storage) -> None:
    with ThreadPoolExecutor(16) as pool:
        won = [etag for etag in pool.map(lambda n: storage.put_if_absent("race", b"%d" % n), range(16)) if etag]
    assert len(won) == 1


def test_of_several_processes_one_creates_the_object(storage: Storage) -> None:
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        won = sum(pool.map(_create_ten, [storage.root] * 3))
    assert won == 10


def test_no_increment_is_lost_between_threads_that_compare_and_replace(storage: Storage) -> None:
    storage.put("count", b"0")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: _increment(storage), range(30)))
    assert json.loads(storage.get("count")) == 30


def test_a_reader_never_sees_half_an_object(storage: Storage) -> None:
    storage.put("a", b"0" * 300_000)
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(lambda: [storage.put("a", b"%d" % (n % 10) * 300_000) for n in range(20)])
        while not writing.done():
            data = storage.get("a")
            assert len(data) == 300_000
            assert len(set(data)) == 1


@pytest.mark.parametrize("key", ["", "../x", "a/../../x", "a//b", "/etc/passwd", "a/./b", "a\0b"])
def test_a_key_that_could_leave_the_root_is_refused(storage: Storage, key: str) -> None:
    with pytest.raises(ConfigError, match="is not an object key"):
        storage.put(key, b"x")


def test_the_uri_of_a_key_begins_with_the_root(storage: Storage) -> None:
    assert storage.uri("a/b") == f"{storage.root}/a/b"


def _create_ten(root: str) -> int:
    storage = open_storage(root)
    return sum(storage.put_if_absent(f"race/{n}", b"x") is not None for n in range(10))


def _increment(storage: Storage) -> None:
    while True:
        seen = storage.head("count")
        assert seen is not None
        value = json.loads(storage.get("count"))
        if storage.replace_if_match("count", json.dumps(value + 1).encode(), seen.etag):
            return
