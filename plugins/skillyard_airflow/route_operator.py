"""RouteOperator: decide a tier for every planned item, as one task between ``plan`` and the lanes."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from skillyard_airflow.errors import engine


class RouteOperator(BaseOperator):
    """Route a planned run by ``skillyard.routing`` and hand on how many shards each lane has.

    :param run_key: the planned run's folder on the lake (templated).
    """

    template_fields: Sequence[str] = ("run_key",)
    ui_color = "#d9ead3"

    def __init__(self, *, run_key: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_key = run_key

    def execute(self, context: Context) -> dict[str, int]:
        """Write the lanes' shard manifests; return lane → number of shards."""
        from skillyard.running.route import route_run

        with engine() as settings:
            shards = route_run(settings, self.run_key, self.log.info)
        self.log.info("Routed %s: %s", self.run_key, ", ".join(f"{lane} {n}" for lane, n in shards.items()))
        return shards
