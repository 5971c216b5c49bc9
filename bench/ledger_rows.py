"""A ledger as a busy installation has it, made by numpy: weekdays, skewed skills and documents, retries, rejects, caches, batches.

Every row is priced by the installation's own book. A day's rows come in the order in which they were sent, cut into parts of the size that
compaction and large shards leave. The same number of rows is always the same ledger.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.prices.book import PriceBook, Usage
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.tables import AUDITS, DOCUMENTS, LLM_CALLS, REJECTS, Table

FIRST, N_DAYS = date(2026, 10, 1), 30
PART_ROWS = 8_000
N_SKILLS, N_TEAMS, MOST_RUNS = 160, 12, 6
TIERS = ("fast", "standard", "expert")
MODELS = (
    ("openai/gpt-6-luna", "anthropic/claude-haiku-5-5"),
    ("openai/gpt-5.6-terra", "anthropic/claude-sonnet-5"),
    ("openai/gpt-5.6-sol", "anthropic/claude-opus-5"),
)
EXPERT = "anthropic/claude-opus-5"
PURPOSES = ("answer", "vote", "routing", "audit", "judge", "eval")
PURPOSE_SHARES = (0.90, 0.02, 0.03, 0.03, 0.015, 0.005)
STATUSES = ("settled", "failed", "unknown", "cached")
SETTLED, FAILED, UNKNOWN, CACHED = range(4)
CALLS_A_DOCUMENT = 20
WEEKEND = 0.4
"""Of a weekday's work."""
AUDITS_A_DAY = 2
"""Of each of the first AUDITED skills."""
AUDITED = 60

Ints = npt.NDArray[np.int64]
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents that calls are about, the most asked for first."""

    ids: pa.Array
    n_pages: Ints


def write_lake(lake: Lake, n_rows: int, book: PriceBook) -> None:
    """Write a ledger of so many rows over N_DAYS days, and the documents, rejects and audits that belong to it."""
    random = np.random.default_rng(n_rows)
    documents = make_documents(random, max(n_rows // CALLS_A_DOCUMENT, 100))
    write_documents(lake, documents)
    for day, n_of_day in zip(days(), rows_a_day(n_rows), strict=True):
        calls, rejects = make_day(random, day, n_of_day, documents, book)
        for number, start in enumerate(range(0, n_of_day, PART_ROWS)):
            append(lake, LLM_CALLS, calls.slice(start, PART_ROWS), f"{day}-{number:04d}")
        append(lake, REJECTS, rejects, f"{day}")
        append(lake, AUDITS, make_audits(random, day, documents), f"{day}")


def days() -> list[date]:
    """Return the days of the ledger."""
    return [FIRST + timedelta(days=number) for number in range(N_DAYS)]


def rows_a_day(n_rows: int) -> list[int]:
    """Return how many rows each day has: a weekend has fewer."""
    weights = [WEEKEND if day.weekday() >= 5 else 1.0 for day in days()]
    counts = [int(n_rows * weight / sum(weights)) for weight in weights]
    counts[0] += n_rows - sum(counts)
    return counts


def make_documents(random: Random, n: int) -> Documents:
    """Return documents of a page or a few, some of hundreds."""
    return Documents(random_hex(random, n, 64), np.minimum(random.zipf(1.8, n), 500).astype(np.int64))


def write_documents(lake: Lake, documents: Documents) -> None:
    """Write the rows of ``documents``, as ingested on the day before the first."""
    day, n = FIRST - timedelta(days=1), len(documents.ids)
    uris = pc.binary_join_element_wise("s3://inbox/", documents.ids, ".pdf", "")
    fill = {"doc_id": documents.ids, "uri": uris, "n_pages": pa.array(documents.n_pages), "etag": documents.ids}
    same = {"kind": "pdf", "mime_type": "application/pdf", "size_bytes": 1 << 18, "n_chars": 9000, "n_chunks": 4, "status": "parsed"}
    rows = table_of(DOCUMENTS, n, fill, same | {"run_id": "ingest-1", "ingested_at": noon(day), "ingested_on": day})
    append(lake, DOCUMENTS, rows, "ingest-1")


def make_day(random: Random, day: date, n: int, documents: Documents, book: PriceBook) -> tuple[pa.Table, pa.Table]:
    """Return a day's n rows of ``llm_calls`` in the order in which they were sent, and its rows of ``rejects``."""
    operations = make_operations(random, n)
    n_attempts = operations["n_attempts"]
    op = np.repeat(np.arange(n), n_attempts)[:n]
    attempt = (np.arange(op.size) - np.repeat(np.cumsum(n_attempts) - n_attempts, n_attempts)[:n]) + 1
    is_last = np.append(op[1:] != op[:-1], True)
    of_op = {name: values[op] for name, values in operations.items()}
    status = np.where(
        of_op["is_cached"], CACHED, np.where(is_last, of_op["last_status"], np.where(random.random(n) < 0.35, FAILED, SETTLED))
    )
    tier = np.minimum(of_op["tier"] + (attempt - 1) * of_op["escalates"], len(TIERS) - 1)
    model = (of_op["skill"] + (random.random(n) < 0.1)) % 2
    lane = of_op["is_batch"]
    usage = make_usage(random, n)
    for values in usage.values():
        values[status != SETTLED] = 0
    bought = {name: np.where(status == CACHED, values, usage[name]) for name, values in make_usage(random, n).items()}
    cost, price_ids = priced(book, day, tier * 2 + model, lane, bought)
    skill, run = of_op["skill"], of_op["run"]
    sent_at = np.int64(noon(day).timestamp() * 1e6) - np.int64(11.5 * 3600e6) + (np.arange(n) * 80_000_000_000 // n)
    latency_ms = random.integers(300, 9000, n)
    doc_id = documents.ids.take(pa.array(of_op["doc"] % len(documents.ids)))
    page_no = pc.cast(pa.array(of_op["page"] % documents.n_pages[of_op["doc"] % len(documents.ids)] + 1), pa.string())
    item_id = pc.if_else(pa.array(skill % 5 < 3), doc_id, pc.binary_join_element_wise(doc_id, page_no, ":"))
    op_ids = random_hex(random, n, 32).take(pa.array(op))
    names = [f"skill-number-{number:03d}" for number in range(N_SKILLS)]
    run_ids = [f"scheduled__{day}T{2 + 3 * number:02d}:15:00+00:00" for number in range(MOST_RUNS)]
    shown = {
        "call_id": random_hex(random, n, 32),
        "operation_id": op_ids,
        "run_id": coded(run, run_ids),
        "dag_id": coded(np.where(run == MOST_RUNS - 1, N_SKILLS, skill), [*(f"skill.{name}" for name in names), "cli"]),
        "skill": coded(skill, names),
        "fingerprint": coded(skill * 2 + (day >= FIRST + timedelta(days=15)), fingerprints()),
        "team": coded((skill * 7) % N_TEAMS, [f"team-{number:02d}" for number in range(N_TEAMS)]),
        "item_id": item_id,
        "doc_id": doc_id,
        "attempt_no": pa.array(attempt),
        "sample_no": pa.array(attempt - 1),
        "tier": coded(tier, TIERS),
        "model": coded(tier * 2 + model, [name for of_tier in MODELS for name in of_tier]),
        "deployment": coded(tier * 2 + model, [name.split("/")[1] for of_tier in MODELS for name in of_tier]),
        "lane": coded(lane, ("live", "batch")),
        "service_tier": coded(lane, ("standard", "batch")),
        "purpose": coded(of_op["purpose"], PURPOSES),
        "request_hash": random_hex(random, n, 64),
        "status": coded(status, STATUSES),
        "error_kind": pa.array(np.where(status == FAILED, "server_error", "timed_out"), mask=(status == SETTLED) | (status == CACHED)),
        "finish_reason": pa.array(np.full(n, "stop"), mask=status != SETTLED),
        **{name: pa.array(values) for name, values in usage.items()},
        "reserved_usd": money(np.where(status == CACHED, 0, cost * 2)),
        "cost_usd": money(np.where(status == SETTLED, cost, 0), status == UNKNOWN),
        "saved_usd": money(np.where(status == CACHED, cost, 0)),
        "price_ids": price_ids,
        "provider_request_id": pc.if_else(pa.array(status == SETTLED), random_hex(random, n, 24), pa.scalar(None, pa.string())),
        "sent_at": pa.array(sent_at, pa.timestamp("us", tz="UTC")),
        "settled_at": pa.array(sent_at + latency_ms * 1000, pa.timestamp("us", tz="UTC")),
        "latency_ms": pa.array(latency_ms),
    }
    calls = table_of(LLM_CALLS, n, shown, {"max_tokens": 1024, "usage_date": day})
    is_rejected = is_last & of_op["is_rejected"] & (status == SETTLED) & (of_op["purpose"] == 0)
    return calls, make_rejects(calls.filter(pa.array(is_rejected)), day)


def make_operations(random: Random, n: int) -> dict[str, Ints]:
    """Return what n operations are: more than the rows need, run after run."""
    skill = np.minimum(random.zipf(1.25, n) - 1, 10**9) % N_SKILLS
    run = random.integers(0, MOST_RUNS, n) % (1 + skill * 3 % MOST_RUNS)
    order = np.lexsort((skill, run))
    purpose = random.choice(len(PURPOSES), n, p=PURPOSE_SHARES)
    is_answer = purpose == 0
    is_cached = is_answer & (random.random(n) < 0.08 / 0.9 * 1.1)
    more = random.random(n)
    return {
        "skill": skill[order],
        "run": run[order],
        "purpose": purpose,
        "doc": (random.pareto(1.1, n) * 500).astype(np.int64),
        "page": random.integers(0, 1 << 30, n),
        "tier": np.searchsorted([0.72, 0.90], random.random(n)),
        "escalates": random.integers(0, 2, n),
        "is_batch": (is_answer & (random.random(n) < 0.15 / 0.9)).astype(np.int64),
        "is_cached": is_cached,
        "is_rejected": random.random(n) < 0.01,
        "last_status": np.searchsorted([0.989, 0.996], random.random(n)),
        "n_attempts": np.where(is_answer & ~is_cached, 1 + (more < 0.10) + (more < 0.025), 1),
    }


def make_usage(random: Random, n: int) -> dict[str, Ints]:
    """Return tokens: skewed, a third of the prompts partly from a cache, one in a thousand very long."""
    prompt = (random.lognormal(7.2, 0.8, n) + 50).astype(np.int64)
    prompt[random.random(n) < 0.001] += 250_000
    read = np.where(random.random(n) < 0.3, prompt * 6 // 10, 0)
    written = np.where(random.random(n) < 0.03, prompt // 4, 0)
    output = (random.lognormal(4.6, 0.7, n) + 5).astype(np.int64)
    zero = np.zeros(n, np.int64)
    return {
        "input_tokens": prompt - read - written,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "output_tokens": output,
        "cache_write_1h_tokens": zero,
        "reasoning_tokens": zero.copy(),
        "n_images": zero.copy(),
    }


def priced(book: PriceBook, day: date, model: Ints, lane: Ints, usage: dict[str, Ints]) -> tuple[Ints, pa.Array]:
    """Return what each row costs in units of 10^-12 USD, and the rows of the book that made it: as ``PriceBook.cost`` says."""
    meters = {"input": "input_tokens", "cache_read": "cache_read_tokens", "cache_write": "cache_write_tokens", "output": "output_tokens"}
    used = np.stack([usage[name] for name in meters.values()])
    prompt = used[:3].sum(axis=0)
    names = [name for of_tier in MODELS for name in of_tier]
    cost, ids, texts = np.zeros(model.size, np.int64), np.zeros(model.size, np.int64), [""]
    for number, name in enumerate(names):
        tiers = (0, *book.context_tiers(name, day))
        over = np.searchsorted(np.array(tiers[1:], np.int64), prompt, side="left")
        for of_lane, service_tier in enumerate(("standard", "batch")):
            for step, at_least in enumerate(tiers):
                mine = (model == number) & (lane == of_lane) & (over == step)
                rates = book.rates(name, noon(day), service_tier, context_tokens=at_least + 1)
                units = np.array([int(rates[part].scaleb(12)) for part in meters], np.int64)
                cost[mine] = units @ used[:, mine]
                for has_read, has_written in ((0, 0), (0, 1), (1, 0), (1, 1)):
                    shown = Usage(at_least + 1, has_read, has_written, 1)
                    texts.append(",".join(book.cost(name, shown, noon(day), service_tier).price_ids))
                    ids[mine & ((used[1] > 0) == has_read) & ((used[2] > 0) == has_written)] = len(texts) - 1
    return cost, coded(ids, texts)


def make_rejects(calls: pa.Table, day: date) -> pa.Table:
    """Return the rows of ``rejects`` for items whose last answer was not taken, each once."""
    keys = calls.group_by(["run_id", "skill", "item_id", "doc_id", "fingerprint", "tier"]).aggregate([])
    first = keys.group_by(["run_id", "skill", "item_id"], use_threads=False).aggregate(
        [(n, "first") for n in ("doc_id", "fingerprint", "tier")]
    )
    fill = {name.removesuffix("_first"): first.column(name) for name in first.column_names}
    same = {"stage": "answer", "error_kind": "invalid_output", "error_message": "not what the schema asks for", "n_attempts": 1}
    return table_of(REJECTS, first.num_rows, fill, same | {"cost_usd": Decimal(0), "rejected_at": noon(day), "rejected_on": day})


def make_audits(random: Random, day: date, documents: Documents) -> pa.Table:
    """Return the day's audits: a few items of some skills, on every tier."""
    skill, item = (
        np.repeat(np.arange(AUDITED), AUDITS_A_DAY * 3),
        np.repeat(random.integers(0, len(documents.ids), AUDITED * AUDITS_A_DAY), 3),
    )
    tier, n = np.tile(np.arange(3), AUDITED * AUDITS_A_DAY), AUDITED * AUDITS_A_DAY * 3
    doc_id = documents.ids.take(pa.array(item))
    fill = {
        "skill": coded(skill, [f"skill-number-{number:03d}" for number in range(N_SKILLS)]),
        "fingerprint": coded(skill * 2, fingerprints()),
        "item_id": doc_id,
        "doc_id": doc_id,
        "tier": coded(tier, TIERS),
        "model": coded(np.where(tier == 2, 5, tier * 2 + skill % 2), [name for of_tier in MODELS for name in of_tier]),
        "cost_usd": money((random.lognormal(0, 0.3, n) * 10.0 ** (8 + tier)).astype(np.int64)),
        "weight": pa.array(np.repeat(random.choice([0.5, 1.0, 2.0], n // 3), 3)),
    }
    same = {
        "audit_id": f"audit-{day}",
        "result_run_id": "r",
        "is_served": False,
        "route_score": 0.5,
        "router_version": "r1",
        "stratum": "all",
    }
    same |= {"has_passed": True, "agreement": 1.0, "field_agreement": "{}", "audit_cost_usd": Decimal(0)}
    return table_of(AUDITS, n, fill, same | {"audited_at": noon(day), "audited_on": day})


def table_of(table: Table, n: int, fill: dict[str, pa.Array], same: dict[str, object]) -> pa.Table:
    """Return n rows: some columns as given, some with one value, numbers 0 and the rest null."""
    columns = []
    for field in table.schema:
        if field.name in fill:
            columns.append(fill[field.name].cast(field.type))
        else:
            default = None if field.nullable else Decimal(0) if pa.types.is_decimal(field.type) else 0
            columns.append(pa.repeat(pa.scalar(same.get(field.name, default), field.type), n))
    return pa.table(columns, schema=table.schema)


def coded(index: Ints, values: tuple[str, ...] | list[str]) -> pa.Array:
    """Return one of the values for each index, as text."""
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), pa.array(values)).cast(pa.string())


def fingerprints() -> list[str]:
    """Return two versions of each skill."""
    return random_hex(np.random.default_rng(7), N_SKILLS * 2, 64).to_pylist()


def random_hex(random: Random, n: int, width: int) -> pa.Array:
    """Return n texts of so many hexadecimal digits."""
    digits = random.bytes(n * width // 2).hex().encode()
    return pa.StringArray.from_buffers(n, pa.py_buffer(np.arange(n + 1, dtype=np.int32) * width), pa.py_buffer(digits))


def money(units: Ints, is_null: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return amounts of 10^-12 USD as decimals."""
    wide = np.stack([units.astype(np.int64), np.where(units < 0, -1, 0)], axis=1)
    amounts = pa.Array.from_buffers(pa.decimal128(28, 12), len(units), [None, pa.py_buffer(np.ascontiguousarray(wide))])
    return amounts if is_null is None else pc.if_else(pa.array(is_null), pa.scalar(None, amounts.type), amounts)


def noon(day: date) -> datetime:
    """Return noon of a day, UTC."""
    return datetime.combine(day, time(12), UTC)
