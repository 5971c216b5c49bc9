"""Reconciliation: a bill closes what nobody knew, in the state store, the budgets, the ledger table and the daily bill alike."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sqlalchemy import Engine, delete, select

from skillyard.costs.attribution import attribute
from skillyard.costs.prices.book import Cost, Usage
from skillyard.costs.reconciling.comparison import Coverage
from skillyard.errors import ConfigError, UnknownName
from skillyard.gateway import drain, ledger
from skillyard.gateway import reconcile as module
from skillyard.gateway.budgets import Limits
from skillyard.gateway.ledger import Answer, AnswerKey, Ask, Begun, Claim, Closed, Hold, Settled
from skillyard.gateway.reconcile import Reconciliation, reconcile
from skillyard.gateway.state import ATTEMPTS, BUDGETS, METADATA, open_state
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.tables import LLM_CALLS
from skillyard.settings import Settings
from tests.conftest import settings_in
from tests.gateway.conftest import attempt

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = NOON.date()
WHOLE = Coverage(DAY, DAY)
BOUND = Decimal("0.01")
COST = Decimal("0.000000037501")


class Killed(BaseException):
    """The process died here."""


class Books:
    """An installation whose ledger a test fills, and a bill beside it."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.bill = settings, folder / "bill.json"
        self.state: Engine = open_state(settings.state)
        self.lake = Lake(settings.lake)
        self._key = AnswerKey("care", "tag", "f" * 64, "item-1", "a" * 64)

    def ask(self, call_id: str, **changed: Any) -> tuple[Begun, Hold]:
        """Send an attempt on the day, with its bound reserved; nobody waits for it any more."""
        with self.state.begin() as connection:
            (hold,) = ledger.claim(connection, [Claim((self._key,), 60, f"test:{call_id}")])
            assert isinstance(hold, Hold)
            sent = {"model": "openai/sim-fast", "request_hash": "a" * 64, "sent_at": NOON, "ends_at": NOON + timedelta(minutes=1)}
            sent["lake"] = self.settings.lake
            (begun,) = ledger.begin(connection, [Ask(attempt(call_id, **(sent | changed)), hold)], Limits("care", "tag", "r1"))
            assert isinstance(begun, Begun)
            ledger.release(connection, [hold])
        return begun, hold

    def fail(self, call_id: str, status: str = "unknown", **changed: Any) -> None:
        begun, _ = self.ask(call_id, **changed)
        with self.state.begin() as connection:
            ledger.close(connection, [Closed(call_id, begun, status, "timed_out", 7)])

    def pay(self, call_id: str, usd: Decimal = COST, **changed: Any) -> None:
        begun, hold = self.ask(call_id, **changed)
        answer = Answer(call_id, "fast", "openai/sim-fast", "{}", None, "stop", usd, NOON)
        with self.state.begin() as connection:
            ledger.settle(connection, [Settled(begun, hold, None, answer, Usage(1), Cost(usd, ("p",)), f"chat-{call_id}", 5)])

    def claim(self, part: str = "part-0") -> None:
        drain.claim_part(self.state, "tag", self.settings.lake, part)

    def write(self, part: str = "part-0") -> None:
        names = [name for name in LLM_CALLS.schema.names if name != "usage_date"]
        rows = [{name: row[name] for name in names} | {"usage_date": row["sent_at"].date()} for row in drain.part_rows(self.state, part)]
        calls = pa.Table.from_pylist(rows, schema=LLM_CALLS.schema)
        append(self.lake, LLM_CALLS, calls, part)

    def publish(self, part: str = "part-0") -> None:
        """Drain the run's ledger to the lake, as a publish does."""
        self.claim(part)
        self.write(part)
        drain.confirm_part(self.state, part)
        attribute(self.settings, DAY, DAY)

    def send_bill(self, *lines: dict[str, Any], **amounts: str) -> None:
        listed = [*lines, *({"call_id": call_id, "model": "sim-fast", "amount_usd": usd} for call_id, usd in amounts.items())]
        self.bill.write_text(json.dumps(listed))

    def reconcile(self, covered: Coverage | None = WHOLE, **options: Any) -> Reconciliation:
        return reconcile(self.settings, self.bill, covered, **options)

    def rows(self) -> dict[str, dict[str, Any]]:
        with self.state.connect() as connection:
            return {row["call_id"]: dict(row) for row in connection.execute(select(ATTEMPTS)).mappings()}

    def on_lake(self) -> dict[str, dict[str, Any]]:
        return {row["call_id"]: row for row in read(self.lake, LLM_CALLS).to_pylist()}

    def balances(self) -> set[tuple[Decimal, Decimal]]:
        """Return spent and reserved of the five counters: one pair, since all attempts here count in the same five."""
        with self.state.connect() as connection:
            return {(row.spent_usd, row.reserved_usd) for row in connection.execute(select(BUDGETS))}

    def daily(self) -> tuple[int, int, int, Decimal, Decimal]:
        day = read(self.lake, "cost_daily")
        sums = [pc.sum(day.column(name)).as_py() for name in ("n_settled", "n_failed", "n_unknown", "cost_usd", "unknown_reserved_usd")]
        return tuple(sums)  # type: ignore[return-value]

    def snapshot(self) -> Any:
        """Return all that a reconciliation may change; the moment of closing aside."""
        stored = {call_id: {**row, "settled_at": None} for call_id, row in self.rows().items()}
        on_lake = {call_id: {**row, "settled_at": None} for call_id, row in self.on_lake().items()}
        return stored, on_lake, self.balances(), read(self.lake, "cost_daily").to_pylist()


@pytest.fixture(params=["sqlite", "postgres"])
def books(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    yield from books_in(tmp_path, monkeypatch, request.getfixturevalue("postgres_url") if request.param == "postgres" else None)


@pytest.fixture
def local_books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    yield from books_in(tmp_path, monkeypatch, None)


def books_in(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str | None) -> Iterator[Books]:
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    found = Books(settings_in(folder, **({"SKILLYARD_STATE": url} if url else {})), folder)
    yield found
    with found.state.begin() as connection:
        METADATA.drop_all(connection)
    found.state.dispose()


def fill(books: Books) -> None:
    """Make one attempt of each kind and publish: s and d settled, b and n unknown, f failed, k left by a process that was killed."""
    books.pay("s")
    books.pay("d")
    books.fail("b")
    books.fail("n")
    books.fail("f", "failed")
    books.ask("k")
    books.publish()


def test_the_bill_closes_unknown_attempts_everywhere_to_the_last_decimal(books: Books) -> None:
    fill(books)
    assert books.balances() == {(2 * COST, 3 * BOUND)}
    assert books.daily() == (2, 1, 3, 2 * COST, 3 * BOUND)
    billed = {
        "call_id": "b",
        "request_id": "chat-b",
        "model": "sim-fast",
        "input_tokens": 9,
        "output_tokens": 2,
        "amount_usd": "0.000000000007",
    }
    books.send_bill(billed, s=f"{COST:f}", d=f"{COST:f}", k="0.003")
    report = books.reconcile()
    assert (report.n_settled, report.settled_usd, report.n_failed, report.released_usd) == (2, Decimal("0.003000000007"), 1, 3 * BOUND)
    assert (report.n_agreeing, report.n_differing, report.difference_usd, report.capture_rate) == (2, 0, Decimal(0), 1)
    assert report.captured_usd == report.billed_usd == 2 * COST + Decimal("0.003000000007")
    for rows in (books.rows(), books.on_lake()):
        assert {call_id: row["status"] for call_id, row in rows.items()} == dict.fromkeys("sdbk", "settled") | dict.fromkeys("nf", "failed")
        assert (rows["b"]["cost_usd"], rows["b"]["input_tokens"], rows["b"]["output_tokens"]) == (Decimal("0.000000000007"), 9, 2)
        assert (rows["b"]["price_ids"], rows["b"]["provider_request_id"], rows["b"]["error_kind"]) == ("bill", "chat-b", "timed_out")
        assert (rows["n"]["cost_usd"], rows["k"]["error_kind"], rows["s"]["price_ids"]) == (Decimal(0), "process_died", "p")
        assert all(row["settled_at"] and row["reserved_usd"] == BOUND for row in rows.values())
    assert books.balances() == {(report.billed_usd, Decimal(0))}
    assert books.daily() == (4, 2, 0, report.billed_usd, Decimal(0))
    assert report.days == (DAY,)


def test_a_second_time_changes_nothing_and_finds_agreement(books: Books) -> None:
    fill(books)
    books.send_bill(s=f"{COST:f}", d=f"{COST:f}", b="0.002", k="0.003")
    books.reconcile()
    before = books.snapshot(), [(found.key, found.etag) for found in books.lake.storage.list("llm_calls/")], books.rows()
    again = books.reconcile()
    assert (again.n_settled, again.n_failed, again.n_agreeing, again.entries) == (0, 0, 4, ())
    assert before == (books.snapshot(), [(found.key, found.etag) for found in books.lake.storage.list("llm_calls/")], books.rows())


def test_a_dry_run_says_the_same_and_writes_nothing(local_books: Books) -> None:
    fill(local_books)
    local_books.send_bill(s=f"{COST:f}", d=f"{COST:f}", b="0.002", k="0.003")
    before = local_books.rows(), local_books.on_lake(), local_books.snapshot()
    tried = local_books.reconcile(is_dry_run=True)
    assert (local_books.rows(), local_books.on_lake(), local_books.snapshot()) == before
    done = local_books.reconcile()
    assert (tried.n_settled, tried.n_failed, tried.difference_usd) == (done.n_settled, done.n_failed, done.difference_usd) == (2, 1, 0)
    assert (tried.entries, tried.days) == (done.entries, ())


def test_an_attempt_that_no_publish_has_drained_is_closed_too_and_drained_as_it_is_then(local_books: Books) -> None:
    local_books.fail("b")
    local_books.ask("k")
    local_books.send_bill(b="0.002")
    local_books.reconcile()
    assert {call_id: row["status"] for call_id, row in local_books.rows().items()} == {"b": "settled", "k": "failed"}
    local_books.publish()
    assert (local_books.daily()[0], local_books.daily()[3]) == (1, Decimal("0.002"))


def test_an_attempt_in_flight_is_left_to_its_process(local_books: Books) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=5)
    local_books.ask("x", ends_at=soon)
    local_books.ask("y", ends_at=soon)
    local_books.send_bill(x="0.002")
    report = local_books.reconcile()
    assert (report.n_in_flight, report.n_settled, report.n_failed, report.n_differing) == (2, 0, 0, 0)
    assert {row["status"] for row in local_books.rows().values()} == {"sent"}


def test_without_covered_days_only_attempts_with_a_line_are_closed(local_books: Books) -> None:
    fill(local_books)
    local_books.send_bill(b="0.002")
    report = local_books.reconcile(None)
    assert (report.n_settled, report.n_failed, report.n_open, report.n_differing) == (1, 0, 2, 0)
    assert {entry["call_id"] for entry in report.entries if entry["kind"] == "open"} == {"n", "k"}
    assert {call_id for call_id, row in local_books.on_lake().items() if row["status"] == "unknown"} == {"n", "k"}


def test_a_bill_says_nothing_of_a_deployment_it_has_no_line_of_unless_told_so(local_books: Books) -> None:
    local_books.fail("b")
    local_books.fail("o", deployment="other")
    local_books.publish()
    local_books.send_bill(b="0.002")
    assert local_books.reconcile().n_open == 1 and local_books.rows()["o"]["status"] == "unknown"
    with pytest.raises(UnknownName, match="deployment 'othr'"):
        local_books.reconcile(Coverage(DAY, DAY, frozenset({"othr"})))
    local_books.reconcile(Coverage(DAY, DAY, frozenset({"other"})))
    assert local_books.rows()["o"]["status"] == local_books.on_lake()["o"]["status"] == "failed"


def test_an_attempt_that_failed_for_us_and_was_billed_is_settled_and_counted(books: Books) -> None:
    fill(books)
    books.send_bill(s=f"{COST:f}", d=f"{COST:f}", f="0.004")
    report = books.reconcile()
    assert (report.n_settled, report.settled_usd, report.n_failed, report.n_differing) == (1, Decimal("0.004"), 3, 0)
    assert books.balances() == {(2 * COST + Decimal("0.004"), Decimal(0))}, "its reservation had been given back before"
    assert books.daily() == (3, 3, 0, 2 * COST + Decimal("0.004"), Decimal(0))


def test_what_a_bill_does_not_mend_is_listed_and_left_as_it_is(books: Books) -> None:
    fill(books)
    nobody = {"call_id": "theirs", "model": "sim-fast", "amount_usd": "0.5"}
    books.send_bill(nobody, s="0.25")
    before = books.rows()
    report = books.reconcile(WHOLE)
    assert (report.n_differing, report.difference_usd) == (3, Decimal("0.75") - 2 * COST)
    assert (report.captured_usd, report.billed_usd, report.capture_rate) == (Decimal("0.25"), Decimal("0.75"), Decimal("0.333333"))
    listed = {entry["call_id"]: entry for entry in report.entries}
    assert {listed[call_id]["kind"] for call_id in "sd"} == {"other_amount", "settled_not_billed"}
    assert (listed["theirs"]["kind"], listed["theirs"]["line"], listed["s"]["billed_usd"]) == (
        "not_in_ledger",
        "bill.json: line 1",
        Decimal("0.25"),
    )
    assert {call_id: books.rows()[call_id] for call_id in "sdf"} == {call_id: before[call_id] for call_id in "sdf"}


def test_what_a_bill_does_not_close_is_posted_as_corrections_when_asked_for(local_books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "validate", lambda *_: None)
    monkeypatch.setattr(module, "attribute", lambda *_: [])
    for call_id in ("s", "d"):
        local_books.pay(call_id)
    local_books.claim()
    local_books.write()
    line = {"request_id": "chat-x", "model": "sim-fast-2026-01-15", "amount_usd": "0.5"}
    local_books.send_bill(line, s="0.25")
    with pytest.raises(ConfigError, match="no day for them: say by --from and --to"):
        local_books.reconcile(None, is_posting=True)
    shown = local_books.reconcile(is_dry_run=True, is_posting=True)
    assert (shown.n_differing, shown.n_posted) == (3, 0) and set(local_books.on_lake()) == {"s", "d"}
    posted = local_books.reconcile(is_posting=True)
    assert (posted.n_differing, posted.difference_usd, posted.n_posted, posted.posted_usd) == (0, 0, 3, Decimal("0.75") - 2 * COST)
    corrections = {row["operation_id"]: row for row in local_books.on_lake().values() if row["status"] == "correction"}
    found = {key: (row["error_kind"], row["cost_usd"], row["model"], row["usage_date"]) for key, row in corrections.items()}
    model = "openai/sim-fast"
    assert found == {
        "s": ("price", Decimal("0.25") - COST, model, DAY),
        "d": ("missing_calls", -COST, model, DAY),
        "bill:chat-x": ("missing_calls", Decimal("0.5"), model, DAY),
    }
    assert {call_id: local_books.on_lake()[call_id]["cost_usd"] for call_id in "sd"} == dict.fromkeys("sd", COST)
    again = local_books.reconcile(is_posting=True)
    assert (again.n_posted, again.n_differing, again.entries) == (0, 0, ()) and len(local_books.on_lake()) == 5
    local_books.send_bill(line | {"amount_usd": "0.75"}, s="0.25")
    assert local_books.reconcile(is_posting=True).posted_usd == Decimal("0.25") and len(local_books.on_lake()) == 6


def test_what_the_state_store_has_forgotten_is_known_from_the_lake(local_books: Books) -> None:
    fill(local_books)
    with local_books.state.begin() as connection:
        connection.execute(delete(ATTEMPTS))
    line = {"request_id": "chat-d", "model": "sim-fast", "amount_usd": f"{COST:f}"}
    local_books.send_bill(line, s=f"{COST:f}", b="0.002")
    report = local_books.reconcile()
    assert (report.n_agreeing, report.n_settled, report.n_failed, report.difference_usd) == (2, 1, 2, Decimal(0))
    assert local_books.daily() == (3, 3, 0, 2 * COST + Decimal("0.002"), Decimal(0))
    assert local_books.reconcile().entries == ()
    assert local_books.reconcile(None).entries == ()


def test_every_lake_of_the_state_store_says_so_afterwards(local_books: Books, tmp_path: Path) -> None:
    other = Books(replace(local_books.settings, lake=(tmp_path / "other").as_uri()), tmp_path)
    for books, call_id in ((local_books, "here"), (other, "there")):
        books.fail(call_id)
        books.publish(f"part-{call_id}")
    local_books.send_bill(here="0.002", there="0.003")
    assert local_books.reconcile().difference_usd == 0
    assert [books.daily() for books in (local_books, other)] == [(1, 0, 0, Decimal(usd), Decimal(0)) for usd in ("0.002", "0.003")]
    assert [books.on_lake()[call_id]["status"] for books, call_id in ((local_books, "here"), (other, "there"))] == ["settled"] * 2
    other.state.dispose()


STEPS: list[tuple[str, Callable[..., Any]]] = [("_close", module._close), ("correct", module.correct), ("attribute", module.attribute)]


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("name", "step"), STEPS, ids=[name for name, _ in STEPS])
def test_wherever_it_dies_the_next_time_ends_with_the_same_tables(
    books: Books, monkeypatch: pytest.MonkeyPatch, name: str, step: Callable[..., Any], is_after: bool
) -> None:
    fill(books)
    books.pay("tomorrow", sent_at=NOON + timedelta(days=1))
    books.publish("part-1")
    books.send_bill(s=f"{COST:f}", d=f"{COST:f}", b="0.002", f="0.004", tomorrow=f"{COST:f}")

    def die(*arguments: Any, **named: Any) -> None:
        if is_after:
            step(*arguments, **named)
        raise Killed

    covered = Coverage(DAY, DAY + timedelta(days=1))
    with monkeypatch.context() as patched:
        patched.setattr(module, name, die)
        with pytest.raises(Killed):
            books.reconcile(covered)
    report = books.reconcile(covered)
    assert (report.n_differing, report.difference_usd) == (0, Decimal(0))
    statuses = {"s": "settled", "d": "settled", "b": "settled", "f": "settled", "n": "failed", "k": "failed", "tomorrow": "settled"}
    assert {call_id: row["status"] for call_id, row in books.rows().items()} == statuses
    assert {call_id: row["status"] for call_id, row in books.on_lake().items()} == statuses
    with books.state.connect() as connection:
        totals = {row.counter: (row.spent_usd, row.reserved_usd) for row in connection.execute(select(BUDGETS))}
    assert totals["care|*|2026-11"] == totals["run|tag|r1"] == (report.billed_usd, Decimal(0))
    assert books.daily() == (5, 2, 0, report.billed_usd, Decimal(0))


def test_a_part_that_a_publish_left_unconfirmed_is_published_again_without_a_conflict(local_books: Books) -> None:
    local_books.fail("b")
    local_books.fail("n")
    local_books.claim()
    local_books.write()
    local_books.send_bill(b="0.002")
    local_books.reconcile()
    local_books.publish()
    assert {call_id: row["status"] for call_id, row in local_books.on_lake().items()} == {"b": "settled", "n": "failed"}
    assert len(list(local_books.lake.storage.list("llm_calls/dt="))) == 1


def test_two_at_once_count_each_attempt_once(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(books)
    books.send_bill(s=f"{COST:f}", d=f"{COST:f}", b="0.002", k="0.003")
    loaded = module._load_calls

    def overtaken(*arguments: Any) -> Any:
        calls = loaded(*arguments)
        monkeypatch.setattr(module, "_load_calls", loaded)
        books.reconcile()
        return calls

    monkeypatch.setattr(module, "_load_calls", overtaken)
    books.reconcile()
    assert books.balances() == {(2 * COST + Decimal("0.005"), Decimal(0))}
    assert books.daily() == (4, 2, 0, 2 * COST + Decimal("0.005"), Decimal(0))


def test_more_attempts_than_fit_one_transaction_are_all_closed(local_books: Books) -> None:
    n = module.CHUNK + 1
    with local_books.state.begin() as connection:
        own = {"model": "openai/sim-fast", "sent_at": NOON, "ends_at": NOON, "lake": local_books.settings.lake}
        rows = [attempt(f"c{i:04d}", attempt_no=i + 1, **own) for i in range(n)]
        connection.execute(ATTEMPTS.insert(), [row | {"status": "unknown", "error_kind": "timed_out"} for row in rows])
    local_books.send_bill(**{f"c{i:04d}": "0.000000000001" for i in range(0, n, 2)})
    report = local_books.reconcile()
    assert (report.n_settled, report.n_failed, report.difference_usd) == ((n + 1) // 2, n // 2, Decimal(0))
    assert local_books.balances() == {(Decimal((n + 1) // 2).scaleb(-12), -n * BOUND)}


def test_a_turned_range_and_a_bad_bill_are_refused_before_anything_is_read(local_books: Books) -> None:
    local_books.bill.write_text("{}")
    with pytest.raises(ConfigError, match=r"bill\.json: a bill in JSON"):
        local_books.reconcile()
    with pytest.raises(ConfigError, match="end before they begin"):
        local_books.reconcile(Coverage(DAY, date(2026, 11, 1)))
