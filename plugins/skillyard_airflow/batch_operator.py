"""BatchOperator: work through one shard of the batch lane without holding a slot while the provider is at it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context

from skillyard_airflow.batch_trigger import BatchTrigger
from skillyard_airflow.errors import engine
from skillyard_airflow.skill_steps import counts

GRACE = timedelta(minutes=15)
"""A triggerer that has not reported so long after it should have is taken for dead: the task is tried again and re-attaches."""


class BatchOperator(BaseOperator):
    """Hand a shard to a provider as one batch, or re-attach to the one it was handed as; defer; collect and finish it.

    What a batch is called does not depend on the try: a task that is retried, cleared or killed finds what it paid for.

    :param shard_key: the shard's manifest on the lake (templated).
    """

    template_fields: Sequence[str] = ("shard_key",)
    ui_color = "#d9ead3"

    def __init__(self, *, shard_key: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shard_key = shard_key

    def execute(self, context: Context) -> dict[str, int]:
        """Submit and defer; a shard of which no batch is at work is finished at once."""
        from skillyard.running.batch import hold_run, submit_shard

        with engine() as settings:
            waiting = submit_shard(settings, self.shard_key, print)
            if waiting is None:
                return self.resume(context)
            hold_run(settings, self.shard_key, waiting.until)
            trigger = BatchTrigger(settings.profile, waiting.tier, waiting.deployment, waiting.provider_batch_id, waiting.until.isoformat())
        self.defer(trigger=trigger, method_name="resume", timeout=waiting.until - datetime.now(UTC) + GRACE)
        return {}

    def resume(self, context: Context, event: dict[str, str] | None = None) -> dict[str, int]:
        """Take in what the batch answered and answer the rest live."""
        from skillyard.running.batch import finish_shard

        if event is not None:
            print(f"the batch is {event['status']}")
        with engine() as settings:
            report = finish_shard(settings, self.shard_key, print)
        print(report)
        return counts(report)
