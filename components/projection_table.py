"""`ProjectionTable`: a table that consumers keep for readers, behind `handlers.cdc.projection.DynamoDBProjection`."""

from __future__ import annotations

from typing import Literal

import pulumi
import pulumi_aws as aws

from components.access import Access, allow, decrypt


class ProjectionTable(pulumi.ComponentResource):
    """A DynamoDB table with another view of the changes of a table. It has no stream, and can be built again.

    The version guard of `DynamoDBProjection` keeps late and repeated changes from overwriting newer ones.

    Args:
        hash_key: The name of the partition key.
        hash_key_type: `S`, `N` or `B`.
        range_key: The name of the sort key, if there is one.
        range_key_type: `S`, `N` or `B`.
        kms_key_arn: A customer managed key; without one the account's AWS managed key encrypts the table.
        deletion_protection: Refuse to delete the table.

    Attributes:
        table: The `aws.dynamodb.Table`, whose TTL attribute is `expiresAt`: tombstones of deleted items expire.

    Example:
        entitlements = ProjectionTable("entitlements", hash_key="userId")
        reads = Access([allow(["dynamodb:GetItem"], entitlements.table.arn)], {"TABLE": entitlements.table.name})
    """

    def __init__(
        self,
        name: str,
        *,
        hash_key: str,
        hash_key_type: Literal["S", "N", "B"] = "S",
        range_key: str | None = None,
        range_key_type: Literal["S", "N", "B"] = "S",
        kms_key_arn: pulumi.Input[str] | None = None,
        deletion_protection: bool = True,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("weir:index:ProjectionTable", name, {}, opts)
        self.kms_key_arn = kms_key_arn
        keys = {hash_key: hash_key_type} | ({range_key: range_key_type} if range_key else {})
        self.table = aws.dynamodb.Table(
            name,
            billing_mode="PAY_PER_REQUEST",
            hash_key=hash_key,
            range_key=range_key,
            attributes=[{"name": key, "type": type_} for key, type_ in keys.items()],
            ttl={"attribute_name": "expiresAt", "enabled": True},
            point_in_time_recovery={"enabled": True},
            server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=kms_key_arn),
            deletion_protection_enabled=deletion_protection,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"tableName": self.table.name})

    def access(self, variable: str) -> Access:
        """Permission to write items and tombstones by `DynamoDBProjection`, and neither to read nor to delete any.

        Args:
            variable: The environment variable that the projection takes the table's name from.
        """
        writes = allow(["dynamodb:PutItem", "dynamodb:UpdateItem"], self.table.arn)
        environment = {variable: self.table.name}
        return Access([writes, *decrypt(self.kms_key_arn)], environment, lookup=self.read_access(variable))

    def read_access(self, variable: str) -> Access:
        """Permission to look rows up by their keys, for a `Reconciliation`.

        Args:
            variable: The environment variable that the projection takes the table's name from.
        """
        reads = allow(["dynamodb:BatchGetItem"], self.table.arn)
        return Access([reads, *decrypt(self.kms_key_arn)], {variable: self.table.name})
