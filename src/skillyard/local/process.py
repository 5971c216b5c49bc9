"""Start and stop the components of the local Airflow (Linux).

Every component leads a session of its own, so that everything it has started is found when it has to stop.
"""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from skillyard.errors import AirflowFailed
from skillyard.local.config import HOST, Site, environment, private, write_config
from skillyard.local.sessions import Leader, gone_within, is_alive, is_ours, members, send, status_of

Say = Callable[[str], None]

COMPONENTS = {
    # The API server reads the task logs from the same folder, so nothing needs the two log servers (ports 8793 and 8794):
    # Airflow 3.3 can only bind them to every address.
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}
"""Those that this very process started: it has to collect them when they end."""
HEALTH_NAMES = ("metadatabase", "scheduler", "dag_processor", "triggerer")


@dataclass(frozen=True, slots=True)
class Running:
    """One running Airflow, as ``running.json`` remembers it."""

    port: int
    leaders: dict[str, Leader]
    variables: dict[str, str]
    """The engine's variables that its tasks see."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def start(site: Site, port: int, say: Say) -> Running:
    """Start every component on loopback and return once all report healthy; on any failure nothing is left running."""
    write_config(site, port)
    began = time.monotonic()
    _migrate(site, say)
    say("starting Airflow: API server, scheduler, DAG processor, triggerer")
    leaders: dict[str, Leader] = {}
    running = Running(port, leaders, dict(site.variables))
    try:
        with _uninterrupted():  # one that is started and not remembered would be left behind
            for name, arguments in COMPONENTS.items():
                leaders[name] = _launch(site, name, arguments)
                _remember(site, running)
        _wait_healthy(site, running, say)
    except BaseException:
        stop(site)
        raise
    say(f"Airflow is ready after {time.monotonic() - began:.0f} s at {running.url}")
    return running


def find(site: Site) -> Running | None:
    """Return the Airflow of this site if all its components are alive."""
    running = _recall(site)
    return running if running and all(is_alive(leader) for leader in running.leaders.values()) else None


def stop(site: Site, patience_s: float = 3.0) -> int:
    """Stop everything that ``start`` started here, tasks included; return how many processes there were.

    Asked alone, the scheduler waits for running tasks and the triggerer for 30 s, hence the three steps. A task that is
    stopped is retried by the next Airflow, and what it has paid for is in the state store.
    """
    running = _recall(site)
    if running is None:
        return 0
    with _uninterrupted():
        sessions = [leader for leader in running.leaders.values() if is_ours(leader)]
        n_processes = len(members(sessions))
        send((leader.pid for leader in sessions), signal.SIGTERM)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if gone_within(sessions, patience_s):
                break
            send(members(sessions), number)
        gone_within(sessions, patience_s)
        for leader in sessions:
            if child := _CHILDREN.pop(leader.pid, None):
                child.wait()
        (site.airflow_home / "running.json").unlink(missing_ok=True)
    return n_processes


def log_path(site: Site, component: str) -> Path:
    """Return the file that holds a component's own output."""
    return site.airflow_home / "logs" / "components" / f"{component}.log"


def free_port() -> int:
    """Return a port of the loopback interface that nothing uses at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_port_taken(port: int) -> bool:
    """Say whether something else listens on the port, on loopback or on every address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Turn SIGTERM and a closed terminal into an exception, so that what was started is stopped on the way out."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _migrate(site: Site, say: Say) -> None:
    """Create or upgrade Airflow's own database, once per Airflow version."""
    from importlib.metadata import version

    stamp = site.airflow_home / f".migrated-{version('apache-airflow')}"
    if stamp.exists() and (site.airflow_home / "airflow.db").exists():
        return
    say("creating Airflow's database (the first time only)")
    log = log_path(site, "migrate")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        code = subprocess.run(
            _command("db", "migrate"), env=environment(site), stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    if code:
        raise AirflowFailed(f"`airflow db migrate` ended with {code}; its log {log} ends with:\n{tail(log)}")
    stamp.touch()


def _launch(site: Site, name: str, arguments: Iterable[str]) -> Leader:
    log = log_path(site, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        shutil.move(log, log.with_suffix(".previous.log"))
    with log.open("w") as output:
        process = subprocess.Popen(
            _command(*arguments),
            env=environment(site),
            cwd=site.airflow_home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _CHILDREN[process.pid] = process
    status = status_of(process.pid)
    return Leader(process.pid, status.started_ticks if status else 0)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *arguments]


def _wait_healthy(site: Site, running: Running, say: Say, timeout_s: float = 240.0) -> None:
    deadline = time.monotonic() + timeout_s
    seen: set[str] = set()
    while seen != set(HEALTH_NAMES):
        for name, leader in running.leaders.items():
            if not is_alive(leader):
                raise AirflowFailed(f"Airflow's {name} stopped; its log {log_path(site, name)} ends with:\n{tail(log_path(site, name))}")
        if time.monotonic() > deadline:
            missing = ", ".join(sorted(set(HEALTH_NAMES) - seen))
            raise AirflowFailed(
                f"Airflow is not healthy after {timeout_s:.0f} s: {missing}. Look into {log_path(site, 'scheduler').parent}."
            )
        healthy = _healthy(running.url)
        for name in sorted(healthy - seen):
            say(f"  {name.replace('_', ' ')} is healthy")
        seen |= healthy
        time.sleep(0.5)


def _healthy(url: str) -> set[str]:
    try:
        with build_opener(ProxyHandler({})).open(f"{url}/api/v2/monitor/health", timeout=5) as answer:
            health = json.load(answer)
    except (URLError, OSError, ValueError):
        return set()
    return {name for name in HEALTH_NAMES if (health.get(name) or {}).get("status") == "healthy"}


def tail(path: Path, n_lines: int = 15) -> str:
    """Return the last lines of a log file."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-n_lines:]) if path.exists() else "(no log)"


def _remember(site: Site, running: Running) -> None:
    with private(site.airflow_home / "running.json") as file:
        json.dump(asdict(running), file)


def _recall(site: Site) -> Running | None:
    path = site.airflow_home / "running.json"
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    return Running(kept["port"], {name: Leader(**leader) for name, leader in kept["leaders"].items()}, kept["variables"])


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let no Ctrl-C cut a few seconds of work short that has to be done as a whole."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
