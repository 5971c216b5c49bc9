"""The ledger's way to the lake: with each publish, and nightly for what no publish has taken."""

import os
import socket
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import Engine

from skillyard.errors import RunLocked
from skillyard.gateway import drain
from skillyard.gateway.state import open_state
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.tables import LLM_CALLS
from skillyard.lake.validate import validate
from skillyard.running.lease import release_lease, take_lease
from skillyard.running.runs import run_lease, slug
from skillyard.settings import Settings


def drain_ledger(lake: Lake, state: Engine, skill: str, prefix: str) -> int:
    """Write a skill's ledger rows to ``llm_calls`` and return how many: parts that a dead publish left as they were, newer rows as another.

    Call it when no task of the skill is at work on the lake. ``prefix`` begins the name of the new part.
    """
    n_own = sum(part.startswith(f"{prefix}-") for part in drain.claimed_parts(state, skill, lake.url))
    drain.claim_part(state, skill, lake.url, f"{prefix}-{n_own:03d}")
    n_rows = 0
    for part in sorted(part for part, is_confirmed in drain.claimed_parts(state, skill, lake.url).items() if not is_confirmed):
        rows = [_call_row(dict(row)) for row in drain.part_rows(state, part)]
        calls = pa.Table.from_pylist(rows, schema=LLM_CALLS.schema)
        validate(lake, LLM_CALLS, calls)
        append(lake, LLM_CALLS, calls, part)
        drain.confirm_part(state, part)
        n_rows += len(rows)
    return n_rows


def drain_idle(settings: Settings) -> dict[str, int]:
    """Drain the ledgers of all skills that no run is at work on, as of runs that died and were not started again; return rows by skill."""
    lake, state = Lake(settings.lake), open_state(settings.state)
    owner = f"drain:{socket.gethostname()}:{os.getpid()}"
    drained = {}
    for skill in drain.idle_ledgers(state, lake.url):
        lease = run_lease(skill, settings.lake)
        try:
            take_lease(state, lease, owner)
        except RunLocked:
            continue
        try:
            drained[skill] = drain_ledger(lake, state, skill, f"{slug(skill)}-idle-{datetime.now(UTC):%Y%m%dT%H%M%S}")
        finally:
            release_lease(state, lease, owner)
    state.dispose()
    return drained


def _call_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in LLM_CALLS.schema.names if name != "usage_date"} | {"usage_date": row["sent_at"].date()}
