"""ApproveOperator over really planned runs: when it asks, what it asks, and what each answer does."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskAwaitingInput
from sqlalchemy import select

from skillyard.errors import RunLocked
from skillyard.gateway.state import LEASES, open_state, reading
from skillyard.running.lease import take_lease
from skillyard.running.plan import declined_by, plan_run
from skillyard.running.runs import PlanRequest, RunPlan
from skillyard.settings import Settings
from skillyard_airflow.approve_operator import ApproveOperator
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

DAG = "skill.tag-document"


@pytest.fixture
def environment(settings: Settings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("lake", "inbox", "profile", "state", "include", "home"):
        monkeypatch.setenv(f"SKILLYARD_{name.upper()}", str(getattr(settings, name)))
    publish_texts(settings, mails(3))
    return settings


@pytest.fixture
def strict(environment: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPlan:
    """A planned run that costs more than its team's threshold."""
    include = shutil.copytree(environment.include, tmp_path / "include")
    text = (include / "teams.yaml").read_text()
    (include / "teams.yaml").write_text(text.replace('approval_above_usd: "5"', 'approval_above_usd: "0.000001"'))
    monkeypatch.setenv("SKILLYARD_INCLUDE", str(include))
    return plan_run(Settings.from_env(), PlanRequest("tag-document", "manual__1", DAG))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The questions that reached Airflow."""
    questions: list[dict[str, Any]] = []
    monkeypatch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **given: questions.append(given))
    return questions


def operator(plan: RunPlan) -> ApproveOperator:
    return ApproveOperator(task_id="approve", run_key=plan.run_key)


def context() -> Any:
    ti = SimpleNamespace(id="some-id")
    return {"task_instance": ti, "ti": ti}


def answer(plan: RunPlan, option: str, user: str | None) -> str:
    event = {"chosen_options": [option], "params_input": {}, "responded_at": datetime.now(UTC), "timedout": user is None}
    return operator(plan).execute_complete(context(), event | {"responded_by_user": user and {"id": user, "name": user}})


def test_a_run_below_the_threshold_goes_on_at_once(environment: Settings, asked: list[dict[str, Any]]) -> None:
    plan = plan_run(environment, PlanRequest("tag-document", "manual__1", DAG))
    assert operator(plan).execute(context()) == "not needed" and asked == []


def test_above_it_a_person_is_asked_with_the_quote_and_the_lease_is_held_meanwhile(strict: RunPlan, asked: list[dict[str, Any]]) -> None:
    with pytest.raises(TaskAwaitingInput) as waiting:
        operator(strict).execute(context())
    assert waiting.value.timeout == timedelta(hours=24)
    (question,) = asked
    assert question["options"] == ["Approve", "Reject"] and question["defaults"] == ["Reject"]
    assert strict.quote.text in question["body"] and "needs approval: it may cost more than $0.000001" in question["body"]
    state = open_state(Settings.from_env().state)
    with reading(state) as connection:
        ends = connection.scalars(select(LEASES.c.expires_at).where(LEASES.c.name == strict.lease)).one()
    assert ends > datetime.now(UTC) + timedelta(hours=24)


def test_approved_the_run_goes_on_with_an_ordinary_lease(strict: RunPlan) -> None:
    assert answer(strict, "Approve", "ada") == "approved by ada"
    assert declined_by(Settings.from_env(), strict.run_key) is None
    with pytest.raises(RunLocked):
        take_lease(open_state(Settings.from_env().state), strict.lease, "somebody else")


@pytest.mark.parametrize(("user", "who"), [("ada", "ada"), (None, "nobody, within 24 hours")])
def test_declined_or_unanswered_the_run_ends_and_frees_its_lease(strict: RunPlan, user: str | None, who: str) -> None:
    assert answer(strict, "Reject", user) == f"declined by {who}"
    assert declined_by(Settings.from_env(), strict.run_key) == who
    take_lease(open_state(Settings.from_env().state), strict.lease, "somebody else")


def test_the_run_key_is_templated() -> None:
    assert set(ApproveOperator.template_fields) == {"subject", "body", "run_key"}
