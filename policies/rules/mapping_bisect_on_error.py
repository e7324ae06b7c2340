"""`mapping-bisect-on-error`: a batch that failed as a whole is split."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, Rule, Violation
from policies.stream_readers import batch_size, require_stream
from policies.wording import setting


def check(mapping: Resource, _: Config) -> Iterator[Violation]:
    """Check that a stream mapping bisects, unless its batches have one record."""
    require_stream(mapping)
    if mapping.props.flag("bisectBatchOnFunctionError") is True:
        return
    if batch_size(mapping) == 1:
        raise NotApplicable(f"{mapping.name} reads batches of one record, which cannot be split")
    yield Violation(
        what="a batch that fails as a whole is not split",
        lost="when the function crashes or times out on one record, the whole batch is retried and then given up "
        "with it: up to batchSize healthy changes are lost to the consumer with the bad one",
    )


RULE = Rule(
    id="mapping-bisect-on-error",
    level="mandatory",
    severity="high",
    title="A stream mapping must split a batch that failed as a whole",
    why="A crash, a timeout or an error names no record. Without bisect the batch is sent again as it is until its "
    "retries are spent, and then all of it is given up. With bisect the halves are tried until the bad record is "
    "alone; splitting costs no retry (docs/aws-semantics.md §2.5).",
    remediation=f"Set {setting('bisectBatchOnFunctionError', True)}.",
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
