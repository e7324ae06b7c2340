"""`stream-write-back`: a consumer does not feed itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aws_semantics.event_patterns import InvalidPattern
from aws_semantics.event_patterns.syntax import Clause, expand, parse
from policies.aws_types import MAPPING, TABLE
from policies.graph import Stack, known_text, name_of, name_to_come
from policies.iam import UNKNOWN, Permissions, Statement, is_everything, permissions
from policies.names import Arn
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import filter_patterns, role, source, stream_kind

#: The changes that an action writes to the stream. A delete ends by itself: nothing is deleted twice.
_WRITES: Mapping[str, frozenset[str]] = {
    "dynamodb:PutItem": frozenset({"INSERT", "MODIFY"}),
    "dynamodb:UpdateItem": frozenset({"MODIFY"}),
    "dynamodb:BatchWriteItem": frozenset({"INSERT", "MODIFY"}),
    "dynamodb:PartiQLInsert": frozenset({"INSERT"}),
    "dynamodb:PartiQLUpdate": frozenset({"MODIFY"}),
}
_EVENT_NAMES = frozenset({"INSERT", "MODIFY", "REMOVE"})


def check(mapping: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check that a consumer may not write the table it reads, or that its filters leave its own writes out."""
    kind, read = stream_kind(stack, mapping), source(stack, mapping)
    if kind != "dynamodb":
        raise NotApplicable(f"{mapping.name} reads no table's stream")
    user = role(stack, mapping)
    table, allowed = _table_arn(read), permissions(stack, user)
    actions = [action for action in _WRITES if _is_granted(allowed, action, table)]
    passing = _passing(mapping)
    looping = [action for action in actions if _WRITES[action] & passing]
    if looping:
        only_updates = all(_WRITES[action] <= {"MODIFY"} for action in looping)
        condition = (
            '{"eventName": ["INSERT"]}'
            if only_updates
            else '{"dynamodb": {"NewImage": {"processedAt": {"S": [{"exists": false}]}}}}, on an attribute that the '
            "consumer sets with its write"
        )
        yield Violation(
            what=f"the role {user.name} may {' and '.join(each.partition(':')[2] for each in looping)} the table whose "
            f"stream {mapping.name} reads, and no filter leaves these writes out",
            lost="nothing at once; but a write that comes back as a change and is written again never ends: it costs "
            "money by the second, holds up every other change behind it, and AWS does not detect it, because recursion "
            "detection covers Lambda, SQS, SNS and S3 only",
            fix=f"filter the consumer's own writes out, e.g. with the pattern {condition}; or write to another table",
        )
    for awaited in allowed.awaited:
        raise awaited


def _is_granted(allowed: Permissions, action: str, table: str) -> bool:
    """Test whether a role is deliberately allowed an action on a table: stars are another rule's business."""

    def deliberately(statement: Statement) -> bool:
        return (
            statement.effect == "Allow"
            and not statement.conditional
            and not statement.other_actions
            and not statement.other_resources
            and not {"*", "dynamodb:*"} & {each.lower() for each in statement.actions}
            and not any(is_everything(each, "dynamodb") for each in statement.resources)
            and statement.is_about(action)
            and statement.covers(table)
        )

    return any(deliberately(statement) for statement in allowed.statements) and allowed.allow(action, table)


def _table_arn(read: Resource | str | None) -> str:
    if isinstance(read, Resource) and read.type == TABLE:
        name = name_of(read) or f"{name_to_come(read)}{UNKNOWN}"
        return known_text(read, "arn") or f"arn:{UNKNOWN}:dynamodb:{UNKNOWN}:{UNKNOWN}:table/{name}"
    arn = Arn.parse(read if isinstance(read, str) else None)
    if arn is None:
        raise NotApplicable("the table that is read is not known")
    return f"arn:aws:dynamodb:{arn.place}:{'/'.join(arn.resource.split('/')[:2])}"


def _passing(mapping: Resource) -> frozenset[str]:
    """Find the kinds of change that pass the filters with any content of the items.

    Raises:
        Awaited: A filter is not known yet.
    """
    patterns = [place.text("pattern") for place in filter_patterns(mapping).blocks("filters")]
    if not patterns:
        return _EVENT_NAMES
    found: set[str] = set()
    for pattern in patterns:
        try:
            ways = expand(parse(pattern or ""))
        except InvalidPattern:
            continue
        for way in ways:
            clauses = [clause for clause in way if isinstance(clause, Clause)]
            if not any(map(_selects_items, clauses)):
                names = [clause for clause in clauses if clause.path == ("eventName",)]
                found |= {name for name in _EVENT_NAMES if all(clause.field.accepts(name) for clause in names)}
    return frozenset(found)


def _selects_items(clause: Clause) -> bool:
    """Test whether a clause asks for the content of items, or for the deletes of time to live."""
    if clause.path[0] == "userIdentity":
        return not clause.field.absent
    return clause.path[0] == "dynamodb" and len(clause.path) > 1 and clause.path[1] in ("Keys", "NewImage", "OldImage")


RULE = StackRule(
    id="stream-write-back",
    level="advisory",
    severity="high",
    title="A consumer should not write the table it reads without a filter on its own writes",
    why="A consumer that updates an item of the table whose stream it reads gets that update as its next change. When "
    "it writes again, the loop never ends. Lambda's recursion detection does not cover DynamoDB "
    "(https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html). A write that changes nothing ends it, "
    "because DynamoDB sends no change then, but a time or a counter in the item always changes.",
    remediation="Filter the consumer's own writes out, or write to another table.",
    resources=(MAPPING,),
    check=check,
    limits="A filter on the content of items, on their keys or on the deletes of time to live is taken to leave the "
    "consumer's own writes out. Grants with stars or conditions are not judged: stream-role-least-privilege is there "
    "for the stars. Loops over two consumers, over Kinesis and over pipes are not seen.",
    good=(
        """
        orders-role:
          type: aws:iam:Role
          properties:
            assumeRolePolicy: "{}"
            inlinePolicies:
              - name: writes
                policy: >-
                  {"Statement": [{"Effect": "Allow", "Action": "dynamodb:UpdateItem",
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
            filterCriteria: {filters: [{pattern: '{"eventName": ["INSERT"]}'}]}
        """,
    ),
    bad=(
        """
        orders-role:
          type: aws:iam:Role
          properties:
            assumeRolePolicy: "{}"
            inlinePolicies:
              - name: writes
                policy: >-
                  {"Statement": [{"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:UpdateItem"],
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
            filterCriteria: {filters: [{pattern: '{"eventName": ["INSERT", "MODIFY"]}'}]}
        """,
    ),
)
