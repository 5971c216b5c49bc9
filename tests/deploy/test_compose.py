"""The compose stack: valid, closed to the outside, without secrets, with health checks, and serving every queue."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from skillyard.settings import Settings
from skillyard.skills import Catalogue
from tests.deploy.stack import COMPOSE, COMPOSE_TEXT, ENV_EXAMPLE, OWN_SERVICES, ROOT, SERVICES, VARIABLE, example_values, interpolated

ONE_SHOT = {"storage-setup", "airflow-setup"}


def test_the_file_is_valid_by_the_compose_specification() -> None:
    schema = json.loads((ROOT / "tests" / "deploy" / "compose-spec.json").read_text())
    problems = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(COMPOSE)]
    assert problems == []


def test_every_variable_is_explained_in_the_example() -> None:
    explained = set(re.findall(r"(?m)^(?:# )?(\w+)=", ENV_EXAMPLE))
    assert {m["name"] for m in VARIABLE.finditer(COMPOSE_TEXT)} == explained


def test_an_unset_secret_stops_compose_and_the_example_holds_none() -> None:
    secrets = {name for name, value in example_values().items() if not value}
    assert len(secrets) >= 9
    rules = {m["rule"] for m in VARIABLE.finditer(COMPOSE_TEXT) if m["name"] in secrets}
    assert rules == {":?set it in .env, see .env.example"}


@pytest.mark.parametrize("service", SERVICES)
def test_no_secret_is_written_out(service: str) -> None:
    for name, value in SERVICES[service].get("environment", {}).items():
        text = str(value)
        if name.endswith(("PASSWORD", "SECRET", "_KEY", "AUTH", "TOKEN")):
            assert VARIABLE.fullmatch(text), f"{service}: {name} has to come from .env"
        if credentials := re.search(r"://[^/]*:([^/]*)@", VARIABLE.sub("<variable>", text)):
            assert credentials[1] == "<variable>", f"{service}: {name} has a password in its URL"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_a_health_check_or_is_a_job_that_others_wait_for(service: str) -> None:
    if service not in ONE_SHOT:
        assert SERVICES[service]["healthcheck"]["test"]
        assert SERVICES[service]["restart"] == "unless-stopped"
        return
    assert SERVICES[service]["restart"] == "no"
    waiting = [name for name, other in SERVICES.items() if other.get("depends_on", {}).get(service)]
    assert waiting
    assert all(SERVICES[name]["depends_on"][service]["condition"] == "service_completed_successfully" for name in waiting)


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_bound_to_loopback(service: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))
    assert SERVICES[service].get("network_mode") is None
    assert not SERVICES[service].get("privileged")


@pytest.mark.parametrize("service", SERVICES)
def test_images_have_an_exact_version(service: str) -> None:
    image, _, tag = SERVICES[service]["image"].partition(":")
    assert image
    assert re.search(r"\d+\.\d+|\d{4}-\d{2}-\d{2}", tag), f"{service}: {tag!r} moves"


@pytest.mark.parametrize("service", OWN_SERVICES)
def test_our_services_run_without_privileges_as_the_images_own_user(service: str) -> None:
    assert "user" not in SERVICES[service]
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert SERVICES[service]["security_opt"] == ["no-new-privileges:true"]


def test_every_service_waits_for_something_that_exists() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            assert how["condition"] in {"service_healthy", "service_completed_successfully"}, name


def test_the_settings_are_those_the_engine_reads() -> None:
    values = example_values() | {"SKILLYARD_DB_PASSWORD": "secret"}
    environment = {k: interpolated(str(v), values) for k, v in SERVICES["worker"]["environment"].items()}
    settings = Settings.from_env(environment | {"SKILLYARD_HOME": str(ROOT)})
    assert settings.lake == "s3://skillyard/lake"
    assert settings.inbox == "s3://skillyard/inbox"
    assert settings.state == "postgresql+psycopg2://skillyard:secret@postgres:5432/skillyard"
    assert settings.profile == "embedded"


def test_the_worker_serves_every_queue_that_a_task_names() -> None:
    command = SERVICES["worker"]["command"]
    served = set(command[command.index("--queues") + 1].split(","))
    catalogue = Catalogue(ROOT / "include")
    lanes = {f"lane_{lane}" for name in catalogue.names() for lane in catalogue.load(name).lanes}
    named = {name for path in (ROOT / "dags").glob("*.py") for name in re.findall(r'queue="(\w+)"', path.read_text())}
    assert lanes | named | {"default", "lane_batch"} <= served


def test_every_airflow_setting_exists_in_this_airflow() -> None:
    spec = find_spec("airflow")
    assert spec is not None and spec.origin is not None
    airflow = Path(spec.origin).parent
    known = yaml.safe_load((airflow / "config_templates" / "config.yml").read_text())
    celery = (airflow / "providers" / "celery" / "get_provider_info.py").read_text()
    dockerfile = set(re.findall(r"\bAIRFLOW__\w+", (ROOT / "Dockerfile").read_text()))
    compose = {name for service in OWN_SERVICES.values() for name in service["environment"] if name.startswith("AIRFLOW__")}
    for variable in sorted(dockerfile | compose):
        _, section, option = variable.lower().split("__")
        is_known = f'"{option}"' in celery if section.startswith("celery") else option in known[section]["options"]
        assert is_known, variable


def test_the_locked_celery_fits_the_locked_airflow_provider(tmp_path: Path) -> None:
    """The health check of the worker and the worker itself import this; celery 5.7.0 broke it."""
    code = "from airflow.providers.celery.executors.celery_executor import app; print(app)"
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "false"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
