"""The simulator's right answers pass the checks of the skills that runs are tested with, so that a run on it can end well.

All other skills that ask a model have their answers on record: ``tests/evals/test_recorded.py``.
"""

import pytest

from skillyard.skills import Source
from skillyard.skills.catalogue import Catalogue
from skillyard.skills.checks import run_checks
from skillyard.skills.output import parse_output
from skillyard.skills.schema import provider_schema
from tests.conftest import ROOT
from tests.simulator.answers import answer, document_of, prompt_hash

CATALOGUE = Catalogue(ROOT / "include")
TEXT = """Fictional Advice Ltd, 1 Example Street
Invoice 2026-{n}, dated 2026-03-14
Advice 3 x 120.50 EUR, 361.50 EUR. Tax 72.30 EUR. Total 433.80 EUR.
Please pay before 2026-04-14 or write to billing@example.com. We were glad to work with you and hope to do so again."""


TRIED = (
    "answer-question",
    "classify-document-type",
    "classify-sentiment",
    "classify-urgency",
    "extract-invoice",
    "summarise-document",
    "tag-document",
)


@pytest.mark.parametrize("name", TRIED)
def test_a_right_answer_counts(name: str) -> None:
    skill = CATALOGUE.load(name)
    schema = provider_schema(skill.output_schema)
    for n in range(40):
        text = TEXT.format(n=n)
        messages = skill.messages(Source(text), skill.with_defaults({}))
        assert document_of(messages) == text
        value = parse_output(skill, answer(text, schema, prompt_hash(messages, schema), is_wrong=False))
        assert run_checks(skill, value, Source(text)) == []
