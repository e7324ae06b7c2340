"""Old changes that come again, as from an archive or a late redrive: each in a message of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from ops.demo.evidence import Observer
from ops.demo.receivers.receiver import Change, Deployed, user_of


def repeat(deployed: Deployed, consumer: str, changes: Sequence[Change]) -> None:
    """Send changes, in their order, to the queue that a consumer reads.

    Args:
        deployed: The stack.
        consumer: The consumer's name.
        changes: Records of the stream whose changes it gets.
    """
    observer, sqs = Observer(deployed), deployed.endpoint.client("sqs")
    url = sqs.get_queue_url(QueueName=observer.queue(consumer).rpartition(":")[2])["QueueUrl"]
    stream = observer.stream(consumer)
    for change in changes:
        sqs.send_message(
            QueueUrl=url,
            # Lambda adds the stream's ARN to what GetRecords returns.
            MessageBody=json.dumps({**change, "eventSourceARN": stream}, default=_plain),
            MessageGroupId=user_of(change),
            # SQS swallows an id that it has seen within five minutes.
            MessageDeduplicationId=f"{change['eventID']}#again",
        )


def _plain(value: Any) -> Any:
    """Return a value of boto3's as Lambda's records have it."""
    match value:
        case datetime():
            return value.timestamp()
        case Decimal():
            return int(value)
        case _:
            raise TypeError(f"{type(value).__name__} is in no record")
