"""Keep the stores small: what the state store may forget goes, every night."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task

from skillyard_airflow.errors import engine

DOC = """
### Triage
- **What it does**: every night, deletes from the state store what nobody needs any more: cached answers whose time has passed, ledger
  rows that have been in `llm_calls` for 30 days, leases and shares that ran out, budget counters of more than 400 days ago. Answers
  that are not published yet and attempts of unknown outcome are never deleted, however old. Doing it again does no harm.
- **evict is red**: the state store is locked, out of reach or damaged; the last line of its log says which, and what to do. Nothing
  depends on it: runs go on, and the next night catches up. It works in small transactions, so it may run beside everything else.
- **Where the tables are**: the state store (`SKILLYARD_STATE`); see `skillyard cache stats`. The lake is not touched.
"""


@dag(
    schedule="45 2 * * *",
    catchup=False,
    max_active_runs=1,
    doc_md=DOC,
    tags=["maintenance"],
    default_args={"owner": "skillyard", "retries": 2, "retry_delay": timedelta(seconds=10), "execution_timeout": timedelta(hours=1)},
)
def lake_maintenance():
    @task
    def evict() -> dict[str, int]:
        from skillyard.gateway.eviction import evict
        from skillyard.gateway.state import open_state

        with engine() as settings:
            evicted = evict(open_state(settings.state), datetime.now(UTC))
        print(evicted)
        return asdict(evicted)

    evict()


lake_maintenance()
