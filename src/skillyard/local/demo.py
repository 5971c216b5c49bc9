"""``make demo``: the main job on the samples through a real scheduler, from documents to the bill."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

from skillyard.errors import AirflowFailed, SkillyardError
from skillyard.local import process
from skillyard.local.client import Client, Run
from skillyard.local.config import USER, Site, password
from skillyard.local.setup import apply, wanted
from skillyard.local.up import alone, start_ready
from skillyard.local.watch import Watch, explain_failure
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from skillyard.skills.enabled import load_enabled

SETTLE_S = 4.0
"""How long no new run may appear after the last one ended, where skills follow each other: Airflow takes two rounds to notice."""


def demo() -> int:
    """Ingest the samples, let the enabled skills follow, attribute the cost, print the report; return the exit code."""
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {line}", flush=True)

    try:
        settings = Settings.from_env()
        with process.stopping_on_signals(), airflow(settings, say) as client:
            failures = run_main_job(settings, client, say)
        print(report(settings))
    except SkillyardError as error:
        print(f"\nmake demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; nothing is left running. Run it again: it goes on from what is on the lake.", file=sys.stderr)
        return 130
    for failure in failures:
        print(f"\nmake demo failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


@contextmanager
def airflow(settings: Settings, say: process.Say) -> Iterator[Client]:
    """Lend the Airflow that ``make up`` left running, or one of its own on a free port that is stopped afterwards."""
    site = Site.of(settings)
    with ExitStack() as hold:
        hold.enter_context(alone(site))
        running = process.find(site)
        if running is None:
            process.stop(site)
            try:
                running = start_ready(site, process.free_port(), settings, say)
                yield Client(running.url, USER, password(site))
            finally:
                if process.stop(site):
                    say("Airflow is stopped")
            return
        if running.variables != dict(site.variables):
            raise AirflowFailed("the Airflow that is up was started with other SKILLYARD_* settings: run `make down`, then try again.")
        say(f"using the Airflow that is up at {running.url}")
    client = Client(running.url, USER, password(site))
    apply(client, wanted(settings))
    yield client


def run_main_job(settings: Settings, client: Client, say: process.Say) -> list[str]:
    """Run ingestion, the skills that follow it and the attribution; return why each run that failed did."""
    watch = Watch(client, datetime.now(UTC) - timedelta(seconds=1), say)
    logs = str(Site.of(settings).airflow_home / "logs")
    say(f"ingest_documents: {settings.inbox}")
    ingestion = _run(client, watch, "ingest_documents")
    if ingestion.state == "failed":
        raise AirflowFailed(explain_failure(client, ingestion, logs))
    published = client.xcom(ingestion, "publish")
    if published and published["n_new"]:
        _follow(settings, watch)
    elif pending := pending_skills(settings):
        say(f"no new documents, but items are pending from before: {', '.join(pending)}")
        client.announce("documents")
        _follow(settings, watch)
    else:
        watch.until(lambda: not watch.open_runs())
        say("no new documents and nothing pending: no skill has anything to do")
    say("cost_attribution")
    _run(client, watch, "cost_attribution")
    return [explain_failure(client, run, logs) for run in watch.failed_runs()]


def pending_skills(settings: Settings) -> list[str]:
    """Return the enabled skills that would find something to do if they followed new documents now."""
    from skillyard.running.plan import plan_run
    from skillyard.running.runs import PlanRequest

    names = load_enabled(settings.enabled)
    return [n for n in names if not plan_run(settings, PlanRequest(n, "demo", is_following=True, is_dry_run=True)).is_empty]


def report(settings: Settings) -> str:
    """Return the report of everything on the lake."""
    from skillyard.local.report import build_report, render

    return render(build_report(settings))


def _run(client: Client, watch: Watch, dag_id: str) -> Run:
    """Trigger a DAG and wait for that run."""
    triggered = client.trigger(dag_id)
    key = (triggered.dag_id, triggered.run_id)
    watch.until(lambda: key in watch.seen and watch.seen[key].is_over)
    return watch.seen[key]


def _follow(settings: Settings, watch: Watch) -> None:
    """Wait until every enabled skill has followed, and those that follow another skill's results too."""
    catalogue = Catalogue(settings.include)
    names = load_enabled(settings.enabled, catalogue.names())
    expected = {f"skill.{name}" for name in names}
    settle_s = SETTLE_S if any(catalogue.load(name).sources for name in names) else 0.0
    quiet_since: list[float] = []

    def is_over() -> bool:
        if watch.open_runs() or not expected <= {run.dag_id for run in watch.seen.values() if run.is_from_asset}:
            quiet_since.clear()
            return False
        quiet_since.append(time.monotonic())
        return quiet_since[-1] - quiet_since[0] >= settle_s

    watch.until(is_over)


if __name__ == "__main__":
    raise SystemExit(demo())
