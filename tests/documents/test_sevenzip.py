"""7z archives: what is in them, and what hostile ones come to."""

import io
import random
from collections.abc import Callable
from functools import partial

import py7zr
import pytest

from skillyard.documents.result import Refused
from skillyard.documents.sevenzip import read_sevenzip

FILES = {"a/one.txt": b"one" * 100, "empty.txt": b"", "two.bin": bytes(range(256)) * 20}


def sevenzip(files: dict[str, bytes] = FILES, **options: object) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return out.getvalue()


def read(data: bytes, max_members: int = 100, max_bytes: int = 10**6) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the whole members' bytes and the reasons of those that are not."""
    taken: dict[str, bytes] = {}
    skipped: dict[str, str] = {}

    def take(path: str, piece: bytes) -> None:
        taken[path] = taken.get(path, b"") + piece

    whole = read_sevenzip(data, take, lambda path, kind, _: skipped.update({path: kind}), max_members, max_bytes)
    return {path: taken[path] for path in whole}, skipped


def test_every_member_is_handed_on_empty_ones_too() -> None:
    assert read(sevenzip()) == (FILES, {})


@pytest.mark.parametrize(
    ("make", "limits", "kind"),
    [
        (sevenzip, {"max_members": 2}, "archive_limit"),
        (sevenzip, {"max_bytes": 5000}, "archive_limit"),
        (partial(sevenzip, {"zeros": bytes(70 * 1024**2)}), {"max_bytes": 10**9}, "archive_limit"),
        (partial(sevenzip, {}), {}, "empty"),
        (partial(sevenzip, password="pier", filters=None), {}, "password_required"),
        (partial(sevenzip, password="pier", header_encryption=True), {}, "password_required"),
        (lambda: sevenzip()[:-20], {}, "corrupt"),
    ],
)
def test_an_archive_beyond_limits_locked_or_broken_is_refused(make: Callable[[], bytes], limits: dict[str, int], kind: str) -> None:
    with pytest.raises(Refused, match=kind):
        read(make(), **limits)


def test_a_path_that_leads_out_is_skipped_and_the_rest_read() -> None:
    safe, evil = "in.txt", "xx/out.txt"
    archive = io.BytesIO()
    with py7zr.SevenZipFile(archive, "w", filters=[{"id": py7zr.FILTER_COPY}]) as writer:
        writer.set_encoded_header_mode(False)
        writer.writestr(b"in", safe)
        writer.writestr(b"out", evil)
        writer.header.files_info.files[-1]["filename"] = "../out.txt"
    taken, skipped = read(archive.getvalue())
    assert taken == {safe: b"in"} and skipped == {"../out.txt": "unsupported_type"}


def test_no_damage_raises_anything_but_refused() -> None:
    data, chance = sevenzip(filters=[{"id": py7zr.FILTER_LZMA2, "preset": 1}]), random.Random(7)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(6, len(damaged))] = chance.randrange(256)
        try:
            taken, _ = read(bytes(damaged))
        except Refused:
            continue
        assert all(FILES.get(path) in (data, None) for path, data in taken.items())
