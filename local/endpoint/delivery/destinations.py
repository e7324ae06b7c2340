"""Delivering the document of a failed batch: S3, SQS or SNS, by the destination's ARN (docs/aws-semantics.md §2.7)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError


def takes_payload(arn: str) -> bool:
    """Whether the destination gets the records themselves: a bucket does, queues and topics get their range only."""
    return arn.split(":")[2] == "s3"


@dataclass(frozen=True)
class Destinations:
    """boto3 clients of the services that failed batches go to."""

    buckets: Any
    queues: Any
    topics: Any

    def send(self, document: Mapping[str, Any], arn: str, *, key: str = "") -> str | None:
        """Where the document went; `None` when it could not be delivered, which AWS does not try again.

        Args:
            document: What to send.
            arn: Of the bucket, queue or topic.
            key: The object's key; for buckets only.
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
