"""What is on the lake, as a short report: documents, rejects, results, tiers, cost, accuracy, and how to open the tables."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from skillyard.costs.modelled import Modelled, modelled_cost
from skillyard.errors import ConfigError, UnknownName
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.read import read, table_names
from skillyard.lake.tables import DOCUMENTS, LLM_CALLS, REJECTS
from skillyard.local.accuracy import Facts, Score, score_skill
from skillyard.profiles import load_profile
from skillyard.settings import Settings
from skillyard.skills.enabled import Enabled, load_enabled

COMPARED_PROFILE = "hybrid"


@dataclass(frozen=True, slots=True)
class SkillLine:
    """One enabled skill."""

    name: str
    first_items: int | None
    """It works on the first so many short items only; none means on all."""
    n_results: int
    n_stale: int
    rejects: dict[str, int]
    """Items by error kind."""
    tiers: dict[str, int]
    """Results by the tier of the accepted answer; ``none`` for a library."""
    n_escalations: int
    n_attempts: int
    cost_usd: Decimal
    accuracy: Score | None


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Everything the report says; ``render`` makes it text."""

    lake: str
    models: tuple[str, ...]
    """The profile's models, fast to expert, each once."""
    n_documents: int
    documents: dict[str, int]
    """Readable documents by kind."""
    rejected: dict[str, int]
    """Unreadable documents by error kind."""
    ingestion: Score | None
    """Documents that were read as what they are, or rejected for a right reason."""
    skills: tuple[SkillLine, ...]
    calls: dict[str, int]
    """Ledger rows by status."""
    cost_usd: Decimal
    """What the ledger's calls cost, corrections included."""
    attributed_usd: Decimal
    """What ``cost_daily`` says they cost: the same once ``cost_attribution`` has run."""
    modelled: Modelled
    tables: tuple[str, ...]

    @property
    def tiers(self) -> dict[str, int]:
        """Answers of models by tier, over all skills."""
        counted: Counter[str] = Counter()
        for skill in self.skills:
            counted.update({tier: n for tier, n in skill.tiers.items() if tier != "none"})
        return dict(counted)


def build_report(settings: Settings, truth: Path | None = None) -> DemoReport:
    """Read the report from the lake; the true labels are ``samples/truth.yaml`` unless another file is named."""
    lake, facts = Lake(settings.lake), _load_truth(truth or settings.home / "samples" / "truth.yaml")
    documents = _newest(read(lake, DOCUMENTS.name, ["uri", "kind", "status", "ingested_at", "doc_id"]).to_pylist())
    rejects = read(lake, REJECTS.name, ["stage", "skill", "item_id", "doc_id", "error_kind", "rejected_at"]).to_pylist()
    calls = read(lake, LLM_CALLS.name, ["skill", "status", "cost_usd"]).to_pylist()
    kinds = {row["doc_id"]: row["error_kind"] for row in rejects if row["stage"] == "parse"}
    refused = {row["uri"]: kinds.get(row["doc_id"], "unknown") for row in documents if row["status"] == "rejected"}
    enabled = load_enabled(settings.enabled)
    tiers = load_profile(settings.profile, settings.include).tiers.values()
    return DemoReport(
        lake=settings.lake,
        models=tuple(dict.fromkeys(d.model for tier in tiers for d in tier)),
        n_documents=len(documents),
        documents=_count(row["kind"] for row in documents if row["uri"] not in refused),
        rejected=_count(refused.values()),
        ingestion=_ingestion_score(settings, documents, refused, facts),
        skills=tuple(_skill_line(settings, lake, name, enabled[name], rejects, calls, facts) for name in enabled),
        calls=_count(call["status"] for call in calls),
        cost_usd=_cost(calls),
        attributed_usd=sum(read(lake, COST_DAILY.name, ["cost_usd"]).column("cost_usd").to_pylist(), Decimal(0)),
        modelled=modelled_cost(settings, COMPARED_PROFILE),
        tables=tuple(name for name in table_names(lake) if next(lake.storage.list(f"{name}/dt="), None)),
    )


def _load_truth(path: Path) -> dict[str, Facts]:
    """Return the facts by inbox path; none when there is no such file."""
    if not path.is_file():
        return {}
    value = yaml.safe_load(path.read_text("utf-8"))
    if not isinstance(value, dict) or not all(isinstance(facts, dict) for facts in value.values()):
        raise ConfigError(f"{path}: it has to map inbox paths to facts such as language, document_type and tags.")
    return value


def _newest(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest version of each document, by where it was found."""
    return list({row["uri"]: row for row in sorted(rows, key=lambda row: row["ingested_at"])}.values())


def _facts_of(settings: Settings, uri: str, facts: Mapping[str, Facts]) -> Facts:
    path = uri.removeprefix(f"{settings.inbox}/")
    return facts.get(path) or facts.get(unquote(path)) or {}


def _ingestion_score(
    settings: Settings, documents: list[dict[str, Any]], refused: Mapping[str, str], facts: Mapping[str, Facts]
) -> Score | None:
    known = [(row, _facts_of(settings, row["uri"], facts)) for row in documents]
    right = [_is_right(row["kind"], refused.get(row["uri"]), true) for row, true in known if true]
    return Score("kind, or the reason of the reject, is right", sum(right) / len(right), len(right)) if right else None


def _is_right(kind: str, error_kind: str | None, true: Facts) -> bool:
    return error_kind in true["reject"] if "reject" in true else error_kind is None and kind == true["kind"]


def _skill_line(
    settings: Settings, lake: Lake, name: str, enabled: Enabled, rejects: list[dict[str, Any]], calls: list[dict[str, Any]], facts: Any
) -> SkillLine:
    rows = _results(lake, name)
    done = {row["item_id"] for row in rows}
    own = {row["item_id"]: row["error_kind"] for row in sorted(rejects, key=lambda r: r["rejected_at"]) if row["skill"] == name}
    own_calls = [call for call in calls if call["skill"] == name]
    return SkillLine(
        name=name,
        first_items=enabled.first_items,
        n_results=len(rows),
        n_stale=sum(row["is_stale"] for row in rows),
        rejects=_count(kind for item, kind in own.items() if item not in done),
        tiers=_count(row["tier"] for row in rows),
        n_escalations=sum(row["n_escalations"] for row in rows),
        n_attempts=sum(call["status"] != "cached" for call in own_calls),
        cost_usd=_cost(own_calls),
        accuracy=score_skill(name, ((row, _facts_of(settings, row["uri"], facts)) for row in rows)),
    )


def _results(lake: Lake, skill: str) -> list[dict[str, Any]]:
    """Return a skill's results; none when it has not run yet."""
    try:
        return read(lake, f"results/{skill}").to_pylist()  # type: ignore[no-any-return]
    except UnknownName:
        return []


def _cost(calls: Iterable[dict[str, Any]]) -> Decimal:
    return sum((call["cost_usd"] for call in calls if call["cost_usd"] is not None), Decimal(0))


def _count(values: Iterable[str]) -> dict[str, int]:
    """Return how often each value occurs, the most frequent first."""
    return dict(sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0])))


def render(report: DemoReport) -> str:
    """Return the report as text for a terminal."""
    return "\n".join([*_ingested(report), "", *_answered(report), "", *_charged(report), "", *_opened(report)])


def _ingested(report: DemoReport) -> list[str]:
    n_rejected = sum(report.rejected.values())
    lines = [f"Documents  {report.n_documents}: {report.n_documents - n_rejected} read ({_words(report.documents)})"]
    if n_rejected:
        lines.append(f"           {n_rejected} rejected ({_words(report.rejected)})")
    if report.ingestion:
        lines.append(f"           {_score(report.ingestion)}")
    return lines


def _answered(report: DemoReport) -> list[str]:
    wide = max((len(skill.name) for skill in report.skills), default=0)
    lines = [f"{'Skill':<{wide}}  items    results  rejects  escalated  attempts  cost USD      accuracy"]
    for skill in report.skills:
        items = f"first {skill.first_items}" if skill.first_items else "all"
        numbers = f"{skill.n_results:>7}  {sum(skill.rejects.values()):>7}  {skill.n_escalations:>9}  {skill.n_attempts:>8}"
        scored = _score(skill.accuracy) if skill.accuracy else ""
        lines.append(f"{skill.name:<{wide}}  {items:<7}  {numbers}  {skill.cost_usd:<12.9f}  {scored}".rstrip())
    rejects = {skill.name: skill.rejects for skill in report.skills if skill.rejects}
    lines += [f"  rejects of {name}: {_words(kinds)}" for name, kinds in rejects.items()]
    lines += [f"  {skill.n_stale} results of {skill.name} are of an older version of the skill" for skill in report.skills if skill.n_stale]
    n_answers = sum(report.tiers.values())
    shares = ", ".join(f"{tier} {n / n_answers:.0%}" for tier, n in report.tiers.items())
    lines.append(f"Tiers      {shares} of {n_answers} accepted answers of models" if n_answers else "Tiers      no answers of models yet")
    return [*lines, *_small_model(report)]


def _small_model(report: DemoReport) -> list[str]:
    if not any(model.startswith("embedded/") for model in report.models):
        return []
    return [
        f"The model is {', '.join(report.models)}, on every tier: a very small one that needs no network and no key. It shows the whole",
        "way, from file to table to bill; it is often wrong, as its accuracy says, and items it cannot answer become rejects. A skill with",
        "'first N' works on its first N items by item_id among the short ones, all that this model manages in a few minutes.",
    ]


def _charged(report: DemoReport) -> list[str]:
    n_attempts = sum(n for status, n in report.calls.items() if status != "cached")
    lines = [f"Cost       {report.cost_usd:f} USD settled, {n_attempts} attempts ({_words(report.calls) or 'none'})"]
    if report.attributed_usd != report.cost_usd:
        lines.append(f"           cost_daily has {report.attributed_usd:f} USD: cost_attribution has not seen every call yet")
    modelled = report.modelled
    if modelled.n_calls:
        lines += [
            f"Modelled   the same work at the prices of the profile {modelled.profile}, with the tokens counted here:",
            f"           {modelled.routed_usd:f} USD with routing, each of {modelled.n_calls} answered calls on its tier's model;",
            f"           {modelled.expert_usd:f} USD without, each of {modelled.n_items} items once on the expert's"
            f" ({modelled.saved_share:.0%} saved).",
            "           Not measured: other models count tokens, answer and escalate differently, and what ended here as a reject",
            "           would have gone up to a dearer tier there.",
        ]
    return lines


def _opened(report: DemoReport) -> list[str]:
    if not report.tables:
        return [f"Tables     none yet in {report.lake}"]
    folder, is_local = unquote(report.lake.removeprefix("file://")), report.lake.startswith("file://")
    shown = next((name for name in report.tables if name.startswith("results/")), report.tables[0])
    lines = [f"Tables     {folder}", *(f"           {name}" for name in report.tables), "Open one"]
    lines.append(f"""  pandas   import pandas as pd; pd.read_parquet("{folder}/{shown}")""")
    lines.append(f"""  DuckDB   duckdb.sql("select * from read_parquet('{folder}/{shown}/*/*.parquet')")""")
    return lines if is_local else [*lines, "           (pandas needs s3fs, DuckDB its httpfs extension, both the AWS_* variables)"]


def _score(score: Score) -> str:
    return f"{score.score:.2f} {score.measure} (n={score.n})"


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items())
