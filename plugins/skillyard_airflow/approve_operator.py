"""ApproveOperator: a run that may cost more than its team's threshold waits for a person, holding no slot meanwhile."""

from collections.abc import Collection
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context

from skillyard.running.limits import APPROVAL_WAIT
from skillyard_airflow.errors import engine


class ApproveOperator(ApprovalOperator):
    """Return at once when the plan needs no approval; else ask with its quote as the text.

    A refusal, or nobody's answer in time, skips the route and the lanes and frees the run's lease. Nothing was asked by then.

    :param run_key: the planned run's folder on the lake (templated).
    """

    template_fields: Collection[str] = (*ApprovalOperator.template_fields, "run_key")
    ui_color = "#fce5cd"

    def __init__(self, *, run_key: Any, **kwargs: Any) -> None:
        super().__init__(subject="May this run spend money?", defaults=self.REJECT, response_timeout=APPROVAL_WAIT, **kwargs)
        self.run_key = run_key

    def execute(self, context: Context) -> str:
        """Ask when the plan says so."""
        from skillyard.lake.lake import Lake
        from skillyard.running.plan import hold_plan
        from skillyard.running.runs import RunPlan

        with engine() as settings:
            plan = RunPlan.load(Lake(settings.lake), self.run_key)
            if plan.quote.approval is None:
                return "not needed"
            hold_plan(settings, plan)
        self.body = f"{plan.message}\n\n{plan.quote.text}\n\nReject ends the run before any call is made."
        super().execute(context)
        return "asked"

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Go on, or give the run up."""
        from skillyard.lake.lake import Lake
        from skillyard.running.plan import approve_plan, decline_plan
        from skillyard.running.runs import RunPlan

        who = (event.get("responded_by_user") or {}).get("name") or f"nobody, within {APPROVAL_WAIT.total_seconds() / 3600:.0f} hours"
        is_approved = event.get("chosen_options") == [self.APPROVE]
        with engine() as settings:
            plan = RunPlan.load(Lake(settings.lake), self.run_key)
            if is_approved:
                approve_plan(settings, plan)
            else:
                decline_plan(settings, plan, who)
        super().execute_complete(context, event)
        return f"{'approved' if is_approved else 'declined'} by {who}"
