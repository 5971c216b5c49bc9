"""Follow the runs of an Airflow to their end: a line per change of state, and a sign of life in between."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from skillyard.errors import AirflowFailed
from skillyard.local.client import TASK_FINAL, AirflowUnreachable, Client, Run
from skillyard.local.process import Say
from skillyard.local.setup import SCHEDULED

POLL_S = 1.5
HEARTBEAT_S = 15.0
STUCK_S = 900.0
ROUTINE = (
    "DAG bundles loaded",
    "Done. Returned",
    "Filling up the DagBag",
    "GitWildMatchPattern",
    "Task failed with exception",
    "Worker startup parse complete",
)
"""Lines of a task's log that explain nothing."""


@dataclass(slots=True)
class Watch:
    """What has been seen of the runs that began since a moment, those that were open then included."""

    client: Client
    since: datetime
    say: Say
    seen: dict[tuple[str, str], Run] = field(default_factory=dict)
    _told_at: float = field(default_factory=time.monotonic)
    _changed_at: float = field(default_factory=time.monotonic)

    def until(self, is_over: Callable[[], bool]) -> None:
        """Wait; AirflowFailed when nothing at all has changed for a quarter of an hour, or Airflow is gone."""
        n_silent = 0
        while True:
            try:
                self.look()
                n_silent = 0
            except AirflowUnreachable:
                n_silent += 1
                if n_silent > 10:
                    raise
            else:
                if is_over():
                    return
            if time.monotonic() - self._changed_at > STUCK_S:
                raise AirflowFailed(
                    f"nothing has changed for {STUCK_S / 60:.0f} minutes: {self._describe_open()}. Look into the scheduler's log."
                )
            if time.monotonic() - max(self._told_at, self._changed_at) > HEARTBEAT_S:
                self._told_at = time.monotonic()
                self.say(f"  … {self._describe_open()}")
            time.sleep(POLL_S)

    def look(self) -> None:
        """Ask for the runs once and tell what changed."""
        runs = self.client.runs(since=self.since) + self.client.runs(states=("queued", "running"))
        for run in sorted({(r.dag_id, r.run_id): r for r in runs}.values(), key=lambda r: (r.dag_id, r.run_id)):
            self._note(run)
        listed = {(r.dag_id, r.run_id) for r in runs}
        for key, run in list(self.seen.items()):
            if key not in listed and not run.is_over:
                self._note(self.client.run(*key))

    def open_runs(self) -> list[Run]:
        """Return the runs that are not over."""
        return [run for run in self.seen.values() if not run.is_over]

    def failed_runs(self) -> list[Run]:
        """Return the runs that failed."""
        return [run for run in self.seen.values() if run.state == "failed"]

    def _note(self, run: Run) -> None:
        before = self.seen.get((run.dag_id, run.run_id))
        self.seen[run.dag_id, run.run_id] = run
        if before is None or before.state != run.state:
            self._changed_at = time.monotonic()
            self.say(f"  {run.dag_id}: {run.state}" + (f" ({self._outcome(run)})" if run.is_over else ""))

    def _outcome(self, run: Run) -> str:
        """Return what a finished run says it did, by the counts its tasks handed on."""
        published = self.client.xcom(run, "publish") if run.dag_id not in SCHEDULED else None
        if published and run.state == "success":
            words = {name.removeprefix("n_"): n for name, n in published.items() if isinstance(n, int)}
            return ", ".join(f"{n} {name}" for name, n in words.items())
        tasks = self.client.tasks(run)
        if run.state == "failed":
            return ", ".join(sorted({t.task_id for t in tasks if t.state == "failed"}))
        n_skipped = sum(t.state == "skipped" for t in tasks)
        return "nothing was pending" if n_skipped else f"{len(tasks) - n_skipped} tasks"

    def _describe_open(self) -> str:
        counts = []
        for run in self.open_runs():
            tasks = self.client.tasks(run)
            counts.append(f"{run.dag_id.removeprefix('skill.')} {sum(t.state in TASK_FINAL for t in tasks)}/{len(tasks)}")
        return f"tasks done: {', '.join(counts)}" if counts else "waiting for Airflow to start the next run"


def explain_failure(client: Client, run: Run, logs: str) -> str:
    """Return why a run failed: its first failed task, the end of that task's log, and where the log is."""
    failed = [t for t in client.tasks(run) if t.state == "failed"]
    if not failed:
        return f"{run.dag_id} failed and none of its tasks did: look at the run {run.run_id}."
    order = {"discover": 0, "parse_shard": 1, "plan": 1, "route": 2, "publish": 8, "finish": 9}
    task = min(failed, key=lambda t: (order.get(t.task_id, 5), t.task_id, t.map_index))
    told = [line for line in client.log_tail(run, task, 40) if not line.startswith((logs, *ROUTINE))]
    lines = "\n".join(f"    {line}" for line in told[-6:])
    where = f"{logs}/dag_id={run.dag_id}/run_id={run.run_id}/task_id={task.task_id}"
    name = task.task_id + (f"[{task.map_index}]" if task.map_index >= 0 else "")
    return f"{run.dag_id} failed in {name}:\n{lines}\n  the whole log: {where}"
