"""A skill's cases asked on its tiers: what is judged, paid, kept."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillyard.errors import ConfigError, RunLocked, UnknownName
from skillyard.evals.report import EvalReport
from skillyard.evals.run import eval_skill
from skillyard.gateway.state import open_state
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.evidence import gather
from skillyard.running.lease import take_lease
from skillyard.running.runs import run_lease
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from skillyard.skills.cases import load_cases
from tests.simulator import Simulator

SKILL = "classify-urgency"


@pytest.fixture
def own(settings: Settings, simulator: Simulator, tmp_path: Path) -> Settings:
    """An installation whose cases and budgets may be rewritten."""
    return replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))


def edit(path: Path, change: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))


def expect(settings: Settings, assertion: Mapping[str, Any]) -> int:
    """Let every case expect the same, and return how many there are."""
    path = settings.include / "skills" / SKILL / "evals" / "cases.yaml"
    cases = yaml.safe_load(path.read_text())["cases"]
    edit(path, {"cases": [case | {"expect": {"level": assertion}} for case in cases]})
    return len(cases)


def labels(settings: Settings) -> list[str]:
    return list(Catalogue(settings.include).load(SKILL).labels or {})


def rates(report: EvalReport) -> dict[str, float]:
    return {score.tier: score.pass_rate for score in report.scores}


def test_every_case_is_asked_on_every_tier_and_each_verdict_is_a_row(own: Settings) -> None:
    n_cases = expect(own, {"one_of": labels(own)})
    report = eval_skill(own, SKILL)
    assert (report.is_good, rates(report)) == (True, {"fast": 1.0, "standard": 1.0, "expert": 1.0})
    rows = read(Lake(own.lake), "evals").to_pylist()
    assert len(rows) == 3 * n_cases and {row["eval_id"] for row in rows} == {report.eval_id}
    assert all(row["has_passed"] and row["is_right"] and row["cost_usd"] > 0 and row["model"] for row in rows)
    assert {(r.source, len(r.outcomes)) for r in gather(own).rows} == {("eval", 3)}


def test_a_wrong_answer_says_what_was_expected_and_the_tier_asked_decides(own: Settings) -> None:
    expect(own, {"equals": "no such label"})
    report = eval_skill(own, SKILL, "standard")
    assert (report.is_good, report.decided_on, rates(report)) == (False, "standard", {"standard": 0.0})
    assert all(v.has_passed and "expected equals 'no such label'" in (v.message or "") for v in report.verdicts)


def test_an_answer_that_breaks_the_schema_has_not_passed(own: Settings, simulator: Simulator) -> None:
    expect(own, {"one_of": labels(own)})
    simulator.configure(models={"sim-fast": {"faults": {"breaks_schema": 1.0}}, "sim-standard": {"faults": {"refusal": 1.0}}})
    report = eval_skill(own, SKILL)
    said = {v.tier: (v.has_passed, v.is_right, (v.message or "").partition(":")[0]) for v in report.verdicts}
    assert said == {"fast": (False, False, "schema_error"), "standard": (False, False, "refusal"), "expert": (True, True, "")}
    assert not report.is_good, "the skill's default tier decides"


def test_it_is_paid_once_by_the_owner_and_stands_in_the_ledger_as_an_eval(own: Settings, simulator: Simulator) -> None:
    n_cases = expect(own, {"one_of": labels(own)})
    first, second = eval_skill(own, SKILL, "fast"), eval_skill(own, SKILL, "fast")
    calls = read(Lake(own.lake), "llm_calls").to_pylist()
    assert sorted(c["status"] for c in calls) == ["cached"] * n_cases + ["settled"] * n_cases
    assert {(c["purpose"], c["team"], c["skill"]) for c in calls} == {("eval", Catalogue(own.include).load(SKILL).owner, SKILL)}
    assert sum((c["cost_usd"] for c in calls), Decimal(0)) == Decimal(simulator.bill()["total_usd"])
    assert [v.cost_usd for v in first.verdicts] == [v.cost_usd for v in second.verdicts], "a row says what an answer costs, whoever paid"
    by_call = {c["item_id"]: c["latency_ms"] for c in calls if c["status"] == "settled"}
    assert all(v.latency_ms == by_call[f"eval:{v.case_id}"] for v in (*first.verdicts, *second.verdicts)), "the provider's, not the queue's"


def test_a_budget_holds_and_what_was_not_asked_is_said(own: Settings) -> None:
    owner = Catalogue(own.include).load(SKILL).owner
    teams = yaml.safe_load((own.include / "teams.yaml").read_text())["teams"]
    teams[owner]["budgets"] = [{"per": "day", "hard_usd": "0.000001"}]
    edit(own.include / "teams.yaml", {"teams": teams})
    report = eval_skill(own, SKILL, "fast")
    assert not report.is_good and report.verdicts == ()
    assert len(report.unasked) == len(load_cases(Catalogue(own.include).load(SKILL)))
    assert all("the hard limit of $0.000001 is reached" in said for said in report.unasked)
    assert read(Lake(own.lake), "evals").num_rows == 0


def test_what_cannot_be_evaluated_is_refused_before_a_call(own: Settings, simulator: Simulator) -> None:
    with pytest.raises(ConfigError, match="asks no model"):
        eval_skill(own, "detect-language", "fast")
    with pytest.raises(UnknownName, match="tier for classify-urgency"):
        eval_skill(own, SKILL, "huge")
    take_lease(open_state(own.state), run_lease(SKILL, own.lake), "airflow:somebody")
    with pytest.raises(RunLocked):
        eval_skill(own, SKILL)
    assert simulator.calls() == []


def test_an_eval_leaves_no_lease_behind(own: Settings) -> None:
    began = datetime.now(UTC)
    eval_skill(own, SKILL, "fast")
    take_lease(open_state(own.state), run_lease(SKILL, own.lake), "airflow:somebody")
    assert read(Lake(own.lake), "evals", ["evaluated_at"])["evaluated_at"].to_pylist()[0] >= began


def test_a_library_answers_its_cases_without_a_model(own: Settings, simulator: Simulator) -> None:
    report = eval_skill(own, "detect-language")
    n_cases = len(load_cases(Catalogue(own.include).load("detect-language")))
    assert rates(report) == {"none": 1.0} and report.is_good and report.decided_on == "none"
    rows = read(Lake(own.lake), "evals").to_pylist()
    assert len(rows) == n_cases and {(r["tier"], r["model"], r["cost_usd"]) for r in rows} == {("none", "library:detect-language", 0)}
    assert simulator.calls() == [] and gather(own).rows == [], "where no tier is to be chosen, a router has nothing to learn"


def make_mixed(settings: Settings, handler: str) -> None:
    folder = settings.include / "skills" / SKILL
    edit(folder / "skill.yaml", {"kind": "mixed"})
    (folder / "handler.py").write_text(f"def handle(source, parameters):\n    {handler}\n")


def test_a_mixed_skills_library_comes_first_and_a_tier_gets_the_rest(own: Settings, simulator: Simulator) -> None:
    n_cases, first = expect(own, {"one_of": labels(own)}), load_cases(Catalogue(own.include).load(SKILL))[0]
    simulator.configure(said={first.source.text: "never asked"})
    values = {"level": labels(own)[0], "reason": first.source.text[:20], "confidence": 1.0}
    known = {name: values.get(name) for name in Catalogue(own.include).load(SKILL).output_schema["properties"]}
    make_mixed(own, f"return {known!r} if source.text == {first.source.text!r} else None")
    report = eval_skill(own, SKILL)
    assert {v.tier: v.model for v in report.verdicts if v.case_id == first.id} == {"none": f"library:{SKILL}"}
    assert rates(report) == {"fast": 1.0, "standard": 1.0, "expert": 1.0} and len(report.verdicts) == 1 + 3 * (n_cases - 1)
    assert {score.n_cases for score in report.scores} == {n_cases}
    assert {r.source for r in gather(own).rows} == {"eval"} and len(gather(own).rows) == n_cases - 1


def test_a_mixed_skills_label_that_is_none_goes_on_to_a_model(own: Settings, simulator: Simulator) -> None:
    n_cases = expect(own, {"one_of": labels(own)})
    make_mixed(own, "return {'level': 'no such label'}")
    assert len([v for v in eval_skill(own, SKILL, "fast").verdicts if v.tier == "fast"]) == n_cases


SENTENCE = "It names a level that a dispatcher can act on."


def expect_sentence(settings: Settings) -> int:
    return expect(settings, {"one_of": labels(settings), "judge": SENTENCE})


def test_a_sentence_is_judged_by_the_expert_with_output_source_and_sentence_as_data(own: Settings, simulator: Simulator) -> None:
    n_cases = expect_sentence(own)
    simulator.configure(said={SENTENCE: '{"verdict": "yes"}'}, keep_requests=True)
    report = eval_skill(own, SKILL, "fast")
    assert rates(report) == {"fast": 1.0}
    judged = [c for c in simulator.calls() if SENTENCE in c["body"]["messages"][1]["content"]]
    assert len(judged) == n_cases and {c["model"] for c in judged} == {"sim-expert"}
    case, asked = load_cases(Catalogue(own.include).load(SKILL))[0], judged[0]["body"]["messages"]
    assert any(case.source.text in c["body"]["messages"][1]["content"] for c in judged)
    assert all(f"<{part} " in asked[1]["content"] for part in ("source", "answer", "statement")) and SENTENCE not in asked[0]["content"]


def test_a_judge_is_paid_by_the_owner_and_stands_in_the_ledger_under_its_purpose(own: Settings, simulator: Simulator) -> None:
    n_cases = expect_sentence(own)
    simulator.configure(said={SENTENCE: '{"verdict": "yes"}'})
    eval_skill(own, SKILL, "fast")
    calls = read(Lake(own.lake), "llm_calls").to_pylist()
    assert sorted(c["purpose"] for c in calls) == ["eval"] * n_cases + ["judge"] * n_cases
    assert {(c["team"], c["tier"]) for c in calls if c["purpose"] == "judge"} == {(Catalogue(own.include).load(SKILL).owner, "expert")}
    assert sum((c["cost_usd"] for c in calls), Decimal(0)) == Decimal(simulator.bill()["total_usd"])


def test_a_sentence_that_is_not_true_is_a_wrong_case(own: Settings, simulator: Simulator) -> None:
    expect_sentence(own)
    simulator.configure(said={SENTENCE: '{"verdict": "no"}'})
    report = eval_skill(own, SKILL, "fast")
    assert rates(report) == {"fast": 0.0} and all(
        v.has_passed and "the judge says it is not true" in (v.message or "") for v in report.verdicts
    )


def test_a_case_that_is_wrong_anyway_is_not_judged(own: Settings, simulator: Simulator) -> None:
    expect(own, {"equals": "no such label", "judge": SENTENCE})
    eval_skill(own, SKILL, "fast")
    assert {c["purpose"] for c in read(Lake(own.lake), "llm_calls").to_pylist()} == {"eval"}


def test_a_judge_without_a_verdict_leaves_the_case_without_one(own: Settings, simulator: Simulator) -> None:
    n_cases = expect_sentence(own)
    simulator.configure(said={SENTENCE: '{"verdict": "perhaps"}'})
    report = eval_skill(own, SKILL, "fast")
    assert report.verdicts == () and len(report.unasked) == n_cases and not report.is_good
    assert all("the judge gives no verdict" in said for said in report.unasked)


def test_progress_is_told_while_it_lasts(own: Settings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    n_cases, told = expect(own, {"one_of": labels(own)}), list[str]()
    monkeypatch.setattr("skillyard.evals.run.PROGRESS_EVERY_S", 0.0)
    eval_skill(own, SKILL, "fast", told.append)
    assert len(told) == n_cases and told[-1].startswith(f"{SKILL}: {n_cases}/{n_cases} cases, ") and told[-1].endswith(" 0 s left")


def test_a_file_that_has_to_be_refused_is_right_when_it_is_for_the_reason_expected(own: Settings) -> None:
    folder = own.include / "skills" / "detect-language"
    edit(folder / "skill.yaml", {"input_unit": "file"})
    handler = "from skillyard.documents.result import Refused\n\n\ndef handle(source, parameters):\n"
    (folder / "handler.py").write_text(handler + "    raise Refused(source.data.decode(), 'it is so')\n")
    (folder / "evals" / "files").mkdir()
    for kind in ("corrupt", "encrypted"):
        (folder / "evals" / "files" / f"{kind}.bin").write_text(kind)
    cases = [{"id": kind, "file": f"files/{kind}.bin", "refused": "corrupt"} for kind in ("corrupt", "encrypted")]
    edit(folder / "evals" / "cases.yaml", {"cases": cases})
    verdicts = {v.case_id: v for v in eval_skill(own, "detect-language").verdicts}
    assert verdicts["corrupt"].is_right and verdicts["corrupt"].message is None
    assert verdicts["encrypted"].message == "expected to be refused as corrupt, encrypted: it is so"
    assert read(Lake(own.lake), "evals")["text"].to_pylist() == ["corrupt.bin", "encrypted.bin"]
