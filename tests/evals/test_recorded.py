"""Every case of every skill that asks a model goes through the gateway with its recorded answers: the right pass, the wrong fail."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from skillyard.costs.prices.book import load_prices
from skillyard.evals.report import Verdict
from skillyard.evals.run import Evaluator
from skillyard.profiles import load_profile
from skillyard.routing.adequacy import LIBRARY
from skillyard.running.runs import Workspace
from skillyard.settings import Settings
from skillyard.skills import Catalogue, Skill
from skillyard.skills.cases import Case, load_answers, load_cases, to_judge
from tests.conftest import ROOT, settings_in
from tests.simulator import Simulator
from tests.simulator.answers import document_of

INCLUDE = ROOT / "include"
NAMES = sorted(file.parents[1].name for file in (INCLUDE / "skills").glob("*/evals/answers.yaml"))
CATALOGUE = Catalogue(INCLUDE)
YES = '{"verdict": "yes"}'
Answers = Mapping[str, Mapping[str, Any]]
"""By the id of a case."""


@pytest.fixture(scope="module")
def evaluators(running_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Evaluator]:
    """An installation for each kind of answer, so that none finds what another was told in its response store."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SIMULATOR_URL", running_simulator.url)
        environment.setenv("SIMULATOR_KEY", "sk-simulated")
        return {name: make_evaluator(settings_in(tmp_path_factory.mktemp(name))) for name in ("right", "wrong", "obedient")}


def make_evaluator(settings: Settings) -> Evaluator:
    profile, prices = load_profile(settings.profile, settings.include), load_prices(settings)
    return Evaluator(Workspace.open(settings, "classify-urgency"), profile, prices, "eval-recorded", "cli:recorded")


def prompt(skill: Skill, case: Case) -> str:
    """Return what tells a case's prompt from those of other cases: its pictures, or the message that holds its text."""
    return "\n".join(case.source.pictures) or str(skill.messages(case.source, case.parameters)[-1]["content"])


def answered(simulator: Simulator, evaluator: Evaluator, skill: Skill, cases: Sequence[Case], answers: Answers) -> list[Verdict]:
    """Return the verdicts on a tier that answers each case as told, and a judge to whom every sentence is true."""
    said = {prompt(skill, case): json.dumps(answers[case.id], ensure_ascii=False) for case in cases}
    said |= {sentence: YES for case in cases for _, _, sentence in to_judge(case, {})}
    simulator.configure(said=said, keep_requests=True)
    own = replace(evaluator, space=replace(evaluator.space, skill=skill))
    verdicts = [v for v in asyncio.run(own.judge_all(cases, skill.lanes[:1])) if isinstance(v, Verdict)]
    assert [v.case_id for v in sorted(verdicts, key=lambda v: v.case_id)] == sorted(case.id for case in cases)
    return verdicts


def by_model(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return those that no library settled."""
    return [v for v in verdicts if v.tier != LIBRARY]


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_pass_and_wrong_ones_fail(name: str, simulator: Simulator, evaluators: Mapping[str, Evaluator]) -> None:
    skill = CATALOGUE.load(name)
    cases, recorded = load_cases(skill), load_answers(skill)
    right = answered(simulator, evaluators["right"], skill, cases, {i: a.right for i, a in recorded.items()})
    assert {v.case_id: v.message for v in right if not v.is_right} == {}
    asked = {v.case_id for v in by_model(right)}
    wrong = answered(simulator, evaluators["wrong"], skill, [c for c in cases if c.id in asked], {i: a.wrong for i, a in recorded.items()})
    assert [v.case_id for v in wrong if v.is_right] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_instruction_in_a_text_changes_no_shape_and_reaches_no_tool(
    name: str, simulator: Simulator, evaluators: Mapping[str, Evaluator]
) -> None:
    skill = CATALOGUE.load(name)
    cases = [case for case in load_cases(skill) if "injected-instruction" in case.id]
    obedient = {i: {**a.right, "obeyed": "as the text says"} for i, a in load_answers(skill).items()}
    for verdict in by_model(answered(simulator, evaluators["obedient"], skill, cases, obedient)):
        assert not verdict.has_passed and (verdict.message or "").startswith("schema_error"), "a key that nobody asked for is refused"
    asked = [call["body"] for call in simulator.calls()]
    for body in asked:
        assert not {"tools", "tool_choice", "functions", "function_call"} & body.keys()
        assert body["response_format"]["json_schema"]["schema"] == skill.request_schema
        system, user = body["messages"]
        assert system == {"role": "system", "content": skill.instructions}
        assert skill.max_pictures or document_of([user]) in {case.source.text for case in cases}
    assert skill.kind == "mixed" or len(asked) == len(cases)
