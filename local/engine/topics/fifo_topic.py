"""One FIFO topic: which messages are new, in which order they are numbered, and which an archive replays.

Theory of operation (docs/aws-semantics.md §10.1). A message is a repeat when its deduplication id came within the last
five minutes: in the same group if the throughput scope is the message group, else in the whole topic. A repeat is
answered like its first publication and delivered to nobody. Numbers grow within a group.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from aws_semantics.limits import MESSAGE_BYTES, TOPIC_ARCHIVE_DAYS, Range

#: How long a topic remembers a deduplication id, in seconds.
DEDUPLICATION_SECONDS = 300
#: What a topic takes unless told otherwise, in bytes.
DEFAULT_MESSAGE_BYTES = 262_144
MESSAGE_SIZES = Range(1_024, MESSAGE_BYTES)

_DAY_SECONDS = 24 * 60 * 60


class TopicMessage(NamedTuple):
    """A message as it is published.

    Attributes:
        body: Its text.
        group: Its message group.
        deduplication_id: Its deduplication id.
    """

    body: str
    group: str
    deduplication_id: str


class Published(NamedTuple):
    """Result of a publication.

    Attributes:
        message_id: The message's id; that of the first publication for a repeat.
        sequence_number: The message's number.
        is_new: Whether the message is to be delivered.
    """

    message_id: str
    sequence_number: str
    is_new: bool


class _Remembered(NamedTuple):
    until: float
    published: Published


@dataclass
class FifoTopic:
    """The memory of one topic.

    Attributes:
        archive: What was published, with its time in seconds since 1970, oldest first.
    """

    archive: deque[tuple[float, TopicMessage]] = field(default_factory=deque[tuple[float, TopicMessage]])
    _remembered: dict[tuple[str, str], _Remembered] = field(default_factory=dict[tuple[str, str], _Remembered])
    _count: int = 0

    def publish(
        self, message: TopicMessage, message_id: str, attributes: Mapping[str, str], *, now: float
    ) -> Published:
        """Take a message.

        Args:
            message: The message, without a problem.
            message_id: Its id, should it be new.
            attributes: The topic's attributes.
            now: Seconds since 1970.
        """
        while self._remembered and next(iter(self._remembered.values())).until <= now:
            del self._remembered[next(iter(self._remembered))]
        scope = message.group if attributes.get("FifoThroughputScope") == "MessageGroup" else ""
        first = self._remembered.get((scope, message.deduplication_id))
        if first is not None:
            return first.published._replace(is_new=False)
        self._count += 1
        published = Published(message_id, f"1{self._count:019}", is_new=True)
        self._remembered[scope, message.deduplication_id] = _Remembered(now + DEDUPLICATION_SECONDS, published)
        self._keep(message, archive_seconds(attributes), now)
        return published

    def _keep(self, message: TopicMessage, seconds: int, now: float) -> None:
        if seconds:
            self.archive.append((now, message))
        while self.archive and self.archive[0][0] <= now - seconds:
            self.archive.popleft()

    def replayed(self, since: float) -> Iterator[TopicMessage]:
        """Yield what the archive holds from a time on, in the order of publication."""
        return (message for at, message in self.archive if at >= since)


def message_size(attributes: Mapping[str, str]) -> int:
    """Return how many bytes a message of a topic, or a batch of them, may have."""
    return int(attributes.get("MaximumMessageSize", DEFAULT_MESSAGE_BYTES))


def archive_seconds(attributes: Mapping[str, str]) -> int:
    """Return how long a topic keeps what was published; 0 without an archive."""
    policy = attributes.get("ArchivePolicy")
    return int(json.loads(policy).get("MessageRetentionPeriod", 0)) * _DAY_SECONDS if policy else 0


def message_problem(message: TopicMessage, attributes: Mapping[str, str]) -> str | None:
    """Explain why a topic refuses a message; `None` if it does not."""
    if not message.group:
        return "The MessageGroupId parameter is required for FIFO topics"
    if not message.deduplication_id:
        return "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided"
    limit = message_size(attributes)
    return f"Message too long. Maximum size is {limit} bytes." if len(message.body.encode()) > limit else None


def attribute_problems(attributes: Mapping[str, str]) -> Iterator[str]:
    """Yield why AWS refuses the attributes of a FIFO topic."""
    size = attributes.get("MaximumMessageSize")
    if size is not None and not (size.isdecimal() and int(size) in MESSAGE_SIZES):
        yield f"MaximumMessageSize must be {MESSAGE_SIZES}"
    if attributes.get("FifoThroughputScope", "Topic") not in ("Topic", "MessageGroup"):
        yield "FifoThroughputScope must be Topic or MessageGroup"
    policy = attributes.get("ArchivePolicy")
    if policy and policy != "{}":
        try:
            days = json.loads(policy)["MessageRetentionPeriod"]
        except (ValueError, KeyError, TypeError):
            days = ""
        if not (isinstance(days, str) and days.isdecimal() and int(days) in TOPIC_ARCHIVE_DAYS):
            yield f'ArchivePolicy must be {{"MessageRetentionPeriod":"{TOPIC_ARCHIVE_DAYS}"}}'
