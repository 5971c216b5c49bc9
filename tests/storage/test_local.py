"""What only a local folder can do wrong."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from skillyard.errors import ConfigError, LakeNotWritable, ObjectMissing, StorageRefused
from skillyard.storage import open_storage


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("mounting a small disk needs root")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_told_and_leaves_what_was_there(small_disk: Path) -> None:
    storage = open_storage(str(small_disk))
    storage.put("a", b"old")
    with pytest.raises(LakeNotWritable, match="No space left"):
        storage.put("a", b"x" * 200_000)
    assert storage.get("a") == b"old"
    assert [path.name for path in small_disk.iterdir()] == ["a"]


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("not a folder")
    with pytest.raises(LakeNotWritable, match="lake"):
        open_storage(str(tmp_path / "lake")).put("a/b", b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write and read everywhere")
def test_missing_permission_is_told(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    storage.put("a", b"x")
    (tmp_path / "a").chmod(0)
    with pytest.raises(StorageRefused, match="Permission denied"):
        storage.get("a")
    tmp_path.chmod(0o500)
    with pytest.raises(LakeNotWritable, match="Permission denied"):
        storage.put("b", b"x")
    tmp_path.chmod(0o700)


def test_what_a_killed_writer_left_behind_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "_tmp-0123").write_bytes(b"half")
    storage = open_storage(str(tmp_path))
    storage.put("a", b"x")
    assert [found.key for found in storage.list()] == ["a"]


def test_a_folder_that_does_not_exist_is_empty_and_not_made_by_reading(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "lake"))
    assert list(storage.list()) == []
    assert storage.head("a") is None
    with pytest.raises(ObjectMissing):
        storage.get("a")
    assert not (tmp_path / "lake").exists()


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    storage.put("a/b", b"x")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    assert [found.key for found in storage.list()] == ["a/b"]


def test_names_with_spaces_and_percent_signs_survive_the_url(tmp_path: Path) -> None:
    storage = open_storage((tmp_path / "100% sure").as_uri())
    storage.put("a b%20.txt", b"x")
    assert (tmp_path / "100% sure" / "a b%20.txt").read_bytes() == b"x"
    assert storage.uri("a b%20.txt").endswith("/100%25%20sure/a%20b%2520.txt")


@pytest.mark.parametrize("url", ["ftp://example.com/x", "gs://bucket"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="neither a path nor"):
        open_storage(url)


def test_a_host_in_a_file_url_is_refused() -> None:
    with pytest.raises(ConfigError, match="three slashes"):
        open_storage("file://server/share")
