"""`on-failure-destination-permission`: the role may deliver what is given up."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING, PIPE
from policies.failure_grants import Grant, names_role, needed, own_statements
from policies.graph import Stack
from policies.iam import permissions
from policies.not_applicable import Awaited, NotApplicable
from policies.resources import Resource, some
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import failure_destination, role, stream_kind


def check(reader: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Whether the role of a stream mapping or pipe may write to its failure destination."""
    stream_kind(stack, reader)
    destination = failure_destination(stack, reader)
    if destination is None:
        raise NotApplicable(f"{reader.name} has no failure destination")
    user = role(stack, reader)
    denied: list[str] = []
    awaited: list[Awaited] = []
    for grant in needed(stack, reader, destination):
        try:
            if not _allowed(stack, user, grant):
                denied.append(grant.action)
        except Awaited as unknown:
            awaited.append(unknown)
    if denied:
        yield Violation(
            what=f"the role {user.name} is not allowed {' and '.join(denied)} on the failure destination",
            lost="what is given up cannot be delivered: AWS counts a DestinationDeliveryFailure, goes on, and the "
            "records are gone for good, in the hour when the destination is needed",
            fix=f"allow the role {' and '.join(denied)} on it"
            + (" (PutObject on the objects, bucket/*, not on the bucket)" if "s3:PutObject" in denied else ""),
        )
    elif awaited:
        raise awaited[0]


def _allowed(stack: Stack, user: Resource, grant: Grant) -> bool:
    def by_the_role() -> bool:
        return permissions(stack, user).allow(grant.action, grant.arn)

    def by_the_resource() -> bool:
        statements = own_statements(stack, grant.on) if grant.on is not None else ()
        return any(
            statement.effect == "Allow" and statement.is_about(grant.action) and names_role(statement, user)
            for statement in statements
        )

    return some((by_the_role, by_the_resource), lambda way: way())


RULE = StackRule(
    id="on-failure-destination-permission",
    level="mandatory",
    severity="critical",
    title="The role of a stream's reader may deliver to its failure destination",
    why="Failures are delivered under the function's (or the pipe's) own role. When that is refused nothing is "
    "retried: the records are dropped and only a metric moves (docs/aws-semantics.md §2.7, §6.2).",
    remediation="Allow sqs:SendMessage on the queue, sns:Publish on the topic, or s3:PutObject on the bucket's objects "
    "and s3:ListBucket on the bucket; with a customer managed key also kms:GenerateDataKey (and kms:Decrypt for a "
    "queue or topic) on the key.",
    resources=(MAPPING, PIPE),
    check=check,
    limits="A policy that is computed from resources which do not exist yet is read after `up` only. Permissions "
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
