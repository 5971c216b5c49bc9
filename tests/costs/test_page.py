"""The report page: every number on it is that of the tables, in a real browser too; nothing in it but what we put there, light and dark."""

import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from skillyard.costs.ledger.zones import load_zone
from skillyard.costs.page.charts import LEAST, nice_ticks
from skillyard.costs.page.data import ZERO, Bill, Finding, PageData
from skillyard.costs.page.html import short_usd
from skillyard.costs.page.page import render_page
from skillyard.costs.page.reading import read_page
from skillyard.costs.prices.book import PLACES
from skillyard.lake.cost_tables import ANOMALIES, BUDGET_DAILY, COST_DAILY, SAVINGS_DAILY, UNIT_COSTS
from skillyard.lake.lake import Lake
from skillyard.lake.publish import replace_partition
from skillyard.lake.read import read
from skillyard.lake.results import to_results
from skillyard.lake.tables import QUALITY_DAILY
from skillyard.settings import Settings
from tests.conftest import settings_in
from tests.costs.page_dom import BROWSER, Cell, Dom, browse, parse, photograph
from tests.costs.page_lake import FIRST, HOSTILE, LAST, START, TURNED, fill

MADE_AT = datetime(2026, 11, 21, 3, tzinfo=UTC)
ACKNOWLEDGED = frozenset({"nothing"})
with_browser = pytest.mark.skipif(BROWSER is None, reason="there is no chromium here: make packages, as root, installs it")
CSS = files("skillyard.costs.page").joinpath("page.css").read_text()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with two periods of everything."""
    settings = settings_in(tmp_path_factory.mktemp("page"))
    fill(Lake(settings.lake))
    return settings


@pytest.fixture(scope="module")
def data(filled: Settings) -> PageData:
    """What the page of the last fourteen days shows."""
    return read_page(filled, FIRST, LAST, load_zone("UTC"), MADE_AT, ACKNOWLEDGED)


@pytest.fixture(scope="module")
def page(data: PageData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a file."""
    path = tmp_path_factory.mktemp("page") / "cost.html"
    path.write_text(render_page(data))
    return path


@pytest.fixture(scope="module", params=["written", pytest.param("browsed", marks=with_browser)])
def dom(request: pytest.FixtureRequest, page: Path, tmp_path_factory: pytest.TempPathFactory) -> Dom:
    """The page as it was written, and as a real browser has it after its script ran."""
    if request.param == "written":
        return parse(page.read_text())
    folder = tmp_path_factory.mktemp("browser")
    found = parse(browse(page, folder=folder))
    assert (folder / "complaints.txt").read_text() == ""
    return found


Rows = list[dict[str, Any]]
CHARGED = ("direct_usd", "waste_usd", "allocated_usd")


def _rows(settings: Settings, table: Any, first: date = FIRST, last: date = LAST) -> Rows:
    return [row for row in read(Lake(settings.lake), table).to_pylist() if first <= row[table.partition] <= last]


def _charged(row: dict[str, Any]) -> Decimal:
    return sum((row[name] for name in CHARGED), ZERO)


def _sums(rows: Rows, key: Callable[[dict[str, Any]], Any], value: Callable[[dict[str, Any]], Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = defaultdict(int)
    for row in rows:
        found[key(row)] += value(row)
    return dict(found)


def _number(cell: Cell) -> Decimal:
    """Return a cell's value, which has to be what is read in it, to the last digit."""
    read_there = Decimal(cell.text.replace(",", "").replace("−", "-"))
    assert cell.value is not None and Decimal(cell.value) == read_there, cell
    return read_there


@pytest.mark.parametrize("kind", ["total", "team", "skill", "tier", "model", "purpose"])
def test_each_bill_on_the_page_is_the_sum_of_its_rows(dom: Dom, filled: Settings, kind: str) -> None:
    rows, before = _rows(filled, COST_DAILY), _rows(filled, COST_DAILY, START, FIRST - timedelta(days=1))
    key = (lambda _: "all") if kind == "total" else (lambda row: row[kind])
    columns = dom.data["sheets"][kind]["columns"]
    assert {row[0].text for row in dom.rows(kind)} == set(_sums(rows, key, _charged))
    for number, name in enumerate(columns[1:], 1):
        wanted = {"charged_usd": _sums(rows, key, _charged), "before_usd": _sums(before, key, _charged)}.get(name)
        if name == "change_usd":
            now, then = _sums(rows, key, _charged), _sums(before, key, _charged)
            wanted = {who: now[who] - then[who] for who in now}
        wanted = wanted or _sums(rows, key, lambda row, name=name: row[name])
        assert {row[0].text: _number(row[number]) for row in dom.rows(kind)} == wanted, name


def test_the_days_and_tiers_are_those_of_the_bill(dom: Dom, filled: Settings) -> None:
    wanted = _sums(_rows(filled, COST_DAILY), lambda row: (row["usage_date"].isoformat(), row["tier"]), _charged)
    assert {(day.text, tier.text): _number(usd) for day, tier, usd in dom.rows("spend")} == wanted


def test_the_savings_are_those_of_the_table_and_lead_from_the_baseline_to_the_cost(dom: Dom, filled: Settings) -> None:
    rows = [row for row in _rows(filled, SAVINGS_DAILY) if row["baseline_usd"] is not None]
    left_out = [row for row in _rows(filled, SAVINGS_DAILY) if row["baseline_usd"] is None]
    found = {row[0].text: row[1:] for row in dom.rows("savings")}
    assert _number(found["baseline"][0]) == sum(row["baseline_usd"] for row in rows)
    for word in ("routing", "cache", "batch"):
        amounts = [(row[f"{word}_saved_usd"], row[f"{word}_basis"]) for row in rows]
        assert _number(found[word][0]) == -sum(amount for amount, _ in amounts)
        assert _number(found[word][1]) == -sum(amount for amount, basis in amounts if basis == "measured")
        assert _number(found[word][1]) + _number(found[word][2]) == _number(found[word][0])
    steps = [_number(found[word][0]) for word in ("baseline", "routing", "cache", "batch")]
    assert sum(steps) == _number(found["cost"][0]) == sum(row["cost_usd"] for row in rows)
    assert _number(found["cost without a baseline"][0]) == sum(row["cost_usd"] for row in left_out) > 0


def test_budgets_audits_and_anomalies_are_those_of_the_tables(dom: Dom, filled: Settings) -> None:
    budgets = _rows(filled, BUDGET_DAILY, LAST.replace(day=1), LAST)
    assert len(dom.rows("budgets")) == len(budgets)
    columns = dom.data["sheets"]["budgets"]["columns"]
    for row in dom.rows("budgets"):
        wanted = next(b for b in budgets if (b["usage_date"].isoformat(), b["team"], b["skill"]) == tuple(cell.text for cell in row[:3]))
        assert [None if cell.text == "–" else _number(cell) for cell in row[3:]] == [wanted[name] for name in columns[3:]]
    audits = {row["skill"]: row for row in _rows(filled, QUALITY_DAILY)}
    for row in dom.rows("retention"):
        wanted = audits.pop(row[0].text)
        exact = [float(cell.value or "nan") for cell in row[2:6]]
        assert exact == [wanted[name] for name in ("retained", "retained_lower", "retained_upper", "target")]
        assert all(abs(Decimal(cell.text) - Decimal(str(value))) <= Decimal("0.0005") for cell, value in zip(row[2:6], exact, strict=True))
    assert not audits
    assert {row[6].text for row in dom.rows("findings")} == {row["message"] for row in _rows(filled, ANOMALIES)}


def test_unit_costs_are_what_was_charged_over_what_was_made(dom: Dom, filled: Settings) -> None:
    rows = _rows(filled, UNIT_COSTS)
    charged = _sums(rows, lambda row: (row["skill"], row["fingerprint"][:12]), _charged)
    made = {
        name: _sums(rows, lambda row: (row["skill"], row["fingerprint"][:12]), lambda row, name=name: row[name])
        for name in ("n_pages", "n_items")
    }
    assert {(row[0].text, row[1].text) for row in dom.rows("units")} == set(charged)
    for row in dom.rows("units"):
        key = (row[0].text, row[1].text)
        assert _number(row[8]) == charged[key]
        assert _number(row[10]) == (charged[key] / made["n_pages"][key]).quantize(PLACES, ROUND_HALF_EVEN)
        assert _number(row[11]) == (charged[key] * 1000 / made["n_items"][key]).quantize(PLACES, ROUND_HALF_EVEN)


def test_the_headline_is_the_bill_rounded(dom: Dom, filled: Settings) -> None:
    rows = _rows(filled, COST_DAILY)
    wanted = {sum(map(_charged, rows)), sum(row["waste_usd"] for row in rows), sum(row["unknown_reserved_usd"] for row in rows)}
    assert wanted <= {Decimal(tile.value or 0) for tile in dom.tiles}
    assert Decimal(dom.tiles[-1].value or 0) == sum(row["n_calls"] for row in rows)
    for said in dom.said:
        if said.text.startswith(("$", "−$", "+$")):
            assert said.text.lstrip("+") == short_usd(Decimal(said.value or 0))


def test_the_embedded_json_has_the_same_numbers_as_the_tables(dom: Dom) -> None:
    assert dom.data["from"] == FIRST.isoformat() and dom.data["timezone"] == "UTC"
    shown = {name for name, sheet in dom.data["sheets"].items() if sheet["rows"]}
    assert shown == dom.tables.keys()
    for name in shown:
        values = [[None if cell.text == "–" else cell.value or cell.text for cell in row] for row in dom.rows(name)]
        assert values == [[None if value is None else str(value) for value in row] for row in dom.data["sheets"][name]["rows"]]


def test_a_hostile_name_is_read_and_does_nothing(dom: Dom) -> None:
    assert dom.title == "Cost report, 7 – 20 November 2026"
    assert not [tag for tag, _ in dom.tags if tag in ("img", "iframe", "link", "object", "embed", "base")]
    assert [tag for tag, _ in dom.tags].count("script") == 2
    assert {HOSTILE, TURNED} <= {row[0].text for row in (*dom.rows("skill"), *dom.rows("team"))}
    assert not any(name.startswith("on") or name in ("style", "href", "src") for _, attributes in dom.tags for name in attributes)


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1) | st.sampled_from(["</script>", "<!--", "]]>", "&lt;b", "'\"`"])


@hypothesis_settings(max_examples=40)
@given(names, names)
def test_any_name_stands_on_the_page_as_it_is(data: PageData, skill: str, message: str) -> None:
    finding = Finding(LAST, "warn", "spend", "*", skill, "*", message)
    found = parse(render_page(replace(data, findings=(finding,), bills=(), spend=(), units=(), budgets=())))
    (row,) = found.rows("findings")
    assert (row[4].text, row[6].text) == (skill, message)
    assert found.data["sheets"]["findings"]["rows"][0][4:] == [skill, "*", message]
    assert [tag for tag, _ in found.tags].count("script") == 2


def test_the_page_names_no_host_and_its_policy_lets_nothing_in(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\((?!#)", text.replace(HOSTILE, ""))
    (policy,) = (a["content"] or "" for tag, a in parse(text).tags if tag == "meta" and a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy and "*" not in policy


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """The address of a real server, and the paths that it was asked for."""
    paths: list[str] = []

    class Asked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()
        thread.join()


@with_browser
def test_a_browser_asks_nobody_even_where_somebody_smuggled_markup_in(data: PageData, asked: tuple[str, list[str]], tmp_path: Path) -> None:
    url, paths = asked
    path = tmp_path / "cost.html"
    smuggled = f'<img src="{url}/image"><script src="{url}/script"></script><link rel=stylesheet href="{url}/style"><p style="color:red">'
    path.write_text(render_page(data).replace("<main>", f"<main>{smuggled}", 1))
    browse(path, folder=tmp_path)
    assert paths == []
    assert "Content Security Policy" in (tmp_path / "complaints.txt").read_text()


@with_browser
@pytest.mark.parametrize(
    ("system", "query", "scheme"),
    [("1", "", "light"), ("0", "", "dark"), ("1", "?scheme=dark", "dark"), ("0", "?scheme=light", "light")],
    ids=["light system", "dark system", "dark chosen", "light chosen"],
)
def test_the_page_follows_the_system_and_then_its_reader(page: Path, tmp_path: Path, system: str, query: str, scheme: str) -> None:
    photograph(page, tmp_path / "page.png", f"--blink-settings=preferredColorScheme={system}", query=query, size="800,600", folder=tmp_path)
    colours = _colours(scheme)
    with Image.open(tmp_path / "page.png") as picture:
        seen = picture.convert("RGB")
        assert "#{:02x}{:02x}{:02x}".format(*seen.getpixel((2, 2))) == colours["page"]  # type: ignore[misc]
        assert _rgb(colours["ink"]) in {colour for _, colour in seen.getcolors(1_000_000) or []}


def _colours(scheme: str) -> dict[str, str]:
    block = CSS[: CSS.index("}")] if scheme == "light" else CSS[CSS.index("@media screen and (prefers-color-scheme: dark)") :].split("}")[0]
    return dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    """Source: https://www.w3.org/TR/WCAG21/#dfn-relative-luminance."""
    parts = [part / 255 for part in _rgb(colour)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_that_says_something_has_a_contrast_of_four_and_a_half(scheme: str) -> None:
    colours = _colours(scheme)
    for ground in ("page", "card"):
        for name in colours.keys() - {"page", "card", "line", "grid", "back"}:
            low, high = sorted((_luminance(colours[name]), _luminance(colours[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"{name} on {ground}"


def test_both_ways_into_the_dark_have_the_same_colours() -> None:
    blocks = re.findall(r"color-scheme: dark;([^}]*)}", CSS)
    assert len(blocks) == 2 and len({re.sub(r"\s+", " ", block).strip() for block in blocks}) == 1


NOTHING = Bill("total", "all", 0, 0, 0, *[ZERO] * 10)


def test_an_empty_lake_gives_a_page_that_says_what_to_run(settings: Settings) -> None:
    data = read_page(settings, FIRST, LAST, load_zone("UTC"), MADE_AT, ACKNOWLEDGED)
    assert data == PageData(FIRST, LAST, START, "UTC", MADE_AT, NOTHING)
    text = " ".join(parse(render_page(data)).texts)
    for command in (
        "skillyard run SKILL",
        "skillyard cost report --from 2026-11-07",
        "skillyard quality audit SKILL",
        "skillyard cost anomalies",
    ):
        assert command in text


def test_a_single_day_a_year_and_losses_are_drawn(data: PageData) -> None:
    assert data.savings is not None
    lost = replace(data.savings, routing_usd=-data.savings.cost_usd, measured_usd={"routing": -ZERO, "cache": ZERO, "batch": ZERO})
    for one in (
        replace(data, first=LAST),
        replace(data, first=LAST - timedelta(days=364)),
        replace(data, savings=lost),
        replace(data, total=NOTHING),
    ):
        assert parse(render_page(one)).data["to"] == LAST.isoformat()
        assert "nan" not in re.sub(r"[a-z]*nan[a-z]+|finan", "", render_page(one).split("<script")[0].lower())


def test_anomalies_that_were_acknowledged_are_only_counted(filled: Settings) -> None:
    data = read_page(filled, FIRST, LAST, load_zone("UTC"), MADE_AT, frozenset({f"{LAST}-a"}))
    assert [finding.kind for finding in data.findings] == ["new_model"] and data.n_acknowledged == 1


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_an_axis_holds_its_values_in_round_steps(one: float, other: float) -> None:
    low, high = sorted((one, other))
    ticks, near = nice_ticks(low, high), LEAST + 1e-6 * (abs(low) + abs(high))
    assert ticks[0] <= low + near and ticks[-1] >= high - near and 0 in ticks and 2 <= len(ticks) <= 8


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        ("0", "$0.00"),
        ("1234.565", "$1,234.56"),
        ("0.0000000375", "$0.0000000375"),
        ("-0.5", "−$0.500"),
        ("0.99999", "$1.000"),
        ("1", "$1.00"),
    ],
)
def test_amounts_are_rounded_for_reading_half_even(usd: str, shown: str) -> None:
    assert short_usd(Decimal(usd)) == shown


def test_the_same_data_gives_the_same_page(data: PageData) -> None:
    assert render_page(data) == render_page(data)
    assert json.loads(json.dumps(parse(render_page(data)).data)) == parse(render_page(data)).data


def test_the_newest_audit_and_the_last_of_several_nights_count(filled: Settings, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    row = {"usage_date": LAST, "kind": "spend", "source": "cost", "team": "*", "skill": "*", "model": "*", "numbers": "{}"}
    for day, message in ((LAST - timedelta(days=1), "yesterday"), (LAST, "today")):
        lasting = row | {"usage_date": day, "anomaly_id": "lasting", "severity": "warn", "message": message}
        replace_partition(Lake(settings.lake), ANOMALIES, day, to_results(ANOMALIES, [lasting]))
    data = read_page(settings, FIRST, LAST, load_zone("UTC"), MADE_AT, ACKNOWLEDGED)
    assert [finding.message for finding in data.findings] == ["today"], "what lasts is said once, as it is now"
