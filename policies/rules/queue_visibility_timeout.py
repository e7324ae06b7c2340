"""`queue-visibility-timeout`: AWS accepts the queue's mapping, and a bad message is set aside."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING, QUEUE, QUEUE_REDRIVE
from policies.graph import Stack
from policies.queue_times import function_timeout, queue_of, visibility_timeout
from policies.resources import Resource, some, whole
from policies.rule import Config, StackRule, Violation, each
from policies.stream_readers import failure_uses
from policies.wording import named, setting


def check(mapping: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check the visibility timeout and the redrive policy of the queue that a mapping reads."""
    queue = queue_of(mapping, stack)

    def visibility() -> Iterator[Violation]:
        timeout = function_timeout(mapping, stack)
        if timeout is None:
            return
        hidden = visibility_timeout(queue)
        if hidden < timeout:
            yield Violation(
                what=f"the queue hides a message for {whole(hidden)} s and its function may run {whole(timeout)} s",
                lost="AWS refuses the mapping, so nobody reads the queue, which deletes a message after its retention "
                "(four days by default)",
                fix=f"set {setting('visibilityTimeoutSeconds', int(6 * timeout))}: six times the function's timeout",
                about=queue,
            )

    def redrive() -> Iterator[Violation]:
        # A queue of failures is the end of the line: there is nowhere further to put its messages.
        if queue.urn not in failure_uses(stack) and not _has_redrive(queue, stack):
            yield Violation(
                what="the queue has no redrive policy",
                lost="a message that can never succeed is retried until the queue's retention ends, after four days by "
                "default, and is then deleted without a trace",
                fix=f"set {named('redrivePolicy')} with a deadLetterTargetArn and a maxReceiveCount",
                about=queue,
            )

    yield from each(visibility, redrive)


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
    title="A queue that a function reads must hide messages for its timeout, and set bad ones aside",
    why="AWS refuses a mapping whose queue hides messages for less than the function's timeout "
    "(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html), and queue-visibility-headroom "
    "advises on more. A redrive policy ends the retries of a message that can never succeed. A queue that is itself "
    "the failure destination of a stream's reader needs none.",
    remediation=f"Set {named('visibilityTimeoutSeconds')} to six times the function's timeout, and a "
    f"{named('redrivePolicy')}.",
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
            visibilityTimeoutSeconds: 20
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
