"""`StreamDelivery`: how changes reach a consumer, each default with its reason.

Plain values, apart from construction: the same object configures the event source mapping, the alarms and what the
documentation prints. What AWS would refuse, or would accept and lose records by, is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import pulumi
import pulumi_aws as aws

from aws_semantics.event_patterns import InvalidPattern, validate
from aws_semantics.limits import (
    FILTER_PATTERN_CHARACTERS,
    FILTERS_PER_MAPPING,
    STREAM_MAPPING_RANGES,
    STREAM_RETENTION_SECONDS,
    STREAM_STARTING_POSITIONS,
    Range,
)
from aws_semantics.retries import RetryHorizon, retry_horizon
from components.refusal import Refused

#: A destination of failed batches: a kind, an ARN, or a resource of the program.
Destination: TypeAlias = "str | aws.s3.Bucket | aws.sqs.Queue | aws.sns.Topic"

#: Services of the resources that are destinations, by type token: to name a class would import all of its module.
_SERVICES = {"aws:s3/bucket:Bucket": "s3", "aws:sqs/queue:Queue": "sqs", "aws:sns/topic:Topic": "sns"}


class InvalidDelivery(Refused):
    """Settings that AWS refuses, or accepts and loses records by. One line per problem: what, why, what to do."""


@dataclass(frozen=True, kw_only=True)
class StreamDelivery:
    """Settings of the event source mapping of a DynamoDB stream (docs/aws-semantics.md §2.1).

    Raises:
        InvalidDelivery: A value is out of AWS's range, a combination is one that AWS refuses, or records that are
            given up would reach no destination.

    Example:
        >>> StreamDelivery().retry_horizon()
        RetryHorizon(shortest=303.75, longest=1023.75)
        >>> StreamDelivery(maximum_record_age_in_seconds=30)
        Traceback (most recent call last):
        ...
        components.delivery.InvalidDelivery: maximum_record_age_in_seconds=30 is not -1 or 60 to 604800: ...
    """

    starting_position: Literal["TRIM_HORIZON", "LATEST"] = "TRIM_HORIZON"
    """The beginning of a new mapping. LATEST skips what is written while the mapping is created or replaced, which
    takes minutes (https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html). To change it, AWS replaces the
    mapping."""

    batch_size: int = 100
    """Records per invocation at most, 1 to 10,000. Large enough that the window fills batches under load, small enough
    that a crash repeats little (https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html)."""

    maximum_batching_window_in_seconds: int = 1
    """How long a batch may wait to fill, 0 to 300 seconds and below the record age. One second is not felt by a reader
    of email, and without it a batch is whatever one read returned, often a single record (docs/aws-semantics.md
    §2.3)."""

    parallelization_factor: int = 1
    """Concurrent batches per shard, 1 to 10. Raise it when the iterator age says so: order is then kept per item only
    (docs/aws-semantics.md §2.4)."""

    bisect_batch_on_function_error: bool = True
    """Split a batch that failed as a whole. A crash or a timeout names no record; without the split it would repeat and
    then discard the healthy ones with it. Splitting costs no retry (docs/aws-semantics.md §2.5)."""

    maximum_retry_attempts: int = 12
    """Retries before a record is given up, -1 (until it expires) to 10,000. Five would be spent in 8 seconds, less than
    any outage; twelve take 5 to 17 minutes, and meanwhile the shard waits (docs/aws-semantics.md §2.5)."""

    maximum_record_age_in_seconds: int = 18 * 60 * 60
    """Age at which a record is given up, 60 to 86,399 seconds, -1 for none. Inside the 24 hours the stream remembers,
    so that it goes to the failure destination instead of vanishing, with hours left to read its neighbours."""

    tumbling_window_in_seconds: int = 0
    """Length of an aggregation window, 0 (none) to 900 seconds, for a `@windowed` consumer (docs/guides/windows.md);
    excludes filters and a parallelization factor (docs/aws-semantics.md §2.9)."""

    report_batch_item_failures: bool = True
    """Let the function name the first record that is not done, so that the ones before it are never repeated
    (https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html)."""

    filters: tuple[str, ...] = ()
    """Event patterns as JSON text, at most five of 4,096 characters; a record that matches none is not delivered
    (docs/aws-semantics.md §2.8). Without any, the consumer's own condition is pushed down (docs/guides/conditions.md);
    with some, they alone are the filter, and the function still checks its condition."""

    event_count_metrics: bool = True
    """Record the EventCount metrics: with partial batch responses they are the only sign of failure, because `Errors`
    stays 0 (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html)."""

    on_failure: Destination | None = "s3"
    """The destination of records that are given up: `"s3"` (a bucket of the consumer's own), `"sqs"`, `"sns"`, a
    bucket, standard queue or standard topic of the program, the ARN of one that exists, or `None`. S3 alone receives
    the records themselves, so that they can be replayed after the stream has forgotten them (docs/aws-semantics.md
    §2.7)."""

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise InvalidDelivery("\n".join(problems))

    @property
    def position(self) -> str:
        """The beginning of a new mapping, in words."""
        return self.starting_position

    def retry_horizon(self, retention_in_seconds: int = STREAM_RETENTION_SECONDS) -> RetryHorizon:
        """Compute how long a record that fails at once every time is retried before it is given up.

        Args:
            retention_in_seconds: How long the source keeps a record; 24 hours for a DynamoDB stream.
        """
        return retry_horizon(
            self.maximum_retry_attempts, self.maximum_record_age_in_seconds, retention=retention_in_seconds
        )

    def _problems(self) -> Iterator[str]:
        for name, member in _RANGED.items():
            value, allowed = getattr(self, name), STREAM_MAPPING_RANGES[member]
            if value not in allowed:
                yield f"{name}={value!r} is not {allowed}: {_why(name, allowed)}"
        yield from window_problems(self.maximum_batching_window_in_seconds, self.maximum_record_age_in_seconds)
        yield from self._position_problems()
        if self.tumbling_window_in_seconds and self.parallelization_factor != 1:
            yield (
                "tumbling_window_in_seconds and parallelization_factor exclude each other: "
                "a window's state is kept per shard; leave the factor at 1"
            )
        if self.tumbling_window_in_seconds and self.filters:
            yield (
                "tumbling_window_in_seconds and filters exclude each other: AWS refuses the mapping; "
                "filter inside the function"
            )
        yield from filter_problems(self.filters)
        yield from self._endless_problems()
        yield from self._destination_problems()

    def _position_problems(self) -> Iterator[str]:
        if self.starting_position not in STREAM_STARTING_POSITIONS:
            yield (
                f"starting_position={self.starting_position!r} is not one of {', '.join(STREAM_STARTING_POSITIONS)}: "
                "a DynamoDB stream can be read from its oldest record or from now on"
            )

    def _endless_problems(self) -> Iterator[str]:
        retries = self.maximum_retry_attempts
        if retries not in STREAM_MAPPING_RANGES["MaximumRetryAttempts"] or self.maximum_record_age_in_seconds != -1:
            return
        if retries != -1 and self.retry_horizon().shortest >= STREAM_RETENTION_SECONDS:
            yield (
                f"maximum_retry_attempts={retries} without a maximum_record_age_in_seconds takes a day or more: a "
                "record that keeps failing would vanish from the stream before it reaches the failure destination; "
                "choose 1440 or fewer, or a record age, the default is 64800"
            )

    def _destination_problems(self) -> Iterator[str]:
        destination = self.on_failure
        bounded = self.maximum_retry_attempts != -1 or self.maximum_record_age_in_seconds != -1
        if destination is None and bounded:
            yield (
                "on_failure=None with bounded retries: a record that is given up would be lost; "
                'choose on_failure="s3", "sqs" or "sns"'
            )
        problem = None if destination is None else destination_problem(destination)
        if problem is not None:
            yield f"on_failure {problem}"


def window_problems(window: int, age: int) -> Iterator[str]:
    """Yield why AWS would refuse a batching window with a record age, both in seconds (ESM-REFUSE-16)."""
    if age != -1 and window >= age:
        yield (
            f"maximum_batching_window_in_seconds={window} is not below maximum_record_age_in_seconds={age}: AWS "
            "refuses it, for records would expire while they wait; choose a shorter window, the default is "
            f"{StreamDelivery.maximum_batching_window_in_seconds}, or a longer age"
        )


def filter_problems(filters: Sequence[str]) -> Iterator[str]:
    """Yield why AWS would refuse a mapping's filters, one line per problem."""
    if len(filters) > FILTERS_PER_MAPPING:
        yield (
            f"filters has {len(filters)} patterns and AWS takes {FILTERS_PER_MAPPING}: "
            "join some with $or, or filter inside the function"
        )
    for index, pattern in enumerate(filters):
        if len(pattern) > FILTER_PATTERN_CHARACTERS:
            yield (
                f"filters[{index}] has {len(pattern)} characters and AWS takes {FILTER_PATTERN_CHARACTERS}: "
                "filter on fewer values, or inside the function"
            )
        try:
            validate(pattern)
        except InvalidPattern as error:
            yield f"filters[{index}]: {error}; AWS refuses the mapping"


def check_retention(name: str, maximum_record_age_in_seconds: int, retention_in_seconds: int) -> None:
    """Refuse a record age that the source does not reach.

    Args:
        name: The consumer's name, for the message.
        maximum_record_age_in_seconds: The age at which it gives a record up.
        retention_in_seconds: How long the source keeps a record.

    Raises:
        InvalidDelivery: Records would vanish from the source before they are given up.
    """
    if maximum_record_age_in_seconds >= retention_in_seconds:
        raise InvalidDelivery(
            f"{name}: maximum_record_age_in_seconds={maximum_record_age_in_seconds} is not below the "
            f"{retention_in_seconds} s the stream keeps a record: it would vanish before it reaches the failure "
            f"destination; choose less, the default is {StreamDelivery.maximum_record_age_in_seconds}"
        )


def service_of(destination: aws.s3.Bucket | aws.sqs.Queue | aws.sns.Topic) -> str:
    """Return the service of a destination of the program, as in its ARN."""
    return _SERVICES[destination.pulumi_resource_type]


def destination_problem(destination: Destination) -> str | None:
    """Tell why Lambda cannot deliver failed batches there (docs/aws-semantics.md §2.1), or return `None`.

    Args:
        destination: As `StreamDelivery.on_failure`.
    """
    if isinstance(destination, pulumi.Resource) and destination.pulumi_resource_type in _SERVICES:
        return None
    if not isinstance(destination, str):
        return (
            f'is a {type(destination).__name__}: choose "s3", "sqs" or "sns" for a destination of the consumer\'s own, '
            "pass the bucket, queue or topic itself when the program creates it (its kind decides the permissions, and "
            "an Output does not tell it), or write out the ARN of one that exists"
        )
    if destination in ("s3", "sqs", "sns"):
        return None
    service = destination.split(":")[2] if destination.startswith("arn:") and destination.count(":") >= 5 else ""
    if service not in ("s3", "sqs", "sns"):
        return (
            f"is {destination!r}, neither s3, sqs, sns nor the ARN of a bucket, queue or topic: "
            "a stream's failed batches can go nowhere else"
        )
    return fifo_problem(destination) if destination.endswith(".fifo") else None


def fifo_problem(arn: str) -> str:
    """Tell why Lambda cannot deliver failed batches to a FIFO queue or topic."""
    return (
        f"is {arn!r}, which is FIFO: Lambda delivers failed batches to standard queues and topics only, "
        "so each would be lost; choose a standard one"
    )


_RANGED = {
    "batch_size": "BatchSize",
    "maximum_batching_window_in_seconds": "MaximumBatchingWindowInSeconds",
    "parallelization_factor": "ParallelizationFactor",
    "maximum_retry_attempts": "MaximumRetryAttempts",
    "maximum_record_age_in_seconds": "MaximumRecordAgeInSeconds",
    "tumbling_window_in_seconds": "TumblingWindowInSeconds",
}


def _why(name: str, allowed: Range) -> str:
    if name == "maximum_record_age_in_seconds":
        return "AWS refuses a record age under a minute; -1 means until the stream forgets the record"
    return f"AWS refuses the mapping; choose a whole number within {allowed}"
