"""`AuditBucket`: a bucket in which each object is created once, for `handlers.audit_log`."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.access import Access, allow
from components.kept_secret import kept_secret
from components.private_bucket import private_bucket
from components.protection import is_protected
from components.refusal import Refused
from components.stream_source import StreamSource


class AuditBucket(pulumi.ComponentResource):
    """A private bucket for the changes of a table, and the permission to add to it without overwriting.

    S3 itself enforces it: the permission holds only for a write on the condition that no object lies under its key
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html). Guide:
    docs/guides/audit-log.md.

    Args:
        source: The stream whose changes are kept.
        drop: Paths of attributes that are left out, e.g. `address.street`.
        hashed: Paths of attributes that are replaced by a hash of their value.
        hash_key: The secret key of these hashes, kept in Secrets Manager.
        keep_days: Days after which S3 deletes an object.

    Attributes:
        bucket: The `aws.s3.Bucket`.

    Raises:
        Refused: A key attribute would be dropped, an attribute both dropped and hashed, or hashed without a key.

    Example:
        audit = AuditBucket("audit-log", source=users.stream, drop=["phone"])
        changes.subscribe(audit_log.handler, access=[audit.access()])
    """

    def __init__(
        self,
        name: str,
        *,
        source: StreamSource,
        drop: Sequence[str] = (),
        hashed: Sequence[str] = (),
        hash_key: pulumi.Input[str] | None = None,
        keep_days: int = 2557,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        _check(name, source, drop, hashed, hash_key)
        super().__init__("weir:index:AuditBucket", name, {}, opts)
        self.bucket, _ = private_bucket(
            name,
            days=keep_days,
            rule="expire-audit-log",
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=is_protected() or None),
        )
        self._environment = {
            variable: ",".join(paths) for variable, paths in (("AUDIT_DROP", drop), ("AUDIT_HASH", hashed)) if paths
        }
        self._key = kept_secret(
            f"{name}-hash-key", hash_key, "AUDIT_HASH_KEY_SECRET", opts=pulumi.ResourceOptions(parent=self)
        )
        self.register_outputs({"bucket": self.bucket.bucket})

    def access(self) -> Access:
        """Return the permission to create entries and to read the one that lies in the way of another."""
        entries = pulumi.Output.concat(self.bucket.arn, "/dt=*")
        statements = [
            allow(["s3:PutObject"], entries, Null={"s3:if-none-match": "false"}),
            allow(["s3:GetObject"], entries),
        ]
        environment = {"AUDIT_BUCKET": self.bucket.bucket, **self._environment, **self._key.environment}
        return Access([*statements, *self._key.statements], environment)


def _check(
    name: str,
    source: StreamSource,
    drop: Sequence[str],
    hashed: Sequence[str],
    hash_key: pulumi.Input[str] | None,
) -> None:
    if keys := sorted({*drop} & {*(source.keys or ())}):
        raise Refused(
            f"{name}: drop names {', '.join(keys)}, which is of the item's key: the entries of all items would be one "
            "item's; hash it instead (hashed=…)"
        )
    if both := sorted({*drop} & {*hashed}):
        raise Refused(f"{name}: {', '.join(both)} is both dropped and hashed: name it once")
    if hashed and hash_key is None:
        raise Refused(
            f"{name}: {', '.join(hashed)} is hashed without a key: anyone could find an address by hashing all that "
            "they know; give a random one (hash_key=…)"
        )
