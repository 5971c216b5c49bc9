"""What ingestion and skills publish is a lake that ``verify`` finds whole, archives, deletions and rejects included."""

from skillyard.lake.lake import Lake
from skillyard.lake.verify import verify
from skillyard.running.plan import plan_run
from skillyard.running.publish import publish_run
from skillyard.running.route import lane_shards, route_run
from skillyard.running.runs import PlanRequest
from skillyard.running.shard import run_shard
from skillyard.settings import Settings
from tests.running.test_ingest import MIXED, fill, ingest
from tests.simulator import Simulator


def test_a_lake_is_whole_after_ingestion_changes_deletions_and_a_skill(settings: Settings, simulator: Simulator) -> None:
    inbox = fill(settings, MIXED)
    ingest(settings, "first")
    (inbox / "notes" / "a b.txt").write_text("Another text about the harbour and its boats, quite another one.")
    (inbox / "mail" / "boats.eml").unlink()
    ingest(settings, "second")
    plan = plan_run(settings, PlanRequest("tag-document", "run-1"))
    route_run(settings, plan.run_key)
    for tier in ("fast", "standard", "expert"):
        for shard in lane_shards(settings, plan.run_key, tier):
            run_shard(settings, shard)
    report = publish_run(settings, plan.run_key)
    assert report.n_results > 0
    verification = verify(Lake(settings.lake), is_deep=True)
    assert verification.problems == ()
    assert verification.n_rows > 10
