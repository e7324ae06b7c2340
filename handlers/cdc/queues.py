"""A consumer's calls to the queue that it reads: hide messages for a while, and delete those that are done.

They need `QUEUE_ATTEMPTS` in the environment of the function that reads the queue, and the permissions of
docs/guides/batches.md.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from handlers.cdc.bounded_client import BoundedClient

logger = logging.getLogger("handlers.cdc")

Message = Mapping[str, Any]

#: How often a message is tried before it is parked; also switches the back-off on.
ATTEMPTS_VARIABLE = "QUEUE_ATTEMPTS"
#: Seconds that a failed message waits at most (SQS allows 12 hours). The first pause is 2 s.
LONGEST_PAUSE: Final = 900
#: Entries of one ChangeMessageVisibilityBatch or DeleteMessageBatch.
_MESSAGES_PER_CALL: Final = 10


@functools.cache
def queue_url(arn: str) -> str:
    """Return the URL of a queue, asked for once per process."""
    _, _, _, _, account, name = arn.split(":")
    return BoundedClient("sqs").get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]


def attempts() -> int | None:
    """Return how often a message is tried; `None` where the queue's own redrive policy decides.

    Raises:
        ValueError: `QUEUE_ATTEMPTS` is not a whole number of at least 1.
    """
    text = os.environ.get(ATTEMPTS_VARIABLE)
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{ATTEMPTS_VARIABLE}={text!r} must be a whole number of attempts, at least 1")
    return int(text)


def make_clients_early() -> None:
    """Make the clients of a queue's consumer in Lambda's init phase, where there is time to import boto3.

    They are needed at the first failure only. But an invocation that imports boto3 then may run out of time.
    """
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ and ATTEMPTS_VARIABLE in os.environ:
        for service in ("sqs", "s3"):
            BoundedClient(service)


def receive_count(message: Message) -> int:
    """Return how often SQS has handed the message out."""
    return int(message["attributes"]["ApproximateReceiveCount"])


def sent_seconds_ago(message: Message) -> float:
    """Return the age of a message in its queue, in seconds."""
    return time.time() - int(message["attributes"].get("SentTimestamp", 0)) / 1000


def pause(attempt: int) -> int:
    """Return the seconds for which a message stays hidden after an attempt that failed: doubling, from 2 on."""
    return min(2 ** min(attempt, 10), LONGEST_PAUSE)


def hide(pauses: Sequence[tuple[Message, int]]) -> None:
    """Hide messages of one queue, each for its number of seconds; 0 shows it at once.

    A FIFO queue hands out nothing of a group while one message of it is hidden, so messages that were received behind a
    failing one must not stay hidden for longer than it
    (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/interleaving-multiple-ordered-message-groups.html).

    A pause that cannot be set is logged: the queue's visibility timeout holds then, later than wanted, and nothing is
    lost.
    """
    _in_batches(
        pauses,
        lambda number, given: {
            "Id": str(number),
            "ReceiptHandle": given[0]["receiptHandle"],
            "VisibilityTimeout": given[1],
        },
        url_of=lambda given: queue_url(given[0]["eventSourceARN"]),
        call=lambda **request: BoundedClient("sqs").change_message_visibility_batch(**request),
        what="the pause of failed messages could not be set",
    )


def delete(messages: Sequence[Message]) -> None:
    """Delete messages that are done, before Lambda does it on the function's answer.

    One that cannot be deleted is logged: Lambda deletes it later, unless the function ends before it answers.
    """
    _in_batches(
        messages,
        lambda number, message: {"Id": str(number), "ReceiptHandle": message["receiptHandle"]},
        url_of=lambda message: queue_url(message["eventSourceARN"]),
        call=lambda **request: BoundedClient("sqs").delete_message_batch(**request),
        what="finished messages could not be deleted yet",
    )


def _in_batches(
    given: Sequence[Any],
    entry: Callable[[int, Any], dict[str, Any]],
    *,
    url_of: Callable[[Any], str],
    call: Callable[..., Any],
    what: str,
) -> None:
    for start in range(0, len(given), _MESSAGES_PER_CALL):
        chunk = given[start : start + _MESSAGES_PER_CALL]
        try:
            entries = [entry(number, each) for number, each in enumerate(chunk)]
            answer = call(QueueUrl=url_of(chunk[0]), Entries=entries)
        except Exception:
            logger.warning(what, exc_info=True)
        else:
            for refused in answer.get("Failed", ()):
                logger.warning("%s: %s", what, refused["Code"])


@functools.cache
def warn_of_redrive() -> None:
    """Log, once per process, the fate of messages behind a failing one where no attempts are counted."""
    logger.warning(
        "%s is not set: messages behind a failing one are received with it, and the queue's redrive policy will move "
        "them to the dead-letter queue untried; set it in the function's environment, and maxReceiveCount to 1000",
        ATTEMPTS_VARIABLE,
    )
