"""Every DAG, as the DAG processor sees it: loads, is deterministic, is documented, spends nothing by accident."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillyard.local.setup import SCHEDULED
from tests.dags.bag import ROOT, load_dags

INCLUDE = ROOT / "include"
SKILLS = sorted(p.name for p in (INCLUDE / "skills").iterdir() if (p / "skill.yaml").is_file())
OWN_DAGS = ["ingest_documents", *SCHEDULED]
TIERS = ["fast", "standard", "expert"]
KEPT = ("answer-question", "classify-document-type", "classify-sentiment", "detect-language", "extract-invoice", "tag-document")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All DAGs of the project."""
    return load_dags(tmp_path_factory.mktemp("airflow"))


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """A copy of some of the catalogue that a test may change: a hundred DAGs take half a minute to be looked at."""
    left_out = [name for name in SKILLS if name not in KEPT]
    return shutil.copytree(INCLUDE, tmp_path / "include", ignore=lambda folder, _: left_out if Path(folder).name == "skills" else [])


def spec_of(skill: str) -> dict[str, Any]:
    return yaml.safe_load((INCLUDE / "skills" / skill / "skill.yaml").read_text())


def test_every_dag_file_loads_and_every_skill_has_a_dag(loaded: dict[str, Any]) -> None:
    assert loaded["errors"] == {}
    assert sorted(loaded["dags"]) == sorted([*OWN_DAGS, *(f"skill.{name}" for name in SKILLS)])


def test_parsing_imports_nothing_heavy(loaded: dict[str, Any]) -> None:
    assert loaded["heavy"] == []


def test_dags_are_the_same_in_another_process(loaded: dict[str, Any], tmp_path: Path) -> None:
    again = load_dags(tmp_path, PYTHONHASHSEED="7")
    assert {k: d["hash"] for k, d in again["dags"].items()} == {k: d["hash"] for k, d in loaded["dags"].items()}


def test_a_task_that_runs_builds_only_its_own_dag(tmp_path: Path) -> None:
    dags = load_dags(tmp_path, only="skill.tag-document")["dags"]
    assert [dag_id for dag_id in dags if dag_id.startswith("skill.")] == ["skill.tag-document"]


def test_every_dag_opens_with_triage_and_has_tags_and_owners(loaded: dict[str, Any]) -> None:
    teams = yaml.safe_load((INCLUDE / "teams.yaml").read_text())["teams"]
    for dag_id, dag in loaded["dags"].items():
        assert dag["doc"].strip().startswith("### Triage"), dag_id
        assert all(words in dag["doc"] for words in ("What it does", "is red", "Where the tables are")), dag_id
        assert dag["tags"], dag_id
        owners = {task["owner"] for task in dag["tasks"].values()}
        assert owners <= ({"skillyard"} | set(teams)), dag_id


def test_every_task_ends_in_time_and_retries_soon(loaded: dict[str, Any]) -> None:
    for dag_id, dag in loaded["dags"].items():
        for name, task in dag["tasks"].items():
            assert task["timeout_s"], (dag_id, name)
            assert task["retries"] == 0 or (task["retries"] == 2 and task["retry_s"] == 10), (dag_id, name)


def test_every_param_has_title_description_and_section(loaded: dict[str, Any]) -> None:
    for dag_id, dag in loaded["dags"].items():
        for name, param in dag["params"].items():
            assert param["schema"]["title"] and param["description"] and param["schema"]["section"], (dag_id, name)


def test_dropdowns_show_words_and_hold_no_null(loaded: dict[str, Any]) -> None:
    for dag_id, dag in loaded["dags"].items():
        for name, param in dag["params"].items():
            choices = param["schema"].get("enum", [])
            assert None not in choices, (dag_id, name)
            if name in ("first_tier", "team"):
                assert set(choices) == set(param["schema"]["values_display"]), (dag_id, name)


@pytest.mark.parametrize("skill", SKILLS)
def test_first_tier_goes_no_higher_than_the_skill(loaded: dict[str, Any], skill: str) -> None:
    spec, params = spec_of(skill), loaded["dags"][f"skill.{skill}"]["params"]
    if spec["kind"] == "library":
        assert "first_tier" not in params
    else:
        highest = spec.get("tier", {}).get("max", "expert")
        assert params["first_tier"]["schema"]["enum"] == ["auto", *TIERS[: TIERS.index(highest) + 1]]


@pytest.mark.parametrize("skill", SKILLS)
def test_a_skill_is_paused_at_creation_and_follows_documents_only_when_enabled(loaded: dict[str, Any], skill: str) -> None:
    dag, enabled = loaded["dags"][f"skill.{skill}"], yaml.safe_load((INCLUDE / "enabled.yaml").read_text())["skills"]
    assert dag["is_paused"] and dag["max_active_runs"] == 1
    assert ("documents" in dag["follows"]) == (skill in enabled)


@pytest.mark.parametrize("skill", SKILLS)
def test_each_lane_has_its_own_pool_and_queue_and_publish_saves_what_finished(loaded: dict[str, Any], skill: str) -> None:
    tasks = loaded["dags"][f"skill.{skill}"]["tasks"]
    lanes = {name for name in tasks if name.startswith("lane_")}
    assert lanes
    assert all(tasks[lane]["pool"] == tasks[lane]["queue"] == lane for lane in lanes)
    assert tasks["publish"]["rule"] == "all_done" and set(tasks["publish"]["upstream"]) == {"plan", *lanes}
    assert tasks["finish"]["rule"] == "all_done" and "publish" in tasks["finish"]["upstream"]


@pytest.mark.parametrize("skill", SKILLS)
def test_a_run_that_can_cost_something_passes_approval_before_it_is_routed(loaded: dict[str, Any], skill: str) -> None:
    dag = loaded["dags"][f"skill.{skill}"]
    is_free = spec_of(skill)["kind"] == "library"
    assert dag["tasks"]["route"]["upstream"] == (["plan"] if is_free else ["approve", "plan"])
    assert ("approve is waiting for input" in dag["doc"]) == ("probe" in dag["params"]) == (not is_free)


def test_a_plain_asset_outlet_would_be_sent_even_when_nothing_is_new(loaded: dict[str, Any]) -> None:
    outlets = {kind for dag in loaded["dags"].values() for task in dag["tasks"].values() for kind in task["outlets"]}
    assert outlets == {"AssetAlias"}


def test_a_skill_with_where_follows_the_results_of_the_other(include: Path, tmp_path: Path) -> None:
    path = include / "skills" / "extract-invoice" / "skill.yaml"
    spec = yaml.safe_load(path.read_text())
    spec["applies_to"]["where"] = [{"skill": "classify-document-type", "column": "document_type", "equals": "invoice"}]
    path.write_text(yaml.safe_dump(spec))
    dag = load_dags(tmp_path / "airflow", include)["dags"]["skill.extract-invoice"]
    assert dag["follows"] == ["documents", "results/classify-document-type"]
    assert "new results of classify-document-type" in dag["doc"]


def test_a_skill_with_a_mistake_says_so_and_leaves_the_others_alone(include: Path, tmp_path: Path) -> None:
    path = include / "skills" / "tag-document" / "skill.yaml"
    path.write_text(path.read_text().replace("kind: llm", "kind: magic"))
    loaded = load_dags(tmp_path / "airflow", include)
    assert loaded["errors"] == {}
    assert len(loaded["dags"]) == len(KEPT) + len(OWN_DAGS)
    broken = loaded["dags"]["skill.tag-document"]
    assert "broken" in broken["tags"] and "Allowed: llm, library, mixed" in broken["doc"] and list(broken["tasks"]) == ["plan"]


def test_a_parameter_may_not_take_the_name_of_a_field_of_the_form(include: Path, tmp_path: Path) -> None:
    path = include / "skills" / "answer-question" / "skill.yaml"
    path.write_text(path.read_text().replace("  question:\n", "  limit:\n"))
    broken = load_dags(tmp_path / "airflow", include)["dags"]["skill.answer-question"]
    assert "parameters.limit" in broken["doc"]


def test_what_follows_the_audits_runs_whatever_became_of_them_and_finish_says_so(loaded: dict[str, Any]) -> None:
    dag = loaded["dags"]["quality_audit"]
    tasks = dag["tasks"]
    assert {name: task["upstream"] for name, task in tasks.items() if name != "finish"} == {
        "list_skills": [],
        "submit": ["list_skills"],
        "wait": ["list_skills", "submit"],
        "audit": ["list_skills", "wait"],
        "recalibrate": ["audit"],
        "measure": ["recalibrate"],
        "flag": ["measure"],
    }
    assert {tasks[name]["rule"] for name in ("audit", "recalibrate", "measure", "flag")} == {"all_done"}
    assert tasks["finish"]["rule"] == "none_failed" and tasks["finish"]["upstream"] == ["audit", "flag", "measure", "recalibrate"]


def test_every_step_of_a_night_of_maintenance_runs_and_finish_says_whether_one_failed(loaded: dict[str, Any]) -> None:
    tasks = loaded["dags"]["lake_maintenance"]["tasks"]
    steps = ["evict", "compact", "tidy", "verify"]
    assert [tasks[name]["upstream"] for name in steps] == [[], ["evict"], ["compact"], ["tidy"]]
    assert {tasks[name]["rule"] for name in steps[1:]} == {"all_done"}
    assert tasks["finish"]["upstream"] == sorted(steps) and tasks["finish"]["rule"] == "all_success"


def test_a_night_of_money_goes_on_whatever_a_step_did_and_finish_says_so(loaded: dict[str, Any]) -> None:
    dag = loaded["dags"]["cost_attribution"]
    tasks = dag["tasks"]
    steps = ["attribute", "watch", "alert", "report"]
    assert [tasks[name]["upstream"] for name in steps] == [[], ["attribute"], ["watch"], ["alert"]]
    assert {tasks[name]["rule"] for name in steps[1:]} == {"all_done"}
    assert tasks["finish"]["upstream"] == sorted(steps) and tasks["finish"]["rule"] == "none_failed"
    assert dag["params"]["accept_loss"]["value"] is False and "gone for good" in dag["params"]["accept_loss"]["description"]
    words = ("conflicting_rows", "negative", "lost_rows", "duplicate_rows", "clock", "unpriced")
    assert all(f"*{word}*" in dag["doc"] for word in words)
