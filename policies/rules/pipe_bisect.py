"""`pipe-bisect`: a batch that failed is split."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import PIPE
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, Rule, Violation
from policies.stream_readers import batch_size, require_stream, settings
from policies.wording import setting


def check(pipe: Resource, _: Config) -> Iterator[Violation]:
    """Check that a pipe with a stream as its source bisects, unless its batches have one event."""
    require_stream(pipe)
    if settings(pipe).text("onPartialBatchItemFailure") == "AUTOMATIC_BISECT":
        return
    if batch_size(pipe) == 1:
        raise NotApplicable(f"{pipe.name} reads batches of one event, which cannot be split")
    yield Violation(
        what="a batch that the pipe cannot deliver is not split",
        lost="one event that the enrichment or the target refuses takes its whole batch with it: when the retries "
        "are spent, up to batchSize healthy events are given up too",
    )


RULE = Rule(
    id="pipe-bisect",
    level="mandatory",
    severity="high",
    title="A pipe that reads a stream must split a failed batch",
    why="Without AUTOMATIC_BISECT a pipe retries a failed batch as it is and then gives up all of it. With it the "
    "halves are tried until the bad event is alone (docs/aws-semantics.md §3.5).",
    remediation=f"Set {setting('onPartialBatchItemFailure', 'AUTOMATIC_BISECT')} in the stream parameters.",
    resources=(PIPE,),
    check=check,
    good=(
        """
        webhooks:
          type: aws:pipes:Pipe
          properties:
            roleArn: arn:aws:iam::111122223333:role/pipe
            source: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            target: arn:aws:sqs:us-east-1:111122223333:webhooks
            sourceParameters:
              dynamodbStreamParameters:
                startingPosition: TRIM_HORIZON
                onPartialBatchItemFailure: AUTOMATIC_BISECT
        """,
    ),
    bad=(
        """
        webhooks:
          type: aws:pipes:Pipe
          properties:
            roleArn: arn:aws:iam::111122223333:role/pipe
            source: arn:aws:kinesis:us-east-1:111122223333:stream/changes
            target: arn:aws:sqs:us-east-1:111122223333:webhooks
            sourceParameters:
              kinesisStreamParameters: {startingPosition: TRIM_HORIZON}
        """,
    ),
)
