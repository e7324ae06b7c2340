"""`failure-path-encryption`: failures are stored encrypted."""

from __future__ import annotations

from collections.abc import Iterator

from policies.alarm_actions import CLOUDWATCH
from policies.aws_types import QUEUE, TOPIC
from policies.graph import Stack
from policies.not_applicable import NotApplicable
from policies.resources import Resource, every
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import failure_uses
from policies.wording import named, setting


def check(destination: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check that a failure queue or topic is encrypted."""
    if destination.urn not in failure_uses(stack):
        raise NotApplicable(f"{destination.name} is not the failure destination of a stream's reader")

    def without_key() -> bool:
        return destination.props.text("kmsMasterKeyId") is None

    if destination.type == TOPIC:
        plain, what = without_key(), "the failure topic has no key"
        fix = (
            f"set {named('kmsMasterKeyId')} to a customer managed key; its policy must let the role use "
            f"kms:GenerateDataKey and kms:Decrypt, and, when alarms notify the topic too, {CLOUDWATCH} as well. With "
            "alias/aws/sns such alarms would fall silent: CloudWatch may not use that key"
        )
    else:
        plain = every(lambda: destination.props.flag("sqsManagedSseEnabled") is False, without_key)
        what = "the failure queue's encryption is switched off"
        fix = f"remove {setting('sqsManagedSseEnabled', False)}"
    if plain:
        yield Violation(
            what=what,
            lost="no change, but confidentiality: keys, positions and error texts of failed changes are stored in "
            "plain text for as long as they are kept, up to 14 days in a queue",
            fix=fix,
        )


RULE = StackRule(
    id="failure-path-encryption",
    level="advisory",
    severity="low",
    title="Failure queues and topics must be encrypted",
    why="SQS and S3 encrypt by default, and only a setting switches it off for a queue. A topic is encrypted only with "
    "a key. AWS's own key alias/aws/sns lets no service but SNS in: a topic that alarms notify too needs a customer "
    f"managed key whose policy lets {CLOUDWATCH} use it (docs/aws-semantics.md §6.1).",
    remediation="Leave a queue's encryption on, and give a topic a customer managed key.",
    resources=(QUEUE, TOPIC),
    check=check,
    good=(
        """
        failures: {type: aws:sqs:Queue}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        """,
    ),
    bad=(
        """
        failures:
          type: aws:sqs:Queue
          properties: {sqsManagedSseEnabled: false}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        """,
        """
        failures: {type: aws:sns:Topic}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        """,
    ),
)
