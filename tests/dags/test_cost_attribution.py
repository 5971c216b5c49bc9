"""A night of money under a real scheduler: made, watched, told by a real webhook, written as a page, and red where a day was refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.tables import LLM_CALLS
from skillyard.local.setup import Wanted
from skillyard.settings import Settings
from tests.costs.ledger import call, ledger
from tests.local.server import Server
from tests.plugins.post import hook_server
from tests.simulator import Simulator

STEPS = ("attribute", "watch", "alert", "report", "finish")


@pytest.mark.timeout(400)
def test_a_night_of_money(airflow_server: Callable[..., Server], settings: Settings, simulator: Simulator) -> None:
    lake, day = Lake(settings.lake), datetime.now(UTC).date() - timedelta(days=1)
    rows = [call(day=day), call(day=day, tier="expert")]
    append(lake, LLM_CALLS, ledger(rows), "a")
    append(lake, LLM_CALLS, ledger(rows[:1]), "b")
    with hook_server() as hook:
        connection = {"conn_type": "http", "host": "127.0.0.1", "port": hook.port, "password": "/t0ken"}
        variables = {"SKILLYARD_ALERTS": "webhook:own_hook", "AIRFLOW_CONN_OWN_HOOK": json.dumps(connection)}
        server = airflow_server(settings, target=Wanted({"default_pool": 4}, ("cost_attribution",)), **variables)
        run = server.run("cost_attribution")
        assert run.state == "success", server.explain(run)
        assert {name: server.states(run)[name] for name in STEPS} == dict.fromkeys(STEPS, "success")
        assert read(lake, "cost_daily").num_rows == 2 and read(lake, "budget_daily").num_rows > 0
        ((path, _, body),) = hook.posts
        assert path == "/t0ken" and [a["kind"] for a in body["anomalies"]] == ["duplicate_rows"]
        assert server.client.xcom(run, "report").startswith(f"{settings.lake}/_reports/cost-")

        (lost,) = [found for found in lake.storage.list("llm_calls/") if found.key.endswith("part-a.parquet")]
        lake.storage.delete(lost.key)
        again = server.run("cost_attribution")
        states = server.states(again)
        assert again.state == "failed" and (states["attribute"], states["finish"]) == ("failed", "upstream_failed")
        assert {states[name] for name in ("watch", "alert", "report")} == {"success"}
        assert [a["kind"] for a in hook.posts[1][2]["anomalies"]] == ["lost_rows"]

        accepted = server.run("cost_attribution", {"first": str(day), "accept_loss": True})
        assert accepted.state == "success", server.explain(accepted)
        assert read(lake, "cost_daily").num_rows == 1 and len(hook.posts) == 2
