"""Targets and enrichments of a pipe, each with its service's parameters alone (docs/aws-semantics.md §3.3, §3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

import pulumi

from aws_semantics.limits import PIPE_TARGET_BATCH
from aws_semantics.permissions import CALLING
from components.access import Statement, allow

_EVENT_ID: Final = "$.eventID"


@dataclass(frozen=True, kw_only=True)
class PipeTarget:
    """The base of all targets.

    Attributes:
        arn: ARN of the resource that events are sent to.
    """

    arn: pulumi.Input[str]

    #: Service and kind of resource, as in the ARN.
    service: ClassVar[tuple[str, str]]
    #: Events per call at most; `None` where only the payload limits them.
    maximum_batch: ClassVar[int | None] = None

    @property
    def works(self) -> bool:
        """`True` if the pipe waits while somebody's code works, and not only until AWS has taken the events."""
        return False

    def parameters(self) -> Mapping[str, Any]:
        """Return the target parameters, apart from the input template."""
        return {}

    def of_queue(self, identity: str = "$.body.eventID") -> PipeTarget:  # noqa: ARG002 - for those that need one
        """Return the same target for a pipe that reads a queue.

        Args:
            identity: Path to the id of an event: by default that of the change in its `body`.
        """
        return self

    def problem(self) -> str | None:
        """Explain why AWS, or the order of changes, forbids this target; `None` if nothing does."""
        return None

    def statements(self) -> list[Statement]:
        """Return the permissions of the pipe's role."""
        return [allow([f"{self.service[0]}:{CALLING[self.service]}"], self.arn)]


@dataclass(frozen=True, kw_only=True)
class QueueTarget(PipeTarget):
    """An SQS queue.

    Attributes:
        fifo: Whether it is a FIFO queue; then a group is needed.
        message_group_id: For a FIFO queue: a text, or a path into the event such as `$.dynamodb.Keys.userId.S`, so
            that the order of each item is kept and items do not wait for each other.
        message_deduplication_id: For a FIFO queue: a text or a path; by default the change's event id, or the id of a
            message that is no change, so that a repeat within five minutes is dropped.
    """

    fifo: bool = False
    message_group_id: str | None = None
    message_deduplication_id: str = _EVENT_ID

    service = ("sqs", "")
    maximum_batch = PIPE_TARGET_BATCH["sqs"]

    def parameters(self) -> Mapping[str, Any]:  # noqa: D102 - see `PipeTarget`
        if not self.fifo:
            return {}
        return {
            "sqs_queue_parameters": {
                "message_group_id": self.message_group_id,
                "message_deduplication_id": self.message_deduplication_id,
            }
        }

    def of_queue(self, identity: str = "$.body.eventID") -> PipeTarget:  # noqa: D102 - see `PipeTarget`
        by_event = self.message_deduplication_id == _EVENT_ID
        return replace(self, message_deduplication_id=identity) if by_event else self

    def problem(self) -> str | None:  # noqa: D102 - see `PipeTarget`
        if self.fifo and not self.message_group_id:
            return (
                "the target is a FIFO queue without message_group_id, which SQS refuses: name the item, e.g. "
                "message_group_id='$.dynamodb.Keys.userId.S'"
            )
        if not self.fifo and self.message_group_id:
            return "message_group_id is for FIFO queues: set fifo=True, or leave it out"
        return None


@dataclass(frozen=True, kw_only=True)
class TopicTarget(PipeTarget):
    """A standard SNS topic; pipes take no FIFO topic."""

    service = ("sns", "")
    maximum_batch = PIPE_TARGET_BATCH["sns"]

    def problem(self) -> str | None:  # noqa: D102 - see `PipeTarget`
        if isinstance(self.arn, str) and self.arn.endswith(".fifo"):
            return "the target is a FIFO topic, which pipes do not support: use a FanOut, or a standard topic"
        return None


@dataclass(frozen=True, kw_only=True)
class BusTarget(PipeTarget):
    """An event bus of the same account and region.

    Attributes:
        detail_type: The events' detail-type, a text or a path.
        source: The events' source, a text or a path.
        resources: The events' resources.
        time: The events' time, as a path.
    """

    detail_type: str | None = None
    source: str | None = None
    resources: Sequence[str] = ()
    time: str | None = None

    service = ("events", "event-bus")
    maximum_batch = PIPE_TARGET_BATCH["events"]

    def parameters(self) -> Mapping[str, Any]:  # noqa: D102 - see `PipeTarget`
        given = {
            "detail_type": self.detail_type,
            "source": self.source,
            "resources": list(self.resources) or None,
            "time": self.time,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        return {"eventbridge_event_bus_parameters": chosen} if chosen else {}


@dataclass(frozen=True, kw_only=True)
class FunctionTarget(PipeTarget):
    """A Lambda function, which gets the array of events and may answer with a partial batch response.

    Attributes:
        wait: Whether the pipe waits for the answer. Without, it sees no failure of the function, and retries none.
    """

    wait: bool = True

    service = ("lambda", "function")

    @property
    def works(self) -> bool:  # noqa: D102 - see `PipeTarget`
        return self.wait

    def parameters(self) -> Mapping[str, Any]:  # noqa: D102 - see `PipeTarget`
        return {"lambda_function_parameters": {"invocation_type": _invocation(self.wait)}}


@dataclass(frozen=True, kw_only=True)
class WorkflowTarget(PipeTarget):
    """A state machine of Step Functions.

    Attributes:
        express: Whether it is an Express workflow. A Standard one is only started: its failures are its own, and
            pipes cannot name its executions, so a repeat starts a second one.
    """

    express: bool = False

    service = ("states", "stateMachine")

    @property
    def works(self) -> bool:  # noqa: D102 - see `PipeTarget`
        return self.express

    def parameters(self) -> Mapping[str, Any]:  # noqa: D102 - see `PipeTarget`
        return {"step_function_state_machine_parameters": {"invocation_type": _invocation(self.express)}}

    def statements(self) -> list[Statement]:  # noqa: D102 - see `PipeTarget`
        return [allow(["states:StartSyncExecution" if self.express else "states:StartExecution"], self.arn)]


@dataclass(frozen=True, kw_only=True)
class ApiDestinationTarget(PipeTarget):
    """An API destination: one HTTP request per event.

    Attributes:
        headers: Header parameters.
        query: Query string parameters, texts or paths.
        path: The value of the endpoint's `*`.
    """

    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    path: str | None = None

    service = ("events", "api-destination")
    maximum_batch = PIPE_TARGET_BATCH["api-destination"]

    @property
    def works(self) -> bool:  # noqa: D102 - see `PipeTarget`
        return True

    def parameters(self) -> Mapping[str, Any]:  # noqa: D102 - see `PipeTarget`
        chosen: dict[str, Any] = {}
        if self.headers:
            chosen["header_parameters"] = dict(self.headers)
        if self.query:
            chosen["query_string_parameters"] = dict(self.query)
        if self.path is not None:
            chosen["path_parameter_values"] = self.path
        return {"http_parameters": chosen} if chosen else {}


@dataclass(frozen=True, kw_only=True)
class Enrichment:
    """A function, Express workflow or API destination that each batch goes through before the target.

    An answer of `[]` skips the target. Partial failures need the events' identifiers in the answer
    (docs/aws-semantics.md §3.3).

    Attributes:
        by: The function, Express workflow or API destination, as a target.
        input_template: Makes its input of each event.
        evaluates_condition: Whether it drops the events that do not satisfy the pipe's `when`, as far as patterns
            cannot.
    """

    by: FunctionTarget | WorkflowTarget | ApiDestinationTarget
    input_template: str | None = None
    evaluates_condition: bool = False

    @property
    def maximum_batch(self) -> int | None:
        """Events per call at most; `None` where only the payload limits them."""
        return self.by.maximum_batch

    def made(self, name: str, opts: pulumi.ResourceOptions) -> Enrichment:  # noqa: ARG002 - as `FunctionEnrichment`
        """Return itself: what enriches exists already."""
        return self

    def problem(self) -> str | None:
        """Explain why AWS refuses this enrichment; `None` if it does not."""
        if isinstance(self.by, WorkflowTarget) and not self.by.express:
            return "the enrichment is a Standard workflow, and AWS waits for Express ones only: set express=True"
        if isinstance(self.by, FunctionTarget) and not self.by.wait:
            return "the enrichment is always waited for: leave wait=False out"
        return None


def _invocation(wait: bool) -> str:
    return "REQUEST_RESPONSE" if wait else "FIRE_AND_FORGET"
