"""Fixtures of the whole suite: a provider simulator, an installation of its own per test, documents on its lake."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

from skillyard.settings import Settings
from tests.simulator import Simulator

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "tests" / "simulator" / "profile.yaml"

pytest_plugins = ["tests.local.server", "tests.postgres", "tests.s3_server"]


UNTROUBLED = {
    "latency": {"kind": "fixed", "ms": 0},
    "faults": {},
    "rules": [],
    "models": {},
    "wrong": 0.0,
    "cached_fraction": 0.0,
    "context_tokens": None,
    "seed": 1,
    "retry_after_s": 1.0,
    "said": {},
    "keep_requests": False,
    "batch": {},
    "output_tokens": None,
    "max_in_flight": None,
    "overflow": "queue",
    "rpm": None,
    "tpm": None,
    "window_s": 60.0,
}
"""Every key of the simulator's configuration: a provider that always answers at once."""


@pytest.fixture(scope="session")
def running_simulator() -> Iterator[Simulator]:
    """One simulator process for all tests."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(running_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The simulator without faults, latency or memory of earlier tests; the profile's variables point to it."""
    running_simulator.configure(**UNTROUBLED)
    running_simulator.reset()
    monkeypatch.setenv("SIMULATOR_URL", running_simulator.url)
    monkeypatch.setenv("SIMULATOR_KEY", "sk-simulated")
    return running_simulator


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation with the project's skills, an empty lake and the simulator's profile."""
    return settings_in(tmp_path)


def settings_in(folder: Path, **overrides: str) -> Settings:
    """Return settings whose lake, inbox and state lie in a folder."""
    (folder / "inbox").mkdir(exist_ok=True)
    variables = {
        "SKILLYARD_HOME": str(ROOT),
        "SKILLYARD_LAKE": str(folder / "lake"),
        "SKILLYARD_INBOX": str(folder / "inbox"),
        "SKILLYARD_STATE": f"sqlite:///{folder / 'state.db'}",
        "SKILLYARD_PROFILE": str(PROFILE),
    }
    return Settings.from_env(variables | overrides)
