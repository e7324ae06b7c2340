"""Kinds of event sources that pipes and mappings read (docs/aws-semantics.md §3.1, §3.7, §3.8)."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from local.engine.queues.batches import content_of
from local.engine.streams.records import StreamRecord

SourceKind = Literal["DynamoDB stream", "Kinesis stream", "SQS queue"]


@dataclass(frozen=True)
class EventSource:
    """One kind of event source.

    Attributes:
        kind: Its name.
        parameters: Its member of SourceParameters.
        defaults: Defaults of a pipe, as DescribePipe answers them; it leaves out other members that have a default.
        fixed: Members that UpdatePipe cannot change.
        event_source: The value of `eventSource` in its events.
        identifier: The member that names an event in an answer.
    """

    kind: SourceKind
    parameters: str
    defaults: Mapping[str, Any]
    fixed: Sequence[str]
    event_source: str
    identifier: Literal["eventID", "messageId"]

    @property
    def is_stream(self) -> bool:
        """Whether it keeps its records and they are read in order; messages of a queue are taken out of it."""
        return self.kind != "SQS queue"

    def given(self, pipe: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the source's own parameters of a pipe."""
        return pipe.get("SourceParameters", {}).get(self.parameters, {})


_SOURCES: Mapping[str, EventSource] = {
    r"arn:[^:]+:dynamodb:[^:]+:\d{12}:table/[^/]+/stream/.+": EventSource(
        "DynamoDB stream",
        "DynamoDBStreamParameters",
        {"BatchSize": 100},
        ("StartingPosition",),
        "aws:dynamodb",
        "eventID",
    ),
    r"arn:[^:]+:kinesis:[^:]+:\d{12}:stream/[^/]+": EventSource(
        "Kinesis stream",
        "KinesisStreamParameters",
        {"BatchSize": 100},
        ("StartingPosition", "StartingPositionTimestamp"),
        "aws:kinesis",
        "eventID",
    ),
    r"arn:[^:]+:sqs:[^:]+:\d{12}:[^:]+": EventSource(
        "SQS queue",
        "SqsQueueParameters",
        {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0},
        (),
        "aws:sqs",
        "messageId",
    ),
}


class UnsupportedSource(ValueError):
    """Source that is not simulated."""


def source_of(arn: str) -> EventSource:
    """Return the kind of source that an ARN names.

    Raises:
        UnsupportedSource: It names a source that is not simulated.

    >>> source_of("arn:aws:sqs:us-east-1:111122223333:orders").identifier
    'messageId'
    """
    for pattern, source in _SOURCES.items():
        if re.fullmatch(pattern, arn):
            return source
    raise UnsupportedSource(
        f"{arn!r} is not a source that is simulated: give the ARN of a table's stream (LatestStreamArn), of a Kinesis "
        "stream or of a queue, or test this on an AWS account"
    )


def as_event(record: StreamRecord) -> StreamRecord:
    """Convert a stream's record to a pipe's: named by its event ID (PIPE-FAIL-4), and Kinesis's flat (PIPE-KIN-1)."""
    event = {name: value for name, value in record.event.items() if name != "kinesis"}
    event = {**record.event.get("kinesis", {}), **event}
    return StreamRecord(
        event, arrived=record.arrived, visible=record.visible, identifier=event["eventID"], sequence=record.sequence
    )


def opened(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return a source's event as input templates and dynamic parameters see it (PIPE-SHAPE-6).

    The `data` of Kinesis is the JSON that it holds, and the `body` of SQS the object or array; others are as they came.

    >>> opened({"eventSource": "aws:sqs", "body": '{"id": "u1"}'})["body"]
    {'id': 'u1'}
    >>> opened({"eventSource": "aws:kinesis", "data": "bm8ganNvbg=="})["data"]
    'bm8ganNvbg=='
    """
    seen = dict(event)
    match event.get("eventSource"):
        case "aws:kinesis":
            with contextlib.suppress(ValueError):
                seen["data"] = json.loads(base64.b64decode(event["data"]))
        case "aws:sqs":
            seen["body"] = content_of(event["body"])
        case _:
            pass
    return seen
