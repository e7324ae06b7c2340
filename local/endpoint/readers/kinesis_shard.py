"""`KinesisShardReader`: reads one shard of a Kinesis stream, from a position that it can return to."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local.engine.streams.records import StreamRecord, from_kinesis


class KinesisShardReader:
    """Reads a shard once, in order. Shards do not split here, so none ends.

    Args:
        kinesis: A boto3 client of Kinesis.
        stream_arn: The stream's ARN.
        shard_id: The shard's id.
        start: The starting position, as members of GetShardIterator: a ShardIteratorType and its Timestamp. `LATEST`
            is behind the last record at the time of construction.
        role_arn: ARN of the reading role, which is part of the records.
        clock: Returns the time in seconds since 1970.
    """

    ended = False

    def __init__(
        self,
        kinesis: Any,
        *,
        stream_arn: str,
        shard_id: str,
        start: Mapping[str, Any],
        role_arn: str,
        clock: Callable[[], float],
    ) -> None:
        self.shard_id = shard_id
        self._kinesis = kinesis
        self._stream_arn = stream_arn
        self.role_arn = role_arn
        self._clock = clock
        self._start = start
        #: Sequence numbers of the last finished record and of the last one read; `None` before the first.
        self._checkpoint: str | None = None
        self._last_read: str | None = None
        if start["ShardIteratorType"] == "LATEST":
            # An iterator dies in five minutes, a sequence number lasts.
            self._start = {"ShardIteratorType": "TRIM_HORIZON"}
            for record in self.read():
                self._checkpoint = record.identifier

    def read(self) -> Iterator[StreamRecord]:
        """Read the records of the stream that were not read yet."""
        while True:
            # ministack's iterators count records from the oldest one, and so jump when that one expires.
            position = self._start
            if self._last_read is not None:
                position = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": self._last_read}
            iterator = self._kinesis.get_shard_iterator(StreamARN=self._stream_arn, ShardId=self.shard_id, **position)[
                "ShardIterator"
            ]
            page = self._kinesis.get_records(ShardIterator=iterator)["Records"]
            if not page:
                return
            self._last_read = page[-1]["SequenceNumber"]
            now = self._clock()
            for record in page:
                yield self._record(record, now)

    def rewind(self, checkpoint: str | None) -> None:
        """Go back to behind the last finished record; `None` if none was finished since the last call."""
        if checkpoint is not None:
            self._checkpoint = checkpoint
        self._last_read = self._checkpoint

    def _record(self, record: Mapping[str, Any], now: float) -> StreamRecord:
        arrived = round(record["ApproximateArrivalTimestamp"].timestamp(), 3)
        event = from_kinesis(
            partition_key=record["PartitionKey"],
            sequence_number=record["SequenceNumber"],
            data=base64.b64encode(record["Data"]).decode(),
            arrived=arrived,
            shard_id=self.shard_id,
            stream_arn=self._stream_arn,
            role_arn=self.role_arn,
        )
        return StreamRecord(event, arrived=arrived, visible=now, sequence=record["SequenceNumber"])


def kinesis_readers_of(
    kinesis: Any,
    *,
    stream_arn: str,
    starting_position: str,
    timestamp: float | None,
    role_arn: str,
    clock: Callable[[], float],
) -> list[KinesisShardReader]:
    """Make a reader for each shard of a stream.

    Args:
        kinesis: A boto3 client of Kinesis.
        stream_arn: The stream's ARN.
        starting_position: `TRIM_HORIZON`, `LATEST` or `AT_TIMESTAMP`.
        timestamp: The position of `AT_TIMESTAMP`, in seconds since 1970.
        role_arn: ARN of the reading role.
        clock: Returns the time in seconds since 1970.

    Raises:
        ClientError: The stream does not exist.
    """
    pages = kinesis.get_paginator("list_shards").paginate(StreamARN=stream_arn)
    start = {"ShardIteratorType": starting_position, **({} if timestamp is None else {"Timestamp": timestamp})}
    return [
        KinesisShardReader(
            kinesis,
            stream_arn=stream_arn,
            shard_id=shard["ShardId"],
            start=start,
            role_arn=role_arn,
            clock=clock,
        )
        for page in pages
        for shard in page["Shards"]
    ]
