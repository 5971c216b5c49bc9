"""The commands of the price book, on a folder of their own."""

import json
import shutil
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from skillyard.cli import app
from skillyard.costs.prices.book import PriceBook, Usage
from skillyard.costs.prices.price import hash_of
from skillyard.errors import ConfigError, SkillyardError
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from tests.conftest import ROOT

TODAY = datetime.now(UTC).date()
TOMORROW = TODAY + timedelta(days=1)
LUNA, OPUS = "openai/gpt-6-luna", "anthropic/claude-opus-5"


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an include folder with the project's prices, which the commands of the test work on."""
    shutil.copytree(ROOT / "include" / "prices", tmp_path / "include" / "prices")
    variables = {"SKILLYARD_INCLUDE": "include", "SKILLYARD_LAKE": "lake", "SKILLYARD_STATE": "state.db", "SKILLYARD_HOME": ""}
    for name, path in variables.items():
        monkeypatch.setenv(name, f"sqlite:///{tmp_path / path}" if path.endswith(".db") else str(tmp_path / path))
    return tmp_path / "include"


def run(*words: str) -> Result:
    """Return what a command gave; an error of ours is raised."""
    done = CliRunner().invoke(app, ["prices", *words])
    if isinstance(done.exception, SkillyardError):
        raise done.exception
    return done


def rows(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(*words, "--json").stdout)
    return found


def on(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def test_a_new_price_ends_the_one_before_on_its_first_day(include: Path) -> None:
    before = (include / "prices" / "openai.csv").read_text().splitlines()
    closed, opened = rows("add", LUNA, "output", "0.0000004", "--source", "the provider's page")
    assert (closed["price_id"], closed["valid_to"]) == ("gpt-6-luna.output.2026-01-01", str(TOMORROW))
    assert (opened["price_id"], opened["valid_from"], opened["valid_to"]) == (f"gpt-6-luna.output.{TOMORROW}", str(TOMORROW), "")
    book = PriceBook.load(include)
    costs = [book.cost(LUNA, Usage(output_tokens=10), on(day)).usd for day in (TODAY, TOMORROW)]
    assert costs == [Decimal("0.000005"), Decimal("0.000004")]
    after = (include / "prices" / "openai.csv").read_text().splitlines()
    assert [line for line in after if line not in before] == [
        next(line for line in before if closed["price_id"] in line).replace("2026-01-01,,", f"2026-01-01,{TOMORROW},"),
        after[-1],
    ]
    assert all(p.hash == hash_of(p) for p in book), "the closed row is as it was, but for its end"
    assert sorted(path.name for path in (include / "prices").iterdir()) == ["anthropic.csv", "embedded.csv", "openai.csv"]


def test_a_dry_run_says_the_same_and_writes_nothing(include: Path) -> None:
    before = (include / "prices" / "openai.csv").read_bytes()
    added = rows("add", LUNA, "output", "0.0000004", "--source", "page", "--from", str(TOMORROW), "--dry-run")
    assert [row["change"] for row in added] == ["closed", "opened"]
    assert (include / "prices" / "openai.csv").read_bytes() == before


def test_a_price_for_a_region_or_a_long_prompt_begins_beside_the_others(include: Path) -> None:
    (opened,) = rows(
        "add", OPUS, "input", "0.0000055", "--source", "page", "--region", "eu", "--service-tier", "batch", "--context-over", "9"
    )
    assert (opened["change"], opened["price_id"]) == ("opened", f"claude-opus-5.batch_input_over_9_eu.{TOMORROW}")
    book = PriceBook.load(include)
    assert book.rates(OPUS, on(TOMORROW), "batch", "eu", 10)["input"] == Decimal("0.0000055")
    assert book.rates(OPUS, on(TOMORROW), "batch", "us", 10)["input"] == Decimal("0.0000025")


def test_a_model_of_another_provider_gets_a_file_of_its_own(include: Path) -> None:
    rows("add", "azure/gpt-6-luna", "input", "1e-7", "--source", "page", "--from", "2026-01-01", "--back-dated")
    (opened,) = rows("add", "azure/gpt-6-luna", "output", "5e-7", "--source", "page", "--from", "2026-01-01", "--back-dated")
    assert opened["price_id"] == "azure.gpt-6-luna.output.2026-01-01", "the short id is taken"
    assert (include / "prices" / "azure.csv").is_file()
    assert PriceBook.load(include).cost("azure/gpt-6-luna", Usage(10, output_tokens=10), on(TODAY)).usd == Decimal("0.000006")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["output", "0.0000004", "--from", "2026-03-01"], r"2026-03-01 is in the past: .*--back-dated"),
        (["output", "0.0000004", "--from", "2025-03-01", "--back-dated"], r"openai\.csv:\d+: .* a new price has to begin later"),
        (["output", "0.0000005"], r"openai\.csv:\d+: openai/gpt-6-luna output costs 0.0000005 already, since 2026-01-01"),
        (["thoughts", "1"], r"the new price: meter 'thoughts' per '\?': allowed are input per token"),
        (["output", "-1"], r"the new price: price is '-1'"),
        (["output", "1", "--service-tier", "slow"], r"the new price: service_tier is 'slow': allowed are standard, batch"),
    ],
)
def test_what_cannot_be_added_says_why_and_changes_nothing(include: Path, words: list[str], message: str) -> None:
    before = (include / "prices" / "openai.csv").read_bytes()
    with pytest.raises(ConfigError, match=message):
        run("add", LUNA, words[0], "--source", "page", *words[2:], "--", words[1])
    assert (include / "prices" / "openai.csv").read_bytes() == before


def test_a_back_dated_price_says_which_days_to_attribute_again(include: Path, tmp_path: Path) -> None:
    for day in ("2026-02-27", "2026-03-01", "2026-03-05"):
        Lake(str(tmp_path / "lake")).write_frame(f"{COST_DAILY.name}/dt={day}/part-0.parquet", COST_DAILY.schema.empty_table())
    done = run("add", LUNA, "output", "0.0000004", "--source", "page", "--from", "2026-03-01", "--back-dated")
    assert "2 attributed days are by the price before: skillyard cost attribute --from 2026-03-01 --to 2026-03-05" in done.stderr
    assert PriceBook.load(include).rates(LUNA, on(date(2026, 2, 28)))["output"] == Decimal("0.0000005")


def test_a_model_is_seeded_with_all_that_litellms_map_has(include: Path) -> None:
    (include / "prices" / "anthropic.csv").unlink()
    seeded = rows("seed", OPUS, "anthropic/claude-haiku-5-5", "--from", "2026-01-01")
    assert {row["change"] for row in seeded} == {"opened"}
    ours = (ROOT / "include" / "prices" / "anthropic.csv").read_text().splitlines()
    assert set((include / "prices" / "anthropic.csv").read_text().splitlines()) == {line for line in ours if "sonnet" not in line}
    with pytest.raises(ConfigError, match=r"anthropic\.csv:2: the book has prices for anthropic/claude-opus-5 already.*prices add"):
        run("seed", OPUS)
    with pytest.raises(ConfigError, match=r"litellm .* has no price by token for acme/m: add its prices"):
        run("seed", "acme/m")


def test_a_price_that_differs_from_both_lists_is_found(include: Path) -> None:
    assert run("check", "--on", "2026-11-20").exit_code == 0
    rows("add", OPUS, "cache_write_1h", "0.000009", "--source", "a typing error", "--from", "2026-11-01", "--back-dated")
    found = run("check", "--on", "2026-11-20", "--json")
    assert found.exit_code == 1 and "1 prices differ, 0 cannot be compared" in found.stderr
    assert json.loads(found.stdout) == [
        {
            "model": OPUS,
            "meter": "cache_write_1h",
            "service_tier": "standard",
            "context_over": 0,
            "ours": "0.000009",
            "theirs": "0.00001",
            "whose": "litellm and genai-prices",
            "note": "both lists agree",
        }
    ]
    assert run("check", "--on", "2026-10-31").exit_code == 0


def test_a_price_that_the_book_does_not_have_is_found_by_what_it_charges_instead(include: Path) -> None:
    file = include / "prices" / "anthropic.csv"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if "opus-5.cache_write_1h" not in line))
    (found,) = json.loads(run("check", "--on", "2026-11-20", "--json").stdout)
    assert (found["meter"], found["ours"]) == ("cache_write_1h", "0.00000625"), "the price of those cached for minutes"


def test_a_model_that_no_list_knows_cannot_be_compared_and_is_no_failure(include: Path) -> None:
    for meter in ("input", "output"):
        rows("add", "acme/m", meter, "1e-7", "--source", "page", "--from", "2026-01-01", "--back-dated")
    done = run("check", "--on", "2026-11-20", "--json")
    assert done.exit_code == 0
    assert {(row["model"], row["note"]) for row in json.loads(done.stdout)} == {("acme/m", "neither list knows the model")}


def test_prices_are_listed_for_a_day(include: Path) -> None:
    assert len(rows("list", "--model", "opus", "--on", "2026-11-20")) == 10
    assert rows("list", "--model", "opus", "--on", "2025-11-20") == []
    rows("add", LUNA, "output", "0.0000004", "--source", "page")
    listed = rows("list", "--model", LUNA, "--all")
    assert [row["valid_from"] for row in listed if row["price_id"].startswith("gpt-6-luna.output.")] == ["2026-01-01", str(TOMORROW)]
    assert "gpt-6-luna" in run("list", "--model", LUNA).stdout
