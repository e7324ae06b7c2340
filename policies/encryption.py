"""The keys that encrypt tables, streams, queues, topics and buckets: AWS's own, or one of the customer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policies.aws_types import BUCKET_ENCRYPTION, BUCKETS, KEY, KEY_ALIAS, KINESIS_STREAM, TABLE
from policies.graph import Stack, known_text, name_of
from policies.iam import UNKNOWN
from policies.names import Arn
from policies.not_applicable import Awaited
from policies.resources import Block, Resource

#: AWS's own keys begin with this, whatever the service.
_AWS_ALIAS = "alias/aws/"

_NAMED_BY = {TABLE: "serverSideEncryption.kmsKeyArn", KINESIS_STREAM: "kmsKeyId"}


class CustomerKey(NamedTuple):
    """A customer managed key.

    Attributes:
        arn: Its ARN, with `iam.UNKNOWN` for the parts that are not known yet.
        resource: The key, when it is in the program.
    """

    arn: str
    resource: Resource | None


def uses_aws_key(holder: Resource) -> bool:
    """Test whether a queue or topic is encrypted with AWS's own key, whose policy nobody can change.

    Raises:
        Awaited: Its key is not known yet, and not computed from a resource of the program.
    """
    try:
        return _is_aws_key(holder.props.text("kmsMasterKeyId"))
    except Awaited:
        if holder.links.get("kmsMasterKeyId"):
            return False
        raise


def customer_key(stack: Stack, resource: Resource) -> CustomerKey | None:
    """Find the customer managed key of a resource; `None` when it has none.

    Raises:
        Awaited: The key is not known yet, and its dependencies do not decide either.
    """
    for holder, path in _holders(stack, resource):
        block, key = holder.props.at(path)
        if _is_known(block, key) and _is_aws_key(block.text(key)):
            continue
        found = stack.follow(holder, path, KEY_ALIAS, KEY)
        if isinstance(found, Resource) and found.type == KEY_ALIAS:
            found = stack.follow(found, "targetKeyId", KEY)
        if isinstance(found, Resource):
            return CustomerKey(known_text(found, "arn") or _arn(name_of(found) or UNKNOWN), found)
        if found is not None:
            # A policy names a key by its id, and which key an alias stands for is not known here.
            known = found if Arn.parse(found) else _arn(found)
            return CustomerKey(_arn(UNKNOWN) if "alias/" in found else known, None)
    return None


def _holders(stack: Stack, resource: Resource) -> Iterator[tuple[Resource, str]]:
    """Yield the places that may name the key of a resource."""
    if resource.type not in BUCKETS:
        yield resource, _NAMED_BY.get(resource.type, "kmsMasterKeyId")
        return
    yield resource, "serverSideEncryptionConfiguration.rule.applyServerSideEncryptionByDefault.kmsMasterKeyId"
    yield resource, "serverSideEncryptionConfigurations.rules.applyServerSideEncryptionByDefaults.kmsMasterKeyId"
    for configuration in stack.of_type(*BUCKET_ENCRYPTION):
        if stack.follow(configuration, "bucket", *BUCKETS) is resource:
            yield configuration, "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId"


def _is_aws_key(text: str | None) -> bool:
    return text is not None and text.rpartition(":")[2].startswith(_AWS_ALIAS)


def _is_known(block: Block, key: str) -> bool:
    try:
        block.raw(key)
    except Awaited:
        return False
    return True


def _arn(key: str) -> str:
    return f"arn:{UNKNOWN}:kms:{UNKNOWN}:{UNKNOWN}:key/{key}"
