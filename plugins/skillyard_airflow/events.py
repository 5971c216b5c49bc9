"""What wakes up ``ingest_documents`` beside people: an Asset that an upstream DAG updates, messages of a queue.

Either only says that it is time to look: what is new is found by looking, so a lost, doubled or forged message changes nothing.
"""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

from airflow.sdk import Asset, AssetWatcher

from skillyard.errors import ConfigError
from skillyard_airflow.queue_trigger import QueueTrigger


def inbox_schedule(env: Mapping[str, str]) -> Any:
    """Return the schedule that ``SKILLYARD_INBOX_ASSET`` and ``SKILLYARD_INBOX_QUEUE`` ask for, None when both are unset."""
    assets = []
    if name := env.get("SKILLYARD_INBOX_ASSET"):
        assets.append(Asset(uri=name) if "://" in name else Asset(name))
    if queue := env.get("SKILLYARD_INBOX_QUEUE"):
        assets.append(Asset("inbox_messages", watchers=[AssetWatcher(name="inbox_queue", trigger=QueueTrigger(_check_url(queue)))]))
    return reduce(or_, assets) if assets else None


def _check_url(queue: str) -> str:
    if not queue.startswith(("https://", "http://")):
        raise ConfigError(
            f"SKILLYARD_INBOX_QUEUE is {queue!r}: it has to be the URL of an SQS queue, https://sqs.<region>.amazonaws.com/…."
        )
    return queue
