"""A run beside the runs before it: quiet while nothing changes, heard when something does."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from skillyard.errors import UnknownName, ValidationFailed
from skillyard.lake import profiles
from skillyard.lake.expectations import Suite
from skillyard.lake.known_tables import TABLES
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.lake.results import to_results
from skillyard.lake.trends import MIN_RUNS, Profile, compare, stability_index
from skillyard.lake.validate import Validation
from tests.lake.rows import SHA, TAGS, example, pages, results

LABELS = [f"label-{i}" for i in range(30)]
MIX = np.random.default_rng(1).dirichlet(np.full(len(LABELS), 0.7))
SUITE = Suite(labels=("tags",), nulls=("total",))
NOT_THERE = {"status": "deleted", "n_pages": 0, "n_chars": 0, "n_chunks": 0}
BLOCKING = Suite(labels=("tags",), nulls=("total",), blocking=frozenset({"null_share"}))


def run(rng: np.random.Generator, n: int, null: float = 0.1, rejected: float = 0.03, mix: Any = MIX) -> Profile:
    """Return the numbers of a run of n rows drawn at random."""
    labels = {label: int(k) for label, k in zip(LABELS, rng.multinomial(n, mix), strict=True) if k}
    shares = {"null_share total": (int(rng.binomial(n, null)), n), "reject_share": (int(rng.binomial(n, rejected)), n)}
    return Profile(n, shares, {"tags": labels})


def failed(now: Profile, earlier: list[Profile]) -> set[str]:
    return {finding.check for finding in compare(now, earlier) if not finding.has_passed}


def test_of_200_stable_runs_of_any_size_at_most_one_raises_an_alarm() -> None:
    rng = np.random.default_rng(5)
    runs = [run(rng, int(rng.integers(20, 2001))) for _ in range(200)]
    alarms = [failed(now, runs[:i]) for i, now in enumerate(runs)]
    assert sum(map(bool, alarms)) <= 1, Counter(check for found in alarms for check in found)


def test_a_mix_that_drifts_from_run_to_run_by_itself_raises_few_alarms() -> None:
    rng = np.random.default_rng(6)
    runs = []
    for _ in range(200):
        n, mix = int(rng.integers(20, 2001)), rng.dirichlet(MIX * 200 + 1e-9)
        runs.append(run(rng, n, float(rng.beta(5, 45)), float(rng.beta(2, 60)), mix))
    assert sum(bool(failed(now, runs[:i])) for i, now in enumerate(runs)) <= 8


@pytest.mark.parametrize("n", [200, 500, 2000])
@pytest.mark.parametrize(
    ("shift", "check"),
    [
        ({"null": 0.35}, "null_share"),
        ({"rejected": 0.25}, "reject_share"),
        ({"mix": np.roll(MIX, 7)}, "label_distribution"),
    ],
)
def test_a_real_shift_is_found_in_nearly_every_run(n: int, shift: dict[str, Any], check: str) -> None:
    rng = np.random.default_rng(7)
    found = 0
    for _ in range(40):
        earlier = [run(rng, int(rng.integers(100, 2001))) for _ in range(10)]
        found += check in failed(run(rng, n, **shift), earlier)
    assert found >= 38


def test_half_of_a_steady_days_rows_missing_is_a_drop_and_a_varied_past_has_none() -> None:
    steady = [Profile(n) for n in (1000, 1010, 990, 1005, 1002)]
    varied = [Profile(n) for n in (20, 2000, 300, 50, 900)]
    assert failed(Profile(400), steady) == {"row_count"}
    assert failed(Profile(0), steady) == {"row_count"}
    assert failed(Profile(600), steady) == set()
    assert failed(Profile(20), varied) == set()


def test_nothing_is_said_of_a_run_with_too_few_before_it() -> None:
    rng = np.random.default_rng(8)
    assert compare(run(rng, 500, null=0.9), [run(rng, 500) for _ in range(MIN_RUNS - 1)]) == []


def test_labels_that_no_run_had_are_named() -> None:
    rng = np.random.default_rng(9)
    now = run(rng, 300)
    now = Profile(now.n_rows, now.shares, {"tags": {**now.labels["tags"], "surprise": 40}})
    (found,) = [f for f in compare(now, [run(rng, 500) for _ in range(6)]) if f.check == "new_labels"]
    assert (found.has_passed, found.bound) == (False, 0.05)
    assert "'surprise' 40 times" in found.message


def test_the_stability_index_is_the_published_formula() -> None:
    value, n_cells = stability_index({"a": 3000, "b": 7000}, {"a": 5000, "b": 5000})
    assert value == pytest.approx((0.3 - 0.5) * np.log(0.3 / 0.5) + (0.7 - 0.5) * np.log(0.7 / 0.5), abs=1e-4)
    assert n_cells == 2
    assert stability_index({"a": 10, "b": 20}, {"a": 10, "b": 20})[0] == 0


def publish(lake: Lake, run_id: str, n_null: int, suite: Suite = SUITE) -> list[str]:
    """Publish 200 results of a run, so many of them without a total; return the checks that warn."""
    rows = pa.concat_tables([results(range(200 - n_null), run_id=run_id), results(range(200 - n_null, 200), run_id=run_id, total=None)])
    validation = Validation(lake, run_id)
    validation.add(TAGS, rows, suite, {"reject_share": (3, 203)})
    return [outcome.expectation for outcome in validation.close()]


def publish_past(lake: Lake) -> None:
    for number in range(MIN_RUNS):
        assert publish(lake, f"day-{number}", 20 + number) == []


def test_a_warning_is_published_told_and_on_record(lake: Lake) -> None:
    publish_past(lake)
    assert publish(lake, "day-9", 90) == ["null_share"]
    (row,) = [row for row in read(lake, "quality_checks").to_pylist() if not row["has_passed"]]
    assert (row["run_id"], row["columns"], row["severity"], row["value"]) == ("day-9", "total", "warn", 0.45)
    assert row["value"] > row["bound"]
    page = lake.storage.get("_quality/results.tag-document.v1.html").decode()
    assert "45.0% of 200" in page
    assert page.count("<svg") >= 4


def test_a_repeated_publish_of_a_run_compares_with_the_same_runs_and_stays_one_run(local_lake: Lake) -> None:
    publish_past(local_lake)
    assert publish(local_lake, "day-9", 90) == publish(local_lake, "day-9", 90) == ["null_share"]
    runs = profiles.load_runs(local_lake, TAGS.name)
    assert [run.run_id for run in runs] == [*(f"day-{n}" for n in range(MIN_RUNS)), "day-9"]
    assert runs[-1].profile.n_rows == 200
    n_rows = read(local_lake, "quality_checks").num_rows
    publish(local_lake, "day-9", 90)
    assert read(local_lake, "quality_checks").num_rows == n_rows


def test_a_run_that_comes_in_two_parts_is_compared_as_a_whole(local_lake: Lake) -> None:
    publish_past(local_lake)
    for items in (range(100), range(100, 200)):
        validation = Validation(local_lake, "day-9")
        validation.add(TAGS, results(items, run_id="day-9"), SUITE)
        validation.close()
    assert profiles.load_runs(local_lake, TAGS.name)[-1].profile.n_rows == 200


def test_a_blocked_run_is_no_measure_for_the_next_and_can_be_accepted(lake: Lake) -> None:
    publish_past(lake)
    with pytest.raises(ValidationFailed, match=r"null_share on total .*skillyard quality accept results/tag-document/v1 day-9"):
        publish(lake, "day-9", 90, BLOCKING)
    assert [run.is_blocked for run in profiles.load_runs(lake, TAGS.name)] == [False] * MIN_RUNS + [True]
    assert publish(lake, "day-10", 22, BLOCKING) == []
    profiles.accept(lake, TAGS.name, "day-9")
    assert publish(lake, "day-9", 90, BLOCKING) == ["null_share"]
    assert publish(lake, "day-11", 95, BLOCKING) == []


def test_a_run_without_any_result_is_heard(local_lake: Lake) -> None:
    publish_past(local_lake)
    validation = Validation(local_lake, "day-9")
    validation.add(TAGS, results(range(0)), SUITE, {"reject_share": (200, 200)})
    assert [outcome.expectation for outcome in validation.close()] == ["row_count", "reject_share"]
    assert "0 rows of the run" in local_lake.storage.get("_quality/results.tag-document.v1.html").decode()


def test_a_run_that_had_nothing_to_do_is_no_run_to_compare_with(local_lake: Lake) -> None:
    validation = Validation(local_lake, "day-0")
    validation.add(TAGS, results(range(0)), SUITE, {"reject_share": (0, 0)})
    assert validation.close() == []
    assert list(local_lake.storage.list()) == []


def test_only_a_run_that_is_known_can_be_accepted(local_lake: Lake) -> None:
    publish_past(local_lake)
    with pytest.raises(UnknownName, match="day-0, day-1"):
        profiles.accept(local_lake, TAGS.name, "day-99")


def test_of_ingestion_the_mix_of_languages_and_the_pages_without_text_are_compared_and_not_the_number_of_rows(local_lake: Lake) -> None:
    table, row = example("documents")

    def ingest(run_id: str, language: str, n_blank: int, n: int) -> set[tuple[str, str]]:
        documents = to_results(table, [row | {"uri": f"file:///{run_id}/{i}", "language": language} for i in range(n)])
        gone = to_results(table, [row | NOT_THERE | {"uri": f"file:///{run_id}/gone/{i}"} for i in range(300)])
        validation = Validation(local_lake, run_id)
        for rows in (documents, gone):
            validation.add(table, rows)
        for rows in (pages(n - n_blank, doc_id=SHA), pages(n_blank, doc_id=SHA[::-1], status="no_text", n_chars=0, text="")):
            validation.add(TABLES["pages"], rows)
        return {(outcome.expectation, outcome.columns) for outcome in validation.close()}

    for number in range(MIN_RUNS):
        assert ingest(f"day-{number}", "en", 5, 200) == set()
    assert ingest("day-9", "de", 60, 120) == {("label_distribution", "language"), ("new_labels", "language"), ("status_share", "no_text")}
