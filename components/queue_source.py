"""`QueueSource`: a queue that a pipe reads, and the demands on it; `QueueSourceDelivery`: how the pipe reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from aws_semantics.event_patterns import names_at_the_top
from aws_semantics.limits import (
    FIFO_QUEUE_BATCH,
    PIPE_EXECUTION_SECONDS,
    QUEUE_BATCH_WITHOUT_WINDOW,
    QUEUE_MAPPING_RANGES,
)
from aws_semantics.permissions import READING
from aws_semantics.pipe_templates import MESSAGE_MEMBERS
from components.access import Statement, allow, decrypt
from components.delivery import InvalidDelivery, filter_problems
from components.pipe_targets import PipeTarget
from components.refusal import Refused
from components.stream_source import StreamSource

#: The visibility timeout of a queue that is given none, and enough for AWS to take events without working on them.
_DEFAULT_VISIBILITY_SECONDS: Final = 30

#: AWS's own key for SQS, which needs no permission of the pipe.
_AWS_MANAGED_KEY: Final = "alias/aws/sqs"


@dataclass(frozen=True, kw_only=True)
class QueueSourceDelivery:
    """Settings of the pipe of a `QueueSource` (docs/aws-semantics.md §3.8). The queue's own say the rest.

    Raises:
        InvalidDelivery: A value is out of AWS's range, or a filter can never match a message.

    Example:
        >>> QueueSourceDelivery(batch_size=100)
        Traceback (most recent call last):
        ...
        components.delivery.InvalidDelivery: batch_size=100 without maximum_batching_window_in_seconds: AWS wants ...
    """

    batch_size: int = 10
    """Messages per batch at most, 1 to 10,000, 10 of a FIFO queue, and no more than the target takes in one call."""

    maximum_batching_window_in_seconds: int = 0
    """How long a batch may wait to fill, 0 to 300 seconds; a FIFO queue takes none. The messages are hidden
    meanwhile, so the queue's visibility timeout must be longer."""

    filters: tuple[str, ...] = ()
    """Event patterns on the message as JSON text, e.g. `{"body": {"kind": ["invoice"]}}`; a message that matches none
    is deleted. Without any, the condition is pushed down."""

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise InvalidDelivery("\n".join(problems))

    def _problems(self) -> Iterator[str]:
        ranged = {
            "batch_size": "BatchSize",
            "maximum_batching_window_in_seconds": "MaximumBatchingWindowInSeconds",
        }
        for name, member in ranged.items():
            value, allowed = getattr(self, name), QUEUE_MAPPING_RANGES[member]
            if value not in allowed:
                yield f"{name}={value!r} is not {allowed}: AWS refuses the pipe"
        if self.batch_size > QUEUE_BATCH_WITHOUT_WINDOW and not self.maximum_batching_window_in_seconds:
            yield (
                f"batch_size={self.batch_size} without maximum_batching_window_in_seconds: AWS wants a window of a "
                f"second or more for batches above {QUEUE_BATCH_WITHOUT_WINDOW}; set one, or a smaller batch"
            )
        refused = list(filter_problems(self.filters))
        yield from refused
        for index, pattern in enumerate(() if refused else self.filters):
            for name in sorted(names_at_the_top(pattern) - set(MESSAGE_MEMBERS)):
                yield (
                    f"filters[{index}] asks for {name!r}, which no message has, so every message would be deleted "
                    f"unseen: the content is below body, e.g. "
                    f'{{"body": {{"{name}": …}}}}'
                )


@dataclass(frozen=True, kw_only=True, eq=False)
class QueueSource:
    """A standard or FIFO queue as the source of a `StreamPipe`.

    A pipe has no dead-letter queue of its own for a queue's messages: what it cannot deliver comes back after the
    queue's visibility timeout, until the queue's redrive policy moves it. So a queue without one is refused.

    Attributes:
        queue: The queue. One that exists is `aws.sqs.Queue.get("jobs", queue_url)`.
        changes_of: The stream whose records are the messages' bodies, such as a `StreamPipe` to this queue writes
            them without a template. A `when` is a condition on them. `None` for messages of any other kind.
        kms_key_arn: ARN of the customer managed key that encrypts the queue, if one does.

    Raises:
        Refused: `queue` is not an `aws.sqs.Queue`, or `changes_of` not the stream of a table.

    Example:
        dead = aws.sqs.Queue("jobs-dead")
        redrive = dead.arn.apply(lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5}))
        QueueSource(queue=aws.sqs.Queue("jobs", redrive_policy=redrive))
    """

    queue: aws.sqs.Queue
    changes_of: StreamSource | None = None
    kms_key_arn: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        queue, changes_of = _as_given(self.queue), _as_given(self.changes_of)
        if not isinstance(queue, aws.sqs.Queue):
            raise Refused(
                f"queue is {queue!r}, and what a pipe may do to a queue depends on its settings: pass the "
                'aws.sqs.Queue itself, for one that exists aws.sqs.Queue.get("jobs", queue_url)'
            )
        if changes_of is not None and getattr(changes_of, "dialect", None) != "stream":
            raise Refused(
                f"{self.name}: changes_of is {type(changes_of).__name__}, and a pipe writes the records of a table's "
                "stream as they are, those of Kinesis encoded: pass users.stream of a ChangeTable, or leave it out"
            )

    @property
    def name(self) -> str:
        """The queue's name in the program."""
        return self.queue.pulumi_resource_name

    @property
    def identity(self) -> str:
        """Path to the id of an event, for a target that drops repeats."""
        return "$.messageId" if self.changes_of is None else "$.body.eventID"

    def statements(self) -> list[Statement]:
        """Return the permissions of a pipe's role."""
        return [allow(READING["sqs"], self.queue.arn), *decrypt(self.kms_key_arn)]

    def dead_letters(self, name: str, delivery: QueueSourceDelivery, *, works: bool) -> pulumi.Output[str]:
        """Return the ARN of the queue's dead-letter queue, once the queue is known to fit the pipe.

        Args:
            name: The pipe's name, for messages.
            delivery: Its settings.
            works: Whether its enrichment or its target works on a batch while the messages are hidden.
        """
        hidden = PIPE_EXECUTION_SECONDS if works else _DEFAULT_VISIBILITY_SECONDS
        hidden += delivery.maximum_batching_window_in_seconds

        def check(found: Sequence[Any]) -> str:
            fifo, redrive, visibility, key = found
            visibility = _DEFAULT_VISIBILITY_SECONDS if visibility is None else int(visibility)
            problems = [
                *self._problems_of_fifo(delivery, fifo=bool(fifo)),
                *self._problems_of_time(visibility, hidden, works=works),
                *self._problems_of_key(key),
            ]
            dead_letters = _dead_letters_of(redrive)
            if not dead_letters:
                problems.append(
                    f"{self.name} has no redrive policy: a message that enrichment or target refuses would come back "
                    "until the queue forgets it, and in a FIFO queue its group would wait for as long; set "
                    "redrive_policy with a deadLetterTargetArn and a maxReceiveCount on the aws.sqs.Queue itself (an "
                    "aws.sqs.RedrivePolicy of its own is not seen here)"
                )
            if problems:
                raise InvalidDelivery("\n".join(f"{name}: {problem}" for problem in problems))
            return dead_letters

        queue = self.queue
        settings = queue.fifo_queue, queue.redrive_policy, queue.visibility_timeout_seconds, queue.kms_master_key_id
        return pulumi.Output.all(*settings).apply(check)

    def checked_target(self, name: str, target: PipeTarget, dead_letters: pulumi.Input[str]) -> PipeTarget:
        """Return the target, whose ARN is known once the queue is known to fit and not to be the target itself.

        Args:
            name: The pipe's name, for messages.
            target: The target.
            dead_letters: ARN of the queue's dead-letter queue, as `dead_letters` returns it.
        """

        def check(arns: Sequence[str]) -> str:
            arn, source, dead = arns
            if arn == source:
                raise Refused(
                    f"{name}: the target is {self.name}, the queue that the pipe reads: every message would go round "
                    "forever, and each round is paid for; send to another queue"
                )
            if arn == dead:
                raise Refused(
                    f"{name}: the target is the dead-letter queue of {self.name}: nobody could tell a failure from a "
                    "delivery; send to another queue"
                )
            return arn

        return replace(target, arn=pulumi.Output.all(target.arn, self.queue.arn, dead_letters).apply(check))

    def _problems_of_fifo(self, delivery: QueueSourceDelivery, *, fifo: bool) -> Iterator[str]:
        if fifo and delivery.batch_size not in FIFO_QUEUE_BATCH:
            yield (
                f"batch_size={delivery.batch_size}, and {self.name} is a FIFO queue, of which AWS takes "
                f"{FIFO_QUEUE_BATCH.maximum} messages at a time: AWS refuses the pipe; set batch_size=10 or less"
            )
        if fifo and delivery.maximum_batching_window_in_seconds:
            yield (
                f"maximum_batching_window_in_seconds={delivery.maximum_batching_window_in_seconds}, and {self.name} is "
                "a FIFO queue, which takes no window: AWS refuses the pipe; set 0"
            )

    def _problems_of_time(self, visibility: int, hidden: int, *, works: bool) -> Iterator[str]:
        if visibility < hidden:
            why = (
                f"enrichment and target may take {PIPE_EXECUTION_SECONDS} s together"
                if works
                else f"the calls to the target need {_DEFAULT_VISIBILITY_SECONDS} s"
            )
            yield (
                f"{self.name} hides a message for {visibility} s, and {why}, after the batching window: it would be "
                "delivered a second time meanwhile, and moved to the dead-letter queue although nothing failed; set "
                f"visibility_timeout_seconds={hidden} or more on the queue"
            )

    def _problems_of_key(self, key: str | None) -> Iterator[str]:
        managed = not key or key.endswith(_AWS_MANAGED_KEY)
        if not managed and self.kms_key_arn is None:
            yield (
                f"{self.name} is encrypted with {key}, and the pipe's role may not decrypt with it, so it would "
                "receive nothing: pass QueueSource(kms_key_arn=…) with the key's ARN, and let the key's policy allow "
                "the role"
            )
        if managed and self.kms_key_arn is not None:
            yield (
                f"kms_key_arn is given, and {self.name} is not encrypted with a key of yours: leave it out, the role "
                "needs no permission for it"
            )


def _as_given(value: object) -> object:
    """Return a value as it was given, whatever the annotations promise."""
    return value


def _dead_letters_of(redrive: str | None) -> str:
    try:
        return str(json.loads(redrive or "{}").get("deadLetterTargetArn") or "")
    except (ValueError, AttributeError):
        return ""
