"""The commands about the bill as a person meets them: a table, a page in the lake or a file, a call explained."""

import json
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from skillyard.cli import main
from skillyard.costs.attribution import attribute
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import table_names
from skillyard.lake.tables import LLM_CALLS
from skillyard.settings import Settings
from tests.conftest import PROFILE, ROOT, settings_in
from tests.costs.ledger import DAY, call, ledger
from tests.costs.page_dom import parse

pytestmark = pytest.mark.timeout(300)  # the first attribution imports great-expectations
RANGE = ("--from", str(DAY), "--to", str(DAY))


@pytest.fixture(scope="module")
def attributed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation with some calls on two days, attributed."""
    settings = settings_in(tmp_path_factory.mktemp("attributed"))
    rows = [call(call_id="dear", tier="expert", run_id="run-2"), call(), call(status="cached"), call(status="unknown")]
    append(Lake(settings.lake), LLM_CALLS, ledger([*rows, call(day=DAY - timedelta(days=1))]), "a")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
        attribute(settings, DAY - timedelta(days=1), DAY)
    return settings


@pytest.fixture
def skillyard(attributed: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Its command line: exit code, standard output and standard error of one command."""
    variables = {"HOME": str(ROOT), "LAKE": attributed.lake, "INBOX": attributed.inbox, "STATE": attributed.state, "PROFILE": str(PROFILE)}
    for name, value in variables.items():
        monkeypatch.setenv(f"SKILLYARD_{name}", value)
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["skillyard", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def test_the_page_lands_in_the_lake_with_the_numbers_of_the_table(skillyard: Any, attributed: Settings) -> None:
    lake, key = Lake(attributed.lake), f"_reports/cost-{DAY}-{DAY}.html"
    code, out, err = skillyard("cost", "report", "--by", "tier", *RANGE, "--html", "--json")
    assert code == 0 and f"written to {lake.url}/{key}" in err
    page = parse(lake.storage.get(key).decode())
    shown = {row[0].text: Decimal(row[4].value or 0) for row in page.rows("tier")}
    assert shown == {row["tier"]: Decimal(row["charged_usd"]) for row in json.loads(out) if row["tier"] != "total"}
    assert Decimal(page.rows("total")[0][5].value or 0) > 0, "the period before stands beside it"
    assert "_reports" not in table_names(lake)


def test_the_page_of_another_zone_is_written_to_a_file(skillyard: Any, tmp_path: Path) -> None:
    code, _, err = skillyard("cost", "report", "--by", "team", *RANGE, "--html", "--out", str(tmp_path / "page.html"), "--tz", "Asia/Tokyo")
    assert code == 0 and "page.html" in err
    page = parse((tmp_path / "page.html").read_text())
    assert page.data["timezone"] == "Asia/Tokyo" and page.rows("total")[0][1].text == "3"


def test_amounts_of_a_column_have_the_same_places_and_stand_to_the_right(skillyard: Any) -> None:
    code, out, _ = skillyard("cost", "report", "--by", "run", *RANGE)
    table = out.splitlines()
    assert code == 0 and [line.split()[0] for line in table] == ["run", "run-2", "run-1", "total"]
    start = table[0].index("cost_usd") + len("cost_usd")
    assert all(line[start : start + 1] in ("", " ") and line[start - 13] == "." for line in table[1:])


def test_a_call_is_explained_so_that_its_cost_can_be_computed_by_hand(skillyard: Any) -> None:
    code, out, _ = skillyard("cost", "calls", "--day", str(DAY), "--run", "run-2", "--explain")
    assert code == 0 and "call dear: settled, use served, answer" in out and "100 tokens input x $" in out
    (row,) = json.loads(skillyard("cost", "calls", "--day", str(DAY), "--call", "dear", "--json")[1])
    total = sum(Decimal(charge["price_usd"]) * charge["amount"] for charge in row["charges"])
    assert total.quantize(Decimal("1e-12")) == Decimal(row["computed_usd"]) == Decimal(row["cost_usd"])  # type: ignore[union-attr]
    assert len(skillyard("cost", "calls", "--day", str(DAY), "--top", "2")[1].splitlines()) == 3


def test_what_is_no_zone_is_one_line_with_an_example(skillyard: Any) -> None:
    for words in (("cost", "report", "--tz", "Berlin"), ("cost", "calls", "--tz", "Berlin")):
        code, out, err = skillyard(*words)
        assert (code, out) == (2, "") and "'Berlin' is no time zone" in err and "Europe/Berlin" in err
