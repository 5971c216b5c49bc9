"""Was routing right? Every night a sample of results is answered on every tier, and the router learns what came of it."""

from datetime import timedelta

from airflow.sdk import Param, TriggerRule, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from skillyard.settings import MOST_AUDITED
from skillyard_airflow.errors import engine

DOC = """
### Triage
- **What it does**: every night, draws results of each skill of `include/enabled.yaml` (`SKILLYARD_AUDIT_SAMPLE` of them, new ones first;
  for any other skill: `skillyard quality audit`), asks every other tier the skill may use for the same items, and compares each answer
  with the highest tier's, field by field. Then the router's calibration and thresholds are fitted to what holds, and the day's retained
  quality and red flags are computed. The team that owns a skill pays, within its budgets.
- **submit and wait**: where a tier has a batch API, its requests go there, at its price. After an hour *wait* is skipped, and what a batch
  has not answered by then is asked live. For other profiles they have nothing to do.
- **audit is skipped**: a run of the skill is at work; its results are audited the next night. *nothing* in the log: there is one tier, or
  no result that was not audited before.
- **audit is red**: nothing could be asked: the provider is down, a key is wrong, or the team's budget is used up. The last line of its log
  says which. Clear it and only what is missing is asked and paid. The other skills and all later tasks go on.
- **recalibrate is red**: the champion goes on routing as it was; the next night tries again.
- **finish is red**: one of the tasks before it is. It does nothing itself.
- **Where the tables are**: `<lake>/audits`, `<lake>/quality_daily`, `<lake>/red_flags`; see `skillyard quality report`.
"""


@dag(
    schedule="30 2 * * *",
    catchup=False,
    max_active_runs=1,
    doc_md=DOC,
    tags=["routing"],
    params={
        "sample": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=MOST_AUDITED,
            title="Results per skill",
            description="Empty: as SKILLYARD_AUDIT_SAMPLE says. Once a day; `skillyard quality audit` does it at any time.",
            section="Audit",
        ),
    },
    default_args={"owner": "skillyard", "retries": 2, "retry_delay": timedelta(seconds=10), "execution_timeout": timedelta(hours=2)},
)
def quality_audit():
    @task
    def list_skills(params: dict) -> list[str]:
        from skillyard.running.audit import auditable

        with engine() as settings:
            return auditable(settings) if params["sample"] or settings.audit_sample else []

    @task
    def submit(skills: list[str], params: dict, dag_run) -> int:
        from skillyard.errors import SkillyardError
        from skillyard.running.audit import submit_audit

        at, n_requests = dag_run.run_after, 0
        with engine() as settings:
            n = params["sample"] or settings.audit_sample
            for skill in skills:
                try:
                    n_requests += submit_audit(settings, skill, str(at.date()), n, at, "quality_audit", print)
                except SkillyardError as error:
                    print(f"{skill}: no batch, its audit will ask live: {error}")
        return n_requests

    @task.sensor(poke_interval=60, timeout=3600, mode="reschedule", soft_fail=True)
    def wait(skills: list[str], n_requests: int, dag_run) -> bool:
        from skillyard.running.audit import is_submitted

        with engine() as settings:
            return not n_requests or not any(is_submitted(settings, skill, str(dag_run.run_after.date())) for skill in skills)

    @task(max_active_tis_per_dagrun=4, trigger_rule=TriggerRule.ALL_DONE)
    def audit(skill: str, params: dict, dag_run) -> str:
        from skillyard.errors import RunLocked
        from skillyard.running.audit import audit

        at = dag_run.run_after
        with engine() as settings:
            try:
                report = audit(settings, skill, str(at.date()), params["sample"] or settings.audit_sample, at, "quality_audit", say=print)
            except RunLocked as error:
                raise AirflowSkipException(str(error)) from error
        print(report)
        return report.state

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def recalibrate(dag_run) -> str:
        from skillyard.running.training import recalibrate_champion

        with engine() as settings:
            report = recalibrate_champion(settings, dag_run.run_after)
        print(report.text)
        return report.champion

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def measure(dag_run) -> int:
        from skillyard.costs.quality import quality_daily

        with engine() as settings:
            rows = quality_daily(settings, dag_run.run_after.date())
        for row in rows:
            print(row)
        return len(rows)

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def flag(dag_run) -> int:
        from skillyard.costs.flags import flag_day

        with engine() as settings:
            flags = flag_day(settings, dag_run.run_after.date())
        for found in flags:
            print(f"{found.flag}, {found.skill}: {found.message}")
        return len(flags)

    @task(trigger_rule=TriggerRule.NONE_FAILED)
    def finish() -> None:
        """Red when anything before it is: the tasks after the audits run all the same."""

    skills = list_skills()
    audited, recalibrated, measured, flagged = audit.expand(skill=skills), recalibrate(), measure(), flag()
    wait(skills, submit(skills)) >> audited >> recalibrated >> measured >> flagged
    [audited, recalibrated, measured, flagged] >> finish()


quality_audit()
