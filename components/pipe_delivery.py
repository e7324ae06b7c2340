"""`PipeDelivery`: how a pipe reads a stream, each default with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from aws_semantics.limits import STREAM_MAPPING_RANGES, STREAM_STARTING_POSITIONS
from components.delivery import InvalidDelivery, destination_problem, filter_problems, window_problems


@dataclass(frozen=True, kw_only=True)
class PipeDelivery:
    """Settings of the pipe of a DynamoDB stream (docs/aws-semantics.md §3.1).

    Raises:
        InvalidDelivery: A value is out of AWS's range, or events that are given up would reach no destination.

    Example:
        >>> PipeDelivery(maximum_batching_window_in_seconds=60, maximum_record_age_in_seconds=60)
        Traceback (most recent call last):
        ...
        components.delivery.InvalidDelivery: maximum_batching_window_in_seconds=60 is not below ...
    """

    starting_position: Literal["TRIM_HORIZON", "LATEST"] = "TRIM_HORIZON"
    """The beginning of a new pipe. LATEST skips what is written while the pipe is created, which takes minutes
    (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-dynamodb.html)."""

    batch_size: int = 10
    """Events per batch at most, 1 to 10,000, and no more than the target takes in one call: 10 for SQS, SNS and event
    buses, 1 for an API destination."""

    maximum_batching_window_in_seconds: int = 1
    """How long a batch may wait to fill, 0 to 300 seconds and below the record age, or AWS refuses the pipe."""

    parallelization_factor: int = 1
    """Concurrent batches per shard, 1 to 10; order is kept per item (docs/aws-semantics.md §3.5)."""

    maximum_retry_attempts: int = 12
    """Retries before an event is given up, -1 (until it expires) to 10,000. AWS's own errors do not count."""

    maximum_record_age_in_seconds: int = 18 * 60 * 60
    """Age at which an event is given up, 60 to 86,399 seconds, -1 for none. Inside the 24 hours the stream remembers:
    the dead letter only says where the event is (docs/aws-semantics.md §3.5)."""

    automatic_bisect: bool = True
    """Halve a failed batch until the failing event is alone, so that the healthy ones are not given up with it."""

    filters: tuple[str, ...] = ()
    """Event patterns as JSON text, at most five of 4,096 characters. Without any, the condition is pushed down."""

    on_failure: str = "sqs"
    """Where AWS puts what the pipe gives up: `"sqs"`, `"sns"`, or the ARN of a standard queue or topic. S3 is not
    offered for pipes."""

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise InvalidDelivery("\n".join(problems))

    @property
    def position(self) -> str:
        """The beginning of a new pipe, in words."""
        return self.starting_position

    def _position_problems(self) -> Iterator[str]:
        if self.starting_position not in STREAM_STARTING_POSITIONS:
            yield (
                f"starting_position={self.starting_position!r} is not one of {', '.join(STREAM_STARTING_POSITIONS)}: "
                "a DynamoDB stream can be read from its oldest record or from now on"
            )

    def _problems(self) -> Iterator[str]:
        ranged = {
            "batch_size": "BatchSize",
            "maximum_batching_window_in_seconds": "MaximumBatchingWindowInSeconds",
            "parallelization_factor": "ParallelizationFactor",
            "maximum_retry_attempts": "MaximumRetryAttempts",
            "maximum_record_age_in_seconds": "MaximumRecordAgeInSeconds",
        }
        for name, member in ranged.items():
            value, allowed = getattr(self, name), STREAM_MAPPING_RANGES[member]
            if value not in allowed:
                yield f"{name}={value!r} is not {allowed}: AWS refuses the pipe"
        yield from self._position_problems()
        yield from window_problems(self.maximum_batching_window_in_seconds, self.maximum_record_age_in_seconds)
        yield from filter_problems(self.filters)
        problem = destination_problem(self.on_failure)
        if problem is None and (self.on_failure == "s3" or self.on_failure.startswith("arn:aws:s3:")):
            problem = "is a bucket, which pipes do not deliver to: choose sqs or sns"
        if problem is not None:
            yield f"on_failure {problem}"
