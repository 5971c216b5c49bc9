"""One DAG for every skill of the catalogue: plan → approve → route → lanes → publish → finish."""

from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetAny, TriggerRule, get_parsing_context, task

from skillyard.settings import Settings
from skillyard.skills import Catalogue
from skillyard.skills.enabled import load_enabled
from skillyard.skills.errors import SkillError
from skillyard.skills.teams import load_teams
from skillyard_airflow import skill_steps as steps
from skillyard_airflow.approve_operator import ApproveOperator
from skillyard_airflow.batch_operator import BatchOperator
from skillyard_airflow.docs import broken_doc, skill_doc
from skillyard_airflow.forms import skill_form
from skillyard_airflow.route_operator import RouteOperator

DEFAULTS = {"owner": "skillyard", "retries": 2, "retry_delay": timedelta(seconds=10), "execution_timeout": timedelta(hours=1)}


def skill_dag(skill, teams, is_enabled):
    """Return the DAG of one skill."""
    sources = [Asset("documents"), *(steps.results_asset(name) for name in skill.sources)]
    with DAG(
        f"skill.{skill.name}",
        description=skill.description,
        doc_md=skill_doc(skill, is_enabled),
        schedule=AssetAny(*sources) if is_enabled else None,
        max_active_runs=1,
        is_paused_upon_creation=True,
        params=skill_form(skill, teams),
        tags=["skill", skill.bucket, skill.kind],
        default_args=DEFAULTS | {"owner": skill.owner},
    ) as dag:
        run_key = task.short_circuit(steps.plan)(skill.name)
        route = RouteOperator(task_id="route", run_key=run_key)
        if skill.kind != "library":
            ApproveOperator(task_id="approve", run_key=run_key) >> route
        publish = task(steps.publish, trigger_rule=TriggerRule.ALL_DONE, outlets=[steps.announced_by(skill.name)])
        published = publish(skill.name, run_key)
        for lane in skill.lanes if skill.kind == "library" else (*skill.lanes, "batch"):
            shards = task(steps.list_shards, task_id=f"shards_{lane}")(run_key, lane)
            name = f"lane_{lane}"
            limits = {"task_id": name, "pool": name, "queue": name, "execution_timeout": timedelta(hours=2)}
            # Deferred tasks count as active: all batches have to be, or the last of them would begin a day later.
            is_batch = lane == "batch"
            lane_task = BatchOperator.partial(**limits) if is_batch else task(steps.work, max_active_tis_per_dagrun=16, **limits)
            work = lane_task.expand(shard_key=shards)
            route >> shards
            work >> published
        task(steps.finish, trigger_rule=TriggerRule.ALL_DONE)(run_key, published)
    return dag


def broken_dag(name, message):
    """Return the DAG of a skill that cannot be loaded: its one task fails and says why."""
    with DAG(f"skill.{name}", doc_md=broken_doc(message), schedule=None, tags=["skill", "broken"], default_args=DEFAULTS) as dag:
        task.short_circuit(steps.plan)(name)
    return dag


def build(settings, only):
    """Yield the DAG of every skill, in order, or of the one whose task is about to run."""
    catalogue, enabled, teams = Catalogue(settings.include), load_enabled(settings.enabled), load_teams(settings.include / "teams.yaml")
    for name in catalogue.names():
        if only is None or only == f"skill.{name}":
            try:
                yield skill_dag(catalogue.load(name), teams, name in enabled)
            except SkillError as error:
                yield broken_dag(name, str(error))


for built in build(Settings.from_env(), get_parsing_context().dag_id):
    globals()[built.dag_id] = built
