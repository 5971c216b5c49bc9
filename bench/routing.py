"""What the router knows and what its decision takes: latency, RouteLLM's metric, families left out, calibration.

Latency: one decision of the product's own path, features included, on real prompts cut to a length, another text at each call; litellm's
two heuristics get the same texts in turn. Other processes lengthen the slowest calls many times over, so p99 and decisions a second are
of this thread's CPU time. Quality: RouteLLM's metric (bench/apgr.py) on its own items, contaminated ones dropped, each item ordered by
models that saw neither it nor another item with its question; the rival is TF-IDF + logistic regression on the same folds. A family left
out is ordered by models of the other families' sets alone: that is another claim. Intervals are of 95 %, by bootstrap.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

import numpy as np

from bench.apgr import area, recover_gap, share_needed
from bench.figures import Figure, report
from bench.ladders import LADDERS
from bench.outcomes import (
    FAMILIES,
    SETS,
    Floats,
    Recorded,
    bootstrap_weights,
    data_parser,
    draw_items,
    folds_of,
    has_data,
    interval,
    load_set,
    weighted_mean,
)
from bench.policies import litellm_scores
from bench.rivals import (
    STRONG,
    TRAITS,
    WEAK,
    Pairs,
    order_by_ours,
    order_by_plain,
    order_by_tuned,
    out_of_fold,
    pair,
    score_rows,
    skill_of,
)
from skillyard.routing.calibration import calibrated
from skillyard.routing.features import extract_features
from skillyard.routing.router import Router
from skillyard.routing.training import train
from skillyard.tiers import TIERS

N_FOLDS, N_DRAWS = 5, 1000
N_LEARNED, N_QUICK = 1500, 300
"""Items drawn of each set, but for RouteLLM's own."""
N_BINS = 10
SHORT, LONG = 170, 6400
N_TIMED = {SHORT: 4000, LONG: 800}
TURN = 400
N_BULK = 20_000
GOAL_MS = {(SHORT, 50): 0.05, (SHORT, 99): 0.2, (LONG, 99): 1.0}
GOAL_BULK, GOAL_FASTER = 20_000, 3.0
DECISIONS = ("litellm heuristic", "litellm heuristic_v2")
ROUTELLM, CONVERSATION = ("routellm_mmlu", "routellm_gsm8k"), "routellm_mtbench"
MODELS = {ladder.name: ladder.tiers for ladder in LADDERS} | {CONVERSATION: ("mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview")}
PUBLISHED = {
    "RouteLLM mf": {"routellm_mmlu": 0.597, "routellm_gsm8k": 0.565, CONVERSATION: 0.802},
    "RouteLLM bert": {"routellm_mmlu": 0.572, "routellm_gsm8k": 0.531, CONVERSATION: 0.751},
    "RouteLLM causal_llm": {"routellm_mmlu": 0.600, "routellm_gsm8k": 0.622, CONVERSATION: 0.679},
}
"""Its best data augmentation, Tables 2 to 4. Those were trained on other sets, as what is left out here is."""
OURS, PLAIN, TUNED = "ours", "TF-IDF + LR", "TF-IDF + LR, tuned"
WINDOWS = dict.fromkeys(TIERS, 128_000)
AT = datetime(2026, 1, 1, tzinfo=UTC)


def ends_of(name: str) -> tuple[str, str]:
    """Return the models of a set's lowest and highest tier."""
    return MODELS[name][0], MODELS[name][-1]


def train_router(recorded: Mapping[str, Recorded], n_items: int) -> tuple[Router, list[Pairs]]:
    """Return a router of three tiers, trained on four of five folds, and the sets whose first fold it has not seen."""
    sets = [pair(draw_items(recorded[name], n_items), models, TIERS) for name, models in MODELS.items() if len(models) == len(TIERS)]
    rows = [row for own in sets for row, fold in zip(own.rows, folds_of(own.groups(), N_FOLDS), strict=True) if fold]
    return train(rows, {row.skill: TRAITS for row in rows}, {}, None, AT), sets


def cut_texts(prompts: Sequence[str], length: int, n: int) -> list[str]:
    """Return ``n`` different texts of one length: the beginning of a prompt, and of those that follow it where it is shorter."""
    texts = []
    for first in np.linspace(0, len(prompts) - 1, n).astype(int):
        text = prompts[first]
        while len(text) < length:
            first = (first + 1) % len(prompts)
            text += "\n\n" + prompts[first]
        texts.append(text[:length])
    return texts


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds of each call: by the clock, and of this thread's CPU, which other processes on the machine do not lengthen."""

    wall: Floats
    cpu: Floats


def time_decisions(decide: Mapping[str, Callable[[str], object]], texts: Sequence[str]) -> dict[str, Taken]:
    """Return what each call takes (by name); they take turns, TURN texts at a time: the first one finds cold caches."""
    taken = {name: Taken(np.empty(len(texts)), np.empty(len(texts))) for name in decide}
    for begin in range(0, len(texts), TURN):
        for name, call in decide.items():
            for n in range(begin, min(begin + TURN, len(texts))):
                wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
                call(texts[n])
                taken[name].cpu[n] = (time.thread_time_ns() - cpu) / 1e6
                taken[name].wall[n] = (time.perf_counter_ns() - wall) / 1e6
    return taken


def latency(router: Router, prompts: Sequence[str], is_quick: bool) -> Iterator[Figure]:
    """Yield what a decision takes beside litellm's two, and how many there are in a second."""
    skill = next(iter(router.policies))
    costs = router.policies[skill].mean_cost_usd

    def decide(text: str) -> object:
        return router.decide(skill, TRAITS, extract_features(text, "en"), text, costs, WINDOWS)

    rivals = litellm_decisions()
    for length, n_timed in N_TIMED.items():
        texts = cut_texts(prompts, length, n_timed // 4 if is_quick else n_timed)
        taken = time_decisions({OURS: decide, **rivals}, texts)
        draws = np.random.default_rng(0).integers(len(texts), size=(200, len(texts)))
        for name, own in taken.items():
            for share, clock in ((50, "wall"), (99, "CPU")):
                ms = own.wall if clock == "wall" else own.cpu
                value, span = float(np.percentile(ms, share)), _span(np.percentile(ms[draws], share, axis=1))
                goal = GOAL_MS.get((length, share)) if name == OURS else None
                is_met = None if goal is None else value <= goal
                wanted = "" if goal is None else f"<= {goal}"
                yield Figure(f"{length} characters: {name}, p{share}, {clock} time", value, f"ms {span}", wanted, is_met)
        yield Figure(f"{length} characters: {OURS}, p99, wall time", float(np.percentile(taken[OURS].wall, 99)), "ms")
        for name in rivals:
            ratio = np.median(taken[name].wall) / np.median(taken[OURS].wall)
            span = _span(np.median(taken[name].wall[draws], axis=1) / np.median(taken[OURS].wall[draws], axis=1), 2)
            has_goal = length == SHORT and name in DECISIONS
            wanted, is_met = (f">= {GOAL_FASTER:.0f}", bool(ratio >= GOAL_FASTER)) if has_goal else ("", None)
            yield Figure(f"{length} characters: ours faster than {name}", float(ratio), f"x {span}", wanted, is_met)
    yield bulk(decide, cut_texts(prompts, SHORT, N_BULK // 4 if is_quick else N_BULK))


def litellm_decisions() -> dict[str, Callable[[str], object]]:
    """Return litellm's two decisions, from a request's messages to a model, and the scores that they are made of."""
    scores = litellm_scores()
    logging.getLogger("LiteLLM Router").setLevel(logging.ERROR)  # it misses a Router to compare costs with, at every start
    from litellm.router_strategy.complexity_router import ComplexityRouter

    def decision(kind: str) -> Callable[[str], object]:
        tiers = {"SIMPLE": "fast", "MEDIUM": "standard", "COMPLEX": "expert", "REASONING": "expert"}
        router = ComplexityRouter("bench", None, {"tiers": tiers, "classifier_type": kind})  # type: ignore[arg-type]

        def decide(text: str) -> object:
            try:
                router.async_pre_routing_hook("bench", {}, [{"role": "user", "content": text}]).send(None)
            except StopIteration as answer:  # it awaits nothing: no event loop is needed, or timed
                return answer.value
            raise RuntimeError("litellm's router waits for something")

        return decide

    decisions = {name: decision(name.removeprefix("litellm ")) for name in DECISIONS}
    return decisions | {f"{name}'s score alone": score for name, score in scores.items()}


def bulk(decide: Callable[[str], object], texts: Sequence[str]) -> Figure:
    """Return decisions in a second of CPU time, one after the other; the interval is of tenths of the texts."""
    seconds = []
    for begin in range(0, len(texts), len(texts) // 10):
        began = time.thread_time_ns()
        for text in texts[begin : begin + len(texts) // 10]:
            decide(text)
        seconds.append((time.thread_time_ns() - began) / 1e9)
    draws = np.random.default_rng(0).integers(10, size=(200, 10))
    rate, spread = len(texts) / sum(seconds), len(texts) / np.array(seconds)[draws].sum(axis=1)
    return Figure(f"{SHORT} characters: ours in bulk", rate, f"/s {_span(spread, 0)}", f">= {GOAL_BULK}", rate >= GOAL_BULK)


def ranked(name: str, pairs: Pairs, order: Floats, weights: Floats) -> tuple[list[Figure], Floats]:
    """Return the figures of one order of a set's items, and its APGR in each draw, the first of which is the sample itself."""
    pgr = recover_gap(pairs.quality(WEAK), pairs.quality(STRONG), order, weights)
    areas = area(pgr)
    figures = [Figure(f"{pairs.name}: {name}, APGR", float(areas[0]), _span(areas))]
    for level in (50, 80):
        needed = share_needed(pgr, level / 100)
        figures.append(Figure(f"{pairs.name}: {name}, CPT{level}", float(needed[0]), f"% {_span(needed, 1)}"))
    return figures, areas


def on_its_own_items(pairs: Pairs, n_draws: int, has_goal: bool) -> Iterator[Figure]:
    """Yield RouteLLM's metric with folds by question: ours, TF-IDF, litellm's two, the paired gains, and what else is known of the set."""
    weights = with_sample(bootstrap_weights(pairs.groups(), n_draws))
    folds = folds_of(pairs.groups(), N_FOLDS)
    areas = {}
    for name, rank in {OURS: order_by_ours, PLAIN: order_by_plain, TUNED: order_by_tuned}.items():
        figures, areas[name] = ranked(name, pairs, out_of_fold(pairs, folds, rank), weights)
        yield from figures
    for name, score in litellm_scores().items():
        yield from ranked(name, pairs, np.array([score(row.text) for row in pairs.rows]), weights)[0]
    for rival in (PLAIN, TUNED):
        gain = areas[OURS] - areas[rival]
        low, value = interval(gain)[0], float(gain[0])
        goal, is_met = ("interval > 0", low > 0) if pairs.name == "routellm_mmlu" else (">= 0", value >= 0)
        is_goal = has_goal and rival == PLAIN
        name = f"{pairs.name}: gain of ours over {rival}"
        yield Figure(name, value, _span(gain), goal if is_goal else "", is_met if is_goal else None)
    shuffled = np.random.default_rng(0).permutation(len(pairs)) % N_FOLDS
    yield ranked(f"{PLAIN}, random folds", pairs, out_of_fold(pairs, shuffled, order_by_plain), weights)[0][0]
    yield from (Figure(f"{pairs.name}: {name}, APGR as published", by_set[pairs.name], "") for name, by_set in PUBLISHED.items())


def in_domain(pairs: Pairs, n_draws: int) -> Iterator[Figure]:
    """Yield RouteLLM's metric with folds by question, as context of what is left out."""
    weights = with_sample(bootstrap_weights(pairs.groups(), n_draws))
    for name, rank in {OURS: order_by_ours, PLAIN: order_by_plain}.items():
        yield ranked(f"{name}, in domain", pairs, out_of_fold(pairs, folds_of(pairs.groups(), N_FOLDS), rank), weights)[0][0]


def left_out(sets: Sequence[Pairs], n_draws: int) -> Iterator[Figure]:
    """Yield RouteLLM's metric on each family's sets from the other families' alone."""
    for family, names in FAMILIES.items():
        learned = [row for own in sets if own.name not in names for row in own.rows]
        held = [own for own in sets if own.name in names]
        asked = [row for own in held for row in own.rows]
        for name, rank in {OURS: order_by_ours, PLAIN: order_by_plain}.items():
            orders = np.split(rank(learned, asked), np.cumsum([len(own) for own in held])[:-1])
            for own, order in zip(held, orders, strict=True):
                weights = with_sample(bootstrap_weights(own.groups(), n_draws))
                yield ranked(f"{name}, without {family}", own, order, weights)[0][0]


def calibration(router: Router, sets: Sequence[Pairs], n_draws: int) -> Iterator[Figure]:
    """Yield the error of each tier's calibrated probability on the fold that the router has not seen, and the mean squared one (Brier).

    The error in bins is above 0 even for perfect probabilities: what these would have stands beside it.
    """
    for own in sets:
        unseen = [row for row, fold in zip(own.rows, folds_of(own.groups(), N_FOLDS), strict=True) if not fold]
        policy = router.policies[skill_of(own.name)]
        raw = score_rows(router.families["answer"], unseen)
        weights = with_sample(bootstrap_weights([row.group for row in unseen], n_draws))
        for tier in policy.tiers:
            p = calibrated(np.array([scores[tier] for scores in raw]), *policy.calibration[tier])
            good = np.array([row.outcomes[tier].quality for row in unseen])
            lucky = (np.random.default_rng(0).random((200, len(p))) < p).astype(np.float64)
            perfect = np.mean([calibration_error(p, one, weights[:1])[0] for one in lucky])
            brier, error = weighted_mean((p - good) ** 2, weights), calibration_error(p, good, weights)
            constant = weighted_mean((good.mean() - good) ** 2, weights[:1])
            unit = f"{_span(error)}, {perfect:.3f} if perfect; Brier {brier[0]:.3f} {_span(brier)}, of a constant {constant[0]:.3f}"
            yield Figure(f"calibration error, {own.name}, {tier}, {len(p)} items", float(error[0]), unit)


def calibration_error(p: Floats, good: Floats, weights: Floats) -> Floats:
    """Return the expected calibration error of each draw: mean distance of P from what came, in N_BINS bins with as many items each."""
    bins = np.array_split(np.argsort(p, kind="stable"), N_BINS)
    off = sum(np.abs(weights[:, rows] @ (p - good)[rows]) for rows in bins)
    made: Floats = off / weights.sum(axis=1)
    return made


def with_sample(draws: Floats) -> Floats:
    """Return the draws after the sample itself."""
    return np.vstack([np.ones(draws.shape[1]), draws])


def _span(draws: Floats, n_digits: int = 3) -> str:
    low, high = interval(draws)
    return f"[{low:.{n_digits}f}, {high:.{n_digits}f}]"


def main() -> int:
    """Measure and report; 1 when a figure falls short of its goal."""
    options = data_parser(__doc__).parse_args()
    if not has_data(options.data, (*SETS, CONVERSATION)):
        return 0
    began = time.perf_counter()
    n_draws = N_DRAWS // 5 if options.quick else N_DRAWS
    n_learned = N_QUICK if options.quick else N_LEARNED
    recorded = {name: load_set(options.data, name) for name in MODELS}
    router, unseen = train_router(recorded, n_learned)
    figures = list(latency(router, [prompt for one in recorded.values() for prompt in one.prompts], options.quick))
    for name in ROUTELLM:
        own = pair(draw_items(recorded[name], n_learned) if options.quick else recorded[name], ends_of(name))
        figures += on_its_own_items(own, n_draws, has_goal=not options.quick)
    sets = [pair(draw_items(one, n_learned), ends_of(name)) for name, one in recorded.items()]
    for own in sets:
        if own.name not in (*ROUTELLM, CONVERSATION):
            figures += in_domain(own, n_draws)
    figures += left_out(sets, n_draws)
    figures += calibration(router, unseen, n_draws)
    workload = f"{n_draws} draws; left out and in domain: {', '.join(f'{len(own)} of {own.name}' for own in sets)}"
    return report(figures, f"{workload}; {time.perf_counter() - began:.0f} s", options.json)


if __name__ == "__main__":
    raise SystemExit(main())
