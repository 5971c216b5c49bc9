"""A publish killed between any two of its writes: nothing is lost, doubled or half shown, and doing it again ends exactly right.

The steps of each publish are found by running it until it is not killed any more; their number is asserted, so that a new step is seen
here. Every state is looked at through our reader, ``pd.read_parquet`` and DuckDB's ``read_parquet``, before and after the recovery.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from skillyard.lake import verify_table
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.known_tables import TABLES
from skillyard.lake.lake import Lake
from skillyard.lake.maintain import tidy
from skillyard.lake.publish import append, replace_rows
from skillyard.lake.read import read
from skillyard.lake.tables import PAGES
from skillyard.lake.verify import verify
from tests.lake.dying import NEXT, PUBLISHES, Mortal, mortal, prepare
from tests.lake.rows import TAGS, pages, results, with_duckdb, with_pandas
from tests.s3_server import S3Server

pytestmark = pytest.mark.timeout(300)
State = Counter[tuple[str, ...]]
STEPS = {
    "append": 3,  # clocks; an object a day
    "recompute": 1,  # replace
    "recompute-to-nothing": 1,  # remove
    "correct": 7,  # stage, note what is absorbed, switch, place, clear, move away (copy, remove)
    "add-results": 4,  # stage, switch, place, clear
    "replace-results": 9,  # stage 2, switch, place 2, clear 2, move away 1 (copy, remove)
    "mark-stale": 8,  # stage, switch, place, clear, move away 2 (copy, remove)
    "compact-appended": 9,  # stage, note what is absorbed, switch, place, clear, move away 2 (copy, remove)
    "compact-results": 8,
}
ONE_BY_ONE = ("append",)
"""Its objects follow one after the other: each is there or not, the table may be between."""
WINDOW = ("correct", "replace-results", "mark-stale", "compact-appended", "compact-results")
"""Between placing and moving away a raw read shows rows twice: the one window."""


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verify that gives publishes no time to finish."""
    monkeypatch.setattr(verify_table, "UNDER_WAY", timedelta(0))


@pytest.fixture(scope="module")
def process(s3_server: S3Server) -> Iterator[Mortal]:
    """The process whose children die."""
    with mortal(s3_server.environment) as running:
        yield running


def shown(table: str, rows: list[dict[str, object]]) -> State:
    """Return each row by its key and what a publish here can change, with how often it is there."""
    names = [
        *(TABLES[table].key if table in TABLES else TAGS.key),
        *(n for n in ("model", "is_stale", "n_calls", "status") if n in rows[0]),
    ]
    return Counter(tuple(str(row[name]) for name in names) for row in rows)


def ours(lake: Lake, table: str) -> State:
    """Return what our reader sees."""
    rows = read(lake, table).to_pylist()
    return shown(table, rows) if rows else Counter()


def raw(lake: Lake, table: str, environment: dict[str, str]) -> list[State]:
    """Return what pandas and DuckDB see of the folder."""
    if not any(found.key.endswith(".parquet") for found in lake.storage.list(f"{table}/dt=")):
        return [Counter(), Counter()]
    return [shown(table, rows) for rows in (with_pandas(lake, table).to_dict("records"), with_duckdb(lake, table, environment))]


def publish_by_another(lake: Lake) -> None:
    """Publish other parts into the same tables."""
    append(lake, PAGES, pages(1, NEXT, doc_id="9" * 64), "other")
    replace_rows(lake, TAGS, results(range(90, 92), NEXT), "other")


@pytest.mark.parametrize("publish", PUBLISHES)
def test_a_publish_may_die_before_any_write(local_lake: Lake, s3: S3Server, process: Mortal, publish: str) -> None:
    _die_at_each_step(local_lake, s3, process, publish)


@pytest.mark.parametrize("publish", ["append", "recompute", "replace-results", "compact-appended"])
def test_a_publish_to_s3_may_die_before_any_write(s3: S3Server, process: Mortal, publish: str) -> None:
    _die_at_each_step(Lake(f"s3://{s3.bucket}/{uuid4().hex}"), s3, process, publish)


def _die_at_each_step(lake: Lake, s3: S3Server, process: Mortal, publish: str) -> None:
    table, again = PUBLISHES[publish]
    whole = Lake(f"{lake.url}/whole")
    prepare(whole)
    old = ours(whole, table)
    again(whole)
    new = ours(whole, table)
    assert old != new or publish.startswith("compact")
    assert raw(whole, table, s3.environment) == [new, new]
    n_writes = 0
    while True:
        here = Lake(f"{lake.url}/{n_writes}")
        prepare(here)
        if not process.order(lake=here.url, publish=publish, n_writes=n_writes):
            break
        _check_before(here, table, publish, old, new, s3.environment)
        if n_writes % 2:
            publish_by_another(here)
        again(here)
        if publish.startswith("compact"):
            tidy(here)  # it merges, and what another left half done is tidied up right after, as every night
        _check_after(here, table, new, s3.environment)
        if not publish.startswith("compact"):  # one that dies before its switch leaves a staged file; it is debris after a day
            assert [found.key for found in here.storage.list("_staged/")] == []
        n_writes += 1
    assert n_writes == STEPS[publish]


def _check_before(lake: Lake, table: str, publish: str, old: State, new: State, environment: dict[str, str]) -> None:
    seen = ours(lake, table)
    if publish in ONE_BY_ONE:
        assert seen <= old | new
        assert max(seen.values()) == 1
        assert {key[:-1] for key in old} <= {key[:-1] for key in seen}
    else:
        assert seen in (old, new)
    for found in raw(lake, table, environment):
        assert set(old) & set(new) <= set(found) <= set(old) | set(new)
        if publish not in WINDOW:
            assert max(found.values(), default=1) == 1


def _check_after(lake: Lake, table: str, new: State, environment: dict[str, str]) -> None:
    seen = ours(lake, table)
    assert new <= seen
    assert max(seen.values(), default=1) == 1
    assert raw(lake, table, environment) == [seen, seen]
    others = [key for key in seen - new if key[0] not in ("9" * 64, "item-0090", "item-0091")]
    assert others == []
    assert verify(lake, [table], is_deep=True).problems == ()


def test_publishers_and_a_compaction_at_the_same_time_lose_nothing(lake: Lake, s3: S3Server, process: Mortal) -> None:
    for number in range(2):
        here = Lake(f"{lake.url}/{number}")
        prepare(here)
        assert process.order(lake=here.url, publish="race", n_processes=4) == 0
        for table in (TAGS.name, PAGES.name, COST_DAILY.name):
            seen = ours(here, table)
            assert max(seen.values()) == 1
            assert raw(here, table, s3.environment) == [seen, seen]
        items = sorted(read(here, TAGS.name)["item_id"].to_pylist())
        assert items == [f"item-{i:04d}" for i in range(23)]
        assert read(here, PAGES.name).num_rows == 2 * 2 + 3 * 3 * 2 + 2
        assert read(here, COST_DAILY.name)["n_calls"].to_pylist()[0] in (11, 12, 13)
        assert verify(here, [TAGS.name, PAGES.name, COST_DAILY.name], is_deep=True).problems == ()
