"""AWS's managed policies that stream readers are given, as far as DynamoDB, SQS, SNS, S3 and KMS are concerned.

https://docs.aws.amazon.com/aws-managed-policy/latest/reference/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The one that AWS made for readers of DynamoDB streams: `ListStreams` and the reads, on every stream.
STREAM_READER_POLICY = "AWSLambdaDynamoDBExecutionRole"


def _allow(*actions: str, resource: str = "*") -> Mapping[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": resource}]}


_NOTHING_HERE = {"Statement": []}
_STREAM_READS = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams")

MANAGED_POLICIES: Mapping[str, Mapping[str, Any]] = {
    STREAM_READER_POLICY: _allow(*_STREAM_READS),
    "AWSLambdaInvocation-DynamoDB": _allow(*_STREAM_READS),
    "AWSLambdaBasicExecutionRole": _NOTHING_HERE,
    "AWSLambdaENIManagementAccess": _NOTHING_HERE,
    "AWSLambdaKinesisExecutionRole": _NOTHING_HERE,
    "AWSLambdaMSKExecutionRole": _NOTHING_HERE,
    "AWSLambdaRole": _NOTHING_HERE,
    "AWSLambdaVPCAccessExecutionRole": _NOTHING_HERE,
    "AWSXRayDaemonWriteAccess": _NOTHING_HERE,
    "AWSXrayWriteOnlyAccess": _NOTHING_HERE,
    "AmazonEventBridgeFullAccess": _NOTHING_HERE,
    "AmazonKinesisFullAccess": _NOTHING_HERE,
    "AmazonKinesisReadOnlyAccess": _NOTHING_HERE,
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
    "AmazonDynamoDBFullAccess": _allow("dynamodb:*"),
    "AmazonDynamoDBFullAccess_v2": _allow("dynamodb:*"),
    "AmazonDynamoDBReadOnlyAccess": _allow("dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", *_STREAM_READS),
    "AmazonSQSFullAccess": _allow("sqs:*"),
    "AmazonSQSReadOnlyAccess": _allow("sqs:GetQueueAttributes", "sqs:ListQueues"),
    "AmazonSNSFullAccess": _allow("sns:*"),
    "AmazonSNSReadOnlyAccess": _allow("sns:GetTopicAttributes", "sns:List*"),
    "AmazonS3FullAccess": _allow("s3:*"),
    "AmazonS3ReadOnlyAccess": _allow("s3:Get*", "s3:List*"),
}
