"""Keep the stores small and the tables sound, every night."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from airflow.sdk import chain, dag, task

from skillyard_airflow.errors import engine

DOC = """
### Triage
- **What it does**, each step whatever became of the one before, all of it safe to repeat and beside everything else: `evict` deletes from
  the state store what nobody needs (expired answers, ledger rows 30 days in `llm_calls`, old leases and counters; never an answer that is
  not published or an attempt of unknown outcome). `compact` merges small files of days that are over. `tidy` finishes what dead publishes
  left, deletes superseded files after 7 days, working files of finished runs after 14. `verify` checks every table.
- **evict is red**: the state store is locked, out of reach or damaged; its log says which. The next night catches up.
- **compact is red**: its log names table and day. A merge needs a few GB in the temporary folder. "does not hold the rows": nothing was
  changed; look at the disk and the memory of the machine, then `skillyard lake verify TABLE --deep`.
- **tidy is red**: the lake refuses deletes, or is out of reach.
- **verify is red**: its log says what is wrong, where, and what to do; see *Is the lake whole?* in `docs/operations.md`.
- **Where the tables are**: the lake (`SKILLYARD_LAKE`) and the state store (`SKILLYARD_STATE`).
"""


@dag(
    schedule="45 2 * * *",
    catchup=False,
    max_active_runs=1,
    doc_md=DOC,
    tags=["maintenance"],
    default_args={"owner": "skillyard", "retries": 2, "retry_delay": timedelta(seconds=10), "execution_timeout": timedelta(hours=6)},
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

    @task(trigger_rule="all_done")
    def compact() -> None:
        from skillyard.lake.compact import compact
        from skillyard.lake.iceberg import follow
        from skillyard.lake.lake import Lake

        with engine() as settings:
            lake = Lake(settings.lake)
            for merged in compact(lake):
                print(merged)
            follow(settings, lake, "lake_maintenance")

    @task(trigger_rule="all_done")
    def tidy() -> dict[str, int]:
        from skillyard.lake.lake import Lake
        from skillyard.lake.maintain import tidy
        from skillyard.running.cleanup import clean_up_runs

        with engine() as settings:
            lake = Lake(settings.lake)
            tidied, cleaned = tidy(lake), clean_up_runs(lake)
        print(tidied, cleaned)
        return {**asdict(tidied), **asdict(cleaned)}

    @task(trigger_rule="all_done", retries=0)
    def verify() -> dict[str, int]:
        from skillyard.errors import LakeUnsound
        from skillyard.lake.lake import Lake
        from skillyard.lake.verify import verify

        with engine() as settings:
            found = verify(Lake(settings.lake), say=print)
            print(*found.problems, sep="\n")
            if found.problems:
                raise LakeUnsound(f"{len(found.problems)} problems in the lake, the first: {found.problems[0]}")
        return {"n_tables": found.n_tables, "n_files": found.n_files, "n_rows": found.n_rows}

    @task
    def finish() -> None:
        """Make the run as red as its reddest step."""

    steps = [evict(), compact(), tidy(), verify()]
    chain(*steps)
    steps >> finish()


lake_maintenance()
