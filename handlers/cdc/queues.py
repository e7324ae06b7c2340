"""What a consumer does to an SQS message beyond reporting it: back off, and know the last attempt.

Both are on where `QUEUE_ATTEMPTS` is set, in the environment of the function that reads the queue. A message that fails
becomes visible again after a pause that doubles, and not after the queue's fixed visibility timeout. In a FIFO queue
the messages behind a failing one are received with it again and again, and a redrive policy counts that: it would move
them to the dead-letter queue as well, though nobody has tried them. So the consumer parks the failing one itself and
goes on with its group, and `maxReceiveCount` is only a safety net.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from handlers.cdc.clients import client

logger = logging.getLogger("handlers.cdc")

#: How often a message is tried before it is parked; also switches the back-off on.
ATTEMPTS_VARIABLE = "QUEUE_ATTEMPTS"
#: Seconds a failed message waits at most (SQS allows 12 hours). The first pause is 2 s.
LONGEST_PAUSE: Final = 900
#: Entries of one ChangeMessageVisibilityBatch.
_MESSAGES_PER_CALL: Final = 10


@functools.cache
def queue_url(arn: str) -> str:
    """The URL of a queue, asked for once per process."""
    _, _, _, _, account, name = arn.split(":")
    return client("sqs").get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]


def attempts() -> int | None:
    """How often a message is tried; `None` where the queue's own redrive policy decides.

    Raises:
        ValueError: `QUEUE_ATTEMPTS` is not a whole number of at least 1.
    """
    text = os.environ.get(ATTEMPTS_VARIABLE)
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{ATTEMPTS_VARIABLE}={text!r} must be a whole number of attempts, at least 1")
    return int(text)


def receive_count(message: Mapping[str, Any]) -> int:
    """How often SQS has handed the message out."""
    return int(message["attributes"]["ApproximateReceiveCount"])


def is_last_attempt(message: Mapping[str, Any], limit: int) -> bool:
    """Whether a message that failed now is parked.

    Messages behind a failing one are received as often as it, so their counts say nothing of how often they were
    tried themselves. Every multiple of the limit is therefore somebody's last attempt: a follower has between one and
    `limit` attempts after the message before it is gone.
    """
    return receive_count(message) % limit == 0


def pause(message: Mapping[str, Any], limit: int) -> int:
    """Seconds for which a message that failed now stays hidden: doubling with each attempt."""
    return min(2 ** (receive_count(message) % limit), LONGEST_PAUSE)


def back_off(pauses: Sequence[tuple[Mapping[str, Any], int]]) -> None:
    """Hide messages of one queue, each for its number of seconds.

    A FIFO queue hands out nothing of a group while one message of it is hidden, so what was received behind a failing
    message must not stay hidden for longer than it
    (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/interleaving-multiple-ordered-message-groups.html).
    """
    for start in range(0, len(pauses), _MESSAGES_PER_CALL):
        chunk = pauses[start : start + _MESSAGES_PER_CALL]
        try:
            answer = client("sqs", attempts=1).change_message_visibility_batch(
                QueueUrl=queue_url(chunk[0][0]["eventSourceARN"]),
                Entries=[
                    {"Id": str(index), "ReceiptHandle": message["receiptHandle"], "VisibilityTimeout": seconds}
                    for index, (message, seconds) in enumerate(chunk)
                ],
            )
        except Exception:
            # The queue's visibility timeout holds then: later than wanted, and nothing is lost.
            logger.warning("the pause of failed messages could not be set", exc_info=True)
        else:
            for refused in answer.get("Failed", ()):
                logger.warning("the pause of a failed message could not be set: %s", refused["Code"])


@functools.cache
def warn_of_redrive() -> None:
    """Say, once per process, what happens to the followers of a failing message where no attempts are counted."""
    logger.warning(
        "%s is not set: messages behind a failing one are received with it, and the queue's redrive policy will move "
        "them to the dead-letter queue untried; set it in the function's environment, and maxReceiveCount to 1000",
        ATTEMPTS_VARIABLE,
    )
