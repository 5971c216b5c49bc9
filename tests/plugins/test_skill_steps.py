"""The steps of a skill's DAG, one after the other as Airflow calls them, over a real lake."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors

from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.plan import decline_plan
from skillyard.running.route import route_run
from skillyard.running.runs import RunPlan
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from skillyard.skills.teams import load_teams
from skillyard_airflow import skill_steps as steps
from skillyard_airflow.forms import skill_form
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL = "detect-language"


@pytest.fixture
def installation(settings: Settings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("lake", "inbox", "profile", "state", "include", "home"):
        monkeypatch.setenv(f"SKILLYARD_{name.upper()}", str(getattr(settings, name)))
    return settings


class Task:
    """What a step is given of its task instance."""

    def __init__(self, try_number: int) -> None:
        self.try_number = try_number
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def plan(settings: Settings, try_number: int = 1, run_type: str = "manual", run_id: str = "manual__1") -> str | None:
    form = skill_form(Catalogue(settings.include).load(SKILL), load_teams(settings.include / "teams.yaml"))
    params = {name: param.resolve() for name, param in form.items()}
    dag_run = SimpleNamespace(run_type=run_type, dag_id=f"skill.{SKILL}")
    return steps.plan(SKILL, run_id, params, dag_run, Task(try_number))


def work_through(settings: Settings, run_key: str) -> tuple[dict[str, Any], list[str]]:
    """Route, answer, publish, finish; return what publish handed on and the names of the Assets it announced."""
    route_run(settings, run_key)
    for shard in steps.list_shards(run_key, "library"):
        steps.work(shard)
    events = OutletEventAccessors()
    published = steps.publish(SKILL, run_key, events)
    steps.finish(run_key, published)
    return published, [event.dest_asset_key.name for event in events[steps.announced_by(SKILL)].asset_alias_events]


def test_results_are_announced_and_a_second_run_has_nothing_to_do(installation: Settings) -> None:
    publish_texts(installation, mails(3))
    run_key = plan(installation)
    assert run_key
    published, announced = work_through(installation, run_key)
    assert published == {"n_results": 3, "n_rejects": 0, "n_pending": 0, "n_calls": 0}
    assert announced == [f"results/{SKILL}"]
    assert plan(installation, run_id="manual__2") is None


def test_a_run_that_is_cleared_answers_what_is_pending_by_then(installation: Settings) -> None:
    publish_texts(installation, mails(2))
    first = plan(installation)
    assert first
    work_through(installation, first)
    publish_texts(installation, {"late.txt": "This letter came after the run and before somebody cleared it."})
    again = plan(installation, try_number=2)
    assert again and again != first
    published, _ = work_through(installation, again)
    assert published["n_results"] == 1
    assert read(Lake(installation.lake), f"results/{SKILL}").num_rows == 3


def test_a_shard_that_never_ran_leaves_its_items_pending_and_the_run_red(installation: Settings) -> None:
    publish_texts(installation, mails(2))
    run_key = plan(installation)
    assert run_key
    route_run(installation, run_key)
    events = OutletEventAccessors()
    published = steps.publish(SKILL, run_key, events)
    assert published["n_pending"] == 2 and not events[steps.announced_by(SKILL)].asset_alias_events
    with pytest.raises(AirflowFailException, match="2 of 2 items are pending"):
        steps.finish(run_key, published)


def test_after_a_failed_plan_or_publish_the_run_is_red(installation: Settings) -> None:
    with pytest.raises(AirflowFailException, match="see the log of plan"):
        steps.publish(SKILL, None, OutletEventAccessors())
    with pytest.raises(AirflowFailException, match="see the log of plan"):
        steps.finish(None, None)
    publish_texts(installation, mails(1))
    run_key = plan(installation)
    assert run_key
    work_through(installation, run_key)
    with pytest.raises(AirflowFailException, match="publish failed"):
        steps.finish(run_key, None)


def test_a_declined_run_publishes_nothing_and_is_no_failure(installation: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    publish_texts(installation, mails(2))
    run_key = plan(installation)
    assert run_key
    decline_plan(installation, RunPlan.load(Lake(installation.lake), run_key), "ada")
    with pytest.raises(AirflowSkipException, match="declined by ada"):
        steps.publish(SKILL, run_key, OutletEventAccessors())
    steps.finish(run_key, None)
    assert "not approved, nothing was asked: declined by ada" in capsys.readouterr().out


def test_a_run_by_asset_keeps_to_the_bounds_of_enabled_yaml(
    installation: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    enabled = tmp_path_factory.mktemp("enabled") / "enabled.yaml"
    enabled.write_text(f"skills:\n  {SKILL}: {{first_items: 1}}\n")
    monkeypatch.setenv("SKILLYARD_ENABLED", str(enabled))
    publish_texts(installation, mails(3))
    followed = plan(installation, run_type="asset_triggered")
    assert followed
    assert work_through(installation, followed)[0]["n_results"] == 1
