"""What the tasks of a skill's DAG do: one call of the engine each. They hand on keys and counts, never rows."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from skillyard_airflow.errors import engine
from skillyard_airflow.forms import read_skill_form

if TYPE_CHECKING:
    from skillyard.running.shard import ShardReport


def results_asset(skill: str) -> Asset:
    """Return the Asset that says a skill has new results."""
    return Asset(f"results/{skill}")


def announced_by(skill: str) -> AssetAlias:
    """Return the alias through which ``publish`` sends the Asset, or does not: a plain outlet is sent even when nothing is new."""
    return AssetAlias(f"skill.{skill}")


def plan(skill: str, run_id, params, dag_run, ti) -> str | None:  # type: ignore[no-untyped-def]
    """Return the planned run's key, or nothing when no item is pending."""
    from skillyard.running.plan import plan_run
    from skillyard.running.runs import PlanRequest
    from skillyard.skills import Catalogue

    with engine() as settings:
        asked = read_skill_form(params, Catalogue(settings.include).load(skill))
        is_following = dag_run.run_type != "manual"
        if ti.try_number > 1:  # a cleared run finds other items pending: it is another run to the engine, in a folder of its own
            run_id = f"{run_id}.{ti.try_number}"
        planned = plan_run(settings, PlanRequest(skill, run_id, dag_run.dag_id, is_following=is_following, **asked))
    print(planned.message)
    print(planned.quote.text)
    ti.xcom_push("counts", {"n_applicable": planned.n_applicable, "n_done": planned.n_done, "n_planned": planned.n_planned})
    return None if planned.is_empty else planned.run_key


def list_shards(run_key: str, lane: str) -> list[str]:
    """Return a lane's shards as a plain list, which is what a task can be mapped over."""
    from skillyard.running.route import lane_shards

    with engine() as settings:
        return lane_shards(settings, run_key, lane)


def work(shard_key: str) -> dict[str, int]:
    """Answer the items of one shard."""
    from skillyard.running.shard import run_shard

    with engine() as settings:
        report = run_shard(settings, shard_key, print)
    print(report)
    return counts(report)


def counts(report: "ShardReport") -> dict[str, int]:
    """Return what a lane's task hands on."""
    return {"n_items": report.n_items, "n_results": report.n_results, "n_rejects": report.n_rejects, "n_pending": report.n_pending}


def publish(skill: str, run_key: str | None, outlet_events) -> dict[str, Any]:  # type: ignore[no-untyped-def]
    """Commit every finished item, whatever became of the shards; announce the results if there are any."""
    from skillyard.running.plan import declined_by
    from skillyard.running.publish import publish_run

    if run_key is None:
        raise AirflowFailException("nothing was planned: see the log of plan.")
    with engine() as settings:
        if who := declined_by(settings, run_key):
            raise AirflowSkipException(f"not approved, nothing was asked: declined by {who}.")
        report = publish_run(settings, run_key)
    print(report)
    if report.n_results:
        outlet_events[announced_by(skill)].add(results_asset(skill))
    return {"n_results": report.n_results, "n_rejects": report.n_rejects, "n_pending": report.n_pending, "n_calls": report.n_calls}


def finish(run_key: str | None, published: dict[str, Any] | None) -> None:
    """Release the lease; fail when items are left pending through failure, or when publish failed. To decline a run is no failure."""
    from skillyard.running.plan import declined_by
    from skillyard.running.publish import finish_run

    if run_key is None:
        raise AirflowFailException("nothing was planned: see the log of plan.")
    with engine() as settings:
        if who := declined_by(settings, run_key):
            print(f"not approved, nothing was asked: declined by {who}.")
            return
        print(finish_run(settings, run_key))
    if published is None:
        raise AirflowFailException("publish failed, nothing new stands in the tables: see its log.")
