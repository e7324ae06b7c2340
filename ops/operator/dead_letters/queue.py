"""Dead letters in an SQS queue: documents that point at a stream's records, and records parked by consumers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from handlers.cdc.failure_document import Failure, NotAFailureDocument, read
from ops.operator.dead_letters.letters import DeadLetter, Receipt

#: Seconds for which a message is hidden from others while a command works on it.
HIDDEN_SECONDS = 300


class QueueLetters:
    """The dead letters of a queue, oldest first as far as SQS returns them so.

    To read a queue is to receive its messages, which hides them from others: `close` makes those visible again that
    are still there. A message of a FIFO queue hides the rest of its group, so a list shows a group's first messages.

    Args:
        sqs: A boto3 client of SQS.
        url: The queue's URL.
        stream_retention: Seconds for which the stream keeps the records that documents point at.
        source: ARN of the reader's source, which a message that is no document came from.
        condition: Why such messages are here; empty if the queue holds documents alone.
        is_foreign: Returns whether a document's function or pipe is another reader's, which then is none of this one's.

    Attributes:
        unreadable: Ids of messages that are not failure documents, or came from another reader's queue.
    """

    def __init__(
        self,
        sqs: Any,
        url: str,
        *,
        stream_retention: int,
        source: str,
        condition: str = "",
        is_foreign: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._sqs = sqs
        self._url = url
        self._stream_retention = stream_retention
        self._source = source
        self._condition = condition
        self._is_foreign = is_foreign
        self._held: dict[str, str] = {}
        self.unreadable: list[str] = []

    def waiting(self) -> tuple[int, float | None, float | None]:
        """Count the dead letters that wait; their ages are not known without receiving them."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names), None, None

    def letters(self, *, settled: bool = False) -> Iterator[DeadLetter]:  # noqa: ARG002 - settled ones are deleted
        """Yield the dead letters; each stays hidden until it is settled or the store is closed."""
        kept = self._retention()
        while True:
            messages = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=HIDDEN_SECONDS,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            if not messages:
                return
            letters: list[DeadLetter] = []
            for message in messages:
                self._held[message["MessageId"]] = message["ReceiptHandle"]
                if letter := self._letter(message, kept):
                    letters.append(letter)
            yield from sorted(letters, key=lambda letter: letter.order)

    def settle(self, letter: DeadLetter, receipt: Receipt) -> None:
        """Delete the message of a settled dead letter; one that still waits stays hidden until `close`."""
        if receipt.settled:
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=letter.handle)
            self._held.pop(letter.id, None)

    def close(self) -> None:
        """Make the messages visible again that are still there."""
        held, self._held = list(self._held.values()), {}
        for start in range(0, len(held), 10):
            self._sqs.change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                    for index, handle in enumerate(held[start : start + 10])
                ],
            )

    def _letter(self, message: dict[str, Any], kept: int) -> DeadLetter | None:
        sent = int(message["Attributes"]["SentTimestamp"]) / 1000
        try:
            if self._condition:
                self._check_source(message)
                failure, document = self._message(message), _content(message["Body"])
            else:
                document = json.loads(message["Body"])
                failure = read(document)
        except (NotAFailureDocument, ValueError):
            self.unreadable.append(message["MessageId"])
            return None
        if not self._condition and self._is_foreign(failure.name):
            return None
        return DeadLetter(
            id=message["MessageId"],
            location=self._url,
            at=sent,
            deadline=_deadline(failure, sent + kept, self._stream_retention),
            failure=failure,
            document=document,
            handle=message["ReceiptHandle"],
        )

    def _check_source(self, message: dict[str, Any]) -> None:
        """Reject a message that SQS moved here from another queue: several may share their dead-letter queue."""
        if message["Attributes"].get("DeadLetterQueueSourceArn", self._source) != self._source:
            raise NotAFailureDocument(message["MessageId"])

    def _message(self, message: dict[str, Any]) -> Failure:
        """Describe a message that SQS or a topic gave up: its record is the message itself."""
        record = {
            "messageId": message["MessageId"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "MessageAttributes": message.get("MessageAttributes", {}),  # as SQS takes them back
            "eventSource": "aws:sqs",
            "eventSourceARN": self._source,
        }
        return Failure("consumer", self._url.rpartition("/")[2], self._condition, None, {"Records": [record]}, None)

    def _retention(self) -> int:
        names = ["MessageRetentionPeriod"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        return int(attributes["MessageRetentionPeriod"])


def _content(body: str) -> dict[str, Any]:
    """Return the content of a message as a JSON object: a change is one, and any other is named `body`."""
    try:
        content = json.loads(body)
    except ValueError:
        content = body
    return content if isinstance(content, dict) else {"body": content}


def _deadline(failure: Failure, expires: float, stream_retention: int) -> float:
    """Return when the records can no longer be had: a pointer is worthless once the stream has forgotten them."""
    if failure.event is not None or failure.batch is None:
        return expires
    return min(expires, (failure.batch.first_arrived or time.time()) + stream_retention)
