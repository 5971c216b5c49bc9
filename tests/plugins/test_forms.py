"""The forms: what they refuse, and what a submitted one asks of the engine."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

from skillyard.running.inbox_look import IngestRequest
from skillyard.running.runs import PlanRequest
from skillyard.skills import Catalogue, SkillError
from skillyard.skills.skill import Skill
from skillyard.skills.teams import load_teams
from skillyard_airflow.forms import ingest_form, read_ingest_form, read_skill_form, skill_form

INCLUDE = Path(__file__).resolve().parents[2] / "include"


def skill_of(name: str) -> Skill:
    return Catalogue(INCLUDE).load(name)


def submit(skill: Skill, **changes: Any) -> PlanRequest:
    """Return what the engine is asked when the form is sent with these fields changed."""
    form = skill_form(skill, load_teams(INCLUDE / "teams.yaml"))
    values = {name: param.resolve(changes[name]) if name in changes else param.resolve() for name, param in form.items()}
    return PlanRequest(skill.name, "manual__1", **read_skill_form(values, skill))


def test_an_untouched_form_asks_for_everything_that_is_pending() -> None:
    request = submit(skill_of("tag-document"))
    assert (request.limit, request.force, request.first_tier, request.reprocess, request.retry_rejects) == (None, False, None, "none", None)
    assert (request.budget_usd, request.is_probe) == (None, False)
    assert request.team == skill_of("tag-document").owner and request.deadline is None and request.source_prefix == ""


def test_every_field_reaches_the_engine() -> None:
    request = submit(
        skill_of("answer-question"),
        prefix="mail/",
        limit=5,
        force=True,
        first_tier="standard",
        team="finance",
        deadline="2026-11-21T18:00:00+01:00",
        reprocess="sample:20",
        retry_rejects="schema_error",
        budget_usd=2.5,
        probe=True,
        question="Who signed?",
    )
    assert request.deadline == datetime(2026, 11, 21, 17, tzinfo=UTC)
    assert (request.source_prefix, request.limit, request.force, request.first_tier) == ("mail/", 5, True, "standard")
    assert (request.team, request.reprocess, request.retry_rejects) == ("finance", "sample:20", "schema_error")
    assert (request.budget_usd, request.is_probe) == (Decimal("2.5"), True)
    assert request.parameters == {"question": "Who signed?"}


def test_a_skill_with_labels_takes_others_for_a_run_in_the_shape_of_their_file() -> None:
    given = (INCLUDE / "skills" / "tag-document" / "assets" / "labels.yaml").read_text()
    assert submit(skill_of("tag-document"), labels=given).labels == skill_of("tag-document").labels
    assert submit(skill_of("tag-document")).labels is None
    assert "labels" not in skill_form(skill_of("extract-invoice"), {}), "it has none"
    with pytest.raises(SkillError) as refused:
        submit(skill_of("tag-document"), labels="labels: {one: {description: alone}}")
    assert (refused.value.file, refused.value.field) == ("labels of the run", "labels")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_tier", "huge"),
        ("team", "nobody"),
        ("limit", 0),
        ("limit", "many"),
        ("deadline", "soon"),
        ("reprocess", "sample:0"),
        ("force", 1),
        ("budget_usd", 0),
        ("budget_usd", "much"),
    ],
)
def test_the_form_refuses_what_is_not_allowed(field: str, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        submit(skill_of("tag-document"), **{field: value})


def test_the_form_of_ingestion_names_what_discover_takes() -> None:
    untouched = {name: param.resolve() for name, param in ingest_form().items()}
    assert IngestRequest(**read_ingest_form(untouched)) == IngestRequest()
    asked = untouched | {
        "prefix": "mail/",
        "include": ["*.pdf"],
        "exclude": ["old/*"],
        "limit": 3,
        "force": True,
        "confirm_deletions": True,
    }
    asked["retry_rejects"] = ["corrupt", "timed_out"]
    assert {name: ingest_form()[name].resolve(value) for name, value in asked.items()} == asked
    wanted = IngestRequest("mail/", ("*.pdf",), ("old/*",), 3, True, ("corrupt", "timed_out"), True)
    assert IngestRequest(**read_ingest_form(asked)) == wanted


def test_the_form_of_ingestion_offers_the_kinds_of_rejects_and_refuses_others() -> None:
    with pytest.raises(ParamValidationError):
        ingest_form()["retry_rejects"].resolve(["passwort_required"])


def test_every_form_can_be_sent_as_it_opens() -> None:
    """The UI asks for a value where a string may not be null, and an empty one does not count: its Trigger button stays grey."""
    skills = Catalogue(INCLUDE)
    forms = [ingest_form(), *(skill_form(skills.load(name), load_teams(INCLUDE / "teams.yaml")) for name in skills.names())]
    for name, param in ((name, param) for form in forms for name, param in form.items()):
        assert param.resolve() != "" or "null" in param.schema.get("type", ()), name
