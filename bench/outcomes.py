"""Recorded outcomes of real models, item by item, and what every routing bench needs: grouped folds and bootstrap intervals.

The files lie outside the project and are given as ``--data DIR``: one Parquet file a set, one row per item and model, with item_id,
prompt, model, score (0..1), cost_usd and output. A bench that is not given them says how to get them and skips.

Sets share questions, so folds are made of *groups*: all items, of all sets, with the same normalised question.
"""

import argparse
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.figures import parser

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SETS = ("mmlu_pro", "zeroeval_gsm", "zeroeval_crux", "routellm_mmlu", "routellm_gsm8k")
FAMILIES = {
    "maths word problems": ("zeroeval_gsm", "routellm_gsm8k"),
    "general knowledge": ("mmlu_pro", "routellm_mmlu"),
    "code": ("zeroeval_crux",),
    "conversation": ("routellm_mtbench",),
}
"""Sets that share questions or their kind: left out together, or results leak."""
HOW_TO_GET = """The recorded outcomes are public: RouteLLM's benchmark responses (github.com/lm-sys/RouteLLM), MMLU-Pro's evaluation results
(github.com/TIGER-AI-Lab/MMLU-Pro) and ZeroEval's result folders (github.com/WildEval/ZeroEval), each brought to one Parquet file with the
columns item_id, dataset, prompt, model, score, input_tokens, output_tokens, cost_usd, output (and subset, contaminated where the source has
them). Name the folder that holds them with --data DIR."""
_OPTIONS = re.compile(r"\n(?:Options:|A\. )")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One set. The first axis of every array is the item, the second the model; what a model was not asked is NaN, its output None."""

    name: str
    item_ids: NDArray[np.object_]
    prompts: NDArray[np.object_]
    groups: NDArray[np.object_]
    """Normalised question of each item: two items of one group never stand on both sides of a split."""
    subsets: NDArray[np.object_]
    """Declared subject, "" where the source has none."""
    models: tuple[str, ...]
    scores: Floats
    costs_usd: Floats
    outputs: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.item_ids)

    def take(self, items: Integers | NDArray[np.bool_]) -> "Recorded":
        """Return the set with these items alone."""
        per_item = ("item_ids", "prompts", "groups", "subsets", "scores", "costs_usd", "outputs")
        return replace(self, **{name: getattr(self, name)[items] for name in per_item})

    def column(self, model: str) -> int:
        """Return the place of a model; KeyError names those recorded."""
        if model not in self.models:
            raise KeyError(f"{self.name} has no outcomes of {model}: {', '.join(self.models)}")
        return self.models.index(model)

    def answered_by(self, models: Sequence[str]) -> "Recorded":
        """Return the items that all of these models were asked."""
        return self.take(~np.isnan(self.scores[:, [self.column(m) for m in models]]).any(axis=1))


def load_set(folder: Path, name: str) -> Recorded:
    """Return a set, its items sorted by id, those that its source calls contaminated dropped."""
    frame = pq.read_table(folder / f"{name}.parquet").to_pandas()
    if "contaminated" in frame:
        frame = frame[~frame["contaminated"]]
    items = frame.drop_duplicates("item_id").set_index("item_id").sort_index()

    def spread(column: str) -> NDArray[Any]:
        return wide[column].reindex(items.index).to_numpy()

    wide = frame.pivot(index="item_id", columns="model", values=["score", "cost_usd", "output"])
    return Recorded(
        name=name,
        item_ids=items.index.to_numpy(dtype=object),
        prompts=items["prompt"].to_numpy(dtype=object),
        groups=np.array([normalise_question(prompt) for prompt in items["prompt"]], dtype=object),
        subsets=items["subset"].to_numpy(dtype=object) if "subset" in items else np.full(len(items), "", dtype=object),
        models=tuple(wide["score"].columns),
        scores=spread("score").astype(np.float64),
        costs_usd=spread("cost_usd").astype(np.float64),
        outputs=np.where(wide["output"].notna(), spread("output"), None),
    )


def normalise_question(prompt: str) -> str:
    """Return what two copies of a question have in common: its words in lower case, without the options of multiple choice."""
    return " ".join(re.findall(r"\w+", _OPTIONS.split(prompt, maxsplit=1)[0].lower()))


def fold_of(group: str, n_folds: int, seed: int = 0) -> int:
    """Return the fold of a group: the same in every set, whatever else is loaded."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{group}".encode()).digest()[:8], "big") % n_folds


def folds_of(groups: Sequence[str] | NDArray[np.object_], n_folds: int, seed: int = 0) -> Integers:
    """Return the fold of each item."""
    return np.array([fold_of(group, n_folds, seed) for group in groups], dtype=np.int64)


def draw_items(recorded: Recorded, n: int, seed: int = 0) -> Recorded:
    """Return ``n`` items, or all when there are no more: those whose hash is the least, so the same in every run."""
    order = sorted(range(len(recorded)), key=lambda row: hashlib.sha256(f"draw:{seed}:{recorded.item_ids[row]}".encode()).digest())
    return recorded.take(np.array(sorted(order[:n]), dtype=np.int64))


def bootstrap_weights(groups: Sequence[str] | NDArray[np.object_], n_draws: int, seed: int = 0) -> Floats:
    """Return how often each draw holds each item (n_draws × items): whole groups are drawn with replacement, across all sets at once.

    Pass the groups of all sets, one after the other: a figure of several sets, or the difference of two policies, needs the same draws.
    """
    _, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    n_groups = int(group.max()) + 1
    counts = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_draws)
    return counts[:, group].astype(np.float64)


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Return the mean of the values in each draw (n_draws)."""
    mean: Floats = weights @ values / weights.sum(axis=1)
    return mean


def interval(draws: Floats, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of a figure's bootstrap draws."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def data_parser(description: str) -> argparse.ArgumentParser:
    """Return the options of a bench that replays recorded outcomes."""
    made = parser(description)
    made.add_argument("--data", type=Path, metavar="DIR", help="the folder of recorded outcomes")
    return made


def has_data(folder: Path | None, names: Sequence[str] = SETS) -> bool:
    """Say what is missing and how to get it, unless the folder holds these sets."""
    missing = [name for name in names if folder is None or not (folder / f"{name}.parquet").is_file()]
    if missing:
        print(f"Skipped: no {', '.join(missing)} in {folder or 'the folder that --data would name'}.\n{HOW_TO_GET}")
    return not missing
