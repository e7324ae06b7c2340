"""Kinesis streams as the source of event source mappings.

https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-create.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from local.endpoint.api.errors import AwsError, invalid_parameter
from local.endpoint.delivery.stream_mapping import StreamMappingDependencies
from local.endpoint.readers.kinesis_shard import KinesisShardReader, kinesis_readers_of
from local.endpoint.readers.stream_shard import Reader
from local.endpoint.roles import Caller
from local.endpoint.services.event_source_mappings import Parameters
from local.endpoint.services.stream_source import StreamSource
from local.engine.streams.admission import IN_THE_FUTURE


class KinesisSource(StreamSource):
    """`MappingSource` of Kinesis streams: the settings of a table's stream, and one more starting position.

    Args:
        dependencies: The services that the mappings share.
        kinesis: A boto3 client of Kinesis.
    """

    operations = "DescribeStream, ListShards, and ListStreams"
    fixed: Sequence[str] = (*StreamSource.fixed, "StartingPositionTimestamp")

    def __init__(self, dependencies: StreamMappingDependencies, kinesis: Any) -> None:
        super().__init__(dependencies)
        self._kinesis = kinesis

    def reads(self, arn: str) -> bool:
        """Return whether an ARN is a Kinesis stream's, not that of a consumer with enhanced fan-out."""
        return re.fullmatch(r"arn:aws:kinesis:[^:]+:\d{12}:stream/[^/]+", arn) is not None

    def check(self, arn: str, parameters: Parameters) -> None:
        """Refuse the settings that AWS refuses, in its words where they were recorded."""
        timestamp = parameters.get("StartingPositionTimestamp")
        if timestamp is not None and (isinstance(timestamp, bool) or not isinstance(timestamp, int | float)):
            raise AwsError("SerializationException", f"StartingPositionTimestamp must be a time, not {timestamp!r}")
        super().check(arn, {**parameters, "EventSourceArn": arn})
        if timestamp is not None and timestamp > self._with.clock.now():
            raise invalid_parameter(IN_THE_FUTURE)

    def _retention(self, arn: str) -> int:
        """Return how long the stream keeps a record, in seconds, at the time when the mapping begins to poll."""
        try:
            summary = self._kinesis.describe_stream_summary(StreamARN=arn)["StreamDescriptionSummary"]
        except ClientError:
            return super()._retention(arn)  # the stream is gone, as the first read will say
        return summary["RetentionPeriodHours"] * 3600

    def _read_as(self, readers: Sequence[Reader], role: Caller) -> None:
        """Read with a role, which records name."""
        for reader in readers:
            if isinstance(reader, KinesisShardReader):
                reader.role_arn = role.role_arn

    def _readers(self, parameters: Parameters, role: Caller) -> Sequence[Reader]:
        return kinesis_readers_of(
            self._kinesis,
            stream_arn=parameters["EventSourceArn"],
            starting_position=parameters["StartingPosition"],
            timestamp=parameters.get("StartingPositionTimestamp"),
            role_arn=role.role_arn,
            clock=self._with.clock.now,
        )
