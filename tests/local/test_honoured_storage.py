"""Buckets and logs: what each member of their operations does."""

from __future__ import annotations

import base64
import hashlib

import pytest
from botocore.exceptions import ClientError

honours = pytest.mark.honours


@honours("s3:PutObject", "Bucket Key Body ContentType ContentEncoding ContentLength ContentMD5 Metadata")
@honours("s3:GetObject", "Bucket Key Range")
@honours("s3:HeadObject", "Bucket Key")
def test_an_object_is_read_in_part_and_keeps_its_metadata(world):
    world.bucket()
    s3 = world.client("s3")
    body = b"0123456789"
    s3.put_object(
        Bucket=world.name,
        Key="k",
        Body=body,
        ContentType="text/plain",
        ContentEncoding="identity",
        ContentLength=len(body),
        ContentMD5=base64.b64encode(hashlib.md5(body).digest()).decode(),
        Metadata={"a": "b"},
    )
    part = s3.get_object(Bucket=world.name, Key="k", Range="bytes=2-4")
    assert part["Body"].read() == b"234"
    head = s3.head_object(Bucket=world.name, Key="k")
    assert (head["ContentType"], head["Metadata"], head["ContentLength"]) == ("text/plain", {"a": "b"}, 10)
    assert head["ContentEncoding"] == "identity"
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=world.name, Key="k", Body=b"other", ContentMD5=base64.b64encode(b"0" * 16).decode())


@honours("s3:PutObject", "IfNoneMatch")
def test_an_object_that_lies_there_is_not_replaced_on_the_condition_that_none_does(world):
    world.bucket()
    s3, where = world.client("s3"), {"Bucket": world.name, "Key": "k"}
    s3.put_object(**where, Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as refused:
        s3.put_object(**where, Body=b"second", IfNoneMatch="*")
    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("PreconditionFailed", 412)
    assert s3.get_object(**where)["Body"].read() == b"first"
    s3.delete_object(**where)
    s3.put_object(**where, Body=b"third", IfNoneMatch="*")


#: Checksums of the bytes "123456789", by which implementations are checked.
CHECKSUMS = {
    "CRC32": base64.b64encode(bytes.fromhex("cbf43926")).decode(),
    "CRC32C": base64.b64encode(bytes.fromhex("e3069283")).decode(),
    "CRC64NVME": base64.b64encode(bytes.fromhex("ae8b14860a799888")).decode(),
    "SHA1": base64.b64encode(hashlib.sha1(b"123456789").digest()).decode(),
    "SHA256": base64.b64encode(hashlib.sha256(b"123456789").digest()).decode(),
}


@honours(
    "s3:PutObject",
    "ChecksumAlgorithm ChecksumCRC32 ChecksumCRC32C ChecksumCRC64NVME ChecksumSHA1 ChecksumSHA256",
)
@honours("s3:GetObject", "ChecksumMode")
@honours("s3:HeadObject", "ChecksumMode")
def test_an_object_is_taken_with_its_checksum_only(world):
    world.bucket()
    s3, where = world.client("s3"), {"Bucket": world.name, "Key": "k"}
    for algorithm, checksum in CHECKSUMS.items():
        member = f"Checksum{algorithm}"
        s3.put_object(**where, Body=b"123456789", ChecksumAlgorithm=algorithm, **{member: checksum})
        assert s3.head_object(**where, ChecksumMode="ENABLED")[member] == checksum
        assert member not in s3.head_object(**where)
        with pytest.raises(ClientError, match=f"The {algorithm} you specified did not match"):
            s3.put_object(**where, Body=b"another", ChecksumAlgorithm=algorithm, **{member: checksum})
    read = s3.get_object(**where, ChecksumMode="ENABLED")
    assert (read["Body"].read(), read["ChecksumSHA256"]) == (b"123456789", CHECKSUMS["SHA256"])


@honours("s3:ListObjectsV2", "Delimiter EncodingType StartAfter FetchOwner")
def test_objects_are_listed_below_a_prefix_behind_a_key_and_with_their_owner(world):
    world.bucket()
    s3 = world.client("s3")
    for key in ("a", "b", "f/ü", "f/z"):
        s3.put_object(Bucket=world.name, Key=key, Body=b"")
    listed = s3.list_objects_v2(Bucket=world.name, Delimiter="/", StartAfter="a")
    assert [each["Key"] for each in listed["Contents"]] == ["b"]
    assert [each["Prefix"] for each in listed["CommonPrefixes"]] == ["f/"]
    assert "Owner" not in listed["Contents"][0]
    encoded = s3.list_objects_v2(Bucket=world.name, Prefix="f/", EncodingType="url", FetchOwner=True)
    assert [each["Key"] for each in encoded["Contents"]] == ["f/z", "f/%C3%BC"]
    assert "Owner" in encoded["Contents"][0]


@honours("s3:CreateBucket", "Bucket CreateBucketConfiguration")
@honours("s3:HeadBucket", "Bucket")
def test_a_bucket_is_where_it_was_made(world):
    s3 = world.client("s3")
    s3.create_bucket(Bucket=world.name)
    s3.create_bucket(Bucket=f"{world.name}-far", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    regions = [s3.head_bucket(Bucket=each)["BucketRegion"] for each in (world.name, f"{world.name}-far")]
    assert regions == ["us-east-1", "eu-west-1"]


@honours("s3:PutBucketEncryption", "Bucket ServerSideEncryptionConfiguration ChecksumAlgorithm")
@honours("s3:GetBucketEncryption", "Bucket")
@honours("s3:PutBucketLifecycleConfiguration", "Bucket LifecycleConfiguration ChecksumAlgorithm")
@honours("s3:GetBucketLifecycleConfiguration", "Bucket")
@honours("s3:PutBucketOwnershipControls", "Bucket OwnershipControls ChecksumAlgorithm")
@honours("s3:GetBucketOwnershipControls", "Bucket")
@honours("s3:PutPublicAccessBlock", "Bucket PublicAccessBlockConfiguration ChecksumAlgorithm")
@honours("s3:GetPublicAccessBlock", "Bucket")
def test_the_settings_of_a_bucket_are_read_back(world):
    world.bucket()
    s3, bucket = world.client("s3"), world.name
    checked = {"Bucket": bucket, "ChecksumAlgorithm": "CRC32"}
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    s3.put_bucket_encryption(**checked, ServerSideEncryptionConfiguration=encryption)
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    rules = [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 14}}]
    s3.put_bucket_lifecycle_configuration(**checked, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules
    ownership = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    s3.put_bucket_ownership_controls(**checked, OwnershipControls=ownership)
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"] == ownership
    blocked = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True}
    blocked["RestrictPublicBuckets"] = False
    s3.put_public_access_block(**checked, PublicAccessBlockConfiguration=blocked)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == blocked


@honours("logs:CreateLogStream", "logGroupName logStreamName")
@honours("logs:PutLogEvents", "logGroupName logStreamName logEvents")
@honours("logs:FilterLogEvents", "logGroupName logStreamNames startTime endTime filterPattern")
def test_log_events_are_selected_by_stream_time_and_pattern(world):
    logs = world.client("logs")
    logs.create_log_group(logGroupName=world.name)
    now = int(world.control.advance_clock(0) * 1000)
    for stream, offset in (("one", 0), ("two", 1000)):
        logs.create_log_stream(logGroupName=world.name, logStreamName=stream)
        logs.put_log_events(
            logGroupName=world.name,
            logStreamName=stream,
            logEvents=[
                {"timestamp": now + offset, "message": f"ERROR in {stream}"},
                {"timestamp": now + offset, "message": "fine"},
            ],
        )

    def found(**arguments):
        events = logs.filter_log_events(logGroupName=world.name, **arguments)["events"]
        return sorted(event["message"] for event in events)

    assert found(logStreamNames=["one"]) == ["ERROR in one", "fine"]
    assert found(filterPattern="ERROR") == ["ERROR in one", "ERROR in two"]
    assert found(filterPattern="ERROR", startTime=now + 500) == ["ERROR in two"]
    assert found(filterPattern="ERROR", endTime=now + 500) == ["ERROR in one"]


@honours("logs:CreateLogGroup", "logGroupName")
@honours("logs:PutRetentionPolicy", "logGroupName retentionInDays")
def test_the_retention_of_a_log_group_is_read_back(world):
    logs = world.client("logs")
    logs.create_log_group(logGroupName=world.name)
    logs.put_retention_policy(logGroupName=world.name, retentionInDays=14)
    (group,) = logs.describe_log_groups(logGroupNamePrefix=world.name)["logGroups"]
    assert group["retentionInDays"] == 14
