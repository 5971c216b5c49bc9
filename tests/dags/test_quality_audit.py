"""A night's audit under a real scheduler: paid once, measured, and red where it has to be without stopping the rest."""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.local.setup import Wanted
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from tests.local.server import Server
from tests.running.batching import with_batches
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILLS = ("classify-urgency", "tag-document")


@pytest.mark.timeout(400)
def test_a_night_of_audits(airflow_server: Callable[..., Server], settings: Settings, simulator: Simulator, tmp_path: Path) -> None:
    publish_texts(settings, mails(8))
    for skill in SKILLS:
        run_skill(settings, plan_run(settings, PlanRequest(skill, "r1")), lambda _: None)
    simulator.reset()
    own = with_batches(settings, tmp_path)
    server = airflow_server(own, target=Wanted({"default_pool": 4}, ("quality_audit",)))
    run = server.run("quality_audit", {"sample": 4})
    states = server.states(run)
    assert run.state == "success", server.explain(run)
    assert Counter(states.values()) == {"success": len(states)} and {"audit[0]", "audit[1]"} <= set(states)

    lake = Lake(settings.lake)
    audits, calls = read(lake, "audits").to_pylist(), [c for c in read(lake, "llm_calls").to_pylist() if c["purpose"] == "audit"]
    assert Counter((row["skill"], row["tier"]) for row in audits) == {(s, t): 4 for s in SKILLS for t in ("fast", "standard", "expert")}
    assert {(c["dag_id"], c["lane"]) for c in calls} == {("quality_audit", "batch")}
    assert sum((c["cost_usd"] for c in calls), Decimal(0)) == Decimal(simulator.bill()["total_usd"])
    quality = read(lake, "quality_daily").to_pylist()
    assert [(row["skill"], row["n_audited_today"], row["retained"]) for row in quality] == [(skill, 4, 1.0) for skill in SKILLS]

    n_calls = len(simulator.calls())
    again = server.run("quality_audit", {"sample": 4})
    assert again.state == "success" and len(simulator.calls()) == n_calls, "one audit a night"
    assert read(lake, "audits").num_rows == len(audits)
