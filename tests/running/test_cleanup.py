"""Working files go when their run is finished and two weeks old, and nothing else does."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from skillyard.lake.lake import Lake
from skillyard.running.cleanup import GRACE, clean_up_runs

LATER = datetime.now(UTC) + GRACE + timedelta(hours=1)


def run_of(lake: Lake, run: str, n_pending: int | None) -> None:
    """Leave a run's files; None: it has no report yet."""
    for name in ("plan.json", "items.parquet", "lanes/fast/0000.parquet", "outcomes/0000.parquet"):
        lake.storage.put(f"{run}/{name}", b"{}")
    if n_pending is not None:
        lake.write_json(f"{run}/report.json", {"n_pending": n_pending})


def test_only_finished_runs_lose_their_files_and_their_plan_stays(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    run_of(lake, "_runs/skill.tag-document/done", 0)
    run_of(lake, "_runs/ingest_documents/done", 0)
    run_of(lake, "_runs/skill.tag-document/waits", 3)
    run_of(lake, "_runs/skill.tag-document/died", None)
    run_of(lake, "_runs/audit.tag-document/done", 0)
    run_of(lake, "_runs/ingest_documents/open", 0)
    lake.write_json("_runs/ingest_documents/open.json", "_runs/ingest_documents/open")
    lake.storage.put("_runs/ingest_documents/seen.parquet", b"x")
    before = {found.key for found in lake.storage.list("_runs/")}
    assert clean_up_runs(lake).n_runs == 0
    cleaned = clean_up_runs(lake, LATER)
    assert (cleaned.n_runs, cleaned.n_objects) == (2, 6)
    gone = before - {found.key for found in lake.storage.list("_runs/")}
    assert len(gone) == 8
    assert {key.rpartition("/done/")[0] for key in gone} == {"_runs/skill.tag-document", "_runs/ingest_documents"}
    assert lake.has("_runs/skill.tag-document/done/plan.json")
    assert clean_up_runs(lake, LATER).n_runs == 0


def test_an_interrupted_cleanup_is_finished_by_the_next(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    run_of(lake, "_runs/skill.tag-document/done", 0)
    lake.storage.delete("_runs/skill.tag-document/done/items.parquet")
    assert clean_up_runs(lake, LATER).n_runs == 1
    assert [found.key for found in lake.storage.list("_runs/")] == ["_runs/skill.tag-document/done/plan.json"]
