"""`mapping-enabled`: the stream is being read."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING, PIPE
from policies.graph import Stack
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation, each
from policies.stream_readers import invoked, is_on, stream_kind
from policies.wording import setting

_LOST = (
    "it keeps its position, and the stream goes on forgetting: a change is gone 24 h after it was made (later where a "
    "Kinesis stream is kept longer), and no metric or alarm says so"
)


def check(reader: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check that a stream mapping is enabled, a pipe is not stopped, and the function may run."""
    stream_kind(stack, reader)

    def switched_on() -> Iterator[Violation]:
        if not is_on(reader):
            mapping = reader.type == MAPPING
            yield Violation(
                what="the stream mapping is disabled" if mapping else "the pipe is stopped",
                lost=_LOST,
                fix=f"set {setting('enabled', True) if mapping else setting('desiredState', 'RUNNING')}, or remove it",
            )

    def may_run() -> Iterator[Violation]:
        if reader.type != MAPPING:
            return
        function = invoked(stack, reader).function
        if function is not None and function.props.number("reservedConcurrentExecutions") == 0:
            yield Violation(
                what=f"the function {function.name} has a reserved concurrency of 0, so that it never runs",
                lost="every batch is throttled, which spends no retry and reaches no failure destination: a change is "
                "gone 24 h after it was made (later where a Kinesis stream is kept longer)",
                fix="set reservedConcurrentExecutions (Python: reserved_concurrent_executions) to the number of "
                "shards times the parallelization factor or more, or to -1 for no reservation",
            )

    yield from each(switched_on, may_run)


RULE = StackRule(
    id="mapping-enabled",
    level="advisory",
    severity="medium",
    title="The reader of a stream must run",
    why="A disabled mapping, a stopped pipe and a function with a reserved concurrency of 0 are pauses with a "
    "deadline: the stream's retention keeps running, and a reader that is switched off emits no metrics, so that no "
    "alarm can fire (docs/aws-semantics.md §2.2).",
    remediation=f"Set {setting('enabled', True)}, or remove the reader.",
    resources=(MAPPING, PIPE),
    check=check,
    good=(
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
        """,
    ),
    bad=(
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            enabled: false
        """,
        """
        webhooks:
          type: aws:pipes:Pipe
          properties:
            roleArn: arn:aws:iam::111122223333:role/pipe
            source: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            target: arn:aws:sqs:us-east-1:111122223333:webhooks
            desiredState: STOPPED
            sourceParameters:
              dynamodbStreamParameters: {startingPosition: TRIM_HORIZON}
        """,
        """
        orders:
          type: aws:lambda:Function
          properties: {role: "arn:aws:iam::111122223333:role/orders", reservedConcurrentExecutions: 0}
        orders-mapping:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: ${orders.arn}
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
        """,
    ),
)
