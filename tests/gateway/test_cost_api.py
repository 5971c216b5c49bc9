"""Cost reports fetched from the providers' APIs, as the simulator serves them; and the command that compares, asks and posts."""

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner

from skillyard.cli import app
from skillyard.costs.prices.book import Usage
from skillyard.costs.reconciling import provider_bill
from skillyard.costs.reconciling.bill_by_day import Compared, compare
from skillyard.costs.reconciling.cost_reports import CostReport
from skillyard.costs.reconciling.ledger_side import ledger_sides
from skillyard.errors import ConfigError
from skillyard.gateway.cost_api import CostApiRefused, CostApiUnavailable, fetch_report
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.tables import LLM_CALLS
from skillyard.settings import Settings
from tests.costs.ledger import BOOK, DAY, MODELS, call, ledger
from tests.simulator import Simulator

TODAY, NEXT = DAY + timedelta(days=3), DAY + timedelta(days=1)
KEY = "sk-admin-never-to-be-seen"
USAGE = Usage(1000, 200, 0, 50)
TIERS = ("fast", "standard", "expert")


def billed(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the simulator is to bill for these calls."""
    names = ("input_tokens", "cache_read_tokens", "output_tokens", "lane")
    return [{"model": row["model"].partition("/")[2], "day": f"{row['usage_date']}", **{n: row[n] for n in names}} for row in calls]


def some_calls() -> list[dict[str, Any]]:
    """Return calls on two days, of three tiers and both lanes."""
    calls = [call(Usage(1000 + n, 200, 0, 50 + n), tier=tier, day=day) for day in (DAY, NEXT) for tier in TIERS for n in range(4)]
    for row in calls[::3]:
        used = Usage(row["input_tokens"], row["cache_read_tokens"], 0, row["output_tokens"])
        price = BOOK.cost(row["model"], used, row["sent_at"], "batch")
        row |= {"lane": "batch", "service_tier": "batch", "cost_usd": price.usd, "price_ids": ",".join(price.price_ids)}
    return calls


def env(simulator: Simulator) -> dict[str, str]:
    return {
        "OPENAI_ADMIN_KEY": KEY,
        "OPENAI_ADMIN_BASE_URL": simulator.url,
        "ANTHROPIC_ADMIN_KEY": KEY,
        "ANTHROPIC_ADMIN_BASE_URL": simulator.url,
    }


def fetched(provider: str, variables: Mapping[str, str], said: list[str] | None = None, waits: list[float] | None = None) -> CostReport:
    say, sleep = (said if said is not None else []).append, (waits if waits is not None else []).append
    return fetch_report(provider, DAY, NEXT, TODAY, say, variables, sleep)


def beside(report: CostReport, calls: list[dict[str, Any]]) -> list[Compared]:
    lines = [{**row, "n_calls": 1, "cost_usd": row["cost_usd"] or Decimal(0)} for row in calls]
    rows = compare(report, ledger_sides(lines, [], BOOK), MODELS.values(), {}, BOOK)
    assert all(sum(row.parts.values()) == row.difference_usd for row in rows)
    return rows


def parts(rows: list[Compared]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for row in rows:
        for kind, usd in row.parts.items():
            sums[kind] = sums.get(kind, Decimal(0)) + usd
    return {kind: usd for kind, usd in sums.items() if abs(usd) > Decimal("1E-10")}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_page_after_page_the_report_is_what_the_ledger_says(simulator: Simulator, provider: str) -> None:
    calls = some_calls()
    simulator.configure_cost_reports(lines=billed(calls), buckets=1, key=KEY)
    said: list[str] = []
    report = fetched(provider, env(simulator), said)
    rows = beside(report, calls)
    assert report.days == (DAY, NEXT) and len(rows) == 6 and len(said) == 4
    assert {row.model for row in rows} == set(MODELS.values()) and parts(rows) == {}
    assert all(row.capture_rate == 1 for row in rows)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_what_is_injected_is_what_is_found(simulator: Simulator, provider: str) -> None:
    calls = some_calls()
    more = [call(USAGE, tier="expert"), call(USAGE, tier="expert", day=NEXT)]
    simulator.configure_cost_reports(lines=billed([*calls, *more]))
    assert parts(beside(fetched(provider, env(simulator)), calls)) == {"missing_calls": sum(row["cost_usd"] for row in more)}
    simulator.configure_cost_reports(lines=billed(calls), dearer={"sim-fast": "1.25"})
    dearer = sum(row["cost_usd"] for row in calls if row["tier"] == "fast") / 4
    found = parts(beside(fetched(provider, env(simulator)), calls))
    assert found.keys() == {"price"} and abs(found["price"] - dearer) < Decimal("1E-10")
    simulator.configure_cost_reports(lines=billed(calls), places=6)
    rounded = beside(fetched(provider, env(simulator)), calls)
    assert parts(rounded).keys() == {"rounding"} and all(row.capture_rate == 1 for row in rounded)
    simulator.configure_cost_reports(lines=billed(calls), extra={"web search tool calls": "0.5"})
    searches = beside(fetched(provider, env(simulator)), calls)
    assert parts(searches) == {"missing_calls": Decimal(1)}
    assert {row.model for row in searches} - set(MODELS.values()) == {"web search tool calls"}


def test_a_provider_that_asks_to_wait_is_waited_for_and_not_for_ever(simulator: Simulator) -> None:
    calls = some_calls()
    simulator.configure_cost_reports(lines=billed(calls), busy=2, retry_after_s=7)
    waits: list[float] = []
    assert parts(beside(fetched("openai", env(simulator), waits=waits), calls)) == {} and waits == [7, 7]
    simulator.configure_cost_reports(busy=100, retry_after_s=1)
    with pytest.raises(CostApiUnavailable, match=r"HTTP 429 from 127\.0\.0\.1, 6 times"):
        fetched("openai", env(simulator))
    simulator.configure_cost_reports(busy=100, retry_after_s=3600)
    with pytest.raises(CostApiUnavailable, match="asks to come back in 3600 s"):
        fetched("anthropic", env(simulator))


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_key_is_in_no_error_no_log_and_no_progress(simulator: Simulator, provider: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    simulator.configure_cost_reports(key="another")
    said: list[str] = []
    with pytest.raises(CostApiRefused, match=r"HTTP 401 from 127\.0\.0\.1\. An administrator's key") as refused:
        fetched(provider, env(simulator), said)
    away = {name: value if "KEY" in name else "http://127.0.0.1:1/v1" for name, value in env(simulator).items()}
    with pytest.raises(CostApiUnavailable, match=r"ConnectError from 127\.0\.0\.1, 6 times") as unavailable:
        fetched(provider, away, said)
    assert KEY not in "".join([*said, caplog.text, repr(refused.value), repr(unavailable.value)])


def test_days_that_are_not_over_no_key_and_bedrock_are_refused_before_anything_is_asked(simulator: Simulator) -> None:
    with pytest.raises(ConfigError, match="is not over yet"):
        fetch_report("openai", DAY, TODAY, TODAY, print, env(simulator))
    with pytest.raises(ConfigError, match="ANTHROPIC_ADMIN_KEY is not set"):
        fetched("anthropic", {})
    with pytest.raises(ConfigError, match="aws ce get-cost-and-usage"):
        fetched("bedrock", {})


@pytest.fixture
def command(settings: Settings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation whose ledger has one call on a day, and whose provider bills two; the command finds both by its environment."""
    paid = call(USAGE)
    append(Lake(settings.lake), LLM_CALLS, ledger([paid]), "calls")
    simulator.configure_cost_reports(lines=billed([paid, call(USAGE)]), key=KEY)
    names = {"HOME": settings.home, "LAKE": settings.lake, "STATE": settings.state, "PROFILE": settings.profile}
    for name, value in {**{f"SKILLYARD_{name}": str(value) for name, value in names.items()}, **env(simulator)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(provider_bill, "validate", lambda *_: None)
    monkeypatch.setattr(provider_bill, "attribute", lambda *_: [])
    return settings


def test_the_command_shows_what_differs_and_posts_it_once(command: Settings) -> None:
    asked = ["cost", "reconcile", "--provider", "openai", "api", "--from", f"{DAY}", "--to", f"{DAY}"]
    cost = call(USAGE)["cost_usd"]
    looked = CliRunner().invoke(app, [*asked, "--dry-run", "--json"])
    assert looked.exit_code == 1 and Decimal(json.loads(looked.stdout)["missing_usd"]) == cost
    assert read(Lake(command.lake), LLM_CALLS).num_rows == 1
    posted = CliRunner().invoke(app, asked)
    assert posted.exit_code == 0 and "(2 requests are billed, 1 settled)" in posted.stdout and KEY not in posted.output
    assert "1 corrections posted; billed less ledger is now 0" in posted.output
    again = CliRunner().invoke(app, [*asked, "--yes"])
    assert again.exit_code == 0 and "0 corrections posted" in again.output and read(Lake(command.lake), LLM_CALLS).num_rows == 2


@pytest.mark.parametrize(
    "arguments", [["a.csv", "b.csv"], ["a.csv", "--yes"], ["a.csv", "--provider", "openai", "--post"], ["a.csv", "--project", "p"]]
)
def test_options_of_the_other_kind_of_bill_are_refused(command: Settings, arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["cost", "reconcile", *arguments])
    assert isinstance(result.exception, ConfigError)
