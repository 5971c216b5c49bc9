"""From the start of a lane's task to its first request at the provider, through a real scheduler, and where that time goes.

A run of a few documents, several times, after one that is not counted. The start is what Airflow's API says, the arrival what the
provider simulator says; between them stand the task's own log (its DAG file is loaded) and the ledger (the request is committed as sent).
"""

import os
import sys
import tempfile
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from pathlib import Path
from statistics import median
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sqlalchemy import func, select

from bench.figures import Figure, parser, report
from bench.throughput import SKILL, settings_in, simulator_variables, wait
from skillyard.gateway.state import ATTEMPTS, open_state
from skillyard.local import client, config, process, setup
from skillyard.settings import Settings
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

GOAL_S = 1.5
N_DOCUMENTS = 20
LANE = "lane_fast"
DAG_LOADED = "Worker startup parse complete"
"""What Airflow writes to a task's log when its DAG file is loaded."""


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds of one task's start, part by part."""

    load: float
    """Until its DAG file is loaded in the forked process."""
    prepare: float
    """Until the first attempt stands in the ledger: plan, shard, profile, prices, budgets, state store."""
    leave: float
    """Until the request has arrived: litellm's first call and a new connection."""

    @property
    def total(self) -> float:
        """From start to arrival."""
        return self.load + self.prepare + self.leave


def main() -> int:
    """Measure and report; 1 when a start takes too long."""
    options = parser(__doc__).parse_args()
    n_runs = 3 if options.quick else 10
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, Simulator({"latency": {"kind": "fixed", "ms": 50}}) as simulator:
        starts = measure(Path(folder), simulator, n_runs)
    totals = sorted(start.total for start in starts)
    figures = [
        Figure("task start to first request, median", median(totals), "s", f"<= {GOAL_S}", median(totals) <= GOAL_S),
        Figure("task start to first request, longest", totals[-1], "s"),
    ]
    words = {"load": "fork, DAG file", "prepare": "prepare, first ledger row", "leave": "litellm's first call"}
    figures += [Figure(f"  {words[f.name]}", median(getattr(start, f.name) for start in starts), "s") for f in fields(Start)]
    workload = f"{n_runs} runs of {N_DOCUMENTS} documents, {SKILL}, warm; load average before {before:.1f}"
    return report(figures, workload, options.json)


def measure(folder: Path, simulator: Simulator, n_runs: int) -> list[Start]:
    """Return the starts of one lane task a run."""
    os.environ |= simulator_variables(simulator.url)
    settings = settings_in(folder, "task_start", 1)
    names = [f"run-{number:02d}" for number in range(n_runs + 1)]
    texts = iter(mails(N_DOCUMENTS * len(names)).items())
    publish_texts(settings, {f"{name}/{mail}": text for name in names for mail, text in islice(texts, N_DOCUMENTS)})
    variables = config.Site.of(settings).variables | simulator_variables(simulator.url)
    site = config.Site(folder / "airflow_home", ROOT / "dags", ROOT / "plugins", variables)
    running = process.start(site, process.free_port(), lambda line: print(line, file=sys.stderr))
    try:
        airflow = client.Client(running.url, config.USER, config.password(site))
        setup.apply(airflow, setup.Wanted(setup.wanted(settings).pools, (f"skill.{SKILL}",)))
        starts = [start_of(airflow, settings, simulator, name) for name in names]
    finally:
        process.stop(site)
    return starts[1:]


def start_of(airflow: client.Client, settings: Settings, simulator: Simulator, prefix: str) -> Start:
    """Run one folder's documents and return how their task started."""
    simulator.reset()
    run = wait(airflow, airflow.trigger(f"skill.{SKILL}", {"prefix": f"{prefix}/"}))
    if run.state != "success":
        raise SystemExit(f"the run ended {run.state}: " + ", ".join(f"{t.task_id} {t.state}" for t in airflow.tasks(run)))
    path = f"dags/skill.{SKILL}/dagRuns/{quote(run.run_id)}/taskInstances"
    (task,) = (t for t in airflow.call("GET", path, limit=100)["task_instances"] if t["task_id"] == LANE)
    log = airflow.call("GET", f"{path}/{LANE}/logs/1", full_content="true", map_index=task["map_index"])["content"]
    started = datetime.fromisoformat(task["start_date"])
    loaded = next(datetime.fromisoformat(line["timestamp"]) for line in log if line.get("event") == DAG_LOADED)
    first = select(func.min(ATTEMPTS.c.sent_at)).where(ATTEMPTS.c.run_id.contains(run.run_id))
    with open_state(settings.state).connect() as connection:
        sent = connection.execute(first).scalar_one()
    arrived = min(call["at"] for call in simulator.calls())
    return Start((loaded - started).total_seconds(), (sent - loaded).total_seconds(), arrived - sent.timestamp())


if __name__ == "__main__":
    sys.exit(main())
