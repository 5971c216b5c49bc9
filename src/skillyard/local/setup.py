"""What a fresh Airflow needs before the DAGs can run: the pools, and the DAGs that run by themselves unpaused."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from skillyard.errors import AirflowFailed
from skillyard.local.client import Client
from skillyard.local.config import USER, Site, n_cores, password
from skillyard.local.process import find
from skillyard.profiles import Profile, load_profile
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from skillyard.skills.enabled import load_enabled
from skillyard.tiers import TIERS

SCHEDULED = ("cost_attribution", "lake_maintenance", "quality_audit", "router_training")
"""The DAGs that run by the clock."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The state to bring an Airflow into."""

    pools: Mapping[str, int]
    """Slots by pool: how many tasks of a kind run at once."""
    unpaused: tuple[str, ...]


def setup() -> None:
    """Make the pools and unpause ingestion, the DAGs that run by the clock and the enabled skills; repeating it changes nothing.

    In the Airflow that ``AIRFLOW_HOME`` names, by its command line; else in the one that ``make up`` started.
    """
    settings = Settings.from_env()
    if os.environ.get("AIRFLOW_HOME"):
        apply_by_command(wanted(settings))
    elif running := find(site := Site.of(settings)):
        apply(Client(running.url, USER, password(site)), wanted(settings))
    else:
        raise AirflowFailed("no Airflow is running here: start it with `make up`, or set AIRFLOW_HOME to another one's.")
    print(f"pools: {', '.join(wanted(settings).pools)}; unpaused: {', '.join(wanted(settings).unpaused)}")


def wanted(settings: Settings) -> Wanted:
    """Return what this machine, this profile and ``enabled.yaml`` ask for; UnknownName for a skill that does not exist."""
    cores, profile = n_cores(), load_profile(settings.profile, settings.include)
    lanes = {f"lane_{tier}": _lane_slots(profile, tier, cores) for tier in TIERS}
    # A parse task keeps two processes busy by itself.
    pools = {"default_pool": 2 * cores + 2, "parse": max(1, cores // 2), "lane_library": cores, "lane_batch": max(2, cores), **lanes}
    enabled = load_enabled(settings.enabled, Catalogue(settings.include).names())
    return Wanted(pools, ("ingest_documents", *SCHEDULED, *(f"skill.{name}" for name in enabled)))


def apply(client: Client, target: Wanted, timeout_s: float = 90.0) -> None:
    """Bring a running Airflow into this state, waiting until it has read the DAG files."""
    for name, slots in target.pools.items():
        client.set_pool(name, slots, _describe(name))
    deadline = time.monotonic() + timeout_s
    while missing := [dag_id for dag_id in target.unpaused if dag_id not in (known := client.dag_ids())]:
        if errors := client.import_errors():
            raise AirflowFailed("\n".join(f"{file} cannot be loaded:\n{trace}" for file, trace in errors.items()))
        if time.monotonic() > deadline:
            raise AirflowFailed(f"Airflow has not found {', '.join(missing)} after {timeout_s:.0f} s: look into its dag-processor.log.")
        time.sleep(0.5)
    for dag_id in target.unpaused:
        if known[dag_id]:
            client.unpause(dag_id)


def apply_by_command(target: Wanted) -> None:
    """Bring the Airflow of this environment into this state, whether or not it runs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pools.json"
        pools = {n: {"slots": slots, "description": _describe(n), "include_deferred": False} for n, slots in target.pools.items()}
        path.write_text(json.dumps(pools))
        _airflow("pools", "import", str(path))
    _airflow("dags", "reserialize")
    _airflow("dags", "unpause", "--yes", "--treat-dag-id-as-regex", f"^({'|'.join(re.escape(dag_id) for dag_id in target.unpaused)})$")


def _lane_slots(profile: Profile, tier: str, cores: int) -> int:
    """A task asks hundreds of requests at once, so a slot a core is plenty; a model inside the task takes half the cores itself."""
    is_embedded = any(d.model.startswith("embedded/") for d in profile.deployments(tier))
    return min(2, cores) if is_embedded else max(2, cores)


def _describe(pool: str) -> str:
    return {"default_pool": "everything else", "parse": "parse tasks of ingest_documents"}.get(
        pool, f"tasks of the lane {pool[5:]}, all skills"
    )


def _airflow(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "airflow", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AirflowFailed(f"`airflow {' '.join(arguments[:2])}` ended with {done.returncode}:\n{done.stderr or done.stdout}")
