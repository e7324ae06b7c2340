"""`CounterTable`: the table behind `handlers.cdc.counters.Counters`."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.access import Access, allow, decrypt


class CounterTable(pulumi.ComponentResource):
    """A DynamoDB table of counters, and of the markers by which each change counts once.

    Args:
        kms_key_arn: A customer managed key; without one the account's AWS managed key encrypts the table.
        deletion_protection: Refuse to delete the table: without its markers a replay would count again.

    Attributes:
        table: The `aws.dynamodb.Table`, with the key `counterKey` and the TTL attribute `expiresAt`.

    Example:
        counts = CounterTable("counts")
        counting = counts.access()
    """

    def __init__(
        self,
        name: str,
        *,
        kms_key_arn: pulumi.Input[str] | None = None,
        deletion_protection: bool = True,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("weir:index:CounterTable", name, {}, opts)
        self.kms_key_arn = kms_key_arn
        self.table = aws.dynamodb.Table(
            name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="counterKey",
            attributes=[{"name": "counterKey", "type": "S"}],
            ttl={"attribute_name": "expiresAt", "enabled": True},
            point_in_time_recovery={"enabled": True},
            server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=kms_key_arn),
            deletion_protection_enabled=deletion_protection,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"tableName": self.table.name})

    def access(self, variable: str = "COUNTER_TABLE") -> Access:
        """Permission to count, and not to read.

        Args:
            variable: The environment variable that the counters take the table's name from.
        """
        # The markers are put and the counters updated in one transaction, which needs the actions of its parts.
        writes = allow(["dynamodb:PutItem", "dynamodb:UpdateItem"], self.table.arn)
        return Access([writes, *decrypt(self.kms_key_arn)], {variable: self.table.name})

    def read_access(self, variable: str = "COUNTER_TABLE") -> Access:
        """Permission to read counters, and not to count.

        Args:
            variable: The environment variable that the counters take the table's name from.
        """
        reads = allow(["dynamodb:BatchGetItem"], self.table.arn)
        return Access([reads, *decrypt(self.kms_key_arn)], {variable: self.table.name})
