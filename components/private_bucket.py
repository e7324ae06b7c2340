"""A bucket for changes: never public, encrypted, owned by this account, and emptied by itself."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.names import BUCKET, check_name


def private_bucket(
    name: str, *, days: int, rule: str, opts: pulumi.ResourceOptions
) -> tuple[aws.s3.Bucket, list[pulumi.Resource]]:
    """Create a bucket for personal data.

    Args:
        name: Name of the bucket and of what belongs to it.
        days: Days after which an object is deleted.
        rule: Name of the lifecycle rule that deletes it.
        opts: Options of the bucket; `retain_on_delete` keeps its settings too.

    Returns:
        The bucket, and all the resources that must exist before something is written to it.
    """
    check_name(name, BUCKET)
    bucket = aws.s3.Bucket(name, opts=opts)
    child = pulumi.ResourceOptions(parent=bucket, retain_on_delete=opts.retain_on_delete)
    return bucket, [
        bucket,
        aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        ),
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=child,
        ),
        aws.s3.BucketOwnershipControls(
            name, bucket=bucket.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=child
        ),
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[{"id": rule, "status": "Enabled", "filter": {"prefix": ""}, "expiration": {"days": days}}],
            opts=child,
        ),
    ]
