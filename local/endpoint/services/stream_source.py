"""DynamoDB streams as the source of event source mappings (docs/aws-semantics.md §2.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from aws_semantics.limits import STREAM_RETENTION_SECONDS
from aws_semantics.permissions import reading, sending_failures
from local.endpoint.api.errors import invalid_parameter
from local.endpoint.delivery.polling_thread import PollingThread
from local.endpoint.delivery.stream_mapping import StreamMapping, StreamMappingDependencies, poll_stream
from local.endpoint.readers.stream_shard import Reader, ShardReader, shard_ids
from local.endpoint.roles import Caller, Roles, refused_call, role_of
from local.endpoint.services.event_source_mappings import EventSourceMapping, Parameters
from local.engine.streams.admission import problems, settings_of


class StreamSource:
    """`MappingSource` of DynamoDB streams.

    Args:
        dependencies: The services that the mappings share.

    Attributes:
        operations: The last operations in AWS's message about a role that may not read the stream.
    """

    operations = "DescribeStream, and ListStreams"

    defaults: Mapping[str, Any] = {
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 0,
        "ParallelizationFactor": 1,
        "BisectBatchOnFunctionError": False,
        "MaximumRetryAttempts": -1,
        "MaximumRecordAgeInSeconds": -1,
        "TumblingWindowInSeconds": 0,
        "DestinationConfig": {"OnFailure": {}},
        "FunctionResponseTypes": [],
    }
    fixed: Sequence[str] = ("StartingPosition",)
    updatable: Sequence[str] = (*defaults, "FilterCriteria", "MetricsConfig")
    described: Mapping[str, Any] = {"StateTransitionReason": "User action", "LastProcessingResult": ""}

    def __init__(self, dependencies: StreamMappingDependencies) -> None:
        self._with = dependencies

    def reads(self, arn: str) -> bool:
        """Return whether an ARN is that of a table's stream."""
        return re.fullmatch(r"arn:aws:dynamodb:[^:]+:\d{12}:table/[^/]+/stream/.+", arn) is not None

    def check(self, arn: str, parameters: Parameters) -> None:  # noqa: ARG002 - `MappingSource`
        """Refuse the settings that AWS refuses, in its words."""
        known = {name: value for name, value in parameters.items() if name != "UUID" and value is not None}
        for problem in problems(known):
            raise invalid_parameter(problem)

    def conflict(self, arn: str, function_arn: str, mapping_uuid: str) -> str:
        """Return AWS's message for a second mapping of the same function and stream."""
        return (
            f'The event source arn (" {arn} ") and function (" {function_arn.split(":", 6)[6]} ") provided mapping '
            f"already exists. Please update or delete the existing mapping with UUID {mapping_uuid}"
        )

    def check_function(self, parameters: Parameters, function: Mapping[str, Any]) -> None:
        """Refuse a function whose role may not read the stream."""
        _check_role(self._with.roles, role_of(function), parameters, operations=self.operations)

    def connect(
        self, parameters: Parameters, function: Mapping[str, Any]
    ) -> Callable[[EventSourceMapping], PollingThread]:
        """Open the stream at the starting position. Each poller goes on where the one before it ended."""
        arn = parameters["EventSourceArn"]
        try:
            readers = self._readers(parameters, role_of(function))
        except ClientError as missing:
            raise invalid_parameter(f"Stream not found: {arn}") from missing

        def poller(mapping: EventSourceMapping) -> PollingThread:
            role = role_of(mapping.function)
            self._read_as(readers, role)
            return poll_stream(
                StreamMapping(mapping.uuid, mapping.function_arn, arn, role),
                settings_of(mapping.configuration, retention=self._retention(arn)),
                readers=readers,
                dependencies=self._with,
                history=mapping.history,
                on_result=mapping.note,
            )

        return poller

    def _retention(self, arn: str) -> int:  # noqa: ARG002 - Kinesis needs it
        """Return how long the stream keeps a record, in seconds."""
        return STREAM_RETENTION_SECONDS

    def _read_as(self, readers: Sequence[Reader], role: Caller) -> None:
        """Read with a role. The records of a table's stream do not name it."""

    def _readers(self, parameters: Parameters, role: Caller) -> Sequence[Reader]:  # noqa: ARG002 - Kinesis needs it
        arn = parameters["EventSourceArn"]
        return [
            ShardReader(
                self._with.streams,
                stream_arn=arn,
                shard_id=shard_id,
                starting_position=parameters["StartingPosition"],
                clock=self._with.clock.now,
            )
            for shard_id in shard_ids(self._with.streams, arn)
        ]


def _check_role(roles: Roles, role: Caller, parameters: Parameters, *, operations: str) -> None:
    """Refuse a mapping whose function's role may not read the stream (ESM-CREATE-7).

    Args:
        roles: The account's roles.
        role: The function's role.
        parameters: The members of CreateEventSourceMapping.
        operations: The last operations in AWS's message.
    """
    arn = parameters["EventSourceArn"]
    refusal = roles.refusal(role, reading(arn))
    if refusal is not None:
        raise refused_call(
            refusal,
            "InvalidParameterValueException",
            f"Cannot access stream {arn}. Please ensure the role can perform the GetRecords, GetShardIterator, "
            f"{operations} Actions on your stream in IAM.",
        )
    destination = parameters.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    if destination:
        roles.check_decidable(role, sending_failures(destination))
