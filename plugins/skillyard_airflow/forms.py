"""The trigger forms of the UI: every Param has a title, a description and a section, and refuses what is not allowed."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from airflow.sdk import Param

from skillyard.documents.result import ERROR_KINDS
from skillyard.running.limits import PROBE_ITEMS, SHARD_ITEMS
from skillyard.skills.errors import SkillError
from skillyard.skills.labels import parse_labels
from skillyard.skills.skill import Parameter, Skill
from skillyard.skills.teams import Team
from skillyard.tiers import TIERS

WHAT = "What to work on"
HOW = "How"
AGAIN = "Work again"
ANY = "any"
OWN = "The skill's own parameters"
JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def ingest_form() -> dict[str, Param]:
    """Return the form of ``ingest_documents``."""
    return {
        "prefix": _prefix(),
        "include": _globs("Include", "Only documents whose path, or its end after a slash, fits one of these globs: *.pdf, mail/*."),
        "exclude": _globs("Exclude", "Not those that fit one of these globs."),
        "limit": _limit("Read at most so many documents, and record no deletions. Empty: all of them."),
        "retry_rejects": Param(
            [],
            type="array",
            items={"type": "string", "enum": [ANY, *ERROR_KINDS]},
            examples=[ANY, *ERROR_KINDS],
            values_display={ANY: "any kind", **ERROR_KINDS},
            title="Try rejects again",
            description="Beside what is new, parse again what was rejected with one of these kinds, changed or not.",
            section=AGAIN,
        ),
        "force": Param(
            False,
            type="boolean",
            title="Look again",
            description="Look at every document again, whatever its change mark says, and parse again what was rejected. Pages of "
            "unchanged documents stay as they were parsed.",
            section=AGAIN,
        ),
        "confirm_deletions": Param(
            False,
            type="boolean",
            title="Confirm deletions",
            description="Record deletions even if more than half of the known documents are gone. Otherwise such a run is refused: the "
            "folder may not be mounted.",
            section=HOW,
        ),
    }


def read_ingest_form(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a submitted form as the fields of an ``IngestRequest``."""
    lists = {name: tuple(params[name] or ()) for name in ("include", "exclude", "retry_rejects")}
    return {**{name: params[name] for name in ("limit", "force", "confirm_deletions")}, **lists, "prefix": params["prefix"] or ""}


def skill_form(skill: Skill, teams: Mapping[str, Team]) -> dict[str, Param]:
    """Return the form of a skill's DAG: the fields every skill has, those of tiers where it uses any, and its own.

    SkillError when one of its own has the name of a field that every skill has.
    """
    form = {
        "prefix": _prefix(),
        "limit": _limit("Answer only the first so many items, by item_id. Empty: every item that is pending."),
        "team": Param(
            skill.owner,
            enum=sorted({skill.owner, *teams}),
            values_display={name: team.title for name, team in sorted(teams.items())},
            title="Team that pays",
            description="Its name stands in the ledger and in cost_daily.",
            section=HOW,
        ),
        "deadline": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="Deadline",
            description="Items not begun by then stay pending. Empty: no deadline.",
            section=HOW,
        ),
    }
    form["shard_items"] = _shard_items()
    if skill.kind != "library":
        form["first_tier"] = _first_tier(skill)
        form["lane"] = _lane()
        form |= _spending()
    if skill.has_labels:
        form["labels"] = _labels()
    form |= _again()
    if taken := sorted(form.keys() & skill.parameters.keys()):
        file = str(skill.folder / "skill.yaml")
        raise SkillError(file, f"parameters.{taken[0]}", "every skill's form has a field of this name: choose another")
    return form | {name: _own(parameter) for name, parameter in sorted(skill.parameters.items())}


def read_skill_form(params: Mapping[str, Any], skill: Skill) -> dict[str, Any]:
    """Return a submitted form as the fields of a ``PlanRequest``."""
    tier, deadline = params.get("first_tier", "auto"), params["deadline"]
    return {
        "source_prefix": params["prefix"] or "",
        "limit": params["limit"],
        "force": params["force"],
        "first_tier": None if tier == "auto" else tier,
        "team": params["team"],
        "deadline": datetime.fromisoformat(deadline) if deadline else None,
        "lane": params.get("lane", "auto"),
        "reprocess": params["reprocess"],
        "retry_rejects": params["retry_rejects"] or None,
        "shard_items": params["shard_items"],
        "budget_usd": Decimal(str(params["budget_usd"])) if params.get("budget_usd") is not None else None,
        "is_probe": params.get("probe", False),
        "parameters": {name: params[name] for name in skill.parameters},
        "labels": parse_labels(params["labels"]) if params.get("labels") else None,
    }


def _prefix() -> Param:
    said = "Only documents whose path below the inbox begins so. Empty: all of them."
    return Param(None, type=["null", "string"], title="Source prefix", description=said, section=WHAT)


def _globs(title: str, description: str) -> Param:
    said = f"{description} Case does not count. One a line."
    return Param(None, type=["null", "array"], items={"type": "string"}, title=title, description=said, section=WHAT)


def _limit(description: str) -> Param:
    return Param(None, type=["null", "integer"], minimum=1, title="Limit", description=description, section=WHAT)


def _shard_items() -> Param:
    return Param(
        SHARD_ITEMS,
        type="integer",
        minimum=1,
        title="Items per shard",
        description="One task works through one shard. Smaller shards spread slow items over more tasks; each task costs Airflow a second.",
        section=HOW,
    )


def _first_tier(skill: Skill) -> Param:
    tiers = TIERS[: TIERS.index(skill.tier_max) + 1]
    return Param(
        "auto",
        enum=["auto", *tiers],
        values_display={"auto": "as routed, item by item", **{tier: f"begin on {tier}" for tier in tiers}},
        title="First tier",
        description=f"Where every item begins. Escalation goes up to {skill.tier_max}.",
        section=HOW,
    )


def _lane() -> Param:
    return Param(
        "auto",
        enum=["auto", "live", "batch"],
        values_display={"auto": "as the deadline allows", "live": "live: answered now", "batch": "batch: cheaper, within a day"},
        title="Lane",
        description="Live, or the batch API of a deployment that offers it. A deadline over a day away makes it batch.",
        section=HOW,
    )


def _labels() -> Param:
    return Param(
        None,
        type=["null", "string"],
        format="multiline",
        title="Labels",
        description="Labels of your own, in the shape of the skill's assets/labels.yaml, which stand in for the skill's in this run. For "
        "good: a file include/labels/SKILL.yaml. Empty: as that file, or the skill, has them.",
        section=HOW,
    )


def _spending() -> dict[str, Param]:
    return {
        "budget_usd": Param(
            None,
            type=["null", "number"],
            exclusiveMinimum=0,
            title="Budget of this run",
            description="USD that the run never exceeds, beside its team's budgets. Items that do not fit stay pending. Empty: no limit.",
            section=HOW,
        ),
        "probe": Param(
            False,
            type="boolean",
            title="Probe",
            description=f"Only the first {PROBE_ITEMS} pending items: a paid sample, after which quotes of this skill have a history.",
            section=WHAT,
        ),
    }


def _again() -> dict[str, Param]:
    return {
        "reprocess": Param(
            "none",
            type="string",
            pattern=r"^(none|stale|all|sample:[1-9][0-9]*)$",
            title="Reprocess",
            description="Results made before the skill was edited stay as they are (none). stale asks all of those again, sample:N the "
            "first N of them, all every item. The plan task's log says what it would cost.",
            section=AGAIN,
        ),
        "retry_rejects": Param(
            None,
            type=["null", "string"],
            title="Retry rejects",
            description="An error_kind of the table rejects whose items are tried again, or any. Empty: rejects are final.",
            section=AGAIN,
        ),
        "force": Param(
            False,
            type="boolean",
            title="Answer again",
            description="Answer items again that already have a result or a reject.",
            section=AGAIN,
        ),
    }


def _own(parameter: Parameter) -> Param:
    choices: dict[str, Any] = {"enum": list(parameter.allowed)} if parameter.allowed else {"type": JSON_TYPES[type(parameter.default)]}
    return Param(parameter.default, title=parameter.title, description=parameter.description, section=OWN, **choices)
