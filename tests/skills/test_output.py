import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.skills import Catalogue, OutputError, Skill, parse_output

INVOICE = {
    "invoice_no": "7", "supplier": "Ö \"quoted\" {x}", "issued_on": "2025-01-01", "due_on": None, "currency": "EUR",
    "net": 1.5, "tax": None, "total": 1.5, "lines": [{"description": "a ``` b", "quantity": None, "unit_price": None, "amount": 1.5}],
}  # fmt: skip


@pytest.mark.parametrize(
    "raw", ['{"mood": "glad"}', ' {"mood":\n"glad"} \n', '```json\n{"mood": "glad"}\n```', '```\n{"mood": "glad"}```\n']
)
def test_plain_and_fenced_json_is_read(mood: Skill, raw: str) -> None:
    assert parse_output(mood, raw) == {"mood": "glad"}


@pytest.mark.parametrize(
    ("raw", "kind", "words"),
    [
        ('{"mood": "happy"}', "schema_error", "at mood"),
        ('{"mood": "glad", "why": "x"}', "schema_error", "why"),
        ('{"mood": null}', "schema_error", "at mood"),
        ("{}", "schema_error", "'mood' is a required property"),
        ('["glad"]', "schema_error", "at the top"),
        ("", "schema_error", "not JSON"),
        ("glad", "schema_error", "begins 'glad'"),
        ('{"mood": NaN}', "schema_error", "NaN is not JSON"),
        ('{"mood": "glad"} Hope this helps!', "schema_error", "not JSON"),
        ("[" * 100_000, "schema_error", "not JSON"),
        ("I'm sorry, but I can't help with that.", "refusal", "declined"),
        ("I cannot assist with this request", "refusal", "declined"),
        ('{"mood": "gl', "truncated", "12 characters"),
        ('```json\n{"mood": ', "truncated", "inside the JSON"),
        ('{"mood": "a}\\"', "truncated", "inside the JSON"),
    ],
)
def test_what_does_not_count_says_which_kind(mood: Skill, raw: str, kind: str, words: str) -> None:
    with pytest.raises(OutputError) as caught:
        parse_output(mood, raw)
    assert caught.value.kind == kind
    assert words in str(caught.value)


def test_the_providers_finish_reason_decides_where_it_is_known(mood: Skill) -> None:
    with pytest.raises(OutputError, match="truncated"):
        parse_output(mood, "", "length")
    with pytest.raises(OutputError, match="refusal"):
        parse_output(mood, '{"mood": "glad"}', "content_filter")
    assert parse_output(mood, '{"mood": "glad"}', "length") == {"mood": "glad"}


def test_repeats_in_a_set_are_dropped_not_asked_again(catalogue: Catalogue) -> None:
    skill = catalogue.load("tag-document")
    assert parse_output(skill, '{"tags": ["support", "billing", "support"]}') == {"tags": ["support", "billing"]}
    with pytest.raises(OutputError, match="at tags"):
        parse_output(skill, '{"tags": []}')


@given(st.integers(min_value=0), st.sampled_from(["", "```json\n", "```\n"]))
def test_every_beginning_of_an_answer_is_truncated(cut: int, fence: str) -> None:
    skill = _invoice()
    raw = json.dumps(INVOICE)
    raw = fence + raw[: 1 + cut % (len(raw) - 1)]
    with pytest.raises(OutputError) as caught:
        parse_output(skill, raw)
    assert caught.value.kind == "truncated"


@given(st.text())
def test_any_text_is_a_value_or_an_output_error(raw: str) -> None:
    try:
        assert isinstance(parse_output(_invoice(), raw), dict)
    except OutputError as error:
        assert error.kind in ("schema_error", "refusal", "truncated")


@given(st.text(min_size=1))
def test_answers_survive_the_way_out_and_back(supplier: str) -> None:
    value = {**INVOICE, "supplier": supplier}
    assert parse_output(_invoice(), f"```json\n{json.dumps(value)}\n```") == value
    assert parse_output(_invoice(), json.dumps(value, ensure_ascii=False, indent=1)) == value


@cache
def _invoice() -> Skill:
    return Catalogue(Path(__file__).parents[2] / "include").load("extract-invoice")
