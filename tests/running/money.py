"""A run with all that goes wrong with money, and what stands afterwards in the ledger, in every nightly table and on the bill.

Documents are worked through three times: at once, with faults, a worker killed and its shard begun again; more of them in a batch that
loses rows; some of both again, from the response cache. Answers that cannot be used go a tier up, so three models are paid.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from skillyard.costs.attribution import attribute
from skillyard.errors import RunIncomplete
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from tests.conftest import ROOT
from tests.running.batching import with_batches
from tests.running.lake_of import mails, publish_texts
from tests.running.trials import SKILL, Kills, Trial, installation
from tests.simulator import Simulator

ZERO = Decimal(0)
TIMEOUT_S = 8
FAULTS = {
    "rate_limited": 0.02,
    "server_error": 0.02,
    "cut_before": 0.004,
    "cut_after": 0.006,
    "broken_body": 0.004,
    "hang": 0.001,
    "late": 0.002,
}
"""What requests to any model meet; of these cut_after, broken_body and late are billed."""
PROVIDER = {
    "latency": {"kind": "uniform", "low_ms": 5, "high_ms": 40},
    "retry_after_s": 0.1,
    "cached_fraction": 0.4,
    "output_tokens": {"median": 40, "sigma": 0.6},
    "models": {
        "sim-fast": {"faults": {**FAULTS, "breaks_schema": 0.06}},
        "sim-standard": {"faults": {**FAULTS, "breaks_schema": 0.25}},
        "sim-expert": {"faults": FAULTS},
    },
    "batch": {"seconds": 1.0, "expire_share": 0.01, "fail_share": 0.01},
}
TABLES = {"llm_calls": "cost_usd", "cost_daily": "cost_usd", "savings_daily": "cost_usd", "unit_costs": "cost_usd", "focus": "BilledCost"}
"""Every table that says what was spent, and the column."""


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger, the nightly tables and the bill say, at one time."""

    sums_usd: dict[str, Decimal]
    """By table."""
    by_model_usd: dict[str, Decimal]
    """In cost_daily."""
    billed_usd: Decimal
    billed_by_model_usd: dict[str, Decimal]
    n_wrong: int
    """Calls that are settled at another amount than is billed, billed without being settled or unknown, or settled without being billed."""
    n_unknown: int
    unknown_usd: Decimal
    """What is billed for the unknown ones."""
    n_calls: Counter[tuple[str, str]]
    """By lane and status."""

    @property
    def spread_usd(self) -> Decimal:
        """How far the tables are apart."""
        return max(self.sums_usd.values()) - min(self.sums_usd.values())

    @property
    def difference_usd(self) -> Decimal:
        """Billed less settled."""
        return self.billed_usd - self.sums_usd["llm_calls"]


@contextmanager
def spending(folder: Path) -> Iterator[Settings]:
    """Lend an installation whose skill does not wait long."""
    include = folder / "include"
    shutil.copytree(ROOT / "include", include)
    manifest = include / "skills" / SKILL / "skill.yaml"
    manifest.write_text(manifest.read_text().replace("timeout_s: 60", f"timeout_s: {TIMEOUT_S}"))
    with installation(folder, SKILLYARD_INCLUDE=str(include)) as settings:
        yield settings


def spend_on(settings: Settings, simulator: Simulator, folder: Path, n_calls: int) -> tuple[Settings, int]:
    """Make at least so many calls; return the settings of the run that came last, and how many workers were killed."""
    n_live, n_batch, n_again = n_calls * 66 // 100, n_calls * 26 // 100, n_calls * 8 // 100
    texts = mails(n_live + n_batch)
    first, rest = dict(list(texts.items())[:n_live]), dict(list(texts.items())[n_live:])
    simulator.configure(**PROVIDER)
    publish_texts(settings, first)
    trial = Trial(folder, settings, simulator, random.Random(n_calls), shards_per_worker=2)
    with suppress(RunIncomplete):  # items that met too many faults are pending
        trial.go(Kills({}, ((n_live // 2, 0.0),)))
    (folder / "batching").mkdir()
    settings = with_batches(settings, folder / "batching")
    publish_texts(settings, rest)
    run(settings, PlanRequest(SKILL, "by-batch", f"skill.{SKILL}", lane="batch"))
    run(settings, PlanRequest(SKILL, "again", f"skill.{SKILL}", lane="live", reprocess="all", limit=n_again))
    return settings, len(trial.killed)


def run(settings: Settings, request: PlanRequest) -> None:
    with suppress(RunIncomplete):
        run_skill(settings, plan_run(settings, request), lambda _: None)


def keep_books(settings: Settings, simulator: Simulator) -> Books:
    """Make the nightly tables and compare them with the ledger and with the bill."""
    lake, bill = Lake(settings.lake), simulator.bill()
    calls = read(lake, "llm_calls", ["call_id", "lane", "status", "cost_usd", "usage_date"]).to_pylist()
    days: list[date] = [call["usage_date"] for call in calls]
    attribute(settings, min(days), max(days))
    settled = {c["call_id"]: c["cost_usd"] for c in calls if c["status"] == "settled"}
    unknown = {c["call_id"] for c in calls if c["status"] == "unknown"}
    billed = {line["call_id"]: Decimal(line["amount_usd"]) for line in bill["lines"]}
    wrong = [c for c in (billed.keys() | settled.keys()) - unknown if billed.get(c) != settled.get(c)]
    by_model = defaultdict[str, Decimal](Decimal)
    for row in read(lake, "cost_daily", ["model", "cost_usd"]).to_pylist():
        by_model[row["model"].removeprefix("openai/")] += row["cost_usd"]
    return Books(
        sums_usd={table: sum(filter(None, read(lake, table, [name])[name].to_pylist()), ZERO) for table, name in TABLES.items()},
        by_model_usd=dict(by_model),
        billed_usd=Decimal(bill["total_usd"]),
        billed_by_model_usd={model: Decimal(usd) for model, usd in bill["by_model"].items()},
        n_wrong=len(wrong) + len(bill["lines"]) - len(billed),
        n_unknown=len(unknown),
        unknown_usd=sum((billed.get(c, ZERO) for c in unknown), ZERO),
        n_calls=Counter((c["lane"], c["status"]) for c in calls),
    )


def reconcile_by_command(settings: Settings, simulator: Simulator, folder: Path) -> dict[str, Any]:
    """Reconcile with the bill as an operator does, for all days of the ledger; return what the command says."""
    file = folder / "bill.json"
    file.write_text(json.dumps(simulator.bill()))
    days = sorted(read(Lake(settings.lake), "llm_calls", ["usage_date"])["usage_date"].to_pylist())
    own = {"HOME": settings.home, "INCLUDE": settings.include, "LAKE": settings.lake, "STATE": settings.state, "PROFILE": settings.profile}
    variables = {f"SKILLYARD_{name}": str(value) for name, value in own.items()}
    command = [
        sys.executable,
        "-m",
        "skillyard.cli",
        "cost",
        "reconcile",
        str(file),
        "--from",
        str(days[0]),
        "--to",
        str(days[-1]),
        "--json",
    ]
    done = subprocess.run(command, env=os.environ | variables, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the command ended with {done.returncode}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)  # type: ignore[no-any-return]
