"""`StreamPipe`: an EventBridge pipe from a stream to a service, without code of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from aws_semantics.pipe_templates import template_problem
from components.access import Statement, policy_document, trust
from components.alarms import PIPE_ALARMS, AlarmOpinion, make_alarms
from components.delivery import InvalidDelivery, check_retention
from components.failure_destination import FailureDestination
from components.function_enrichment import FunctionEnrichment, condition_of
from components.kinesis_delivery import KinesisPipeDelivery
from components.kinesis_source import KinesisSource
from components.pipe_delivery import PipeDelivery
from components.pipe_targets import Enrichment, PipeTarget
from components.push_down import pipe_filters_of
from components.refusal import Refused
from components.stream_change import kept, other_place, place_of
from components.stream_source import StreamSource
from components.watched import Watched, pipe_lines, waiting
from handlers.cdc import Condition

#: Days that a pipe's log is kept: its dead letters say where an event was, and the log alone says why.
_LOG_RETENTION_DAYS = 30


class StreamPipe(pulumi.ComponentResource):
    """A pipe that reads a stream and sends its changes to a queue, topic, bus, function, workflow or HTTP endpoint.

    It is one of the stream's readers. A failing event holds up its shard until it is given up, and then its place in
    the stream is in the dead-letter queue, not its content (docs/aws-semantics.md §3.5).

    Args:
        source: The stream: `users.stream` of a `ChangeTable`, a `StreamSource` for a table that exists, or the `source`
            of a `KinesisChanges`, whose events hold the change below `$.data`.
        target: The receiver of the changes: a `QueueTarget`, `TopicTarget`, `BusTarget`, `FunctionTarget`,
            `WorkflowTarget` or `ApiDestinationTarget`.
        when: The condition of wanted changes, e.g. `on.modify & on.new("plan").eq("pro")`. AWS must be able to evaluate
            all of it, unless the enrichment evaluates the rest.
        input_template: Makes the target's input of each event, e.g. `{"user": <$.dynamodb.Keys.userId.S>}`.
        enrichment: A function, Express workflow or API destination that events go through before. A
            `FunctionEnrichment` brings the pipe's condition, and evaluates what no pattern says of it.
        delivery: Settings of the pipe: a `PipeDelivery`, or a `KinesisPipeDelivery` for a Kinesis stream.
        alarms: The alarms, `PIPE_ALARMS` by default.
        alarm_actions: ARNs that alarms notify, usually of SNS topics.
        page_actions: ARNs that the urgent ones notify; `alarm_actions` when not given.
        allow_stream_change: Let this deployment change where a pipe that exists begins to read.

    Attributes:
        pipe: The `aws.pipes.Pipe`.
        role: Its `aws.iam.Role`, with just the permissions that it needs; `policy` is the role's only one.
        log_group: Its `aws.cloudwatch.LogGroup`, of failures alone.
        on_failure: The `FailureDestination`.
        alarms: The `aws.cloudwatch.MetricAlarm` of each opinion, by its name.

    Raises:
        TooManyReaders: The stream has as many readers as it serves.
        InvalidDelivery: The settings do not fit the target or the stream.
        Refused: The source is a queue or otherwise no stream of changes; AWS would refuse target, enrichment or
            template, or could not evaluate the condition.

    Example:
        bus = aws.cloudwatch.EventBus("changes")
        StreamPipe(
            "to-bus",
            source=users.stream,
            target=BusTarget(arn=bus.arn, detail_type="plan changed", source="users"),
            when=on.modify & on.new("plan").is_in(["pro", "enterprise"]),
            input_template='{"userId": <$.dynamodb.Keys.userId.S>}',
            alarm_actions=[alarms.arn],
        )
    """

    def __init__(
        self,
        name: str,
        *,
        source: StreamSource,
        target: PipeTarget,
        when: Condition | None = None,
        input_template: str | None = None,
        enrichment: Enrichment | FunctionEnrichment | None = None,
        delivery: PipeDelivery | None = None,
        alarms: Sequence[AlarmOpinion] = PIPE_ALARMS,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        allow_stream_change: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        _check_source(name, source)
        kinesis = source.dialect == "kinesis"
        delivery = delivery or (KinesisPipeDelivery() if kinesis else PipeDelivery())
        _check_kind(name, delivery, source)
        when = condition_of(name, when, enrichment)
        check_parts(name, target, enrichment, input_template, batch_size=delivery.batch_size)
        check_retention(name, delivery.maximum_record_age_in_seconds, source.retention_in_seconds)
        residue_is_evaluated = enrichment is not None and enrichment.evaluates_condition
        filters = delivery.filters or pipe_filters_of(
            name,
            when,
            source,
            residue_is_evaluated=residue_is_evaluated,
            dialect="kinesis" if kinesis else "pipe",
        )
        source.add_reader(name)
        place = place_of(source, delivery.position)
        super().__init__(
            "weir:index:StreamPipe",
            name,
            place,
            kept(name, place, other_place, allowed=allow_stream_change, opts=opts),
        )
        child = pulumi.ResourceOptions(parent=self)

        self.on_failure = FailureDestination(
            f"{name}-failures", kind=delivery.on_failure, alarm_actions=alarm_actions, opts=child
        )
        self.log_group = pipe_log(name, child)
        self.role = aws.iam.Role(name, assume_role_policy=trust("pipes.amazonaws.com"), opts=child)
        made = None if enrichment is None else enrichment.made(name, child)
        statements: list[Statement] = [
            *source.pipe_statements(),
            *self.on_failure.send_statements,
            *target.statements(),
            *(made.by.statements() if made else []),
        ]
        self.policy = aws.iam.RolePolicy(name, role=self.role.name, policy=policy_document(statements), opts=child)
        self.pipe = aws.pipes.Pipe(
            name,
            role_arn=self.role.arn,
            source=source.arn,
            **_source_arguments(delivery, filters, self.on_failure.arn),
            **pipe_arguments(self.log_group, target, made, input_template),
            # AWS tries the role when the pipe is created, and a failure is final.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.policy, *self.on_failure.resources]),
        )
        self.alarms = make_alarms(
            name,
            alarms,
            {"PipeName": self.pipe.name, "AwsAccountId": aws.get_caller_identity_output().account_id},
            actions=alarm_actions,
            page_actions=page_actions,
            failure_destination=self.on_failure.arn,
            opts=child,
        )
        self._source = source
        self.register_outputs({"pipeName": self.pipe.name})

    def exported(self) -> Mapping[str, pulumi.Input[Any]]:
        """Return what the stack's output `pipes` has to say of the pipe, so that the operator's commands know it."""
        queue = self.on_failure.queue
        exported: dict[str, pulumi.Input[Any]] = {
            "pipe": self.pipe.name,
            "deadLetterQueues": [] if queue is None else [queue.arn],
            "alarms": {alarm: made.name for alarm, made in {**self.alarms, **self.on_failure.alarms}.items()},
        }
        # A stream of Kinesis does not say which table its changes are of.
        return exported | ({"stream": self._source.table_stream} if isinstance(self._source, KinesisSource) else {})

    def watched(self) -> Sequence[Watched]:
        """Return what a dashboard shows of the pipe. CloudWatch does not measure how far it is behind."""
        queue = self.on_failure.queue
        return [
            Watched(
                name=self.pulumi_resource_name,
                **pipe_lines(self.pipe),
                dead_letters=[] if queue is None else waiting(queue),
                alarms=[*self.alarms.values(), *self.on_failure.alarms.values()],
            )
        ]


def _check_source(name: str, source: object) -> None:
    if isinstance(source, StreamSource):
        return
    raise Refused(
        f"{name}: source is {type(source).__name__}, and a StreamPipe reads changes: the stream of a table "
        "(users.stream) or the source of a KinesisChanges. For a queue of changes let FanOut.pipe(…) make queue and "
        "pipe; a queue of anything else has no changes to filter: declare an aws.pipes.Pipe for it"
    )


def _check_kind(name: str, delivery: PipeDelivery, source: StreamSource) -> None:
    kinesis = source.dialect == "kinesis"
    if isinstance(delivery, KinesisPipeDelivery) != kinesis:
        raise InvalidDelivery(
            f"{name}: delivery is a {type(delivery).__name__}, and {source.table} is read through "
            f"{'Kinesis: pass a KinesisPipeDelivery' if kinesis else 'its own stream: pass a PipeDelivery'}"
        )


def check_parts(
    name: str,
    target: PipeTarget,
    enrichment: Enrichment | FunctionEnrichment | None,
    input_template: str | None,
    *,
    batch_size: int,
) -> None:
    """Refuse targets, enrichments and templates that AWS refuses, or that do not fit the batch size.

    Raises:
        Refused: AWS refuses a part.
        InvalidDelivery: The batch is larger than what a part takes in one call.
    """
    for part in (target, enrichment):
        if part is not None and (problem := part.problem()):
            raise Refused(f"{name}: {problem}")
    for template in (input_template, enrichment and enrichment.input_template):
        if template and (problem := template_problem(template)):
            raise Refused(f"{name}: {problem}; AWS refuses the pipe")
    for what, called in (("target", target), ("enrichment", enrichment)):
        most = called.maximum_batch if called else None
        if most is not None and batch_size > most:
            raise InvalidDelivery(
                f"{name}: batch_size={batch_size}, and the {what} takes {most} event{'s' * (most > 1)} in one "
                f"call: AWS refuses the pipe; set batch_size={most}"
            )


def pipe_log(name: str, opts: pulumi.ResourceOptions) -> aws.cloudwatch.LogGroup:
    """Create the log group of a pipe."""
    # With this prefix the log needs no room in the account's one policy of log deliveries.
    log_name = f"/aws/vendedlogs/pipes/{pulumi.get_project()}-{pulumi.get_stack()}-{name}"
    return aws.cloudwatch.LogGroup(name, name=log_name, retention_in_days=_LOG_RETENTION_DAYS, opts=opts)


def pipe_arguments(
    log_group: aws.cloudwatch.LogGroup,
    target: PipeTarget,
    enrichment: Enrichment | None,
    input_template: str | None,
) -> dict[str, Any]:
    """Return the arguments of a pipe that do not depend on its source."""
    to_target = {**target.parameters(), **({"input_template": input_template} if input_template else {})}
    return {
        "target": target.arn,
        **_enrichment_arguments(enrichment),
        **({"target_parameters": to_target} if to_target else {}),
        "log_configuration": {
            "level": "ERROR",
            "cloudwatch_logs_log_destination": {"log_group_arn": log_group.arn},
        },
    }


def _source_arguments(
    delivery: PipeDelivery, filters: Sequence[str], dead_letters: pulumi.Input[str]
) -> dict[str, Any]:
    stream: dict[str, Any] = {
        "starting_position": delivery.starting_position,
        "batch_size": delivery.batch_size,
        "maximum_batching_window_in_seconds": delivery.maximum_batching_window_in_seconds,
        "parallelization_factor": delivery.parallelization_factor,
        "maximum_retry_attempts": delivery.maximum_retry_attempts,
        "maximum_record_age_in_seconds": delivery.maximum_record_age_in_seconds,
        "dead_letter_config": {"arn": dead_letters},
    }
    if delivery.automatic_bisect:
        stream["on_partial_batch_item_failure"] = "AUTOMATIC_BISECT"
    source = "dynamodb_stream_parameters"
    if isinstance(delivery, KinesisPipeDelivery):
        source = "kinesis_stream_parameters"
        if delivery.starting_position_timestamp is not None:
            stream["starting_position_timestamp"] = delivery.starting_position_timestamp
    parameters: dict[str, Any] = {source: stream}
    if filters:
        parameters["filter_criteria"] = {"filters": [{"pattern": pattern} for pattern in filters]}
    return {"source_parameters": parameters}


def _enrichment_arguments(enrichment: Enrichment | None) -> dict[str, Any]:
    if enrichment is None:
        return {}
    parameters: dict[str, Any] = {}
    http = enrichment.by.parameters().get("http_parameters")
    if http:
        parameters["http_parameters"] = http
    if enrichment.input_template:
        parameters["input_template"] = enrichment.input_template
    return {"enrichment": enrichment.by.arn, **({"enrichment_parameters": parameters} if parameters else {})}
