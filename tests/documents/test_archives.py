"""Archives give their members, whatever these are called and however the archive lies."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillyard.documents import Parsed, Rejected, parse_document
from skillyard.documents.kinds import ReadOptions
from skillyard.documents.kinds.zip import read_zip
from skillyard.documents.result import Refused
from skillyard.documents.spool import SpoolFile, SpoolWriter
from tests.documents import made
from tests.documents.made import TEXT


def unpack(data: bytes, folder: Path, *passwords: str, **limits: int) -> Parsed | Rejected:
    spool = SpoolWriter(folder / "spool", **limits)
    try:
        return parse_document(data, "a.bin", ReadOptions(passwords, spool))
    finally:
        spool.close()
        (folder / "spool").unlink(missing_ok=True)


def members(data: bytes, folder: Path, *passwords: str) -> dict[str, bytes | str]:
    """Return each member's bytes, or why it has none."""
    options = ReadOptions(passwords, spool := SpoolWriter(folder / "spool"))
    result = parse_document(data, "a.bin", options)
    assert isinstance(result, Parsed), result
    assert result.is_archive and result.pages == ()
    spool.close()
    read = SpoolFile(folder / "spool").read
    assert list(folder.iterdir()) == []
    return {m.path: m.error_kind or read(m.offset, m.size_bytes) for m in result.members}


def tar(*entries: tuple[tarfile.TarInfo | str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for info, content in entries:
            info = tarfile.TarInfo(info) if isinstance(info, str) else info
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def encrypted_zip(files: dict[str, bytes], password: bytes) -> bytes:
    """Return a zip encrypted in the way that every program reads."""
    crc_table = [0] * 256
    for n in range(256):
        crc = n
        for _ in range(8):
            crc = (crc >> 1) ^ 0xEDB88320 if crc & 1 else crc >> 1
        crc_table[n] = crc

    plain = made.archive(dict(files))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        infos = archive.infolist()
        packed = []
        for info in infos:
            keys = [0x12345678, 0x23456789, 0x34567890]

            def update(byte: int, keys: list[int] = keys) -> None:
                keys[0] = (keys[0] >> 8) ^ crc_table[(keys[0] ^ byte) & 0xFF]
                keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
                keys[2] = (keys[2] >> 8) ^ crc_table[(keys[2] ^ (keys[1] >> 24)) & 0xFF]

            for byte in password:
                update(byte)
            start = info.header_offset + 30 + len(info.filename)
            body = bytes(11) + bytes([info.CRC >> 24]) + plain[start : start + info.compress_size]
            hidden = bytearray()
            for byte in body:
                t = (keys[2] | 2) & 0xFFFF
                hidden.append(byte ^ ((t * (t ^ 1)) >> 8 & 0xFF))
                update(byte)
            packed.append(bytes(hidden))
    offsets = []
    for info, data in zip(infos, packed, strict=True):
        offsets.append(out.tell())
        info.flag_bits |= 1
        info.compress_size = len(data)
        out.write(info.FileHeader(False))
        out.write(data)
    start = out.tell()
    for info, offset in zip(infos, offsets, strict=True):
        name = info.filename.encode()
        sizes = (info.CRC.to_bytes(4, "little"), info.compress_size.to_bytes(4, "little"), info.file_size.to_bytes(4, "little"))
        head = b"PK\x01\x02\x14\x03\x14\x00" + info.flag_bits.to_bytes(2, "little") + info.compress_type.to_bytes(2, "little") + bytes(4)
        out.write(head + b"".join(sizes) + len(name).to_bytes(2, "little") + bytes(12) + offset.to_bytes(4, "little") + name)
    size = out.tell() - start
    n = len(infos).to_bytes(2, "little")
    out.write(b"PK\x05\x06" + bytes(4) + n + n + size.to_bytes(4, "little") + start.to_bytes(4, "little") + bytes(2))
    return out.getvalue()


def test_a_zip_gives_its_files_without_what_systems_leave_there(tmp_path: Path):
    data = made.archive({"a/": "", "a/b.txt": TEXT, "c.txt": "c", "__MACOSX/a/._b.txt": "x", "a/.DS_Store": "x", "empty.txt": ""})
    assert members(data, tmp_path) == {"a/b.txt": TEXT.encode(), "c.txt": b"c", "empty.txt": b""}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=["plain", "gz", "bz2", "xz"])
def test_a_tar_gives_its_files_however_it_is_packed(pack, tmp_path: Path):
    assert members(pack(tar(("a/b.txt", TEXT.encode()), ("c.txt", b"c"))), tmp_path) == {"a/b.txt": TEXT.encode(), "c.txt": b"c"}


def test_names_that_lead_out_of_a_folder_or_occur_twice_are_labels_and_nothing_else(tmp_path: Path):
    names = ["../../etc/passwd", "/etc/passwd", "C:\\a.txt", "a/./b/../c", "\x00\x1b[31m", "x" * 2000]
    found = members(tar(*((name, str(n).encode()) for n, name in enumerate(names[:4]))), tmp_path)
    assert list(found) == ["etc/passwd", "etc/passwd#2", "C:/a.txt", "a/b/c"]
    assert list(found.values()) == [b"0", b"1", b"2", b"3"]
    with pytest.warns(UserWarning, match="Duplicate name"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for content in ("one", "two", "three"):
                archive.writestr("same.txt", content)
            archive.writestr("x" * 2000, "long")
    found = members(out.getvalue(), tmp_path)
    assert list(found.values()) == [b"one", b"two", b"three", b"long"]
    assert list(found)[:3] == ["same.txt", "same.txt#2", "same.txt#3"] and all(len(name) <= 500 for name in found)


def test_links_and_devices_in_a_tar_are_refused_one_by_one(tmp_path: Path):
    entries = [link("s", "/etc/passwd", tarfile.SYMTYPE), link("h", "a.txt", tarfile.LNKTYPE), link("d", "", tarfile.CHRTYPE)]
    found = members(tar(("a.txt", b"a"), *((entry, b"") for entry in entries)), tmp_path)
    assert found == {"a.txt": b"a", "s": "unsupported_type", "h": "unsupported_type", "d": "unsupported_type"}


def test_a_damaged_member_costs_only_itself(tmp_path: Path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("bad.txt", "harbour " * 10)
        archive.writestr("good.txt", "good")
    data = out.getvalue().replace(b"harbour harbour", b"harbour HARBOUR", 1)
    assert members(data, tmp_path) == {"bad.txt": "corrupt", "good.txt": b"good"}


def test_a_damaged_archive_is_corrupt_and_one_without_files_empty(tmp_path: Path):
    whole = {"zip": made.archive({"a.txt": TEXT * 50}), "tar": tar(("a.txt", TEXT.encode() * 50))}
    for kind, data in whole.items():
        result = unpack(data[: min(len(data) * 2 // 3, 3000)], tmp_path)
        assert isinstance(result, Rejected) and (result.kind, result.error_kind) == (kind, "corrupt")
    for data in (made.archive({}), made.archive({"a/": ""}), tar()):
        result = unpack(data, tmp_path)
        assert isinstance(result, Rejected) and result.error_kind in ("empty", "unsupported_type")


def test_a_zip_in_a_version_that_there_is_none_of_is_corrupt(tmp_path: Path):
    data = bytearray(made.archive({"a.txt": TEXT}))
    data[data.rindex(b"PK\x01\x02") + 6] = 200
    with pytest.raises(Refused, match="corrupt"):
        read_zip(bytes(data), ReadOptions(spool=SpoolWriter(tmp_path / "spool")))


def test_an_archive_of_archives_stored_as_they_are_is_an_archive(tmp_path: Path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (("report.docx", made.docx(TEXT)), ("a.pdf", made.pdf(TEXT)), ("b.zip", made.archive({"c": "c"}))):
            archive.writestr(name, content)
    assert list(members(out.getvalue(), tmp_path)) == ["report.docx", "a.pdf", "b.zip"]
    assert list(members(tar(("a.pdf", made.pdf(TEXT)), ("report.docx", made.docx(TEXT))), tmp_path)) == ["a.pdf", "report.docx"]


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        (made.archive({f"{n}.txt": "x" for n in range(20)}), {"max_members": 10}),
        (tar(*((f"{n}.txt", b"x") for n in range(20))), {"max_members": 10}),
        (made.archive({"a.txt": b" " * 200_000}), {"max_bytes": 100_000}),
        (gzip.compress(tar(("a.txt", b" " * 200_000))), {"max_bytes": 100_000}),
        (made.archive({"bomb": b"\0" * (80 * 1024**2)}), {}),
    ],
    ids=["zip members", "tar members", "zip bytes", "tar bytes", "zip ratio"],
)
def test_an_archive_beyond_its_limits_is_refused_as_a_whole(data: bytes, limits: dict[str, int], tmp_path: Path):
    result = unpack(data, tmp_path, **limits)
    assert isinstance(result, Rejected) and result.error_kind == "archive_limit"


def test_a_zip_whose_members_overlap_unpacks_to_no_more_than_the_limit(tmp_path: Path):
    data = made.archive({"a.txt": b"x" * 50_000, "b.txt": b"y"})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        first, second = archive.infolist()
    directory = data.rindex(b"PK\x01\x02")
    lying = bytearray(data)
    lying[directory + 42 : directory + 46] = first.header_offset.to_bytes(4, "little")
    found = members(bytes(lying), tmp_path)
    assert found["b.txt"] == "corrupt" and second.header_offset


def test_a_zip_that_claims_millions_of_members_is_refused_before_they_are_listed(tmp_path: Path):
    result = unpack(made.archive({"a.txt": "a"}) + b"PK\x01\x02" * 200_000, tmp_path)
    assert isinstance(result, Rejected) and result.error_kind == "archive_limit"


def test_a_disk_without_room_is_not_the_archives_fault(tmp_path: Path):
    spool = SpoolWriter(tmp_path / "missing folder" / "spool")
    result = parse_document(made.archive({"a.txt": "a"}), "a.zip", ReadOptions(spool=spool))
    assert isinstance(result, Rejected) and result.error_kind == "crashed" and "no room" in result.error_message


def test_an_encrypted_zip_opens_with_a_password_of_the_list_and_says_so_without(tmp_path: Path):
    data = encrypted_zip({"a.txt": TEXT.encode(), "b.txt": b"short"}, b"harbour")
    result = unpack(data, tmp_path, "wrong", "pier")
    assert isinstance(result, Rejected) and (result.kind, result.error_kind) == ("zip", "password_required")
    assert "wrong" not in repr(result) and "pier" not in repr(result)
    assert members(data, tmp_path, "wrong", "harbour") == {"a.txt": TEXT.encode(), "b.txt": b"short"}


def test_a_member_encrypted_beside_plain_ones_is_a_reject_of_its_own(tmp_path: Path):
    data = bytearray(made.archive({"a.txt": "a", "b.txt": "b"}))
    for mark, offset in ((data.rindex(b"PK\x03\x04"), 6), (data.rindex(b"PK\x01\x02"), 8)):
        data[mark + offset] |= 1
    assert members(bytes(data), tmp_path) == {"a.txt": b"a", "b.txt": "password_required"}


def test_where_a_single_document_is_asked_for_an_archive_is_refused():
    result = parse_document(made.archive({"a.txt": "a"}), "a.zip")
    assert isinstance(result, Rejected) and (result.kind, result.error_kind) == ("zip", "unsupported_type")


def test_a_word_document_that_is_encrypted_opens_with_a_password_of_the_list():
    from msoffcrypto.format.ooxml import OOXMLFile

    out = io.BytesIO()
    OOXMLFile(io.BytesIO(made.docx("Rules", TEXT))).encrypt("harbour", out)
    locked = out.getvalue()
    refused = parse_document(locked, "a.docx", ReadOptions(("wrong",)))
    assert isinstance(refused, Rejected) and refused.error_kind == "password_required" and "wrong" not in repr(refused)
    opened = parse_document(locked, "a.docx", ReadOptions(("wrong", "harbour")))
    assert isinstance(opened, Parsed) and opened.kind == "docx" and TEXT in opened.pages[0].text
    assert opened.doc_id == refused.doc_id
    assert "harbour" not in repr(ReadOptions(("harbour",)))


WHOLE = {
    "zip": made.archive({"a.txt": TEXT, "b/c.pdf": made.pdf(TEXT), "d.zip": made.archive({"e.txt": TEXT})}),
    "tar": tar(("a.txt", TEXT.encode()), ("b.pdf", made.pdf(TEXT))),
    "tgz": gzip.compress(tar(("a.txt", TEXT.encode()), ("b.pdf", made.pdf(TEXT))), mtime=0),
    "msg": made.msg("Boats", TEXT, {"a.txt": TEXT.encode()}, inside=("Older", TEXT)),
    "eml": made.eml(TEXT),
}


@given(kind=st.sampled_from(sorted(WHOLE)), data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cut_or_flipped_archive_is_unpacked_or_refused(kind: str, data: st.DataObject, tmp_path: Path):
    whole = bytearray(WHOLE[kind])
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=6)):
        whole[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.sampled_from([len(whole), data.draw(st.integers(1, len(whole)))]))
    result = unpack(bytes(whole[:cut]), tmp_path)
    if isinstance(result, Parsed):
        paths = [member.path for member in result.members]
        assert len(paths) == len(set(paths)) and not any(".." in path.split("/") or path.startswith("/") for path in paths)
