"""5,000 calls with all that goes wrong with money: do ledger, nightly tables and bill agree to the last decimal?

Documents are worked through with faults of every kind, a worker is killed and its shard begun again, more documents go through a batch that
loses rows, some are asked again and come from the response cache, and three models are paid. Then the nightly tables are made and compared
with each other, with the ledger, and call by call with the provider simulator's own bill; then the bill is reconciled.
"""

import os
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "GX_ANALYTICS_ENABLED": "false"}

from bench.figures import Figure, parser, report
from tests.running.money import Books, keep_books, reconcile_by_command, spend_on, spending
from tests.simulator import Simulator


def main() -> int:
    """Measure and report; 1 when anything does not agree."""
    options = parser(__doc__).parse_args()
    n_calls, began = 300 if options.quick else 5_000, time.monotonic()
    with tempfile.TemporaryDirectory() as name, Simulator() as simulator:
        folder = Path(name)
        os.environ |= {"SIMULATOR_URL": simulator.url, "SIMULATOR_KEY": "sk-simulated"}
        with spending(folder) as settings:
            settings, n_killed = spend_on(settings, simulator, folder, n_calls)
            spent_s = time.monotonic() - began
            before = keep_books(settings, simulator)
            said = reconcile_by_command(settings, simulator, folder)
            after = keep_books(settings, simulator)
    print(
        f"{dict(before.n_calls)}; billed ${before.billed_usd}, in the ledger ${before.sums_usd['llm_calls']}; {spent_s:.0f} s to spend it"
    )
    took_s = time.monotonic() - began
    return report(figures(n_calls, n_killed, before, after, Decimal(said["difference_usd"]), took_s), f"{n_calls} calls", options.json)


def figures(n_calls: int, n_killed: int, before: Books, after: Books, left_usd: Decimal, took_s: float) -> list[Figure]:
    """Return what was found, each beside its goal."""
    n_total, n_models = sum(before.n_calls.values()), len(before.billed_by_model_usd)
    unexplained = abs(before.difference_usd - before.unknown_usd)
    apart = after.spread_usd + abs(after.difference_usd)
    return [
        Figure("rows of the ledger", n_total, "calls", f">= {n_calls}", n_total >= n_calls),
        Figure("workers killed", n_killed, "", "1", n_killed == 1),
        Figure("models paid", n_models, "", "3", n_models == 3),
        Figure("unknown attempts", before.n_unknown, "calls"),
        Figure("ledger and tables apart", float(before.spread_usd), "USD", "0", not before.spread_usd),
        Figure("calls at another amount than billed", before.n_wrong, "calls", "0", not before.n_wrong),
        Figure("bill less ledger less unknown attempts", float(unexplained), "USD", "0", not unexplained),
        Figure("difference after cost reconcile", float(abs(left_usd)), "USD", "0", not left_usd),
        Figure("tables and bill apart after it", float(apart), "USD", "0", not apart),
        Figure("unknown attempts after it", after.n_unknown, "calls", "0", not after.n_unknown),
        Figure("time", took_s, "s"),
    ]


if __name__ == "__main__":
    sys.exit(main())
