"""The DynamoDB Streams API: ministack answers most of it; here is what it does not (docs/aws-semantics.md §1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.readers.call_rate import CallRate
from local.endpoint.readers.reader_limit import ReaderLimit
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock

#: Records of one GetRecords, and shards or streams of one page (DDB-LIMIT-3, DDB-LIMIT-5).
_RECORDS = 1000
_PAGE = 100


@dataclass(frozen=True)
class Stream:
    """A stream that can be read: a table's current one, or one that was closed in the last 24 hours."""

    arn: str
    table: str
    label: str


class Streams:
    """The operations.

    Args:
        limit: Of readers per shard.
        iterator: Answers stream ARN and shard of an iterator; `None` when it is none.
        streams: Answers every stream that can be read.
    """

    def __init__(
        self,
        limit: ReaderLimit,
        *,
        clock: Clock,
        metrics: Metrics,
        iterator: Callable[[str], tuple[str, str] | None],
        streams: Callable[[], Sequence[Stream]],
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._metrics = metrics
        self._iterator = iterator
        self._streams = streams
        self._rates = {"DescribeStream": CallRate(10), "ListStreams": CallRate(5)}

    def check(self, call: AwsCall, *, own: str | None, connection: str) -> None:
        """Refuse what AWS refuses (DDB-LIMIT-3, DDB-LIMIT-5, DDB-LIMIT-6).

        Args:
            call: Of the service.
            own: The name of a reader of the endpoint's own; how often the account may ask is not for those.
            connection: By which a client makes the call.
        """
        now = self._clock.now()
        rate = self._rates.get(call.operation)
        if rate is not None and own is None and not rate.admits(now):
            raise AwsError("ThrottlingException", f"Rate of {call.operation} exceeded.")
        if call.operation == "GetRecords":
            self._check_read(call, own or connection, now)

    def asked(self, call: AwsCall) -> Mapping[str, Any]:
        """The parameters that ministack is given: it knows no number before that of a shard's first record."""
        number = call.parameters.get("SequenceNumber")
        if number is not None and number == _first_number(str(call.parameters.get("StreamArn", ""))):
            return {**call.parameters, "ShardIteratorType": "TRIM_HORIZON"}
        return call.parameters

    def described(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer of a DescribeStream with what ministack leaves out: a shard without records has a range, too."""
        description = answer["StreamDescription"]
        first = _first_number(description["StreamArn"])
        for shard in description["Shards"]:
            numbers = shard["SequenceNumberRange"]
            if not numbers:
                numbers["StartingSequenceNumber"] = first
                if description["StreamStatus"] == "DISABLED":
                    numbers["EndingSequenceNumber"] = first
        # ministack has that of the table.
        description["CreationRequestDateTime"] = _created(description["StreamArn"])
        return answer

    def list_streams(self, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """ListStreams; those that were closed are among them (DDB-RECORD-9)."""
        limit = parameters.get("Limit", _PAGE)
        if not 1 <= limit <= _PAGE:
            bound = f"less than or equal to {_PAGE}" if limit > _PAGE else "greater than or equal to 1"
            raise AwsError(
                "ValidationException",
                f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must "
                f"have value {bound}",
            )
        table, after = parameters.get("TableName"), parameters.get("ExclusiveStartStreamArn", "")
        found = sorted(
            (each for each in self._streams() if table in (None, each.table) and each.arn > after),
            key=lambda each: each.arn,
        )
        page: dict[str, Any] = {
            "Streams": [
                {"StreamArn": each.arn, "TableName": each.table, "StreamLabel": each.label} for each in found[:limit]
            ]
        }
        if len(found) > limit:
            page["LastEvaluatedStreamArn"] = found[limit - 1].arn
        return 200, page

    def _check_read(self, call: AwsCall, reader: str, now: float) -> None:
        limit = call.parameters.get("Limit")
        if isinstance(limit, int) and limit > _RECORDS:
            raise AwsError("LimitExceededException", f"Limit is {limit}, and GetRecords reads {_RECORDS} at most.")
        read = self._iterator(str(call.parameters.get("ShardIterator", "")))
        if read is None:
            return
        stream_arn, shard_id = read
        if not self._limit.admits(reader, stream_arn=stream_arn, shard_id=shard_id, now=now):
            table = stream_arn.split("/")[1]
            self._metrics.record(
                "ThrottledRequests", 1, at=now, namespace="AWS/DynamoDB", TableName=table, Operation="GetRecords"
            )
            raise AwsError("LimitExceededException", "Too many operations for a given subscriber.")


def _created(stream_arn: str) -> float:
    """When a stream was made, which its label says, in seconds since 1970."""
    return datetime.fromisoformat(stream_arn.rpartition("/")[2]).replace(tzinfo=UTC).timestamp()


def _first_number(stream_arn: str) -> str | None:
    """A sequence number before those of all records of a stream; `None` when it is none."""
    try:
        return f"{round(_created(stream_arn) * 1000):020d}{0:010d}"
    except ValueError:
        return None
