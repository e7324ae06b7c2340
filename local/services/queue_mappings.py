"""Lambda's event source mapping API for SQS queues.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from aws_limits import FUNCTION_RESPONSE_TYPES, QUEUE_MAPPING_CONCURRENCY, QUEUE_MAPPING_RANGES, STREAM_MAPPING_METRICS
from local.delivery.admission import filter_problems, filters_of
from local.errors import AwsError, NotSimulated
from local.history import History
from local.queue_batches import CONCURRENCY, QueueSettings
from local.queue_mappings import QueueRunner, QueueSurroundings, QueueTarget
from local.services.event_source_mappings import check_types

Parameters = Mapping[str, Any]

DEFAULTS: dict[str, Any] = {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "FunctionResponseTypes": []}

#: What UpdateEventSourceMapping can change.
UPDATABLE = (*DEFAULTS, "FilterCriteria", "MetricsConfig", "ScalingConfig")

#: What is for streams only.
_OF_STREAMS = (
    "ParallelizationFactor",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "TumblingWindowInSeconds",
    "DestinationConfig",
)

#: Above this batch size AWS wants a batching window, and FIFO queues end here.
_SIZE_WITHOUT_WINDOW = 10


class QueueMapping:
    """One mapping: its configuration, its state and the runner that delivers."""

    def __init__(self, configuration: dict[str, Any], *, queue_url: str, surroundings: QueueSurroundings) -> None:
        self.configuration = configuration
        self.history = History()
        self.state = "Creating"
        self._queue_url = queue_url
        self._with = surroundings
        self._runner: QueueRunner | None = None

    @property
    def target(self) -> QueueTarget:
        """What it connects."""
        of = self.configuration
        return QueueTarget(of["UUID"], of["FunctionArn"], of["EventSourceArn"], self._queue_url)

    @property
    def idle(self) -> bool:
        """Whether the queue is empty, or it is disabled."""
        return self.state == "Disabled" or (self.state == "Enabled" and self._runner is not None and self._runner.idle)

    @property
    def unfinished(self) -> int:
        """How many batches are being delivered."""
        return 0 if self._runner is None else self._runner.unfinished

    def start(self) -> None:
        """Begin to deliver."""
        settings = _settings(self.configuration)
        self._runner = QueueRunner(self.target, settings, surroundings=self._with, history=self.history)
        self._runner.start()
        self.state = "Enabled"

    def stop(self, then: Callable[[], None]) -> None:
        """Receive no more, and call `then` once the invocations that run now have ended."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.stop()

        def finish() -> None:
            if runner is not None:
                runner.join()
            then()

        threading.Thread(target=finish, name="mapping-stop", daemon=True).start()

    def wake(self) -> None:
        """There may be messages."""
        runner = self._runner
        if runner is not None:
            runner.wake()

    def describe(self) -> dict[str, Any]:
        """As AWS answers it: without FilterCriteria that have no filters, and without a LastProcessingResult."""
        described: dict[str, Any] = {
            **self.configuration,
            "State": self.state,
            "StateTransitionReason": "USER_INITIATED",
        }
        if not (described.get("FilterCriteria") or {}).get("Filters"):
            described.pop("FilterCriteria", None)
        return described


class QueueMappings:
    """The API: each operation takes its parameters by AWS's names and returns the answer's status and body."""

    def __init__(self, *, surroundings: QueueSurroundings, region: str, account_id: str) -> None:
        self._with = surroundings
        self._arn = f"arn:aws:lambda:{region}:{account_id}:event-source-mapping:"
        self._mappings: dict[str, QueueMapping] = {}
        self._lock = threading.RLock()

    def all(self) -> list[QueueMapping]:
        """Every mapping."""
        with self._lock:
            return list(self._mappings.values())

    def find(self, mapping_uuid: str) -> QueueMapping | None:
        """One mapping, if it is of a queue."""
        with self._lock:
            return self._mappings.get(mapping_uuid)

    def wake_all(self) -> None:
        """There may be messages somewhere, or time has passed."""
        for mapping in self.all():
            mapping.wake()

    def create_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """CreateEventSourceMapping."""
        check_types("CreateEventSourceMapping", parameters)
        arn = parameters["EventSourceArn"]
        if "StartingPosition" in parameters or "StartingPositionTimestamp" in parameters:
            raise _invalid("StartingPosition is not valid for SQS event sources.")
        function = self._function(parameters["FunctionName"])
        url, attributes = self._queue(arn)
        _check({**DEFAULTS, **parameters}, fifo=arn.endswith(".fifo"))
        visibility, timeout = int(attributes["VisibilityTimeout"]), function["Timeout"]
        if visibility < timeout:
            raise _invalid(
                f"Queue visibility timeout: {visibility} seconds is less than Function timeout: {timeout} seconds"
            )
        with self._lock:
            self._check_unique(function["FunctionArn"], arn)
            mapping_uuid = str(uuid.uuid4())
            mapping = QueueMapping(
                {
                    "UUID": mapping_uuid,
                    "EventSourceMappingArn": self._arn + mapping_uuid,
                    "EventSourceArn": arn,
                    "FunctionArn": function["FunctionArn"],
                    **DEFAULTS,
                    **_given(parameters),
                    "LastModified": time.time(),
                },
                queue_url=url,
                surroundings=self._with,
            )
            self._mappings[mapping_uuid] = mapping
        answer = mapping.describe()
        if parameters.get("Enabled", True):
            mapping.start()
        else:
            mapping.state = "Disabled"
        return 202, answer

    def update_event_source_mapping(self, mapping: QueueMapping, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """UpdateEventSourceMapping: takes effect after the invocations that run now."""
        check_types("UpdateEventSourceMapping", parameters)
        of = mapping.configuration
        _check({**of, **parameters}, fifo=of["EventSourceArn"].endswith(".fifo"))
        function = parameters.get("FunctionName")
        if function is not None and self._function(function)["FunctionArn"] != of["FunctionArn"]:
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

        def then() -> None:
            if enabled:
                mapping.start()
            else:
                mapping.state = "Disabled"

        mapping.stop(then)
        return 202, answer

    def delete_event_source_mapping(self, mapping: QueueMapping) -> tuple[int, dict[str, Any]]:
        """DeleteEventSourceMapping: gone after the invocations that run now."""
        mapping.state = "Deleting"
        answer = mapping.describe()

        def then() -> None:
            with self._lock:
                self._mappings.pop(mapping.target.uuid, None)

        mapping.stop(then)
        return 202, answer

    def _function(self, name: str) -> dict[str, Any]:
        try:
            return self._with.functions.get_function_configuration(FunctionName=name)
        except ClientError as missing:
            raise _invalid("Function does not exist") from missing

    def _queue(self, arn: str) -> tuple[str, dict[str, str]]:
        try:
            url = self._with.queues.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
            return url, self._with.queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        except ClientError as missing:
            raise _invalid(
                "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
                "SQS Error Message: The specified queue does not exist."
            ) from missing

    def _check_unique(self, function_arn: str, queue_arn: str) -> None:
        for mapping in self._mappings.values():
            of = mapping.configuration
            if (of["FunctionArn"], of["EventSourceArn"]) == (function_arn, queue_arn):
                raise AwsError(
                    "ResourceConflictException",
                    f'An event source mapping with SQS arn (" {queue_arn} ") and function '
                    f'(" {function_arn.split(":", 6)[6]} ") already exists. Please update or delete the existing '
                    f"mapping with UUID {of['UUID']}",
                    status=409,
                )


def _given(parameters: Parameters) -> dict[str, Any]:
    return {name: parameters[name] for name in UPDATABLE if name in parameters}


def _settings(configuration: Mapping[str, Any]) -> QueueSettings:
    return QueueSettings(
        batch_size=configuration["BatchSize"],
        batching_window=configuration["MaximumBatchingWindowInSeconds"],
        concurrency=configuration.get("ScalingConfig", {}).get("MaximumConcurrency") or CONCURRENCY,
        filters=filters_of(configuration.get("FilterCriteria") or {}),
        report_batch_item_failures="ReportBatchItemFailures" in configuration["FunctionResponseTypes"],
        event_count="EventCount" in configuration.get("MetricsConfig", {}).get("Metrics", []),
    )


def _check(parameters: Parameters, *, fifo: bool) -> None:
    for name in _OF_STREAMS:
        if name in parameters:
            raise _invalid(f"Unsupported {name} parameter for given event source mapping type.")
    ranges = {name: (parameters[name], allowed) for name, allowed in QUEUE_MAPPING_RANGES.items()}
    concurrency = (parameters.get("ScalingConfig") or {}).get("MaximumConcurrency")
    if concurrency is not None:
        ranges["ScalingConfig.MaximumConcurrency"] = concurrency, QUEUE_MAPPING_CONCURRENCY
    for name, (value, allowed) in ranges.items():
        if value not in allowed:
            low = value < allowed.minimum
            path = ".".join(part[0].lower() + part[1:] for part in name.split("."))
            raise _invalid(
                f"1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: Member must "
                f"have value {'greater' if low else 'less'} than or equal to "
                f"{allowed.minimum if low else allowed.maximum}"
            )
    size, window = parameters["BatchSize"], parameters["MaximumBatchingWindowInSeconds"]
    if fifo and window:
        raise _invalid("Batching window is not supported for FIFO queues.")
    if fifo and size > _SIZE_WITHOUT_WINDOW:
        raise _invalid(f"Batch size must be at most {_SIZE_WITHOUT_WINDOW} for FIFO queues.")
    if size > _SIZE_WITHOUT_WINDOW and not window:
        raise _invalid(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )
    if any(each not in FUNCTION_RESPONSE_TYPES for each in parameters["FunctionResponseTypes"]):
        raise _invalid(f"Unsupported function response types: {parameters['FunctionResponseTypes']}")
    if any(each not in STREAM_MAPPING_METRICS for each in (parameters.get("MetricsConfig") or {}).get("Metrics", [])):
        raise _invalid("Unsupported metrics for this event source")
    for problem in filter_problems(parameters.get("FilterCriteria") or {}):
        raise _invalid(problem)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message)
