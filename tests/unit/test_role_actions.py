"""The actions that a role must allow, and on which resources."""

from __future__ import annotations

import pytest

from aws_semantics.permissions import calling, encrypting_failures, reading, sending_failures

OF = "us-east-1:111122223333"


@pytest.mark.parametrize(
    ("arn", "wait", "action"),
    [
        (f"arn:aws:events:{OF}:api-destination/crm/1", True, "events:InvokeApiDestination"),
        (f"arn:aws:events:{OF}:event-bus/orders", True, "events:PutEvents"),
        (f"arn:aws:lambda:{OF}:function:orders:live", True, "lambda:InvokeFunction"),
        (f"arn:aws:lambda:{OF}:function:orders", False, "lambda:InvokeFunction"),
        (f"arn:aws:sns:{OF}:orders", True, "sns:Publish"),
        (f"arn:aws:sqs:{OF}:orders", True, "sqs:SendMessage"),
        (f"arn:aws:states:{OF}:stateMachine:orders", True, "states:StartSyncExecution"),
        (f"arn:aws:states:{OF}:stateMachine:orders", False, "states:StartExecution"),
    ],
)
def test_a_target_is_called_with_the_action_of_its_service(arn, wait, action):
    assert calling(arn, wait=wait) == [(action, arn)]


@pytest.mark.parametrize("resource", ["dynamodb:{}:table/T/stream/2026", "kinesis:{}:stream/orders"])
def test_a_stream_is_read_with_three_actions(resource):
    arn = f"arn:aws:{resource.format(OF)}"
    service = resource.partition(":")[0]
    operations = ("DescribeStream", "GetRecords", "GetShardIterator")
    assert reading(arn) == [(f"{service}:{each}", arn) for each in operations]


def test_a_bucket_takes_two_actions_one_of_them_on_the_object():
    bucket = "arn:aws:s3:::failed"
    assert sending_failures(bucket, key="aws/lambda/1") == [
        ("s3:PutObject", f"{bucket}/aws/lambda/1"),
        ("s3:ListBucket", bucket),
    ]


@pytest.mark.parametrize(
    ("destination", "actions"),
    [
        ("arn:aws:s3:::failed", ["kms:GenerateDataKey"]),
        (f"arn:aws:sqs:{OF}:failed", ["kms:GenerateDataKey", "kms:Decrypt"]),
        (f"arn:aws:sns:{OF}:failed", ["kms:GenerateDataKey", "kms:Decrypt"]),
    ],
)
def test_a_destination_with_a_key_of_the_customer_needs_the_key_too(destination, actions):
    assert encrypting_failures(destination, "k") == [(action, "k") for action in actions]
