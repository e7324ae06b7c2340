"""Numbers of starts of a FIFO queue's messages.

SQS counts receives, and those say little: messages behind a failing one are received with it, and one that asks to be
put off is received again. This process remembers the messages that it has answered for. But a message that ends the
process takes the memory with it, and the next receive may be another process's. So a message that was received before,
and that this process does not remember, is suspect: its starts are kept outside, in the bucket where the consumer parks
records, as an object that is written before the message is started and deleted when it is done.

Without a bucket the receive count stands in, which can be wrong both ways.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any, Final, NamedTuple

from handlers.cdc.bounded_client import BoundedClient
from handlers.cdc.discard import DESTINATION_VARIABLE, function_name
from handlers.cdc.queues import Message, receive_count

logger = logging.getLogger("handlers.cdc")

#: Messages that one process remembers; the oldest is forgotten first.
_MOST_REMEMBERED: Final = 1000


class _Memory(NamedTuple):
    """The memory of one message.

    Attributes:
        received: Its receive count when it was given back.
        starts: How often it had been started.
        was_answered: Whether its group was processed then, so that it has not ended the process.
        is_noted: Whether there is a note about it in the bucket.
    """

    received: int
    starts: int
    was_answered: bool
    is_noted: bool


_memory: dict[str, _Memory] = {}


class MessageStarts:
    """The numbers of starts of a queue's messages.

    Args:
        limit: Starts after which a message is parked.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        _, _, service, _, _, name = os.environ.get(DESTINATION_VARIABLE, ":::::").split(":", 5)
        self._bucket = name if service == "s3" else None

    def is_suspect(self, message: Message) -> bool:
        """Return whether a message, the first of its group, may have ended the process that last received it."""
        if receive_count(message) == 1:
            return False
        memory = self._remembered(message)
        return memory is None or not memory.was_answered

    def remembered(self, message: Message) -> int:
        """Return how often a message was started that is not suspect."""
        memory = self._remembered(message)
        return 0 if memory is None else memory.starts

    def before(self, message: Message, *, is_first: bool) -> int:
        """Return how often a suspect message, or one of its group, was started.

        Args:
            message: The message.
            is_first: Whether it is the first of its group. Without a note, such a message counts as started once, at
                a receive that nothing was noted for, and one behind it as never started.
        """
        if self._bucket is not None:
            try:
                noted = self._noted(self._bucket, message)
            except Exception:
                logger.warning("the number of starts of a message could not be read", exc_info=True)
                self._bucket = None  # what cannot be read is not written either
            else:
                return min(int(is_first), self._limit - 1) if noted is None else noted
        return self.guess(message) if is_first else self.remembered(message)

    def guess(self, message: Message) -> int:
        """Return how often the first message of a suspect group was started, as far as receives tell."""
        memory = self._remembered(message)
        return (receive_count(message) - 2) % self._limit + 1 if memory is None else memory.starts

    def note(self, message: Message, starts: int) -> None:
        """Keep the number of starts of a suspect message, this one included, where it outlives the process."""
        if self._bucket is None:
            return
        try:
            BoundedClient("s3").put_object(
                Bucket=self._bucket,
                Key=_key(message),
                Body=json.dumps(_document(starts)).encode(),
                ContentType="application/json",
            )
        except Exception:
            logger.warning("the number of starts of a message could not be noted", exc_info=True)

    def give_back(self, message: Message, starts: int, *, was_answered: bool, is_noted: bool = False) -> None:
        """Remember a message that comes again.

        Args:
            message: The message.
            starts: How often it has been started.
            was_answered: Whether its group was processed: else it stays suspect.
            is_noted: Whether there is a note about it.
        """
        memory = self._remembered(message)
        is_noted = is_noted or (memory is not None and memory.is_noted)
        _memory.pop(message["messageId"], None)
        _memory[message["messageId"]] = _Memory(receive_count(message), starts, was_answered, is_noted)
        if len(_memory) > _MOST_REMEMBERED:
            del _memory[next(iter(_memory))]

    def forget(self, message: Message, *, is_noted: bool = False) -> None:
        """Delete what was kept about a message that is done or parked."""
        memory = _memory.pop(message["messageId"], None)
        if self._bucket is None or not (is_noted or (memory is not None and memory.is_noted)):
            return
        try:
            BoundedClient("s3").delete_object(Bucket=self._bucket, Key=_key(message))
        except Exception:
            # It is about a message that never comes again, and expires with the bucket's other objects.
            logger.warning("the number of starts of a message could not be deleted", exc_info=True)

    def _remembered(self, message: Message) -> _Memory | None:
        memory = _memory.get(message["messageId"])
        return memory if memory is not None and memory.received == receive_count(message) - 1 else None

    def _noted(self, bucket: str, message: Message) -> int | None:
        try:
            answer = BoundedClient("s3").get_object(Bucket=bucket, Key=_key(message))
        except Exception as error:
            response: Any = getattr(error, "response", {})
            if response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
                return None
            raise
        return int(json.loads(answer["Body"].read())["starts"])


def _document(starts: int) -> dict[str, Any]:
    # The bucket's other objects are about records that were given up, and this one reads as one that holds none.
    context = {"functionName": function_name(), "condition": "Started"}
    return {"requestContext": context, "starts": starts, "payload": json.dumps({"Records": []})}


def _key(message: Message) -> str:
    return f"started/{function_name()}/{message['messageId']}.json"
