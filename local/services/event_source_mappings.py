"""Lambda's event source mapping API for DynamoDB streams (docs/aws-semantics.md §2.1, §2.2)."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from botocore.exceptions import ClientError

from aws_limits import STREAM_RETENTION_SECONDS
from local.calls import service_model
from local.delivery.admission import problems, settings_of
from local.errors import AwsError, NotSimulated
from local.history import History
from local.mappings import MappingRunner, Surroundings, Target
from local.poller import Poller
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
        self._poller: Poller | None = None

    @property
    def target(self) -> Target:
        """What it connects."""
        of = self.configuration
        return Target(of["UUID"], of["FunctionArn"], of["EventSourceArn"])

    @property
    def delivery(self) -> dict[str, Any]:
        """What was said of how it delivers, by CreateEventSourceMapping's names."""
        return {
            name: self.configuration[name] for name in ("StartingPosition", *UPDATABLE) if name in self.configuration
        }

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do: every record that was written is done with, or it is disabled."""
        return self.state == "Disabled" or (self.state == "Enabled" and (self._poller is None or self._poller.idle))

    @property
    def unfinished(self) -> int:
        """How many records it has read and is not done with."""
        return 0 if self._poller is None else self._poller.unfinished

    def start(self) -> None:
        """Begin to deliver, from where it was."""
        runner = MappingRunner(
            self.target,
            settings_of(self.configuration, retention=STREAM_RETENTION_SECONDS),
            readers=self._readers,
            surroundings=self._with,
            history=self.history,
            on_result=self._note,
        )
        self._poller = runner.poller
        self._poller.start()
        self.state = "Enabled"

    def stop(self, then: Callable[[], None]) -> None:
        """Deliver no more, and call `then` once the invocations that run now have ended."""
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.stop()

        def finish() -> None:
            if poller is not None:
                poller.join()
            then()

        threading.Thread(target=finish, name="mapping-stop", daemon=True).start()

    def wake(self) -> None:
        """The table may have changed."""
        if self._poller is not None:
            self._poller.wake()

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
        check_types("CreateEventSourceMapping", parameters)
        _check(parameters)
        stream_arn = str(parameters.get("EventSourceArn", ""))
        function_arn = self.function_arn(str(parameters["FunctionName"]))
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
            function_arn = self.function_arn(parameters["FunctionName"])
            described = [each for each in described if each["FunctionArn"] == function_arn]
        return 200, {"EventSourceMappings": described}

    def update_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """UpdateEventSourceMapping: takes effect after the invocation that runs now, from the same position."""
        mapping = self.get(parameters["UUID"])
        check_types("UpdateEventSourceMapping", parameters)
        _check({**mapping.delivery, **parameters})
        if "FunctionName" in parameters:
            function_arn = self.function_arn(parameters["FunctionName"])
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

    def function_arn(self, name: str) -> str:
        """The ARN of a function that may be named in any way.

        Raises:
            AwsError: There is none.
        """
        try:
            return self._with.functions.get_function_configuration(FunctionName=name)["FunctionArn"]
        except ClientError as missing:
            raise AwsError("InvalidParameterValueException", "Function does not exist") from missing

    def _readers(self, stream_arn: str, starting_position: str) -> list[ShardReader]:
        if not re.fullmatch(r"arn:aws:dynamodb:[^:]+:\d{12}:table/[^/]+/stream/.+", stream_arn):
            raise NotSimulated(
                f"the local endpoint reads DynamoDB streams and SQS queues, and {stream_arn!r} is neither: give the "
                "ARN of a table's stream (LatestStreamArn) or of a queue, or test this mapping on an AWS account"
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


def check_types(operation: str, parameters: Parameters) -> None:
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
    """Refuse what AWS refuses, in its words."""
    known = {name: value for name, value in parameters.items() if name != "UUID" and value is not None}
    for problem in problems(known):
        raise AwsError("InvalidParameterValueException", problem)


def _violation(what: str, constraint: str) -> AwsError:
    return AwsError(
        "InvalidParameterValueException",
        f"1 validation error detected: {what} failed to satisfy constraint: {constraint}",
    )
