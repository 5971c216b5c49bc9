"""Heavy packages are loaded in the process that forks the tasks, and nowhere else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
CHILD = """
import json, multiprocessing, sys, threading
sys.path.insert(0, {plugins!r})
sys.argv = {argv!r}
multiprocessing.set_start_method({method!r})
from skillyard_airflow import listener
class {component}: pass
listener.on_starting({component}())
heavy = [name for name in ("litellm", "great_expectations", "pandas", "skillyard.running.shard") if name in sys.modules]
print(json.dumps([heavy, threading.active_count()]))
"""


def start_component(tmp_path: Path, argv: list[str], component: str, executor: str = "LocalExecutor", method: str = "fork") -> list[str]:
    """Return which heavy packages a component has loaded after its listeners were told of its start; no thread may be running."""
    code = CHILD.format(plugins=str(PLUGINS), argv=argv, component=component, method=method)
    env = os.environ | {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__EXECUTOR": executor}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=110)
    heavy, n_threads = json.loads(done.stdout.splitlines()[-1])
    assert n_threads == 1
    return list(heavy)


def test_a_forking_scheduler_loads_them_before_it_forks(tmp_path: Path) -> None:
    loaded = start_component(tmp_path, ["airflow", "scheduler", "--skip-serve-logs"], "Job")
    assert loaded == ["litellm", "great_expectations", "pandas", "skillyard.running.shard"]


@pytest.mark.parametrize(
    ("argv", "component", "executor", "method"),
    [
        (["airflow", "dag-processor"], "Job", "LocalExecutor", "fork"),
        (["airflow", "triggerer"], "Job", "LocalExecutor", "fork"),
        (["airflow", "scheduler"], "TaskRunnerMarker", "LocalExecutor", "fork"),
        (["airflow", "scheduler"], "Job", "CeleryExecutor", "fork"),
        (["airflow", "scheduler"], "Job", "LocalExecutor", "spawn"),
    ],
    ids=["dag-processor", "triggerer", "task", "celery-scheduler", "spawning-scheduler"],
)
def test_nobody_else_does(tmp_path: Path, argv: list[str], component: str, executor: str, method: str) -> None:
    assert start_component(tmp_path, argv, component, executor, method) == []


def test_airflow_loads_the_plugin_and_no_other_file_of_the_folder(tmp_path: Path) -> None:
    env = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    command = [sys.executable, "-m", "airflow", "plugins", "--output", "json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=110)
    listed = json.loads(done.stdout.splitlines()[-1])
    assert [(p["name"], p["source"]) for p in listed] == [("skillyard", "$PLUGINS_FOLDER/skillyard_airflow/plugin.py")]
