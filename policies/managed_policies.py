"""AWS's managed policies of stream readers, as far as they allow DynamoDB, Kinesis, SQS, SNS, S3 and KMS.

https://docs.aws.amazon.com/aws-managed-policy/latest/reference/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _allow(*actions: str, resource: str = "*") -> Mapping[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": resource}]}


_NOTHING_HERE = {"Statement": []}
_STREAM_READS = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams")
_KINESIS_READS = (
    *("kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator"),
    *("kinesis:ListShards", "kinesis:ListStreams", "kinesis:SubscribeToShard"),
)

MANAGED_POLICIES: Mapping[str, Mapping[str, Any]] = {
    "AWSLambdaDynamoDBExecutionRole": _allow(*_STREAM_READS),
    "AWSLambdaInvocation-DynamoDB": _allow(*_STREAM_READS),
    "AWSLambdaBasicExecutionRole": _NOTHING_HERE,
    "AWSLambdaENIManagementAccess": _NOTHING_HERE,
    "AWSLambdaKinesisExecutionRole": _allow(*_KINESIS_READS),
    "AWSLambdaMSKExecutionRole": _NOTHING_HERE,
    "AWSLambdaRole": _NOTHING_HERE,
    "AWSLambdaVPCAccessExecutionRole": _NOTHING_HERE,
    "AWSXRayDaemonWriteAccess": _NOTHING_HERE,
    "AWSXrayWriteOnlyAccess": _NOTHING_HERE,
    "AmazonEventBridgeFullAccess": _NOTHING_HERE,
    "AmazonKinesisFullAccess": _allow("kinesis:*"),
    "AmazonKinesisReadOnlyAccess": _allow("kinesis:Get*", "kinesis:List*", "kinesis:Describe*"),
    "AmazonSESFullAccess": _NOTHING_HERE,
    "AWSStepFunctionsFullAccess": _NOTHING_HERE,
    "CloudWatchLambdaInsightsExecutionRolePolicy": _NOTHING_HERE,
    "CloudWatchLogsFullAccess": _NOTHING_HERE,
    "AWSLambdaSQSQueueExecutionRole": _allow("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    "AWSLambdaExecute": _allow("s3:GetObject", "s3:PutObject", resource="arn:aws:s3:::*"),
    "AdministratorAccess": _allow("*"),
    "PowerUserAccess": {
        "Statement": [{"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"}]
    },
    # It also manages the Kinesis streams of tables.
    "AmazonDynamoDBFullAccess": _allow("dynamodb:*", "kinesis:DescribeStream", "kinesis:ListStreams"),
    "AmazonDynamoDBFullAccess_v2": _allow("dynamodb:*"),
    "AmazonDynamoDBReadOnlyAccess": _allow("dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", *_STREAM_READS),
    "AmazonSQSFullAccess": _allow("sqs:*"),
    "AmazonSQSReadOnlyAccess": _allow("sqs:GetQueueAttributes", "sqs:ListQueues"),
    "AmazonSNSFullAccess": _allow("sns:*"),
    "AmazonSNSReadOnlyAccess": _allow("sns:GetTopicAttributes", "sns:List*"),
    "AmazonS3FullAccess": _allow("s3:*"),
    "AmazonS3ReadOnlyAccess": _allow("s3:Get*", "s3:List*"),
}
