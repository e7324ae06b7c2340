"""What a pipe can read, and a mapping as well (docs/aws-semantics.md §3.1, §3.7, §3.8)."""

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

Kind = Literal["DynamoDB stream", "Kinesis stream", "SQS queue"]


@dataclass(frozen=True)
class Source:
    """One kind of source.

    Attributes:
        kind: Its name.
        parameters: The member of SourceParameters that is for it.
        defaults: What a pipe has when nothing is said, as AWS reads it back; what else has a default is left out there.
        fixed: What UpdatePipe cannot change.
        event_source: What its events have under `eventSource`.
        identifier: The member that an answer names an event by.
    """

    kind: Kind
    parameters: str
    defaults: Mapping[str, Any]
    fixed: Sequence[str]
    event_source: str
    identifier: Literal["eventID", "messageId"]

    @property
    def is_stream(self) -> bool:
        """Whether its records stay where they are and are read in order; messages of a queue are taken."""
        return self.kind != "SQS queue"

    def given(self, pipe: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a pipe says of it."""
        return pipe.get("SourceParameters", {}).get(self.parameters, {})


_SOURCES: Mapping[str, Source] = {
    r"arn:[^:]+:dynamodb:[^:]+:\d{12}:table/[^/]+/stream/.+": Source(
        "DynamoDB stream",
        "DynamoDBStreamParameters",
        {"BatchSize": 100},
        ("StartingPosition",),
        "aws:dynamodb",
        "eventID",
    ),
    r"arn:[^:]+:kinesis:[^:]+:\d{12}:stream/[^/]+": Source(
        "Kinesis stream",
        "KinesisStreamParameters",
        {"BatchSize": 100},
        ("StartingPosition", "StartingPositionTimestamp"),
        "aws:kinesis",
        "eventID",
    ),
    r"arn:[^:]+:sqs:[^:]+:\d{12}:[^:]+": Source(
        "SQS queue",
        "SqsQueueParameters",
        {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0},
        (),
        "aws:sqs",
        "messageId",
    ),
}


class UnsupportedSource(ValueError):
    """Reading this is not simulated."""


def source_of(arn: str) -> Source:
    """What an ARN stands for.

    Raises:
        UnsupportedSource: Nothing that is simulated.

    >>> source_of("arn:aws:sqs:us-east-1:111122223333:orders").identifier
    'messageId'
    """
    for pattern, source in _SOURCES.items():
        if re.fullmatch(pattern, arn):
            return source
    raise UnsupportedSource(
        f"{arn!r} is no source that is simulated: give the ARN of a table's stream (LatestStreamArn), of a Kinesis "
        "stream or of a queue, or test this on an AWS account"
    )


def as_event(record: StreamRecord) -> StreamRecord:
    """A stream's record as a pipe has it: named by its event ID (PIPE-FAIL-4), and Kinesis's flat (PIPE-KIN-1)."""
    event = {name: value for name, value in record.event.items() if name != "kinesis"}
    event = {**record.event.get("kinesis", {}), **event}
    return StreamRecord(
        event, arrived=record.arrived, visible=record.visible, identifier=event["eventID"], sequence=record.sequence
    )


def opened(event: Mapping[str, Any]) -> dict[str, Any]:
    """A source's event as input templates and dynamic parameters see it (PIPE-SHAPE-6).

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
