"""`ChangeTable`: a DynamoDB table whose changes can be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pulumi
import pulumi_aws as aws

from aws_semantics.limits import STREAM_READERS, STREAM_READERS_OF_GLOBAL_TABLE, STREAM_VIEW_TYPES
from components.access import Access, allow, decrypt
from components.refusal import Refused
from components.stream_source import StreamSource

KeyType = Literal["S", "N", "B"]


class ChangeTable(pulumi.ComponentResource):
    """An on-demand DynamoDB table with its stream on, recoverable, encrypted and hard to delete.

    Args:
        hash_key: Name of the partition key; `hash_key_type` is S, N or B.
        range_key: Name of the sort key, if the table has one; `range_key_type` is S, N or B.
        stream_view_type: What a stream record carries. Both images by default: only with both can a consumer tell
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

    Attributes:
        table: The `aws.dynamodb.Table`.
        stream: The table's stream, for `Stream(source=…)`.

    Raises:
        Refused: `stream_view_type` is not one that DynamoDB has, or is not the one that a global table needs; or
            a global table is given a customer managed key.

    Example:
        users = ChangeTable("users", hash_key="userId")
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
        stream_view_type: Literal["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"] = "NEW_AND_OLD_IMAGES",
        ttl_attribute: str | None = None,
        point_in_time_recovery: bool = True,
        kms_key_arn: pulumi.Input[str] | None = None,
        deletion_protection: bool = True,
        replica_regions: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if stream_view_type not in STREAM_VIEW_TYPES:
            raise Refused(
                f"{name}: stream_view_type={stream_view_type!r} is not one of {', '.join(STREAM_VIEW_TYPES)}: "
                "the first of them carries everything, so that nothing a consumer may need is lost"
            )
        if replica_regions and stream_view_type != "NEW_AND_OLD_IMAGES":
            raise Refused(
                f"{name}: stream_view_type={stream_view_type} on a global table: DynamoDB replicates by the stream and "
                "takes replicas only with NEW_AND_OLD_IMAGES; leave it at the default"
            )
        if replica_regions and kms_key_arn is not None:
            raise Refused(
                f"{name}: kms_key_arn with replica_regions: DynamoDB wants a key in each region, and one alone cannot "
                "encrypt the replicas; leave the key out, or declare an aws.dynamodb.Table and a StreamSource"
            )
        super().__init__("weir:index:ChangeTable", name, {}, opts)
        attributes = [{"name": hash_key, "type": hash_key_type}]
        if range_key is not None:
            attributes.append({"name": range_key, "type": range_key_type})
        self.kms_key_arn = kms_key_arn
        self.table = aws.dynamodb.Table(
            name,
            billing_mode="PAY_PER_REQUEST",
            hash_key=hash_key,
            range_key=range_key,
            attributes=[aws.dynamodb.TableAttributeArgs(**attribute) for attribute in attributes],
            stream_enabled=True,
            stream_view_type=stream_view_type,
            ttl=None if ttl_attribute is None else {"attribute_name": ttl_attribute, "enabled": True},
            point_in_time_recovery={"enabled": point_in_time_recovery},
            server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=kms_key_arn),
            deletion_protection_enabled=deletion_protection,
            replicas=[
                # A replica inherits neither from the table.
                {
                    "region_name": region,
                    "point_in_time_recovery": point_in_time_recovery,
                    "deletion_protection_enabled": deletion_protection,
                }
                for region in replica_regions
            ]
            or None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.stream = StreamSource(
            arn=self.table.stream_arn,
            table=name,
            kms_key_arn=kms_key_arn,
            view_type=stream_view_type,
            keys={attribute["name"]: attribute["type"] for attribute in attributes},
            reader_limit=STREAM_READERS_OF_GLOBAL_TABLE if replica_regions else STREAM_READERS,
        )
        self.register_outputs({"tableName": self.table.name, "streamArn": self.table.stream_arn})

    def update_access(self, variable: str) -> Access:
        """Leave to update items of this table, and only that.

        Args:
            variable: Environment variable that tells the function the table's name, e.g. `USERS_TABLE`.
        """
        statements = [allow(["dynamodb:UpdateItem"], self.table.arn), *decrypt(self.kms_key_arn)]
        return Access(statements, {variable: self.table.name})
