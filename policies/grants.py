"""The grants that the role of a stream's reader needs: to read the stream, and to deliver failures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aws_semantics.permissions import decrypting, encrypting_failures, reading, sending_failures
from policies.aws_types import BUCKETS, QUEUE, TABLE, TOPIC
from policies.encryption import customer_key
from policies.graph import Stack, known_text, name_of, name_to_come
from policies.iam import UNKNOWN, permissions
from policies.names import Arn
from policies.not_applicable import Awaited
from policies.resource_policies import names_role, own_statements
from policies.resources import Resource, some

_SERVICES = {QUEUE: "sqs", TOPIC: "sns", **dict.fromkeys(BUCKETS, "s3")}


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


def to_deliver(stack: Stack, reader: Resource, destination: Resource | str) -> list[Grant]:
    """List the grants that deliver a reader's failures to a destination (docs/aws-semantics.md §6.2).

    Raises:
        Awaited: That depends on a key that is not known yet.
    """
    resource = destination if isinstance(destination, Resource) else None
    arn = _destination_arn(destination) if isinstance(destination, Resource) else destination
    parsed = Arn.parse(arn)
    if parsed is None or parsed.service not in _SERVICES.values():
        return []
    # Lambda writes below the mapping's UUID (docs/aws-semantics.md §2.7).
    written = f"aws/lambda/{known_text(reader, 'uuid') or UNKNOWN}/{UNKNOWN}"
    grants = [Grant(action, on, resource) for action, on in sending_failures(arn, key=written)]
    key = customer_key(stack, resource) if resource is not None else None
    if key is not None:
        grants += [Grant(action, on, key.resource) for action, on in encrypting_failures(arn, key.arn)]
    return grants


def to_read(stack: Stack, read: Resource | str) -> list[Grant]:
    """List the grants that read a stream (docs/aws-semantics.md §6.2).

    Args:
        stack: The program.
        read: The table or Kinesis stream of the program, or the ARN of a stream.

    Raises:
        Awaited: That depends on a key that is not known yet.
    """
    resource = read if isinstance(read, Resource) else None
    grants = [Grant(action, on, resource) for action, on in reading(_stream_arn(read))]
    key = customer_key(stack, resource) if resource is not None else None
    if key is not None:
        grants += [Grant(action, on, key.resource) for action, on in decrypting(key.arn)]
    return grants


def denied(stack: Stack, role: Resource, grants: Iterable[Grant]) -> list[Grant]:
    """List the grants that neither a role's policies nor those of the resources give.

    Raises:
        Awaited: None is known to be missing, and one may be.
    """
    missing: list[Grant] = []
    awaited: list[Awaited] = []
    for grant in grants:
        try:
            if not _given(stack, role, grant):
                missing.append(grant)
        except Awaited as unknown:
            awaited.append(unknown)
    if awaited and not missing:
        raise awaited[0]
    return missing


def _given(stack: Stack, role: Resource, grant: Grant) -> bool:
    def by_the_role() -> bool:
        allowed = permissions(stack, role)
        if UNKNOWN in grant.arn and not allowed.any and not allowed.awaited:
            # Policies made inside `apply`, when the ARN is known, are no part of a preview.
            raise Awaited(f"the policies of {role.name}")
        return allowed.allow(grant.action, grant.arn)

    def by_the_resource() -> bool:
        statements = own_statements(stack, grant.on) if grant.on is not None else ()
        return any(
            statement.effect == "Allow" and statement.is_about(grant.action) and names_role(statement, role)
            for statement in statements
        )

    return some((by_the_role, by_the_resource), lambda way: way())


def _destination_arn(resource: Resource) -> str:
    known = known_text(resource, "arn")
    if known is not None:
        return known
    place = ":" if resource.type in BUCKETS else f"{UNKNOWN}:{UNKNOWN}"
    return f"arn:{UNKNOWN}:{_SERVICES[resource.type]}:{place}:{_name(resource)}"


def _stream_arn(read: Resource | str) -> str:
    if isinstance(read, str):
        return read
    if read.type == TABLE:
        known = known_text(read, "streamArn")
        return known or f"arn:{UNKNOWN}:dynamodb:{UNKNOWN}:{UNKNOWN}:table/{_name(read)}/stream/{UNKNOWN}"
    return known_text(read, "arn") or f"arn:{UNKNOWN}:kinesis:{UNKNOWN}:{UNKNOWN}:stream/{_name(read)}"


def _name(resource: Resource) -> str:
    return name_of(resource) or f"{name_to_come(resource)}{UNKNOWN}"
