"""QueueTrigger: fire when messages arrive in an SQS queue. What they say is not looked at."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

POLL_S = 20
"""Between two looks at an empty queue: each costs a request."""
MAX_MESSAGES, N_RECEIVES = 10, 10
"""Messages in an answer, and answers in an event: a hundred uploads are one run, not a hundred."""


class QueueTrigger(BaseEventTrigger):
    """Fires whenever messages are there, and removes them once the event is handed on: one too many costs less than one too few.

    The provider's own trigger for ``MessageQueueTrigger`` needs aiobotocore, which does not go with the newest boto3; this one polls in a
    thread. Its arguments are names: credentials come from the connection, in the triggerer.
    """

    def __init__(self, queue_url: str, connection_id: str = "aws_default", poll_s: float = POLL_S) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.queue_url, self.connection_id, self.poll_s = queue_url, connection_id, poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class and arguments."""
        arguments = {"queue_url": self.queue_url, "connection_id": self.connection_id, "poll_s": self.poll_s}
        return "skillyard_airflow.queue_trigger.QueueTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for every hundred messages or fewer, without end."""
        client = await asyncio.to_thread(self._connect)
        while True:
            receipts = await asyncio.to_thread(self._receive, client)
            if receipts:
                yield TriggerEvent({"n_messages": len(receipts)})  # type: ignore[no-untyped-call]
                await asyncio.to_thread(self._remove, client, receipts)
            else:
                await asyncio.sleep(self.poll_s)

    def _connect(self) -> Any:
        from airflow.providers.amazon.aws.hooks.sqs import SqsHook

        return SqsHook(aws_conn_id=self.connection_id).get_conn()

    def _receive(self, client: Any) -> list[str]:
        """Return receipts of what is there now."""
        receipts: list[str] = []
        for _ in range(N_RECEIVES):
            answer = client.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=MAX_MESSAGES, WaitTimeSeconds=1)
            found = [message["ReceiptHandle"] for message in answer.get("Messages", ())]
            if not found:
                break
            receipts += found
        return receipts

    def _remove(self, client: Any, receipts: list[str]) -> None:
        for start in range(0, len(receipts), MAX_MESSAGES):
            entries = [{"Id": str(n), "ReceiptHandle": receipt} for n, receipt in enumerate(receipts[start : start + MAX_MESSAGES])]
            client.delete_message_batch(QueueUrl=self.queue_url, Entries=entries)
