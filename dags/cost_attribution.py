"""A night's money: the ledger into the tables of cost, what is wrong with them, who is told, and the page of the month."""

import os
from datetime import date, timedelta

from airflow.sdk import Param, TriggerRule, dag, task

from skillyard_airflow.alerts import read_channels, tell
from skillyard_airflow.errors import engine

DOC = """
### Triage
- **What it does**: every night, takes calls of dead runs to `llm_calls`, makes `cost_daily`, `unit_costs`, `savings_daily` and `focus`
  of every day that changed (late rows, rejects, audits and prices reopen their day), then budgets, forecast and anomalies of the last days,
  tells what is new, and writes the page of the month. Doing it again changes nothing. Trigger it with dates for another range.
- **attribute is red**: days were left as they were, all others are made; the last line of its log names each. *conflicting_rows*: a call
  stands in two files with different contents; move the wrong file away. *negative*: a count below 0; correct or move the file. *lost_rows*:
  files of the ledger are gone; restore them, or trigger again with both dates and *Accept the loss*. The next night tries again by itself.
- **Odd, but counted**: *duplicate_rows* (each counted once; move the copy away), *clock* (calls count on the day they say; set the clocks),
  *unpriced* (`skillyard prices add`; the days make themselves anew the next night).
- **watch is red**: budgets or anomalies could not be made; the last line of its log says why, such as a mistake in `include/teams.yaml`.
- **alert is red**: a channel of `SKILLYARD_ALERTS` failed; the log names its Airflow connection, and what it should have told stands above.
- **report is red**: the page was not written; the tables stand. **finish is red**: a task before it is. It does nothing itself.
- **Where the tables are**: `<lake>/cost_daily`, `unit_costs`, `savings_daily`, `focus`, `budget_daily`, `anomalies`; the page is below
  `<lake>/_reports`. See `skillyard cost report`, `cost forecast`, `cost anomalies --open`; `cost acknowledge ID` for what is known.
"""


DAYS = "Days (UTC)"


def day(title, description):
    """Return the Param of one end of the range."""
    return Param(None, type=["null", "string"], format="date", title=title, description=description, section=DAYS)


LOSS = "Only where files of the ledger of these days are gone for good: makes the days of the calls that are left. Needs the first day."


@dag(
    schedule="15 2 * * *",
    catchup=False,
    max_active_runs=1,
    doc_md=DOC,
    tags=["cost"],
    params={
        "first": day("First day", "Empty: every day that changed."),
        "last": day("Last day", "Empty: the first day alone."),
        "accept_loss": Param(False, type="boolean", title="Accept the loss", description=LOSS, section=DAYS),
    },
    default_args={"owner": "skillyard", "retries": 2, "retry_delay": timedelta(seconds=10), "execution_timeout": timedelta(hours=1)},
)
def cost_attribution():
    @task
    def attribute(params: dict, ti) -> int:
        from skillyard.costs.attribution import check_reports
        from skillyard.running import nightly

        with engine() as settings:
            days = nightly.asked_days(params["first"], params["last"], params["accept_loss"])
            reports = nightly.attribute_night(settings, days, print, accept_loss=params["accept_loss"])
            ti.xcom_push("since", str(min((report.day for report in reports), default="")))
            check_reports(reports)
        return len(reports)

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def watch(ti, dag_run) -> int:
        from skillyard.running.nightly import watch

        since = ti.xcom_pull(task_ids="attribute", key="since")
        with engine() as settings:
            return watch(settings, date.fromisoformat(since) if since else None, dag_run.run_after.date(), print)

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def alert(dag_run) -> int:
        with engine() as settings:
            return tell(settings, read_channels(os.environ), dag_run.run_after.date())

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def report(dag_run) -> str:
        from skillyard.running.nightly import write_month

        with engine() as settings:
            return write_month(settings, dag_run.run_after.date())

    @task(trigger_rule=TriggerRule.NONE_FAILED)
    def finish() -> None:
        """Red when anything before it is: each task runs whatever became of the one before."""

    attributed, watched, told, reported = attribute(), watch(), alert(), report()
    attributed >> watched >> told >> reported
    [attributed, watched, told, reported] >> finish()


cost_attribution()
