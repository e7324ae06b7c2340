"""`mapping-report-batch-item-failures`: the function names what is not done."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, Rule, Violation
from policies.stream_readers import STREAMS, source_kind


def check(mapping: Resource, _: Config) -> Iterator[Violation]:
    """Response types of a stream or SQS mapping."""
    if source_kind(mapping) not in (*STREAMS, "sqs"):
        raise NotApplicable(f"{mapping.name} reads neither a stream nor a queue")
    if "ReportBatchItemFailures" not in mapping.props.texts("functionResponseTypes"):
        yield Violation(
            what="the mapping does not take ReportBatchItemFailures",
            lost="every retry repeats the effects of the records before the failed one, and identifiers that the "
            "function returns are ignored: AWS then counts the batch as done and the failed records are gone at once",
        )


RULE = Rule(
    id="mapping-report-batch-item-failures",
    level="mandatory",
    severity="high",
    title="A stream or SQS mapping takes partial batch responses",
    why="With ReportBatchItemFailures a function names the first record (or, for a queue, the messages) that is not "
    "done, and nothing before it comes again. Without it one failure repeats the whole batch; and a function that "
    "returns identifiers all the same loses them silently (docs/aws-semantics.md §2.6).",
    remediation='Set function_response_types=["ReportBatchItemFailures"], and return the failures.',
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
