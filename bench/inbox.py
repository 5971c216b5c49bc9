"""Ingestion of many small documents from S3: memory of every process, and what a second look costs when 1 % has changed.

The store is moto's server with authentication, in a process of its own (``stocked_s3.py``).
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.figures import Figure
from bench.stocked_s3 import BUCKETS, key_of, text_of

N_DOCUMENTS, N_QUICK = 100_000, 3_000
MAX_RSS_MB = 600
SAMPLE_S = 0.2
START_S = 300


def inbox_figures(is_quick: bool) -> list[Figure]:
    """Ingest, change 1 %, ingest again, and once more with nothing new."""
    n = N_QUICK if is_quick else N_DOCUMENTS
    n_changed = n // 100
    with tempfile.TemporaryDirectory() as folder, _stocked(n) as access:
        env = _environment(Path(folder), access)
        first, first_mb = _run("first", env)
        _change(access, range(0, n, 100))
        second, second_mb = _run("second", env)
        third, third_mb = _run("third", env)
        listing_s = _bare_listing(env)
    touched = [second["report"][name] for name in ("n_planned", "n_documents", "n_pages")]
    peak_mb = max(first_mb, second_mb, third_mb)
    faster = first["total_s"] / second["total_s"]
    speed_goal, is_faster = ("", None) if is_quick else (">= 20", faster >= 20)
    return [
        Figure("first pass", first["total_s"], "s"),
        Figure("first pass: discover", first["discover_s"], "s"),
        Figure("first pass: parse", first["parse_s"], "s"),
        Figure("first pass: publish", first["publish_s"], "s"),
        Figure("first pass, all told", n / first["total_s"], "documents/s"),
        Figure("documents in the tables", first["report"]["n_documents"], "documents", f"= {n}", first["report"]["n_documents"] == n),
        Figure("peak RSS of any process", peak_mb, "MB", f"<= {MAX_RSS_MB}", peak_mb <= MAX_RSS_MB),
        Figure("second pass, 1 % changed", second["total_s"], "s"),
        Figure("second pass: rows it touched", touched[0], "documents", f"= {n_changed}", touched == [n_changed] * 3),
        Figure("first pass / second pass", faster, "times", speed_goal, is_faster),
        Figure("third pass, nothing new", third["total_s"], "s"),
        Figure("third pass: documents to read", third["report"]["n_planned"], "documents", "= 0", third["report"]["n_planned"] == 0),
        Figure("the listing alone, bare boto3", listing_s, "s"),
    ]


def run_pass(run_id: str) -> None:
    """Ingest as the command line does, and print how long each step took."""
    from skillyard.lake.validate import import_ahead
    from skillyard.running import ingest as steps
    from skillyard.settings import Settings

    settings = Settings.from_env()
    started = time.perf_counter()
    plan = steps.discover(settings, run_id, n_shards=1)
    discovered = time.perf_counter()
    if plan.shards:
        import_ahead()
    for shard in steps.ingest_shards(settings, plan.run_key):
        steps.parse_shard(settings, shard)
    parsed = time.perf_counter()
    report = steps.publish_documents(settings, plan.run_key)
    ended = time.perf_counter()
    names = ("n_planned", "n_documents", "n_pages", "n_duplicates")
    print(
        json.dumps(
            {
                "discover_s": discovered - started,
                "parse_s": parsed - discovered,
                "publish_s": ended - parsed,
                "report": {name: getattr(report, name) for name in names},
            }
        )
    )


def _run(run_id: str, env: dict[str, str]) -> tuple[dict[str, Any], float]:
    """Run a pass in a process of its own; return what it said, with its whole time, and the highest RSS of it and its workers in MB."""
    started, peaks_mb = time.perf_counter(), [0.0]
    with tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, "-c", f"from bench.inbox import run_pass; run_pass({run_id!r})"]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=said)
        while process.poll() is None:
            peaks_mb += [_peak_mb(pid) for pid in _tree(process.pid)]
            time.sleep(SAMPLE_S)
        total_s = time.perf_counter() - started
        said.seek(0)
        lines = said.read().splitlines()
    if process.returncode:
        raise RuntimeError(f"the {run_id} pass ended with {process.returncode}")
    return {**json.loads(lines[-1]), "total_s": total_s}, max(peaks_mb)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _tree(int(child))


def _peak_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0].split()[1]) / 1024 if found else 0.0


def _environment(folder: Path, access: dict[str, str]) -> dict[str, str]:
    inbox, lake = (f"s3://{bucket}" for bucket in BUCKETS)
    own = {"SKILLYARD_INBOX": f"{inbox}/mail", "SKILLYARD_LAKE": f"{lake}/lake", "SKILLYARD_STATE": f"sqlite:///{folder}/state.db"}
    return {**os.environ, **access, **own, "SKILLYARD_HOME": str(ROOT), "PYTHONPATH": str(ROOT)}


def _change(access: dict[str, str], numbers: range) -> None:
    client = _client(access)
    for number in numbers:
        client.put_object(Bucket=BUCKETS[0], Key=key_of(number), Body=text_of(number, 1))


def _bare_listing(env: dict[str, str]) -> float:
    started = time.perf_counter()
    for page in _client(env).get_paginator("list_objects_v2").paginate(Bucket=BUCKETS[0], Prefix="mail/"):
        assert page["Contents"]
    return time.perf_counter() - started


def _client(access: dict[str, str]) -> Any:
    import boto3

    keys = {"aws_access_key_id": access["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": access["AWS_SECRET_ACCESS_KEY"]}
    return boto3.client("s3", endpoint_url=access["AWS_ENDPOINT_URL"], region_name="us-east-1", **keys)


@contextmanager
def _stocked(n: int) -> Iterator[dict[str, str]]:
    """Give the variables that point to a store with so many documents."""
    from tests.s3_server import _switch_on_authentication

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1000000", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "bench" / "stocked_s3.py"), str(port), str(n)], env=env, stdout=log, stderr=log
        )
        try:
            _await_s3(port, process)
            yield _switch_on_authentication(f"http://127.0.0.1:{port}").environment
        finally:
            process.terminate()
            process.wait(10)


def _await_s3(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the port answers; asking moto for its state would have it write down every object."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the store did not answer at port {port} within {START_S} s")
