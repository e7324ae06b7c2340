"""S3 buckets and the settings that the provider makes resources of their own."""

from __future__ import annotations

from typing import Any

from local.deploy.program import Created
from local.deploy.resources.aws import Aws
from local.deploy.resources.inputs import Inputs


def bucket(inputs: Inputs, aws: Aws) -> Created:
    """CreateBucket."""
    name = inputs.name("bucket")
    inputs.finish()
    # us-east-1 is the one region that may not be named.
    where = {} if aws.region == "us-east-1" else {"LocationConstraint": aws.region}
    aws.client("s3").create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))
    return Created(name, {"bucket": name, "arn": f"arn:aws:s3:::{name}", "region": aws.region})


def public_access_block(inputs: Inputs, aws: Aws) -> Created:
    """PutPublicAccessBlock."""
    name = inputs.take("bucket")
    blocked = inputs.members(
        {
            "blockPublicAcls": "BlockPublicAcls",
            "blockPublicPolicy": "BlockPublicPolicy",
            "ignorePublicAcls": "IgnorePublicAcls",
            "restrictPublicBuckets": "RestrictPublicBuckets",
        }
    )
    inputs.finish()
    aws.client("s3").put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=blocked)
    return Created(name, {})


def encryption(inputs: Inputs, aws: Aws) -> Created:
    """PutBucketEncryption."""
    name = inputs.take("bucket")
    rules: list[dict[str, Any]] = []
    for rule in inputs.blocks("rules"):
        default = rule.block("applyServerSideEncryptionByDefault")
        rules.append(
            {
                "ApplyServerSideEncryptionByDefault": default.members(
                    {"sseAlgorithm": "SSEAlgorithm", "kmsMasterKeyId": "KMSMasterKeyID"}
                )
            }
            if default
            else {}
        )
    inputs.finish()
    aws.client("s3").put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    return Created(name, {})


def ownership_controls(inputs: Inputs, aws: Aws) -> Created:
    """PutBucketOwnershipControls."""
    name = inputs.take("bucket")
    rule = inputs.block("rule")
    rules = [rule.members({"objectOwnership": "ObjectOwnership"})] if rule else []
    inputs.finish()
    aws.client("s3").put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": rules})
    return Created(name, {})


def lifecycle(inputs: Inputs, aws: Aws) -> Created:
    """PutBucketLifecycleConfiguration."""
    name = inputs.take("bucket")
    rules: list[dict[str, Any]] = []
    for each in inputs.blocks("rules"):
        rule: dict[str, Any] = each.members({"id": "ID", "status": "Status"})
        if where := each.block("filter"):
            rule["Filter"] = where.members({"prefix": "Prefix"})
        if expiration := each.block("expiration"):
            rule["Expiration"] = expiration.members({"days": "Days"})
        rules.append(rule)
    inputs.finish()
    aws.client("s3").put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    return Created(name, {})
