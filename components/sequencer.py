"""`Sequencer`: the table behind `handlers.cdc.sequencer.Sequencer`."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.access import Access, allow, decrypt
from handlers.cdc.sequencer import TABLE_VARIABLE


class Sequencer(pulumi.ComponentResource):
    """A DynamoDB table of items that wait until the changes of several items have arrived. It has no stream.

    Consumers of several tables' changes share it: each brings a part, and whoever completes an item runs the effect,
    through an effect ledger. Guide: docs/guides/sequencing.md; the reasons:
    docs/decisions/0067-a-sequence-is-one-item-and-the-ledger.md.

    Args:
        kms_key_arn: A customer managed key; without one the account's AWS managed key encrypts the table.
        deletion_protection: Refuse to delete the table: without it, parts that have arrived would be forgotten.

    Attributes:
        table: The `aws.dynamodb.Table`, with the key `sequenceKey` and the TTL attribute `expiresAt`.

    Example:
        waiting = Sequencer("waiting")
        access = [waiting.access(), ledger.access(), mail.send_access()]
    """

    def __init__(
        self,
        name: str,
        *,
        kms_key_arn: pulumi.Input[str] | None = None,
        deletion_protection: bool = True,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("weir:index:Sequencer", name, {}, opts)
        self.kms_key_arn = kms_key_arn
        self.table = aws.dynamodb.Table(
            name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="sequenceKey",
            attributes=[{"name": "sequenceKey", "type": "S"}],
            ttl={"attribute_name": "expiresAt", "enabled": True},
            point_in_time_recovery={"enabled": True},
            server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=kms_key_arn),
            deletion_protection_enabled=deletion_protection,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"tableName": self.table.name})

    def access(self, variable: str = TABLE_VARIABLE) -> Access:
        """Permission to bring parts, and neither to scan nor to delete items.

        Args:
            variable: The environment variable that the sequencer takes the table's name from.
        """
        # UpdateItem also returns the item; it needs no permission to read.
        writes = allow(["dynamodb:UpdateItem"], self.table.arn)
        return Access([writes, *decrypt(self.kms_key_arn)], {variable: self.table.name})
