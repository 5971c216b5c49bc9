"""A real Airflow for a test: its own state, the project's DAGs, stopped when the test ends.

    from tests.local.server import airflow_server    # the fixture

    @pytest.mark.timeout(400)
    def test_something(airflow_server, settings, simulator):
        server = airflow_server(settings)
        run = server.run("skill.tag-document", {"limit": 3})

Variables that the test has set before (``monkeypatch.setenv``) reach the tasks too.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skillyard.local import process
from skillyard.local.client import Client, Run
from skillyard.local.config import USER, Site, password
from skillyard.local.process import Running
from skillyard.local.setup import Wanted, apply, wanted
from skillyard.local.watch import explain_failure
from skillyard.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Server:
    """A running Airflow with its pools made, ingestion, attribution and the enabled skills unpaused."""

    site: Site
    running: Running
    client: Client

    def run(self, dag_id: str, conf: Mapping[str, Any] | None = None, timeout_s: float = 240.0) -> Run:
        """Trigger a DAG, unpaused if need be, and return its run when it is over."""
        self.client.unpause(dag_id)
        return self.wait(self.client.trigger(dag_id, conf), timeout_s)

    def wait(self, run: Run, timeout_s: float = 240.0) -> Run:
        """Return a run when it is over; TimeoutError with its tasks' states otherwise."""
        deadline = time.monotonic() + timeout_s
        while not (now := self.client.run(run.dag_id, run.run_id)).is_over:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{run.dag_id} is {now.state} after {timeout_s:.0f} s: {self.states(run)}")
            time.sleep(0.5)
        return now

    def states(self, run: Run) -> dict[str, str]:
        """Return state by task; a mapped task is named ``task[0]``."""
        tasks = self.client.tasks(run)
        return {t.task_id + (f"[{t.map_index}]" if t.map_index >= 0 else ""): t.state for t in tasks}

    def explain(self, run: Run) -> str:
        """Return why a run failed."""
        return explain_failure(self.client, run, str(self.site.airflow_home / "logs"))


@pytest.fixture
def airflow_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start an Airflow: ``airflow_server(settings, dags=…, VARIABLE="value")``."""
    sites: list[Site] = []

    def begin(settings: Settings, dags: Path = ROOT / "dags", target: Wanted | None = None, **variables: str) -> Server:
        site = Site(tmp_path / f"airflow-{len(sites)}", dags, ROOT / "plugins", Site.of(settings).variables | variables)
        sites.append(site)
        running = process.start(site, process.free_port(), print)
        client = Client(running.url, USER, password(site))
        apply(client, target or wanted(settings))
        return Server(site, running, client)

    yield begin
    for site in sites:
        process.stop(site)


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of the living processes that work in a folder or have a file of it open."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                links = [(entry / "cwd").resolve(), *(p.resolve() for p in (entry / "fd").iterdir())]
                if any(link.is_relative_to(folder) for link in links):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return found


def listening_addresses(pids: set[int]) -> list[tuple[str, int]]:
    """Return the addresses on which processes listen."""
    import psutil

    listening = []
    for pid in pids:
        try:
            connections = psutil.Process(pid).net_connections(kind="inet")
        except psutil.NoSuchProcess:
            continue
        listening += [(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN]
    return listening
