"""Consumers of a deployed stack: their mapping, function, source and failure destination, as AWS describes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handlers.cdc.discard import DESTINATION_VARIABLE
from handlers.cdc.ledger_table import TABLE_VARIABLE
from ops.function_logs import log_group_in
from ops.operator.reader import ReadsSource, age_in, patterns_in
from ops.operator.stack import NoStack, Stack
from ops.running import FORWARDER, FORWARDERS, forwarder_alarms_of, forwarders_of


@dataclass(frozen=True)
class Archive:
    """The archive of a fan-out's topic.

    Attributes:
        topic: ARN of the topic.
        claim_checks: ARN of the bucket with the changes that no message holds.
    """

    topic: str
    claim_checks: str


@dataclass(frozen=True)
class Consumer(ReadsSource):
    """A consumer of a stream or a queue.

    Attributes:
        name: Its name in the program.
        uuid: UUID of its event source mapping.
        mapping: The mapping as GetEventSourceMapping describes it.
        function: The function as GetFunctionConfiguration describes it.
        alarms: Names of its alarms, by their short names.
        queues: ARNs of the queues with what SQS gave up, and with what a topic could not deliver.
        is_guarded: Whether the program says that a version guard, a marker or a ledger decides about each change.
        table_stream: ARN of the stream of the table whose changes it gets, through a fan-out or Kinesis too.
        archive: The archive of its fan-out's topic, if the topic keeps one.
    """

    name: str
    uuid: str
    mapping: Mapping[str, Any]
    function: Mapping[str, Any]
    alarms: Mapping[str, str]
    queues: Sequence[str] = ()
    table_stream: str | None = None
    is_guarded: bool = False
    archive: Archive | None = None

    @property
    def function_name(self) -> str:
        """Name of the function."""
        return self.function["FunctionName"]

    @property
    def log_group(self) -> str:
        """Name of the function's log group."""
        return log_group_in(self.function)

    @property
    def source(self) -> str:
        """ARN of the stream or queue that the mapping reads."""
        return self.mapping["EventSourceArn"]

    @property
    def state(self) -> str:
        """State of the mapping."""
        return self.mapping["State"]

    @property
    def changed_at(self) -> float:
        """Time of the mapping's last change, in seconds since 1970."""
        return self.mapping["LastModified"].timestamp()

    @property
    def record_age(self) -> float:
        """Age in seconds at which the mapping gives records up; infinite without one."""
        return age_in(self.mapping)

    @property
    def destinations(self) -> Sequence[str]:
        """ARNs of the places with the consumer's failures: of its mapping, and of the records that it parks itself."""
        of_mapping = self.mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        arns = (of_mapping, self._environment.get(DESTINATION_VARIABLE), *self.queues)
        return tuple(dict.fromkeys(arn for arn in arns if arn))

    @property
    def patterns(self) -> Sequence[Any]:
        """The patterns of the mapping's filter; empty if it has none."""
        return patterns_in(self.mapping)

    @property
    def ledger(self) -> str | None:
        """Name of the effect ledger's table; `None` if the consumer has none."""
        return self._environment.get(TABLE_VARIABLE)

    @property
    def guarded(self) -> bool:
        """`True` if an older change can do no harm: a ledger or a guard decides, or those behind a forwarder do."""
        return self.is_guarded or self.ledger is not None

    @property
    def _environment(self) -> Mapping[str, str]:
        return self.function.get("Environment", {}).get("Variables", {})


def consumers_of(stack: Stack, name: str | None = None) -> list[Consumer]:
    """Describe the consumers of a stack, or one of them.

    Raises:
        NoStack: The stack has no output `consumers`, or none of this name.
    """
    consumers = stack.outputs.get("consumers")
    if not isinstance(consumers, Mapping):
        raise NoStack("the stack has no output `consumers`: deploy the program's present version")
    known = dict(consumers)
    # Those behind a forwarder decide about a change that it repeats.
    known |= {
        each: {
            "eventSourceMapping": mapping,
            "guarded": True,
            "alarms": forwarder_alarms_of(stack.outputs, each),
        }
        for each, mapping in forwarders_of(stack.outputs).items()
    }
    if name in stack.outputs.get(FORWARDERS, ()) and name not in known:
        name = FORWARDER  # its name among the alarms
    if name is not None and name not in known:
        raise NoStack(f"there is no consumer {name!r}: the stack has {', '.join(sorted(known)) or 'none'}")
    functions = stack.client("lambda")
    found: list[Consumer] = []
    for each, output in known.items():
        if name in (None, each):
            mapping = functions.get_event_source_mapping(UUID=output["eventSourceMapping"])
            function = functions.get_function_configuration(FunctionName=mapping["FunctionArn"])
            queues = output.get("deadLetterQueues", ())
            alarms, stream = output.get("alarms", {}), output.get("stream", stack.outputs.get("streamArn"))
            guarded = output.get("guarded") is True
            kept = output.get("archive")
            archive = None if kept is None else Archive(kept["topic"], kept["claimChecks"])
            found.append(Consumer(each, mapping["UUID"], mapping, function, alarms, queues, stream, guarded, archive))
    return found


def other_functions(stack: Stack, known: Collection[str]) -> dict[str, Any]:
    """Describe the stack's functions that are not of consumers, e.g. of the API, by their names in the program.

    Args:
        stack: The stack.
        known: Names of the consumers.
    """
    functions, names = stack.client("lambda"), stack.outputs.get("functionNames", {})
    return {
        name: functions.get_function_configuration(FunctionName=function)
        for name, function in names.items()
        if name not in known
    }
