"""Checks of verdicts: that every sentence has one, that each has its proof, that the better proved answer wins."""

from collections.abc import Iterator, Mapping, Sequence

from skillyard.skills.checks.readability import sentences
from skillyard.skills.checks.registry import Answer, check, values_at


@check
def covers_input(answer: Answer, field: str, of: str) -> Iterator[str]:
    """The strings in their order are together the whole input named ``of``: no word is left out, added, changed or doubled."""
    whole, parts = answer.source.inputs.get(of, ""), values_at(answer.value, field)
    expected, said = _letters(whole), "".join(map(_letters, parts))
    if said == expected:
        return
    left_out = [one for one in sentences(whole) if _letters(one) not in said]
    foreign = [one for one in parts if _letters(one) not in expected]
    yield from (f"{field}: {one[:80]!r} of the {of} is left out" for one in left_out)
    yield from (f"{field}: {one[:80]!r} does not occur in the {of}" for one in foreign)
    if not left_out and not foreign:
        yield f"{field}: a part of the {of} stands twice or in another place"


@check
def each_null_when(answer: Answer, field: str, label: str, values: Sequence[str]) -> Iterator[str]:
    """In every item of a list the field is null when its label is one of the values, and given when it is another."""
    items, _, name = field.rpartition(".")
    for number, item in enumerate(values_at(answer.value, items)):
        is_given, found = item.get(name) is not None, item.get(label.rpartition(".")[2])
        if is_given == (found in values):
            yield f"{items}.{number}.{name} is {'given' if is_given else 'null'}, but {label} is {found!r}"


@check
def supported_side_wins(answer: Answer, field: str, flags: Mapping[str, str]) -> Iterator[str]:
    """When the flag of one side alone is true, the field names that side; ``flags`` maps each side to its flag."""
    supported = [side for side, flag in flags.items() if answer.value.get(flag) is True]
    if len(supported) == 1 and answer.value.get(field) != supported[0]:
        yield f"{field}: found {answer.value.get(field)!r}, but {flags[supported[0]]} alone is true"


def _letters(text: str) -> str:
    """Return letters and digits alone: how a sentence is set apart from the next changes none of its words."""
    return "".join(char for char in text.casefold() if char.isalnum())
