"""Endpoints side by side: what was charged, and how busy those that are paid by the hour really were."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillyard.costs.compute import compute_seconds
from skillyard.costs.endpoints import endpoint_report
from skillyard.costs.prices.book import Usage
from skillyard.errors import ConfigError
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.tables import LLM_CALLS
from skillyard.settings import Settings
from tests.conftest import PROFILE, settings_in
from tests.costs.ledger import DAY, call, ledger

NOON = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)
OWN = "embedded/smollm2-135m"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation with an endpoint of its own on the fast tier: 4 requests at once, assumed to be busy half of the time."""
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    profile = yaml.safe_load(PROFILE.read_text())
    profile["tiers"]["fast"] = [
        {"name": "ours", "model": OWN, "context_tokens": 9, "max_output_tokens": 9, "concurrency": 4, "utilisation": 0.5}
    ]
    path = tmp_path / "profile.yaml"
    path.write_text(yaml.safe_dump(profile))
    return settings_in(tmp_path, SKILLYARD_PROFILE=str(path))


def own_call(after_s: int, latency_ms: int, **changes: Any) -> dict[str, Any]:
    used = Usage(400, 0, 0, 100, compute_s=compute_seconds(Decimal(latency_ms) / 1000, 4, 0.5))
    sent = {"deployment": "ours", "model": OWN, "sent_at": NOON + timedelta(seconds=after_s), "latency_ms": latency_ms}
    return call(used, **(sent | changes))


def test_a_busy_endpoint_is_measured_beside_what_was_assumed(installed: Settings) -> None:
    calls = [own_call(after_s, 8000) for after_s in range(0, 32, 2)]
    other = [call(tier="standard", deployment="sim-standard", latency_ms=9), call(tier="standard", deployment="sim-standard", latency_ms=9)]
    append(Lake(installed.lake), LLM_CALLS, ledger([*calls, *other]), "a")
    ours, standard = sorted(endpoint_report(installed, DAY, DAY), key=lambda row: row.deployment)
    assert (ours.deployment, ours.priced_by, ours.n_calls, ours.n_tokens) == ("ours", "seconds", 16, 16 * 500)
    assert ours.compute_s == 16 * Decimal(4) and ours.cost_usd == ours.compute_s * Decimal("0.000025")
    assert (ours.busy_s, ours.span_s) == (Decimal(32), Decimal(38)), "16 calls of 8 s, 4 at once; the last ends 38 s after the first began"
    assert (ours.measured_utilisation, ours.assumed_utilisation) == (Decimal("0.8421"), 0.5)
    assert ours.usd_per_million_tokens == Decimal("0.2")
    assert (standard.priced_by, standard.n_calls, standard.n_tokens) == ("tokens", 2, 2 * 133)
    assert standard.usd_per_million_tokens == round(standard.cost_usd * 1_000_000 / standard.n_tokens, 6)
    assert (standard.busy_s, standard.span_s, standard.measured_utilisation, standard.assumed_utilisation) == (None, None, None, None)


def test_as_busy_as_assumed_means_that_its_calls_were_charged_its_time(installed: Settings) -> None:
    calls = [own_call(after_s, 5000) for after_s in range(0, 50, 10) for _ in range(4)]
    calls += [own_call(45, 5000) for _ in range(4)]
    append(Lake(installed.lake), LLM_CALLS, ledger(calls), "a")
    (ours,) = endpoint_report(installed, DAY, DAY)
    assert (ours.busy_s, ours.span_s) == (Decimal(30), Decimal(50))
    assert ours.compute_s == ours.busy_s / Decimal("0.5")
    assert ours.compute_s * ours.measured_utilisation == ours.busy_s * Decimal("1.2"), "busier than assumed: charged too much"


def test_only_settled_calls_of_the_days_count_and_a_batch_keeps_nobody_waiting(installed: Settings) -> None:
    rows = [own_call(0, 1000), own_call(5, 1000, lane="batch"), own_call(9, 1000, status="unknown"), own_call(9, 1000, status="failed")]
    append(Lake(installed.lake), LLM_CALLS, ledger([*rows, own_call(0, 1000, day=DAY + timedelta(days=1))]), "a")
    (ours,) = endpoint_report(installed, DAY, DAY)
    assert (ours.n_calls, ours.busy_s, ours.span_s, ours.measured_utilisation) == (2, Decimal("0.25"), Decimal(1), Decimal("0.25"))
    assert endpoint_report(installed, DAY - timedelta(days=1), DAY - timedelta(days=1)) == []
    with pytest.raises(ConfigError, match="end before they begin"):
        endpoint_report(installed, DAY, DAY - timedelta(days=1))


def test_a_deployment_that_the_profile_no_longer_has_shows_no_utilisation(installed: Settings) -> None:
    append(Lake(installed.lake), LLM_CALLS, ledger([own_call(0, 1000, deployment="gone"), call(Usage())]), "a")
    gone, free = endpoint_report(installed, DAY, DAY)
    assert (gone.deployment, gone.priced_by, gone.measured_utilisation, gone.assumed_utilisation) == ("gone", "seconds", None, None)
    assert (free.n_tokens, free.usd_per_million_tokens) == (0, None)
