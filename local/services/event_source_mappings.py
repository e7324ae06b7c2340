"""Lambda's event source mapping API for DynamoDB streams (docs/aws-semantics.md §2.1, §2.2)."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from botocore.exceptions import ClientError

from aws_limits import FUNCTION_RESPONSE_TYPES, STREAM_MAPPING_METRICS, STREAM_MAPPING_RANGES, STREAM_STARTING_POSITIONS
from local.calls import service_model
from local.delivery.admission import filter_problems, filters_of
from local.delivery.settings import MappingSettings
from local.errors import AwsError, NotSimulated
from local.history import History
from local.mappings import ShardRunner, Surroundings, Target
from local.shards import ShardReader

Parameters = Mapping[str, Any]

#: What a mapping of a stream has when nothing is said, as AWS answers it.
DEFAULTS: dict[str, Any] = {
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

#: What UpdateEventSourceMapping can change.
UPDATABLE = (*DEFAULTS, "FilterCriteria", "MetricsConfig")


_JSON_TYPES = {"boolean": bool, "integer": int, "list": list, "string": str, "structure": dict}


class EventSourceMapping:
    """One mapping: its configuration, its state and the threads that run it."""

    def __init__(
        self, configuration: dict[str, Any], *, readers: list[ShardReader], surroundings: Surroundings
    ) -> None:
        self.configuration = configuration
        self.history = History()
        self.state = "Creating"
        self.last_processing_result = "No records processed"
        self._readers = readers
        self._with = surroundings
        self._runners: list[ShardRunner] = []

    @property
    def target(self) -> Target:
        """What it connects."""
        of = self.configuration
        return Target(of["UUID"], of["FunctionArn"], of["EventSourceArn"])

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do: every record that was written is done with, or it is disabled."""
        return self.state == "Disabled" or (self.state == "Enabled" and all(runner.idle for runner in self._runners))

    @property
    def unfinished(self) -> int:
        """How many records it has read and is not done with."""
        return sum(runner.unfinished for runner in self._runners)

    def start(self) -> None:
        """Begin to deliver, from where it was."""
        self._runners = [
            ShardRunner(
                self.target,
                _settings(self.configuration),
                reader=reader,
                surroundings=self._with,
                history=self.history,
                on_result=self._note,
            )
            for reader in self._readers
        ]
        for runner in self._runners:
            runner.start()
        self.state = "Enabled"

    def stop(self, then: Callable[[], None]) -> None:
        """Deliver no more, and call `then` once the invocations that run now have ended."""
        runners, self._runners = self._runners, []
        for runner in runners:
            runner.stop()

        def finish() -> None:
            for runner in runners:
                runner.join()
            then()

        threading.Thread(target=finish, name="mapping-stop", daemon=True).start()

    def wake(self) -> None:
        """The table may have changed."""
        for runner in self._runners:
            runner.wake()

    def describe(self) -> dict[str, Any]:
        """As AWS answers it: without a FilterCriteria that has no filters (§2.2, ESM-CREATE-6)."""
        filtered = (self.configuration.get("FilterCriteria") or {}).get("Filters")
        return {
            **{name: value for name, value in self.configuration.items() if filtered or name != "FilterCriteria"},
            "State": self.state,
            "StateTransitionReason": "User action",
            "LastProcessingResult": self.last_processing_result,
        }

    def _note(self, result: str) -> None:
        self.last_processing_result = result


class EventSourceMappings:
    """The API: each operation takes its parameters by AWS's names and returns the answer's status and body.

    Args:
        surroundings: What mappings work with.
        region: Of their ARNs.
        account_id: Likewise.
    """

    def __init__(self, *, surroundings: Surroundings, region: str, account_id: str) -> None:
        self._with = surroundings
        self._arn = f"arn:aws:lambda:{region}:{account_id}:event-source-mapping:"
        self._mappings: dict[str, EventSourceMapping] = {}
        self._lock = threading.RLock()

    def all(self) -> list[EventSourceMapping]:
        """Every mapping."""
        with self._lock:
            return list(self._mappings.values())

    def get(self, mapping_uuid: str) -> EventSourceMapping:
        """One mapping.

        Raises:
            AwsError: There is none.
        """
        with self._lock:
            mapping = self._mappings.get(mapping_uuid)
        if mapping is None:
            raise AwsError("ResourceNotFoundException", "The resource you requested does not exist.", status=404)
        return mapping

    def wake(self, tables: Collection[str]) -> None:
        """Tables have changed."""
        if tables:
            for mapping in self.all():
                if mapping.target.table_name in tables:
                    mapping.wake()

    def wake_all(self) -> None:
        """Time has passed."""
        for mapping in self.all():
            mapping.wake()

    def create_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """CreateEventSourceMapping."""
        _check_types("CreateEventSourceMapping", parameters)
        _check(parameters)
        stream_arn = str(parameters.get("EventSourceArn", ""))
        _check_starting_position(parameters, stream_arn)
        function_arn = self._function_arn(str(parameters["FunctionName"]))
        # Readers are made before the lock is taken: they call the endpoint, which may be waiting for it.
        readers = self._readers(stream_arn, parameters["StartingPosition"])
        with self._lock:
            self._check_unique(function_arn, stream_arn)
            mapping_uuid = str(uuid.uuid4())
            mapping = EventSourceMapping(
                {
                    "UUID": mapping_uuid,
                    "EventSourceMappingArn": self._arn + mapping_uuid,
                    "EventSourceArn": stream_arn,
                    "FunctionArn": function_arn,
                    "StartingPosition": parameters["StartingPosition"],
                    **DEFAULTS,
                    **_given(parameters),
                    "LastModified": time.time(),
                },
                readers=readers,
                surroundings=self._with,
            )
            self._mappings[mapping_uuid] = mapping
        answer = mapping.describe()
        self._apply(mapping, enabled=parameters.get("Enabled", True))
        return 202, answer

    def get_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """GetEventSourceMapping."""
        return 200, self.get(parameters["UUID"]).describe()

    def list_event_source_mappings(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """ListEventSourceMappings, all of them on one page."""
        described = [mapping.describe() for mapping in self.all()]
        if "EventSourceArn" in parameters:
            described = [each for each in described if each["EventSourceArn"] == parameters["EventSourceArn"]]
        if "FunctionName" in parameters:
            function_arn = self._function_arn(parameters["FunctionName"])
            described = [each for each in described if each["FunctionArn"] == function_arn]
        return 200, {"EventSourceMappings": described}

    def update_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """UpdateEventSourceMapping: takes effect after the invocation that runs now, from the same position."""
        mapping = self.get(parameters["UUID"])
        _check_types("UpdateEventSourceMapping", parameters)
        _check(parameters)
        if "FunctionName" in parameters:
            function_arn = self._function_arn(parameters["FunctionName"])
            if function_arn != mapping.configuration["FunctionArn"]:
                raise NotSimulated("the local endpoint does not move a mapping to another function: create a new one")
        with self._lock:
            if mapping.state not in ("Enabled", "Disabled"):
                raise AwsError(
                    "ResourceInUseException",
                    f"Cannot update the event source mapping because it is in use. (State: {mapping.state})",
                )
            enabled = parameters.get("Enabled", mapping.state == "Enabled")
            mapping.configuration |= {**_given(parameters), "LastModified": time.time()}
            mapping.state = "Disabling" if not enabled else "Enabling" if mapping.state == "Disabled" else "Updating"
        answer = mapping.describe()

        mapping.stop(lambda: self._apply(mapping, enabled=enabled))
        return 202, answer

    def delete_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """DeleteEventSourceMapping: gone after the invocation that runs now."""
        mapping = self.get(parameters["UUID"])
        with self._lock:
            mapping.state = "Deleting"
        answer = mapping.describe()

        def then() -> None:
            with self._lock:
                self._mappings.pop(parameters["UUID"], None)

        mapping.stop(then)
        return 202, answer

    def _apply(self, mapping: EventSourceMapping, *, enabled: bool) -> None:
        """Enter the state that was asked for, unless the mapping was deleted meanwhile."""
        with self._lock:
            if mapping.state == "Deleting":
                return
            if enabled:
                mapping.start()
            else:
                mapping.state = "Disabled"

    def _function_arn(self, name: str) -> str:
        try:
            return self._with.functions.get_function_configuration(FunctionName=name)["FunctionArn"]
        except ClientError as missing:
            raise AwsError("InvalidParameterValueException", "Function does not exist") from missing

    def _readers(self, stream_arn: str, starting_position: str) -> list[ShardReader]:
        if not re.fullmatch(r"arn:aws:dynamodb:[^:]+:\d{12}:table/[^/]+/stream/.+", stream_arn):
            raise NotSimulated(
                f"the local endpoint reads DynamoDB streams only, and {stream_arn!r} is none: give the ARN of a "
                "table's stream (LatestStreamArn), or test this mapping on an AWS account"
            )
        try:
            described = self._with.streams.describe_stream(StreamArn=stream_arn)["StreamDescription"]
        except ClientError as missing:
            raise AwsError("InvalidParameterValueException", f"Stream not found: {stream_arn}") from missing
        return [
            ShardReader(
                self._with.streams,
                stream_arn=stream_arn,
                shard_id=shard["ShardId"],
                starting_position=starting_position,
                clock=self._with.clock.now,
            )
            for shard in described["Shards"]
        ]

    def _check_unique(self, function_arn: str, stream_arn: str) -> None:
        for mapping in self._mappings.values():
            of = mapping.configuration
            if (of["FunctionArn"], of["EventSourceArn"]) == (function_arn, stream_arn):
                raise AwsError(
                    "ResourceConflictException",
                    f'The event source arn (" {stream_arn} ") and function (" {function_arn.split(":", 6)[6]} ") '
                    "provided mapping already exists. Please update or delete the existing mapping with UUID "
                    f"{of['UUID']}",
                    status=409,
                )


def _given(parameters: Parameters) -> dict[str, Any]:
    return {name: parameters[name] for name in UPDATABLE if name in parameters}


def _settings(configuration: Mapping[str, Any]) -> MappingSettings:
    return MappingSettings(
        batch_size=configuration["BatchSize"],
        batching_window=configuration["MaximumBatchingWindowInSeconds"],
        maximum_retry_attempts=configuration["MaximumRetryAttempts"],
        maximum_record_age=configuration["MaximumRecordAgeInSeconds"],
        bisect=configuration["BisectBatchOnFunctionError"],
        report_batch_item_failures="ReportBatchItemFailures" in configuration["FunctionResponseTypes"],
        filters=filters_of(configuration.get("FilterCriteria") or {}),
        destination=configuration["DestinationConfig"].get("OnFailure", {}).get("Destination") or None,
        event_count="EventCount" in configuration.get("MetricsConfig", {}).get("Metrics", []),
    )


def _check_starting_position(parameters: Parameters, stream_arn: str) -> None:
    position = parameters.get("StartingPosition")
    if position is None:
        raise _violation("Value null at 'startingPosition'", "Member must not be null.")
    if position == "AT_TIMESTAMP":
        raise AwsError("InvalidParameterValueException", f"Unsupported starting position for arn type: {stream_arn}")
    if position not in STREAM_STARTING_POSITIONS:
        raise _violation(
            f"Value '{position}' at 'startingPosition'",
            "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
        )
    if "StartingPositionTimestamp" in parameters:
        raise AwsError("InvalidParameterValueException", "Timestamp only valid with StartingPosition AT_TIMESTAMP")


def _check_types(operation: str, parameters: Parameters) -> None:
    """Refuse values of another JSON type, and missing members, as the service's front does."""
    shape = service_model("lambda").operation_model(operation).input_shape
    for name, member in (shape.members if shape else {}).items():
        value = parameters.get(name)
        if value is None:
            if shape and name in shape.required_members:
                raise _violation(f"Value null at '{name[0].lower()}{name[1:]}'", "Member must not be null")
        elif type(value) is not _JSON_TYPES.get(member.type_name, type(value)):
            raise AwsError("SerializationException", f"{name} must be of the type {member.type_name}, not {value!r}")


def _check(parameters: Parameters) -> None:
    """Refuse what AWS refuses, in its words, and then what this endpoint does not do."""
    for name, allowed in STREAM_MAPPING_RANGES.items():
        value = parameters.get(name)
        if value is not None and value not in allowed:
            if name == "MaximumRecordAgeInSeconds" and 0 <= value < 60:
                raise AwsError(
                    "InvalidParameterValueException",
                    "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)",
                )
            bound = "greater" if value < allowed.minimum else "less"
            limit = min((allowed.minimum, *allowed.also)) if bound == "greater" else allowed.maximum
            raise _violation(
                f"Value '{value}' at '{name[0].lower()}{name[1:]}'",
                f"Member must have value {bound} than or equal to {limit}",
            )
    types = list(parameters.get("FunctionResponseTypes") or [])
    if any(each not in FUNCTION_RESPONSE_TYPES for each in types):
        raise _violation(
            f"Value '[{', '.join(types)}]' at 'functionResponseTypes'",
            "Member must satisfy constraint: [Member must satisfy enum value set: [ReportBatchItemFailures], "
            "Member must not be null]",
        )
    metrics = list((parameters.get("MetricsConfig") or {}).get("Metrics", []))
    if any(each not in STREAM_MAPPING_METRICS for each in metrics):
        raise AwsError("InvalidParameterValueException", f"Unsupported metrics for this event source: {metrics}")
    destinations = parameters.get("DestinationConfig") or {}
    if destinations.get("OnSuccess"):
        raise AwsError(
            "InvalidParameterValueException", "OnSuccess configuration is not supported for event source mappings."
        )
    factor, window = parameters.get("ParallelizationFactor") or 1, parameters.get("TumblingWindowInSeconds") or 0
    if window and factor > 1:
        raise AwsError(
            "InvalidParameterValueException",
            "Parallelization factor must be equal to 1 when tumbling window period is configured",
        )
    for problem in filter_problems(parameters.get("FilterCriteria") or {}):
        raise AwsError("InvalidParameterValueException", problem)
    _check_simulated(factor, window, destinations.get("OnFailure", {}).get("Destination") or "")


def _check_simulated(factor: int, window: int, destination: str) -> None:
    if factor > 1:
        raise _not_simulated(f"ParallelizationFactor={factor}")
    if window:
        raise _not_simulated(f"TumblingWindowInSeconds={window}")
    if destination and not destination.startswith("arn:aws:s3:::"):
        raise _not_simulated(f"DestinationConfig.OnFailure.Destination={destination}")


def _not_simulated(setting: str) -> NotSimulated:
    return NotSimulated(
        f"the local endpoint does not simulate {setting} of an event source mapping, and ignoring it would show "
        "something that AWS does not do: leave it out here, and test it on an AWS account"
    )


def _violation(what: str, constraint: str) -> AwsError:
    return AwsError(
        "InvalidParameterValueException",
        f"1 validation error detected: {what} failed to satisfy constraint: {constraint}",
    )
