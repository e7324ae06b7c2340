"""`ChangeTable`: a DynamoDB table whose changes can be read."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pulumi
import pulumi_aws as aws

from aws_semantics.limits import STREAM_READERS, STREAM_READERS_OF_GLOBAL_TABLE, STREAM_VIEW_TYPES
from components.access import Access, allow, decrypt
from components.refusal import Refused
from components.stream_change import kept
from components.stream_source import StreamSource

KeyType = Literal["S", "N", "B"]


@dataclass(frozen=True, kw_only=True)
class ProvisionedCapacity:
    """Capacity that is paid whether it is used or not; without it a table is paid by request.

    Attributes:
        read: Read capacity units, at least 1.
        write: Write capacity units, at least 1.
    """

    read: int
    write: int

    def __post_init__(self) -> None:
        if self.read < 1 or self.write < 1:
            raise Refused(f"read={self.read}, write={self.write}: DynamoDB provisions at least 1 unit of each")


@dataclass(frozen=True, kw_only=True)
class GlobalIndex:
    """A global secondary index: another partition key over the same items.

    Attributes:
        hash_key: Its partition key; `hash_key_type` is S, N or B.
        range_key: Its sort key, if it has one; `range_key_type` is S, N or B.
        attributes: Names of the attributes it carries beside the keys; `None` for all.
        capacity: Its own capacity, needed exactly where the table's is provisioned.
    """

    hash_key: str
    hash_key_type: KeyType = "S"
    range_key: str | None = None
    range_key_type: KeyType = "S"
    attributes: Sequence[str] | None = None
    capacity: ProvisionedCapacity | None = None


@dataclass(frozen=True, kw_only=True)
class LocalIndex:
    """A local secondary index: another sort key within each partition. It exists from the table's creation on.

    Attributes:
        range_key: Its sort key; `range_key_type` is S, N or B.
        attributes: Names of the attributes it carries beside the keys; `None` for all.
    """

    range_key: str
    range_key_type: KeyType = "S"
    attributes: Sequence[str] | None = None


class ChangeTable(pulumi.ComponentResource):
    """A DynamoDB table with its stream on, recoverable, encrypted and hard to delete.

    Args:
        hash_key: Name of the partition key.
        hash_key_type: Type of the partition key: S, N or B.
        range_key: Name of the sort key, if the table has one.
        range_key_type: Type of the sort key: S, N or B.
        global_indexes: Its `GlobalIndex`es, by name.
        local_indexes: Its `LocalIndex`es, by name; they need a sort key.
        capacity: Provisioned capacity; on demand without it.
        stream_view_type: The images that a stream record carries. Both by default: only with both can a consumer tell
            that an attribute really changed. AWS cannot edit it: another type means a new stream, with a new ARN
            (docs/aws-semantics.md §1.3).
        ttl_attribute: Name of the attribute that holds an item's expiry in seconds since 1970. DynamoDB removes
            expired items late, within days (docs/aws-semantics.md §1.4), and the stream carries these deletes too.
        point_in_time_recovery: Continuous backups of the last 35 days.
        kms_key_arn: A customer managed key; without one the account's AWS managed key `aws/dynamodb` encrypts the
            table.
        deletion_protection: Refuse to delete the table, also by `pulumi destroy`.
        replica_regions: Further regions of a global table. Its stream then takes one reader instead of two
            (docs/aws-semantics.md §1.1).
        arguments: Further arguments of `aws.dynamodb.Table`, by their Python names, merged last: e.g.
            `{"name": "users", "table_class": "STANDARD_INFREQUENT_ACCESS", "tags": {"team": "growth"}}`.
        allow_stream_change: Let this deployment give a table that exists a new stream (docs/guides/deploy.md): by
            another view type, or as another table. Without it that is refused, in a preview too.

    Attributes:
        table: The `aws.dynamodb.Table`.
        stream: The table's stream, for `Stream(source=…)`.

    Raises:
        Refused: DynamoDB would refuse the table, or `arguments` holds one that it does not have or that this
            component sets itself.

    Example:
        users = ChangeTable(
            "users",
            hash_key="userId",
            global_indexes={"by-email": GlobalIndex(hash_key="email", attributes=["plan"])},
        )
        changes = Stream("changes", source=users.stream)
    """

    def __init__(
        self,
        name: str,
        *,
        hash_key: str,
        hash_key_type: KeyType = "S",
        range_key: str | None = None,
        range_key_type: KeyType = "S",
        global_indexes: Mapping[str, GlobalIndex] | None = None,
        local_indexes: Mapping[str, LocalIndex] | None = None,
        capacity: ProvisionedCapacity | None = None,
        stream_view_type: Literal["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"] = "NEW_AND_OLD_IMAGES",
        ttl_attribute: str | None = None,
        point_in_time_recovery: bool = True,
        kms_key_arn: pulumi.Input[str] | None = None,
        deletion_protection: bool = True,
        replica_regions: Sequence[str] = (),
        arguments: Mapping[str, Any] | None = None,
        allow_stream_change: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        globals_, locals_, further = global_indexes or {}, local_indexes or {}, arguments or {}
        _check_stream(name, stream_view_type, replica_regions, kms_key_arn)
        _check_indexes(name, range_key, globals_, locals_, capacity, replica_regions)
        _check_arguments(name, further)
        keys: dict[str, KeyType] = {hash_key: hash_key_type}
        if range_key is not None:
            keys[range_key] = range_key_type
        attributes = _attributes(name, keys, globals_.values(), locals_.values())
        stream = {"hashKey": hash_key, "rangeKey": range_key or "", "streamViewType": stream_view_type}
        super().__init__(
            "weir:index:ChangeTable",
            name,
            stream,
            kept(name, stream, _new_stream, allowed=allow_stream_change, opts=opts),
        )
        self.kms_key_arn = kms_key_arn
        own: dict[str, Any] = {
            "billing_mode": "PAY_PER_REQUEST" if capacity is None else "PROVISIONED",
            **_units(capacity),
            "hash_key": hash_key,
            "range_key": range_key,
            "attributes": [{"name": attribute, "type": kind} for attribute, kind in attributes.items()],
            "global_secondary_indexes": [_global_index(each, index) for each, index in globals_.items()] or None,
            "local_secondary_indexes": [
                {"name": each, "range_key": index.range_key, **_projection(index.attributes)}
                for each, index in locals_.items()
            ]
            or None,
            "stream_enabled": True,
            "stream_view_type": stream_view_type,
            "ttl": None if ttl_attribute is None else {"attribute_name": ttl_attribute, "enabled": True},
            "point_in_time_recovery": {"enabled": point_in_time_recovery},
            "server_side_encryption": aws.dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=kms_key_arn),
            "deletion_protection_enabled": deletion_protection,
            "replicas": [
                # A replica inherits neither from the table.
                {
                    "region_name": region,
                    "point_in_time_recovery": point_in_time_recovery,
                    "deletion_protection_enabled": deletion_protection,
                }
                for region in replica_regions
            ]
            or None,
        }
        self.table = aws.dynamodb.Table(name, **{**own, **further}, opts=pulumi.ResourceOptions(parent=self))
        self.stream = StreamSource(
            arn=self.table.stream_arn,
            table=name,
            table_arn=self.table.arn,
            kms_key_arn=kms_key_arn,
            view_type=stream_view_type,
            keys=keys,
            reader_limit=STREAM_READERS_OF_GLOBAL_TABLE if replica_regions else STREAM_READERS,
        )
        #: Name of the `KinesisChanges` that has the table's changes, of which DynamoDB takes one.
        self.kinesis_changes: str | None = None
        self.register_outputs({"tableName": self.table.name, "streamArn": self.table.stream_arn})

    def update_access(self, variable: str) -> Access:
        """Return the permission to update items of this table, and nothing else.

        Args:
            variable: Environment variable that holds the table's name, e.g. `USERS_TABLE`.
        """
        statements = [allow(["dynamodb:UpdateItem"], self.table.arn), *decrypt(self.kms_key_arn)]
        return Access(statements, {variable: self.table.name})


def _new_stream(changes: str, outputs: Mapping[str, Any]) -> str:
    old = outputs.get("streamArn") or "ARN of the old stream"
    return (
        f"{changes}: the table would get a new stream, with a new ARN. Its consumers would go on there, and what they "
        "have not read of the old one would be lost unseen; of writes while AWS switches the stream, no record exists "
        f"at all. To do it, pause the writers, pass allow_stream_change=True here and drain=[{str(old)!r}] to each "
        "subscribe; where writes cannot pause, take a Kinesis route or an archive first (docs/guides/deploy.md)"
    )


#: Arguments of the table that this component sets itself, and its own argument that says the same.
_SET_HERE: Final[Mapping[str, str]] = {
    "attributes": "hash_key, range_key, global_indexes and local_indexes",
    "billing_mode": "capacity",
    "deletion_protection_enabled": "deletion_protection",
    "global_secondary_indexes": "global_indexes",
    "hash_key": "hash_key",
    "local_secondary_indexes": "local_indexes",
    "point_in_time_recovery": "point_in_time_recovery",
    "range_key": "range_key",
    "read_capacity": "capacity",
    "replicas": "replica_regions",
    "server_side_encryption": "kms_key_arn",
    "stream_view_type": "stream_view_type",
    "ttl": "ttl_attribute",
    "write_capacity": "capacity",
}


def _check_stream(
    name: str, view_type: str, replica_regions: Sequence[str], kms_key_arn: pulumi.Input[str] | None
) -> None:
    if view_type not in STREAM_VIEW_TYPES:
        raise Refused(
            f"{name}: stream_view_type={view_type!r} is not one of {', '.join(STREAM_VIEW_TYPES)}: "
            "the first of them carries everything, so that nothing a consumer may need is lost"
        )
    if replica_regions and view_type != "NEW_AND_OLD_IMAGES":
        raise Refused(
            f"{name}: stream_view_type={view_type} on a global table: DynamoDB replicates by the stream and "
            "takes replicas only with NEW_AND_OLD_IMAGES; leave it at the default"
        )
    if replica_regions and kms_key_arn is not None:
        raise Refused(
            f"{name}: kms_key_arn with replica_regions: DynamoDB wants a key in each region, and one alone cannot "
            "encrypt the replicas; leave the key out, or declare an aws.dynamodb.Table and a StreamSource"
        )


def _check_indexes(
    name: str,
    range_key: str | None,
    globals_: Mapping[str, GlobalIndex],
    locals_: Mapping[str, LocalIndex],
    capacity: ProvisionedCapacity | None,
    replica_regions: Sequence[str],
) -> None:
    if locals_ and range_key is None:
        raise Refused(
            f"{name}: local_indexes on a table without a range_key: a local index is another sort key within a "
            "partition; give the table a range_key, or make it a GlobalIndex"
        )
    if twice := sorted(globals_.keys() & locals_.keys()):
        raise Refused(f"{name}: {', '.join(twice)} names a global and a local index: a table has one index of a name")
    if capacity is not None and replica_regions:
        raise Refused(
            f"{name}: capacity with replica_regions: a global table with provisioned capacity needs auto scaling, "
            "which this component does not set up; leave capacity out"
        )
    for each, index in globals_.items():
        if (index.capacity is None) != (capacity is None):
            raise Refused(
                f"{name}: the index {each} {'lacks' if index.capacity is None else 'has'} a capacity and the table "
                f"{'has' if capacity else 'lacks'} one: both are provisioned, or both are on demand"
            )


def _check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    known = inspect.signature(aws.dynamodb.TableArgs.__init__).parameters.keys() - {"__self__", "self"}
    for argument in arguments:
        if argument == "stream_enabled":
            raise Refused(
                f"{name}: arguments sets stream_enabled: without its stream a ChangeTable has no changes to read; "
                "leave it out, or declare an aws.dynamodb.Table"
            )
        if argument in _SET_HERE:
            raise Refused(
                f"{name}: arguments sets {argument}, which would undo what ChangeTable says of it: "
                f"use its own argument instead ({_SET_HERE[argument]})"
            )
        if argument not in known:
            near = difflib.get_close_matches(argument, known, n=1)
            hint = f": did you mean {near[0]}?" if near else "; see its page in the Pulumi registry"
            raise Refused(f"{name}: arguments sets {argument}, which aws.dynamodb.Table does not have{hint}")


def _attributes(
    name: str, keys: Mapping[str, KeyType], globals_: Iterable[GlobalIndex], locals_: Iterable[LocalIndex]
) -> dict[str, KeyType]:
    """Return the key attributes of a table and its indexes; DynamoDB declares each once, and no others.

    Raises:
        Refused: One attribute has two types.
    """
    used: list[tuple[str, KeyType]] = []
    used += keys.items()
    for index in globals_:
        used.append((index.hash_key, index.hash_key_type))
        if index.range_key is not None:
            used.append((index.range_key, index.range_key_type))
    for index in locals_:
        used.append((index.range_key, index.range_key_type))
    attributes: dict[str, KeyType] = {}
    for attribute, kind in used:
        if attributes.setdefault(attribute, kind) != kind:
            raise Refused(
                f"{name}: the key attribute {attribute} is {attributes[attribute]} in one place and {kind} in another: "
                "an attribute that is a key has one type"
            )
    return attributes


def _global_index(name: str, index: GlobalIndex) -> dict[str, Any]:
    key = {"hash_key": index.hash_key} | ({} if index.range_key is None else {"range_key": index.range_key})
    return {"name": name, **key, **_projection(index.attributes), **_units(index.capacity)}


def _projection(attributes: Sequence[str] | None) -> dict[str, Any]:
    if attributes is None:
        return {"projection_type": "ALL"}
    if not attributes:
        return {"projection_type": "KEYS_ONLY"}
    return {"projection_type": "INCLUDE", "non_key_attributes": list(attributes)}


def _units(capacity: ProvisionedCapacity | None) -> dict[str, int]:
    return {} if capacity is None else {"read_capacity": capacity.read, "write_capacity": capacity.write}
