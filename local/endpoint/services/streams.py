"""The DynamoDB Streams API: the limits, pages and ranges that ministack lacks (docs/aws-semantics.md §1)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.api.http_messages import Reply
from local.endpoint.clients import READER_HEADER
from local.endpoint.readers.call_rate import CallRate
from local.endpoint.readers.reader_limit import ReaderLimit
from local.endpoint.routes import PassOn, Routes
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock

#: Maximum of records in one GetRecords, and of shards or streams on one page (DDB-LIMIT-3, DDB-LIMIT-5).
_RECORDS = 1000
_PAGE = 100


class Streams:
    """The operations.

    Args:
        limit: The limit of readers per shard.
        clock: The clock that rates and throttles are counted by.
        metrics: The recorded datapoints.
        iterator: Returns the stream ARN and the shard of an iterator; `None` if the text is not an iterator.
        streams: Returns ARN, table and label of every stream that can be read: each table's current one, and those
            that were closed in the last 24 hours.
    """

    def __init__(
        self,
        limit: ReaderLimit,
        *,
        clock: Clock,
        metrics: Metrics,
        iterator: Callable[[str], tuple[str, str] | None],
        streams: Callable[[], Sequence[tuple[str, str, str]]],
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._metrics = metrics
        self._iterator = iterator
        self._streams = streams
        self._rates = {"DescribeStream": CallRate(10), "ListStreams": CallRate(5)}
        self._lock = threading.Lock()

    @property
    def routes(self) -> Routes:
        """The operations."""
        return Routes(
            answered={"dynamodbstreams:ListStreams": self.list_streams},
            checked={
                "dynamodbstreams:DescribeStream": [self._check_rate],
                "dynamodbstreams:GetRecords": [self._check_read],
                "dynamodbstreams:ListStreams": [self._check_rate],
            },
            amended={
                "dynamodbstreams:DescribeStream": self._describe,
                "dynamodbstreams:GetShardIterator": self._get_iterator,
            },
        )

    def _check_rate(self, call: AwsCall) -> None:
        """Refuse a client that asks too often (DDB-LIMIT-5). The endpoint's own readers do not count."""
        if READER_HEADER in call.request.headers:
            return
        with self._lock:
            admitted = self._rates[call.operation].admits(self._clock.now())
        if not admitted:
            raise AwsError("ThrottlingException", f"Rate of {call.operation} exceeded.")

    async def _get_iterator(self, call: AwsCall, pass_on: PassOn) -> Reply:
        # ministack does not know a number before that of a shard's first record.
        number = call.parameters.get("SequenceNumber")
        if number is None or number != _first_number(str(call.parameters.get("StreamArn", ""))):
            return await pass_on(call)
        asked = {**call.parameters, "ShardIteratorType": "TRIM_HORIZON"}
        return await pass_on(replace(call, request=call.request.with_body(json.dumps(asked).encode())))

    async def _describe(self, call: AwsCall, pass_on: PassOn) -> Reply:
        """Add what ministack leaves out: a shard without records has a range of sequence numbers, too."""
        reply = await pass_on(call)
        if reply.status != 200:
            return reply
        answer = json.loads(reply.body)
        description = answer["StreamDescription"]
        first = _first_number(description["StreamArn"])
        for shard in description["Shards"]:
            numbers = shard["SequenceNumberRange"]
            if not numbers:
                numbers["StartingSequenceNumber"] = first
                if description["StreamStatus"] == "DISABLED":
                    numbers["EndingSequenceNumber"] = first
        # ministack has the table's.
        description["CreationRequestDateTime"] = _created(description["StreamArn"])
        return Reply.json(200, answer)

    def list_streams(self, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer ListStreams, closed streams included (DDB-RECORD-9)."""
        limit = parameters.get("Limit", _PAGE)
        if not 1 <= limit <= _PAGE:
            bound = f"less than or equal to {_PAGE}" if limit > _PAGE else "greater than or equal to 1"
            raise AwsError(
                "ValidationException",
                f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must "
                f"have value {bound}",
            )
        table, after = parameters.get("TableName"), parameters.get("ExclusiveStartStreamArn", "")
        found = sorted((arn, of, label) for arn, of, label in self._streams() if table in (None, of) and arn > after)
        page: dict[str, Any] = {
            "Streams": [{"StreamArn": arn, "TableName": of, "StreamLabel": label} for arn, of, label in found[:limit]]
        }
        if len(found) > limit:
            page["LastEvaluatedStreamArn"] = found[limit - 1][0]
        return 200, page

    def _check_read(self, call: AwsCall) -> None:
        """Refuse a page that is too large, and one reader too many (DDB-LIMIT-3, DDB-LIMIT-6)."""
        limit = call.parameters.get("Limit")
        if isinstance(limit, int) and limit > _RECORDS:
            raise AwsError("LimitExceededException", f"Limit is {limit}, and GetRecords reads {_RECORDS} at most.")
        read = self._iterator(str(call.parameters.get("ShardIterator", "")))
        if read is None:
            return
        stream_arn, shard_id = read
        # A reader of the user's is known by its connection: a client process keeps one open.
        reader = call.request.headers.get(READER_HEADER) or call.request.client
        with self._lock:
            now = self._clock.now()
            admitted = self._limit.admits(reader, stream_arn=stream_arn, shard_id=shard_id, now=now)
        if not admitted:
            table = stream_arn.split("/")[1]
            self._metrics.record(
                "ThrottledRequests", 1, at=now, namespace="AWS/DynamoDB", TableName=table, Operation="GetRecords"
            )
            raise AwsError("LimitExceededException", "Too many operations for a given subscriber.")


def _created(stream_arn: str) -> float:
    """Return when a stream was created, in seconds since 1970; its label says it."""
    return datetime.fromisoformat(stream_arn.rpartition("/")[2]).replace(tzinfo=UTC).timestamp()


def _first_number(stream_arn: str) -> str | None:
    """Return a sequence number before those of all records of a stream; `None` if the ARN is not a stream's."""
    try:
        return f"{round(_created(stream_arn) * 1000):020d}{0:010d}"
    except ValueError:
        return None
