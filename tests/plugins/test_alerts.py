"""Alerts reach real servers through Airflow's own notifiers; one that fails stops no other, and no secret is told."""

import email
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.message import Message as Mail

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from skillyard.costs.anomalies.find import find_ledger
from skillyard.costs.ledger.oddities import Finding
from skillyard.errors import ConfigError
from skillyard.lake.cost_tables import ANOMALIES
from skillyard.lake.lake import Lake
from skillyard.lake.publish import replace_partition
from skillyard.lake.results import to_results
from skillyard.running.nightly import acknowledge, due_message, statuses
from skillyard.settings import Settings
from skillyard_airflow.alerts import Channel, read_channels, tell
from tests.plugins.post import Hook, MailServer, hook_server, mail_server

TODAY = date(2026, 11, 21)
SECRET = "s3cr3t-t0ken"
MAIL, SLACK, WEBHOOK = (
    Channel("smtp", "own_mail", ("a@example.com", "b@example.com")),
    Channel("slack", "own_slack"),
    Channel("webhook", "own_hook"),
)
ALL = (MAIL, SLACK, WEBHOOK)


@dataclass(slots=True)
class Servers:
    mail: MailServer
    hook: Hook


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    """A mail server and a webhook, and the three Airflow connections to them."""
    with mail_server() as mail, hook_server() as hook:
        extra = {"from_email": "skillyard@example.com", "disable_ssl": True, "disable_tls": True, "timeout": 5, "retry_limit": 0}
        connections = {
            "OWN_MAIL": {"conn_type": "smtp", "host": "127.0.0.1", "port": mail.port, "login": "u", "password": SECRET, "extra": extra},
            "OWN_SLACK": {"conn_type": "slackwebhook", "host": f"http://127.0.0.1:{hook.port}/services", "password": f"T1/B2/{SECRET}"},
            "OWN_HOOK": {"conn_type": "http", "host": "127.0.0.1", "port": hook.port, "password": f"/hooks/{SECRET}"},
        }
        for name, connection in connections.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))
        yield Servers(mail, hook)


@pytest.fixture
def found(settings: Settings) -> Settings:
    """Two anomalies of yesterday's ledger."""
    findings = [Finding("negative", "1 call <is> negative & wrong"), Finding("clock", "2 calls were settled before they were sent")]
    day = TODAY - timedelta(days=1)
    rows = [anomaly.as_row() for anomaly in find_ledger(findings, day)]
    replace_partition(Lake(settings.lake), ANOMALIES, day, to_results(ANOMALIES, rows))
    return settings


def ids(settings: Settings) -> list[str]:
    message = due_message(settings, TODAY)
    assert message is not None
    return message.alert_ids


def text_of(mail: Mail) -> str:
    return "".join(part.get_payload(decode=True).decode() for part in mail.walk() if not part.is_multipart())


def test_a_night_is_one_message_to_every_channel_the_gravest_first(found: Settings, servers: Servers) -> None:
    negative, clock = ids(found)
    assert tell(found, ALL, TODAY) == 2
    ((recipients, content),) = servers.mail.mails
    mail = email.message_from_string(content)
    assert recipients == ["a@example.com", "b@example.com"] and mail["From"] == "skillyard@example.com"
    assert str(email.header.make_header(email.header.decode_header(mail["Subject"]))) == "Skillyard: 2 new anomalies, 1 grave, 2026-11-21"
    assert text_of(mail).index(negative) < text_of(mail).index(clock) and "&lt;is&gt; negative &amp;" in text_of(mail)
    (slack, webhook) = servers.hook.posts
    assert slack[0] == f"/services/T1/B2/{SECRET}" and slack[2]["text"].startswith("*Skillyard: 2 new anomalies, 1 grave, 2026-11-21*")
    assert "&lt;is&gt; negative &amp; wrong" in slack[2]["text"] and "skillyard cost acknowledge ID" in slack[2]["text"]
    assert webhook[0] == f"/hooks/{SECRET}"
    assert [a["anomaly_id"] for a in webhook[2]["anomalies"]] == [negative, clock]
    assert webhook[2]["anomalies"][0] | {"usage_date": "2026-11-20", "kind": "negative", "severity": "alert"} == webhook[2]["anomalies"][0]


def test_what_was_told_is_not_told_again_and_what_is_acknowledged_never(found: Settings, servers: Servers) -> None:
    acknowledge(found, ids(found)[1], "team-lead", "known", datetime.now(UTC))
    assert tell(found, ALL, TODAY) == 1
    assert tell(found, ALL, TODAY) == 0
    assert len(servers.mail.mails) == 1 and len(servers.hook.posts) == 2


def test_one_channel_that_fails_stops_no_other_and_is_named_without_its_secret(
    found: Settings, servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "skillyard_airflow")
    servers.mail.is_refusing = True
    with pytest.raises(AirflowFailException, match=r"not told by smtp:own_mail \(SMTPRecipientsRefused\)") as raised:
        tell(found, ALL, TODAY)
    assert len(servers.hook.posts) == 2 and tell(found, ALL, TODAY) == 0, "the others have it"
    assert "told by slack:own_slack" in caplog.text and SECRET not in caplog.text + str(raised.value)


def test_a_night_that_no_channel_took_is_told_by_the_next_try(found: Settings, servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "skillyard_airflow")
    servers.hook.status = 503
    with pytest.raises(
        AirflowException, match=r"slack:own_slack \(AirflowException 503\), webhook:own_hook \(AirflowException 503\)"
    ) as raised:
        tell(found, (SLACK, WEBHOOK), TODAY)
    assert not isinstance(raised.value, AirflowFailException), "Airflow tries again"
    servers.hook.status = 200
    assert tell(found, (SLACK, WEBHOOK), TODAY) == 2
    assert SECRET not in caplog.text + str(raised.value)


def test_without_a_channel_the_log_is_where_it_is_told(found: Settings, caplog: pytest.LogCaptureFixture) -> None:
    names = ids(found)
    assert tell(found, (), TODAY) == 2 and tell(found, (), TODAY) == 0
    assert all(name in caplog.text for name in names)
    assert all(status.sent_at for status in statuses(found, names).values())


def test_a_connection_that_does_not_exist_is_a_channel_that_fails(found: Settings, servers: Servers) -> None:
    with pytest.raises(AirflowFailException, match="slack:nowhere"):
        tell(found, (Channel("slack", "nowhere"), WEBHOOK), TODAY)
    assert len(servers.hook.posts) == 1


def test_channels_are_read_from_the_variable() -> None:
    text = "log, smtp:own_mail:a@example.com;b@example.com,slack:own_slack,webhook:own_hook"
    assert read_channels({"SKILLYARD_ALERTS": text}) == ALL
    assert read_channels({}) == read_channels({"SKILLYARD_ALERTS": "log"}) == ()


@pytest.mark.parametrize("text", ["smtp:own_mail", "slack", "slack:own_slack:#money", "carrier-pigeon:coop", "log;slack:x"])
def test_a_channel_that_cannot_be_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigError, match=r"SKILLYARD_ALERTS has.*Allowed, separated by commas"):
        read_channels({"SKILLYARD_ALERTS": text})
