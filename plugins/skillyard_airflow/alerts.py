"""Alerts on their way to people: the log always, and the notifiers of Airflow's own providers that ``SKILLYARD_ALERTS`` names.

    SKILLYARD_ALERTS=smtp:smtp_default:finance@example.com;ops@example.com,slack:slack_default,webhook:alerts_hook

Each has an Airflow connection, which alone holds addresses and secrets. A channel that fails never stops the others; it is told by its name
and the kind of its error, never by the error's own text, which may hold the URL it failed at. What reached one channel is not sent again.
"""

import html
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from skillyard.costs.anomalies.alert_text import Message
from skillyard.errors import ConfigError
from skillyard.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT_S = 20
ALLOWED = "Allowed, separated by commas: log, smtp:CONNECTION:ADDRESS;ADDRESS, slack:CONNECTION, webhook:CONNECTION."


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to people."""

    kind: str
    connection: str
    """Its Airflow connection."""
    to: tuple[str, ...] = ()
    """Addresses, of smtp alone."""

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.connection}"


def read_channels(env: Mapping[str, str]) -> tuple[Channel, ...]:
    """Return what ``SKILLYARD_ALERTS`` names beside the log; ConfigError says which part is wrong and what is allowed."""
    parts = [part.strip() for part in env.get("SKILLYARD_ALERTS", "").split(",") if part.strip()]
    return tuple(_channel(part) for part in parts if part != "log")


def tell(settings: Settings, channels: Sequence[Channel], day: date) -> int:
    """Send what is to be told, and return how many anomalies that were.

    Marked as told once a channel took it, or without channels once it is in the log. None took it: the error is left to the task's retries,
    and the next night sends it too. Some failed: the task fails without another try, since the others have it.
    """
    from skillyard.running.nightly import due_message, mark_told

    message = due_message(settings, day)
    if message is None:
        log.info("nothing new to tell")
        return 0
    log.warning("%s\n\n%s", message.subject, message.text)
    failed = send(message, channels)
    if len(failed) < len(channels) or not channels:
        mark_told(settings, message, datetime.now(UTC))
    if failed:
        problem = f"not told by {', '.join(f'{name} ({why})' for name, why in failed.items())}: look at these Airflow connections."
        raise (AirflowFailException if len(failed) < len(channels) else AirflowException)(problem)
    return len(message.anomalies)


def send(message: Message, channels: Sequence[Channel]) -> dict[str, str]:
    """Send a message to every channel; return the kind of error of each that failed, by its name."""
    failed = {}
    for channel in channels:
        try:
            SENDERS[channel.kind](message, channel)
        except Exception as error:
            failed[channel.name] = _why(error)
            log.error("%s failed: %s", channel.name, failed[channel.name])
        else:
            log.info("told by %s", channel.name)
    return failed


def _channel(text: str) -> Channel:
    kind, _, rest = text.partition(":")
    connection, _, addresses = rest.partition(":")
    to = tuple(address.strip() for address in addresses.split(";") if address.strip())
    if kind not in SENDERS or not connection or bool(to) != (kind == "smtp"):
        raise ConfigError(f"SKILLYARD_ALERTS has {text!r}. {ALLOWED}")
    return Channel(kind, connection, to)


def _by_smtp(message: Message, channel: Channel) -> None:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    body = f"<pre style='white-space: pre-wrap'>{html.escape(message.text)}</pre>"
    SmtpNotifier(to=list(channel.to), subject=message.subject, html_content=body, smtp_conn_id=channel.connection).notify({})


def _by_slack(message: Message, channel: Channel) -> None:
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    text = html.escape(f"*{message.subject}*\n\n{message.text}", quote=False)
    notifier: Any = SlackWebhookNotifier(slack_webhook_conn_id=channel.connection, text=text, timeout=TIMEOUT_S, unfurl_links=False)
    notifier.notify({})


def _by_webhook(message: Message, channel: Channel) -> None:
    from airflow.providers.http.notifications.http import HttpNotifier
    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection(channel.connection)
    # The secret part of an address stands where Airflow masks it in every log: as for Slack, in the password.
    endpoint = connection.password if not connection.login else None
    body = {"subject": message.subject, "text": message.text, "anomalies": [dict(anomaly) for anomaly in message.anomalies]}
    options = {"timeout": TIMEOUT_S}
    HttpNotifier(http_conn_id=channel.connection, endpoint=endpoint, json=body, extra_options=options).notify({})


SENDERS: dict[str, Callable[[Message, Channel], None]] = {"smtp": _by_smtp, "slack": _by_slack, "webhook": _by_webhook}


def _why(error: Exception) -> str:
    """Return the kind of an error and its status code, if it has one, and nothing else of its text."""
    found = re.match(r"(\d{3}):|.*Status Code: (\d{3})", str(error), re.DOTALL)
    code = getattr(error, "smtp_code", None) or (found and (found[1] or found[2]))
    return f"{type(error).__name__}{f' {code}' if code else ''}"
