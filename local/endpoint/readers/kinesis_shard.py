"""Reading one shard of a Kinesis stream, from a position that can be returned to."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local.engine.streams.records import StreamRecord, from_kinesis


class KinesisShardReader:
    """Reads a shard once, in order. Shards do not split here, so that none ends.

    Args:
        kinesis: A boto3 client of Kinesis.
        start: The members of GetShardIterator that say where to begin: a ShardIteratorType, and its Timestamp. `LATEST`
            is behind the last record that is there when this is made.
        role_arn: Of the role that reads, which records name.
        clock: Seconds since 1970.
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
        self._role_arn = role_arn
        self._clock = clock
        self._start = start
        #: Sequence numbers of the last record done with and of the last one read; `None` before the first.
        self._checkpoint: str | None = None
        self._last_read: str | None = None
        if start["ShardIteratorType"] == "LATEST":
            # An iterator dies in five minutes, a sequence number lasts.
            self._start = {"ShardIteratorType": "TRIM_HORIZON"}
            for record in self.read():
                self._checkpoint = record.identifier

    def read(self) -> Iterator[StreamRecord]:
        """What the stream holds that was not read yet."""
        while True:
            # ministack's iterators count records from the oldest one on, and so jump when that one expires.
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
        """Go back to behind the last record done with; `None` when none was since the last call."""
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
            role_arn=self._role_arn,
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
    """A reader for each shard of a stream.

    Begins at TRIM_HORIZON, at LATEST, or AT_TIMESTAMP, which needs a timestamp in seconds since 1970.

    Raises:
        ClientError: There is no such stream.
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
