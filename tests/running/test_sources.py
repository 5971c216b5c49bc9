"""Skills that go by other skills' results, and skills whose own code answers first: what they are given, asked and paid."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillyard.errors import ConfigError
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.items import find_items, items_of
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.runs import PlanRequest, Workspace, results_of
from skillyard.settings import Settings
from skillyard.skills import Taken
from skillyard.skills.handler import load_handler
from tests.running.lake_of import publish_texts
from tests.simulator import Simulator

FIRST, THEN = "detect-language", "classify-urgency"
TEXTS = {
    "late.txt": "The parcel has not come, and the party is tomorrow. Please help me at once.",
    "kurz.txt": "Die Lieferung ist angekommen, alles ist in Ordnung. Vielen Dank für die schnelle Hilfe.",
}
LANGUAGE = Taken(FIRST, "language", "the text's language")


@pytest.fixture
def own(settings: Settings, simulator: Simulator, tmp_path: Path) -> Settings:
    """An installation whose skills may be edited, with two documents."""
    changed = replace(settings, include=Path(shutil.copytree(settings.include, tmp_path / "include")))
    publish_texts(changed, TEXTS)
    return changed


def edit(settings: Settings, skill: str, change: Mapping[str, Any], handler: str | None = None) -> None:
    folder = settings.include / "skills" / skill
    path = folder / "skill.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    if handler is not None:
        (folder / "handler.py").write_text(f"def handle(source, parameters):\n    {handler}\n")
        load_handler.cache_clear()  # a process loads each once


def run(settings: Settings, skill: str, run_id: str) -> list[dict[str, Any]]:
    """Run a skill and return its results."""
    run_skill(settings, plan_run(settings, PlanRequest(skill, run_id, "cli")), lambda _: None)
    return read(Lake(settings.lake), results_of(Workspace.open(settings, skill).skill)).to_pylist()


def test_an_item_has_what_it_takes_from_anothers_result_and_is_none_before_that_has_run(own: Settings) -> None:
    skill, lake = replace(Workspace.open(own, THEN).skill, takes={"language": LANGUAGE}), Lake(own.lake)
    assert list(find_items(lake, skill, own.inbox)) == []
    run(own, FIRST, "r1")
    items = {item.uri.rpartition("/")[2]: item for item in find_items(lake, skill, own.inbox)}
    assert {name: dict(item.source.inputs) for name, item in items.items()} == {
        "late.txt": {"language": "en"},
        "kurz.txt": {"language": "de"},
    }
    assert items["late.txt"].text == TEXTS["late.txt"]
    paged = replace(skill, input_unit="page")
    assert {dict(item.source.inputs)["language"] for item in find_items(lake, paged, own.inbox)} == {"en", "de"}, "of the whole document"
    (again,) = items_of(lake, [items["late.txt"].doc_id], [skill])
    assert again[1] == items["late.txt"], "an audit asks the same"


def test_what_is_taken_as_text_stands_in_for_the_document_and_what_is_no_text_is_json(own: Settings) -> None:
    run(own, FIRST, "r1")
    taken = {"text": LANGUAGE, "is_mixed": Taken(FIRST, "is_mixed", "")}
    skill = replace(Workspace.open(own, THEN).skill, takes=taken)
    skill = replace(skill, applies_to=replace(skill.applies_to, min_chars=1))
    items = list(find_items(Lake(own.lake), skill, own.inbox))
    assert sorted((item.text, item.inputs) for item in items) == [("de", '{"is_mixed": "false"}'), ("en", '{"is_mixed": "false"}')]


def test_inputs_reach_the_model_as_marked_data_and_are_part_of_what_is_paid_once(own: Settings, simulator: Simulator) -> None:
    run(own, FIRST, "r1")
    edit(own, THEN, {"takes": {"language": {"skill": FIRST, "column": "language", "description": "the text's language"}}})
    simulator.configure(keep_requests=True)
    assert len(run(own, THEN, "r2")) == 2
    sent = [call["body"]["messages"][1]["content"] for call in simulator.calls()]
    assert len(sent) == 2 and all("<language " in text and text.index("<language ") < text.index("<document ") for text in sent)
    assert plan_run(own, PlanRequest(THEN, "r3", "cli")).is_empty


def test_a_mixed_skill_asks_a_model_only_where_its_own_code_is_not_sure_or_breaks_a_rule(own: Settings, simulator: Simulator) -> None:
    answer = {"level": "low", "confidence": 1.0}
    edit(own, THEN, {"kind": "mixed", "checks": []}, f"return {answer!r} if 'parcel' in source.text else None")
    rows = {row["uri"].rpartition("/")[2]: row for row in run(own, THEN, "r1")}
    assert {name: (row["tier"], row["cost_usd"] > 0) for name, row in rows.items()} == {
        "late.txt": ("none", False),
        "kurz.txt": ("fast", True),
    }
    assert rows["late.txt"]["model"] == f"library:{THEN}" and rows["late.txt"]["cost_usd"] == Decimal(0)
    assert len(simulator.calls()) == 1
    edit(own, THEN, {}, "return {'level': 'no such label', 'confidence': 1.0}")
    plan = plan_run(own, PlanRequest(THEN, "r2", "cli", reprocess="all"))
    run_skill(own, plan, lambda _: None)
    assert {row["tier"] for row in read(Lake(own.lake), results_of(Workspace.open(own, THEN).skill)).to_pylist()} == {"fast"}


def test_a_mixed_skill_whose_code_fails_is_a_reject_not_a_bill(own: Settings, simulator: Simulator) -> None:
    edit(own, THEN, {"kind": "mixed"}, "raise ValueError('broken')")
    assert run(own, THEN, "r1") == [] and simulator.calls() == []
    rejects = [row for row in read(Lake(own.lake), "rejects").to_pylist() if row["skill"] == THEN]
    assert [row["error_kind"] for row in rejects] == ["library_error"] * 2


def test_a_mixed_skill_has_no_batch_lane(own: Settings) -> None:
    edit(own, THEN, {"kind": "mixed"}, "return None")
    with pytest.raises(ConfigError, match="is a mixed skill: its library answers most items"):
        plan_run(own, PlanRequest(THEN, "r1", "cli", lane="batch"))
