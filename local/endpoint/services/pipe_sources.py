"""The sources of pipes (docs/aws-semantics.md §3.1, §3.7, §3.8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from aws_semantics.limits import STREAM_RETENTION_SECONDS
from local.endpoint.api.errors import AwsError
from local.endpoint.clients import reading_as
from local.endpoint.delivery.pipe import PipeRun
from local.endpoint.delivery.polling_thread import PollingThread
from local.endpoint.readers.kinesis_shard import kinesis_readers_of
from local.endpoint.readers.stream_shard import readers_of
from local.engine.clock import Clock
from local.engine.pipes.sources import EventSource, source_of
from local.engine.streams.admission import IN_THE_FUTURE

#: Makes a pipe's poller each time it is started. Each poller goes on where the one before it ended.
Connect = Callable[[PipeRun], PollingThread]


class PipeSources:
    """Connects pipes with their sources.

    Args:
        streams: A boto3 client of DynamoDB Streams.
        kinesis: A boto3 client of Kinesis.
        queues: A boto3 client of SQS.
        clock: The clock of the readers.
    """

    def __init__(self, *, streams: Any, kinesis: Any, queues: Any, clock: Clock) -> None:
        self._streams = streams
        self._kinesis = kinesis
        self._queues = queues
        self._clock = clock

    def connect(self, pipe: Mapping[str, Any]) -> Connect:
        """Look at a pipe's source once.

        Raises:
            AwsError: It does not exist, or cannot be read from the requested position.
        """
        source = source_of(pipe["Source"])
        try:
            match source.kind:
                case "DynamoDB stream":
                    return self._stream(pipe, source)
                case "Kinesis stream":
                    return self._kinesis_stream(pipe, source)
                case "SQS queue":
                    return self._queue(pipe)
        except ClientError as missing:
            raise AwsError("ValidationException", f"Source {pipe['Source']} not found.") from missing

    def check_usable(self, pipe: Mapping[str, Any]) -> None:
        """Refuse to change a pipe whose table's stream was turned off: it cannot outlive its stream (PIPE-CREATE-1).

        AWS documents that such a pipe cannot be started, stopped or updated; the message is the endpoint's own.
        """
        if source_of(pipe["Source"]).kind != "DynamoDB stream":
            return
        try:
            with reading_as("pipe source"):
                status = self._streams.describe_stream(StreamArn=pipe["Source"])["StreamDescription"]["StreamStatus"]
        except ClientError:
            status = "DELETED"
        if status != "ENABLED":
            raise AwsError(
                "ValidationException",
                f"The stream {pipe['Source']} is {status}, and {pipe['Name']} cannot be started, stopped or updated "
                "any more: delete it, and create a pipe of the table's new stream.",
            )

    def _stream(self, pipe: Mapping[str, Any], source: EventSource) -> Connect:
        readers = readers_of(
            self._streams,
            stream_arn=pipe["Source"],
            starting_position=source.given(pipe)["StartingPosition"],
            clock=self._clock.now,
        )
        return lambda run: run.of_stream(readers, retention=STREAM_RETENTION_SECONDS)

    def _kinesis_stream(self, pipe: Mapping[str, Any], source: EventSource) -> Connect:
        given = source.given(pipe)
        timestamp = given.get("StartingPositionTimestamp")
        if timestamp is not None and timestamp > self._clock.now():
            raise AwsError("ValidationException", IN_THE_FUTURE)
        readers = kinesis_readers_of(
            self._kinesis,
            stream_arn=pipe["Source"],
            starting_position=given["StartingPosition"],
            timestamp=timestamp,
            role_arn=pipe["RoleArn"],
            clock=self._clock.now,
        )
        return lambda run: run.of_stream(readers, retention=self._kinesis_retention(pipe["Source"]))

    def _kinesis_retention(self, arn: str) -> int:
        """Return how long a Kinesis stream keeps a record, in seconds, at the time when the pipe starts."""
        try:
            summary = self._kinesis.describe_stream_summary(StreamARN=arn)["StreamDescriptionSummary"]
        except ClientError:
            return STREAM_RETENTION_SECONDS  # the stream is gone, as the first read will say
        return summary["RetentionPeriodHours"] * 3600

    def _queue(self, pipe: Mapping[str, Any]) -> Connect:
        url = self._queues.get_queue_url(QueueName=pipe["Source"].rpartition(":")[2])["QueueUrl"]
        return lambda run: run.of_queue(url)
