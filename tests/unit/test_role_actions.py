"""Which actions on which resources a role must allow."""

from __future__ import annotations

import pytest

from aws_semantics.permissions import calling, reading, sending_failures

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
