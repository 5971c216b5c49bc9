"""The fault matrix: each of the simulator's faults, on each tier, live and in a batch, always or until it has happened twice.

Whatever the provider does, every item ends as result, reject or pending, its attempts are bounded and each stands in the ledger, the
bill is the settled ledger plus exactly the unknown calls, and nobody waits for an attempt beyond its timeout.
"""

import asyncio
import re
import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import litellm
import pytest

from skillyard.errors import RunIncomplete
from skillyard.gateway.complete import ATTEMPTS_PER_REQUEST
from skillyard.lake.lake import Lake
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.publish import RunReport
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from skillyard.tiers import TIERS
from tests.running.batching import check_bill, ledger, with_batches
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator
from tests.simulator.config import CONTENT_FAULTS, FAULTS

SKILL = "tag-document"
N = 3
TIMEOUT_S = 1.0


@pytest.fixture(scope="module", autouse=True)
def loaded(running_simulator: Simulator) -> None:
    """litellm's first call of a process imports for longer than the timeout here."""
    message = [{"role": "user", "content": "Hello."}]
    asyncio.run(litellm.acompletion(model="openai/sim-fast", messages=message, api_base=running_simulator.url, api_key="sk-simulated"))


@pytest.fixture
def hasty(settings: Settings, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation whose skill times out after a second, and a gateway that gives up on a dead tier as soon."""
    monkeypatch.setattr("skillyard.gateway.limits.COOLDOWN", timedelta(seconds=0.2))
    monkeypatch.setattr("skillyard.gateway.endpoints.PATIENCE", timedelta(seconds=1))
    monkeypatch.setattr("skillyard.gateway.endpoints.REST_S", 0.05)
    monkeypatch.setattr("skillyard.gateway.complete.BACKOFF_S", 0.05)
    simulator.configure(retry_after_s=0.05)
    include = shutil.copytree(settings.include, tmp_path / "include")
    file = include / "skills" / SKILL / "skill.yaml"
    file.write_text(re.sub(r"timeout_s: [\d.]+", f"timeout_s: {TIMEOUT_S}", file.read_text()))
    publish_texts(settings, mails(N))
    return with_batches(replace(settings, include=include), tmp_path)


@pytest.mark.parametrize("lane", ["live", "batch"])
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("times", [2, None], ids=["twice", "always"])
def test_every_item_ends_and_every_attempt_is_accounted_for(
    hasty: Settings, simulator: Simulator, fault: str, tier: str, lane: str, times: int | None
) -> None:
    simulator.configure(rules=[{"fault": fault, "model": f"sim-{tier}", "times": times}])
    plan = plan_run(hasty, PlanRequest(SKILL, "r1", first_tier=tier, lane=lane))
    with suppress(RunIncomplete):
        run_skill(hasty, plan, lambda _: None)
    report = RunReport(**Lake(hasty.lake).read_json(f"{plan.run_key}/report.json"))
    is_content, n_faults = fault in CONTENT_FAULTS, times or N
    n_lost = n_faults if tier == "expert" and is_content else 0 if is_content or times else N
    assert (report.n_results, report.n_rejects, report.n_pending) == (N - n_lost, n_lost * is_content, n_lost * (not is_content))
    calls = ledger(hasty)
    asked = Counter((c["operation_id"], c["tier"], c["lane"]) for c in calls)
    assert max(asked.values()) <= ATTEMPTS_PER_REQUEST
    assert {c["call_id"] for c in calls} == {c["call_id"] for c in simulator.calls()}
    assert all(c["latency_ms"] <= TIMEOUT_S * 1100 for c in calls if c["lane"] == "live")
    check_bill(hasty, simulator)


def test_a_fault_was_really_met(hasty: Settings, simulator: Simulator) -> None:
    simulator.configure(rules=[{"fault": "cut_after", "model": "sim-fast", "times": 2}])
    run_skill(hasty, plan_run(hasty, PlanRequest(SKILL, "r1")), lambda _: None)
    assert Counter(c["status"] for c in ledger(hasty)) == {"settled": N, "unknown": 2}
    assert simulator.stats()["by_fault"] == {"cut_after": 2}
