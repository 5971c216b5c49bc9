"""How far two answers of one skill say the same, field by field, as the skill's output schema describes the fields.

Labels, booleans, dates and exact decimals agree or they do not; other numbers within a tolerance (``x-tolerance``, absolute; else 1 %,
whole numbers exactly). Text agrees by the words it shares, or as a judge says (``x-compare: judge``). Null agrees with null alone. A
field marked ``x-compare: ignore``, such as a confidence, says nothing about the answer and is left out.

Lists are matched element by element, best pair first, and scored by F1: the matched share over both sides, so that one missing tag of three
costs a fifth. Jaccard would count the same miss nearly twice. A set (``x-set``) matches whole elements only.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from statistics import fmean
from string import punctuation
from typing import Any

RELATIVE_TOLERANCE = 0.01

Pair = tuple[str, str]
"""The compared text and the expert's."""
Schema = Mapping[str, Any]


def agreement(
    schema: Schema, cheap: Mapping[str, Any], expert: Mapping[str, Any], judged: Mapping[Pair, float] = {}
) -> tuple[float, dict[str, float]]:
    """Return the mean agreement, 0..1, and that of each compared field. Both answers have the schema.

    ``judged`` holds what a judge said of the pairs of ``texts_to_judge``; of a pair it does not hold the shared words count.
    """
    fields = {
        name: _compare(sub, cheap.get(name), expert.get(name), judged)
        for name, sub in schema["properties"].items()
        if sub.get("x-compare") != "ignore"
    }
    return (fmean(fields.values()) if fields else 1.0), fields


def texts_to_judge(schema: Schema, cheap: Mapping[str, Any], expert: Mapping[str, Any]) -> Iterator[Pair]:
    """Yield the different texts that a judge has to compare, those of nested objects too. Within lists shared words decide."""
    for name, sub in schema["properties"].items():
        a, b = cheap.get(name), expert.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from texts_to_judge(sub, a, b)
        elif sub.get("x-compare") == "judge" and a is not None and b is not None and _folded(a) != _folded(b):
            yield a, b


def _compare(schema: Schema, a: Any, b: Any, judged: Mapping[Pair, float]) -> float:
    if a is None or b is None:
        return float(a is b)
    kind = _type(schema)
    if kind == "object":
        return agreement(schema, a, b, judged)[0]
    if kind == "array":
        return _compare_lists(schema, a, b)
    if kind == "boolean":
        return float(a == b)
    if schema.get("x-decimal"):
        return float(_decimal(a) == _decimal(b))
    if kind in ("integer", "number"):
        return float(_is_close(schema, kind, a, b))
    if "enum" in schema:
        return float(_folded(a) == _folded(b))
    if "format" in schema:
        return float(_moment(a) == _moment(b))
    return judged.get((a, b), _shared_words(a, b))


def _compare_lists(schema: Schema, a: Sequence[Any], b: Sequence[Any]) -> float:
    """Return the F1 of the best matching that is found by taking the best pair first."""
    if not a and not b:
        return 1.0
    scores = [(_compare(schema["items"], x, y, {}), i, j) for i, x in enumerate(a) for j, y in enumerate(b)]
    left, right, matched = set(range(len(a))), set(range(len(b))), 0.0
    for score, i, j in sorted(scores, key=lambda found: (-found[0], found[1], found[2])):
        if i in left and j in right and (score == 1 or not schema.get("x-set")):
            left.remove(i)
            right.remove(j)
            matched += score
    return 2 * matched / (len(a) + len(b))


def _is_close(schema: Schema, kind: str, a: float, b: float) -> bool:
    if "x-tolerance" in schema:
        return bool(abs(a - b) <= schema["x-tolerance"] + 1e-9)
    return a == b if kind == "integer" else math.isclose(a, b, rel_tol=RELATIVE_TOLERANCE)


def _decimal(value: Any) -> Decimal | str:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return _folded(str(value))


def _moment(value: str) -> date | datetime | str:
    """Return a date, or a time in UTC, however it is written; what is neither, as text."""
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            found = read(value)
        except ValueError:
            continue
        return found.astimezone(UTC) if isinstance(found, datetime) and found.tzinfo else found
    return _folded(value)


def _shared_words(a: str, b: str) -> float:
    """Return the F1 of the words, each counted as often as it stands there."""
    x, y = Counter(_words(a)), Counter(_words(b))
    n_words = x.total() + y.total()
    return 2 * (x & y).total() / n_words if n_words else 1.0


def _words(text: str) -> list[str]:
    words = (word.strip(punctuation) for word in _folded(text).split())
    return [word for word in words if word]


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _type(schema: Schema) -> str:
    declared = schema["type"]
    return declared if isinstance(declared, str) else next(t for t in declared if t != "null")
