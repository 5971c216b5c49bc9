"""Checks of scores: numbers that say how much of something there is."""

from collections.abc import Iterator

from skillyard.skills.checks.registry import Answer, check, values_at


@check
def flag_at(answer: Answer, flag: str, field: str, threshold: float) -> Iterator[str]:
    """The boolean is true when a score reaches the threshold, and false when none does; an object of scores counts by its highest."""
    found = [score for value in values_at(answer.value, field) for score in (value.values() if isinstance(value, dict) else [value])]
    highest, said = max(found, default=0), answer.value.get(flag) is True
    if said != (highest >= threshold):
        side = "reaches" if highest >= threshold else "is below"
        yield f"{flag} is {str(said).lower()}, but {field} {side} {threshold}: its highest is {highest}"
