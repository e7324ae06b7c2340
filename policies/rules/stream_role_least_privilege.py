"""`stream-role-least-privilege`: a reader's role names what it touches."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING, PIPE
from policies.graph import Stack
from policies.iam import Statement, managed, matches, permissions
from policies.managed_policies import STREAM_READER_POLICY
from policies.names import Arn
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import role, stream_kind

_SERVICES = ("dynamodb", "sqs", "sns", "s3")
#: It lists every stream and takes no resource.
_UNSCOPED = "dynamodb:liststreams"


def check(reader: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """The statements of a stream reader's role."""
    stream_kind(stack, reader)
    user = role(stack, reader)
    allowed = permissions(stack, user)
    for statement in allowed.statements:
        if statement.effect == "Deny" or statement.source == managed(STREAM_READER_POLICY):
            continue
        breadths = [breadth for service in _SERVICES if (breadth := _breadth(statement, service))]
        if breadths:
            yield Violation(
                what=f"the role {user.name} allows {', '.join(breadths)} (in {statement.source})",
                lost="at once nothing; but one bug or one leaked credential of this consumer then reads and destroys "
                "every table, queue, topic or bucket of the account, the failure destinations of the others included",
                about=user,
            )
    for awaited in allowed.awaited:
        raise awaited


def _breadth(statement: Statement, service: str) -> str | None:
    """How a statement is too wide for a service: `*` actions, or `*` resources."""
    if statement.is_about(f"{service}:\0"):
        return f"every action of {service}"
    if statement.other_actions or not any(_needs_resource(action, service) for action in statement.actions):
        return None
    if statement.other_resources or any(_is_everything(resource, service) for resource in statement.resources):
        return f"actions of {service} on every resource"
    return None


def _needs_resource(action: str, service: str) -> bool:
    action = action.lower()
    return action.startswith(f"{service}:") and action != _UNSCOPED


def _is_everything(resource: str, service: str) -> bool:
    """Whether a pattern covers whatever name a resource of the service has."""
    arn = Arn.parse(resource)
    if arn is None:
        return matches(resource, f"arn:aws:{service}:us-east-1:111122223333:\0")
    if arn.service not in (service, "*"):
        return False
    name = arn.resource
    if service == "dynamodb":
        kind, separator, rest = name.partition("/")
        if not separator or "*" in kind:
            return "*" in kind
        name = rest
    return set(name.split("/")[0]) <= {"*", "?"} and "*" in name


RULE = StackRule(
    id="stream-role-least-privilege",
    level="mandatory",
    severity="high",
    title="The role of a stream's reader names its actions and resources",
    why="A consumer needs its stream, its failure destination and what it works on, each by name. With `*` every "
    "consumer can undo the work of every other. Accepted are table/T/stream/*, ListStreams on * (AWS has no narrower "
    "form), the objects of a bucket (bucket/*) and AWS's own AWSLambdaDynamoDBExecutionRole (docs/aws-semantics.md "
    "§6.2).",
    remediation="List the actions, and name the table, queue, topic or bucket in Resource.",
    resources=(MAPPING, PIPE),
    check=check,
    limits="A policy that is computed from resources which do not exist yet is read after `up` only. Policies of other "
    "programs are not seen. A prefix (dynamodb:Get*, table/orders-*) is accepted.",
    good=(
        """
        orders-role:
          type: aws:iam:Role
          properties:
            assumeRolePolicy: "{}"
            managedPolicyArns: ["arn:aws:iam::aws:policy/service-role/AWSLambdaDynamoDBExecutionRole"]
        orders-policy:
          type: aws:iam:RolePolicy
          properties:
            role: ${orders-role.name}
            policy: >-
              {"Statement": [{"Effect": "Allow", "Action": ["dynamodb:GetRecords", "dynamodb:GetShardIterator"],
              "Resource": "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/*"},
              {"Effect": "Allow", "Action": "dynamodb:ListStreams", "Resource": "*"},
              {"Effect": "Allow", "Action": "s3:PutObject", "Resource": ["arn:aws:s3:::failures/*"]}]}
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
          properties: {assumeRolePolicy: "{}"}
        orders-policy:
          type: aws:iam:RolePolicy
          properties:
            role: ${orders-role.name}
            policy: '{"Statement": {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}}'
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
        """
        orders-role:
          type: aws:iam:Role
          properties:
            assumeRolePolicy: "{}"
            inlinePolicies:
              - name: all
                policy: >-
                  {"Statement": [{"Effect": "Allow", "Action": ["dynamodb:*"],
                  "Resource": "arn:aws:dynamodb:us-east-1:111122223333:table/users"}]}
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
