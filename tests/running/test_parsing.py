"""What lies in archives becomes documents, each counted, none parsed twice, none lost."""

import io
import zipfile
from collections import Counter
from email.message import EmailMessage
from pathlib import Path
from uuid import uuid4

import pytest
from msoffcrypto.format.ooxml import OOXMLFile

from skillyard.documents.result import doc_id_of
from skillyard.errors import ConfigError
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.ingest import IngestReport, IngestRequest, discover, ingest_shards, parse_shard, publish_documents
from skillyard.running.parsing import ParseProgress, ParseReport
from skillyard.settings import Settings
from tests.documents import made
from tests.documents.made import GERMAN, TEXT


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "inbox").mkdir()
    names = {"HOME": tmp_path, "LAKE": tmp_path / "lake", "INBOX": tmp_path / "inbox", "STATE": f"sqlite:///{tmp_path}/state.db"}
    return Settings.from_env({f"SKILLYARD_{name}": str(value) for name, value in names.items()})


def fill(settings: Settings, files: dict[str, bytes]) -> str:
    """Put the files into the inbox and return its address."""
    inbox = Path(settings.inbox.removeprefix("file://"))
    for name, data in files.items():
        (inbox / name).write_bytes(data)
    return settings.inbox


def parse(settings: Settings, **asked: object) -> tuple[str, list[ParseReport]]:
    plan = discover(settings, str(uuid4()), IngestRequest(**asked), n_shards=1)  # type: ignore[arg-type]
    return plan.run_key, [parse_shard(settings, shard, n_workers=2) for shard in ingest_shards(settings, plan.run_key)]


def ingest(settings: Settings, **asked: object) -> IngestReport:
    run_key, _ = parse(settings, **asked)
    return publish_documents(settings, run_key)


def rows(settings: Settings, table: str) -> list[dict]:
    return read(Lake(settings.lake), table).to_pylist()


def documents(settings: Settings) -> dict[str, dict]:
    """Return the newest row of every address below the inbox."""
    found = sorted(rows(settings, "documents"), key=lambda row: row["ingested_at"])
    return {row["uri"].removeprefix(settings.inbox + "/"): row for row in found}


def locked_docx(password: str) -> bytes:
    out = io.BytesIO()
    OOXMLFile(io.BytesIO(made.docx("Rules", TEXT))).encrypt(password, out)
    return out.getvalue()


def stored_zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


INNER = made.archive({"deep.txt": GERMAN})
OUTER = stored_zip({"rules.pdf": made.pdf(TEXT), "locked.docx": locked_docx("x"), "more/inner.zip": INNER, "note.txt": TEXT.encode()})


def test_members_are_documents_with_their_parents_id_and_everything_is_counted(settings: Settings):
    fill(settings, {"a.zip": OUTER, "b.txt": TEXT.encode()})
    report = ingest(settings)
    found = documents(settings)
    assert {uri: (row["kind"], row["status"]) for uri, row in found.items()} == {
        "a.zip": ("zip", "unpacked"),
        "a.zip!/rules.pdf": ("pdf", "parsed"),
        "a.zip!/locked.docx": ("unknown", "rejected"),
        "a.zip!/more/inner.zip": ("zip", "unpacked"),
        "a.zip!/more/inner.zip!/deep.txt": ("txt", "parsed"),
        "a.zip!/note.txt": ("txt", "parsed"),
        "b.txt": ("txt", "parsed"),
    }
    assert found["a.zip"]["parent_doc_id"] is None and found["a.zip"]["n_pages"] == 0
    assert found["a.zip!/note.txt"]["parent_doc_id"] == found["a.zip"]["doc_id"] == doc_id_of(OUTER)
    assert found["a.zip!/more/inner.zip!/deep.txt"]["parent_doc_id"] == doc_id_of(INNER)
    assert found["a.zip!/note.txt"]["size_bytes"] == len(TEXT)
    assert (report.n_planned, report.n_members, report.n_documents, report.n_new, report.n_unpacked) == (2, 5, 7, 4, 2)
    assert report.rejects == {"password_required": 1}
    (reject,) = rows(settings, "rejects")
    assert reject["uri"] == f"{settings.inbox}/a.zip!/locked.docx"


def test_equal_bytes_are_parsed_once_wherever_they_lie(settings: Settings):
    fill(
        settings,
        {
            "a.txt": TEXT.encode(),
            "b.zip": made.archive({"x.txt": TEXT, "y.txt": TEXT}),
            "copy of b.zip": made.archive({"x.txt": TEXT, "y.txt": TEXT}),
        },
    )
    _, (report,) = parse(settings)
    assert (report.n_items, report.n_members, report.n_parsed, report.n_unpacked, report.n_pages) == (3, 4, 5, 2, 1)


def test_what_an_earlier_run_parsed_is_not_parsed_again_in_an_archive(settings: Settings):
    fill(settings, {"a.txt": TEXT.encode()})
    ingest(settings)
    fill(settings, {"b.zip": made.archive({"x.txt": TEXT, "y.txt": GERMAN})})
    run_key, (report,) = parse(settings)
    assert (report.n_members, report.n_parsed, report.n_pages) == (2, 2, 1)
    publish_documents(settings, run_key)
    assert Counter(row["doc_id"] for row in rows(settings, "pages")) == {doc_id_of(TEXT.encode()): 1, doc_id_of(GERMAN.encode()): 1}
    assert documents(settings)["b.zip!/x.txt"]["n_chars"] == len(TEXT)


def test_an_archive_beyond_its_limits_is_one_reject_and_archives_too_deep_are_rejects_of_their_own(settings: Settings):
    nested = made.archive({"text.txt": TEXT})
    for level in range(4, 0, -1):
        nested = made.archive({f"{level}.zip": nested, f"{level}.txt": f"level {level} of the harbour"})
    fill(settings, {"bomb.zip": made.archive({"a": b"\0" * (80 * 1024**2)}), "deep.zip": nested})
    report = ingest(settings)
    found = documents(settings)
    assert found["bomb.zip"]["status"] == "rejected" and report.rejects == {"archive_limit": 2}
    assert found["deep.zip!/1.zip!/2.zip"]["status"] == "unpacked"
    assert found["deep.zip!/1.zip!/2.zip!/3.txt"]["status"] == "parsed"
    assert found["deep.zip!/1.zip!/2.zip!/3.zip"]["status"] == "rejected"
    assert not any("4.txt" in uri for uri in found)


def test_many_copies_of_one_archive_in_another_do_not_multiply_without_end(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("skillyard.running.places.MAX_MEMBERS", 50)
    inner = made.archive({f"{n}.txt": f"{n} boats in the harbour" for n in range(10)})
    fill(settings, {"a.zip": made.archive({f"{n}.zip": inner for n in range(20)})})
    report = ingest(settings)
    assert report.n_members == 20 + 3 * 10 and report.rejects == {"archive_limit": 17}


def test_attachments_of_a_message_are_documents_beside_it(settings: Settings):
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Boats", "ada@example.com", "office@example.org"
    message.set_content(TEXT)
    message.add_attachment(made.pdf(GERMAN), maintype="application", subtype="pdf", filename="rules.pdf")
    message.add_attachment(INNER, maintype="application", subtype="zip", filename="inner.zip")
    fill(settings, {"boats.eml": message.as_bytes(), "copy.eml": message.as_bytes()})
    report = ingest(settings)
    found = documents(settings)
    for mail in ("boats.eml", "copy.eml"):
        assert (found[mail]["kind"], found[mail]["status"], found[mail]["n_pages"]) == ("eml", "parsed", 1)
        assert found[f"{mail}!/rules.pdf"]["parent_doc_id"] == found[mail]["doc_id"]
        assert found[f"{mail}!/inner.zip!/deep.txt"]["status"] == "parsed"
    assert (report.n_planned, report.n_members, report.n_documents) == (2, 6, 8)


def test_a_rejected_member_is_tried_again_and_what_stands_beside_it_gets_no_second_row(settings: Settings, tmp_path: Path):
    with_mail = stored_zip(
        {"locked.docx": locked_docx("x"), "inner.zip": INNER, "b.msg": made.msg("Boats", TEXT, {"rules.pdf": made.pdf(GERMAN)})}
    )
    fill(settings, {"a.zip": with_mail})
    ingest(settings)
    n_before = len(rows(settings, "documents"))
    (tmp_path / "passwords.txt").write_text("wrong\nx\n")
    with_passwords = Settings.from_env(
        {"SKILLYARD_HOME": str(tmp_path), "SKILLYARD_LAKE": settings.lake, "SKILLYARD_INBOX": settings.inbox,
         "SKILLYARD_STATE": settings.state, "SKILLYARD_PASSWORDS": str(tmp_path / "passwords.txt")}
    )  # fmt: skip
    report = ingest(with_passwords, retry_rejects=("password_required",))
    assert len(rows(settings, "documents")) == n_before + 1 and report.n_documents == 1
    assert documents(settings)["a.zip!/locked.docx"]["status"] == "parsed"
    assert (report.n_members, report.n_unchanged, report.rejects) == (5, 5, {})
    assert set(Counter((row["doc_id"], row["page_no"]) for row in rows(settings, "pages")).values()) == {1}


def test_an_encrypted_archive_opens_when_its_password_is_in_the_list_and_no_row_holds_one(settings: Settings, tmp_path: Path):
    fill(settings, {"locked.docx": locked_docx("secret-of-the-harbour")})
    (tmp_path / "passwords.txt").write_text("not-this-one\nsecret-of-the-harbour\n")
    env = {"SKILLYARD_LAKE": settings.lake, "SKILLYARD_INBOX": settings.inbox, "SKILLYARD_STATE": settings.state}
    opened = Settings.from_env({"SKILLYARD_HOME": str(tmp_path), "SKILLYARD_PASSWORDS": str(tmp_path / "passwords.txt"), **env})
    assert ingest(opened).n_new == 1
    assert not any(b"secret-of-the" in path.read_bytes() for path in (tmp_path / "lake").rglob("*") if path.is_file())
    missing = Settings.from_env({"SKILLYARD_HOME": str(tmp_path), "SKILLYARD_PASSWORDS": str(tmp_path / "none.txt"), **env})
    with pytest.raises(ConfigError, match="SKILLYARD_PASSWORDS"):
        missing.load_passwords()


def test_progress_says_how_far_it_is_and_how_long_it_takes(settings: Settings):
    said: list[ParseProgress] = []
    fill(settings, {"a.zip": OUTER, "b.txt": TEXT.encode()})
    plan = discover(settings, "one", IngestRequest(), n_shards=1)
    parse_shard(settings, ingest_shards(settings, plan.run_key)[0], said.append)
    assert (said[-1].n_done, said[-1].n_items, said[-1].n_rejected, said[-1].n_pages) == (7, 7, 1, 3)
    line = str(ParseProgress(n_done=120, n_items=900, n_pages=2624, n_rejected=3, elapsed_s=8.45))
    assert line == "parse: 120/900 documents, 14.2/s, 311 pages/s, 3 rejects, 55 s left"
