"""The grants that a role needs to deliver failures: actions and ARNs, by the kind of destination."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from aws_semantics.permissions import encrypting_failures, sending_failures
from policies.aws_types import (
    BUCKET_ENCRYPTION,
    BUCKET_POLICY,
    BUCKETS,
    KEY,
    KEY_ALIAS,
    KEY_POLICY,
    QUEUE,
    QUEUE_POLICY,
    ROLE,
    TOPIC,
    TOPIC_POLICY,
)
from policies.graph import Stack, known_text, name_of, name_to_come
from policies.iam import UNKNOWN, Statement, document
from policies.names import Arn, physical_name
from policies.not_applicable import Awaited
from policies.resources import Block, Resource

_SERVICES = {QUEUE: "sqs", TOPIC: "sns", **dict.fromkeys(BUCKETS, "s3")}
#: AWS's own keys need no grant.
_AWS_KEYS = ("alias/aws/sqs", "alias/aws/sns", "alias/aws/s3")


class Grant(NamedTuple):
    """One action that must be allowed.

    Attributes:
        action: IAM action.
        arn: The resource, with `iam.UNKNOWN` for the parts that are not known yet.
        on: The resource in the program, whose own policy may allow it too.
    """

    action: str
    arn: str
    on: Resource | None


def needed(stack: Stack, reader: Resource, destination: Resource | str) -> list[Grant]:
    """List what the role of a reader must be allowed to deliver to a destination (docs/aws-semantics.md §6.2).

    Raises:
        Awaited: That depends on a key that is not known yet.
    """
    resource = destination if isinstance(destination, Resource) else None
    arn = _arn(destination) if isinstance(destination, Resource) else destination
    parsed = Arn.parse(arn)
    if parsed is None or parsed.service not in _SERVICES.values():
        return []
    # Lambda writes below the mapping's UUID (docs/aws-semantics.md §2.7).
    written = f"aws/lambda/{known_text(reader, 'uuid') or UNKNOWN}/{UNKNOWN}"
    grants = [Grant(action, on, resource) for action, on in sending_failures(arn, key=written)]
    key = _key(stack, resource) if resource is not None else None
    if key is not None:
        grants += [Grant(action, on, key[1]) for action, on in encrypting_failures(arn, key[0])]
    return grants


def own_statements(stack: Stack, resource: Resource) -> Iterator[Statement]:
    """Read the statements of the policies that are attached to a queue, topic, bucket or key itself.

    Raises:
        Awaited: One of them is not known yet.
    """
    yield from document(resource.props, resource.name)
    for type_, path in _RESOURCE_POLICIES.get(resource.type, ()):
        for policy in stack.of_type(type_):
            if stack.follow(policy, path, resource.type) is resource:
                yield from document(policy.props, policy.name)


_RESOURCE_POLICIES = {
    QUEUE: ((QUEUE_POLICY, "queueUrl"),),
    TOPIC: ((TOPIC_POLICY, "arn"),),
    KEY: ((KEY_POLICY, "keyId"),),
    **dict.fromkeys(BUCKETS, ((BUCKET_POLICY, "bucket"),)),
}


def names_role(statement: Statement, role: Resource) -> bool:
    """Test whether a statement of a resource's own policy is about a role.

    A statement about everybody counts only without a condition: the condition is there to let somebody else in.
    """
    own = name_of(role)
    if "*" in statement.principals:
        return not statement.conditional
    return own is not None and any(physical_name(ROLE, principal) == own for principal in statement.principals)


def _arn(resource: Resource) -> str:
    known = known_text(resource, "arn")
    if known is not None:
        return known
    place = ":" if resource.type in BUCKETS else f"{UNKNOWN}:{UNKNOWN}"
    name = name_of(resource) or f"{name_to_come(resource)}{UNKNOWN}"
    return f"arn:{UNKNOWN}:{_SERVICES[resource.type]}:{place}:{name}"


def _key(stack: Stack, destination: Resource) -> tuple[str, Resource | None] | None:
    """The customer managed key of a destination: its ARN, and the resource when it is in the program."""
    for holder, path in _encryptions(stack, destination):
        block, key = holder.props.at(path)
        named = block.text(key) if _is_known(block, key) else None
        if named is not None and named.rpartition(":")[2] in _AWS_KEYS:
            continue
        found = stack.follow(holder, path, KEY_ALIAS, KEY)
        if isinstance(found, Resource) and found.type == KEY_ALIAS:
            found = stack.follow(found, "targetKeyId", KEY)
        if isinstance(found, Resource):
            return known_text(found, "arn") or _key_arn(name_of(found) or UNKNOWN), found
        if found is not None:
            arn = Arn.parse(found)
            # A policy names a key by its id; what an alias stands for is not known here.
            alias = "alias/" in found
            return _key_arn(UNKNOWN) if alias else found if arn else _key_arn(found), None
    return None


def _encryptions(stack: Stack, destination: Resource) -> Iterator[tuple[Resource, str]]:
    """Where the key of a destination may be named."""
    if destination.type not in BUCKETS:
        yield destination, "kmsMasterKeyId"
        return
    yield destination, "serverSideEncryptionConfiguration.rule.applyServerSideEncryptionByDefault.kmsMasterKeyId"
    yield destination, "serverSideEncryptionConfigurations.rules.applyServerSideEncryptionByDefaults.kmsMasterKeyId"
    for configuration in stack.of_type(*BUCKET_ENCRYPTION):
        if stack.follow(configuration, "bucket", *BUCKETS) is destination:
            yield configuration, "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId"


def _is_known(block: Block, key: str) -> bool:
    try:
        block.raw(key)
    except Awaited:
        return False
    return True


def _key_arn(key: str) -> str:
    return f"arn:{UNKNOWN}:kms:{UNKNOWN}:{UNKNOWN}:key/{key}"
