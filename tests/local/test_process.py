"""The components start on loopback alone, and nothing of them is left when they stop."""

import json
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from skillyard.errors import AirflowFailed
from skillyard.local import process
from skillyard.local.config import Site, environment, password, write_config
from skillyard.local.sessions import members
from skillyard.local.setup import Wanted
from skillyard.settings import Settings
from tests.local.server import Server, listening_addresses, processes_of

HELLO = """
import time
from airflow.sdk import dag, task

@dag(schedule=None)
def hello():
    @task
    def say(seconds):
        print("good day")
        time.sleep(seconds)
        return 1
    say.expand(seconds=[0, 0])

@dag(schedule=None)
def sleepy():
    @task
    def sleep():
        time.sleep(600)
    sleep()

hello(); sleepy()
"""


@pytest.mark.timeout(300)
def test_it_listens_on_loopback_runs_a_dag_and_leaves_nothing(
    settings: Settings, tmp_path: Path, airflow_server: Callable[..., Server]
) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "hello.py").write_text(HELLO)
    server = airflow_server(settings, dags=tmp_path / "dags", target=Wanted({"parse": 1}, ("hello", "sleepy")))
    site, running = server.site, server.running
    run = server.run("hello")
    assert run.state == "success"
    assert server.states(run) == {"say[0]": "success", "say[1]": "success"}
    assert "good day" in server.client.log_tail(run, server.client.tasks(run)[0])

    sleeping = server.client.trigger("sleepy")
    while server.states(sleeping) != {"sleep": "running"}:
        time.sleep(0.3)
    pids = set(members(running.leaders.values()))
    assert len(pids) > len(running.leaders)
    assert listening_addresses(pids) == [("127.0.0.1", running.port)]
    assert process.find(site) == running

    os.kill(running.leaders["scheduler"].pid, 9)
    while process.find(site):
        time.sleep(0.1)
    assert process.stop(site) >= 3
    assert members(running.leaders.values()) == []
    assert processes_of(site.airflow_home) == []
    assert not process.is_port_taken(running.port)
    assert process.stop(site) == 0


@pytest.mark.timeout(300)
def test_a_component_that_dies_is_named_with_its_log_and_the_others_are_stopped(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    site = Site(tmp_path / "airflow", tmp_path / "dags", tmp_path / "plugins")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(
            AirflowFailed, match=r"(?s)Airflow's api-server stopped; its log .*api-server.log ends with:.*address already in use"
        ):
            process.start(site, other.getsockname()[1], print)
    assert processes_of(site.airflow_home) == []


def test_a_stranger_with_a_remembered_number_is_left_alone(tmp_path: Path) -> None:
    site = Site(tmp_path, tmp_path, tmp_path)
    itself = {"pid": os.getpid(), "started_ticks": 1}
    (tmp_path / "running.json").write_text(json.dumps({"port": 1, "leaders": {"scheduler": itself}, "variables": {}}))
    assert process.find(site) is None
    assert process.stop(site) == 0


def test_secrets_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    site = Site(tmp_path / "airflow", tmp_path, tmp_path)
    write_config(site, 1234)
    first = {p.name: p.read_text() for p in site.airflow_home.iterdir()}
    assert set(first) == {"airflow.cfg", "passwords.json", "secrets.json"}
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in site.airflow_home.iterdir())
    assert len(password(site)) >= 16
    write_config(site, 1234)
    assert {p.name: p.read_text() for p in site.airflow_home.iterdir()} == first


def test_airflow_settings_of_the_shell_do_not_leak_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", "/elsewhere")
    monkeypatch.setenv("SKILLYARD_PROFILE", "openai")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("NO_PROXY", "example.com")
    made = environment(Site(tmp_path, tmp_path, tmp_path, {"SKILLYARD_LAKE": "file:///lake"}))
    assert "AIRFLOW__CORE__DAGS_FOLDER" not in made and "SKILLYARD_PROFILE" not in made
    assert (made["SKILLYARD_LAKE"], made["OPENAI_API_KEY"]) == ("file:///lake", "sk-1")
    assert made["NO_PROXY"] == "example.com,127.0.0.1,localhost"
