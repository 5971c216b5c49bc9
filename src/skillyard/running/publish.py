"""Publish what a run has finished, and close it: results, rejects and ledger rows to the lake, every planned item accounted for.

Shards are published in batches. A batch is claimed by writing the list of its shards before its rows: whoever repeats the publish,
after a crash or after more shards were done, finishes the claimed batches with the same rows under the same names.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any

import pyarrow as pa

from skillyard.errors import CountMismatch, RunIncomplete
from skillyard.gateway import drain, ledger
from skillyard.lake.iceberg import follow
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.replace import replace_rows
from skillyard.lake.results import to_results
from skillyard.lake.tables import REJECTS
from skillyard.lake.validate import Validation
from skillyard.running.answer import FAILED_PENDING
from skillyard.running.lease import release_lease
from skillyard.running.ledger import drain_ledger
from skillyard.running.route import planned_shards
from skillyard.running.runs import RunPlan, Workspace, outcome_key, results_of, slug, suite_of
from skillyard.settings import Settings
from skillyard.skills import Skill
from skillyard.tiers import TIERS


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended: planned = results + rejects + pending."""

    skill: str
    run_id: str
    state: str
    """``done``, or what left items pending: ``budget``, ``failed``, ``waiting_for_batch``, ``deadline``; the first of these that did."""
    n_planned: int
    n_results: int
    n_rejects: int
    n_pending: int
    pending: dict[str, int]
    """Items by reason."""
    rejects: dict[str, int]
    """Items by error_kind."""
    tiers: dict[str, int]
    """Results by the tier of the accepted answer."""
    n_escalations: int
    n_calls: int
    """Ledger rows of this run: attempts and cache hits."""
    n_unknown: int
    cost_usd: str
    """Settled cost of the run's attempts."""
    warnings: list[str] = field(default_factory=list)
    """Checks of the published rows that failed and only warn."""


def publish_run(settings: Settings, run_key: str) -> RunReport:
    """Commit every finished item, drain the ledger, check the counts. Repeating it changes nothing that stands.

    The ledger goes first: what was paid is on the lake even when a table's validation then refuses the results.
    """
    plan = RunPlan.load(Lake(settings.lake), run_key)
    space = Workspace.of_plan(settings, plan)
    drain_ledger(space.lake, space.state, plan.skill, f"{slug(plan.skill)}-{slug(plan.run_id)}")
    shards = planned_shards(space.lake, run_key)
    warned: dict[str, None] = {}
    for number, keys in _claim_batches(space.lake, run_key, shards):
        warned |= dict.fromkeys(_publish_batch(space, plan, f"{slug(plan.skill)}-{slug(plan.run_id)}-{number:03d}", keys))
    report = replace(_account(space, plan, shards), warnings=list(warned))
    space.lake.write_json(f"{run_key}/report.json", asdict(report))
    follow(settings, space.lake, plan.run_id, [results_of(space.skill).name, "rejects", "llm_calls", "quality_checks"])
    return report


def finish_run(settings: Settings, run_key: str) -> RunReport:
    """Release the run's lease and return its report; RunIncomplete when items are left pending through failure."""
    lake = Lake(settings.lake)
    plan = RunPlan.load(lake, run_key)
    space = Workspace.of_plan(settings, plan)
    release_lease(space.state, plan.lease, plan.lease_owner)
    report = RunReport(**lake.read_json(f"{run_key}/report.json"))
    failed = {reason: n for reason, n in report.pending.items() if reason in FAILED_PENDING}
    if failed:
        raise RunIncomplete(
            f"{plan.skill}: {sum(failed.values())} of {report.n_planned} items are pending ({_words(failed)}); "
            f"{report.n_results} results and {report.n_rejects} rejects are published. Paid answers are kept: "
            "run the skill again and only what is missing is asked."
            + (" Raise the budget first, in teams.yaml or for the run, or wait for its next day or month." if "budget" in failed else "")
        )
    return report


def _claim_batches(lake: Lake, run_key: str, shards: list[str]) -> list[tuple[int, list[str]]]:
    """Return every batch of done shards, the shards that are done since the last claim as a new one."""
    folder = f"{run_key}/batches/"
    claims = [(number, lake.read_json(info.key)) for number, info in enumerate(lake.storage.list(folder))]
    claimed = {key for _, keys in claims for key in keys}
    fresh = [key for key in shards if key not in claimed and lake.has(outcome_key(key))]
    if fresh:
        lake.write_json(f"{folder}{len(claims):04d}.json", fresh)
        claims.append((len(claims), fresh))
    return claims


def _publish_batch(space: Workspace, plan: RunPlan, part: str, shards: list[str]) -> list[str]:
    """Check the batch's rows, commit them and close their journal; return what the checks warn of."""
    rows = [row for key in shards for row in space.lake.read_frame(outcome_key(key)).to_pylist()]
    table = results_of(space.skill)
    results = to_results(table, [_result_row(plan, row) for row in rows if row["kind"] == "result"])
    rejects = pa.Table.from_pylist([_reject_row(plan, row) for row in rows if row["kind"] == "reject"], schema=REJECTS.schema)
    checks = Validation(space.lake, plan.run_id)
    checks.add(table, results, suite_of(space.skill), {"reject_share": (rejects.num_rows, rejects.num_rows + results.num_rows)})
    checks.add(REJECTS, rejects)
    warned = [str(outcome) for outcome in checks.close()]
    if results.num_rows:
        replace_rows(space.lake, table, results, part)
    if rejects.num_rows:
        append(space.lake, REJECTS, rejects, part)
    ended = {kind: [row["item_id"] for row in rows if row["kind"] == kind] for kind in ("result", "reject")}
    with space.state.begin() as connection:
        ledger.end_journal(connection, plan.skill, plan.fingerprint, ended["result"], ended["reject"], cache_ttl(space.skill))
    return warned


def cache_ttl(skill: Skill) -> dict[str, timedelta | None]:
    """Return by tier how long a skill's published answers may be given again; None: while its fingerprint is asked for."""
    if skill.cache_ttl_s is None:
        return dict(ledger.CACHE_TTL)
    lasts = None if skill.cache_ttl_s == "fingerprint" else timedelta(seconds=skill.cache_ttl_s)
    return dict.fromkeys(TIERS, lasts)


def _account(space: Workspace, plan: RunPlan, shards: list[str]) -> RunReport:
    """Count what became of every planned item, keep the pending ones, and compare with the plan."""
    items = space.lake.read_frame(f"{plan.run_key}/items.parquet").column("item_id").to_pylist()
    ended: dict[str, dict[str, Any]] = {}
    n_rows = 0
    for key in shards:
        if space.lake.has(outcome_key(key)):
            rows = space.lake.read_frame(outcome_key(key)).select(["item_id", "kind", "tier", "error_kind", "n_escalations"]).to_pylist()
            n_rows += len(rows)
            ended.update((row["item_id"], row) for row in rows)
    kinds = Counter(row["kind"] for row in ended.values())
    pending = {
        i: ended[i]["error_kind"] if i in ended else "failed_shard" for i in items if i not in ended or ended[i]["kind"] == "pending"
    }
    if len(items) != plan.n_planned or n_rows != len(ended) or kinds["result"] + kinds["reject"] + len(pending) != plan.n_planned:
        raise CountMismatch(
            f"{plan.skill} {plan.run_id}: {plan.n_planned} planned, {len(items)} listed, {n_rows} outcomes of {len(ended)} items, "
            f"{kinds['result']} results + {kinds['reject']} rejects + {len(pending)} pending. Nothing may vanish: look at {plan.run_key}."
        )
    frame = {"item_id": list(pending), "reason": list(pending.values())}
    space.lake.write_frame(f"{plan.run_key}/pending.parquet", pa.table(frame, schema=pa.schema([(n, pa.string()) for n in frame])))
    n_calls, n_unknown, cost = drain.totals(space.state, plan.skill, plan.run_id)
    return RunReport(
        skill=plan.skill,
        run_id=plan.run_id,
        state=_state(set(pending.values())),
        n_planned=plan.n_planned,
        n_results=kinds["result"],
        n_rejects=kinds["reject"],
        n_pending=len(pending),
        pending=dict(Counter(pending.values())),
        rejects=dict(Counter(row["error_kind"] for row in ended.values() if row["kind"] == "reject")),
        tiers=dict(Counter(row["tier"] for row in ended.values() if row["kind"] == "result")),
        n_escalations=sum(row["n_escalations"] for row in ended.values()),
        n_calls=n_calls,
        n_unknown=n_unknown,
        cost_usd=str(cost),
    )


def _state(reasons: set[str]) -> str:
    if "budget" in reasons:
        return "budget"
    if reasons & FAILED_PENDING:
        return "failed"
    return next((reason for reason in ("waiting_for_batch", "deadline") if reason in reasons), "done")


def _result_row(plan: RunPlan, row: dict[str, Any]) -> dict[str, Any]:
    same = (
        "item_id",
        "doc_id",
        "page_no",
        "chunk_no",
        "uri",
        "tier",
        "model",
        "route_reason",
        "route_score",
        "router_version",
        "n_attempts",
        "n_escalations",
        "cost_usd",
    )
    return {
        **json.loads(row["value"]),
        **{name: row[name] for name in same},
        "fingerprint": plan.fingerprint,
        "is_stale": False,
        "run_id": plan.run_id,
        "produced_at": row["ended_at"],
        "produced_on": row["ended_at"].date(),
    }


def _reject_row(plan: RunPlan, row: dict[str, Any]) -> dict[str, Any]:
    same = ("item_id", "doc_id", "uri", "tier", "error_kind", "error_message", "n_attempts", "cost_usd")
    return {
        **{name: row[name] for name in same},
        "run_id": plan.run_id,
        "stage": "answer",
        "skill": plan.skill,
        "fingerprint": plan.fingerprint,
        "rejected_at": row["ended_at"],
        "rejected_on": row["ended_at"].date(),
    }


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in sorted(counts.items()))
