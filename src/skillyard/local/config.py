"""The configuration of the local Airflow: one ``airflow.cfg`` that only its owner can read.

A file rather than variables, so that ``AIRFLOW_HOME=.skillyard/airflow .venv/bin/airflow …`` sees the same Airflow.
"""

import base64
import configparser
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from skillyard.settings import Settings

HOST = "127.0.0.1"
USER = "admin"
OPTIONAL = ("SKILLYARD_ALERTS",)
"""Variables of the plug-ins, handed on as this shell has them."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where one local Airflow keeps its state and what it runs."""

    airflow_home: Path
    """Database, logs, password and configuration."""
    dags: Path
    plugins: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    """Variables of the engine (``SKILLYARD_…``) that its tasks see."""

    @classmethod
    def of(cls, settings: Settings) -> "Site":
        """Return the Airflow of a project's folder, with every setting made explicit for its tasks."""
        variables = {
            "SKILLYARD_HOME": str(settings.home),
            "SKILLYARD_INCLUDE": str(settings.include),
            "SKILLYARD_LAKE": settings.lake,
            "SKILLYARD_INBOX": settings.inbox,
            "SKILLYARD_PROFILE": settings.profile,
            "SKILLYARD_STATE": settings.state,
            "SKILLYARD_ENABLED": str(settings.enabled),
        }
        variables |= {name: os.environ[name] for name in OPTIONAL if os.environ.get(name)}
        return cls(settings.home / ".skillyard" / "airflow", settings.home / "dags", settings.home / "plugins", variables)


def write_config(site: Site, port: int) -> None:
    """Write ``airflow.cfg`` and, the first time, the secrets and the password it refers to."""
    site.airflow_home.mkdir(parents=True, exist_ok=True)
    site.airflow_home.chmod(0o700)
    parser = configparser.RawConfigParser()
    parser.read_dict(_sections(site, port, _own_secrets(site)))
    with private(site.airflow_home / "airflow.cfg") as file:
        parser.write(file)


def password(site: Site) -> str:
    """Return the generated password of ``admin``, making it the first time."""
    path = site.airflow_home / "passwords.json"
    if not path.exists():
        with private(path) as file:
            file.write(json.dumps({USER: secrets.token_urlsafe(12)}) + "\n")
    return str(json.loads(path.read_text())[USER])


def environment(site: Site) -> dict[str, str]:
    """Return the variables of every Airflow process: this shell's, without its own Airflow's, plus the site's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "SKILLYARD_"))}
    local_only = ",".join(filter(None, (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), HOST, "localhost")))
    return inherited | {
        "AIRFLOW_HOME": str(site.airflow_home),
        "NO_PROXY": local_only,
        "no_proxy": local_only,
        "PYTHONUNBUFFERED": "1",
        "SCARF_ANALYTICS": "false",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "GX_ANALYTICS_ENABLED": "false",
        **site.variables,
    }


def n_cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _sections(site: Site, port: int, own: Mapping[str, str]) -> dict[str, dict[str, object]]:
    cores = n_cores()
    return {
        "core": {
            "dags_folder": site.dags,
            "plugins_folder": site.plugins,
            "executor": "LocalExecutor",
            "mp_start_method": "fork",
            "parallelism": 4 + 4 * cores,
            "load_examples": False,
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": site.airflow_home / "passwords.json",
            "fernet_key": own["fernet_key"],
            "min_serialized_dag_update_interval": 5,
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{site.airflow_home / 'airflow.db'}"},
        "api": {"base_url": f"http://{HOST}:{port}", "host": HOST, "port": port, "workers": 1, "secret_key": own["secret_key"]},
        "api_auth": {"jwt_secret": own["jwt_secret"]},
        "logging": {
            "base_log_folder": site.airflow_home / "logs",
            "namespace_levels": "great_expectations=warning litellm=warning presidio-analyzer=warning",
        },
        "dag_processor": {"refresh_interval": 30, "min_file_process_interval": 30, "parsing_processes": min(2, cores)},
        "scheduler": {"scheduler_heartbeat_sec": 2, "scheduler_idle_sleep_time": 0.5, "task_instance_heartbeat_timeout": 60},
        # A supervisor often misses the end of its task and notices it at the next heartbeat: 5 s of an executor slot per task by default.
        "workers": {"min_heartbeat_interval": 1},
        "usage_data_collection": {"enabled": False},
    }


def _own_secrets(site: Site) -> dict[str, str]:
    path = site.airflow_home / "secrets.json"
    if not path.exists():
        made = {
            "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "secret_key": secrets.token_urlsafe(32),
            "jwt_secret": secrets.token_urlsafe(64),
        }
        with private(path) as file:
            file.write(json.dumps(made) + "\n")
    password(site)
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


def private(path: Path) -> TextIO:
    """Open a file for writing that nobody else can read, at no moment."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
