"""The fault matrix: each of the simulator's faults, on each tier, live and in a batch, always or until it has happened twice.

Whatever the provider does, every item ends as result, reject or pending, its attempts are bounded and each stands in the ledger, the
bill is the settled ledger plus exactly the unknown calls, and nobody waits for an attempt beyond its timeout. One run has items of all
three tiers, and a fault for each of them.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import litellm
import pyarrow as pa
import pytest

from skillyard.errors import RunIncomplete
from skillyard.gateway import batch, complete, endpoints, limits
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.routing.decide import Decision
from skillyard.running import route
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from skillyard.tiers import TIERS
from tests.running.batching import check_bill, ledger, with_batches
from tests.running.lake_of import publish_texts
from tests.simulator import Simulator
from tests.simulator.config import CONNECTION_FAULTS, CONTENT_FAULTS

SKILL = "tag-document"
N_EACH = 3
TIMEOUT_S = 1
ATTEMPTS = {"live": complete.ATTEMPTS_PER_REQUEST, "batch": 1}
"""How often one item may be asked on one tier."""
REJECTED = {"not_json": "schema_error", "breaks_schema": "schema_error", "refusal": "refusal", "truncated": "truncated"}


@pytest.fixture(scope="module", autouse=True)
def loaded(running_simulator: Simulator) -> None:
    """litellm's first call of a process imports for longer than the timeout here."""
    message = [{"role": "user", "content": "Hello."}]
    asyncio.run(litellm.acompletion(model="openai/sim-fast", messages=message, api_base=running_simulator.url, api_key="sk-simulated"))


@pytest.fixture
def hasty(settings: Settings, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Documents for each tier, a skill that times out after a second, and a gateway that gives up on a dead tier sooner."""
    for module, name, value in (
        (limits, "COOLDOWN", timedelta(seconds=0.1)),
        (endpoints, "PATIENCE", timedelta(seconds=0.3)),
        (endpoints, "REST_S", 0.02),
        (complete, "BACKOFF_S", 0.02),
        (batch, "FIRST_POLL_S", 0.05),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(route, "_decide", start_where_the_text_says)
    include = shutil.copytree(settings.include, tmp_path / "include")
    file = include / "skills" / SKILL / "skill.yaml"
    file.write_text(file.read_text().replace("timeout_s: 60", f"timeout_s: {TIMEOUT_S}"))
    publish_texts(
        settings, {f"{tier}-{n}.txt": f"For the {tier} tier, letter {n}: my order is late." for tier in TIERS for n in range(N_EACH)}
    )
    return with_batches(replace(settings, include=include), tmp_path)


def start_where_the_text_says(items: pa.Table, *_: Any) -> Iterator[tuple[dict[str, Any], Decision]]:
    for row in items.to_pylist():
        yield row, Decision(next(tier for tier in TIERS if f"the {tier} tier" in row["text"]), 0.0, "as the text says")


def go(settings: Settings, lane: str) -> dict[str, Any]:
    """Run the skill; return the report, whether the run is red or not."""
    with suppress(RunIncomplete):
        run_skill(settings, plan_run(settings, PlanRequest(SKILL, "r1", lane=lane)), lambda _: None)
    report: dict[str, Any] = Lake(settings.lake).read_json(f"_runs/skill.{SKILL}/r1/report.json")
    return report


def check(settings: Settings, simulator: Simulator, report: dict[str, Any], fault: str) -> None:
    """What holds whatever the fault."""
    calls, asked = ledger(settings), simulator.calls()
    assert report["n_results"] + report["n_rejects"] + report["n_pending"] == len(TIERS) * N_EACH
    assert sorted(c["call_id"] for c in calls) == sorted(c["call_id"] for c in asked), "what the provider saw is what the ledger has"
    assert simulator.stats()["by_fault"].keys() == {fault}
    attempts = Counter((c["operation_id"], c["tier"], c["lane"]) for c in calls)
    assert all(n <= ATTEMPTS[lane] for (_, _, lane), n in attempts.items())
    assert max((c["latency_ms"] for c in calls if c["lane"] == "live"), default=0) <= TIMEOUT_S * 4000, (
        "it ends at its timeout, as soon as a busy machine sees to it"
    )
    check_bill(settings, simulator)


def rules(fault: str, **more: Any) -> list[dict[str, Any]]:
    """Return the fault for each tier's own documents, on that tier's model."""
    return [{"fault": fault, "model": f"sim-{tier}", "contains": f"the {tier} tier", **more} for tier in TIERS]


@pytest.mark.parametrize("lane", ["live", "batch"])
@pytest.mark.parametrize("fault", CONNECTION_FAULTS)
def test_a_provider_that_never_answers_leaves_items_pending(hasty: Settings, simulator: Simulator, fault: str, lane: str) -> None:
    simulator.configure(rules=rules(fault), retry_after_s=0.05)
    report = go(hasty, lane)
    assert report["pending"] == {"provider_unavailable": len(TIERS) * N_EACH}
    check(hasty, simulator, report, fault)


@pytest.mark.parametrize("lane", ["live", "batch"])
@pytest.mark.parametrize("fault", CONNECTION_FAULTS)
def test_a_fault_that_passes_costs_attempts_and_no_item(hasty: Settings, simulator: Simulator, fault: str, lane: str) -> None:
    simulator.configure(rules=rules(fault, nth=[1, 2]), retry_after_s=0.05)
    report = go(hasty, lane)
    assert report["tiers"] == dict.fromkeys(TIERS, N_EACH)
    assert {c["tier"]: c["lane"] for c in ledger(hasty) if c["status"] != "settled"} == dict.fromkeys(TIERS, lane)
    check(hasty, simulator, report, fault)


@pytest.mark.parametrize("lane", ["live", "batch"])
@pytest.mark.parametrize("fault", CONTENT_FAULTS)
def test_answers_that_cannot_be_used_go_a_tier_up_and_are_rejected_at_the_top(
    hasty: Settings, simulator: Simulator, fault: str, lane: str
) -> None:
    simulator.configure(rules=rules(fault))
    report = go(hasty, lane)
    assert (report["tiers"], report["rejects"]) == ({"standard": N_EACH, "expert": N_EACH}, {REJECTED[fault]: N_EACH})
    assert {r["tier"] for r in read(Lake(hasty.lake), "rejects", ["tier"]).to_pylist()} == {"expert"}
    check(hasty, simulator, report, fault)


@pytest.mark.parametrize("lane", ["live", "batch"])
@pytest.mark.parametrize("fault", CONTENT_FAULTS)
def test_one_answer_that_cannot_be_used_moves_no_other_item(hasty: Settings, simulator: Simulator, fault: str, lane: str) -> None:
    simulator.configure(rules=rules(fault, nth=[1, 2]))
    report = go(hasty, lane)
    assert report["tiers"] == {"fast": N_EACH - 2, "standard": 2 + N_EACH - 2, "expert": 2 + N_EACH - 2}
    assert report["rejects"] == {REJECTED[fault]: 2}
    check(hasty, simulator, report, fault)
