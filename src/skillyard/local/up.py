"""``make up`` and ``make down``: the local Airflow stays, with its UI on loopback."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from skillyard.errors import AirflowFailed
from skillyard.local import process
from skillyard.local.client import Client
from skillyard.local.config import HOST, USER, Site, password
from skillyard.local.process import Running, Say
from skillyard.local.setup import apply, wanted
from skillyard.settings import Settings

PORT = 8080


def up() -> None:
    """Start Airflow on http://127.0.0.1:8080 unless it runs already, and print the login."""
    settings = Settings.from_env()
    site = Site.of(settings)
    with alone(site), process.stopping_on_signals():
        running = process.find(site)
        if running is None:
            wanted(settings)  # a setting that is not right is told before anything starts
            process.stop(site)
            if process.is_port_taken(PORT):
                raise AirflowFailed(f"port {PORT} of {HOST} is taken by another program: stop that one first (who it is: `ss -ltnp`).")
            running = start_ready(site, PORT, settings, _say)
            print("Airflow is up.")
        else:
            print("Airflow is already up.")
            apply(Client(running.url, USER, password(site)), wanted(settings))
    print(f"  {running.url}\n  user {USER}, password {password(site)}\n  stop it with: make down")


def down() -> None:
    """Stop what ``up`` started, running tasks included: what they had paid for is kept."""
    site = Site.of(Settings.from_env())
    if not site.airflow_home.exists():
        print("Airflow is not running.")
        return
    with alone(site):
        print("Airflow is stopped." if process.stop(site) else "Airflow is not running.")


def status() -> Running | None:
    """Return the Airflow that runs here, if one does."""
    return process.find(Site.of(Settings.from_env()))


def start_ready(site: Site, port: int, settings: Settings, say: Say) -> Running:
    """Start Airflow with its pools made and its DAGs unpaused; on any failure nothing is left running."""
    running = process.start(site, port, say)
    try:
        apply(Client(running.url, USER, password(site)), wanted(settings))
    except BaseException:
        process.stop(site)
        raise
    return running


@contextmanager
def alone(site: Site) -> Iterator[None]:
    """Hold the site against every other ``up``, ``down`` and ``demo``; the lock ends with this process, however it ends."""
    site.airflow_home.mkdir(parents=True, exist_ok=True)
    with (site.airflow_home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AirflowFailed(f"another `make up`, `make down` or `make demo` is at work in {site.airflow_home}: wait for it.") from None
        yield


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    import sys

    {"up": up, "down": down}[sys.argv[1] if len(sys.argv) > 1 else "up"]()
