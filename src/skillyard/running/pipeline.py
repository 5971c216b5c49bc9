"""A planned run from routing to its end in one process: what a skill's DAG does, without Airflow."""

from collections.abc import Callable

from skillyard.lake.lake import Lake
from skillyard.running.publish import RunReport, finish_run, publish_run
from skillyard.running.route import planned_shards, route_run
from skillyard.running.runs import RunPlan
from skillyard.running.shard import run_shard
from skillyard.settings import Settings


def run_skill(settings: Settings, plan: RunPlan, say: Callable[[str], None]) -> RunReport:
    """Route, answer, publish and finish. What was finished is published even when a shard then fails."""
    route_run(settings, plan.run_key)
    try:
        for shard in planned_shards(Lake(settings.lake), plan.run_key):
            run_shard(settings, shard, say)
    finally:
        publish_run(settings, plan.run_key)
        report = finish_run(settings, plan.run_key)
    return report
