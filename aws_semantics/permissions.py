"""The actions that mappings and pipes use a role for, and on which resources (docs/aws-semantics.md §6.2).

A stream is read with the three calls below; `ListStreams`, which AWS's messages name as well, is not made (IAM-1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

#: An action, and the ARN of the resource that it is done to.
Need = tuple[str, str]

#: Actions that read a source, by the service in its ARN (IAM-1, IAM-5).
READING: Mapping[str, Sequence[str]] = {
    "dynamodb": ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
    "kinesis": ("kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator"),
    "sqs": ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
}

#: Actions that send the document of a failed batch, by the service in the destination's ARN; and, for each, whether
#: it is done to an object in the destination or to the destination itself (IAM-2).
SENDING_FAILURES: Mapping[str, Mapping[str, Literal["object", "itself"]]] = {
    "s3": {"s3:PutObject": "object", "s3:ListBucket": "itself"},
    "sqs": {"sqs:SendMessage": "itself"},
    "sns": {"sns:Publish": "itself"},
}

#: Operations that send to a pipe's target or ask its enrichment, by the service and the kind of resource (IAM-6).
CALLING: Mapping[tuple[str, str], str] = {
    ("events", "api-destination"): "InvokeApiDestination",
    ("events", "event-bus"): "PutEvents",
    ("lambda", "function"): "InvokeFunction",
    ("sns", ""): "Publish",
    ("sqs", ""): "SendMessage",
    ("states", "stateMachine"): "StartExecution",
}


#: Actions on a customer managed key that encrypts a failure destination, by its service (IAM-2).
_ENCRYPTING = {
    "s3": ("kms:GenerateDataKey",),
    "sns": ("kms:GenerateDataKey", "kms:Decrypt"),
    "sqs": ("kms:GenerateDataKey", "kms:Decrypt"),
}


#: Prefixes of IAM actions, by boto3's name of the service, where the two differ
#: (https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html).
_ACTION_PREFIXES = {
    "apigatewaymanagementapi": "execute-api",
    "appconfigdata": "appconfig",
    "bedrock-agent": "bedrock",
    "bedrock-agent-runtime": "bedrock",
    "bedrock-runtime": "bedrock",
    "cloudsearchdomain": "cloudsearch",
    "dynamodbstreams": "dynamodb",
    "eventbridgev2": "events",
    "iot-data": "iot",
    "kinesis-video-media": "kinesisvideo",
    "location": "geo",
    "opensearch": "es",
    "opensearchserverless": "aoss",
    "personalize-events": "personalize",
    "personalize-runtime": "personalize",
    "pinpoint": "mobiletargeting",
    "pinpoint-email": "ses",
    "pinpoint-sms-voice-v2": "sms-voice",
    "sagemaker-runtime": "sagemaker",
    "sesv2": "ses",
    "stepfunctions": "states",
    "timestream-query": "timestream",
    "timestream-write": "timestream",
}


def action_prefix(service: str) -> str:
    """Return the prefix of a service's IAM actions.

    >>> action_prefix("sesv2"), action_prefix("dynamodb")
    ('ses', 'dynamodb')

    Args:
        service: boto3's name of the service.
    """
    return _ACTION_PREFIXES.get(service, service)


def reading(arn: str) -> Sequence[Need]:
    """List the actions that read a stream or a queue.

    >>> reading("arn:aws:sqs:us-east-1:111122223333:orders")[0]
    ('sqs:ReceiveMessage', 'arn:aws:sqs:us-east-1:111122223333:orders')
    """
    return [(action, arn) for action in READING[_service(arn)]]


def sending_failures(arn: str, *, key: str = "*") -> Sequence[Need]:
    """List the actions that send the document of a failed batch to a bucket, queue or topic (IAM-2).

    Args:
        arn: The destination's ARN.
        key: The object's key; for buckets only.
    """
    needed = SENDING_FAILURES[_service(arn)]
    return [(action, f"{arn}/{key}" if to == "object" else arn) for action, to in needed.items()]


def encrypting_failures(arn: str, key: str) -> Sequence[Need]:
    """List the actions that a customer managed key of a failure destination also needs (IAM-2).

    Args:
        arn: The destination's ARN.
        key: The key's ARN.
    """
    return [(action, key) for action in _ENCRYPTING[_service(arn)]]


def decrypting(key: str) -> Sequence[Need]:
    """List the actions on a customer managed key that reading a stream encrypted with it needs (IAM-11).

    Args:
        key: The key's ARN.
    """
    return [("kms:Decrypt", key)]


def calling(arn: str, *, wait: bool) -> Sequence[Need]:
    """List the actions that send to a pipe's target or ask its enrichment.

    Args:
        arn: The ARN of the target or the enrichment.
        wait: Whether the answer is waited for.

    >>> calling("arn:aws:states:us-east-1:111122223333:stateMachine:price", wait=True)[0][0]
    'states:StartSyncExecution'
    """
    service = _service(arn)
    kind = arn.split(":", 5)[5].replace("/", ":").split(":")[0]
    operation = CALLING.get((service, kind)) or CALLING[service, ""]
    if operation == "StartExecution" and wait:
        operation = "StartSyncExecution"
    return [(f"{service}:{operation}", arn)]


def _service(arn: str) -> str:
    return arn.split(":")[2]
