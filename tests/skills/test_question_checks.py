from typing import Any

import pytest

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer

SPANISH = "El contrato dura tres años y puede rescindirse con cuatro semanas de antelación. El precio es de 80 euros por visita."


def judged(name: str, questions: list[dict[str, str]], text: str = "", **arguments: Any) -> list[str]:
    skill: Any = None
    return list(CHECKS[name](Answer(skill, {"questions": questions}, Source(text), {"n_questions": 2}), **arguments))


@pytest.mark.parametrize(
    ("question", "is_right"),
    [
        ("When does the lease end?", True),
        ("When does the lease end", False),
        ("Name the day on which the lease ends.", False),
        ("Πότε λήγει η μίσθωση;", True),
        ("Πότε λήγει η μίσθωση\u037e", True),
        ("Πότε λήγει η μίσθωση?", False),
        ("متى ينتهي العقد؟", True),
        ("متى ينتهي العقد?", False),
        ("会議はいつですか？", True),
        ("会議はいつですか。", False),
        ("Ե՞րբ է ժողովը", True),
        ("ประชุมเมื่อไร", True),
        ("Когда заканчивается договор?", True),
        ("", False),
    ],
)
def test_question_ends_with_the_mark_of_its_script(question: str, is_right: bool) -> None:
    assert (judged("ends_as_question", [{"question": question}], field="questions.question") == []) is is_right


def test_spanish_question_is_opened_too() -> None:
    assert judged("ends_as_question", [{"question": "¿Cuánto dura el contrato?"}], SPANISH, field="questions.question") == []
    assert judged("ends_as_question", [{"question": "Cuánto dura el contrato?"}], SPANISH, field="questions.question")


def test_question_does_not_hold_its_answer() -> None:
    asked = {"question": "What does the owner ask if we sign by 1 October?"}
    fields = {"question": "questions.question", "reply": "questions.answer"}
    assert judged("not_given_away", [{**asked, "answer": "1 October."}], **fields)
    assert not judged("not_given_away", [{**asked, "answer": "4,200 a month"}], **fields)
    assert not judged("not_given_away", [{"question": "How are the 800 boxes stored?", "answer": "boxe"}], **fields)


def test_list_is_bounded_by_the_parameter() -> None:
    three = [{"question": "a"}, {"question": "b"}, {"question": "c"}]
    assert judged("max_items", three, field="questions", limit="n_questions")
    assert not judged("max_items", three[:2], field="questions", limit="n_questions")
