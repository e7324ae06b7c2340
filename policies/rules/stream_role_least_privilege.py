"""`stream-role-least-privilege`: a reader's role names its actions and resources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from aws_semantics.iam_actions import SCOPED_ACTIONS, UNSCOPED_ACTIONS
from policies.aws_types import MAPPING, PIPE
from policies.graph import Stack
from policies.iam import Statement, is_everything, matches, permissions
from policies.names import Arn
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import role, stream_kind

#: The services that are judged, and their resources.
_RESOURCES: Mapping[str, str] = {
    "dynamodb": "table",
    "kinesis": "stream",
    "s3": "bucket",
    "sns": "topic",
    "sqs": "queue",
}
#: Reads that AWS's own execution roles allow on every stream, so that anything narrower is accepted too.
_STREAM_READS = {
    "dynamodb": frozenset({"describestream", "getrecords", "getsharditerator", "liststreams"}),
    "kinesis": frozenset(
        {
            *("describestream", "describestreamsummary", "getrecords", "getsharditerator"),
            *("listshards", "liststreams", "subscribetoshard"),
        }
    ),
}


class _Breadth(NamedTuple):
    """The excess of a statement for one service.

    Attributes:
        service: The service.
        every_action: Whether it allows every action, instead of some.
        every_resource: Whether it allows them on every resource.
    """

    service: str
    every_action: bool
    every_resource: bool

    def __str__(self) -> str:
        actions = f"{'every action' if self.every_action else 'actions'} of {self.service}"
        return f"{actions} on {'every' if self.every_resource else 'the named'} {_RESOURCES[self.service]}"


def check(reader: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check the statements of a stream reader's role."""
    stream_kind(stack, reader)
    user = role(stack, reader)
    allowed = permissions(stack, user)
    denials = [each for each in allowed.statements if each.effect == "Deny" and not each.conditional]
    for statement in allowed.statements:
        if statement.effect == "Deny":
            continue
        excess = [breadth for service in _RESOURCES if (breadth := _breadth(statement, denials, service))]
        if excess:
            yield Violation(
                what=f"the role {user.name} allows {', '.join(map(str, excess))} (in {statement.source})",
                lost=_lost(excess),
                about=user,
            )
    for awaited in allowed.awaited:
        raise awaited


def _lost(excess: Sequence[_Breadth]) -> str:
    """Tell the damage that these permissions allow, and no more than that."""
    wide = [_RESOURCES[each.service] for each in excess if each.every_resource]
    if wide:
        return (
            "at once nothing; but one bug or one leaked credential of this consumer then reaches every "
            f"{' and every '.join(wide)} of the account with these actions, also those of the other consumers"
        )
    named = " and the ".join(_RESOURCES[each.service] for each in excess)
    return (
        f"at once nothing; but one bug or one leaked credential of this consumer can then delete or open the {named} "
        "that it was only meant to use"
    )


def _breadth(statement: Statement, denials: Sequence[Statement], service: str) -> _Breadth | None:
    """Find the excess of a statement for a service: every action, or actions on every resource."""
    everywhere = not statement.narrowed and (
        statement.other_resources or any(is_everything(each, service) for each in statement.resources)
    )
    touches = everywhere or any(_is_of(each, service) for each in statement.resources)
    if statement.is_about(f"{service}:\0"):
        every = touches and not _denied(f"{service}:\0", denials, service)
        return _Breadth(service, every_action=True, every_resource=everywhere) if every else None
    if statement.other_actions or not everywhere:
        return None
    wide = [each for each in statement.actions if _needs_resource(each, service)]
    left = [each for each in wide if not _denied(each, denials, service)]
    return _Breadth(service, every_action=False, every_resource=True) if left else None


def _needs_resource(pattern: str, service: str) -> bool:
    """Test whether a pattern covers an action that a policy could limit to a resource."""
    prefix, _, action = pattern.lower().partition(":")
    if prefix != service or action in UNSCOPED_ACTIONS[service] or action in _STREAM_READS.get(service, ()):
        return False
    if not set("*?") & set(action):
        # An action that AWS has added since is taken for one with a resource.
        return True
    scoped = SCOPED_ACTIONS[service] - _STREAM_READS.get(service, frozenset())
    return any(matches(action, each) for each in scoped)


def _denied(action: str, denials: Iterable[Statement], service: str) -> bool:
    """Test whether an action is denied without a condition, on everything or on all but some resources."""
    return any(
        denial.is_about(action)
        and (denial.other_resources or any(is_everything(each, service) for each in denial.resources))
        for denial in denials
    )


def _is_of(resource: str, service: str) -> bool:
    """Test whether a pattern may cover a resource of the service."""
    arn = Arn.parse(resource)
    return arn.service in (service, "*") if arn is not None else "*" in resource


RULE = StackRule(
    id="stream-role-least-privilege",
    level="mandatory",
    severity="high",
    title="The role of a stream's reader must name its actions and resources",
    why="A consumer needs its stream, its failure destination and the resources it works on, each by name. With `*` "
    "every consumer can undo the work of every other. Accepted are reads of every stream (as AWS's own execution roles "
    "allow them), actions that exist on * only (ListTables, ListQueues), the objects of a bucket (bucket/*), resources "
    "that a condition on their tags or on leading keys selects, and whatever an unconditional denial takes away again "
    "(docs/aws-semantics.md §6.2).",
    remediation="List the actions, and name the table, queue, topic or bucket in Resource.",
    resources=(MAPPING, PIPE),
    check=check,
    limits="A policy that is computed from resources which do not exist yet is read only after `up`. Policies of other "
    "programs are not seen. A prefix (dynamodb:Get* on a table, table/orders-*) is accepted.",
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
