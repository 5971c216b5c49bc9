"""The operations guide names every variable that is read and every way in which an item can end badly."""

import ast
import re
from pathlib import Path
from typing import get_args

from skillyard.documents.result import ERROR_KINDS
from skillyard.running.answer import FAILED_PENDING
from skillyard.skills.spec import SkillSpec
from tests.deploy.stack import ROOT

GUIDE = (ROOT / "docs" / "operations.md").read_text()
NAMED = set(re.findall(r"`(\w+)`", GUIDE))


def test_every_variable_that_the_engine_reads_is_explained() -> None:
    texts = {text for path in (ROOT / "src").rglob("*.py") for text in _texts(path)}
    variables = {text for text in texts if re.fullmatch(r"(SKILLYARD|AWS)_[A-Z0-9_]+", text)}
    assert {"SKILLYARD_LAKE", "AWS_REGION"} <= variables
    assert variables - NAMED == set()


def test_every_kind_of_reject_and_every_red_pending_reason_has_its_advice() -> None:
    escalations = get_args(get_args(SkillSpec.model_fields["escalate_when"].annotation)[0])
    assert {*ERROR_KINDS, *escalations, *FAILED_PENDING} - NAMED == set()


def _texts(path: Path) -> set[str]:
    return {n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
