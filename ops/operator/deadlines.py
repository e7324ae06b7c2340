"""Deadlines of a reader that stands still: when its records are given up, and when its source forgets them."""

from __future__ import annotations

from typing import Any, NamedTuple

from aws_semantics.limits import STREAM_RETENTION_SECONDS
from ops.operator.reader import ReadsSource
from ops.operator.stack import Stack


class Horizon(NamedTuple):
    """Ages of a record, in seconds, at which it is no longer processed.

    Attributes:
        given_up: When the mapping or pipe sends it to the failure destination; infinite without a record age.
        forgotten: When the source forgets it.
    """

    given_up: float
    forgotten: float

    @property
    def first(self) -> float:
        """The earlier one."""
        return min(self)


def horizon_of(stack: Stack, reader: ReadsSource) -> Horizon:
    """Return the horizon of a reader's records."""
    return Horizon(reader.record_age, _retention(stack, reader.source))


def _retention(stack: Stack, source: str) -> float:
    service, name = source.split(":")[2], source.rpartition(":")[2]
    if service == "sqs":
        sqs: Any = stack.client("sqs")
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        names = ["MessageRetentionPeriod"]
        return float(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]])
    if service == "kinesis":
        summary = stack.client("kinesis").describe_stream_summary(StreamARN=source)
        return summary["StreamDescriptionSummary"]["RetentionPeriodHours"] * 3600.0
    return float(STREAM_RETENTION_SECONDS)
