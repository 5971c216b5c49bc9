"""Evidence out of the lake: audits with the texts of their items, cases, and what is left out."""

import math
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skillyard.routing.evidence import check_evidence
from skillyard.running.evidence import gather
from skillyard.settings import Settings
from tests.running.audits_of import audit_row, publish_audit, publish_audit_rows, publish_cases
from tests.running.lake_of import mails, publish_texts

SKILL = "classify-urgency"
NIGHT = datetime(2026, 3, 2, 2, tzinfo=UTC)
CHANCES = {"fast": 0.8, "standard": 0.9, "expert": 1.0}


@pytest.fixture
def doc_ids(settings: Settings) -> list[str]:
    return publish_texts(settings, mails(8))


def test_an_audited_item_is_one_row_with_its_text_and_every_tiers_outcome(settings: Settings, doc_ids: list[str]) -> None:
    publish_audit(settings, SKILL, doc_ids, CHANCES, NIGHT)
    gathered = gather(settings, now=NIGHT)
    check_evidence(gathered.rows)
    row = gathered.rows[0]
    assert (len(gathered.rows), gathered.left_out) == (8, {})
    assert sorted(r.text for r in gathered.rows) == sorted(mails(8).values())
    assert (row.group, row.language, row.served_tier, row.source) == (row.item_id, "en", "fast", "audit")
    assert list(row.outcomes) == ["fast", "standard", "expert"]
    assert (row.outcomes["expert"].quality, row.outcomes["expert"].cost_usd, row.outcomes["expert"].latency_s) == (1.0, 0.02, 0.4)


def test_a_case_is_a_row_of_its_own_group(settings: Settings) -> None:
    publish_cases(settings, SKILL, 3, NIGHT, {"fast": False, "expert": True})
    rows = gather(settings, now=NIGHT).rows
    assert [row.group for row in rows] == [f"eval:{SKILL}:case-{n}" for n in range(3)]
    assert {(row.source, row.language, row.outcomes["fast"].quality, row.outcomes["expert"].quality) for row in rows} == {
        ("eval", "en", 0.0, 1.0)
    }


def test_audits_of_other_fingerprints_are_kept_and_those_of_long_ago_are_not(settings: Settings, doc_ids: list[str]) -> None:
    publish_audit(settings, SKILL, doc_ids, CHANCES, NIGHT, "f" * 64)
    publish_audit(settings, SKILL, doc_ids, CHANCES, NIGHT - timedelta(days=200))
    assert {row.fingerprint for row in gather(settings, now=NIGHT).rows} == {"f" * 64}


def test_one_skill_alone_can_be_asked_for(settings: Settings, doc_ids: list[str]) -> None:
    publish_audit(settings, SKILL, doc_ids, CHANCES, NIGHT)
    publish_audit(settings, "tag-document", doc_ids[:2], CHANCES, NIGHT)
    assert len(gather(settings, now=NIGHT).rows) == 10
    assert [row.skill for row in gather(settings, "tag-document", NIGHT).rows] == ["tag-document"] * 2


def test_what_cannot_be_evidence_is_counted_and_the_rest_is_kept(settings: Settings, doc_ids: list[str], tmp_path: Path) -> None:
    def row(doc_id: str, agreement: float = 1.0, skill: str = SKILL) -> dict[str, object]:
        return audit_row(settings, skill, doc_id, "fast", agreement, NIGHT, "odd")

    rows = [
        row(doc_ids[0]),
        row(doc_ids[1], math.nan),
        row(doc_ids[2], 1.7),
        row("no such document"),
        row(doc_ids[3], skill="tag-document"),
    ]
    publish_audit_rows(settings, rows, "odd")
    own = replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))
    shutil.rmtree(own.include / "skills" / "tag-document")
    gathered = gather(own, now=NIGHT)
    assert [r.item_id for r in gathered.rows] == [doc_ids[0]]
    assert sorted(gathered.left_out) == [
        "quality on fast is 1.7; allowed: 0 to 1",
        "quality on fast is nan; allowed: 0 to 1",
        "the skill is not in the catalogue",
        "the text of the item is gone",
    ]
    assert "1 rows of evidence" in gathered.text and "left out 1: the text of the item is gone" in gathered.text


def test_a_tier_that_was_out_of_reach_has_no_outcome(settings: Settings, doc_ids: list[str]) -> None:
    down = {"model": "", "has_passed": False, "agreement": 0.0, "answer": None}
    rows = [audit_row(settings, SKILL, doc_ids[0], tier, 1.0, NIGHT, "n") for tier in CHANCES]
    rows[1] |= down | {"error_kind": "provider_unavailable"}
    rows[0] |= down | {"error_kind": "failed_check"}
    publish_audit_rows(settings, rows, "n")
    outcomes = gather(settings, now=NIGHT).rows[0].outcomes
    assert (sorted(outcomes), outcomes["fast"].passed) == (["expert", "fast"], False)


def test_an_empty_lake_has_no_evidence(settings: Settings) -> None:
    assert gather(settings, now=NIGHT).rows == []
