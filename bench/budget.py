"""Many processes spend against the same hard limits at once: what goes beyond them, on the provider's bill, and how much of them is used.

The calls take 200 ms and are of random size: other documents, other output limits, outputs of a length that nobody knows before. First all
spend against one limit, a month's of their team. Then two runs side by side spend against limits of run, day, month and skill, while
attempts fail and processes are killed; limits are raised, and both go on. On SQLite and on PostgreSQL.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "GX_ANALYTICS_ENABLED": "false"}

from bench.figures import Figure, parser, report
from tests.gateway.spending import Spent, against_one_limit, side_by_side
from tests.postgres import binaries, running_postgres
from tests.running.trials import installation
from tests.simulator import Simulator

CONCURRENCY = 256
TIMES = 55
"""How much larger than the largest reservation the smallest limit is."""


def main() -> int:
    """Measure and report; 1 when a limit is crossed, money is unexplained or a limit is left unused."""
    options = parser(__doc__).parse_args()
    n_processes, n_requests, times = (8, 50, 12) if options.quick else (32, 50, TIMES)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, Simulator() as simulator:
        os.environ |= {"SIMULATOR_URL": simulator.url, "SIMULATOR_KEY": "sk-simulated"}
        with running_postgres() if binaries() else tempfile.TemporaryDirectory() as url:
            for store, state in (("SQLite", None), ("PostgreSQL", url)) if binaries() else (("SQLite", None),):
                with installation(Path(folder) / f"{store} one", state, CONCURRENCY) as settings:
                    simulator.reset()
                    began = time.monotonic()
                    spent = against_one_limit(settings, simulator, n_processes, n_requests, TIMES)
                    figures += judge(f"{store}, one limit", [spent], time.monotonic() - began)
                    figures.append(used(f"{store}, one limit: used, of the bill", spent))
                with installation(Path(folder) / f"{store} all", state, CONCURRENCY) as settings:
                    simulator.reset()
                    began = time.monotonic()
                    figures += judge(
                        f"{store}, all limits", side_by_side(settings, simulator, n_processes, n_requests, times), time.monotonic() - began
                    )
    workload = f"{n_processes} processes, 8 calls of 200 ms at once each, smallest limit {times} times the largest reservation or more"
    return report(figures, workload, options.json)


def judge(name: str, rounds: list[Spent] | tuple[Spent, ...], took_s: float) -> list[Figure]:
    """Return what has to be 0, and what happened on the way."""
    overspend = float(sum(s.overspend_usd for s in rounds))
    unexplained = float(sum(s.unexplained_usd for s in rounds))
    n_failed, n_again = sum(s.watched.n_failed for s in rounds), sum(s.n_asked_again for s in rounds)
    statuses = rounds[-1].n_statuses
    made = [
        Figure(f"{name}: overspend", overspend, "USD", "= 0", overspend == 0),
        Figure(f"{name}: billed, neither settled nor unknown", unexplained, "USD", "= 0", unexplained == 0),
        Figure(f"{name}: processes that failed", n_failed, "processes", "= 0", n_failed == 0),
        Figure(f"{name}: settled twice", n_again, "requests", "= 0", n_again == 0),
        Figure(f"{name}: calls settled", statuses["settled"], "calls"),
    ]
    for spent in rounds[1:]:
        of_day = next(c for c in spent.watched.hard_usd if c.startswith("records|*|") and len(c.rpartition("|")[2]) == 10)
        made.append(
            Figure(f"{name}: used of the day's, after raising", float(spent.used(of_day)), "share", ">= 0.97", spent.used(of_day) >= 0.97)
        )
        made.append(Figure(f"{name}: in flight when killed, still reserved", statuses["sent"], "calls"))
    looks = sum(s.watched.n_samples for s in rounds)
    return [*made, Figure(f"{name}: looks at the limits meanwhile", looks, "looks"), Figure(f"{name}: took", took_s, "s")]


def used(name: str, spent: Spent) -> Figure:
    """Return the share of the limit that the provider bills."""
    (counter,) = spent.watched.hard_usd
    share = spent.billed_usd[counter] / spent.watched.hard_usd[counter]
    return Figure(name, float(share), "share", ">= 0.97", share >= 0.97)


if __name__ == "__main__":
    sys.exit(main())
