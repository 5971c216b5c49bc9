"""Iceberg tables over the lake's own files: every sync gives the rows that our reader gives, whatever became of the files."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException

from skillyard.cli.lake import sync_iceberg
from skillyard.errors import ConfigError
from skillyard.lake.compact import compact
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.ddl import sql_name
from skillyard.lake.how import how
from skillyard.lake.iceberg import _sync, follow, open_catalog, sync_tables
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, replace_rows
from skillyard.lake.read import read
from skillyard.lake.results import results_table
from skillyard.lake.tables import PAGES, Table
from skillyard.lake.verify import verify
from skillyard.running.migrate import migrate
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from tests.lake.rows import DAY, OUTPUT, moment, pages, results
from tests.lake.test_how import ANSWER, RICH
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

NEXT = date(2026, 11, 21)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pyiceberg")


@pytest.fixture
def catalog_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'catalog.db'}"


def loaded(lake: Lake, catalog_url: str, table: Table) -> Any:
    return open_catalog(lake, catalog_url).load_table(f"skillyard.{sql_name(table)}")


def shown(rows: pa.Table, names: list[str]) -> list[str]:
    return sorted(map(repr, rows.select(names).to_pylist()))


def check_same(lake: Lake, catalog_url: str, table: Table) -> Any:
    """Compare what Iceberg gives with what our reader gives; return the Iceberg table."""
    ours, iceberg = read(lake, table.name), loaded(lake, catalog_url, table)
    theirs = iceberg.scan().to_arrow()
    assert set(theirs.column_names) == set(ours.column_names)
    assert shown(theirs, ours.column_names) == shown(ours, ours.column_names)
    assert sum(task.file.record_count for task in iceberg.scan().plan_files()) == ours.num_rows
    return iceberg


def publish(lake: Lake, part: str, first: int, last: int, day: date = DAY, **changes: Any) -> None:
    rows = results(range(first, last), day, table=RICH, **ANSWER | {"produced_at": moment(day)} | changes)
    replace_rows(lake, RICH, rows, part)


def test_after_publish_replacement_and_compaction_the_rows_are_those_of_our_reader(lake: Lake, catalog_url: str) -> None:
    publish(lake, "a", 0, 3)
    publish(lake, "b", 3, 5, NEXT)
    (first,) = sync_tables(lake, catalog_url, [RICH.name], "run-1")
    assert (first.n_added, first.n_removed, first.n_expired) == (2, 0, 0)
    iceberg = check_same(lake, catalog_url, RICH)
    assert iceberg.current_snapshot().summary.additional_properties["skillyard.run"] == "run-1"
    assert iceberg.scan(row_filter=f"produced_on = '{NEXT}'").to_arrow().num_rows == 2
    assert len(list(iceberg.scan(row_filter=f"produced_on = '{NEXT}'").plan_files())) == 1
    assert sync_tables(lake, catalog_url, [RICH.name])[0].snapshot_id == first.snapshot_id

    publish(lake, "c", 5, 6)
    (second,) = sync_tables(lake, catalog_url, [RICH.name], "run-2")
    iceberg = check_same(lake, catalog_url, RICH)
    assert iceberg.scan(snapshot_id=first.snapshot_id).to_arrow().num_rows == 5

    publish(lake, "d", 0, 2, model="newer")
    (third,) = sync_tables(lake, catalog_url, [RICH.name], "run-3")
    assert third.n_removed >= 1 and third.n_expired == 2
    iceberg = check_same(lake, catalog_url, RICH)
    with pytest.raises(ValueError, match="Snapshot not found"):
        iceberg.scan(snapshot_id=second.snapshot_id).to_arrow()

    for n in range(4):
        append(lake, PAGES, pages(3, doc_id=f"{n}" * 64), f"part-{n}")
    assert sync_tables(lake, catalog_url, [PAGES.name])[0].n_added == 4
    check_same(lake, catalog_url, PAGES)
    assert list(compact(lake, [PAGES.name, RICH.name], date(2026, 12, 1)))
    assert [synced.n_removed > 0 for synced in sync_tables(lake, catalog_url, [PAGES.name])] == [True]
    sync_tables(lake, catalog_url, [RICH.name])
    check_same(lake, catalog_url, PAGES)
    check_same(lake, catalog_url, RICH)
    assert not verify(lake, [PAGES.name, RICH.name], True, print).problems


def test_columns_that_come_and_go_come_and_go(local_lake: Lake, catalog_url: str) -> None:
    publish(local_lake, "a", 0, 3)
    sync_tables(local_lake, catalog_url, [RICH.name])
    columns = RICH.schema.append(pa.field("mood", pa.string())).remove(RICH.schema.get_field_index("tags"))
    later = Table(RICH.name, RICH.description, RICH.key, RICH.partition, columns, version=3)
    rows = results(range(2, 5), table=RICH, **ANSWER).drop_columns(["tags"]).append_column("mood", pa.array(["good"] * 3))
    replace_rows(local_lake, later, rows.select(columns.names), "b")
    sync_tables(local_lake, catalog_url, [RICH.name])
    found = check_same(local_lake, catalog_url, RICH).scan().to_arrow().sort_by("item_id")
    assert found["mood"].to_pylist() == [None] * 2 + ["good"] * 3
    assert [tags is None for tags in found["tags"].to_pylist()] == [False] * 2 + [True] * 3


@pytest.mark.parametrize("catalog", ["catalog_url", "postgres_url"], ids=["sqlite", "postgresql"])
def test_syncs_at_the_same_time_end_with_the_newest_state(catalog: str, local_lake: Lake, request: pytest.FixtureRequest) -> None:
    catalog_url = request.getfixturevalue(catalog)
    publish(local_lake, "start", 0, 1)
    sync_tables(local_lake, catalog_url, [RICH.name])

    def publish_and_sync(n: int) -> None:
        publish(local_lake, f"p{n}", n, n + 3)
        sync_tables(local_lake, catalog_url, [RICH.name], f"run-{n}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish_and_sync, range(6)))
    iceberg = check_same(local_lake, catalog_url, RICH)
    paths = [task.file.file_path for task in iceberg.scan().plan_files()]
    assert len(paths) == len(set(paths))


def test_a_sync_that_looked_too_early_cannot_commit(local_lake: Lake, catalog_url: str) -> None:
    publish(local_lake, "a", 0, 1)
    sync_tables(local_lake, catalog_url, [RICH.name])
    early = loaded(local_lake, catalog_url, RICH)
    publish(local_lake, "b", 1, 2)
    sync_tables(local_lake, catalog_url, [RICH.name])
    with pytest.raises(CommitFailedException):
        _sync(local_lake, early, RICH.name, "")
    check_same(local_lake, catalog_url, RICH)


def test_the_printed_code_reads_it(lake: Lake, catalog_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(lake, "a", 0, 3)
    sync_tables(lake, catalog_url, [RICH.name])
    monkeypatch.setenv("SKILLYARD_ICEBERG", catalog_url)
    variables: dict[str, Any] = {}
    exec(compile(how(lake, RICH, "iceberg"), "how", "exec"), variables)
    assert variables["rows"].num_rows == 3
    assert "nothing that Iceberg could add" in how(lake, COST_DAILY, "iceberg")


def test_a_publish_goes_on_without_a_catalog_and_the_next_sync_makes_up_for_it(
    settings: Settings, catalog_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake(settings.lake)
    append(lake, PAGES, pages(3), "a")
    follow(settings, lake, "run-1", [PAGES.name])
    assert not (tmp_path / "catalog.db").exists()
    follow(replace(settings, iceberg="sqlite:////no/such/folder/catalog.db"), lake, "run-1", [PAGES.name])
    assert "could not follow run run-1" in caplog.text
    follow(replace(settings, iceberg=catalog_url), lake, "run-2", [PAGES.name, "results/never-run/v1"])
    check_same(lake, catalog_url, PAGES)


def test_a_run_and_a_migration_make_snapshots(settings: Settings, simulator: Simulator, catalog_url: str, tmp_path: Path) -> None:
    own = replace(settings, iceberg=catalog_url, include=shutil.copytree(settings.include, tmp_path / "include"))
    publish_texts(own, mails(3))
    run_skill(own, plan_run(own, PlanRequest(skill="tag-document", run_id="r1")), lambda _: None)
    lake, first = Lake(own.lake), results_table("tag-document", 1, OUTPUT)
    snapshot = check_same(lake, catalog_url, first).current_snapshot()
    assert snapshot.summary.additional_properties["skillyard.run"] == "r1"
    path = own.include / "skills" / "tag-document" / "skill.yaml"
    path.write_text(path.read_text().replace("major: 1", "major: 2"))
    assert migrate(own, "tag-document").n_carried == 3
    check_same(lake, catalog_url, results_table("tag-document", 2, OUTPUT))


def test_the_command_syncs_every_table_but_the_recomputed_ones(
    local_lake: Lake, catalog_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(local_lake, "a", 0, 3)
    monkeypatch.setenv("SKILLYARD_LAKE", local_lake.url)
    monkeypatch.delenv("SKILLYARD_ICEBERG", raising=False)
    with pytest.raises(ConfigError, match="SKILLYARD_ICEBERG is not set"):
        sync_iceberg()
    monkeypatch.setenv("SKILLYARD_ICEBERG", catalog_url)
    sync_iceberg(None, False)
    said = capsys.readouterr().out
    assert "skillyard.results_extract_invoice_v3" in said and "skillyard.pages" in said and "cost_daily" not in said
    with pytest.raises(ConfigError, match="recomputed day by day"):
        sync_tables(local_lake, catalog_url, [COST_DAILY.name])
    with pytest.raises(ConfigError, match="of another lake"):
        sync_tables(Lake(f"{urlsplit(local_lake.url).path}{os.sep}other"), catalog_url, [PAGES.name])
