"""The bill: settle the ledger's calls of the last days into ``cost_daily``."""

from datetime import date, timedelta

from airflow.sdk import Param, dag, task

from skillyard_airflow.errors import engine

DOC = """
### Triage
- **What it does**: every night, recomputes `cost_daily` from `llm_calls` for the last three days and today, so that calls
  published late are counted; calls of runs that died before their publish are taken to `llm_calls` first. A day is replaced as a
  whole; doing it again changes nothing. Trigger it with dates for another range.
- **attribute is red**: a model has no price on a day (add a row to `include/prices`, then trigger the range again), or the
  lake cannot be written. The last line of its log says which. A missing price stops it before anything is written, and no day
  is ever half written.
- **Where the tables are**: `<lake>/cost_daily`; see `skillyard cost report`.
"""


def day(title, description):
    """Return the Param of one end of the range."""
    return Param(None, type=["null", "string"], format="date", title=title, description=description, section="Days (UTC)")


@dag(
    schedule="15 2 * * *",
    catchup=False,
    max_active_runs=1,
    doc_md=DOC,
    tags=["cost"],
    params={
        "first": day("First day", "Empty: three days before the run."),
        "last": day("Last day", "Empty: the day of the run."),
    },
    default_args={"owner": "skillyard", "retries": 2, "retry_delay": timedelta(seconds=10), "execution_timeout": timedelta(hours=1)},
)
def cost_attribution():
    @task
    def attribute(params: dict, dag_run) -> int:
        from skillyard.costs.attribution import attribute
        from skillyard.running.ledger import drain_idle

        today = dag_run.run_after.date()
        first = date.fromisoformat(params["first"]) if params["first"] else today - timedelta(days=3)
        last = date.fromisoformat(params["last"]) if params["last"] else today
        with engine() as settings:
            for skill, n_rows in drain_idle(settings).items():
                print(f"{skill}: {n_rows} calls of runs that never published")
            reports = attribute(settings, first, last)
        for report in reports:
            print(report)
        return len(reports)

    attribute()


cost_attribution()
