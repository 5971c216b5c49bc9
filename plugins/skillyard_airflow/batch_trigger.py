"""BatchTrigger: look at a provider's batch until it is over. It downloads nothing and knows no secret."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from skillyard.settings import Settings


class BatchTrigger(BaseTrigger):
    """Fires once, when the batch is over or its time is up.

    Its arguments are names; the deployment's address and key come from the profile and the environment of the triggerer.
    """

    def __init__(self, profile: str, tier: str, deployment: str, provider_batch_id: str, until: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.profile, self.tier, self.deployment, self.provider_batch_id, self.until = profile, tier, deployment, provider_batch_id, until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class and arguments."""
        names = ("profile", "tier", "deployment", "provider_batch_id", "until")
        return "skillyard_airflow.batch_trigger.BatchTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the batch's status."""
        waiting = await asyncio.to_thread(self._prepare)
        yield TriggerEvent({"status": await waiting})  # type: ignore[no-untyped-call]

    def _prepare(self) -> Coroutine[Any, Any, str]:
        """Return the wait, still to be awaited: what it imports takes seconds and may not hold up the other triggers."""
        from skillyard.gateway.batch import deployment_of, wait_for_batch
        from skillyard.profiles import load_profile

        profile = load_profile(self.profile, Settings.from_env().include)
        profile.check_keys([self.tier])
        deployment = deployment_of(profile, self.tier, self.deployment)
        return wait_for_batch(deployment, self.provider_batch_id, datetime.fromisoformat(self.until), self.log.info)
