"""`queue-visibility-timeout`: a message in work stays hidden, and a bad one is set aside."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING, QUEUE, QUEUE_REDRIVE
from policies.graph import Stack
from policies.not_applicable import NotApplicable
from policies.resources import Resource, some, whole
from policies.rule import Config, StackRule, Violation, each
from policies.stream_readers import invoked, source, source_kind

#: What AWS uses when nothing is set, in seconds.
_DEFAULT_VISIBILITY, _DEFAULT_TIMEOUT = 30, 3
#: AWS's advice for queues that Lambda reads.
_TIMES = 6


def check(mapping: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Visibility timeout and redrive policy of the queue that a mapping reads."""
    queue = _queue(mapping, stack)

    def visibility() -> Iterator[Violation]:
        function = invoked(stack, mapping).function
        if function is None:
            return
        hidden = queue.props.number("visibilityTimeoutSeconds")
        hidden = _DEFAULT_VISIBILITY if hidden is None else hidden
        timeout = function.props.number("timeout") or _DEFAULT_TIMEOUT
        if hidden < _TIMES * timeout:
            yield Violation(
                what=f"the queue hides a message for {whole(hidden)} s and its function may run {whole(timeout)} s",
                lost="a message comes back while it is still in work: its effect happens twice at once, and its "
                "receive count runs up, so that healthy messages end in the dead letter queue under load",
                fix=f"set visibility_timeout_seconds to at least {whole(_TIMES * timeout)}, six times the function's "
                "timeout",
                about=queue,
            )

    def redrive() -> Iterator[Violation]:
        if not _has_redrive(queue, stack):
            yield Violation(
                what="the queue has no redrive policy",
                lost="a message that can never succeed is retried until the queue's retention ends, four days unless "
                "told otherwise, and is then deleted without a trace",
                fix="set redrive_policy with a deadLetterTargetArn and a maxReceiveCount",
                about=queue,
            )

    yield from each(visibility, redrive)


def _queue(mapping: Resource, stack: Stack) -> Resource:
    if source_kind(mapping) not in ("sqs", "stream"):
        raise NotApplicable(f"{mapping.name} reads no queue")
    queue = source(stack, mapping)
    if not isinstance(queue, Resource) or queue.type != QUEUE:
        raise NotApplicable(f"{mapping.name} reads no queue of this program")
    return queue


def _has_redrive(queue: Resource, stack: Stack) -> bool:
    def by_itself() -> bool:
        return "deadLetterTargetArn" in (queue.props.text("redrivePolicy") or "")

    def by_resource() -> bool:
        return some(stack.of_type(QUEUE_REDRIVE), lambda each: stack.follow(each, "queueUrl", QUEUE) is queue)

    return some((by_itself, by_resource), lambda way: way())


RULE = StackRule(
    id="queue-visibility-timeout",
    level="mandatory",
    severity="high",
    title="A queue that a function reads hides messages long enough, and sets bad ones aside",
    why="Lambda receives messages, waits for a free worker, retries throttled invocations, and only then is the "
    "function's timeout running: AWS asks for six times that timeout "
    "(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html). A redrive policy ends the retries of "
    "a message that can never succeed.",
    remediation="Set visibility_timeout_seconds to six times the function's timeout, and a redrive_policy.",
    resources=(MAPPING,),
    check=check,
    limits="When the function is not in the program, its timeout is not known and only the redrive policy is judged.",
    good=(
        """
        failures: {type: aws:sqs:Queue}
        jobs:
          type: aws:sqs:Queue
          properties:
            visibilityTimeoutSeconds: 180
            redrivePolicy: {"fn::toJSON": {deadLetterTargetArn: "${failures.arn}", maxReceiveCount: 5}}
        worker:
          type: aws:lambda:Function
          properties: {role: "arn:aws:iam::111122223333:role/worker", timeout: 30}
        worker-mapping:
          type: aws:lambda:EventSourceMapping
          properties: {functionName: "${worker.arn}", eventSourceArn: "${jobs.arn}"}
        """,
    ),
    bad=(
        """
        failures: {type: aws:sqs:Queue}
        jobs:
          type: aws:sqs:Queue
          properties:
            visibilityTimeoutSeconds: 60
            redrivePolicy: {"fn::toJSON": {deadLetterTargetArn: "${failures.arn}", maxReceiveCount: 5}}
        worker:
          type: aws:lambda:Function
          properties: {role: "arn:aws:iam::111122223333:role/worker", timeout: 30}
        worker-mapping:
          type: aws:lambda:EventSourceMapping
          properties: {functionName: "${worker.arn}", eventSourceArn: "${jobs.arn}"}
        """,
        """
        jobs:
          type: aws:sqs:Queue
          properties: {visibilityTimeoutSeconds: 180}
        worker-mapping:
          type: aws:lambda:EventSourceMapping
          properties: {functionName: worker, eventSourceArn: "${jobs.arn}"}
        """,
    ),
)
