"""`QueueDelivery`: how a fan-out's changes reach a consumer, each default with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aws_semantics.limits import (
    FIFO_QUEUE_BATCH,
    QUEUE_MAPPING_CONCURRENCY,
    QUEUE_RECEIVES,
    QUEUE_RETENTION_SECONDS,
    QUEUE_VISIBILITY_SECONDS,
)
from components.delivery import InvalidDelivery, RetryHorizon, destination_problem, filter_problems
from handlers.cdc.queues import LONGEST_PAUSE


@dataclass(frozen=True, kw_only=True)
class QueueDelivery:
    """Settings of a consumer's FIFO queue and of the event source mapping that reads it (docs/aws-semantics.md §10.1).

    Raises:
        InvalidDelivery: A value is out of AWS's range, or messages that are given up would reach no destination.

    Example:
        >>> QueueDelivery().retry_horizon()
        RetryHorizon(shortest=1022.0, longest=1022.0)
        >>> QueueDelivery(batch_size=11)
        Traceback (most recent call last):
        ...
        components.delivery.InvalidDelivery: batch_size=11 is not 1 to 10: AWS refuses more messages of a FIFO queue
    """

    batch_size: int = 10
    """Messages per invocation at most, 1 to 10, which is all that AWS takes from a FIFO queue, and without a window
    (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html)."""

    maximum_concurrency: int | None = 50
    """Invocations at once, 2 to 1,000, `None` for as many as there are items with changes. A backlog then never takes
    the account's concurrency (1,000 by default) from the API and the other consumers
    (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html)."""

    attempts: int = 10
    """Attempts before a change is parked, 1 to 1,000. The pause doubles from 2 seconds to 15 minutes, so ten take 17
    minutes, longer than a short outage; meanwhile the item waits, and no other does (handlers/cdc/queues.py)."""

    maximum_receives: int = 1_000
    """Receives after which SQS itself moves a message to the dead-letter queue, 1 to 1,000. It is the safety net below
    `attempts`: SQS counts the messages behind a failing one too, and would move them untried
    (docs/decisions/0007-consumers-park-the-poison-of-a-fifo-queue.md)."""

    visibility_timeout_in_seconds: int | None = None
    """How long a message in work stays hidden, up to 43,200 seconds; `None` for six times the function's timeout, as
    AWS advises (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html)."""

    retention_in_seconds: int = 14 * 24 * 60 * 60
    """How long a message waits for a consumer that is down, 60 to 1,209,600 seconds. The maximum, because a queue is
    paid by request and not by what it holds."""

    report_batch_item_failures: bool = True
    """Let the function name the messages that are not done, so that the others are never repeated
    (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html)."""

    filters: tuple[str, ...] = ()
    """Event patterns on `body` as JSON text, at most five of 4,096 characters; a message that matches none is deleted.
    Without any, the consumer's own condition is pushed down (docs/guides/conditions.md)."""

    event_count_metrics: bool = True
    """Record the EventCount metrics: with partial batch responses they are the only sign of failure, because `Errors`
    stays 0 (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html)."""

    on_failure: str = "s3"
    """Where the runtime parks changes that are given up: `"s3"` (a bucket of the consumer's own), `"sqs"`, or the ARN
    of an existing bucket or standard queue."""

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise InvalidDelivery("\n".join(problems))

    def visibility_timeout(self, function_timeout: int) -> int:
        """Return how long a message in work stays hidden, in seconds.

        Args:
            function_timeout: Seconds an invocation may run.
        """
        given = self.visibility_timeout_in_seconds
        return 6 * function_timeout if given is None else given

    def retry_horizon(self) -> RetryHorizon:
        """Compute how long a change that fails at once every time is retried before it is parked."""
        total = float(sum(min(2**attempt, LONGEST_PAUSE) for attempt in range(1, self.attempts)))
        return RetryHorizon(total, total)

    def _problems(self) -> Iterator[str]:
        if self.batch_size not in FIFO_QUEUE_BATCH:
            yield f"batch_size={self.batch_size!r} is not {FIFO_QUEUE_BATCH}: AWS refuses more messages of a FIFO queue"
        if self.maximum_concurrency is not None and self.maximum_concurrency not in QUEUE_MAPPING_CONCURRENCY:
            yield (
                f"maximum_concurrency={self.maximum_concurrency!r} is not {QUEUE_MAPPING_CONCURRENCY}: AWS refuses the "
                "mapping; None sets no limit"
            )
        for name in ("attempts", "maximum_receives"):
            if getattr(self, name) not in QUEUE_RECEIVES:
                yield f"{name}={getattr(self, name)!r} is not {QUEUE_RECEIVES}: SQS counts no further"
        if self.attempts in QUEUE_RECEIVES and self.maximum_receives <= self.attempts:
            yield (
                f"maximum_receives={self.maximum_receives} is not above attempts={self.attempts}: SQS would move "
                "healthy messages behind a failing one to the dead-letter queue, untried; the default is 1000"
            )
        hidden = self.visibility_timeout_in_seconds
        if hidden is not None and hidden not in QUEUE_VISIBILITY_SECONDS:
            yield f"visibility_timeout_in_seconds={hidden!r} is not {QUEUE_VISIBILITY_SECONDS}: SQS refuses the queue"
        if self.retention_in_seconds not in QUEUE_RETENTION_SECONDS:
            yield (
                f"retention_in_seconds={self.retention_in_seconds!r} is not {QUEUE_RETENTION_SECONDS}: SQS refuses the "
                "queue"
            )
        yield from filter_problems(self.filters)
        problem = destination_problem(self.on_failure)
        if problem is None and (self.on_failure == "sns" or self.on_failure.startswith("arn:aws:sns:")):
            problem = "is a topic, which keeps no change: choose s3 or sqs"
        if problem is not None:
            yield f"on_failure {problem}"
