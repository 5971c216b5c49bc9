"""A skill over files: what it works on, where the bytes come from, and what becomes of hostile ones."""

import io
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.runs import PlanRequest, results_of
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from tests.conftest import ROOT
from tests.running.ingesting import fill, ingest

pytestmark = pytest.mark.usefixtures("simulator")
SKILL = "extract-pdf-text"
FILES = ROOT / "include" / "skills" / SKILL / "evals" / "files"
OFFER, REPORT, LOCKED = (
    (FILES / name).read_bytes() for name in ("lift-maintenance-offer.pdf", "energy-quarter-four.pdf", "locked-payslip.pdf")
)
TEXT = b"A note that is no PDF, and no item of this skill."


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def run(settings: Settings, run_id: str, **asked: object) -> tuple[dict[str, dict], dict[str, str]]:
    """Run the skill and return results and kinds of rejects by the end of the address."""
    plan = plan_run(settings, PlanRequest(SKILL, run_id, "cli", **asked))  # type: ignore[arg-type]
    run_skill(settings, plan, lambda _: None)
    table = results_of(Catalogue(settings.include).load(SKILL))
    results = {row["uri"].rpartition("/")[2]: row for row in read(Lake(settings.lake), table).to_pylist()}
    rejects = read(Lake(settings.lake), "rejects").to_pylist()
    return results, {row["uri"].rpartition("/")[2]: row["error_kind"] for row in rejects if row["skill"] == SKILL}


def test_it_reads_objects_and_what_lies_in_archives_and_tries_what_ingestion_could_not_read(settings: Settings) -> None:
    inner = zipped({"deep report.pdf": REPORT})
    fill(settings, {"a b/offer.pdf": OFFER, "note.txt": TEXT, "all.zip": zipped({"inner.zip": inner, "x.txt": TEXT}), "locked.pdf": LOCKED})
    ingest(settings, "one")
    results, rejects = run(settings, "r1")
    assert set(results) == {"offer.pdf", "deep report.pdf"}
    assert results["deep report.pdf"]["n_pages"] == 2 and results["offer.pdf"]["pages"][0]["text"].startswith("Ascent Lift")
    assert {(row["tier"], row["cost_usd"], row["n_attempts"]) for row in results.values()} == {("none", 0, 0)}
    assert rejects == {"locked.pdf": "password_required"}
    assert plan_run(settings, PlanRequest(SKILL, "r2", "cli")).is_empty, "each once"


def test_a_file_that_changed_or_went_since_it_was_ingested_is_a_reject_not_another_documents_result(settings: Settings) -> None:
    inbox = fill(settings, {"offer.pdf": OFFER, "report.pdf": REPORT})
    ingest(settings, "one")
    (inbox / "offer.pdf").write_bytes(REPORT)
    (inbox / "report.pdf").unlink()
    results, rejects = run(settings, "r1")
    assert results == {} and rejects == {"offer.pdf": "source_changed", "report.pdf": "source_changed"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("while True: pass", "timed_out"),
        ("import os; os.abort()", "crashed"),
        ("raise ValueError('no')", "library_error"),
        ("return {'pages': 1}", "schema_error"),
        ("hold = [bytes(10**8) for _ in range(50)]", "out_of_memory"),
    ],
)
def test_a_handler_that_hangs_dies_or_lies_is_one_reject_and_the_next_file_is_read(
    settings: Settings, tmp_path: Path, code: str, kind: str
) -> None:
    include = Path(shutil.copytree(settings.include, tmp_path / "include"))
    skill = include / "skills" / SKILL
    (skill / "skill.yaml").write_text((skill / "skill.yaml").read_text().replace("timeout_s: 60", "timeout_s: 3"))
    handler = (skill / "handler.py").read_text()
    at = handler.index("    content = ")
    (skill / "handler.py").write_text(f"{handler[:at]}    if b'ML-209' in source.data:\n        {code}\n{handler[at:]}")
    own = replace(settings, include=include)
    fill(own, {"offer.pdf": OFFER, "report.pdf": REPORT})
    ingest(own, "one")
    results, rejects = run(own, "r1")
    assert set(results) == {"report.pdf"} and rejects == {"offer.pdf": kind}


def test_a_dry_run_counts_files_and_a_limit_holds(settings: Settings) -> None:
    fill(settings, {"offer.pdf": OFFER, "report.pdf": REPORT, "note.txt": TEXT})
    ingest(settings, "one")
    plan = plan_run(settings, PlanRequest(SKILL, "r1", "cli", is_dry_run=True, limit=1))
    assert (plan.n_applicable, plan.n_planned) == (2, 1)
