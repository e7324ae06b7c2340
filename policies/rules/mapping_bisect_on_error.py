"""`mapping-bisect-on-error`: a batch that failed as a whole is split."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING
from policies.resources import Resource
from policies.rule import Config, Rule, Violation
from policies.stream_readers import require_stream


def check(mapping: Resource, _: Config) -> Iterator[Violation]:
    """Bisect of a stream mapping."""
    require_stream(mapping)
    if mapping.props.flag("bisectBatchOnFunctionError") is not True:
        yield Violation(
            what="a batch that fails as a whole is not split",
            lost="when the function crashes or times out on one record, the whole batch is retried and then given up "
            "with it: up to batchSize healthy changes are lost to the consumer with the bad one",
        )


RULE = Rule(
    id="mapping-bisect-on-error",
    level="mandatory",
    severity="high",
    title="A stream mapping splits a batch that failed as a whole",
    why="A crash, a timeout or an error names no record. Without bisect the batch is sent again as it is until its "
    "retries are spent, and then all of it is given up. With bisect the halves are tried until the bad record stands "
    "alone; splitting costs no retry (docs/aws-semantics.md §2.5).",
    remediation="Set bisect_batch_on_function_error=True.",
    resources=(MAPPING,),
    check=check,
    good=(
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            bisectBatchOnFunctionError: true
        """,
        """
        jobs:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: jobs
            eventSourceArn: arn:aws:sqs:us-east-1:111122223333:jobs
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
        """,
    ),
)
