"""A small client of Airflow's REST API: what the local commands ask of it, no more."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

from skillyard.errors import AirflowFailed, StorageError

FINAL = frozenset({"success", "failed"})
TASK_FINAL = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class AirflowUnreachable(StorageError):
    """The API server did not answer this time."""


@dataclass(frozen=True, slots=True)
class Run:
    """One DAG run as the API shows it."""

    dag_id: str
    run_id: str
    state: str
    is_from_asset: bool
    started_at: datetime | None

    @property
    def is_over(self) -> bool:
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class TaskState:
    """One task instance; ``map_index`` is -1 for a task that is not mapped."""

    task_id: str
    map_index: int
    state: str
    try_number: int


class Client:
    """Talks to one Airflow; logs in on first use and again when the token has expired."""

    def __init__(self, url: str, user: str, password: str, timeout_s: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._login = {"username": user, "password": password}
        self._timeout_s = timeout_s
        self._token: str | None = None
        self._opener = build_opener(ProxyHandler({}))

    def call(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """Send one request below ``/api/v2`` and return the decoded answer; 401 logs in again once."""
        text = urlencode({k: v for k, v in query.items() if v is not None}, doseq=True)
        address = f"{self.url}/api/v2/{path}" + (f"?{text}" if text else "")
        for attempt in (1, 2):
            self._token = self._token or self._send("POST", f"{self.url}/auth/token", self._login, None)["access_token"]
            try:
                return self._send(method, address, body, self._token)
            except HTTPError as error:
                if error.code != 401 or attempt == 2:
                    raise AirflowFailed(f"Airflow answered {error.code} to {method} {path}: {_detail(error)}") from None
                self._token = None
        return None

    def dag_ids(self) -> dict[str, bool]:
        """Return every DAG with whether it is paused."""
        found: dict[str, bool] = {}
        while True:
            page = self.call("GET", "dags", limit=100, offset=len(found), order_by="dag_id", exclude_stale="true")
            found |= {dag["dag_id"]: bool(dag["is_paused"]) for dag in page["dags"]}
            if not page["dags"] or len(found) >= page["total_entries"]:
                return found

    def import_errors(self) -> dict[str, str]:
        """Return file → stack trace for every DAG file that cannot be loaded."""
        return {e["filename"]: e["stack_trace"] for e in self.call("GET", "importErrors", limit=100)["import_errors"]}

    def unpause(self, dag_id: str) -> None:
        """Let the DAG be scheduled."""
        self.call("PATCH", f"dags/{_q(dag_id)}", {"is_paused": False}, update_mask="is_paused")

    def set_pool(self, name: str, slots: int, description: str) -> None:
        """Create the pool or change its size."""
        body = {"slots": slots, "description": description, "include_deferred": False}
        known = {pool["name"] for pool in self.call("GET", "pools", limit=100)["pools"]}
        if name in known:
            mask = ["slots"] if name == "default_pool" else ["slots", "description"]  # Airflow keeps its own pool's description
            self.call("PATCH", f"pools/{_q(name)}", {"pool": name, **body}, update_mask=mask)
        else:
            self.call("POST", "pools", {"name": name, **body})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> Run:
        """Start a run by hand, with these parameters."""
        return _run(self.call("POST", f"dags/{_q(dag_id)}/dagRuns", {"conf": dict(conf or {}), "logical_date": None}))

    def announce(self, asset: str) -> None:
        """Send an Asset event by hand: the DAGs that follow the Asset start."""
        found = self.call("GET", "assets", name_pattern=asset, limit=100)["assets"]
        self.call("POST", "assets/events", {"asset_id": next(a["id"] for a in found if a["name"] == asset)})

    def run(self, dag_id: str, run_id: str) -> Run:
        """Return one run."""
        return _run(self.call("GET", f"dags/{_q(dag_id)}/dagRuns/{_q(run_id)}"))

    def runs(self, dag_id: str = "~", since: datetime | None = None, states: tuple[str, ...] = ()) -> list[Run]:
        """Return the newest runs of a DAG (``~``: of all), those queued since a moment or in some states."""
        page = self.call(
            "GET",
            f"dags/{dag_id if dag_id == '~' else _q(dag_id)}/dagRuns",
            limit=100,
            order_by="-run_after",
            run_after_gte=since.astimezone(UTC).isoformat() if since else None,
            state=list(states) or None,
        )
        return [_run(one) for one in page["dag_runs"]]

    def tasks(self, run: Run) -> list[TaskState]:
        """Return the task instances of a run, mapped ones each."""
        found: list[TaskState] = []
        while True:
            page = self.call("GET", f"dags/{_q(run.dag_id)}/dagRuns/{_q(run.run_id)}/taskInstances", limit=100, offset=len(found))
            found += [TaskState(t["task_id"], t["map_index"], t["state"] or "waiting", t["try_number"]) for t in page["task_instances"]]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def xcom(self, run: Run, task_id: str, key: str = "return_value") -> Any:
        """Return what a task handed on, or None."""
        address = f"dags/{_q(run.dag_id)}/dagRuns/{_q(run.run_id)}/taskInstances/{_q(task_id)}/xcomEntries"
        entries = self.call("GET", address, limit=100)["xcom_entries"]
        if key not in {entry["key"] for entry in entries}:
            return None
        return self.call("GET", f"{address}/{_q(key)}", deserialize="false", stringify="false")["value"]

    def log_tail(self, run: Run, task: TaskState, n_lines: int = 20) -> list[str]:
        """Return the last lines of a task's newest attempt, errors with their message."""
        address = f"dags/{_q(run.dag_id)}/dagRuns/{_q(run.run_id)}/taskInstances/{_q(task.task_id)}/logs/{max(task.try_number, 1)}"
        content = self.call("GET", address, full_content="true", map_index=task.map_index).get("content") or []
        return [line for entry in content for line in _log_lines(entry)][-n_lines:]

    def _send(self, method: str, address: str, body: object, token: str | None) -> Any:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        try:
            with self._opener.open(Request(address, data, headers, method=method), timeout=self._timeout_s) as answer:
                text = answer.read()
        except HTTPError:
            raise
        except (URLError, OSError) as error:
            raise AirflowUnreachable(f"no answer from Airflow at {self.url}: {error}. Is it still running?") from error
        return json.loads(text) if text else None


def _run(value: Mapping[str, Any]) -> Run:
    started = value.get("start_date")
    return Run(
        value["dag_id"],
        value["dag_run_id"],
        value["state"],
        value.get("run_type") == "asset_triggered",
        datetime.fromisoformat(started) if started else None,
    )


def _log_lines(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    lines = [str(entry.get("event", ""))]
    errors = entry.get("error_detail") or []
    if errors:  # the outermost repeats its cause
        lines.append(f"{errors[0].get('exc_type')}: {errors[0].get('exc_value')}")
    return [line for line in lines if line and not line.startswith("::")]


def _detail(error: HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        detail = json.loads(text).get("detail", text)
    except (ValueError, AttributeError):
        detail = text
    return str(detail)[:500]


def _q(part: str) -> str:
    return quote(part, safe="")
