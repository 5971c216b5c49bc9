"""A planned run from routing to its end in one process: what a skill's DAG does, without Airflow."""

from collections.abc import Callable

from skillyard.gateway.files import BatchUnavailable
from skillyard.lake.lake import Lake
from skillyard.running.batch import Waiting, answer_batch, submit_shard
from skillyard.running.publish import RunReport, finish_run, publish_run
from skillyard.running.route import lane_shards, planned_shards, route_run
from skillyard.running.runs import RunPlan
from skillyard.running.shard import run_shard
from skillyard.settings import Settings


def run_skill(settings: Settings, plan: RunPlan, say: Callable[[str], None]) -> RunReport:
    """Route, answer, publish and finish. What was finished is published even when a shard then fails.

    Batches are handed over first and waited for last, so that the provider works on them while the live lanes are answered.
    """
    route_run(settings, plan.run_key, say)
    try:
        shards, batches = planned_shards(Lake(settings.lake), plan.run_key), lane_shards(settings, plan.run_key, "batch")
        submitted: dict[str, Waiting | None] = {}
        for shard in batches:
            try:
                submitted[shard] = submit_shard(settings, shard, say)
            except BatchUnavailable as error:
                say(f"tried again later: {error}")
        for shard in shards:
            if shard not in batches:
                run_shard(settings, shard, say)
        for shard in batches:
            answer_batch(settings, shard, say, submitted.get(shard))
    finally:
        publish_run(settings, plan.run_key)
        report = finish_run(settings, plan.run_key)
    return report
