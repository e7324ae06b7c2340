"""Message move tasks of SQS, which move the messages of a dead-letter queue (docs/aws-semantics.md, SQS-5)."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from typing import Any, Literal


class MoveTask:
    """One task: what it was asked for, and how far it is.

    Args:
        source: ARN of the dead-letter queue.
        url: The dead-letter queue's URL.
        destination: ARN of the queue that gets the messages; `None` for those where they came from.
        rate: Messages per second at most; `None` for as many as go.
        to_move: Number of messages that were visible at the start.
        started: The start, in seconds since 1970.
    """

    def __init__(
        self, source: str, url: str, *, destination: str | None, rate: int | None, to_move: int, started: float
    ) -> None:
        self.id = str(uuid.uuid4())
        self.source = source
        self.url = url
        self.destination = destination
        self.rate = rate
        self.to_move = to_move
        self.started = started
        self.moved = 0
        self.status: Literal["RUNNING", "COMPLETED", "CANCELLING", "CANCELLED", "FAILED"] = "RUNNING"
        self._failure: str | None = None

    @property
    def handle(self) -> str:
        """Its handle, which AWS makes of its id and its queue."""
        return base64.b64encode(json.dumps({"taskId": self.id, "sourceArn": self.source}).encode()).decode()

    @property
    def is_active(self) -> bool:
        """`True` if it keeps another task of its queue from starting."""
        return self.status in ("RUNNING", "CANCELLING")

    @property
    def due(self) -> float:
        """Time from which its next message may be moved, in seconds since 1970."""
        return self.started + (self.moved / self.rate if self.rate else 0.0)

    def cancel(self) -> None:
        """End before the next message, if it is running."""
        if self.status == "RUNNING":
            self.status = "CANCELLING"

    def end(self, failure: str | None) -> None:
        """End, because all is moved, because it is cancelled, or by a failure."""
        if failure is not None:
            self.status, self._failure = "FAILED", failure
        else:
            self.status = "CANCELLED" if self.status == "CANCELLING" else "COMPLETED"

    def described(self) -> dict[str, Any]:
        """Return its entry in the answer of ListMessageMoveTasks."""
        members = {
            "TaskHandle": self.handle if self.status == "RUNNING" else None,
            "Status": self.status,
            "SourceArn": self.source,
            "DestinationArn": self.destination,
            "MaxNumberOfMessagesPerSecond": self.rate,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "FailureReason": self._failure,
            "StartedTimestamp": int(self.started * 1000),
        }
        return {name: value for name, value in members.items() if value is not None}


def read_handle(handle: str) -> tuple[str, str] | None:
    """Return the dead-letter queue's ARN and the id of the task that a handle names; `None` if it is not a handle.

    >>> read_handle("c29tZXRoaW5n")
    """
    try:
        named = json.loads(base64.b64decode(handle, validate=True))
        return named["sourceArn"], named["taskId"]
    except (binascii.Error, ValueError, TypeError, KeyError):
        return None
