"""`stream-read-permission`: the role may read the stream."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import KINESIS_CONSUMER, KINESIS_STREAM, MAPPING, PIPE, TABLE
from policies.grants import denied, to_read
from policies.graph import Stack
from policies.names import Arn
from policies.not_applicable import Awaited, NotApplicable
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import role, source, stream_kind


def check(reader: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check that the role of a stream mapping or pipe may read the stream, and decrypt it."""
    stream_kind(stack, reader)
    read, user = source(stack, reader), role(stack, reader)
    if _is_fan_out(stack, reader):
        raise NotApplicable(f"{reader.name} reads by enhanced fan-out, whose permissions are other ones")
    if not _is_stream(read):
        raise NotApplicable(f"{reader.name} names no stream that permissions could be read for")
    missing = [grant.action for grant in denied(stack, user, to_read(stack, read or ""))]
    if missing:
        decrypt = missing == ["kms:Decrypt"]
        on = "the key of the table or stream" if decrypt else "the stream"
        yield Violation(
            what=f"the role {user.name} is not allowed {' and '.join(missing)} on {on}",
            lost="nothing is read, from the first minute or from the policy's change on: the reader stays Enabled, "
            "emits no IteratorAge, so that its alarm never fires, and the stream forgets a change 24 h after it was "
            "made (later where a Kinesis stream is kept longer)",
            fix=f"allow the role {' and '.join(missing)} on {on}",
            about=user,
        )


def _is_fan_out(stack: Stack, reader: Resource) -> bool:
    found = stack.follow(reader, "eventSourceArn" if reader.type == MAPPING else "source", KINESIS_CONSUMER)
    return isinstance(found, Resource) or (found is not None and "/consumer/" in found)


def _is_stream(read: Resource | str | None) -> bool:
    if isinstance(read, Resource):
        if read.type == TABLE:
            try:
                return read.props.flag("streamEnabled") is True
            except Awaited:
                return True
        return read.type == KINESIS_STREAM
    arn = Arn.parse(read)
    return arn is not None and (arn.service == "kinesis" or (arn.service == "dynamodb" and "/stream/" in arn.resource))


RULE = StackRule(
    id="stream-read-permission",
    level="mandatory",
    severity="critical",
    title="The role of a stream's reader must be allowed to read its stream",
    why="Lambda and Pipes read with the function's or the pipe's own role. AWS checks the role when the reader is "
    "created and never again: when a policy changes, or the table gets a customer managed key that the role may not "
    "decrypt with, the reader stays Enabled and reads nothing, without a metric that an alarm could watch "
    "(docs/aws-semantics.md §2.2, §6.2).",
    remediation="Allow DescribeStream, GetRecords and GetShardIterator on the stream (table/T/stream/* or the Kinesis "
    "stream), and kms:Decrypt on a customer managed key of the table or stream.",
    resources=(MAPPING, PIPE),
    check=check,
    limits="A policy that is computed from resources which do not exist yet is read only after `up`. Permissions "
    "boundaries, service control policies and a key policy without the account's root are not seen. Readers by "
    "enhanced fan-out are not judged.",
    good=(
        """
        orders-role:
          type: aws:iam:Role
          properties:
            assumeRolePolicy: "{}"
            managedPolicyArns: ["arn:aws:iam::aws:policy/service-role/AWSLambdaDynamoDBExecutionRole"]
        orders:
          type: aws:lambda:Function
          properties: {role: "${orders-role.arn}"}
        orders-mapping:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: ${orders.arn}
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
        """,
    ),
    bad=(
        """
        orders-role:
          type: aws:iam:Role
          properties:
            assumeRolePolicy: "{}"
            inlinePolicies:
              - name: reads
                policy: >-
                  {"Statement": [{"Effect": "Allow",
                  "Action": ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
                  "Resource": "arn:aws:dynamodb:us-east-1:111122223333:table/accounts/stream/*"}]}
        orders:
          type: aws:lambda:Function
          properties: {role: "${orders-role.arn}"}
        orders-mapping:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: ${orders.arn}
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
        """,
    ),
)
