"""A state store of each kind, and rows and claims as a gateway makes them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from skillyard.gateway.state import METADATA, open_state


@pytest.fixture(params=["sqlite", "postgres"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty state store, in SQLite and in a real PostgreSQL."""
    url = f"sqlite:///{tmp_path / 'state.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = open_state(url)
    yield engine
    with engine.begin() as connection:
        METADATA.drop_all(connection)
    engine.dispose()


def attempt(call_id: str, item: str = "item-1", usd: str = "0.01", **changed: Any) -> dict[str, Any]:
    """Return an attempt's row as it leaves, sent now."""
    now = datetime.now(UTC)
    row: dict[str, Any] = {"call_id": call_id, "operation_id": f"op-{item}", "run_id": "r1", "dag_id": "cli", "skill": "tag"}
    row |= {"fingerprint": "f" * 64, "team": "care", "item_id": item, "doc_id": item, "sample_no": 0, "tier": "fast", "model": "m"}
    row |= {"deployment": "d", "lane": "live", "request_hash": "h" * 64, "max_tokens": 100, "reserved_usd": Decimal(usd)}
    row |= {"sent_at": now, "ends_at": now + timedelta(minutes=1), "owner": "elsewhere:1:1"}
    return row | changed
