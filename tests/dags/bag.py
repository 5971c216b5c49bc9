"""Load the DAG files as the DAG processor does, in a process of its own, and hand back what a test can look at."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("litellm", "great_expectations", "pandas", "pyarrow.dataset", "sklearn", "presidio_analyzer", "boto3", "skillyard.running.shard")


def load_dags(airflow_home: Path, include: Path = ROOT / "include", only: str = "", **variables: str) -> dict[str, Any]:
    """Return import errors, loaded heavy modules, and every DAG's own facts; ``only`` parses as a task of that DAG does."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "SKILLYARD_"))} | {
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_VERSION_INFLATION_CHECK_LEVEL": "error",
        "SKILLYARD_HOME": str(ROOT),
        "SKILLYARD_INCLUDE": str(include),
        "PYTHONPATH": str(ROOT),
        **variables,
    }
    done = subprocess.run([sys.executable, __file__, only], env=env, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return loaded


def _main(only: str) -> None:
    from contextlib import nullcontext

    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager

    sys.path.insert(0, str(ROOT / "plugins"))
    with _airflow_parsing_context_manager(dag_id=only) if only else nullcontext():
        bag = DagBag(str(ROOT / "dags"))
    heavy = [name for name in HEAVY if name in sys.modules]
    print(json.dumps({"errors": bag.import_errors, "heavy": heavy, "dags": {d.dag_id: _facts(d) for d in bag.dags.values()}}))


def _facts(dag: Any) -> dict[str, Any]:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import DagSerialization

    return {
        "hash": SerializedDagModel.hash(DagSerialization.to_dict(dag)),
        "doc": dag.doc_md,
        "tags": sorted(dag.tags),
        "follows": sorted(asset.name for asset in getattr(dag.schedule, "objects", [])),
        "schedule": str(dag.schedule) if isinstance(dag.schedule, str) else None,
        "is_paused": dag.is_paused_upon_creation,
        "max_active_runs": dag.max_active_runs,
        "params": {name: param.dump() | {"schema": param.schema} for name in dag.params if (param := dag.params.get_param(name))},
        "tasks": {
            task.task_id: {
                "owner": task.owner,
                "pool": task.pool,
                "queue": task.queue,
                "rule": task.trigger_rule.value,
                "upstream": sorted(task.upstream_task_ids),
                "retries": task.retries,
                "retry_s": task.retry_delay.total_seconds(),
                "timeout_s": task.execution_timeout.total_seconds() if task.execution_timeout else None,
                "outlets": [type(outlet).__name__ for outlet in task.outlets],
            }
            for task in dag.tasks
        },
    }


if __name__ == "__main__":
    _main(sys.argv[1])
