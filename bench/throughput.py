"""Documents per second of one LLM skill through the real scheduler, beside a bare asyncio loop over litellm with the same concurrency.

Both ask the provider simulator the same requests at the same latency. The bare loop keeps nothing: no ledger, no store, no checks,
no tables. The engine without Airflow, in one process, is measured as well. What Airflow adds is the time in which none of the
run's tasks ran. Nobody's start is counted: not the imports of the other two, nor Airflow's and its first, empty, run.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.figures import Figure, parser, report
from skillyard.local import client, config, process, setup
from skillyard.settings import Settings
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL = "tag-document"
CONCURRENCY = 128
LATENCY_MS = 200
N_LANES = 2
"""Lane tasks at once: one a core."""


def main() -> int:
    """Measure and report; 1 when ours is below half of the bare loop. Quick, the fixed costs weigh too much for that to be judged."""
    options = parser(__doc__).parse_args()
    n = 400 if options.quick else 2000
    with tempfile.TemporaryDirectory() as folder, Simulator({"latency": {"kind": "fixed", "ms": LATENCY_MS}}) as simulator:
        bare_s = run_child("bare", Path(folder), simulator, n)
        engine_s = run_child("engine", Path(folder), simulator, n)
        airflow_s, idle_s, n_calls = measure_airflow(Path(folder), simulator, n)
    figures = [
        Figure("bare litellm loop", n / bare_s, "documents/s"),
        Figure("engine without Airflow", n / engine_s, "documents/s"),
        Figure("through the scheduler", n / airflow_s, "documents/s"),
        Figure("scheduler / bare", bare_s / airflow_s, "ratio", ">= 0.5", None if options.quick else bare_s / airflow_s >= 0.5),
        Figure("engine / bare", bare_s / engine_s, "ratio"),
        Figure("added by Airflow", idle_s, "s"),
        Figure("calls per document", n_calls / n, "calls", "= 1", n_calls == n),
    ]
    workload = f"{n} documents, {SKILL}, simulator at {LATENCY_MS} ms, {CONCURRENCY} requests in flight"
    return report(figures, workload, options.json)


def settings_in(folder: Path, name: str, n_processes: int) -> Settings:
    """Return an installation of its own with the simulator's profile; its processes together have CONCURRENCY requests in flight."""
    own = folder / name
    (own / "inbox").mkdir(parents=True)
    text = (ROOT / "tests" / "simulator" / "profile.yaml").read_text()
    (own / "profile.yaml").write_text(text.replace("concurrency: 256", f"concurrency: {CONCURRENCY // n_processes}"))
    (own / "prices.csv").write_text((ROOT / "tests" / "simulator" / "prices.csv").read_text())
    teams = shutil.copytree(ROOT / "include", own / "include") / "teams.yaml"
    teams.write_text(teams.read_text().replace('approval_above_usd: "5"', 'approval_above_usd: "1000"'))  # nobody is there to approve
    return Settings.from_env(
        {
            "SKILLYARD_HOME": str(ROOT),
            "SKILLYARD_INCLUDE": str(own / "include"),
            "SKILLYARD_LAKE": str(own / "lake"),
            "SKILLYARD_INBOX": str(own / "inbox"),
            "SKILLYARD_STATE": f"sqlite:///{own / 'state.db'}",
            "SKILLYARD_PROFILE": str(own / "profile.yaml"),
        }
    )


def run_child(mode: str, folder: Path, simulator: Simulator, n: int) -> float:
    """Measure in a fresh process, imports not counted; return seconds."""
    simulator.reset()
    done = subprocess.run(
        [sys.executable, __file__, mode, str(folder), simulator.url, str(n)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"the {mode} run failed:\n{done.stderr}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def measure_bare(url: str, n: int) -> float:
    """Ask for every document with nothing around it."""
    import litellm

    from skillyard.skills import Catalogue, Source

    litellm.suppress_debug_info = True
    skill = Catalogue(ROOT / "include").load(SKILL)
    waiting = iter(mails(n).values())

    async def work() -> None:
        for text in waiting:
            await litellm.acompletion(
                model="openai/sim-fast",
                messages=skill.messages(Source(text)),
                api_base=url,
                api_key="sk-simulated",
                max_tokens=skill.limits.output_tokens,
                response_format={"type": "json_schema", "json_schema": {"name": SKILL, "schema": skill.output_schema, "strict": True}},
                num_retries=0,
                max_retries=0,
            )

    async def everything() -> None:
        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))

    began = time.monotonic()
    asyncio.run(everything())
    return time.monotonic() - began


def measure_engine(settings: Settings, n: int) -> float:
    """Run the skill in this process: plan, route, answer, publish."""
    import great_expectations  # noqa: F401  (loaded before the clock starts, as Airflow's workers have it)

    from skillyard.gateway import transport  # noqa: F401
    from skillyard.running.pipeline import run_skill
    from skillyard.running.plan import plan_run
    from skillyard.running.runs import PlanRequest

    publish_texts(settings, mails(n))
    began = time.monotonic()
    run_skill(settings, plan_run(settings, PlanRequest(SKILL, "bench")), lambda _: None)
    return time.monotonic() - began


def measure_airflow(folder: Path, simulator: Simulator, n: int) -> tuple[float, float, int]:
    """Trigger the skill's DAG in a running Airflow; return seconds to the end of the run, those in which no task ran, and the calls."""
    os.environ |= simulator_variables(simulator.url)
    settings = settings_in(folder, "airflow", N_LANES)
    publish_texts(settings, mails(n))
    site = config.Site(
        folder / "airflow_home", ROOT / "dags", ROOT / "plugins", config.Site.of(settings).variables | simulator_variables(simulator.url)
    )
    running = process.start(site, process.free_port(), lambda line: print(line, file=sys.stderr))
    try:
        airflow = client.Client(running.url, config.USER, config.password(site))
        setup.apply(airflow, setup.Wanted(setup.wanted(settings).pools, (f"skill.{SKILL}",)))
        wait(airflow, airflow.trigger(f"skill.{SKILL}", {"prefix": "nothing/"}))  # a new API server takes seconds for its first task
        simulator.reset()
        began = time.monotonic()
        run = wait(airflow, airflow.trigger(f"skill.{SKILL}", {"shard_items": n // N_LANES}))
        took = time.monotonic() - began
        if run.state != "success":
            raise SystemExit(f"the run ended {run.state}: " + ", ".join(f"{t.task_id} {t.state}" for t in airflow.tasks(run)))
        path = f"dags/skill.{SKILL}/dagRuns/{quote(run.run_id)}/taskInstances"
        return took, took - busy_s(airflow.call("GET", path, limit=100)["task_instances"]), len(simulator.calls())
    finally:
        process.stop(site)


def wait(airflow: client.Client, run: client.Run) -> client.Run:
    """Return a run when it is over."""
    while not (run := airflow.run(run.dag_id, run.run_id)).is_over:
        time.sleep(0.2)
    return run


def busy_s(tasks: list[dict[str, Any]]) -> float:
    """Return the seconds in which at least one task instance was running."""
    spans = sorted((datetime.fromisoformat(t["start_date"]), datetime.fromisoformat(t["end_date"])) for t in tasks if t["start_date"])
    total, until = 0.0, spans[0][0]
    for start, end in spans:
        total += max(0.0, (end - max(start, until)).total_seconds())
        until = max(until, end)
    return total


def simulator_variables(url: str) -> dict[str, str]:
    """Return what the simulator's profile reads from the environment."""
    return {"SIMULATOR_URL": url, "SIMULATOR_KEY": "sk-simulated"}


if __name__ == "__main__":
    if len(sys.argv) > 4 and sys.argv[1] in ("bare", "engine"):
        mode, folder, url, n = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
        os.environ |= simulator_variables(url) | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "GX_ANALYTICS_ENABLED": "false"}
        if mode == "bare":
            print(measure_bare(url, n))
        else:
            settings = settings_in(folder, "engine", 1)
            print(measure_engine(settings, n))
        sys.exit(0)
    sys.exit(main())
