"""Kinesis streams as the source of event source mappings.

https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-create.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from aws_limits import STREAM_RETENTION_SECONDS
from local.delivery.admission import IN_THE_FUTURE, problems, settings_of
from local.errors import AwsError, invalid_parameter
from local.kinesis_shards import kinesis_readers_of
from local.mappings import MappingRunner, Surroundings, Target
from local.roles import role_of
from local.services.event_source_mappings import EventSourceMapping, Parameters, Runner
from local.services.stream_source import StreamSource, check_role


class KinesisSource:
    """`Source` of Kinesis streams: the settings are those of a table's stream, and one more starting position.

    Args:
        surroundings: What the mappings share.
        kinesis: A boto3 client of Kinesis.
    """

    defaults: Mapping[str, Any] = StreamSource.defaults
    fixed: Sequence[str] = (*StreamSource.fixed, "StartingPositionTimestamp")
    updatable: Sequence[str] = StreamSource.updatable
    described: Mapping[str, Any] = StreamSource.described

    def __init__(self, surroundings: Surroundings, kinesis: Any) -> None:
        self._with = surroundings
        self._kinesis = kinesis

    def reads(self, arn: str) -> bool:
        """Whether it is the ARN of a Kinesis stream, and not of a consumer with enhanced fan-out."""
        return re.fullmatch(r"arn:aws:kinesis:[^:]+:\d{12}:stream/[^/]+", arn) is not None

    def check(self, arn: str, parameters: Parameters) -> None:
        """Refuse what AWS refuses, in its words where they were recorded."""
        timestamp = parameters.get("StartingPositionTimestamp")
        if timestamp is not None and (isinstance(timestamp, bool) or not isinstance(timestamp, int | float)):
            raise AwsError("SerializationException", f"StartingPositionTimestamp must be a time, not {timestamp!r}")
        known = {name: value for name, value in parameters.items() if name != "UUID" and value is not None}
        for problem in problems({**known, "EventSourceArn": arn}):
            raise invalid_parameter(problem)
        if timestamp is not None and timestamp > self._with.clock.now():
            raise invalid_parameter(IN_THE_FUTURE)

    def conflict(self, arn: str, function_arn: str, mapping_uuid: str) -> str:
        """What AWS says when function and stream have a mapping already."""
        return (
            f'The event source arn (" {arn} ") and function (" {function_arn.split(":", 6)[6]} ") provided mapping '
            f"already exists. Please update or delete the existing mapping with UUID {mapping_uuid}"
        )

    def connect(self, parameters: Parameters, function: Mapping[str, Any]) -> Callable[[EventSourceMapping], Runner]:
        """The stream's readers, from the starting position on; every runner goes on where the one before it ended."""
        arn = parameters["EventSourceArn"]
        role = role_of(function)
        check_role(self._with.roles, role, parameters, operations="DescribeStream, ListShards, and ListStreams")
        try:
            readers = kinesis_readers_of(
                self._kinesis,
                stream_arn=arn,
                starting_position=parameters["StartingPosition"],
                timestamp=parameters.get("StartingPositionTimestamp"),
                role_arn=role.role_arn,
                clock=self._with.clock.now,
            )
        except ClientError as missing:
            raise invalid_parameter(f"Stream not found: {arn}") from missing

        def runner(mapping: EventSourceMapping) -> Runner:
            return MappingRunner(
                Target(mapping.uuid, function["FunctionArn"], arn, role),
                settings_of(mapping.configuration, retention=STREAM_RETENTION_SECONDS),
                readers=readers,
                surroundings=self._with,
                history=mapping.history,
                on_result=mapping.note,
            ).poller

        return runner
