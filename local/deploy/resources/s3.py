"""S3 buckets and the settings that the provider makes resources of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Block, Blocks, Document
from local.deploy.resources.resource_type import Change, Found, Name, ResourceType, words


def _create_bucket(aws: Aws, request: Document) -> str:
    # us-east-1 is the one region that may not be named.
    where = {} if aws.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    aws.client("s3").create_bucket(**request, **where)
    return request["Bucket"]


def _read_bucket(aws: Aws, id_: str, _request: Document) -> Found:
    aws.client("s3").head_bucket(Bucket=id_)
    return Found({}, {"bucket": id_, "arn": f"arn:aws:s3:::{id_}", "region": aws.region})


def _delete_bucket(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("s3").delete_bucket(Bucket=id_)


def _setting(member: str, get: str, put: str, drop: str) -> Mapping[str, Any]:
    """Functions of a setting that one document describes.

    Args:
        member: The document, as the calls name it.
        get: Name of the client's method that reads it.
        put: Name of the method that writes it whole.
        drop: Name of the method that removes it.
    """

    def write(aws: Aws, request: Document) -> str:
        document = {name: value for name, value in request.items() if name != "Bucket"}
        getattr(aws.client("s3"), put)(Bucket=request["Bucket"], **{member: document})
        return request["Bucket"]

    def read(aws: Aws, id_: str, _request: Document) -> Found:
        answer = getattr(aws.client("s3"), get)(Bucket=id_)
        return Found({"Bucket": id_, **answer.get(member, answer)}, {})

    def update(aws: Aws, _id: str, change: Change) -> None:
        write(aws, change.new)

    def delete(aws: Aws, id_: str, _request: Document) -> None:
        getattr(aws.client("s3"), drop)(Bucket=id_)

    return {
        "begin": write,
        "read": read,
        "update": update,
        "delete": delete,
        "replaces": words("bucket expectedBucketOwner"),
    }


_DEFAULT_ENCRYPTION = {"sseAlgorithm": "SSEAlgorithm", "kmsMasterKeyId": "KMSMasterKeyID"}

TYPES: Mapping[str, ResourceType] = {
    "aws:s3/bucket:Bucket": ResourceType(
        members={"bucket": "Bucket"},
        begin=_create_bucket,
        read=_read_bucket,
        delete=_delete_bucket,
        name=Name("bucket", longest=63, allowed=r"[a-z0-9.-]"),
        replaces=words("bucket bucketPrefix bucketNamespace"),
        outputs=words("arn region"),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ResourceType(
        members={
            "bucket": "Bucket",
            "rules": Blocks(
                "Rules",
                {
                    "id": "ID",
                    "status": "Status",
                    "filter": Block("Filter", {"prefix": "Prefix"}),
                    "expiration": Block("Expiration", {"days": "Days"}),
                },
            ),
        },
        **_setting(
            "LifecycleConfiguration",
            "get_bucket_lifecycle_configuration",
            "put_bucket_lifecycle_configuration",
            "delete_bucket_lifecycle",
        ),
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": ResourceType(
        members={"bucket": "Bucket", "rule": Block("Rules", {"objectOwnership": "ObjectOwnership"}, listed=True)},
        **_setting(
            "OwnershipControls",
            "get_bucket_ownership_controls",
            "put_bucket_ownership_controls",
            "delete_bucket_ownership_controls",
        ),
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ResourceType(
        members={
            "bucket": "Bucket",
            "blockPublicAcls": "BlockPublicAcls",
            "blockPublicPolicy": "BlockPublicPolicy",
            "ignorePublicAcls": "IgnorePublicAcls",
            "restrictPublicBuckets": "RestrictPublicBuckets",
        },
        **_setting(
            "PublicAccessBlockConfiguration",
            "get_public_access_block",
            "put_public_access_block",
            "delete_public_access_block",
        ),
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": ResourceType(
        members={
            "bucket": "Bucket",
            "rules": Blocks(
                "Rules",
                {
                    "applyServerSideEncryptionByDefault": Block(
                        "ApplyServerSideEncryptionByDefault", _DEFAULT_ENCRYPTION
                    )
                },
            ),
        },
        **_setting(
            "ServerSideEncryptionConfiguration",
            "get_bucket_encryption",
            "put_bucket_encryption",
            "delete_bucket_encryption",
        ),
    ),
}
"""Types of the package `s3`."""
