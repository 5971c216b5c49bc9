"""The router learns: once a week a challenger is trained, replayed beside the champion, and promoted if it is better."""

from datetime import timedelta

from airflow.sdk import Param, dag, task

from skillyard_airflow.errors import engine

DOC = """
### Triage
- **What it does**: every week, trains a router on the audits and evals that still hold, replays it beside the champion on documents that
  neither has learned from, and promotes it only if it is better with confidence. The last lines of the log say what was compared and why
  the champion stays or goes. Trigger it for a training at once; *Only compare* changes nothing. Every night `quality_audit` adjusts
  the champion's thresholds in between.
- **train is green and the champion stays**: that is success too. *no evidence* in the log: nothing was audited or evaluated yet.
- **train is red**: the lake cannot be written, or somebody promoted another version meanwhile (a retry compares with that one). The last
  line of its log says which. The champion goes on routing, whatever happens here.
- **A new champion does worse**: `skillyard router rollback` goes back to the one before; `skillyard router show` lists them.
- **Where the tables are**: `<lake>/_routers` holds the versions and the pointer; `<lake>/audits` and `<lake>/evals` what they learn from.
"""


@dag(
    schedule="30 4 * * 1",
    catchup=False,
    max_active_runs=1,
    doc_md=DOC,
    tags=["routing"],
    params={
        "dry_run": Param(
            False, type="boolean", title="Only compare", description="Train and compare; save and promote nothing.", section="Training"
        ),
    },
    default_args={"owner": "skillyard", "retries": 2, "retry_delay": timedelta(seconds=10), "execution_timeout": timedelta(hours=1)},
)
def router_training():
    @task
    def train(params: dict, dag_run) -> dict:
        from skillyard.running.training import train_challenger

        with engine() as settings:
            report = train_challenger(settings, dag_run.run_after, params["dry_run"], by=dag_run.run_id)
        print(report.text)
        return {"is_promoted": report.is_promoted, "champion": report.champion, "challenger": report.challenger}

    train()


router_training()
