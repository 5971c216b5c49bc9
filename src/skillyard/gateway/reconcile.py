"""Reconciliation: a provider's bill closes the attempts whose outcome nobody knew, and is compared with all others.

The state store is written first: an attempt's row and its five budget counters in one transaction. ``llm_calls`` then takes over what the
state store says, and ``cost_daily`` what ``llm_calls`` says. Each step looks at what is there, not at what the one before has just
done: after a crash at any point, doing it again ends with the same tables.

What the bill does not close, another amount or a request that one side does not have, changes no row: it is listed, and posted as a
correction where that is asked for. Corrections count as part of the ledger from then on.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_DOWN, Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import ColumnElement, Engine, bindparam, select, update

from skillyard.costs.attribution import attribute, check_range
from skillyard.costs.prices.book import PLACES
from skillyard.costs.reconciling.bill import METERS, BillLine, read_bill
from skillyard.costs.reconciling.comparison import CLOSES, DIFFERENCES, Call, Coverage, Entry, compare
from skillyard.costs.reconciling.corrections import CORRECTION, correction
from skillyard.costs.reconciling.model_names import ledger_model
from skillyard.errors import ConfigError
from skillyard.gateway.budgets import counters_of, lock_balances, move
from skillyard.gateway.state import ATTEMPTS, open_state, reading
from skillyard.lake.correct import correct
from skillyard.lake.iceberg import follow
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.results import to_results
from skillyard.lake.tables import LLM_CALLS
from skillyard.lake.validate import validate
from skillyard.settings import Settings

CHUNK = 500
"""Rows in one statement or transaction."""
ZERO = Decimal(0).quantize(PLACES)
OPEN = ("sent", "unknown")
CLOSED = ("status", "error_kind", "settled_at", *METERS, "cost_usd", "price_ids", "provider_request_id")
"""The columns of an attempt that a bill may change."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a bill said, what it closed, and what is left to look at."""

    bill: str
    n_lines: int
    billed_usd: Decimal
    captured_usd: Decimal
    """The part of it whose request stands in the ledger."""
    capture_rate: Decimal
    n_agreeing: int
    n_settled: int
    """Attempts of unknown outcome, and failed ones, that were billed: settled now, at the billed amount."""
    settled_usd: Decimal
    """What they cost."""
    n_failed: int
    """Attempts of unknown outcome that the bill covers and does not have: failed now, without cost."""
    released_usd: Decimal
    """What was reserved for all of these."""
    n_differing: int
    difference_usd: Decimal
    """Billed less settled, over everything the bill has or covers, after this."""
    n_open: int
    """Attempts of unknown outcome that the bill does not cover: they stay as they are."""
    n_in_flight: int
    n_posted: int
    """Differences posted as corrections."""
    posted_usd: Decimal
    days: tuple[date, ...]
    """Those whose ``cost_daily`` was made again."""
    entries: tuple[dict[str, Any], ...]
    """All but those that agree, the differences first."""


def reconcile(
    settings: Settings, bill: Path, covered: Coverage | None = None, *, is_dry_run: bool = False, is_posting: bool = False
) -> Reconciliation:
    """Close what the bill closes, in the state store and on the lakes that it serves, and return how bill and ledger compare.

    ``is_posting``: what it does not close is posted as corrections. Doing it again changes nothing. A dry run writes nothing. ConfigError
    for a bill that cannot be read.
    """
    if covered is not None:
        check_range(covered.first, covered.last)
    lines, lake, state = read_bill(bill), Lake(settings.lake), open_state(settings.state)
    try:
        calls = _load_calls(state, lake, lines, covered)
        entries = compare(lines, calls, covered, _corrected(settings, calls, lines))
        corrections = _corrections(settings, entries, calls, covered) if is_posting else {}
        in_question = {entry.call.call_id for entry in entries if entry.call}
        days = {(call.lake or settings.lake, call.day) for call in calls if covered is not None or call.call_id in in_question}
        if not is_dry_run:
            closing = [entry for entry in entries if entry.kind in CLOSES]
            _close(state, closing)
            for root, rows in corrections.items():
                _post(Lake(root), rows)
                days |= {(root, row["usage_date"]) for row in rows}
            for root, day in sorted(days):
                _correct_lake(state, Lake(root), day, closing)
                attribute(replace(settings, lake=root), day, day)
            follow(settings, Lake(settings.lake), f"reconcile-{bill.stem}", [LLM_CALLS.name])
    finally:
        state.dispose()
    posted = [] if is_dry_run else [row["cost_usd"] for rows in corrections.values() for row in rows]
    return _report(bill, lines, entries, posted, () if is_dry_run else tuple(sorted({day for _, day in days})))


def _corrected(settings: Settings, calls: Sequence[Call], lines: Sequence[BillLine]) -> dict[str, Decimal]:
    """Return by key what was posted of these attempts and lines before."""
    keys = _texts({call.call_id for call in calls} | {line.key for line in lines})
    where = (pc.field("status") == CORRECTION) & pc.field("operation_id").isin(keys)
    found: dict[str, tuple[str, Decimal]] = {}
    for root in {settings.lake, *(call.lake for call in calls if call.lake)}:
        rows = read(Lake(root), LLM_CALLS, ["call_id", "operation_id", "cost_usd"], where).to_pylist()
        found |= {row["call_id"]: (row["operation_id"], row["cost_usd"]) for row in rows}
    corrected: dict[str, Decimal] = {}
    for key, usd in found.values():
        corrected[key] = corrected.get(key, ZERO) + usd
    return corrected


def _corrections(
    settings: Settings, entries: Sequence[Entry], calls: Sequence[Call], covered: Coverage | None
) -> dict[str, list[dict[str, Any]]]:
    """Return by lake the corrections that bring the ledger to the bill; a request that it does not have is of the last covered day."""
    differing = [entry for entry in entries if entry.difference_usd]
    if covered is None and any(entry.call is None for entry in differing):
        raise ConfigError(
            "the bill has requests that the ledger does not have, and no day for them: say by --from and --to what it is for."
        )
    found = sorted([entry.key, f"{entry.difference_usd}", f"{entry.corrected_usd}"] for entry in differing)
    run_id = f"bill-{sha256(json.dumps(found).encode()).hexdigest()[:32]}"
    now, tiers = datetime.now(UTC), {call.model: call.tier for call in calls}
    corrections: dict[str, list[dict[str, Any]]] = {}
    for entry in differing:
        billed = entry.line.model if entry.line else ""
        model = entry.call.model if entry.call else ledger_model(billed, tiers) or billed
        row = correction(
            run_id=run_id,
            operation_id=entry.key,
            day=entry.call.day if entry.call else covered.last if covered else now.date(),
            model=model,
            tier=tiers.get(model, "expert"),
            provider=model.partition("/")[0],
            kind=DIFFERENCES[entry.kind],
            cost_usd=entry.difference_usd,
            posted_at=now,
        )
        corrections.setdefault((entry.call and entry.call.lake) or settings.lake, []).append(row)
    return corrections


def _post(lake: Lake, rows: list[dict[str, Any]]) -> None:
    calls = to_results(LLM_CALLS, rows)
    validate(lake, LLM_CALLS, calls)
    append(lake, LLM_CALLS, calls, f"reconcile-{rows[0]['run_id']}")


def _load_calls(state: Engine, lake: Lake, lines: Sequence[BillLine], covered: Coverage | None) -> list[Call]:
    """Return the attempts that have a line, and those of the covered days; without such days, the open ones of the days of the others."""
    calls = _of_lines(state, lake, lines)
    days = sorted(call.day for call in calls.values())
    if covered is not None:
        calls |= _of_days(state, lake, covered.first, covered.last, ())
    elif days:
        calls |= _of_days(state, lake, days[0], days[-1], OPEN)
    return list(calls.values())


def _of_lines(state: Engine, lake: Lake, lines: Sequence[BillLine]) -> dict[str, Call]:
    """Return the attempts that the lines name; the lake knows those that the state store has forgotten."""
    call_ids, request_ids = {line.call_id for line in lines if line.call_id}, {line.request_id for line in lines if line.request_id}
    calls = _stored(state, ATTEMPTS.c.call_id, call_ids) | _stored(state, ATTEMPTS.c.provider_request_id, request_ids)
    known = {call.request_id for call in calls.values() if call.request_id}
    if all(line.call_id in calls or line.request_id in known for line in lines):
        return calls
    has_line = pc.field("call_id").isin(_texts(call_ids)) | pc.field("provider_request_id").isin(_texts(request_ids))
    return _on_lake(lake, has_line) | calls


def _of_days(state: Engine, lake: Lake, first: date, last: date, statuses: tuple[str, ...]) -> dict[str, Call]:
    """Return the attempts of these days; ``statuses`` are those that count, none for all."""
    since, until = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(days=1)))
    is_then = (ATTEMPTS.c.sent_at >= since) & (ATTEMPTS.c.sent_at < until)
    in_days = (pc.field("usage_date") >= first) & (pc.field("usage_date") <= last)
    with reading(state) as connection:
        rows = connection.execute(_FIND.where(is_then, *([ATTEMPTS.c.status.in_(statuses)] if statuses else []))).mappings()
        calls = {row["call_id"]: _call(dict(row), row["lake"]) for row in rows}
    on_lake = _on_lake(lake, in_days & pc.field("status").isin(_texts(statuses)) if statuses else in_days)
    stored = _stored(state, ATTEMPTS.c.call_id, on_lake.keys() - calls.keys())
    return {call_id: call for call_id, call in on_lake.items() if call_id not in stored} | calls


def _stored(state: Engine, column: ColumnElement[str], values: Collection[str]) -> dict[str, Call]:
    return {row["call_id"]: _call(row, row["lake"]) for row in _state_rows(state, column, values)}


def _state_rows(state: Engine, column: ColumnElement[str], values: Collection[str]) -> Iterator[dict[str, Any]]:
    with reading(state) as connection:
        for chunk in _chunks(values):
            for row in connection.execute(_FIND.where(column.in_(chunk))).mappings():
                yield dict(row)


def _on_lake(lake: Lake, where: pc.Expression) -> dict[str, Call]:
    columns = ["call_id", "provider_request_id", "deployment", "tier", "model", "status", "sent_at", "reserved_usd", "cost_usd"]
    is_attempt = pc.field("status") != CORRECTION
    return {row["call_id"]: _call(row, lake.url) for row in read(lake, LLM_CALLS, columns, where & is_attempt).to_pylist()}


def _call(row: Mapping[str, Any], lake: str) -> Call:
    return Call(
        call_id=row["call_id"],
        request_id=row["provider_request_id"],
        deployment=row["deployment"],
        model=row["model"],
        status=row["status"],
        day=row["sent_at"].date(),
        reserved_usd=row["reserved_usd"],
        cost_usd=row["cost_usd"],
        is_in_flight=row["status"] == "sent" and row["ends_at"] > datetime.now(UTC),
        lake=lake,
        tier=row["tier"],
    )


def _close(state: Engine, closing: Sequence[Entry]) -> None:
    """Commit what the attempts become, give their reservations back and count what they cost; one that changed meanwhile is left alone."""
    by_id = {entry.call.call_id: (entry, entry.call) for entry in closing if entry.call}
    for chunk in _chunks(by_id):
        with state.begin() as connection:
            locked = [dict(row) for row in connection.execute(_LOCK, {"calls": chunk}).mappings()]
            rows = [row for row in locked if row["status"] == by_id[row["call_id"]][1].status]
            changes: dict[str, tuple[Decimal, Decimal]] = {}
            for row in rows:
                entry, call = by_id[row["call_id"]]
                for counter in counters_of(row):
                    spent, reserved = changes.get(counter, (ZERO, ZERO))
                    changes[counter] = (spent + entry.billed_usd, reserved - (row["reserved_usd"] if call.is_open else ZERO))
            if rows:
                connection.execute(_CLOSE, [{"own_call": row["call_id"], **_closed(row, by_id[row["call_id"]][0])} for row in rows])
                lock_balances(connection, changes)
                move(connection, changes)


def _closed(row: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """Return the changed columns of an attempt. What a process left ``sent`` says that it died, as a publish would have noted."""
    line = entry.line
    return {
        "status": CLOSES[entry.kind],
        "error_kind": row["error_kind"] or "process_died",
        "settled_at": datetime.now(UTC),
        **{name: line.tokens.get(name, row[name]) if line else row[name] for name in METERS},
        "cost_usd": entry.billed_usd,
        "price_ids": "bill" if line else "",
        "provider_request_id": (line.request_id if line else None) or row["provider_request_id"],
    }


def _correct_lake(state: Engine, lake: Lake, day: date, closing: Sequence[Entry]) -> None:
    """Make the day's rows say what the state store says; a row that it has forgotten is closed by the bill itself."""
    can_change = (pc.field("usage_date") == day) & pc.field("status").isin(_texts(("unknown", "failed")))
    on_lake = {row["call_id"]: row for row in read(lake, LLM_CALLS, ["call_id", *CLOSED], can_change).to_pylist()}
    stored = {row["call_id"]: row for row in _state_rows(state, ATTEMPTS.c.call_id, on_lake)}
    values = {call_id: {name: row[name] for name in CLOSED} for call_id, row in stored.items()}
    for entry in closing:
        if entry.call and entry.call.call_id in on_lake and entry.call.call_id not in stored:
            values[entry.call.call_id] = _closed(on_lake[entry.call.call_id], entry)
    changed = {call_id: new for call_id, new in values.items() if new["status"] != on_lake[call_id]["status"]}
    if changed:
        correct(lake, LLM_CALLS, day, changed)


def _report(
    bill: Path, lines: Sequence[BillLine], entries: Sequence[Entry], posted: Sequence[Decimal], days: tuple[date, ...]
) -> Reconciliation:
    billed = sum((line.amount_usd for line in lines), ZERO)
    captured = sum((entry.billed_usd for entry in entries if entry.call), ZERO)
    settled = [entry for entry in entries if CLOSES.get(entry.kind) == "settled"]
    released = [entry.call.reserved_usd for entry in entries if entry.kind in ("billed", "not_billed") and entry.call]
    return Reconciliation(
        bill=str(bill),
        n_lines=len(lines),
        billed_usd=billed,
        captured_usd=captured,
        capture_rate=(captured / billed).quantize(Decimal("0.000001"), ROUND_DOWN) if billed else Decimal(1),
        n_agreeing=_count(entries, "agrees"),
        n_settled=len(settled),
        settled_usd=sum((entry.billed_usd for entry in settled), ZERO),
        n_failed=_count(entries, "not_billed"),
        released_usd=sum(released, ZERO),
        n_differing=_count(entries, *DIFFERENCES) - len(posted),
        difference_usd=sum((entry.difference_usd for entry in entries), ZERO) - sum(posted, ZERO),
        n_open=_count(entries, "open"),
        n_in_flight=_count(entries, "in_flight"),
        n_posted=len(posted),
        posted_usd=sum(posted, ZERO),
        days=days,
        entries=tuple(entry.as_dict() for entry in sorted(entries, key=lambda e: e.kind not in DIFFERENCES) if entry.kind != "agrees"),
    )


def _count(entries: Iterable[Entry], *kinds: str) -> int:
    return sum(entry.kind in kinds for entry in entries)


def _texts(values: Iterable[str]) -> pa.Array:
    return pa.array(sorted(values), pa.string())


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


_NAMES = ("call_id", "run_id", "skill", "team", "deployment", "tier", "model", "reserved_usd", "sent_at", "ends_at", "lake", *CLOSED)
_FIND = select(*(ATTEMPTS.c[name] for name in _NAMES))
_LOCK = _FIND.where(ATTEMPTS.c.call_id.in_(bindparam("calls", expanding=True))).order_by(ATTEMPTS.c.call_id).with_for_update()
_CLOSE = update(ATTEMPTS).where(ATTEMPTS.c.call_id == bindparam("own_call")).values({name: bindparam(name) for name in CLOSED})
