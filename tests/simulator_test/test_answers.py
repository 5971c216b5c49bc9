"""Answers are a set function of model and prompt, and made of the document."""

import jsonschema

from tests.simulator import Simulator
from tests.simulator_test.asking import SCHEMA, TEXT, ask, request


def test_the_same_request_always_gets_the_same_answer(simulator: Simulator) -> None:
    first, again, warmer = ask(simulator.url, request(1), request(1), request(1, temperature=1.7))
    assert first.message == again.message == warmer.message
    assert first.body["usage"] == again.body["usage"]


def test_another_process_with_the_same_seed_gives_the_same_answers_and_faults(simulator: Simulator) -> None:
    faults = {"refusal": 0.2, "rate_limited": 0.3}
    simulator.configure(faults=faults, wrong=0.5)
    bodies = [request(n) for n in range(40)]
    here = ask(simulator.url, *bodies)
    with Simulator({"faults": faults, "wrong": 0.5}) as other:
        there = ask(other.url, *bodies, concurrency=1)
    assert [(a.status, a.status == 200 and a.message) for a in here] == [(b.status, b.status == 200 and b.message) for b in there]
    assert {a.status for a in here} == {200, 429}


def test_a_right_answer_has_the_schema_and_quotes_the_document(simulator: Simulator) -> None:
    for n, got in enumerate(ask(simulator.url, *[request(n) for n in range(60)])):
        jsonschema.validate(got.value, SCHEMA)
        text = TEXT.format(n=n)
        assert got.value["quote"] and got.value["quote"] in text
        assert got.value["issued_on"] == "2026-03-14"
        assert f"{got.value['amount']:g}" in text


def test_labels_are_spread_over_the_enum(simulator: Simulator) -> None:
    labels = [got.value["label"] for got in ask(simulator.url, *[request(n) for n in range(80)])]
    assert {labels.count(label) > 5 for label in ("invoice", "contract", "mail", "report")} == {True}


def test_models_that_are_right_agree_and_wrong_ones_do_not_quote(simulator: Simulator) -> None:
    simulator.configure(models={"sim-fast": {"wrong": 0.4}})
    bodies = [request(n, model) for n in range(100) for model in ("sim-fast", "sim-expert")]
    answers = [got.value for got in ask(simulator.url, *bodies)]
    pairs = list(zip(answers[::2], answers[1::2], strict=True))
    wrong = [fast for fast, expert in pairs if fast != expert]
    assert 25 <= len(wrong) <= 55
    assert all(value["quote"] not in TEXT for value in wrong)


def test_without_a_schema_the_answer_is_a_quote(simulator: Simulator) -> None:
    (got,) = ask(simulator.url, request(1, response_format=None))
    assert got.message["content"] in TEXT.format(n=1)


def test_max_tokens_truncates(simulator: Simulator) -> None:
    (got,) = ask(simulator.url, request(1, max_tokens=5))
    assert got.body["choices"][0]["finish_reason"] == "length"
    assert got.body["usage"]["completion_tokens"] == 5


def test_a_set_content_answers_the_prompts_that_hold_its_text(simulator: Simulator) -> None:
    simulator.configure(said={TEXT.format(n=1): "one", TEXT.format(n=1)[:9]: "short", "nowhere": "never"}, wrong=1.0)
    one, other = ask(simulator.url, request(1), request(1, "sim-expert"))
    assert (one.message["content"], other.message["content"]) == ("one", "one"), "the longest text that the prompt holds"
    assert one.body["usage"]["completion_tokens"] == 1
    simulator.configure(said={}, wrong=0.0)
    assert ask(simulator.url, request(1))[0].value["label"]
