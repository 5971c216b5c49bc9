"""``make up`` and ``make down``, ``make demo`` cut short, and what they refuse."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from skillyard.errors import AirflowFailed, UnknownName
from skillyard.local import process, up
from skillyard.local.client import Client
from skillyard.local.config import USER, Site, password
from skillyard.local.setup import SCHEDULED, setup, wanted
from skillyard.settings import Settings
from skillyard.skills.enabled import load_enabled
from tests.local.server import ROOT, processes_of


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder of its own with this one's DAGs and skills; every setting is its default."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("dags", "plugins", "include"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "samples" / "inbox").mkdir(parents=True)
    for name in [n for n in os.environ if n.startswith(("SKILLYARD_", "AIRFLOW"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SKILLYARD_HOME", str(folder))
    return folder


@pytest.mark.timeout(400)
def test_up_starts_once_refuses_what_is_not_allowed_and_down_leaves_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(up, "PORT", process.free_port())
    settings, url = Settings.from_env(), f"http://127.0.0.1:{up.PORT}"
    site = Site.of(settings)
    try:
        up.up()
        said = capsys.readouterr().out
        assert f"{url}\n  user admin, password {password(site)}\n" in said
        client = Client(url, USER, password(site))
        _check_setup(client, settings)
        _check_the_door_is_shut(url, site)
        _check_unknown_values_are_refused(client)

        up.up()
        assert "already up" in capsys.readouterr().out
        setup()
        assert "lane_library" in capsys.readouterr().out
        assert (project / ".skillyard" / "airflow").stat().st_mode & 0o077 == 0
    finally:
        up.down()
    assert "Airflow is stopped." in capsys.readouterr().out
    assert up.status() is None and not process.is_port_taken(up.PORT)
    assert processes_of(site.airflow_home) == []
    up.down()
    assert "Airflow is not running." in capsys.readouterr().out


def _check_setup(client: Client, settings: Settings) -> None:
    pools = {pool["name"]: pool["slots"] for pool in client.call("GET", "pools")["pools"]}
    assert pools == wanted(settings).pools
    unpaused = {dag_id for dag_id, is_paused in client.dag_ids().items() if not is_paused}
    assert unpaused == {"ingest_documents", *SCHEDULED, *(f"skill.{name}" for name in load_enabled(settings.enabled))}


def _check_the_door_is_shut(url: str, site: Site) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}/api/v2/dags", timeout=10)
    refused.value.close()
    assert refused.value.code == 401
    with pytest.raises(urllib.error.HTTPError) as refused:
        Client(url, USER, password(site) + "x").call("GET", "dags")
    refused.value.close()
    assert refused.value.code == 401


def _check_unknown_values_are_refused(client: Client) -> None:
    for conf in ({"first_tier": "huge"}, {"team": "nobody"}, {"limit": 0}, {"reprocess": "everything"}):
        with pytest.raises(AirflowFailed, match="answered 400"):
            client.trigger("skill.tag-document", conf)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_leaves_nothing_running(project: Path, number: signal.Signals) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "skillyard.local.demo"], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert demo.stdout is not None
    last_words = "is healthy" if number == signal.SIGINT else "starting Airflow"
    seen = ""
    while last_words not in seen:
        seen = demo.stdout.readline()
        assert seen, "the demo ended by itself"
    time.sleep(2)
    demo.send_signal(number)
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 128 + number, rest
    assert processes_of(project) == []
    assert not (project / ".skillyard" / "airflow" / "running.json").exists()


def test_up_says_who_is_in_the_way_when_the_port_is_taken(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(up, "PORT", other.getsockname()[1])
        with pytest.raises(AirflowFailed, match=rf"port {up.PORT} of 127.0.0.1 is taken"):
            up.up()
    assert processes_of(project) == []


def test_two_at_once_are_refused(project: Path) -> None:
    with up.alone(Site.of(Settings.from_env())), pytest.raises(AirflowFailed, match="is at work"):
        up.down()


def test_a_wrong_profile_is_told_before_anything_starts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLYARD_PROFILE", "opennai")
    with pytest.raises(UnknownName, match="Did you mean 'openai'"):
        up.up()
    assert processes_of(project) == []


def test_setup_without_an_airflow_says_what_to_do(project: Path) -> None:
    with pytest.raises(AirflowFailed, match="make up"):
        setup()


@pytest.mark.timeout(300)
def test_setup_by_the_command_line_needs_no_running_airflow(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"DAGS_FOLDER": ROOT / "dags", "PLUGINS_FOLDER": ROOT / "plugins", "LOAD_EXAMPLES": "False"}.items():
        monkeypatch.setenv(f"AIRFLOW__CORE__{name}", str(value))
    monkeypatch.setenv("AIRFLOW_HOME", str(project / "airflow"))
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    setup()
    assert "skill.tag-document" in capsys.readouterr().out
    pools = _airflow("pools", "list", "--output", "plain")
    assert re.search(r"^lane_fast +2 ", pools, re.MULTILINE) and re.search(r"^parse +1 ", pools, re.MULTILINE)
    paused = dict(
        re.findall(
            r"^(\S+)\s.*\b(True|False)\b", _airflow("dags", "list", "--columns", "dag_id,is_paused", "--output", "plain"), re.MULTILINE
        )
    )
    assert paused["skill.tag-document"] == paused["ingest_documents"] == "False"


def _airflow(*arguments: str) -> str:
    return subprocess.run([sys.executable, "-m", "airflow", *arguments], check=True, capture_output=True, text=True).stdout
