"""What is odd about a day of the ledger: what counts all the same, and what keeps a day from being summed up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import reduce
from typing import Any

import pyarrow.compute as pc

from skillyard.costs.ledger.lines import Day
from skillyard.costs.ledger.reader import Facts
from skillyard.costs.prices.book import METERS, PriceBook
from skillyard.errors import Unpriced


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should look at."""

    kind: str
    """duplicate_rows, conflicting_rows, negative, lost_rows, clock or unpriced."""
    message: str
    """What was found, with its numbers, and what to do."""
    numbers: Mapping[str, Any] = field(default_factory=dict)


def refusals(day: date, facts: Facts, n_published: int, accept_loss: bool) -> list[Finding]:
    """Return why a day cannot be summed up as it is."""
    found = []
    if facts.conflicting:
        text = f"{_named(facts.conflicting)} stand in llm_calls of {day} more than once, with different contents: move the wrong file away."
        found.append(Finding("conflicting_rows", text, {"call_ids": facts.conflicting}))
    if facts.n_negative:
        text = f"{facts.n_negative} calls of {day} have a negative count or amount ({_named(facts.negative)}): no writer of ours does that."
        found.append(
            Finding("negative", f"{text} Correct or move away their file.", {"n_calls": facts.n_negative, "call_ids": facts.negative})
        )
    if facts.n_calls < n_published and not facts.conflicting and not accept_loss:
        text = (
            f"llm_calls of {day} has {facts.n_calls} calls; the tables were made of {n_published}: files of the ledger are gone. "
            f"Restore them, or, if they are meant to be gone: skillyard cost attribute --from {day} --to {day} --accept-loss."
        )
        found.append(Finding("lost_rows", text, {"n_calls": facts.n_calls, "n_published": n_published}))
    return found


def remarks(day: Day, facts: Facts, book: PriceBook, expert: str) -> list[Finding]:
    """Return what is odd about a day that was summed up."""
    found = []
    if facts.n_doubled:
        text = (
            f"{facts.n_doubled} rows stand in llm_calls of {day.day} more than once, all alike: each was counted once. Move the copy away."
        )
        found.append(Finding("duplicate_rows", text, {"n_rows": facts.n_doubled}))
    if facts.n_backwards or facts.n_ahead:
        text = (
            f"{facts.n_backwards} calls of {day.day} were settled before they were sent, {facts.n_ahead} sent on a day yet to come: they "
            "count on the day they say. Look at the clocks of the machines that ask."
        )
        found.append(Finding("clock", text, {"n_backwards": facts.n_backwards, "n_ahead": facts.n_ahead}))
    return [*found, *_unpriced(day, book, expert)]


def _unpriced(day: Day, book: PriceBook, expert: str) -> list[Finding]:
    lines = day.lines
    is_used = reduce(pc.or_, (pc.greater(lines.column(name), 0) for name in METERS))
    is_free = pc.and_(pc.equal(lines.column("status"), "settled"), pc.equal(lines.column("price_ids"), ""))
    free = lines.filter(pc.and_(is_free, is_used)).group_by("model", use_threads=False).aggregate([("n_calls", "sum")])
    found = [
        Finding(
            "unpriced",
            f"{row['n_calls_sum']} settled calls of {row['model']} on {day.day} were charged by no price: they count with what the "
            "ledger says they cost. Add a price: skillyard prices add.",
            {"model": row["model"], "n_calls": row["n_calls_sum"]},
        )
        for row in free.sort_by("model").to_pylist()
    ]
    try:
        book.check(expert, datetime.combine(day.day, time(), UTC))
    except Unpriced as error:
        found.append(
            Finding("unpriced", f"the expert tier has no price on {day.day}, so the day has no baseline: {error}", {"model": expert})
        )
    return found


def _named(call_ids: tuple[str, ...]) -> str:
    return ", ".join(call_ids)
