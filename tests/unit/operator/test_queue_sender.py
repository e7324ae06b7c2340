"""Records that are sent to a queue again: messages as they were, and changes that were in none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handlers.cdc.message_groups import MESSAGE_BYTES, group_of
from ops.operator.sending import QueueSender
from ops.operator.stack import Stack

KEYS = {"userId": {"S": "ada"}}
QUEUE = "arn:aws:sqs:us-east-1:111122223333:mails.fifo"


class Queue:
    """A client of SQS with one queue."""

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []

    def get_queue_url(self, **_: str) -> Any:
        return {"QueueUrl": "url"}

    def send_message(self, **message: str) -> None:
        self.sent.append(message)


def change(number: int, user: str = "ada", *, size: int = 0) -> dict[str, Any]:
    keys = {"userId": {"S": user}}
    image = {**keys, "text": {"S": "x" * size}}
    inner = {"Keys": keys, "NewImage": image, "SequenceNumber": str(number)}
    return {"eventID": f"e{number}", "eventName": "MODIFY", "eventSource": "aws:dynamodb", "dynamodb": inner}


def message(body: dict[str, Any], former: str) -> dict[str, Any]:
    attributes = {"MessageGroupId": "group", "MessageDeduplicationId": former}
    return {"messageId": "m", "body": json.dumps(body), "attributes": attributes, "eventSource": "aws:sqs"}


def sender(monkeypatch: pytest.MonkeyPatch, queue: Queue) -> QueueSender:
    monkeypatch.setattr(Stack, "client", lambda *_: queue)
    return QueueSender(Stack("prod", {}), QUEUE, lambda: None)


def test_a_message_goes_back_as_it_was_under_the_next_number(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue()
    record = message(change(1), "e1#redrive-1")
    assert sender(monkeypatch, queue).send([record]) == (["m"], "")
    expected = {"MessageGroupId": "group", "MessageDeduplicationId": "e1#redrive-2"}
    assert queue.sent == [{"QueueUrl": "url", "MessageBody": record["body"], **expected}]


def test_a_change_that_was_in_no_message_becomes_the_forwarders(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue()
    assert sender(monkeypatch, queue).send([change(1)]) == (["e1"], "")
    (sent,) = queue.sent
    assert json.loads(sent["MessageBody"]) == change(1)
    assert (sent["MessageGroupId"], sent["MessageDeduplicationId"]) == (group_of(KEYS), "e1#redrive-1")


def test_a_change_that_no_message_holds_stays_and_newer_ones_of_its_item_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue()
    records = [change(1, size=MESSAGE_BYTES), change(2), change(3, "bob")]
    done, note = sender(monkeypatch, queue).send(records)
    assert done == ["e3"]
    assert note.startswith("a change is larger than a message")
