"""SIGKILL to a random process of a run at a random moment, round after round: what is lost, doubled, paid again, and left unexplained.

A round is a run of one skill over all documents, worked through as Airflow would: plan, route, four workers at a time on its shards,
publish, finish; what is killed is started again. Each round kills workers, and its plan, route and publish each with even odds. Rounds
take turns between SQLite and PostgreSQL. Afterwards every table, the state store and the simulator's bill are compared, call by call;
then the bill is reconciled and compared again. What is shown is the death of a process, not a loss of power.
"""

import os
import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "GX_ANALYTICS_ENABLED": "false"}

from bench.figures import Figure, parser, report
from tests.postgres import binaries, running_postgres
from tests.running.trials import Kills, Trial, Verdict, installation, judge, seed
from tests.simulator import Simulator

LATENCY = {"kind": "uniform", "low_ms": 50, "high_ms": 400}
FAULTS = {"breaks_schema": 0.05, "server_error": 0.01}
"""Of the fast tier: items that escalate, attempts that are made again."""
N_WORKER_KILLS = (1, 2, 3)
STEPS_S = {"plan": 1.0, "route": 0.5, "publish": 2.0}
"""How long the steps take, until rounds in which nobody killed them have shown it."""


@dataclass(slots=True)
class Tally:
    """What all rounds came to."""

    verdicts: list[Verdict] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    n_broken: int = 0
    """Rounds in which a step ended with an error, or did not end."""
    longest_wait_s: float = 0.0


def main() -> int:
    """Measure and report; 1 when anything is lost, doubled, unexplained or paid beyond what was in flight."""
    options = parser(__doc__).parse_args()
    n_items, n_rounds = (200, 2) if options.quick else (2000, 20)
    tally, steps_s = Tally(), dict(STEPS_S)
    with tempfile.TemporaryDirectory() as folder, Simulator({"latency": LATENCY, "models": {"sim-fast": {"faults": FAULTS}}}) as simulator:
        os.environ |= {"SIMULATOR_URL": simulator.url, "SIMULATOR_KEY": "sk-simulated"}
        stores = ["sqlite", "postgres"] if binaries() else ["sqlite"]
        with running_postgres() if binaries() else tempfile.TemporaryDirectory() as url:
            for number in range(n_rounds):
                store = stores[number % len(stores)]
                go_round(tally, number, n_items, Path(folder) / str(number), url if store == "postgres" else None, simulator, steps_s)
    return report(figures(tally), f"{n_rounds} rounds of {n_items} items on {' and '.join(stores)}", options.json)


def go_round(
    tally: Tally, number: int, n_items: int, folder: Path, state: str | None, simulator: Simulator, steps_s: dict[str, float]
) -> None:
    """Go through one round, seeded by its number, and say what it came to."""
    rng = random.Random(f"round {number}")
    kills = Kills.draw(rng, n_items, rng.choice(N_WORKER_KILLS), {s: took_s for s, took_s in steps_s.items() if rng.random() < 0.5})
    simulator.reset()
    with installation(folder, state) as settings:
        seed(settings, n_items)
        trial = Trial(folder, settings, simulator, rng)
        try:
            trial.go(kills)
            verdict = judge(trial, n_items)
        except Exception as error:
            tally.n_broken += 1
            print(f"round {number} BROKE: {error!r}; {kills}; {trial.killed}", flush=True)
            return
    tally.verdicts.append(verdict)
    tally.kills.update(k.step for k in trial.killed)
    tally.longest_wait_s = max([tally.longest_wait_s, *(k.longest_wait_s for k in trial.killed)])
    steps_s.update(trial.took_s)
    said = ", ".join(f"{k.step} {k.moment} with {len(k.in_flight)} in flight" for k in trial.killed)
    print(f"round {number} on {'postgres' if state else 'sqlite'}: killed {said}", flush=True)
    if not verdict.is_clean:
        print(f"round {number} FAILED: {verdict}; {kills}", flush=True)


def figures(tally: Tally) -> list[Figure]:
    """Return the sums over all rounds; what was paid again is held against what was in flight round by round."""
    verdicts = tally.verdicts

    def none(name: str, value: float, unit: str) -> Figure:
        return Figure(name, value, unit, "= 0", value == 0)

    return [
        none("rounds that broke or hung", tally.n_broken, "rounds"),
        none("items lost", sum(v.n_lost for v in verdicts), "items"),
        none("rows doubled", sum(v.n_doubled for v in verdicts), "rows"),
        none("calls that the ledger does not have", sum(v.n_unrecorded for v in verdicts), "calls"),
        none("billed, neither settled nor unknown", float(sum(v.unexplained_usd for v in verdicts)), "USD"),
        none("leases and answers left behind", sum(v.n_left for v in verdicts), "rows"),
        none("difference after reconciliation", float(sum(v.after_reconcile_usd for v in verdicts)), "USD"),
        Figure("calls in flight when killed", sum(v.n_in_flight for v in verdicts), "calls"),
        Figure(
            "calls paid again",
            sum(v.n_paid_again for v in verdicts),
            "calls",
            "<= in flight",
            all(v.n_paid_again <= v.n_in_flight for v in verdicts),
        ),
        Figure("longest way of a lost answer to its commit", tally.longest_wait_s, "s"),
        *(Figure(f"killed: {step}", n, "processes") for step, n in sorted(tally.kills.items())),
    ]


if __name__ == "__main__":
    sys.exit(main())
