"""What each deployment took and cost: endpoints paid by the hour beside those paid by the token, and how busy the former really were.

An endpoint of our own charges its calls for idle time by an assumed ``utilisation``, see ``compute``. Measured is the time in which it was
busy (latency / concurrency of its settled live calls) over the time from the first of them to the end of the last. Assumed above
measured: its calls are charged too little.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.attribution import check_range
from skillyard.costs.baseline import METERS
from skillyard.lake.lake import Lake
from skillyard.lake.read import scan
from skillyard.lake.tables import LLM_CALLS
from skillyard.profiles import Deployment, load_profile
from skillyard.settings import Settings

_TOKENS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens")
_COLUMNS = ["deployment", "model", "lane", *METERS.values(), "cost_usd", "latency_ms", "sent_at"]


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """One deployment's settled calls."""

    deployment: str
    model: str
    priced_by: str
    """seconds or tokens."""
    n_calls: int
    n_tokens: int
    cost_usd: Decimal
    usd_per_million_tokens: Decimal | None
    """Input and output together, None without tokens."""
    compute_s: Decimal
    """Seconds charged; what follows is None for a deployment priced by tokens, or not of this profile."""
    busy_s: Decimal | None
    span_s: Decimal | None
    measured_utilisation: Decimal | None
    assumed_utilisation: float | None


@dataclass(slots=True)
class _Sums:
    """What is known of a deployment so far."""

    n_calls: int = 0
    n_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    compute_s: Decimal = Decimal(0)
    latency_ms: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, calls: pa.Table) -> None:
        """Count some of its calls."""
        self.n_calls += calls.num_rows
        self.n_tokens += sum(pc.sum(calls.column(name)).as_py() for name in _TOKENS)
        self.cost_usd += pc.sum(calls.column("cost_usd")).as_py()
        self.compute_s += pc.sum(calls.column("compute_s")).as_py()
        timed = calls.filter((pc.field("lane") == "live") & pc.field("latency_ms").is_valid())
        if timed.num_rows:
            latency = timed.column("latency_ms")
            self.latency_ms += pc.sum(latency).as_py()
            ends = pc.add(timed.column("sent_at"), pc.multiply(latency.cast(pa.int64()), 1000).cast(pa.duration("us")))
            first, last = pc.min(timed.column("sent_at")).as_py(), pc.max(ends).as_py()
            self.first, self.last = min(self.first or first, first), max(self.last or last, last)


def endpoint_report(settings: Settings, first: date, last: date) -> list[EndpointRow]:
    """Return a row for every deployment with settled calls on these days, dearest first; concurrency and utilisation are the profile's."""
    check_range(first, last)
    profile = load_profile(settings.profile, settings.include)
    deployments = {(d.name, d.model): d for of_tier in profile.tiers.values() for d in of_tier}
    where = (pc.field("usage_date") >= first) & (pc.field("usage_date") <= last) & (pc.field("status") == "settled")
    found: dict[tuple[str, str], _Sums] = {}
    for batch in scan(Lake(settings.lake), LLM_CALLS.name, _COLUMNS, where):
        calls = pa.Table.from_batches([batch])
        for pair in calls.select(["deployment", "model"]).group_by(["deployment", "model"]).aggregate([]).to_pylist():
            key = (pair["deployment"], pair["model"])
            found.setdefault(key, _Sums()).add(calls.filter((pc.field("deployment") == key[0]) & (pc.field("model") == key[1])))
    rows = [_row(key, sums, deployments) for key, sums in found.items()]
    return sorted(rows, key=lambda row: (-row.cost_usd, row.deployment, row.model))


def _row(key: tuple[str, str], sums: _Sums, deployments: Mapping[tuple[str, str], Deployment]) -> EndpointRow:
    deployment, busy, span = deployments.get(key), None, None
    if deployment is not None and sums.compute_s and sums.first is not None and sums.last is not None:
        busy = _places(Decimal(sums.latency_ms) / 1000 / deployment.concurrency, 3)
        span = Decimal((sums.last - sums.first) // timedelta(microseconds=1)) / 1_000_000
    return EndpointRow(
        *key,
        priced_by="seconds" if sums.compute_s else "tokens",
        n_calls=sums.n_calls,
        n_tokens=sums.n_tokens,
        cost_usd=sums.cost_usd,
        usd_per_million_tokens=_places(sums.cost_usd * 1_000_000 / sums.n_tokens, 6) if sums.n_tokens else None,
        compute_s=sums.compute_s,
        busy_s=busy,
        span_s=span,
        measured_utilisation=_places(busy / span, 4) if busy is not None and span else None,
        assumed_utilisation=deployment.utilisation if deployment is not None and sums.compute_s else None,
    )


def _places(value: Decimal, n: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-n), ROUND_HALF_EVEN)
