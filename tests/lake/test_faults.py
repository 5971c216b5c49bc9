"""A lake on an S3 that fails in every way at once: what is published is exact, and a read is whole or an error."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pyarrow as pa
import pytest

from skillyard.lake.correct import correct
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, replace_partition, replace_rows
from skillyard.lake.read import read
from skillyard.lake.results import to_results
from skillyard.lake.tables import LLM_CALLS, PAGES
from tests.fault_proxy import KINDS, Fault, FaultProxy, fault_proxy, without_faults
from tests.lake.rows import DAY, TAGS, call, cost, pages, results, with_duckdb, with_pandas
from tests.s3_server import S3Server

NEXT = DAY + timedelta(days=1)
QUICK = tuple(kind for kind in KINDS if not kind.startswith("stall"))


@pytest.fixture(scope="module")
def running_proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    """One proxy for the tests of this file."""
    with fault_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def proxy(running_proxy: FaultProxy, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> FaultProxy:
    """A proxy without faults, which this test's lake goes through; it loses patience after half a second."""
    running_proxy.chaos_kinds = QUICK
    return without_faults(running_proxy, monkeypatch, seed=7)


@pytest.fixture
def lake(proxy: FaultProxy, s3: S3Server) -> Lake:
    """An empty lake behind the proxy."""
    return Lake(f"s3://{s3.bucket}/{uuid4().hex}")


def models(lake: Lake) -> dict[str, str]:
    """Return the model of every item as our reader sees it, each item once."""
    rows = read(lake, "results/tag-document", ["item_id", "model"]).to_pylist()
    assert max(Counter(row["item_id"] for row in rows).values()) == 1
    return {row["item_id"]: row["model"] for row in rows}


def test_tables_are_exact_after_one_request_in_eight_failed(lake: Lake, proxy: FaultProxy, s3: S3Server) -> None:
    proxy.chaos = 0.12
    lost = {"status": "unknown", "cost_usd": None, "error_kind": "timeout"}
    ledger = to_results(LLM_CALLS, [call(f"c-{i}", **lost) for i in range(20)])
    append(lake, LLM_CALLS, ledger, "a")
    correct(lake, LLM_CALLS, DAY, {"c-3": {"status": "settled", "cost_usd": Decimal("0.25"), "error_kind": None}})
    for n in range(3):
        append(lake, PAGES, pages(4, DAY + timedelta(days=n), doc_id=f"{n}" * 64), f"p{n}")
        replace_rows(lake, TAGS, results(range(n * 4, n * 4 + 6), DAY + timedelta(days=n), model=f"m{n}"), f"r{n}")
        replace_partition(lake, COST_DAILY, DAY, pa.Table.from_pylist([cost("tag-document", n + 1)], schema=COST_DAILY.schema))
    proxy.chaos = 0
    assert {fault for _, _, fault in proxy.seen} > {"slow_down", "cut_after", "error_after"}
    assert sum(row["cost_usd"] or 0 for row in read(lake, "llm_calls").to_pylist()) == Decimal("0.25")
    assert read(lake, "pages").num_rows == len(with_pandas(lake, "pages")) == len(with_duckdb(lake, "pages", s3.environment)) == 12
    assert read(lake, "cost_daily")["n_calls"].to_pylist() == [3]
    wanted = {f"item-{i:04d}": f"m{min(i // 4, 2)}" for i in range(14)}
    assert models(lake) == wanted
    assert dict(with_pandas(lake, TAGS.name)[["item_id", "model"]].itertuples(index=False)) == wanted
    assert sorted((row["item_id"], row["model"]) for row in with_duckdb(lake, TAGS.name, s3.environment)) == sorted(wanted.items())


@pytest.mark.parametrize("kind", ["error_after", "cut_after"])
def test_a_switch_whose_answer_was_lost_is_not_taken_for_anothers(lake: Lake, proxy: FaultProxy, kind: str) -> None:
    replace_rows(lake, TAGS, results(range(3)), "a")
    proxy.seen = []
    proxy.faults = [Fault(kind, "PUT", "_manifest.json")]
    committed = replace_rows(lake, TAGS, results(range(3), model="new"), "b")
    assert [c.is_new for c in committed] == [True]
    assert set(models(lake).values()) == {"new"}
    assert sum(method == "PUT" and path.endswith("_manifest.json") for method, path, _ in proxy.seen) == 2


def test_publishers_racing_on_a_failing_store_lose_nothing(lake: Lake, proxy: FaultProxy) -> None:
    proxy.chaos = 0.1

    def publish(n: int) -> None:
        replace_rows(Lake(lake.url), TAGS, results(range(n * 2, n * 2 + 4), model=f"m{n}"), f"p{n}")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(publish, range(3)))
    proxy.chaos = 0
    replace_rows(lake, TAGS, results(range(50, 51)), "last")
    assert sorted(models(lake)) == [f"item-{i:04d}" for i in (*range(8), 50)]
    assert Counter(with_pandas(lake, TAGS.name)["item_id"].tolist()) == Counter(list(models(lake)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_survives_one_fault_of_every_kind_on_every_sort_of_request(lake: Lake, proxy: FaultProxy, kind: str) -> None:
    replace_rows(lake, TAGS, results(range(30)), "a")
    proxy.faults = [
        Fault(kind, "GET", "manifest"),
        Fault(kind, "HEAD", "manifest"),
        Fault(kind, "GET", "parquet"),
        Fault(kind, "HEAD", "parquet"),
    ]
    assert len(models(Lake(lake.url))) == 30
    assert {fault for _, _, fault in proxy.seen} == {"", kind} - {"conflict"}
