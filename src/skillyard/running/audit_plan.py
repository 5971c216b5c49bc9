"""What one audit of a skill looks at, drawn from its current results and kept on the lake, so that every try works on the same sample.

``_runs/audit.<skill>/<name>/sample.parquet`` is written once. Later audits of the skill leave out what an earlier one has drawn, and know
from it which results are new.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.lake.tables import MONEY, SHARE, TEXT, TIMESTAMP
from skillyard.profiles import Profile
from skillyard.routing.decide import HEURISTIC
from skillyard.running.audit_sample import Candidate, draw
from skillyard.running.items import Item, items_of
from skillyard.running.runs import Workspace, results_of, run_key, slug
from skillyard.skills import Skill, SkillError
from skillyard.tiers import TIERS

MOST_EARLIER = 200
"""Audits that are looked back at: half a year of nights."""
SAMPLE_SCHEMA = pa.schema(
    [
        *((name, TEXT) for name in ("item_id", "doc_id")),
        *((name, TEXT) for name in ("result_run_id", "fingerprint", "parameters", "tier", "model", "answer", "router_version", "stratum")),
        *((name, SHARE) for name in ("route_score", "weight")),
        ("cost_usd", MONEY),
        *((name, TIMESTAMP) for name in ("produced_at", "drawn_at", "newest_at")),
    ]
)


@dataclass(frozen=True, slots=True)
class Sampled:
    """A result that is audited, and its item."""

    item: Item
    result_run_id: str
    fingerprint: str
    parameters: Mapping[str, Any]
    tier: str
    """The tier that served it."""
    model: str
    answer: Mapping[str, Any]
    router_version: str
    stratum: str
    route_score: float
    weight: float
    cost_usd: Decimal
    """What the run paid for the result, all its tiers together."""
    produced_at: datetime


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """One audit: its sample, and when it was drawn."""

    audit_id: str
    drawn_at: datetime
    newest_at: datetime | None
    """When the newest result was made that the sample could have had; None without results."""
    n_candidates: int
    """Current results that no earlier audit has drawn; of an audit that is read back, the sample's size."""
    sample: tuple[Sampled, ...]


def compared_tiers(skill: Skill, profile: Profile) -> dict[str, str]:
    """Return each tier the skill may use with the one under whose name its answers are compared: ``same_deployment`` tiers are one.

    The highest keeps its name.
    """
    names: dict[str, str] = {}
    for tier in (skill.tier_max, *skill.lanes[:-1]):
        names[tier] = next((name for name in names.values() if profile.is_same(tier, name)), tier)
    return {tier: names[tier] for tier in TIERS if tier in names}


def audit_key(skill: str, name: str) -> str:
    """Return the folder of an audit on the lake."""
    return f"_runs/audit.{skill}/{slug(name)}"


def audit_id(skill: str, name: str) -> str:
    """Return the id of an audit, which is the run_id of its calls too."""
    return f"audit-{skill}-{slug(name)}"


def make_plan(space: Workspace, profile: Profile, name: str, n: int, at: datetime) -> AuditPlan:
    """Draw the sample of an audit, without writing it."""
    skill, lake = space.skill, space.lake
    names, seen = compared_tiers(skill, profile), _seen(lake, skill.name)
    columns = ["item_id", "tier", "model", "route_score", "fingerprint", "is_stale", "run_id", "produced_at"]
    models = {tier: {d.model for d in profile.deployments(tier)} for tier in names}
    current = {row["item_id"]: row for row in _current(space, read(lake, results_of(skill), columns).to_pylist())}
    candidates = [
        Candidate(row["item_id"], names[row["tier"]], row["route_score"], seen.newest_at is None or row["produced_at"] > seen.newest_at)
        for row in current.values()
        if row["model"] in models.get(row["tier"], ()) and (row["item_id"], row["run_id"]) not in seen.results
    ]
    drawn = {d.item_id: d for d in draw(candidates, n, skill.tier_max, f"{skill.name} {name}")}
    rows = [row | {"stratum": drawn[i].stratum, "weight": drawn[i].weight} for i, row in current.items() if i in drawn]
    newest = max((row["produced_at"] for row in current.values()), default=None)
    return AuditPlan(audit_id(skill.name, name), at, newest, len(candidates), tuple(_sampled(space, rows)))


def save_plan(lake: Lake, key: str, plan: AuditPlan) -> None:
    """Write the sample, unless an earlier try has."""
    rows = [_row(plan, sampled) for sampled in plan.sample]
    lake.write_frame_once(f"{key}/sample.parquet", pa.Table.from_pylist(rows, schema=SAMPLE_SCHEMA))


def load_plan(space: Workspace, key: str, audit: str) -> AuditPlan | None:
    """Return an audit that was drawn before, or None."""
    if not space.lake.has(f"{key}/sample.parquet"):
        return None
    rows = space.lake.read_frame(f"{key}/sample.parquet").to_pylist()
    items = _items(space, (row["doc_id"] for row in rows))
    sample = tuple(_read_row(row, items[row["item_id"]]) for row in rows)
    return AuditPlan(audit, rows[0]["drawn_at"], rows[0]["newest_at"], len(rows), sample)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What earlier audits have drawn: results as (item_id, run_id), and up to when there were results at the last one."""

    results: frozenset[tuple[str, str]]
    newest_at: datetime | None


def _seen(lake: Lake, skill: str) -> _Seen:
    infos = [info for info in lake.storage.list(f"_runs/audit.{skill}/") if info.key.endswith("/sample.parquet")]
    infos = sorted(infos, key=lambda info: info.modified_at)[-MOST_EARLIER:]
    columns = ["item_id", "result_run_id", "drawn_at", "newest_at"]
    rows = [row for info in infos for row in lake.read_frame(info.key).select(columns).to_pylist()]
    last = max(rows, key=lambda row: row["drawn_at"], default=None)
    return _Seen(frozenset((row["item_id"], row["result_run_id"]) for row in rows), last["newest_at"] if last else None)


def _current(space: Workspace, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the results that the skill would make the same way now, with the parameters they were made with.

    Of a result made before the skill was edited, the tiers' answers of now would be answers to something else.
    """
    fingerprint, made_with = space.skill.fingerprint(), dict[str, dict[str, Any] | None]()
    for row in rows:
        if row["is_stale"]:
            continue
        if row["fingerprint"] == fingerprint:
            yield row | {"parameters": {}}
            continue
        if row["run_id"] not in made_with:
            made_with[row["run_id"]] = _parameters(space, row["run_id"], row["fingerprint"])
        if (parameters := made_with[row["run_id"]]) is not None:
            yield row | {"parameters": parameters}


def _parameters(space: Workspace, run_id: str, fingerprint: str) -> dict[str, Any] | None:
    """Return what a run was given, None when the skill's fingerprint with it is another one by now."""
    key = f"{run_key(space.skill.name, run_id)}/plan.json"
    parameters: dict[str, Any] = space.lake.read_json(key)["parameters"] if space.lake.has(key) else {}
    try:
        return parameters if space.skill.fingerprint(parameters) == fingerprint else None
    except SkillError:
        return None


def _sampled(space: Workspace, rows: list[dict[str, Any]]) -> Iterator[Sampled]:
    """Yield the drawn results with their answers and items, by item_id; one whose text is gone is left out."""
    if not rows:
        return
    table, skill = results_of(space.skill), space.skill
    whole = read(space.lake, table, where=pc.field("item_id").isin([row["item_id"] for row in rows])).to_pylist()
    results = {result["item_id"]: result for result in whole}
    items = _items(space, (result["doc_id"] for result in whole))
    for row in sorted(rows, key=lambda row: str(row["item_id"])):
        result, item = results.get(row["item_id"]), items.get(row["item_id"])
        if result is None or item is None:
            continue
        answer = {name: result[name] for name in skill.output_schema["properties"]}
        yield Sampled(
            item=item,
            result_run_id=row["run_id"],
            fingerprint=row["fingerprint"],
            parameters=row["parameters"],
            tier=row["tier"],
            model=result["model"],
            answer=json.loads(json.dumps(answer, default=_plain)),
            router_version=result["router_version"] or HEURISTIC,
            stratum=row["stratum"],
            route_score=row["route_score"],
            weight=row["weight"],
            cost_usd=result["cost_usd"],
            produced_at=row["produced_at"],
        )


def _items(space: Workspace, doc_ids: Iterable[str]) -> dict[str, Item]:
    """Return the items of some documents by item_id."""
    return {item.item_id: item for _, item in items_of(space.lake, set(doc_ids), [space.skill])}


def _plain(value: Any) -> str:
    """Return a value that JSON has no type for as text: it is compared as what its schema says."""
    return value.isoformat() if isinstance(value, date) else f"{value:f}"


def _row(plan: AuditPlan, sampled: Sampled) -> dict[str, Any]:
    same = {name: getattr(sampled, name) for name in SAMPLE_SCHEMA.names if name in Sampled.__slots__}
    texts = {"parameters": json.dumps(sampled.parameters), "answer": json.dumps(sampled.answer, ensure_ascii=False)}
    item = {"item_id": sampled.item.item_id, "doc_id": sampled.item.doc_id}
    return item | same | texts | {"drawn_at": plan.drawn_at, "newest_at": plan.newest_at}


def _read_row(row: dict[str, Any], item: Item) -> Sampled:
    same = {name: row[name] for name in Sampled.__slots__ if name != "item"}
    texts = {name: json.loads(row[name]) for name in ("parameters", "answer")}
    return Sampled(item, **{**same, **texts, "produced_at": row["produced_at"].astimezone(UTC)})
