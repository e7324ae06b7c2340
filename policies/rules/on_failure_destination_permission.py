"""`on-failure-destination-permission`: the role may deliver failures."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING, PIPE
from policies.grants import denied, to_deliver
from policies.graph import Stack
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import failure_destination, role, stream_kind


def check(reader: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check that the role of a stream mapping or pipe may write to its failure destination."""
    stream_kind(stack, reader)
    destination = failure_destination(stack, reader)
    if destination is None:
        raise NotApplicable(f"{reader.name} has no failure destination")
    user = role(stack, reader)
    missing = [grant.action for grant in denied(stack, user, to_deliver(stack, reader, destination))]
    if missing:
        yield Violation(
            what=f"the role {user.name} is not allowed {' and '.join(missing)} on the failure destination",
            lost="failures cannot be delivered: AWS counts a DestinationDeliveryFailure, goes on, and the records are "
            "gone for good, in the hour when the destination is needed",
            fix=f"allow the role {' and '.join(missing)} on it"
            + (" (PutObject on the objects, bucket/*, not on the bucket)" if "s3:PutObject" in missing else ""),
        )


RULE = StackRule(
    id="on-failure-destination-permission",
    level="mandatory",
    severity="critical",
    title="The role of a stream's reader must be allowed to deliver to its failure destination",
    why="Failures are delivered under the function's (or the pipe's) own role. When that is refused nothing is "
    "retried: the records are dropped and only a metric moves (docs/aws-semantics.md §2.7, §6.2).",
    remediation="Allow sqs:SendMessage on the queue, sns:Publish on the topic, or s3:PutObject on the bucket's objects "
    "and s3:ListBucket on the bucket; with a customer managed key also kms:GenerateDataKey (and kms:Decrypt for a "
    "queue or topic) on the key.",
    resources=(MAPPING, PIPE),
    check=check,
    limits="A policy that is computed from resources which do not exist yet is read only after `up`. Permissions "
    "boundaries, service control policies and a key policy without the account's root are not seen.",
    good=(
        """
        failures: {type: aws:s3:Bucket}
        orders-role:
          type: aws:iam:Role
          properties: {assumeRolePolicy: "{}"}
        orders-policy:
          type: aws:iam:RolePolicy
          properties:
            role: ${orders-role.name}
            policy:
              fn::toJSON:
                Version: "2012-10-17"
                Statement:
                  - {Effect: Allow, Action: "s3:PutObject", Resource: "${failures.arn}/*"}
                  - {Effect: Allow, Action: ["s3:ListBucket"], Resource: ["${failures.arn}"]}
        orders:
          type: aws:lambda:Function
          properties: {role: "${orders-role.arn}"}
        orders-mapping:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: ${orders.name}
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        """,
    ),
    bad=(
        """
        failures: {type: aws:sqs:Queue}
        orders-role:
          type: aws:iam:Role
          properties: {assumeRolePolicy: "{}"}
        orders-policy:
          type: aws:iam:RolePolicyAttachment
          properties:
            role: ${orders-role.name}
            policyArn: arn:aws:iam::aws:policy/service-role/AWSLambdaDynamoDBExecutionRole
        orders:
          type: aws:lambda:Function
          properties: {role: "${orders-role.arn}"}
        orders-mapping:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: ${orders.name}
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        """,
        """
        orders-role:
          type: aws:iam:Role
          properties: {assumeRolePolicy: "{}"}
        orders-policy:
          type: aws:iam:RolePolicy
          properties:
            role: ${orders-role.name}
            policy: >-
              {"Statement": [{"Effect": "Allow", "Action": ["s3:PutObject", "s3:ListBucket"],
              "Resource": "arn:aws:s3:::failures"}]}
        orders:
          type: aws:lambda:Function
          properties: {role: "${orders-role.arn}"}
        orders-mapping:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: ${orders.name}
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "arn:aws:s3:::failures"}}
        """,
    ),
)
