"""An installation whose deployments offer batches, and what its ledger says beside the simulator's bill."""

import shutil
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.settings import Settings
from tests.simulator import Simulator


def with_batches(settings: Settings, folder: Path, **changes: Any) -> Settings:
    """Return settings with the simulator's profile, every deployment of it offering batches."""
    profile = yaml.safe_load(Path(settings.profile).read_text())
    for deployments in profile["tiers"].values():
        deployments[0] |= {"batch": True, **changes}
    (folder / "batching.yaml").write_text(yaml.safe_dump(profile))
    shutil.copy(Path(settings.profile).with_name("prices.csv"), folder)
    return replace(settings, profile=str(folder / "batching.yaml"))


def ledger(settings: Settings) -> list[dict[str, Any]]:
    return read(Lake(settings.lake), "llm_calls").to_pylist()


def check_bill(settings: Settings, simulator: Simulator) -> None:
    """The bill is the settled ledger, line by line and to the last decimal, plus exactly the unknown calls."""
    calls, lines = ledger(settings), simulator.bill()["lines"]
    billed = {line["call_id"]: (line["lane"], Decimal(line["amount_usd"])) for line in lines}
    assert len(billed) == len(lines), "no call is billed twice"
    unknown = {c["call_id"] for c in calls if c["status"] == "unknown"}
    settled = {c["call_id"]: (c["lane"], c["cost_usd"]) for c in calls if c["status"] == "settled"}
    assert {call_id: line for call_id, line in billed.items() if call_id not in unknown} == settled


def lanes(settings: Settings) -> Counter[tuple[str, str]]:
    """Count the ledger's rows by lane and status."""
    return Counter((c["lane"], c["status"]) for c in ledger(settings))
