"""Deadlines of a consumer that reads nothing: when its records are given up, and when its source forgets them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from aws_semantics.limits import STREAM_RETENTION_SECONDS
from ops.operator.consumers import Consumer
from ops.operator.stack import Stack


class Horizon(NamedTuple):
    """Ages of a record, in seconds, at which it is no longer processed.

    Attributes:
        given_up: When the mapping sends it to the failure destination; infinite without a record age.
        forgotten: When the source forgets it.
    """

    given_up: float
    forgotten: float

    @property
    def first(self) -> float:
        """The earlier one."""
        return min(self)


def horizon_of(stack: Stack, consumer: Consumer) -> Horizon:
    """Return the horizon of a consumer's records."""
    age = consumer.mapping.get("MaximumRecordAgeInSeconds", -1)
    return Horizon(math.inf if age == -1 else age, _retention(stack, consumer))


def _retention(stack: Stack, consumer: Consumer) -> float:
    service, name = consumer.source.split(":")[2], consumer.source.rpartition(":")[2]
    if service == "sqs":
        sqs: Any = stack.client("sqs")
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        names = ["MessageRetentionPeriod"]
        return float(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]])
    if service == "kinesis":
        summary = stack.client("kinesis").describe_stream_summary(StreamARN=consumer.source)
        return summary["StreamDescriptionSummary"]["RetentionPeriodHours"] * 3600.0
    return float(STREAM_RETENTION_SECONDS)
