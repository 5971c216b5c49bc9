"""What wakes ingestion up: an upstream Asset, a message in an SQS queue."""

import asyncio
import json
from typing import Any

import boto3
import pytest
from airflow.sdk import Asset, AssetAny

from skillyard.errors import ConfigError
from skillyard_airflow.events import inbox_schedule
from skillyard_airflow.queue_trigger import QueueTrigger
from tests.s3_server import S3Server

QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/inbox"


def test_nothing_but_a_person_starts_ingestion_unless_it_is_asked_for() -> None:
    assert inbox_schedule({}) is None
    assert inbox_schedule({"SKILLYARD_INBOX_ASSET": "", "SKILLYARD_INBOX_QUEUE": ""}) is None


def test_an_upstream_asset_is_named_or_given_by_its_uri() -> None:
    assert inbox_schedule({"SKILLYARD_INBOX_ASSET": "crawled"}) == Asset("crawled")
    assert inbox_schedule({"SKILLYARD_INBOX_ASSET": "s3://bucket/mail"}).uri == "s3://bucket/mail"


def test_a_queue_is_watched_beside_the_asset() -> None:
    both = inbox_schedule({"SKILLYARD_INBOX_ASSET": "crawled", "SKILLYARD_INBOX_QUEUE": QUEUE})
    assert isinstance(both, AssetAny)
    watched = inbox_schedule({"SKILLYARD_INBOX_QUEUE": QUEUE})
    (watcher,) = watched.watchers
    assert watcher.trigger.serialize()[1]["queue_url"] == QUEUE
    with pytest.raises(ConfigError, match="SKILLYARD_INBOX_QUEUE"):
        inbox_schedule({"SKILLYARD_INBOX_QUEUE": "inbox"})


def test_a_message_in_a_real_queue_makes_an_event_and_is_taken_away(s3_queue: tuple[Any, str]) -> None:
    client, queue = s3_queue
    created = {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "mail/a.txt"}}}]}
    for _ in range(12):
        client.send_message(QueueUrl=queue, MessageBody=json.dumps(created))

    async def two_events() -> list[Any]:
        events = QueueTrigger(queue, poll_s=0.1).run()
        first = await anext(events)
        client.send_message(QueueUrl=queue, MessageBody="not even JSON")
        return [first.payload, (await anext(events)).payload]

    assert asyncio.run(asyncio.wait_for(two_events(), 30)) == [{"n_messages": 12}, {"n_messages": 1}]
    left = client.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert left["ApproximateNumberOfMessages"] == "0" and left["ApproximateNumberOfMessagesNotVisible"] == "1"


@pytest.fixture
def s3_queue(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str]:
    """A queue at the test's endpoint, and the connection ``aws_default`` pointing there."""
    connection = {"conn_type": "aws", "login": s3_server.key, "password": s3_server.secret}
    extra = {"endpoint_url": s3_server.endpoint, "region_name": "us-east-1"}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection | {"extra": extra}))
    client = boto3.client(
        "sqs",
        endpoint_url=s3_server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=s3_server.key,
        aws_secret_access_key=s3_server.secret,
    )
    return client, client.create_queue(QueueName="inbox")["QueueUrl"]
