"""The DynamoDB Streams API: what is checked before ministack answers (docs/aws-semantics.md §1.1)."""

from __future__ import annotations

from collections.abc import Callable

from local.calls import AwsCall
from local.clock import Clock
from local.errors import AwsError
from local.metrics import Metrics
from local.reader_limit import ReaderLimit

#: Records of one GetRecords.
_RECORDS = 1000


class Streams:
    """Refuses whom a shard does not serve.

    Args:
        limit: Of readers per shard.
        iterator: Answers stream ARN and shard of an iterator; `None` when it is none.
    """

    def __init__(
        self,
        limit: ReaderLimit,
        *,
        clock: Clock,
        metrics: Metrics,
        iterator: Callable[[str], tuple[str, str] | None],
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._metrics = metrics
        self._iterator = iterator

    def check(self, call: AwsCall, reader: str) -> None:
        """Refuse what AWS refuses (DDB-LIMIT-3, DDB-LIMIT-6).

        Args:
            call: Of the service.
            reader: Who makes it.
        """
        if call.operation != "GetRecords":
            return
        limit = call.parameters.get("Limit")
        if isinstance(limit, int) and limit > _RECORDS:
            raise AwsError("LimitExceededException", f"Limit is {limit}, and GetRecords reads {_RECORDS} at most.")
        read = self._iterator(str(call.parameters.get("ShardIterator", "")))
        if read is None:
            return
        stream_arn, shard_id = read
        now = self._clock.now()
        if not self._limit.admits(reader, stream_arn=stream_arn, shard_id=shard_id, now=now):
            table = stream_arn.split("/")[1]
            self._metrics.record(
                "ThrottledRequests", 1, at=now, namespace="AWS/DynamoDB", TableName=table, Operation="GetRecords"
            )
            raise AwsError("LimitExceededException", "Too many operations for a given subscriber.")
