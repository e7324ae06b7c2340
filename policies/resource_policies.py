"""The policies of queues, topics, buckets, keys and streams themselves, and the principals that they let in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policies.aws_types import (
    BUCKET_POLICY,
    BUCKETS,
    DYNAMODB_POLICY,
    KEY,
    KEY_POLICY,
    KINESIS_POLICY,
    KINESIS_STREAM,
    QUEUE,
    QUEUE_POLICY,
    ROLE,
    TABLE,
    TOPIC,
    TOPIC_POLICY,
)
from policies.graph import Stack, name_of
from policies.iam import Statement, document, matches
from policies.names import physical_name
from policies.resources import Resource

#: Resources that hold the policy of a resource of a type, and the property that names it.
_HOLDERS = {
    QUEUE: ((QUEUE_POLICY, "queueUrl"),),
    TOPIC: ((TOPIC_POLICY, "arn"),),
    KEY: ((KEY_POLICY, "keyId"),),
    TABLE: ((DYNAMODB_POLICY, "resourceArn"),),
    KINESIS_STREAM: ((KINESIS_POLICY, "resourceArn"),),
    **dict.fromkeys(BUCKETS, ((BUCKET_POLICY, "bucket"),)),
}


def own_statements(stack: Stack, resource: Resource) -> Iterator[Statement]:
    """Read the statements of the policy that is attached to a resource itself.

    A resource that holds the policy replaces the policy in the resource's own properties, which may be the default one.

    Raises:
        Awaited: A policy is not known yet.
    """
    holders = [
        policy
        for type_, path in _HOLDERS.get(resource.type, ())
        for policy in stack.of_type(type_)
        if stack.follow(policy, path, resource.type) is resource
    ]
    for holder in holders or [resource]:
        yield from document(holder.props, holder.name)


def names_role(statement: Statement, role: Resource) -> bool:
    """Test whether a statement of a resource's own policy is about a role.

    A statement about everybody counts only without a condition: the condition is there to let somebody else in.
    """
    own = name_of(role)
    if "*" in statement.principals:
        return not statement.conditional
    return own is not None and any(physical_name(ROLE, principal) == own for principal in statement.principals)


def lets_service_in(statements: Sequence[Statement], service: str, action: str, *, by_account: bool = False) -> bool:
    """Test whether a resource's own policy lets an AWS service do something.

    A condition on the service is taken to hold. One on everybody is taken to let somebody else in.

    Args:
        statements: The statements of the policy.
        service: The service principal, e.g. `cloudwatch.amazonaws.com`.
        action: The action.
        by_account: Whether a statement about everybody with a condition counts too, as that of the policy which SNS
            gives a topic: services act for the account that owns it.
    """

    def names_it(statement: Statement) -> bool:
        if any(matches(each, service) for each in statement.services):
            return True
        return "*" in statement.principals and (by_account or not statement.conditional)

    about = [each for each in statements if each.is_about(action) and names_it(each)]
    if any(each.effect == "Deny" and not each.conditional for each in about):
        return False
    return any(each.effect == "Allow" for each in about)
