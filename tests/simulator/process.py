"""The simulator as a process of its own, for fixtures and benches."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import Request, urlopen

_ROOT = Path(__file__).resolve().parents[2]


class Simulator:
    """A simulator that runs from ``start`` to ``stop``, and no longer than the process that started it."""

    def __init__(self, config: Mapping[str, Any] | None = None, *, port: int = 0, bill_file: Path | None = None) -> None:
        self._config, self._port, self._bill_file = dict(config or {}), port, bill_file
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        """The API base, ending in /v1, once started."""

    def start(self) -> Self:
        """Start the process and wait for its address: the one it had before, after a stop."""
        command = [sys.executable, "-m", "tests.simulator", "--stop-at-eof", "--port", str(self._port)]
        command += ["--config", json.dumps(self._config)]
        if self._bill_file is not None:
            command += ["--bill", str(self._bill_file)]
        self._process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator ended with {self._process.wait()} before it was ready")
        ready = json.loads(line)
        self.url, self._port = ready["url"], ready["port"]
        return self

    def stop(self) -> None:
        """End the process; a bill file has the final bill then."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        process.wait(timeout=10)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def configure(self, **changes: Any) -> None:
        """Replace keys of the configuration: latency, faults, wrong, models, rules, batch, seed …"""
        self._ask("POST", "/configure", changes)

    def configure_cost_reports(self, **oddities: Any) -> None:
        """Set how the cost reports differ from the bill, anew: day, lines, dearer, places, extra, key, buckets, busy, retry_after_s."""
        self._ask("POST", "/cost-reports", oddities)

    def reset(self) -> None:
        """Forget all calls, counts, files, batches and the bill; the configuration stays, rules count anew."""
        self._ask("POST", "/reset", {})

    def bill(self) -> dict[str, Any]:
        """Return what it would invoice: total_usd, by_model and lines, amounts as text with 12 places."""
        return self._ask("GET", "/bill")  # type: ignore[no-any-return]

    def save_bill(self) -> None:
        """Write the bill to the bill file now."""
        self._ask("POST", "/bill/save", {})

    def calls(self) -> list[dict[str, Any]]:
        """Return every request to a model, in order: request_id, call_id, lane, model, fault, is_billed, max_tokens (and body when kept).

        ``at`` and ``answered_at`` are its times in seconds of the epoch; a batch's row is there once it is done.
        """
        return self._ask("GET", "/calls")  # type: ignore[no-any-return]

    def stats(self) -> dict[str, Any]:
        """Return n_requests, n_in_flight, in_flight_peak, by_model, by_fault, by_operation and cpu_s of the process.

        in_flight_peak_by_model counts the live requests taken, also while they wait; over_limit_by_model those refused for a limit.
        """
        return self._ask("GET", "/stats")  # type: ignore[no-any-return]

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url.removesuffix("/v1") + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urlopen(request, timeout=30) as response:
                return json.load(response)
        except OSError as error:
            detail = error.read().decode() if hasattr(error, "read") else str(error)
            raise RuntimeError(f"the simulator did not do {method} {path}: {detail}") from error
