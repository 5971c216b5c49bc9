"""What routing saves on recorded outcomes of real models, and what quality it keeps: two mixes, ours beside every baseline.

Hard mix: 800 items each of five sets, the expert's mean cost of each set scaled to 1. Production mix: all items, weighted so that 65 % are
of low, 30 % of medium and 5 % of high difficulty: thirds of the subsets (a set's subjects) by what the fast tier retains on training folds.
Five folds by question; everything a policy needs, its setting included, comes from the other four (bench/selection.py says how). Folds are
made of all items of the sets; those not drawn for the test are trained on.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, report
from bench.ladders import LADDERS, load_case
from bench.mixes import N_FOLDS, Mix, Set, hard_mix, production_mix
from bench.outcomes import Floats, data_parser, folds_of, has_data, interval
from bench.policies import always, by_probability, by_score, by_stages, join, litellm_scores, oracle, ours_score
from bench.predictors import boosting, cross_fit, fit_boosting, nearest_neighbours, text_and_traits, tfidf_logistic
from bench.selection import FLOOR, TARGET, Curves, choose_settings, measure
from bench.staged import Classifier, fit_logistic
from skillyard.routing.bounds import lower_bound

N_TESTED, N_DRAWS = 800, 2000
GOAL_MARGIN, GOAL_PRODUCTION, GOAL_EXPERT = 3.0, 60.0, 30.0
OURS, OURS_WITHIN, BOOSTING_WITHIN = "ours", "ours, none on gsm8k", "boosting, stages, none on gsm8k"
SIBLINGS = (1, 9)
"""How many may vote: one, or all there are, as the training folds say."""
BASELINES = (
    "random mix",
    "heuristics",
    "litellm heuristic",
    "litellm heuristic_v2",
    "kNN",
    "TF-IDF + LR",
    "boosting",
    "boosting, stages, one sibling",
)
TARGETS = (0.91, 0.93, 0.95, 0.965, 0.98, 0.99)
"""Of retained quality, for the curves."""
NOTE = """
Siblings vote and never serve; their cost is counted. On routellm_gsm8k, whose source has two models, the siblings' answers to the same
questions come from zeroeval_gsm ("none on gsm8k": without them). Outputs of routellm_mmlu were not recorded: nothing can vote there.
Every row's settings are chosen on the training folds by the same rule; always-… and oracle are no competitors."""
FIXED = ("always-fast", "always-standard", "always-expert")


@dataclass(frozen=True, slots=True)
class Result:
    """A policy's figures in each bootstrap draw, the first of which is the sample itself."""

    saved: Floats
    retained: Floats
    expert: Floats
    """Share of items served by the expert."""
    saved_by_set: Floats
    retained_by_set: Floats
    """Draws × sets, not capped at 1."""


def serve(sets: Sequence[Set], curves: Sequence[Curves], mix: Mix, target: float = TARGET) -> list[Floats]:
    """Return what the policy makes of the tested rows of each set, each fold at the settings that the others chose.

    Columns, all weighted: quality, the expert's quality, cost, the expert's cost, served by the expert or not, the weight itself.
    """
    columns = [np.zeros((len(s.case), 6)) for s in sets]
    for fold in range(N_FOLDS):
        fitted = [np.flatnonzero(s.folds != fold) for s in sets]
        shares = np.array([mix.weights[n][fold][rows].sum() for n, rows in enumerate(fitted)])
        ratios = [
            measure(curves[n][fold], s.case.good[:, -1], s.case.costs[:, -1], mix.weights[n][fold], fitted[n], shares[n] / shares.sum())
            for n, s in enumerate(sets)
        ]
        for n, (s, setting) in enumerate(zip(sets, choose_settings(ratios, target), strict=True)):
            rows, served = np.flatnonzero(s.folds == fold), curves[n][fold]
            top = s.case.n_tiers - 1
            made = [served.quality[rows, setting], s.case.good[rows, top], served.cost[rows, setting], s.case.costs[rows, top]]
            made += [served.tier[rows, setting] == top, np.ones(len(rows))]
            columns[n][rows] = np.stack(made, axis=1) * mix.weights[n][fold][rows, None]
    return [own[tested] for own, tested in zip(columns, mix.is_tested, strict=True)]


def summarise(columns: Sequence[Floats], draws: Floats) -> Result:
    """Return the figures of what was served, in each draw."""
    ends = np.cumsum([len(own) for own in columns])
    sums = np.stack([draws[:, end - len(own) : end] @ own for own, end in zip(columns, ends, strict=True)], axis=1)
    quality, best, cost, dearest, expert, weight = np.moveaxis(sums, 2, 0)
    share = weight / weight.sum(axis=1, keepdims=True)
    retained, saved = quality / best, 1 - cost / dearest
    pooled = (share * np.minimum(retained, 1)).sum(axis=1)
    return Result((share * saved).sum(axis=1), pooled, expert.sum(axis=1) / weight.sum(axis=1), saved, retained)


def prove(columns: Sequence[Floats], groups: Sequence[NDArray[np.object_]]) -> float:
    """Return the lower bound of retained quality by the product's own test, for which a question is one piece of evidence."""
    parts, wholes = [], []
    for own in columns:
        quality, best, weight = own[:, 0].sum(), own[:, 1].sum(), own[:, 5].sum()
        parts.append(own[:, 0] * weight / max(best, quality))
        wholes.append(own[:, 1] * weight / best)
    _, question = np.unique(np.concatenate(groups).astype(str), return_inverse=True)
    part, whole = (np.bincount(question, np.concatenate(values)) for values in (parts, wholes))
    order = np.random.default_rng(0).permutation(len(whole))
    return lower_bound(part[order], whole[order], float(whole.max()))


def name_policies(sets: Sequence[Set], is_quick: bool) -> Iterator[tuple[str, list[Curves]]]:
    """Yield the rows of the table and each one's curves over all sets, made as they are asked for."""
    scores = [cross_fit(s.folds, N_FOLDS, text_and_traits(s.case), depth=2) for s in sets]

    @cache
    def stages_of(place: int, n_siblings: int, classify: Classifier) -> Curves:
        s = sets[place]
        return by_stages(s.case.with_siblings(n_siblings), s.folds, N_FOLDS, scores[place], classify)

    def stages(n_siblings: Sequence[int], classify: Classifier = fit_logistic, is_within: bool = False) -> list[Curves]:
        made = []
        for place, s in enumerate(sets):
            counts = (0,) if is_within and s.case.has_borrowed_siblings else sorted({min(n, s.case.n_siblings) for n in n_siblings})
            made.append(join([stages_of(place, n, classify) for n in counts]))
        return made

    for tier, name in enumerate(FIXED):
        yield name, [always(s.case, N_FOLDS, tier) for s in sets]
    random = np.random.default_rng(0).random
    yield "random mix", [by_score(s.case, s.folds, N_FOLDS, random(len(s.case))) for s in sets]
    for name, score in {"heuristics": ours_score, **litellm_scores()}.items():
        yield name, [by_score(s.case, s.folds, N_FOLDS, np.array([score(p) for p in s.case.prompts])) for s in sets]
    for name, fit in {"kNN": nearest_neighbours, "TF-IDF + LR": tfidf_logistic, "boosting": boosting}.items():
        yield name, [by_probability(s.case, s.folds, N_FOLDS, cross_fit(s.folds, N_FOLDS, fit(s.case), depth=1)) for s in sets]
    yield "boosting, stages, one sibling", stages([1], fit_boosting)
    yield OURS, stages(SIBLINGS)
    yield "oracle", [oracle(s.case, N_FOLDS) for s in sets]
    yield "ours, no sibling", stages([0])
    yield "ours, one sibling", stages([1])
    yield OURS_WITHIN, stages(SIBLINGS, is_within=True)
    yield BOOSTING_WITHIN, stages([1], fit_boosting, is_within=True)
    if not is_quick:
        yield "boosting, stages, our siblings", stages(SIBLINGS, fit_boosting)


def print_table(mix: str, results: dict[str, Result]) -> None:
    """Print every policy, its intervals, and what ours saves more (in points, paired)."""
    print(f"\n{mix}: saved share and retained quality in %, 95 % intervals; the least set; share on the expert; ours saves more by")
    for name, r in results.items():
        least = 100 * r.retained_by_set[0].min()
        more = "" if name == OURS else f"{said(results[OURS].saved - r.saved)}"
        print(f"{name:<31} {said(r.saved)} {said(r.retained)} {least:6.1f} {100 * r.expert[0]:6.1f}   {more}".rstrip())


def print_sets(sets: Sequence[Set], results: dict[str, Result], names: Sequence[str]) -> None:
    """Print what some policies save and keep on each set."""
    print("\nBy set: saved / retained, %")
    print(" " * 32 + "".join(f"{s.case.name:>26}" for s in sets))
    for name in names:
        r = results[name]
        cells = [f"{said(r.saved_by_set[:, n])} / {100 * r.retained_by_set[0, n]:.1f}" for n in range(len(sets))]
        print(f"{name:<32}" + "".join(f"{cell:>26}" for cell in cells))


def said(draws: Floats) -> str:
    """Return a share and its interval in %."""
    low, high = interval(draws[1:])
    return f"{100 * draws[0]:5.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def judge(hard: dict[str, Result], production: dict[str, Result], proven: Sequence[float], is_judged: bool) -> list[Figure]:
    """Return the figures beside their goals."""
    ours, made = hard[OURS], production[OURS]

    def figure(name: str, value: float, unit: str, goal: str, is_met: bool) -> Figure:
        return Figure(name, value, unit, goal, bool(is_met) if is_judged else None)

    figures = [
        Figure("hard mix, ours: saved", 100 * ours.saved[0], "%", "50 stretch"),
        figure("hard mix, ours: retained", 100 * ours.retained[0], "%", ">= 95", ours.retained[0] >= TARGET),
        figure("hard mix, ours: least set", 100 * ours.retained_by_set[0].min(), "%", ">= 90", ours.retained_by_set[0].min() >= FLOOR),
    ]
    for name, baselines in ((OURS, BASELINES), (OURS_WITHIN, (*BASELINES[:-1], BOOSTING_WITHIN))):
        best = max(baselines, key=lambda b: hard[b].saved[0])
        more = 100 * (hard[name].saved - hard[best].saved)
        low, _ = interval(more[1:])
        if name == OURS:
            figures.append(figure(f"hard mix, {name}: more than {best}", more[0], "points", ">= 3", more[0] >= GOAL_MARGIN))
            figures.append(figure("  its interval's lower end", low, "points", "> 0", low > 0))
        else:
            figures.append(Figure(f"hard mix, {name}: more than {best}", more[0], "points"))
            figures.append(Figure("  its interval's lower end", low, "points"))
    kept, _ = interval(made.retained[1:])
    figures += [
        figure("production mix, ours: saved", 100 * made.saved[0], "%", ">= 60", 100 * made.saved[0] >= GOAL_PRODUCTION),
        figure("production mix, ours: retained, lower end", 100 * kept, "%", ">= 95", kept >= TARGET),
        Figure("hard mix, ours: retained, proven at 95 %", 100 * proven[0], "%"),
        Figure("production mix, ours: retained, proven at 95 %", 100 * proven[1], "%"),
        figure("production mix, ours: on the expert", 100 * made.expert[0], "%", "< 30", 100 * made.expert[0] < GOAL_EXPERT),
    ]
    for mix, results in (("hard", hard), ("production", production)):
        for name, r in results.items():
            figures.append(Figure(f"{mix} mix, {name}: saved", 100 * r.saved[0], "%"))
            figures.append(Figure(f"{mix} mix, {name}: retained", 100 * r.retained[0], "%"))
    return figures


def draw(folder: Path, mix: str, points: dict[str, list[tuple[float, float]]]) -> None:
    """Write saved share against retained quality on the tested items, one line a policy, at targets chosen in advance."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(7, 5))
    for name, own in points.items():
        style = {"linewidth": 2.5, "color": "black"} if name == OURS else {"linewidth": 1, "linestyle": "--" if name == "oracle" else "-"}
        axes.plot([100 * kept for kept, _ in own], [100 * saved for _, saved in own], marker=".", label=name, **style)
    axes.axvline(100 * TARGET, color="grey", linewidth=0.5)
    axes.set(xlabel="retained quality, %", ylabel="saved against always-expert, %", title=mix)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(folder / f"replay-{mix.replace(' ', '-')}.png", dpi=90)
    pyplot.close(figure)


def main() -> int:
    """Replay every policy on both mixes and report; 1 when a goal is missed. Quick, the samples are too small to be judged."""
    parser = data_parser(__doc__)
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the curves there as PNG")
    options = parser.parse_args()
    if not has_data(options.data):
        return 0
    began = time.perf_counter()
    n_tested, n_draws = (160, 400) if options.quick else (N_TESTED, N_DRAWS)
    cases = [load_case(options.data, ladder, n_tested, 240 if options.quick else None) for ladder in LADDERS]
    sets = [Set(case, folds_of(case.groups, N_FOLDS)) for case in cases]
    mixes = [hard_mix(sets, n_draws), production_mix(sets, n_draws // 2)]
    results: list[dict[str, Result]] = [{} for _ in mixes]
    proven: list[float] = []
    points: list[dict[str, list[tuple[float, float]]]] = [{} for _ in mixes]
    for name, curves in name_policies(sets, options.quick):
        for mix, own, line in zip(mixes, results, points, strict=True):
            served = serve(sets, curves, mix)
            own[name] = summarise(served, mix.draws)
            if name == OURS:
                proven.append(prove(served, [s.case.groups[tested] for s, tested in zip(sets, mix.is_tested, strict=True)]))
            if options.out and name in (*BASELINES, OURS, "oracle"):
                at = [summarise(serve(sets, curves, mix, target), mix.draws[:1]) for target in TARGETS]
                line[name] = [(float(r.retained[0]), float(r.saved[0])) for r in at]
        print(f"{time.perf_counter() - began:5.0f} s  {name}", file=sys.stderr, flush=True)
    for mix, own, line in zip(mixes, results, points, strict=True):
        print_table(mix.name, own)
        if options.out:
            draw(options.out, mix.name, line)
    print_sets(sets, results[0], (*FIXED[1:2], *BASELINES[-3:], OURS, OURS_WITHIN))
    print(NOTE)
    workload = (
        f"{sum(map(len, cases))} items, {sum(tested.sum() for tested in mixes[0].is_tested)} tested, {time.perf_counter() - began:.0f} s"
    )
    return report(judge(results[0], results[1], proven, not options.quick), workload, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
