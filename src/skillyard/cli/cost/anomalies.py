"""What is wrong with the bill, and who knows of it."""

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from skillyard.cli.cost.group import app
from skillyard.cli.options import AsJson, FirstDay, LastDay, days_of
from skillyard.cli.output import print_rows, print_value, say
from skillyard.settings import Settings

_COLUMNS = ("usage_date", "severity", "anomaly_id", "state", "message")


@app.command("anomalies")
def show_anomalies(
    first: FirstDay = None,
    last: LastDay = None,
    is_open: Annotated[bool, typer.Option("--open", help="Only those that nobody has acknowledged.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find what is wrong with the last day's money, and print the anomalies of all these days: what was found, and what to do.

    Looks at the nightly tables: attribute first, or let the DAG cost_attribution do both. docs/operations.md says what the words mean.
    """
    from skillyard.costs.anomalies.find import publish_anomalies, read_anomalies
    from skillyard.costs.budgets.rows import publish_budgets
    from skillyard.running.nightly import statuses

    settings, days = Settings.from_env(), days_of(first, last)
    publish_budgets(settings, [days[1]], datetime.now(UTC).date())
    publish_anomalies(settings, days[1])
    rows = read_anomalies(settings, *days)
    known = statuses(settings, {row["anomaly_id"] for row in rows})
    rows = [row | {"state": _state(known.get(row["anomaly_id"])), **_noted(known.get(row["anomaly_id"]))} for row in rows]
    if is_open:
        rows = [row for row in rows if row["acknowledged_at"] is None]
    if not rows and not as_json:
        say(f"nothing {'open' if is_open else 'is wrong'} from {days[0]} to {days[1]}")
        return
    print_rows(rows if as_json else [{name: row[name] for name in _COLUMNS} for row in rows], as_json, {"message": 500})
    if not as_json and any(row["acknowledged_at"] is None for row in rows):
        say("known, or meant? skillyard cost acknowledge ID --note WHY")


@app.command("acknowledge")
def acknowledge_anomaly(
    anomaly_id: Annotated[str, typer.Argument(help="An id, see: skillyard cost anomalies --open", show_default=False)],
    note: Annotated[str | None, typer.Option(help="Why it is no worry, or what is done about it.")] = None,
    who: Annotated[str | None, typer.Option("--by", help="Who takes note; by default the user of this computer.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take note of an anomaly: it is not told again unless it gets worse, or comes back after a week without it."""
    from skillyard.running.nightly import acknowledge

    status = acknowledge(Settings.from_env(), anomaly_id, who or getpass.getuser(), note, datetime.now(UTC))
    print_value({"anomaly_id": anomaly_id, "acknowledged_by": status.acknowledged_by, "note": status.note}, as_json)


def _state(status: object | None) -> str:
    sent, done = getattr(status, "sent_at", None), getattr(status, "acknowledged_by", None)
    return f"known to {done}" if done else f"told {sent:%Y-%m-%d}" if sent else "new"


def _noted(status: object | None) -> dict[str, object]:
    return {name: getattr(status, name, None) for name in ("sent_at", "acknowledged_at", "acknowledged_by", "note")}
