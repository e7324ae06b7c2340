"""Lambda's event source mapping API, whatever the source (docs/aws-semantics.md §2.1, §2.2).

A mapping's life is the same for every source. The modules `stream_source`, `kinesis_source` and `queue_source` beside
this one hold the differences.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from botocore.exceptions import ClientError

from local.endpoint.api.aws_call import service_model
from local.endpoint.api.errors import AwsError, NotSimulated, invalid_parameter
from local.endpoint.delivery.history import History

Parameters = Mapping[str, Any]

_JSON_TYPES = {"boolean": bool, "integer": int, "list": list, "string": str, "structure": dict}


class Runner(Protocol):
    """Delivers until it is stopped."""

    @property
    def idle(self) -> bool:
        """Whether everything that was written is done with."""
        ...

    @property
    def unfinished(self) -> int:
        """How much was taken and is not done with."""
        ...

    def start(self) -> None:
        """Begin."""
        ...

    def wake(self) -> None:
        """There may be something to do."""
        ...

    def stop(self) -> None:
        """Take nothing more; what runs goes on to its end."""
        ...

    def join(self) -> None:
        """Wait for that end."""
        ...


class Source(Protocol):
    """What mappings of one kind of source have of their own.

    Attributes:
        defaults: What a mapping has when nothing is said, as AWS answers it.
        fixed: What CreateEventSourceMapping takes and UpdateEventSourceMapping does not change.
        updatable: What UpdateEventSourceMapping can change.
        described: What an answer holds beside the configuration.
    """

    defaults: Mapping[str, Any]
    fixed: Sequence[str]
    updatable: Sequence[str]
    described: Mapping[str, Any]

    def reads(self, arn: str) -> bool:
        """Whether a source is of this kind."""
        ...

    def check(self, arn: str, parameters: Parameters) -> None:
        """Refuse the settings that AWS refuses, in its words."""
        ...

    def conflict(self, arn: str, function_arn: str, mapping_uuid: str) -> str:
        """What AWS says when function and source have a mapping already."""
        ...

    def connect(self, parameters: Parameters, function: Mapping[str, Any]) -> Callable[[EventSourceMapping], Runner]:
        """Look at the source once, and return what makes the runner of a mapping each time it is enabled."""
        ...


class EventSourceMapping:
    """One mapping: its configuration, its state, and the runner that delivers.

    Attributes:
        configuration: By the names of AWS's answer.
        last_processing_result: As AWS answers it, for sources that have one.
    """

    def __init__(
        self, configuration: dict[str, Any], *, source: Source, connect: Callable[[EventSourceMapping], Runner]
    ) -> None:
        self.configuration = configuration
        self.source = source
        self.history = History()
        self.state = "Creating"
        self.last_processing_result = "No records processed"
        self._connect = connect
        self._runner: Runner | None = None

    @property
    def uuid(self) -> str:
        """Of the mapping."""
        return self.configuration["UUID"]

    @property
    def source_arn(self) -> str:
        """ARN of the stream or queue."""
        return self.configuration["EventSourceArn"]

    @property
    def function_arn(self) -> str:
        """With its alias or version where the mapping has one."""
        return self.configuration["FunctionArn"]

    @property
    def function_name(self) -> str:
        """The function's name."""
        return self.function_arn.split(":")[6]

    @property
    def settings(self) -> dict[str, Any]:
        """What was said of how it delivers, by CreateEventSourceMapping's names."""
        named = (*self.source.fixed, *self.source.updatable)
        return {name: self.configuration[name] for name in named if name in self.configuration}

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do: everything that was written is done with, or it is disabled."""
        runner = self._runner
        return self.state == "Disabled" or (self.state == "Enabled" and (runner is None or runner.idle))

    @property
    def unfinished(self) -> int:
        """How much it has taken and is not done with."""
        runner = self._runner
        return 0 if runner is None else runner.unfinished

    def start(self) -> None:
        """Begin to deliver, from where it was."""
        self._runner = self._connect(self)
        self._runner.start()
        self.state = "Enabled"

    def stop(self, then: Callable[[], None]) -> None:
        """Deliver no more, and call `then` once the invocations that run now have ended."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.stop()

        def finish() -> None:
            if runner is not None:
                runner.join()
            then()

        threading.Thread(target=finish, name="mapping-stop", daemon=True).start()

    def wake(self) -> None:
        """There may be something to deliver."""
        runner = self._runner
        if runner is not None:
            runner.wake()

    def note(self, result: str) -> None:
        """Remember the result of an invocation, or why there was none."""
        self.last_processing_result = result

    def describe(self) -> dict[str, Any]:
        """As AWS answers it: without a FilterCriteria that has no filters (§2.2, ESM-CREATE-6)."""
        described: dict[str, Any] = {**self.configuration, "State": self.state, **self.source.described}
        if not (described.get("FilterCriteria") or {}).get("Filters"):
            described.pop("FilterCriteria", None)
        if "LastProcessingResult" in described:
            described["LastProcessingResult"] = self.last_processing_result
        return described


class EventSourceMappings:
    """The API: each operation takes its parameters by AWS's names and returns the answer's status and body.

    Args:
        sources: The kinds of sources there are.
        functions: A boto3 client of Lambda.
        region: Of the mappings' ARNs.
        account_id: Likewise.
    """

    def __init__(self, *, sources: Sequence[Source], functions: Any, region: str, account_id: str) -> None:
        self._sources = sources
        self._functions = functions
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

    def wake_readers_of(self, tables: Collection[str]) -> None:
        """Tables have changed."""
        for mapping in self.all() if tables else ():
            service, _, table = mapping.source_arn.partition(":table/")
            if service.startswith("arn:aws:dynamodb:") and table.partition("/")[0] in tables:
                mapping.wake()

    def wake_readers_of_kinesis(self, stream: str | None) -> None:
        """There are records in a Kinesis stream; `None` for none."""
        for mapping in () if stream is None else self.all():
            service, _, name = mapping.source_arn.partition(":stream/")
            if service.startswith("arn:aws:kinesis:") and name == stream:
                mapping.wake()

    def wake_readers_of_queues(self) -> None:
        """There may be messages in a queue."""
        for mapping in self.all():
            if mapping.source_arn.startswith("arn:aws:sqs:"):
                mapping.wake()

    def wake_all(self) -> None:
        """Time has passed."""
        for mapping in self.all():
            mapping.wake()

    def create_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """CreateEventSourceMapping."""
        _check_types("CreateEventSourceMapping", parameters)
        arn = str(parameters.get("EventSourceArn", ""))
        source = self._source(arn)
        source.check(arn, {**source.defaults, **parameters})
        function = self._function(str(parameters["FunctionName"]))
        # Made before the lock is taken: it calls the endpoint, which may be waiting for the lock.
        connect = source.connect(parameters, function)
        with self._lock:
            self._check_unique(source, arn, function["FunctionArn"])
            mapping_uuid = str(uuid.uuid4())
            mapping = EventSourceMapping(
                {
                    "UUID": mapping_uuid,
                    "EventSourceMappingArn": self._arn + mapping_uuid,
                    "EventSourceArn": arn,
                    "FunctionArn": function["FunctionArn"],
                    **source.defaults,
                    **_given((*source.fixed, *source.updatable), parameters),
                    "LastModified": time.time(),
                },
                source=source,
                connect=connect,
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
        listed = self.all()
        if "EventSourceArn" in parameters:
            listed = [mapping for mapping in listed if mapping.source_arn == parameters["EventSourceArn"]]
        if "FunctionName" in parameters:
            function_arn = self._function(parameters["FunctionName"])["FunctionArn"]
            listed = [mapping for mapping in listed if mapping.function_arn == function_arn]
        return 200, {"EventSourceMappings": [mapping.describe() for mapping in listed]}

    def update_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """UpdateEventSourceMapping: takes effect after the invocation that runs now, from the same position."""
        mapping = self.get(parameters["UUID"])
        _check_types("UpdateEventSourceMapping", parameters)
        mapping.source.check(mapping.source_arn, {**mapping.settings, **parameters})
        if (
            "FunctionName" in parameters
            and self._function(parameters["FunctionName"])["FunctionArn"] != mapping.function_arn
        ):
            raise NotSimulated("the local endpoint does not move a mapping to another function: create a new one")
        with self._lock:
            if mapping.state not in ("Enabled", "Disabled"):
                raise AwsError(
                    "ResourceInUseException",
                    f"Cannot update the event source mapping because it is in use. (State: {mapping.state})",
                )
            enabled = parameters.get("Enabled", mapping.state == "Enabled")
            mapping.configuration |= {**_given(mapping.source.updatable, parameters), "LastModified": time.time()}
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
                self._mappings.pop(mapping.uuid, None)

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

    def _source(self, arn: str) -> Source:
        for source in self._sources:
            if source.reads(arn):
                return source
        raise NotSimulated(
            f"the local endpoint reads DynamoDB streams, Kinesis streams and SQS queues, and {arn!r} is none: give the "
            "ARN of a table's stream (LatestStreamArn), of a stream or of a queue, or test this mapping on an AWS "
            "account"
        )

    def _function(self, name: str) -> Mapping[str, Any]:
        """The configuration of a function that may be named in any way."""
        try:
            found = self._functions.get_function_configuration(FunctionName=name)
        except ClientError as missing:
            raise invalid_parameter("Function does not exist") from missing
        # ministack leaves the version that was asked for out of the ARN.
        arn, version = found["FunctionArn"], found.get("Version", "$LATEST")
        return found if version in ("$LATEST", arn.rpartition(":")[2]) else {**found, "FunctionArn": f"{arn}:{version}"}

    def _check_unique(self, source: Source, arn: str, function_arn: str) -> None:
        for mapping in self._mappings.values():
            if (mapping.function_arn, mapping.source_arn) == (function_arn, arn):
                message = source.conflict(arn, function_arn, mapping.uuid)
                raise AwsError("ResourceConflictException", message, status=409)


def _given(names: Sequence[str], parameters: Parameters) -> dict[str, Any]:
    return {name: parameters[name] for name in names if name in parameters}


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


def _violation(what: str, constraint: str) -> AwsError:
    return invalid_parameter(f"1 validation error detected: {what} failed to satisfy constraint: {constraint}")
