"""The bill in FOCUS as a file: exact in CSV and Parquet, the same as cost_daily, and found good by FOCUS's own validator."""

import csv
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from skillyard.cli import main
from skillyard.costs.attribution import attribute
from skillyard.costs.focus.export import export_focus
from skillyard.costs.prices.book import Usage
from skillyard.errors import ConfigError
from skillyard.lake.focus_table import FOCUS
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, replace_partition
from skillyard.lake.read import read
from skillyard.lake.tables import LLM_CALLS
from skillyard.settings import Settings
from tests.conftest import PROFILE, ROOT, settings_in
from tests.costs.ledger import BOOK, DAY, call, ledger

pytestmark = pytest.mark.timeout(600)
"""Attribution and the validator import heavy packages: on a busy machine that takes minutes."""
NEXT = DAY + timedelta(days=1)
NOBODY = dict.fromkeys(("team", "skill", "item_id", "doc_id"), "*")
CORRECTION = NOBODY | {"status": "correction", "purpose": "correction", "price_ids": "bill", "cost_usd": Decimal("-0.000000000001")}
VALIDATOR = ROOT / ".venv-focus"
EXCEPTIONS = {
    "InvoiceId-C-005-C": "one half of C-003, which asks for this or for C-004 and passes; the validator reports each half by itself too",
    "CommitmentDiscountStatus-C-004-C": "is about a discount that is there; the rule file asks where CommitmentDiscountId is null",
    "CapacityReservationStatus-C-004-C": "is about a reservation that is there; the rule file's condition is a list, which is not read",
}
"""Rules of the validator's model 1.2.0.1 that are not what the specification says, each with why."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with two attributed days: live, batch, cached, failed and unknown attempts, a bill's amount, a correction, a lost price."""
    usages = [Usage(100 + i, 20 * i, 3, 10 + i) for i in range(4)]
    rows = [call(usage, tier=tier, day=day) for day in (DAY, NEXT) for tier in ("fast", "expert") for usage in usages]
    rows += [call(tier="fast", status=status) for status in ("cached", "failed", "unknown")]
    batch = BOOK.cost("openai/sim-fast", usages[1], datetime(2026, 11, 20, tzinfo=UTC), "batch")
    rows.append(call(usages[1], lane="batch", cost_usd=batch.usd, price_ids=",".join(batch.price_ids), skill="extract-invoice"))
    rows.append(call(day=NEXT, price_ids="bill", cost_usd=Decimal("0.125")))
    rows.append(call(Usage(), day=NEXT, deployment="openai", **CORRECTION))
    rows.append(call(price_ids="of.an.old.book"))
    settings = settings_in(tmp_path_factory.mktemp("bill"))
    append(Lake(settings.lake), LLM_CALLS, ledger(rows), "a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
        first, second = attribute(settings, DAY, NEXT)
    assert [finding.numbers["price_ids"] for finding in first.findings] == ["of.an.old.book"]
    assert not second.findings
    return settings


@pytest.fixture
def lake(whole: Settings) -> Lake:
    return Lake(whole.lake)


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, settings: Settings, *words: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of one command on this installation."""
    for name, value in {"HOME": ROOT, "LAKE": settings.lake, "STATE": settings.state, "PROFILE": PROFILE}.items():
        monkeypatch.setenv(f"SKILLYARD_{name}", str(value))
    monkeypatch.setattr(sys, "argv", ["skillyard", "cost", "focus", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_the_bill_in_focus_is_the_ledgers_and_that_of_cost_daily(lake: Lake, tmp_path: Path) -> None:
    summary = export_focus(lake, DAY, NEXT, tmp_path / "bill.parquet")
    settled = [row["cost_usd"] for row in read(lake, LLM_CALLS).to_pylist() if row["cost_usd"] is not None]
    assert summary.is_equal
    assert summary.billed_usd == summary.cost_daily_usd == sum(settled)
    assert summary.unpriced_usd == call()["cost_usd"]
    assert summary.list_usd > summary.billed_usd, "there is a batch discount"
    exported = pq.read_table(tmp_path / "bill.parquet")
    assert exported.equals(read(lake, FOCUS))
    assert summary.n_rows == exported.num_rows


def test_csv_has_exact_decimals_in_plain_text_and_times_of_iso_8601(lake: Lake, tmp_path: Path) -> None:
    export_focus(lake, DAY, NEXT, tmp_path / "bill.csv")
    with (tmp_path / "bill.csv").open(encoding="utf-8", newline="") as stream:
        told = list(csv.DictReader(stream))
    rows = read(lake, FOCUS).to_pylist()
    assert len(told) == len(rows)
    for said, row in zip(told, rows, strict=True):
        assert {name: _read(text, FOCUS.schema.field(name).type) for name, text in said.items()} == row
    amounts = [said[name] for said in told for name in ("BilledCost", "ListUnitPrice", "PricingQuantity")]
    assert all(re.fullmatch(r"(-?\d+\.(0|\d*[1-9]))?", text) for text in amounts), "a decimal is seen to be one, without an exponent"


def _read(text: str, kind: pa.DataType) -> Any:
    if not text:
        return None
    if pa.types.is_decimal(kind):
        return Decimal(text)
    if pa.types.is_timestamp(kind):
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return date.fromisoformat(text) if pa.types.is_date(kind) else int(text) if pa.types.is_integer(kind) else text


def test_only_the_days_asked_for_are_exported(lake: Lake, tmp_path: Path) -> None:
    summary = export_focus(lake, NEXT, NEXT, tmp_path / "bill.parquet")
    assert pc.unique(pq.read_table(tmp_path / "bill.parquet")["x_UsageDate"]).to_pylist() == [NEXT]
    assert (summary.is_equal, summary.cost_daily_usd < export_focus(lake, DAY, NEXT, tmp_path / "all.csv").cost_daily_usd) == (True, True)
    nothing = export_focus(lake, date(2020, 1, 1), date(2020, 1, 2), tmp_path / "none.csv")
    assert (nothing.n_rows, nothing.is_equal) == (0, True)
    assert (tmp_path / "none.csv").read_text() == ",".join(FOCUS.schema.names) + "\n"


@pytest.mark.parametrize("name", ["bill.xlsx", "bill", "nowhere/bill.csv"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(settings: Settings, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"ends in|no folder"):
        export_focus(Lake(settings.lake), DAY, DAY, tmp_path / name)


def test_a_bill_that_is_not_that_of_cost_daily_is_told_by_its_exit_code(
    whole: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    shutil.copytree(Path(whole.lake.removeprefix("file://")), Path(settings.lake.removeprefix("file://")))
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    days = ("--from", f"{DAY}", "--to", f"{NEXT}", "--out", str(tmp_path / "bill.csv"), "--json")
    code, out, _ = run(capsys, monkeypatch, settings, *days)
    assert (code, json.loads(out)["is_equal"]) == (0, True)
    lake = Lake(settings.lake)
    rows = read(lake, FOCUS, where=pc.field("x_UsageDate") == pa.scalar(DAY))
    replace_partition(lake, FOCUS, DAY, rows.slice(1))
    code, out, err = run(capsys, monkeypatch, settings, *days)
    assert (code, json.loads(out)["differing_days"]) == (1, [f"{DAY}"])
    assert "skillyard cost attribute" in err


def validate(file: Path, folder: Path, *words: str) -> tuple[int, dict[str, list[str]]]:
    """Return how many rules passed, and those that failed with the rules on account of which they did.

    The validator's exit code is 0 either way. It looks for a file of its own below the working directory, and leaves a log there.
    """
    (package,) = VALIDATOR.glob("lib/python*/site-packages/focus_validator")
    (folder / "focus_validator").symlink_to(package)
    command = [VALIDATOR / "bin" / "focus-validator", "--validate-version", "1.2", "--block-download", "--applicability-criteria", "ALL"]
    done = subprocess.run([*command, "--data-file", file, *words], cwd=folder, capture_output=True, text=True, check=False)
    counts = re.search(r"^Total: \d+ \| Pass: (\d+) \| Fail: (\d+)", done.stdout, re.MULTILINE)
    assert counts is not None, done.stderr[-2000:]
    failed = {}
    for rule, said in re.findall(r"^- ([\w-]+): violations=(.*)$", done.stdout, re.MULTILINE):
        children = re.search(r"failed child rules: \[(.*)\]", said)
        failed[rule] = children[1].split(", ") if children else []
    assert len(failed) == int(counts[2])
    return int(counts[1]), failed


def unexplained(failed: dict[str, list[str]]) -> set[str]:
    """Return the rules that failed neither as an exception nor on account of exceptions only."""

    def is_explained(rule: str) -> bool:
        return rule in EXCEPTIONS or (bool(failed.get(rule)) and all(map(is_explained, failed[rule])))

    return {rule for rule in failed if not is_explained(rule)}


needs_validator = pytest.mark.skipif(not (VALIDATOR / "installed").is_file(), reason="there is no .venv-focus: make focus-validator")


@needs_validator
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_the_validator_of_focus_finds_the_bill_good(lake: Lake, tmp_path: Path, suffix: str) -> None:
    export_focus(lake, DAY, NEXT, tmp_path / f"bill.{suffix}")
    n_passed, failed = validate(tmp_path / f"bill.{suffix}", tmp_path)
    assert unexplained(failed) == set()
    assert n_passed > 300
    assert set(EXCEPTIONS) <= set(failed), "an exception that is none any more"


@needs_validator
def test_the_validator_would_have_found_a_bad_bill(lake: Lake, tmp_path: Path) -> None:
    rows = read(lake, FOCUS)
    position = rows.schema.get_field_index("ChargeCategory")
    pq.write_table(rows.set_column(position, "ChargeCategory", pa.array(["Fee"] * rows.num_rows)), tmp_path / "bad.parquet")
    assert "ChargeCategory-C-003-M" in unexplained(validate(tmp_path / "bad.parquet", tmp_path, "--filter-rules", "ChargeCategory")[1])
