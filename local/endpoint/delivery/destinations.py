"""On-failure destinations: a document goes to S3, SQS or SNS by the destination's ARN (docs/aws-semantics.md §2.7)."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

logger = logging.getLogger(__name__)


def takes_payload(arn: str) -> bool:
    """Return whether a destination gets the records themselves. Buckets do; queues and topics get only their range."""
    return arn.split(":")[2] == "s3"


@dataclass(frozen=True)
class Destinations:
    """The services that failed batches go to.

    Attributes:
        buckets: A boto3 client of S3.
        queues: A boto3 client of SQS.
        topics: A boto3 client of SNS.
        publish: Publishes a message with message attributes to a topic, by its ARN.
    """

    buckets: Any
    queues: Any
    topics: Any
    publish: Callable[[str, str, Mapping[str, Any]], None]

    def send_dead_letter(self, arn: str, event: Any, result: Mapping[str, Any]) -> None:
        """Send the event of an asynchronous invocation that was given up to a dead-letter queue or topic.

        https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-dlq
        """
        failure: Mapping[str, Any] = result.get("body") or {}
        attributes = {
            "RequestID": {"DataType": "String", "StringValue": str(failure.get("requestId") or uuid.uuid4())},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": str(failure.get("errorMessage", "-"))[:1024] or "-"},
        }
        body = json.dumps(event)
        if ":sns:" in arn:
            self.publish(arn, body, attributes)
            return
        try:
            url = self.queues.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
            self.queues.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
        except (ClientError, BotoCoreError):
            logger.warning("the dead letter of a function could not be sent to %s", arn)

    def send(self, document: Mapping[str, Any], arn: str, *, key: str = "") -> str | None:
        """Send a document, once: AWS does not try again either.

        Args:
            document: The document to send.
            arn: ARN of the bucket, queue or topic.
            key: The object's key, for buckets only.

        Returns:
            The document's place, as `s3://bucket/key`, a queue's URL or a topic's ARN; `None` if it was not delivered.
        """
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        name = arn.rpartition(":")[2]
        try:
            match arn.split(":")[2]:
                case "s3":
                    self.buckets.put_object(
                        Bucket=name, Key=key, Body=body.encode(), ContentType="application/octet-stream"
                    )
                    return f"s3://{name}/{key}"
                case "sqs":
                    url = self.queues.get_queue_url(QueueName=name)["QueueUrl"]
                    self.queues.send_message(QueueUrl=url, MessageBody=body)
                    return url
                case _:
                    self.topics.publish(TopicArn=arn, Message=body)
                    return arn
        except (ClientError, BotoCoreError):
            return None
