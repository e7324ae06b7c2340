"""`Watched`: what a consumer or pipe shows on the dashboard, and its alarms, in the same words on every route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a graph.

    Attributes:
        namespace: Namespace of the metric.
        metric: Name of the metric.
        dimensions: Its dimensions.
        statistic: How the values of a period become one.
        scale: Divides its values, e.g. 1,000 for milliseconds shown as seconds.
    """

    namespace: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: Literal["Maximum", "Sum"] = "Sum"
    scale: int = 1


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A consumer or pipe, as the dashboard shows it.

    Attributes:
        name: Its name.
        lag: How far behind it is, in seconds; empty where CloudWatch does not measure it.
        batches: The batches that it was called with.
        failures: The events that failed, retries included.
        dead_letters: The events that were given up.
        alarms: Its alarms.
    """

    name: str
    lag: Sequence[Line] = ()
    batches: Sequence[Line] = ()
    failures: Sequence[Line] = ()
    dead_letters: Sequence[Line] = ()
    alarms: Sequence[aws.cloudwatch.MetricAlarm] = field(default=())


class Route(Protocol):
    """A way from a change to workers: a `Stream`, `FanOut`, `KinesisChanges`, `StreamPipe` or a consumer alone."""

    def watched(self) -> Sequence[Watched]:
        """Return each consumer and pipe of the route, and the route's own parts."""
        ...


def stream_lines(function: aws.lambda_.Function, mapping: aws.lambda_.EventSourceMapping) -> dict[str, list[Line]]:
    """Return the lines of a consumer of a stream, by the attributes of `Watched`."""
    by_function, by_mapping = {"FunctionName": function.name}, {"EventSourceMappingUUID": mapping.uuid}
    return {
        "lag": [
            Line(namespace="AWS/Lambda", metric="IteratorAge", dimensions=by_function, statistic="Maximum", scale=1_000)
        ],
        **function_lines(function, mapping),
        "dead_letters": [
            Line(namespace="AWS/Lambda", metric=metric, dimensions=by_mapping)
            for metric in ("OnFailureDestinationDeliveredEventCount", "DroppedEventCount")
        ],
    }


def function_lines(function: aws.lambda_.Function, mapping: aws.lambda_.EventSourceMapping) -> dict[str, list[Line]]:
    """Return the lines of a function that a mapping calls: its batches and failures."""
    by_function, by_mapping = {"FunctionName": function.name}, {"EventSourceMappingUUID": mapping.uuid}
    return {
        "batches": [Line(namespace="AWS/Lambda", metric="Invocations", dimensions=by_function)],
        "failures": [
            # With partial responses the function itself never fails.
            Line(namespace="AWS/Lambda", metric="FailedInvokeEventCount", dimensions=by_mapping),
            Line(namespace="AWS/Lambda", metric="Errors", dimensions=by_function),
        ],
    }


def queue_age(queue: aws.sqs.Queue) -> list[Line]:
    """Return the line of a queue's oldest message."""
    return [
        Line(
            namespace="AWS/SQS",
            metric="ApproximateAgeOfOldestMessage",
            dimensions={"QueueName": queue.name},
            statistic="Maximum",
        )
    ]


def waiting(*queues: aws.sqs.Queue) -> list[Line]:
    """Return the lines of messages that wait in dead-letter queues."""
    return [waiting_in(queue.name) for queue in queues]


def waiting_in(queue: pulumi.Input[str]) -> Line:
    """Return the line of messages that wait in the dead-letter queue of a name."""
    return Line(
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": queue},
        statistic="Maximum",
    )


def pipe_lines(pipe: aws.pipes.Pipe) -> dict[str, list[Line]]:
    """Return the lines of a pipe, by the attributes of `Watched`."""
    by_pipe = {"PipeName": pipe.name}
    account = aws.get_caller_identity_output().account_id
    namespace = "AWS/EventBridge/Pipes"
    return {
        "batches": [Line(namespace=namespace, metric="Invocations", dimensions={"AwsAccountId": account, **by_pipe})],
        "failures": [
            Line(namespace=namespace, metric=metric, dimensions=by_pipe)
            for metric in ("ExecutionFailed", "ExecutionPartiallyFailed")
        ],
    }
