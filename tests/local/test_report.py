"""The demo's report says what is on the lake, how right it is, and what real providers would have charged."""

from dataclasses import replace
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillyard.costs.attribution import attribute
from skillyard.costs.modelled import modelled_cost
from skillyard.costs.prices.book import Usage
from skillyard.errors import ConfigError
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, replace_rows
from skillyard.lake.results import results_table, to_results
from skillyard.lake.tables import DOCUMENTS, LLM_CALLS, REJECTS
from skillyard.local.accuracy import score_skill
from skillyard.local.report import DemoReport, build_report, render
from skillyard.settings import Settings
from skillyard.skills.catalogue import Catalogue
from tests.conftest import settings_in
from tests.costs.ledger import BOOK, DAY, call, ledger

AT = datetime.combine(DAY, time(12), UTC)
USAGE = Usage(input_tokens=1000, output_tokens=50)
TRUTH = {
    "mails/a b.txt": {"kind": "txt", "language": "en", "document_type": "mail", "tags": ["billing", "refund"]},
    "mails/c.txt": {"kind": "txt", "language": "de", "document_type": "contract", "tags": ["travel"]},
    "bad/locked.pdf": {"kind": "pdf", "reject": ["encrypted"]},
    "bad/other.pdf": {"kind": "pdf", "reject": ["corrupt"]},
}


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lake with four documents, two of them rejected, two skills' results and their ledger."""
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    settings = settings_in(tmp_path)
    (tmp_path / "truth.yaml").write_text(yaml.safe_dump(TRUTH), "utf-8")
    lake = Lake(settings.lake)
    append(lake, DOCUMENTS, to_results(DOCUMENTS, [document(settings, path) for path in TRUTH]), "seed")
    append(lake, REJECTS, to_results(REJECTS, [reject("bad/locked.pdf", "encrypted"), reject("bad/other.pdf", "timed_out")]), "seed")
    publish(settings, "tag-document", {"mails/a b.txt": {"tags": ["billing", "travel"]}})
    labels = {"mails/a b.txt": {"label": "mail"}, "mails/c.txt": {"label": "invoice"}}
    publish(settings, "classify-document-type", {path: {**value, "confidence": 0.5} for path, value in labels.items()})
    append(lake, REJECTS, to_results(REJECTS, [reject("mails/c.txt", "failed_check", stage="answer", skill="tag-document")]), "answer")
    calls = [call(USAGE, item_id="a"), call(USAGE, item_id="c"), call(USAGE, tier="expert", item_id="c", sent_at=AT.replace(hour=13))]
    append(lake, LLM_CALLS, ledger([*calls, call(status="unknown"), call(status="cached")]), "seed")
    return settings


def document(settings: Settings, path: str) -> dict[str, Any]:
    status = "rejected" if path.startswith("bad/") else "parsed"
    kind = path.rsplit(".", 1)[1]
    row = {"doc_id": path, "uri": uri(settings, path), "kind": kind, "mime_type": "text/plain", "size_bytes": 1, "etag": "e"}
    return row | {"n_pages": 1, "n_chars": 1, "n_chunks": 0, "status": status, "run_id": "r", "ingested_at": AT, "ingested_on": DAY}


def uri(settings: Settings, path: str) -> str:
    return f"{settings.inbox}/{path.replace(' ', '%20')}"


def reject(path: str, error_kind: str, stage: str = "parse", skill: str | None = None) -> dict[str, Any]:
    row = {"run_id": "r", "stage": stage, "item_id": path, "doc_id": path, "skill": skill, "error_kind": error_kind, "error_message": "m"}
    return row | {"n_attempts": 0, "cost_usd": 0, "rejected_at": AT, "rejected_on": DAY}


def publish(settings: Settings, name: str, answers: dict[str, dict[str, Any]], part: str = "seed") -> None:
    skill = Catalogue(settings.include).load(name)
    table = results_table(name, skill.output_major, skill.output_schema)
    head = {"fingerprint": "f" * 64, "is_stale": False, "tier": "fast", "model": "m", "route_reason": "easy", "route_score": 0.1}
    head |= {
        "router_version": "heuristic",
        "n_attempts": 1,
        "n_escalations": 0,
        "cost_usd": 0,
        "run_id": "r",
        "produced_at": AT,
        "produced_on": DAY,
    }
    rows = [{**head, "item_id": path, "doc_id": path, "uri": uri(settings, path), **value} for path, value in answers.items()]
    replace_rows(Lake(settings.lake), table, to_results(table, rows), part)


def report_of(settings: Settings) -> DemoReport:
    return build_report(settings, Path(settings.inbox.removeprefix("file://")).parent / "truth.yaml")


def test_documents_and_rejects_are_counted_by_kind_and_held_against_the_truth(filled: Settings) -> None:
    report = report_of(filled)
    assert (report.n_documents, report.documents, report.rejected) == (4, {"txt": 2}, {"encrypted": 1, "timed_out": 1})
    assert report.ingestion is not None and (report.ingestion.score, report.ingestion.n) == (0.75, 4)


def test_each_enabled_skill_has_its_results_rejects_and_accuracy(filled: Settings) -> None:
    skills = {line.name: line for line in report_of(filled).skills}
    tags, types = skills["tag-document"], skills["classify-document-type"]
    assert (tags.n_results, tags.rejects, tags.tiers) == (1, {"failed_check": 1}, {"fast": 1})
    assert tags.accuracy is not None and (tags.accuracy.score, tags.accuracy.n) == (pytest.approx(1 / 3), 1)
    assert types.accuracy is not None and (types.accuracy.score, types.accuracy.n) == (0.5, 2)
    assert (skills["classify-urgency"].n_results, skills["classify-urgency"].accuracy) == (0, None)
    assert tags.first_items and skills["detect-language"].first_items is None


def test_an_item_that_has_a_result_by_now_is_no_reject(filled: Settings) -> None:
    publish(filled, "tag-document", {"mails/a b.txt": {"tags": ["billing"]}, "mails/c.txt": {"tags": ["travel"]}}, "later")
    (line,) = (line for line in report_of(filled).skills if line.name == "tag-document")
    assert (line.n_results, line.rejects) == (2, {})


def test_cost_is_the_ledgers_and_is_compared_with_the_attributed(filled: Settings) -> None:
    cost = 2 * BOOK.cost("openai/sim-fast", USAGE, AT).usd + BOOK.cost("openai/sim-expert", USAGE, AT).usd
    before = report_of(filled)
    assert (before.cost_usd, before.attributed_usd) == (cost, 0)
    assert before.calls == {"settled": 3, "cached": 1, "unknown": 1}
    assert "cost_attribution has not seen every call yet" in render(before)
    attribute(filled, DAY, DAY)
    after = report_of(filled)
    assert after.attributed_usd == cost and "has not seen" not in render(after)


def test_the_modelled_bill_takes_every_call_on_its_tier_and_each_item_once_on_the_expert(filled: Settings) -> None:
    modelled = modelled_cost(filled, "hybrid")
    fast, expert = (BOOK.cost(model, USAGE, AT).usd for model in ("openai/gpt-6-luna", "anthropic/claude-opus-5"))
    assert (modelled.n_calls, modelled.n_items) == (3, 2)
    assert (modelled.routed_usd, modelled.expert_usd) == (2 * fast + expert, 2 * expert)
    assert modelled.saved_share == 1 - modelled.routed_usd / modelled.expert_usd


def test_the_modelled_bill_counts_what_routing_asks_beside_and_no_audit(filled: Settings) -> None:
    before = modelled_cost(filled, "hybrid")
    later = AT.replace(hour=14)
    more = [call(Usage(9, output_tokens=9), item_id="a", purpose=purpose, sent_at=later) for purpose in ("routing", "audit")]
    append(Lake(filled.lake), LLM_CALLS, ledger(more), "more")
    after = modelled_cost(filled, "hybrid")
    asked = BOOK.cost("openai/gpt-6-luna", Usage(9, output_tokens=9), AT).usd
    assert (after.n_calls, after.routed_usd, after.expert_usd) == (4, before.routed_usd + asked, before.expert_usd)


def test_the_text_says_what_is_modelled_how_to_open_the_tables_and_n(filled: Settings) -> None:
    text = render(report_of(filled))
    folder = filled.lake.removeprefix("file://")
    assert "Documents  4: 2 read (2 txt)" in text
    assert "Modelled   the same work at the prices of the profile hybrid" in text and "Not measured" in text
    assert "0.50 type is right (n=2)" in text and "first 8" in text
    assert "rejects of tag-document: 1 failed_check" in text
    assert f'pd.read_parquet("{folder}/results/classify-document-type/v1")' in text
    assert "very small" not in text


def test_the_lines_to_copy_open_the_table(filled: Settings) -> None:
    import duckdb
    import pandas as pd

    lines = render(report_of(filled)).splitlines()
    for opener in ("pandas", "DuckDB"):
        (line,) = (line.strip().removeprefix(opener).strip() for line in lines if line.strip().startswith(opener))
        opened = eval(line.rpartition("; ")[2], {"pd": pd, "duckdb": duckdb})
        assert len(opened) == 2


def test_the_embedded_model_is_called_small(filled: Settings) -> None:
    text = render(report_of(replace(filled, profile="embedded")))
    assert "embedded/smollm2-135m, on every tier: a very small one" in text


def test_an_empty_lake_has_a_report_too(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, SKILLYARD_PROFILE="embedded")
    report = build_report(settings, tmp_path / "no-truth.yaml")
    assert (report.n_documents, report.cost_usd, report.modelled.expert_usd, report.tables) == (0, Decimal(0), Decimal(0), ())
    assert "Tables     none yet" in render(report) and "no answers of models yet" in render(report)


def test_a_truth_file_of_another_form_is_refused_by_name(filled: Settings, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("- a\n", "utf-8")
    with pytest.raises(ConfigError, match=r"wrong\.yaml.*inbox paths"):
        build_report(filled, tmp_path / "wrong.yaml")


def test_the_truth_of_the_samples_can_be_read() -> None:
    from tests.conftest import ROOT

    truth = yaml.safe_load((ROOT / "samples" / "truth.yaml").read_text("utf-8"))
    assert all("reject" in facts or "kind" in facts for facts in truth.values())


@pytest.mark.parametrize(
    ("skill", "row", "facts", "score"),
    [
        (
            "extract-invoice",
            {"invoice_no": "A-1 ", "total": Decimal("12.50")},
            {"invoice": {"invoice_no": "a-1", "total": "12.5", "lines": 3}},
            1,
        ),
        ("extract-invoice", {"due_on": DAY, "net": None}, {"invoice": {"due_on": str(DAY), "net": "1.00"}}, 0.5),
        ("extract-invoice", {"due_on": None}, {"invoice": {"due_on": None}}, 1),
        ("extract-contact-details", {"emails": ["A@b.example"], "phones": ["+4930"]}, {"emails": ["a@b.example"], "phones": ["+49 30"]}, 1),
        ("extract-contact-details", {"emails": [], "phones": []}, {"emails": [], "phones": []}, 1),
        ("classify-urgency", {"level": "low"}, {"urgency": "high"}, 0),
        ("classify-sentiment", {"label": "negative"}, {"sentiment": "negative"}, 1),
        ("detect-language", {"language": "de"}, {"language": "de"}, 1),
    ],
)
def test_answers_are_scored_beside_what_is_true(skill: str, row: dict[str, Any], facts: dict[str, Any], score: float) -> None:
    scored = score_skill(skill, [(row, facts), (row, {})])
    assert scored is not None and (scored.score, scored.n) == (score, 1)


def test_what_has_no_truth_has_no_score() -> None:
    assert score_skill("tag-document", [({"tags": ["a"]}, {"language": "en"})]) is None
    assert score_skill("summarise-document", [({"summary": "x"}, {"language": "en"})]) is None
