"""`mapping-report-batch-item-failures`: the function names the records that are not done."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING
from policies.not_applicable import Awaited, NotApplicable
from policies.resources import Resource
from policies.rule import Config, Rule, Violation
from policies.stream_readers import STREAMS, batch_size, source_kind
from policies.wording import setting


def check(mapping: Resource, _: Config) -> Iterator[Violation]:
    """Check that a stream or SQS mapping takes partial batch responses."""
    if source_kind(mapping) not in (*STREAMS, "sqs"):
        raise NotApplicable(f"{mapping.name} reads neither a stream nor a queue")
    if "ReportBatchItemFailures" not in mapping.props.texts("functionResponseTypes"):
        repeated = (
            "" if _reads_one(mapping) else "every retry repeats the effects of the records before the failed one, and "
        )
        yield Violation(
            what="the mapping does not take ReportBatchItemFailures",
            lost=f"{repeated}identifiers that the function returns are ignored: AWS then counts the batch as done and "
            "the failed records are gone at once",
        )


def _reads_one(mapping: Resource) -> bool:
    try:
        return batch_size(mapping) == 1
    except Awaited:
        return False


RULE = Rule(
    id="mapping-report-batch-item-failures",
    level="mandatory",
    severity="high",
    title="A stream or SQS mapping must take partial batch responses",
    why="With ReportBatchItemFailures a function names the first record (or, for a queue, the messages) that is not "
    "done, and nothing before it comes again. Without it one failure repeats the whole batch; and a function that "
    "returns identifiers all the same loses them silently (docs/aws-semantics.md §2.6).",
    remediation=f"Set {setting('functionResponseTypes', ['ReportBatchItemFailures'])}, and return the failures.",
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
            functionResponseTypes: [ReportBatchItemFailures]
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
        """
        jobs:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: jobs
            eventSourceArn: arn:aws:sqs:us-east-1:111122223333:jobs
        """,
    ),
)
