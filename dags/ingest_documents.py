"""Documents in: find what is new, changed or gone in the inbox, parse it, publish ``documents``, ``pages``, ``chunks`` and ``rejects``."""

import os
from datetime import timedelta

from airflow.sdk import Asset, AssetAlias, TriggerRule, dag, task
from airflow.sdk.exceptions import AirflowFailException

from skillyard_airflow.errors import engine
from skillyard_airflow.events import inbox_schedule
from skillyard_airflow.forms import ingest_form, read_ingest_form

DOCUMENTS = Asset("documents")
ANNOUNCED = AssetAlias("ingest_documents")

DOC = """
### Triage
- **What it does**: lists the inbox, parses documents that are new or changed (in parallel, in the pool `parse`), and publishes the tables
  `documents`, `pages`, `chunks` and `rejects`. What is gone from the inbox gets a row with the status `deleted`. The Asset `documents` is
  sent only when something new was published; enabled skills follow it.
- **What starts it**: a person; the Asset that `SKILLYARD_INBOX_ASSET` names; a message in the SQS queue that `SKILLYARD_INBOX_QUEUE` names
  (object-created events of the inbox's bucket; the triggerer waits for it with the connection `aws_default`). A message only wakes it
  up: what is new is found by listing, so a lost, doubled or forged message changes nothing.
- **discover is green and the rest is skipped**: nothing is new. That is success.
- **discover is red**: the inbox does not exist or cannot be read, or the lake cannot be written. The last line of its log says which.
  *More than half are gone*: the folder is probably not mounted, and nothing was changed; if they were deleted on purpose, trigger it with
  *Confirm deletions*.
- **parse_shard is red**: a whole shard failed, not one document: a bad document becomes a row of `rejects` and never stops a run.
  The other shards are published all the same; trigger the DAG again and only what is missing is parsed.
- **publish is red**: the rows broke an expectation and nothing was published. The log names it, with sample rows; the site is under
  `_quality/` on the lake.
- **Where the tables are**: `<lake>/documents`, `<lake>/pages`, `<lake>/chunks`, `<lake>/rejects`; see `skillyard lake tables`.
"""


@dag(
    schedule=inbox_schedule(os.environ),
    max_active_runs=1,
    doc_md=DOC,
    tags=["ingestion"],
    params=ingest_form(),
    default_args={"owner": "skillyard", "retries": 2, "retry_delay": timedelta(seconds=10), "execution_timeout": timedelta(hours=1)},
)
def ingest_documents():
    @task.short_circuit
    def discover(run_id: str, params: dict, dag_run, ti) -> list[str]:
        from skillyard.running.ingest import IngestRequest, discover, ingest_shards

        with engine() as settings:
            request = IngestRequest(**read_ingest_form(params))
            plan = discover(settings, run_id, request, owner=f"airflow:{dag_run.dag_id}", progress=print)
            print(plan.message)
            ti.xcom_push("run_key", plan.run_key)
            return ingest_shards(settings, plan.run_key)

    @task(pool="parse", queue="parse", max_active_tis_per_dagrun=16)
    def parse_shard(shard_key: str) -> None:
        from skillyard.running.ingest import parse_shard

        with engine() as settings:
            print(parse_shard(settings, shard_key, print))

    @task(trigger_rule=TriggerRule.ALL_DONE, outlets=[ANNOUNCED])
    def publish(ti, outlet_events) -> dict:
        from skillyard.running.ingest import publish_documents

        run_key = ti.xcom_pull("discover", key="run_key")
        if run_key is None:
            raise AirflowFailException("nothing was discovered: see the log of discover.")
        with engine() as settings:
            report = publish_documents(settings, run_key)
        if report.n_new:
            outlet_events[ANNOUNCED].add(DOCUMENTS)
        print(report)
        told = ("n_documents", "n_new", "n_pages", "n_chunks", "n_duplicates", "n_deleted", "n_pending")
        return {name: getattr(report, name) for name in told}

    @task(trigger_rule=TriggerRule.ALL_DONE, retries=0)
    def finish(published) -> None:
        if published is None:
            raise AirflowFailException("publish failed: see its log.")
        if published["n_pending"]:
            raise AirflowFailException(f"{published['n_pending']} documents are pending, see the log of publish. Trigger this DAG again.")

    parse_shard.expand(shard_key=discover()) >> (published := publish())
    finish(published)


ingest_documents()
