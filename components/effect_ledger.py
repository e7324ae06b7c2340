"""`EffectLedgerTable`: the table behind `handlers.cdc.EffectLedger`."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.access import Access, allow, decrypt


class EffectLedgerTable(pulumi.ComponentResource):
    """A DynamoDB table that remembers which side effects are done. It has no stream: nobody reacts to it.

    Each consumer says how long (`EffectLedger(keep=…)`): the table's TTL removes the entries that have an expiry, and
    the others are kept forever.

    Args:
        kms_key_arn: A customer managed key; without one the account's AWS managed key `aws/dynamodb` encrypts the
            table.
        deletion_protection: Refuse to delete the table: without it every effect could run again.

    Attributes:
        table: The `aws.dynamodb.Table`, with the key `effectKey` and the TTL attribute `expiresAt`.

    Example:
        ledger = EffectLedgerTable("effects")
        changes.subscribe(welcome_email.handler, access=[ledger.access(), mail.send_access()])
    """

    def __init__(
        self,
        name: str,
        *,
        kms_key_arn: pulumi.Input[str] | None = None,
        deletion_protection: bool = True,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("weir:index:EffectLedgerTable", name, {}, opts)
        self.kms_key_arn = kms_key_arn
        self.table = aws.dynamodb.Table(
            name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="effectKey",
            attributes=[{"name": "effectKey", "type": "S"}],
            ttl={"attribute_name": "expiresAt", "enabled": True},
            # A restored ledger is the difference between a replay and a second mail to everybody.
            point_in_time_recovery={"enabled": True},
            server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=kms_key_arn),
            deletion_protection_enabled=deletion_protection,
            tags={"weir:role": "effect-ledger"},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"tableName": self.table.name})

    def access(self) -> Access:
        """Return the permission to claim, complete and release effects, and neither to read nor to scan them."""
        writes = allow(["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"], self.table.arn)
        return Access(
            [writes, *decrypt(self.kms_key_arn)],
            {"EFFECT_LEDGER_TABLE": self.table.name},
            lookup=self.read_access(),
        )

    def read_access(self) -> Access:
        """Return the permission to look effects up by their keys, for a `Reconciliation`."""
        reads = allow(["dynamodb:BatchGetItem"], self.table.arn)
        return Access([reads, *decrypt(self.kms_key_arn)], {"EFFECT_LEDGER_TABLE": self.table.name})
