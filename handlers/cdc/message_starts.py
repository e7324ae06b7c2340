"""How often each message of a FIFO queue was started.

SQS counts receives, and those say little: messages behind a failing one are received with it, and one that asks to be
put off is received again. And the process that knows more may be gone, since a message can end it. So the number of
starts is kept outside, in the bucket where the consumer parks records: an object per message, written before a message
is started that was received before, and deleted when it is done.

Without a bucket the number comes from this process's memory, or from the receive count, which can be wrong both ways.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any, Final

from handlers.cdc.bounded_client import BoundedClient
from handlers.cdc.discard import DESTINATION_VARIABLE, function_name
from handlers.cdc.queues import Message, receive_count

logger = logging.getLogger("handlers.cdc")

#: Messages that one process remembers; the oldest is forgotten first.
_MOST_REMEMBERED: Final = 1000
_remembered: dict[str, int] = {}


class MessageStarts:
    """The numbers of starts of a queue's messages.

    Args:
        limit: Starts after which a message is parked.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        _, _, service, _, _, name = os.environ.get(DESTINATION_VARIABLE, ":::::").split(":", 5)
        self._bucket = name if service == "s3" else None

    def before(self, message: Message, *, is_first: bool) -> int:
        """Return how often a message that was received before has been started.

        Args:
            message: The message.
            is_first: Whether it is the first of its group. Without a note, such a message counts as started once, at
                the receive that nothing was noted for, and one behind it as never started.
        """
        if self._bucket is not None:
            try:
                noted = self._noted(self._bucket, message)
            except Exception:
                logger.warning("the number of starts of a message could not be read", exc_info=True)
                self._bucket = None  # what cannot be read is not written either
            else:
                return min(int(is_first), self._limit - 1) if noted is None else noted
        return self._by_receives(message, is_first=is_first)

    def give_back(self, message: Message, *, is_first: bool) -> None:
        """Remember that a message was received and not started, where only the receive count says how often it was."""
        if self._bucket is None:
            _remember(message, self._by_receives(message, is_first=is_first))

    def note(self, message: Message, starts: int) -> None:
        """Keep the number of starts of a message, this one included."""
        _remember(message, starts)
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

    def forget(self, message: Message) -> None:
        """Delete what was kept about a message that is done or parked."""
        _remembered.pop(message["messageId"], None)
        if self._bucket is None:
            return
        try:
            BoundedClient("s3").delete_object(Bucket=self._bucket, Key=_key(message))
        except Exception:
            # It is about a message that never comes again, and expires with the bucket's other objects.
            logger.warning("the number of starts of a message could not be deleted", exc_info=True)

    def _by_receives(self, message: Message, *, is_first: bool) -> int:
        remembered = _remembered.get(message["messageId"])
        if remembered is not None:
            return remembered
        return (receive_count(message) - 2) % self._limit + 1 if is_first else 0

    def _noted(self, bucket: str, message: Message) -> int | None:
        try:
            answer = BoundedClient("s3").get_object(Bucket=bucket, Key=_key(message))
        except Exception as error:
            response: Any = getattr(error, "response", {})
            if response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
                return None
            raise
        return int(json.loads(answer["Body"].read())["starts"])


def _remember(message: Message, starts: int) -> None:
    _remembered[message["messageId"]] = starts
    if len(_remembered) > _MOST_REMEMBERED:
        del _remembered[next(iter(_remembered))]


def _document(starts: int) -> dict[str, Any]:
    # The bucket's other objects are about records that were given up, and this one reads as one that holds none.
    context = {"functionName": function_name(), "condition": "Started"}
    return {"requestContext": context, "starts": starts, "payload": json.dumps({"Records": []})}


def _key(message: Message) -> str:
    return f"started/{function_name()}/{message['messageId']}.json"
