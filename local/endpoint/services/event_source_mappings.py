"""Lambda's event source mapping API (docs/aws-semantics.md §2.1, §2.2).

A mapping's life is the same for every source. The modules `stream_source`, `kinesis_source` and `queue_source` hold
the differences.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from botocore.exceptions import ClientError

from local.api_models import violations
from local.endpoint.api.aws_call import service_model
from local.endpoint.api.errors import AwsError, NotSimulated, invalid_parameter
from local.endpoint.api.pages import page_of
from local.endpoint.delivery.history import History
from local.endpoint.delivery.polling_thread import PollingThread
from local.endpoint.functions.names import qualifier_of
from local.endpoint.routes import Routes

Parameters = Mapping[str, Any]

_JSON_TYPES = {"boolean": bool, "integer": int, "list": list, "string": str, "structure": dict}


#: Maximum of mappings on one page.
_PAGE = 100


class MappingSource(Protocol):
    """The settings, checks and poller of mappings that read one kind of source.

    Attributes:
        defaults: The settings of a mapping that gives none, as AWS answers them.
        fixed: Members that CreateEventSourceMapping takes and UpdateEventSourceMapping does not change.
        updatable: Members that UpdateEventSourceMapping can change.
        described: Members of an answer that are not configuration.
    """

    defaults: Mapping[str, Any]
    fixed: Sequence[str]
    updatable: Sequence[str]
    described: Mapping[str, Any]

    def reads(self, arn: str) -> bool:
        """Return whether an ARN is of this kind."""
        ...

    def check(self, arn: str, parameters: Parameters) -> None:
        """Refuse the settings that AWS refuses, in its words.

        Raises:
            AwsError: A setting, or a combination of settings, is wrong.
        """
        ...

    def conflict(self, arn: str, function_arn: str, mapping_uuid: str) -> str:
        """Return AWS's message for a second mapping of the same function and source."""
        ...

    def check_function(self, parameters: Parameters, function: Mapping[str, Any]) -> None:
        """Refuse a function that cannot be called with the source, in AWS's words.

        Raises:
            AwsError: Its role may not read the source, or its timeout does not suit it.
        """
        ...

    def connect(
        self, parameters: Parameters, function: Mapping[str, Any]
    ) -> Callable[[EventSourceMapping], PollingThread]:
        """Look at the source once, and return a function that makes a mapping's poller each time it is enabled."""
        ...


class EventSourceMapping:
    """One mapping: its configuration, its state, and the poller that delivers.

    Attributes:
        configuration: The settings by the names of AWS's answer.
        function: GetFunctionConfiguration's answer for its function.
        last_processing_result: LastProcessingResult, for sources that have one.
    """

    def __init__(
        self,
        configuration: dict[str, Any],
        *,
        source: MappingSource,
        function: Mapping[str, Any],
        connect: Callable[[EventSourceMapping], PollingThread],
    ) -> None:
        self.configuration = configuration
        self.source = source
        self.function = function
        self.history = History()
        self.state = "Creating"
        self.last_processing_result = "No records processed"
        self._connect = connect
        self._poller: PollingThread | None = None

    @property
    def uuid(self) -> str:
        """The mapping's UUID."""
        return self.configuration["UUID"]

    @property
    def source_arn(self) -> str:
        """ARN of the stream or queue that it reads."""
        return self.configuration["EventSourceArn"]

    @property
    def function_arn(self) -> str:
        """ARN of the function, with its alias or version if the mapping names one."""
        return self.configuration["FunctionArn"]

    @property
    def function_name(self) -> str:
        """The function's name."""
        return self.function_arn.split(":")[6]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of its delivery, by CreateEventSourceMapping's names."""
        named = (*self.source.fixed, *self.source.updatable)
        return {name: self.configuration[name] for name in named if name in self.configuration}

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do: its source is finished, or it is disabled."""
        poller = self._poller
        return self.state == "Disabled" or (self.state == "Enabled" and (poller is None or poller.idle))

    @property
    def unfinished(self) -> int:
        """Number of records or messages that it has read and not finished."""
        poller = self._poller
        return 0 if poller is None else poller.unfinished

    def start(self) -> None:
        """Begin to deliver, from where it was."""
        self._poller = self._connect(self)
        self._poller.start()
        self.state = "Enabled"

    def stop(self, then: Callable[[], None]) -> None:
        """Stop delivering, and call `then` once the invocations that run now have ended."""
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.stop()

        def finish() -> None:
            if poller is not None:
                poller.join()
            then()

        threading.Thread(target=finish, name="mapping-stop", daemon=True).start()

    def wake(self) -> None:
        """Look at the source again."""
        poller = self._poller
        if poller is not None:
            poller.wake()

    def note(self, result: str) -> None:
        """Remember the result of an invocation, or the reason why there was none."""
        self.last_processing_result = result

    def describe(self) -> dict[str, Any]:
        """Describe it as AWS does: without a FilterCriteria that has no filters (§2.2, ESM-CREATE-6)."""
        described: dict[str, Any] = {**self.configuration, "State": self.state, **self.source.described}
        if not (described.get("FilterCriteria") or {}).get("Filters"):
            described.pop("FilterCriteria", None)
        if "LastProcessingResult" in described:
            described["LastProcessingResult"] = self.last_processing_result
        return described


class EventSourceMappings:
    """The API: each operation takes its parameters by AWS's names and returns the answer's status and body.

    Args:
        sources: The kinds of sources that mappings can read.
        functions: A boto3 client of Lambda.
        region: Region in the mappings' ARNs.
        account_id: Account in the mappings' ARNs.
    """

    def __init__(self, *, sources: Sequence[MappingSource], functions: Any, region: str, account_id: str) -> None:
        self._sources = sources
        self._functions = functions
        self._arn = f"arn:aws:lambda:{region}:{account_id}:event-source-mapping:"
        self._mappings: dict[str, EventSourceMapping] = {}
        self._lock = threading.RLock()

    @property
    def routes(self) -> Routes:
        """The operations."""
        return Routes(
            answered={
                "lambda:CreateEventSourceMapping": self.create_event_source_mapping,
                "lambda:DeleteEventSourceMapping": self.delete_event_source_mapping,
                "lambda:GetEventSourceMapping": self.get_event_source_mapping,
                "lambda:ListEventSourceMappings": self.list_event_source_mappings,
                "lambda:UpdateEventSourceMapping": self.update_event_source_mapping,
            }
        )

    def all(self) -> list[EventSourceMapping]:
        """Return every mapping."""
        with self._lock:
            return list(self._mappings.values())

    def get(self, mapping_uuid: str) -> EventSourceMapping:
        """Return one mapping.

        Raises:
            AwsError: It does not exist.
        """
        with self._lock:
            mapping = self._mappings.get(mapping_uuid)
        if mapping is None:
            raise AwsError("ResourceNotFoundException", "The resource you requested does not exist.", status=404)
        return mapping

    def create_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer CreateEventSourceMapping."""
        _check_types("CreateEventSourceMapping", parameters)
        arn = _source_arn(parameters)
        source = self._source(arn)
        source.check(arn, {**source.defaults, **parameters})
        function = self._function(str(parameters["FunctionName"]))
        # Made before the lock is taken: it calls the endpoint, which may be waiting for the lock.
        source.check_function(parameters, function)
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
                function=function,
                connect=connect,
            )
            self._mappings[mapping_uuid] = mapping
        enabled = parameters.get("Enabled", True)
        if not enabled:
            self._apply(mapping, enabled=False)
        answer = mapping.describe()
        if enabled:
            self._apply(mapping, enabled=True)
        return 202, answer

    def get_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer GetEventSourceMapping."""
        return 200, self.get(parameters["UUID"]).describe()

    def list_event_source_mappings(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer ListEventSourceMappings, at most a hundred on a page."""
        for problem in violations("lambda", "ListEventSourceMappings", _with_number(parameters, "MaxItems")):
            raise AwsError("ValidationException", problem)
        listed = self.all()
        if "EventSourceArn" in parameters:
            listed = [mapping for mapping in listed if mapping.source_arn == parameters["EventSourceArn"]]
        if "FunctionName" in parameters:
            function_arn = self._function(parameters["FunctionName"])["FunctionArn"]
            listed = [mapping for mapping in listed if mapping.function_arn == function_arn]
        size = min(int(parameters.get("MaxItems", _PAGE)), _PAGE)
        try:
            page, marker = page_of(listed, size=size, token=parameters.get("Marker"))
        except ValueError as wrong:
            raise invalid_parameter("Invalid marker") from wrong
        described = {"EventSourceMappings": [mapping.describe() for mapping in page]}
        return 200, described | ({} if marker is None else {"NextMarker": marker})

    def update_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer UpdateEventSourceMapping. It takes effect after the running invocation, from the same position."""
        mapping = self.get(parameters["UUID"])
        _check_types("UpdateEventSourceMapping", parameters)
        mapping.source.check(mapping.source_arn, {**mapping.settings, **parameters})
        function = self._function(parameters["FunctionName"]) if "FunctionName" in parameters else mapping.function
        moved = function["FunctionArn"] != mapping.function_arn
        if moved:
            source = {"EventSourceArn": mapping.source_arn, **mapping.settings, **parameters}
            mapping.source.check_function(source, function)
        with self._lock:
            if moved:
                self._check_unique(mapping.source, mapping.source_arn, function["FunctionArn"])
            if mapping.state not in ("Enabled", "Disabled"):
                raise AwsError(
                    "ResourceInUseException",
                    f"Cannot update the event source mapping because it is in use. (State: {mapping.state})",
                )
            enabled = parameters.get("Enabled", mapping.state == "Enabled")
            mapping.configuration |= {
                **_given(mapping.source.updatable, parameters),
                "FunctionArn": function["FunctionArn"],
                "LastModified": time.time(),
            }
            mapping.function = function
            mapping.state = "Disabling" if not enabled else "Enabling" if mapping.state == "Disabled" else "Updating"
        answer = mapping.describe()
        mapping.stop(lambda: self._apply(mapping, enabled=enabled))
        return 202, answer

    def delete_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer DeleteEventSourceMapping. The mapping is gone after the running invocation."""
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
        """Enter the requested state, unless the mapping was deleted meanwhile."""
        with self._lock:
            if mapping.state == "Deleting":
                return
            if enabled:
                mapping.start()
            else:
                mapping.state = "Disabled"

    def _source(self, arn: str) -> MappingSource:
        for source in self._sources:
            if source.reads(arn):
                return source
        raise NotSimulated(
            f"the local endpoint reads DynamoDB streams, Kinesis streams and SQS queues, and {arn!r} is not one of "
            "them: give the ARN of a table's stream (LatestStreamArn), of a stream or of a queue, or test this mapping "
            "on an AWS account"
        )

    def _function(self, name: str) -> Mapping[str, Any]:
        """Return the configuration of a function, which may be given as a name or an ARN."""
        try:
            found = self._functions.get_function_configuration(FunctionName=name)
        except ClientError as missing:
            raise invalid_parameter("Function does not exist") from missing
        # The mapping keeps the version or alias that it was given; ministack leaves it out.
        qualifier = qualifier_of(name)
        arn = ":".join(found["FunctionArn"].split(":")[:7])
        return {**found, "FunctionArn": f"{arn}:{qualifier}" if qualifier else arn}

    def _check_unique(self, source: MappingSource, arn: str, function_arn: str) -> None:
        for mapping in self._mappings.values():
            if (mapping.function_arn, mapping.source_arn) == (function_arn, arn):
                message = source.conflict(arn, function_arn, mapping.uuid)
                raise AwsError("ResourceConflictException", message, status=409)


def _with_number(parameters: Parameters, name: str) -> dict[str, Any]:
    """Return parameters from a query, with a member that is a number there."""
    return {**parameters, **({name: int(parameters[name])} if str(parameters.get(name, "")).isdigit() else {})}


def _source_arn(parameters: Parameters) -> str:
    """Return the ARN of the source, in the form that Lambda demands."""
    if parameters.get("EventSourceArn") is None:
        raise invalid_parameter("Unrecognized event source.")
    arn = {"EventSourceArn": parameters["EventSourceArn"], "FunctionName": "any"}
    for problem in violations("lambda", "CreateEventSourceMapping", arn):
        raise AwsError("ValidationException", problem)
    return parameters["EventSourceArn"]


def _given(names: Sequence[str], parameters: Parameters) -> dict[str, Any]:
    return {name: parameters[name] for name in names if name in parameters}


def _check_types(operation: str, parameters: Parameters) -> None:
    """Refuse values of another JSON type, and missing members, as Lambda does before it looks at the values."""
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
