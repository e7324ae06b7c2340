"""SQS queues."""

from __future__ import annotations

from local.deploy.program import Created
from local.deploy.resources.aws import Aws
from local.deploy.resources.inputs import Inputs


def queue(inputs: Inputs, aws: Aws) -> Created:
    """CreateQueue. Its attributes are texts."""
    name = inputs.name()
    attributes = inputs.members(
        {
            "contentBasedDeduplication": "ContentBasedDeduplication",
            "fifoQueue": "FifoQueue",
            "messageRetentionSeconds": "MessageRetentionPeriod",
            "visibilityTimeoutSeconds": "VisibilityTimeout",
            "sqsManagedSseEnabled": "SqsManagedSseEnabled",
        }
    )
    inputs.finish()
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes={key: str(value).lower() for key, value in attributes.items()})[
        "QueueUrl"
    ]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return Created(url, {"url": url, "arn": arn, "name": name})
