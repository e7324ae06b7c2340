"""Pipes of a deployed stack: their source, filter, target and dead letters, as AWS describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aws_semantics.permissions import calling
from local.endpoint.delivery.pipe_telemetry import log_group_of
from local.engine.pipes.configuration import not_simulated
from local.engine.pipes.sources import source_of
from local.engine.pipes.targets import UnsupportedTarget, service_of, waits_for_answer
from ops.operator.consumers import Consumer, consumers_of
from ops.operator.reader import ReadsSource, age_in, patterns_in
from ops.operator.stack import NoStack, Stack


@dataclass(frozen=True)
class Pipe(ReadsSource):
    """A pipe that reads a stream, or a queue: one of a fan-out or any other.

    Attributes:
        name: Its name in the program.
        described: The pipe as DescribePipe describes it.
        kept_in: ARNs of the queues with its dead letters, as far as the program knows them.
        table_stream: ARN of the stream of the table whose changes it gets.
        alarms: Names of its alarms, by their short names.
        guarded: Nothing at its target is known to decide about an older change.
    """

    name: str
    described: Mapping[str, Any]
    kept_in: Sequence[str] = ()
    table_stream: str | None = None
    alarms: Mapping[str, str] = field(default_factory=dict[str, str])
    guarded: ClassVar[bool] = False

    @property
    def source(self) -> str:
        """ARN of the stream or queue that it reads."""
        return self.described["Source"]

    @property
    def state(self) -> str:
        """Its CurrentState."""
        return self.described["CurrentState"]

    @property
    def changed_at(self) -> float:
        """Time of its last change, stop or start, in seconds since 1970."""
        return self.described["LastModifiedTime"].timestamp()

    @property
    def record_age(self) -> float:
        """Age in seconds at which it gives records up; infinite without one."""
        return age_in(source_of(self.source).given(self.described))

    @property
    def target(self) -> str:
        """ARN of its target."""
        return self.described["Target"]

    @property
    def queues(self) -> Sequence[str]:
        """ARNs of the queues with messages that SQS or a topic gave up; a stream's dead letters are documents."""
        return self.kept_in if self.reads_queue else ()

    @property
    def destinations(self) -> Sequence[str]:
        """ARNs of the places with the pipe's failures."""
        given = source_of(self.source).given(self.described).get("DeadLetterConfig", {}).get("Arn")
        return tuple(dict.fromkeys(arn for arn in (given, *self.kept_in) if arn))

    @property
    def patterns(self) -> Sequence[Any]:
        """The patterns of the pipe's filter; empty if it has none."""
        return patterns_in(self.described.get("SourceParameters", {}))

    @property
    def log_group(self) -> str | None:
        """Name of its log group; `None` if it logs elsewhere or not at all."""
        return log_group_of(self.described.get("LogConfiguration", {}))

    @property
    def log_arn(self) -> str:
        """ARN of its log's streams, for a policy."""
        _, partition, _, region, account, _ = self.described["Arn"].split(":")
        return f"arn:{partition}:logs:{region}:{account}:log-group:{self.log_group}:*"

    @property
    def needs(self) -> Sequence[tuple[str, str]]:
        """The actions, each with its resource, that sending to its enrichment and its target needs."""
        if self.reads_queue or self.problem:
            return ()
        wait = waits_for_answer(service_of(self.target), self.described.get("TargetParameters", {}))
        enrichment = self.described.get("Enrichment")
        asked = calling(enrichment, wait=True) if enrichment else ()
        url = [("sqs:GetQueueUrl", self.target)] if service_of(self.target).kind == "SQS queue" else ()
        return (*asked, *calling(self.target, wait=wait), *url)

    @property
    def problem(self) -> str | None:
        """The reason why its dead letters cannot be sent to its target from here; `None` if they can."""
        if self.reads_queue:
            return None
        for member in ("Enrichment", "Target"):
            arn = self.described.get(member)
            if arn and ":api-destination/" in arn:
                return self._refused(f"{member.lower()} {arn}: EventBridge alone has the credentials of its connection")
            try:
                _ = arn and service_of(arn)
            except UnsupportedTarget:
                return self._refused(f"{member.lower()} {arn}")
        set_here = {name: self.described.get(name) for name in ("Target", "TargetParameters")}
        unknown = next(not_simulated({name: value for name, value in set_here.items() if value}), None)
        return unknown and self._refused(unknown.partition(" of a pipe is not simulated")[0])

    def _refused(self, part: str) -> str:
        return (
            f"dead letters of {self.name} cannot be redriven: a redrive does not reproduce its {part}. "
            "`weir dead-letters show ID` prints each record: bring what is still wanted to the target by hand, then "
            "`weir dead-letters drop`. A FanOut.pipe(…) reads a queue, and any target will do there"
        )


#: Who gives records up: a consumer or a pipe.
Reader = Consumer | Pipe


def readers_of(stack: Stack, name: str | None = None) -> Sequence[Reader]:
    """Describe the consumers and pipes of a stack, or one of them.

    Raises:
        NoStack: The stack has no output `consumers`, or neither a consumer nor a pipe of this name.
    """
    pipes = stack.outputs.get("pipes", {})
    if name is not None and name in pipes:
        return [_pipe(stack, name, pipes[name])]
    try:
        consumers = consumers_of(stack, name)
    except NoStack as problem:
        if not pipes:
            raise
        raise NoStack(f"{problem}; its pipes are {', '.join(sorted(pipes))}") from None
    return [*consumers, *(_pipe(stack, each, output) for each, output in pipes.items() if name is None)]


def _pipe(stack: Stack, name: str, output: Mapping[str, Any]) -> Pipe:
    described = stack.client("pipes").describe_pipe(Name=output["pipe"])
    # The messages of a queue need not be changes of any table.
    default = None if described["Source"].split(":")[2] == "sqs" else stack.outputs.get("streamArn")
    stream = output.get("stream", default)
    return Pipe(name, described, tuple(output.get("deadLetterQueues", ())), stream, output.get("alarms", {}))
