"""Tables against each other, and runs against what they published: nothing vanished between them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skillyard.errors import ObjectMissing, SchemaMismatch, StorageError
from skillyard.lake.lake import Lake
from skillyard.lake.problems import SHOWN, Findings
from skillyard.lake.read import scan, table_names
from skillyard.lake.row_keys import NONE, Hashes, key_hashes

TEXTS = (("pages", "n_pages"), ("chunks", "n_chunks"))
ZERO = Decimal(0)
_OF_BILL = {
    "unit_costs": ("usage_date", "cost_usd"),
    "savings_daily": ("usage_date", "cost_usd"),
    "focus": ("x_UsageDate", "EffectiveCost"),
}
"""What adds up to the bill, day by day; ``savings_daily`` leaves corrections out."""


def verify_across(lake: Lake, findings: Findings, say: Callable[[str], None]) -> None:
    """Compare documents with their pages, chunks, rejects and results, the bill with the ledger, and each run with its rows."""
    for what, check in (
        ("documents and what was made of them", _check_documents),
        ("cost_daily and the ledger", _check_bill),
        ("runs and their rows", _check_runs),
    ):
        say(what)
        try:
            check(lake, findings)
        except (StorageError, SchemaMismatch) as error:
            findings.add("", "not_compared", what, f"could not be compared: {error}")


def _check_documents(lake: Lake, findings: Findings) -> None:
    columns = ["doc_id", "status", *(count for _, count in TEXTS)]
    documents = pa.Table.from_batches(
        [_hashed(batch) for batch in scan(lake, "documents", columns)],
        pa.schema([("doc_id", pa.int64()), ("status", pa.string()), *((count, pa.int32()) for _, count in TEXTS)]),
    )
    parsed = documents.filter(pc.equal(documents["status"], "parsed"))
    for table, count in TEXTS:
        _check_texts(lake, findings, table, _numbers(parsed, "doc_id"), _numbers(parsed, count))
    rejected = _numbers(documents.filter(pc.equal(documents["status"], "rejected")), "doc_id")
    unsaid = np.setdiff1d(rejected, _ids(lake, "rejects", pc.field("stage") == "parse"))
    _note(
        lake,
        findings,
        "documents",
        "no_reject",
        unsaid,
        "is rejected, but rejects has no row that says why: trigger its run's publish again.",
    )
    everything = np.unique(_numbers(documents, "doc_id"))
    for name in table_names(lake):
        if name.startswith("results/"):
            unknown = np.setdiff1d(_ids(lake, name), everything)
            advice = "its result names a document that documents does not hold: it was published into another lake, or documents lost it."
            _note(lake, findings, name, "no_document", unknown, advice)


def _check_texts(lake: Lake, findings: Findings, table: str, documents: Hashes, n_wanted: Hashes) -> None:
    """Check that each page or chunk has a parsed document, and each parsed document as many of them as it says."""
    found, n_found = np.unique(_ids(lake, table), return_counts=True)
    advice = (
        f"has rows in {table} and no parsed document: its publish was interrupted before documents, its last step. Trigger its run again."
    )
    _note(lake, findings, table, "no_document", np.setdiff1d(found, documents), advice)
    position = np.minimum(np.searchsorted(found, documents), max(len(found) - 1, 0))
    is_there = found[position] == documents if len(found) else np.zeros(len(documents), bool)
    n_of = np.where(is_there, n_found[position], 0) if len(found) else np.zeros(len(documents), np.int64)
    wrong = np.setdiff1d(documents, documents[n_of == n_wanted])
    _note(
        lake,
        findings,
        "documents",
        "wrong_count",
        wrong,
        f"does not have as many rows in {table} as it says: ingest it again with --force.",
    )


def _check_bill(lake: Lake, findings: Findings) -> None:
    """Check the bill of each day that is over against the ledger, and what else is made of the same lines against the bill."""
    billed = _sums(lake, "cost_daily")
    if not billed:
        return
    spent = _sums(lake, "llm_calls", where=pc.field("status") != "correction")
    corrected = _sums(lake, "llm_calls", where=pc.field("status") == "correction")
    advice = "trigger cost_attribution."
    for day in _over(billed):
        ledger = spent.get(day, ZERO) + corrected.get(day, ZERO)
        if billed[day] != ledger:
            message = f"cost_daily says {billed[day]} USD, the rows of llm_calls {ledger}: {advice}"
            findings.add("cost_daily", "wrong_bill", str(day), message)
    for table, (partition, money) in _OF_BILL.items():
        sums = _sums(lake, table, partition, money)
        for day in _over({**sums, **billed}) if sums else ():
            said = sums.get(day, ZERO) + (corrected.get(day, ZERO) if table == "savings_daily" else ZERO)
            if said != billed.get(day, ZERO):
                message = f"{table} says {said} USD, cost_daily {billed.get(day, ZERO)}: {advice}"
                findings.add(table, "wrong_bill", str(day), message)


def _over(days: Iterable[date]) -> list[date]:
    """Return the days that are over: today's calls still come."""
    today = datetime.now(UTC).date()
    return sorted(day for day in days if day < today)


def _sums(
    lake: Lake, table: str, partition: str = "usage_date", money: str = "cost_usd", where: pc.Expression | None = None
) -> dict[date, Decimal]:
    sums: dict[date, Decimal] = {}
    for batch in scan(lake, table, [partition, money], where):
        grouped = pa.Table.from_batches([batch]).group_by(partition, use_threads=False).aggregate([(money, "sum")])
        for row in grouped.to_pylist():
            sums[row[partition]] = sums.get(row[partition], ZERO) + (row[f"{money}_sum"] or ZERO)
    return sums


def _check_runs(lake: Lake, findings: Findings) -> None:
    """Check that each finished run accounts for what it planned, and that its rejects, documents and pages are in the tables."""
    rejects = _counts(lake, "rejects", pc.field("stage") == "answer")
    documents, pages = _counts(lake, "documents", None), _counts(lake, "pages", None)
    for run_key, report in _reports(lake):
        said = Counter({name: n for name, n in report.items() if isinstance(n, int)})
        if "/skill." in run_key:
            ends: tuple[str, ...] = ("n_results", "n_rejects", "n_pending")
            rows = {"rejects": (rejects, said["n_rejects"])}
            _check_frames(lake, findings, run_key, {"items": said["n_planned"], "pending": said["n_pending"]})
        else:
            ends = ("n_documents", "n_unchanged", "n_gone", "n_pending")
            rows = {"documents": (documents, said["n_documents"] + said["n_deleted"]), "pages": (pages, said["n_pages"])}
        n_ended, n_planned = sum(said[name] for name in ends), said["n_planned"] + said["n_members"]
        if n_ended != n_planned or sum(report["pending"].values()) != said["n_pending"]:
            words = " + ".join(f"{said[name]} {name[2:]}" for name in ends)
            findings.add("_runs", "vanished", run_key, f"{n_planned} items, but {words}: keep the folder, report this as a bug.")
        for table, (counts, n_said) in rows.items():
            if counts[report["run_id"]] < n_said:
                message = f"{n_said} rows were published, {table} has {counts[report['run_id']]} of this run: publish it again."
                findings.add(table, "vanished", run_key, message)


def _check_frames(lake: Lake, findings: Findings, run_key: str, frames: Mapping[str, int]) -> None:
    for name, n_wanted in frames.items():
        try:
            n_rows = pq.read_metadata(f"{run_key}/{name}.parquet", filesystem=lake.filesystem).num_rows
        except (OSError, pa.ArrowException) as error:
            findings.add("_runs", "unreadable", f"{run_key}/{name}.parquet", f"cannot be read: {error}. Its counts cannot be checked.")
            continue
        if n_rows != n_wanted:
            message = f"lists {n_rows} items, report.json says {n_wanted}: keep the folder and report it as a bug."
            findings.add("_runs", "vanished", f"{run_key}/{name}.parquet", message)


def _reports(lake: Lake) -> Iterator[tuple[str, dict[str, Any]]]:
    for folder in lake.storage.folders("_runs/"):
        if folder.startswith("skill.") or folder == "ingest_documents":
            for run in lake.storage.folders(f"_runs/{folder}/"):
                try:
                    yield f"_runs/{folder}/{run}", lake.read_json(f"_runs/{folder}/{run}/report.json")
                except ObjectMissing:
                    continue  # not finished, or not begun


def _counts(lake: Lake, table: str, where: pc.Expression | None) -> Counter[str]:
    """Return the rows of each run."""
    counts: Counter[str] = Counter()
    for batch in scan(lake, table, ["run_id"], where):
        counts.update({one["values"]: one["counts"] for one in pc.value_counts(batch.column("run_id")).to_pylist()})
    return counts


def _ids(lake: Lake, table: str, where: pc.Expression | None = None) -> Hashes:
    """Return the doc_id of each row as a number."""
    batches = scan(lake, table, ["doc_id"], where)
    return np.concatenate([NONE, *(key_hashes(batch.column("doc_id").to_pylist()) for batch in batches)])


def _hashed(batch: pa.RecordBatch) -> pa.RecordBatch:
    ids = pa.array(key_hashes(batch.column("doc_id").to_pylist()))
    return pa.record_batch([ids, *batch.columns[1:]], names=batch.schema.names)


def _numbers(rows: pa.Table, column: str) -> Hashes:
    numbers: Hashes = rows.column(column).cast(pa.int64()).to_numpy()
    return numbers


def _note(lake: Lake, findings: Findings, table: str, kind: str, wrong: Hashes, message: str) -> None:
    if len(wrong):
        findings.add_many(table, kind, _named(lake, table, wrong), len(wrong), message)


def _named(lake: Lake, table: str, wrong: Hashes) -> list[str]:
    """Return some of the doc_ids behind the numbers."""
    found: dict[str, None] = {}
    for batch in scan(lake, table, ["doc_id"]):
        ids = batch.column("doc_id").to_pylist()
        found |= dict.fromkeys(ids[position] for position in np.flatnonzero(np.isin(key_hashes(ids), wrong)))
        if len(found) >= SHOWN:
            break
    return list(found)[:SHOWN]
