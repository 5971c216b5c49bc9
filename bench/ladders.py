"""The fixed ladders of the hard mix, what an answer says, and which cheap siblings may vote.

A sibling votes and never serves; all that it costs is counted. The siblings of a set are fixed in advance: models of different makers,
asked (almost) every item of the set, none dearer on average than the fast tier. They are asked in the order given, if at all.
"""

import ast
import json
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.outcomes import Floats, Integers, draw_items, load_set


@dataclass(frozen=True, slots=True)
class Ladder:
    """Which recorded model serves each tier of a set, and how its answers are read."""

    name: str
    tiers: tuple[str, ...]
    """From the fast tier up; two of them where the source has no more."""
    siblings: tuple[str, ...]
    read: Callable[[str], str | None] | None
    """None where the outputs were not recorded."""
    siblings_from: str | None = None
    """Set whose recorded answers to the same questions are the siblings', where it is not this one."""


_LETTER = (
    re.compile(r"answer is:?\s*\(?([A-J])\b"),
    re.compile(r"[aA]nswer:\s*\**\(?([A-J])\b"),
    re.compile(r"\b([A-J])\b(?!.*\b[A-J]\b)", re.DOTALL),
)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_FIELD = re.compile(r'"answer"\s*:\s*("(?:[^"\\]|\\.)*"|[^,}\n]+)')


def read_letter(output: str) -> str | None:
    """Return the option an output settles on, None when it names none: by the patterns of the set's own grader."""
    found = (pattern.search(output) for pattern in _LETTER)
    return next((match.group(1) for match in found if match), None)


def read_number(output: str) -> str | None:
    """Return the last number of the answer, or of the whole output where there is no field of that name."""
    field = read_field(output)
    numbers = _NUMBER.findall(output if field is None else field) or _NUMBER.findall(output)
    return f"{float(numbers[-1].replace(',', '')):g}" if numbers else None


def read_literal(output: str) -> str | None:
    """Return the Python literal of the answer in its canonical form, as it stands when it is none."""
    field = read_field(output)
    if field is None:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            return repr(ast.literal_eval(field)).strip("'\"")
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return field.strip().strip("'\"")


def read_field(output: str) -> str | None:
    """Return the last "answer" of a reply that was asked for JSON."""
    found = _FIELD.findall(output)
    if not found:
        return None
    try:
        return str(json.loads(found[-1], strict=False))
    except json.JSONDecodeError:
        return str(found[-1]).strip().strip('"')


LADDERS = (
    Ladder(
        "mmlu_pro",
        ("Meta-Llama-3_1-8B-Instruct", "Meta-Llama-3_1-70B-Instruct", "gemini-1.5-pro-002"),
        ("gemini-1.5-flash-002", "Phi-3-mini-4k-instruct"),
        read_letter,
    ),
    Ladder(
        "zeroeval_gsm",
        ("Meta-Llama-3.1-8B-Instruct", "Meta-Llama-3.1-70B-Instruct", "Meta-Llama-3.1-405B-Instruct@hyperbolic"),
        ("gemini-1.5-flash", "deepseek-v2.5-0908", "Phi-3.5-mini-instruct"),
        read_number,
    ),
    Ladder(
        "zeroeval_crux",
        ("claude-3-haiku-20240307", "claude-3-5-haiku-20241022", "claude-3-5-sonnet-20241022"),
        ("gemini-1.5-flash-exp-0827", "deepseek-v2.5-0908", "gpt-4o-mini-2024-07-18"),
        read_literal,
    ),
    Ladder("routellm_mmlu", ("mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"), (), None),
    Ladder(
        "routellm_gsm8k",
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"),
        ("gemini-1.5-flash", "deepseek-v2.5-0908", "Phi-3.5-mini-instruct"),
        read_number,
        siblings_from="zeroeval_gsm",
    ),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A ladder's items as arrays, one row per item. Costs are in mean costs of the expert tier."""

    name: str
    prompts: NDArray[np.object_]
    groups: NDArray[np.object_]
    subsets: NDArray[np.object_]
    is_tested: NDArray[np.bool_]
    """Drawn for the mix; the other items of the set serve for training alone."""
    good: Floats
    """Score of each tier (items × tiers)."""
    costs: Floats
    """Of each tier."""
    answers: Integers
    """What each tier, then each sibling, said, as codes: equal within an item when they agree, -1 when there is no answer."""
    lengths: Floats
    """Logarithm of the characters of those outputs."""
    vote_costs: Floats
    """Of each sibling (items × siblings)."""
    has_borrowed_siblings: bool
    """Their answers to the same questions were recorded in another set."""

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def n_tiers(self) -> int:
        """Two or three."""
        return self.good.shape[1]

    @property
    def n_siblings(self) -> int:
        """How many may vote."""
        return self.vote_costs.shape[1]

    def with_siblings(self, n: int) -> "Case":
        """Return the case with its first ``n`` siblings alone."""
        end = self.n_tiers + n
        return replace(self, answers=self.answers[:, :end], lengths=self.lengths[:, :end], vote_costs=self.vote_costs[:, :n])


def load_case(folder: Path, ladder: Ladder, n_tested: int, n_pool: int | None = None) -> Case:
    """Return a ladder with ``n_tested`` items drawn for the test, of a pool of at most ``n_pool`` items."""
    source = recorded = load_set(folder, ladder.name).answered_by(ladder.tiers)
    if ladder.siblings_from:
        source = load_set(folder, ladder.siblings_from)
        rows = {group: row for row, group in enumerate(source.groups)}
        source = source.take(np.array([rows[group] for group in recorded.groups]))
    tiers = [recorded.column(model) for model in ladder.tiers]
    siblings = [source.column(model) for model in ladder.siblings]
    if any(np.nanmean(source.costs_usd[:, siblings], axis=0) > recorded.costs_usd[:, tiers[0]].mean()):
        raise ValueError(f"{ladder.name}: a sibling is dearer than the fast tier")
    if n_pool:
        kept = np.isin(recorded.item_ids, draw_items(recorded, n_pool).item_ids)
        recorded, source = recorded.take(kept), source.take(kept)
    outputs = np.hstack([recorded.outputs[:, tiers], source.outputs[:, siblings]])
    expert_usd = recorded.costs_usd[:, tiers[-1]].mean()
    tested = draw_items(recorded, n_tested).item_ids
    return Case(
        name=ladder.name,
        prompts=recorded.prompts,
        groups=recorded.groups,
        subsets=recorded.subsets,
        is_tested=np.isin(recorded.item_ids, tested),
        good=recorded.scores[:, tiers],
        costs=recorded.costs_usd[:, tiers] / expert_usd,
        answers=np.array([_codes(row, ladder.read) for row in outputs]),
        lengths=np.array([[np.log1p(len(output or "")) for output in row] for row in outputs]),
        vote_costs=np.nan_to_num(source.costs_usd[:, siblings]) / expert_usd,
        has_borrowed_siblings=ladder.siblings_from is not None,
    )


def _codes(outputs: Sequence[str | None], read: Callable[[str], str | None] | None) -> list[int]:
    """Return the place of the first equal answer for each output, -1 for none."""
    answers = [None if output is None or read is None else read(output) for output in outputs]
    return [-1 if answer is None else answers.index(answer) for answer in answers]
