"""Evidence for the router out of the lake: audits with the texts of their items, and the skills' own cases.

What cannot be evidence is left out and counted, never fatal. Rows of every fingerprint are returned: which of them still hold is
decided by ``routing.evidence.still_valid``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.documents.language import detect_language
from skillyard.errors import UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.lake.tables import AUDITS, EVALS, Table
from skillyard.routing.evidence import Evidence, EvidenceError, Observation, check_evidence
from skillyard.running.answer import PENDING
from skillyard.running.items import Item, items_of
from skillyard.settings import Settings
from skillyard.skills import Catalogue, Skill, SkillError
from skillyard.tiers import TIERS

WINDOW = timedelta(days=180)
"""Older rows are not looked at."""
AUDIT_COLUMNS = (
    *("audit_id", "skill", "fingerprint", "item_id", "doc_id", "tier", "is_served", "weight", "has_passed", "error_kind", "agreement"),
    *("cost_usd", "latency_ms", "audited_at"),
)
EVAL_COLUMNS = tuple(name for name in EVALS.schema.names if name not in ("model", "message", "evaluated_on"))
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gathered:
    """Evidence, and what could not be any."""

    rows: list[Evidence]
    left_out: dict[str, int]
    """Items and cases by reason."""

    @property
    def text(self) -> str:
        """One sentence for a log."""
        left_out = "".join(f"; left out {n}: {reason}" for reason, n in self.left_out.items())
        return f"{len(self.rows)} rows of evidence on {len({row.skill for row in self.rows})} skills{left_out}"


def gather(settings: Settings, skill: str | None = None, now: datetime | None = None) -> Gathered:
    """Return the evidence of all skills, or of one, of the last 180 days until ``now``."""
    lake, since = Lake(settings.lake), (now or datetime.now(UTC)) - WINDOW
    left_out: Counter[str] = Counter()
    audits = _groups(_read(lake, AUDITS, AUDIT_COLUMNS, skill, since), "audit_id", "item_id")
    asked = (row for row in _read(lake, EVALS, EVAL_COLUMNS, skill, since) if row["tier"] in TIERS)  # of a library nothing is to be routed
    evals = _groups(asked, "eval_id", "case_id")
    found = [*_of_audits(lake, Catalogue(settings.include), audits, left_out), *map(_of_case, evals)]
    return Gathered([row for row in found if _is_sound(row, left_out)], dict(left_out))


def _read(lake: Lake, table: Table, columns: Sequence[str], skill: str | None, since: datetime) -> list[Row]:
    wanted = pc.field(table.partition) >= pa.scalar(since.date(), pa.date32())
    found: list[Row] = read(lake, table, columns, wanted if skill is None else wanted & (pc.field("skill") == skill)).to_pylist()
    return found


def _groups(rows: Iterable[Row], night: str, item: str) -> list[list[Row]]:
    """Return the rows of each item, one per tier."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["skill"], row[night], row[item]), []).append(row)
    return list(groups.values())


def _of_audits(lake: Lake, catalogue: Catalogue, groups: Sequence[Sequence[Row]], left_out: Counter[str]) -> Iterator[Evidence]:
    skills = load_sound(catalogue, {own[0]["skill"] for own in groups})
    wanted = {(own[0]["skill"], own[0]["item_id"]) for own in groups}
    items = {
        (name, i.item_id): i for name, i in items_of(lake, {own[0]["doc_id"] for own in groups}, skills) if (name, i.item_id) in wanted
    }
    loaded = {skill.name for skill in skills}
    for own in groups:
        item = items.get((own[0]["skill"], own[0]["item_id"]))
        if item is not None:
            yield _of_audit(own, item)
        else:
            left_out["the text of the item is gone" if own[0]["skill"] in loaded else "the skill is not in the catalogue"] += 1


def load_sound(catalogue: Catalogue, names: Iterable[str]) -> list[Skill]:
    """Return the skills that can be loaded."""
    found = []
    for name in sorted(names):
        try:
            found.append(catalogue.load(name))
        except (UnknownName, SkillError):
            continue
    return found


def _of_audit(rows: Sequence[Row], item: Item) -> Evidence:
    first = rows[0]
    return Evidence(
        skill=first["skill"],
        fingerprint=first["fingerprint"],
        item_id=first["item_id"],
        group=first["doc_id"],
        text=item.text,
        language=item.language,
        outcomes={row["tier"]: _observe(row, row["agreement"]) for row in rows if row["error_kind"] not in PENDING.values()},
        weight=first["weight"],
        served_tier=next((row["tier"] for row in rows if row["is_served"]), None),
        observed_at=first["audited_at"],
        source="audit",
    )


def _of_case(rows: Sequence[Row]) -> Evidence:
    first = rows[0]
    name = f"eval:{first['skill']}:{first['case_id']}"
    return Evidence(
        skill=first["skill"],
        fingerprint=first["fingerprint"],
        item_id=name,
        group=name,
        text=first["text"],
        language=detect_language(first["text"]),
        outcomes={row["tier"]: _observe(row, float(row["is_right"])) for row in rows},
        weight=1.0,
        served_tier=None,
        observed_at=first["evaluated_at"],
        source="eval",
    )


def _observe(row: Row, quality: float) -> Observation:
    latency_s = None if row["latency_ms"] is None else row["latency_ms"] / 1000
    return Observation(row["has_passed"], quality if row["has_passed"] else 0.0, float(row["cost_usd"]), latency_s)


def _is_sound(row: Evidence, left_out: Counter[str]) -> bool:
    """Say whether a row can be learned from; count why not."""
    try:
        check_evidence([row])
    except EvidenceError as error:
        left_out[str(error).partition("): ")[2].partition(". Correct")[0]] += 1
        return False
    return True
