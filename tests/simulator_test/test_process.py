"""The process: fast enough to measure others against, gone when its parent is, latency as set."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from tests.conftest import ROOT
from tests.simulator import Simulator
from tests.simulator_test.asking import ask, request


def test_one_core_serves_more_than_800_requests_a_second(simulator: Simulator) -> None:
    simulator.configure(latency={"kind": "fixed", "ms": 200})
    before = simulator.stats()["cpu_s"]
    got = ask(simulator.url, *[request(n) for n in range(2000)], concurrency=256)
    stats = simulator.stats()
    assert {g.status for g in got} == {200}
    assert stats["in_flight_peak"] == 256
    assert 2000 / (stats["cpu_s"] - before) >= 800


def test_latency_follows_its_distribution_per_model(simulator: Simulator) -> None:
    simulator.configure(
        models={
            "sim-fast": {"latency": {"kind": "uniform", "low_ms": 20, "high_ms": 60}},
            "sim-expert": {"latency": {"kind": "lognormal", "ms": 150, "sigma": 0.3}},
        }
    )

    def took_s(model: str, n: int) -> float:
        started = time.monotonic()
        ask(simulator.url, request(n, model))
        return time.monotonic() - started

    fast, expert = (median(took_s(model, n) for n in range(9)) for model in ("sim-fast", "sim-expert"))
    assert 0.02 <= fast < 0.1 < expert < 0.4


def test_reset_forgets_calls_and_bill_and_keeps_the_configuration(simulator: Simulator) -> None:
    simulator.configure(faults={"refusal": 1.0}, keep_requests=True)
    ask(simulator.url, request(7))
    (call,) = simulator.calls()
    assert (call["call_id"], call["fault"], call["body"]["model"]) == ("call-0", "refusal", "sim-fast")
    simulator.reset()
    assert (simulator.calls(), simulator.bill()["total_usd"]) == ([], "0")
    (got,) = ask(simulator.url, request(7))
    assert got.message["refusal"]


def test_it_ends_with_the_process_that_started_it() -> None:
    starter = "from tests.simulator import Simulator; s = Simulator().start(); print(s._process.pid, flush=True); input()"
    parent = subprocess.Popen([sys.executable, "-c", starter], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None and parent.stdin is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)


def test_a_stopped_one_comes_back_at_the_same_address_with_an_empty_memory() -> None:
    simulator = Simulator()
    with simulator:
        url = simulator.url
        assert ask(url, request(1))[0].status == 200
    assert ask(url, request(1))[0].status == 0
    with simulator:
        assert simulator.url == url
        assert ask(url, request(1))[0].status == 200
        assert len(simulator.calls()) == 1
    with Simulator(port=int(url.rpartition(":")[2].removesuffix("/v1"))) as another:
        assert another.url == url and ask(url, request(1))[0].status == 200


def test_it_imports_nothing_of_skillyard() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "tests" / "simulator").glob("*.py")]
    assert sources and not any("import skillyard" in source or "from skillyard" in source for source in sources)


def is_running(pid: int) -> bool:
    """Say whether a process is there and not a zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
