"""How often a proven threshold is wrong, on a population whose outcomes are all known, and what the proof costs in savings.

Each draw takes a fresh sample of a skill's items, fits calibration and threshold with the code that a training runs, and applies the
policy to the whole population. Skills differ in how good the cheaper tiers are, in what the model's probabilities are worth (right,
overconfident, noise), in how items are sampled (evenly, or hard ones with another chance than the others), in whether items of one
document are alike, and in checks that let bad answers pass. In one, starting everything on the fast tier keeps just under the target
and the probabilities say nothing: all or nothing, the hardest case for a bound.

With ``--data DIR`` the same of real models: the recorded items of each ladder of the routing benches are the population, scored out of
fold. Draws share items then, and a few thousand items are no population: reported without a goal.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from bench.figures import Figure, parser, report
from skillyard.routing.calibration import calibrated, logits
from skillyard.routing.outcomes import Floats, Outcomes
from skillyard.routing.policy import THRESHOLDS, SkillPolicy, choose_starts, fit_policy
from skillyard.tiers import TIERS

N_ITEMS = 16_000
"""Of each skill."""
N_DRAWS, N_QUICK = 1000, 60
SIZES, N_SIZE_DRAWS = (100, 1000, 3000), 100
"""Held-out rows beside MAIN_SIZE, and how often each is drawn: for the savings."""
MAIN_SIZE = 300
N_FIT = 500
N_FOLDS = 5
TARGET = 0.95
NOMINAL, OBSERVED = 0.05, 0.062
COSTS_USD = np.array([0.001, 0.005, 0.02])


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill as it really is."""

    name: str
    good: tuple[float, float, float]
    """By tier: the chance of a good answer to an item of middling difficulty."""
    spread: float = 1.5
    """Of the difficulty, in logits."""
    stretch: float = 1.0
    """What the model makes of the true logits: 1 right, above overconfident, 0 nothing."""
    shift: float = 0.0
    noise: float = 0.3
    passes_bad: float = 1.0
    """Share of bad answers that pass their checks all the same."""
    rare_share: float = 0.0
    """Share of items that are harder than the others."""
    rare_chance: float = 1.0
    """Of them to be sampled, by that of the others."""
    per_document: int = 1


SKILLS = (
    Skill("fast as good", (0.96, 0.97, 0.97), spread=0.5),
    Skill("easy and hard", (0.85, 0.93, 0.96)),
    Skill("fast is poor", (0.40, 0.85, 0.95)),
    Skill("overconfident", (0.85, 0.93, 0.96), stretch=3.0, shift=2.0),
    Skill("no signal, just below", (0.9115, 0.9115, 0.96), spread=0.0, stretch=0.0, noise=0.0),
    Skill("half a signal", (0.88, 0.90, 0.96), stretch=0.5, noise=1.5),
    Skill("checks find half", (0.80, 0.90, 0.96), passes_bad=0.5),
    Skill("hard ones sampled more", (0.93, 0.95, 0.97), spread=0.5, rare_share=0.15, rare_chance=4.0),
    Skill("hard ones sampled less", (0.93, 0.95, 0.97), spread=0.5, rare_share=0.15, rare_chance=0.25),
    Skill("alike in documents", (0.88, 0.93, 0.96), per_document=5),
)


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """All items of a skill."""

    items: Outcomes
    served: tuple[Floats, Floats]
    """Quality and cost of starting on each tier."""
    chance: Floats
    """Of an item's document to be sampled, up to a factor."""
    per_document: int

    def judge(self, policy: SkillPolicy, threshold: float) -> tuple[float, float]:
        """Return the quality truly retained and the share of the cost truly saved at a threshold."""
        (start,) = choose_starts(policy, self.items.raw, [threshold])
        quality, cost = (float(values[np.arange(len(start)), start].mean()) for values in self.served)
        return quality / float(self.served[0][:, -1].mean()), 1 - cost / float(self.served[1][:, -1].mean())

    def sample(self, n_rows: int, rng: np.random.Generator) -> Outcomes:
        """Return rows drawn by document, weighted by the inverse of their chance."""
        n_documents = n_rows // self.per_document
        chance = self.chance[:: self.per_document]
        documents = rng.choice(len(chance), n_documents, p=chance / chance.sum())
        rows = (documents[:, None] * self.per_document + np.arange(self.per_document)).ravel()
        return replace(
            select(self.items, rows), weight=1 / self.chance[rows], group_starts=np.arange(0, len(rows), self.per_document, dtype=np.int64)
        )


def select(items: Outcomes, rows: np.ndarray) -> Outcomes:
    """Return some of the rows."""
    columns = {name: getattr(items, name)[rows] for name in ("raw", "passed", "quality", "cost_usd", "weight")}
    return replace(items, **columns)


def populate(skill: Skill, seed: int) -> Population:
    """Draw the outcomes of every item of a skill once."""
    rng = np.random.default_rng(seed)
    ease = np.repeat(rng.normal(0, skill.spread, N_ITEMS // skill.per_document), skill.per_document)[:, None]
    is_rare = (rng.random(N_ITEMS) < skill.rare_share)[:, None]
    truth = logits(np.array(skill.good)) + (ease - 2.0 * is_rare) * np.array([1.0, 0.8, 0.3])
    ranks = np.column_stack([rng.permutation(N_ITEMS) for _ in TIERS])
    good = (ranks + 0.5) / N_ITEMS < 1 / (1 + np.exp(-truth))
    said = skill.stretch * truth + skill.shift + skill.noise * rng.normal(size=truth.shape)
    items = Outcomes(
        tiers=TIERS,
        raw=calibrated(1 / (1 + np.exp(-np.clip(said, -13, 13))), 1.0, 0.0),
        passed=good | (rng.random(truth.shape) < skill.passes_bad),
        quality=good.astype(float),
        cost_usd=COSTS_USD * rng.lognormal(0, 0.4, (N_ITEMS, 1)),
        weight=np.ones(N_ITEMS),
        group_starts=np.arange(N_ITEMS, dtype=np.int64),
    )
    return Population(items, items.served(), np.where(is_rare[:, 0], skill.rare_chance, 1.0), skill.per_document)


def recorded(folder: Path) -> Iterator[tuple[str, Population]]:
    """Yield the ladders of the routing benches, each item scored by a model that has not seen its question."""
    from bench.ladders import LADDERS, load_case
    from bench.outcomes import folds_of
    from bench.predictors import text_and_traits

    for ladder in LADDERS:
        case = load_case(folder, ladder, N_FIT)
        folds, fit = folds_of(case.groups, N_FOLDS), text_and_traits(case)
        raw = np.zeros_like(case.good)
        for fold in range(N_FOLDS):
            raw[folds == fold] = fit(np.flatnonzero(folds != fold))[folds == fold]
        ones = np.ones(len(case))
        items = Outcomes(
            tiers=TIERS if case.n_tiers == len(TIERS) else (TIERS[0], TIERS[-1]),
            raw=raw,
            passed=np.ones_like(raw, bool),
            quality=case.good,
            cost_usd=case.costs,
            weight=ones,
            group_starts=np.arange(len(case), dtype=np.int64),
        )
        yield case.name, Population(items, items.served(), ones, 1)


def best_saving(population: Population) -> float:
    """Return the saving of the best threshold that keeps the target, by one who knows all outcomes."""
    policy = fit_policy("classify-things", TARGET, population.items, population.sample(100, np.random.default_rng(0)))
    judged = [population.judge(policy, threshold) for threshold in THRESHOLDS]
    return max(saving for retained, saving in judged if retained >= TARGET)


def draw(population: Population, n_held_out: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return the quality truly retained and the cost truly saved by a policy that is proven on a fresh sample."""
    policy = fit_policy("classify-things", TARGET, population.sample(N_FIT, rng), population.sample(n_held_out, rng))
    return population.judge(policy, policy.threshold)


def measure(population: Population, n_held_out: int, n_draws: int, seed: Sequence[int]) -> tuple[float, float]:
    """Return the share of draws that keep less than the target, and the mean saving."""
    rng = np.random.default_rng([*seed, n_held_out])
    draws = np.array([draw(population, n_held_out, rng) for _ in range(n_draws)])
    return float((draws[:, 0] < TARGET).mean()), float(draws[:, 1].mean())


def main() -> int:
    """Draw, judge and report; 1 when a skill's policies keep too little too often."""
    made = parser(__doc__)
    made.add_argument("--data", type=Path, metavar="DIR", help="the folder of recorded outcomes, see bench/outcomes.py")
    options = made.parse_args()
    n_draws, sizes = (N_QUICK, ()) if options.quick else (N_DRAWS, SIZES)
    limit = NOMINAL + 3 * (NOMINAL * (1 - NOMINAL) / n_draws) ** 0.5 if options.quick else OBSERVED
    began = time.perf_counter()
    figures, shares = [], []
    for seed, skill in enumerate(SKILLS):
        population = populate(skill, seed)
        share, saving = measure(population, MAIN_SIZE, n_draws, [2026, seed])
        shares.append(share)
        figures.append(
            Figure(f"{skill.name}: keeps less than the target", 100 * share, "% of draws", f"<= {100 * limit:.1f}", share <= limit)
        )
        figures.append(Figure(f"{skill.name}: saved by who knows all outcomes", 100 * best_saving(population), "%"))
        figures.append(Figure(f"{skill.name}: saved, {MAIN_SIZE} held out", 100 * saving, "%"))
        for size in sizes:
            figures.append(Figure(f"{skill.name}: saved, {size} held out", 100 * measure(population, size, N_SIZE_DRAWS, [seed])[1], "%"))
    figures.insert(
        0,
        Figure(
            "all skills: keeps less than the target",
            100 * float(np.mean(shares)),
            "% of draws",
            f"<= {100 * NOMINAL:.1f}",
            bool(np.mean(shares) <= NOMINAL),
        ),
    )
    for name, population in recorded(options.data) if options.data else ():
        share, saving = measure(population, MAIN_SIZE, n_draws, [2026])
        figures.append(Figure(f"recorded, {name}: keeps less than the target", 100 * share, "% of draws"))
        figures.append(Figure(f"recorded, {name}: saved by who knows all outcomes", 100 * best_saving(population), "%"))
        figures.append(Figure(f"recorded, {name}: saved, {MAIN_SIZE} held out", 100 * saving, "%"))
    took_s = time.perf_counter() - began
    workload = (
        f"{len(SKILLS)} skills of {N_ITEMS} items, {n_draws} draws each of {N_FIT} rows to fit and {MAIN_SIZE} held out, {took_s:.0f} s"
    )
    return report(figures, workload, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
