"""SQS queues."""

from __future__ import annotations

from collections.abc import Mapping

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Document, as_json, as_text
from local.deploy.resources.resource_type import Change, Found, Gone, Name, ResourceType, words


def _create(aws: Aws, request: Document) -> str:
    return aws.client("sqs").create_queue(**{"Attributes": {}, **request})["QueueUrl"]


def _read(aws: Aws, id_: str, request: Document) -> Found:
    wanted = ["QueueArn", *request.get("Attributes", {})]
    found = aws.client("sqs").get_queue_attributes(QueueUrl=id_, AttributeNames=wanted)["Attributes"]
    return Found({"Attributes": found}, {"url": id_, "arn": found["QueueArn"], "name": id_.rpartition("/")[2]})


def _update(aws: Aws, id_: str, change: Change) -> None:
    old, new = change.old.get("Attributes", {}), change.new.get("Attributes", {})
    changed = {name: value for name, value in {**_DEFAULTS, **new}.items() if old.get(name) != value}
    attributes = {name: value for name, value in changed.items() if name in new or name in old}
    aws.client("sqs").set_queue_attributes(QueueUrl=id_, Attributes=attributes)


def _delete(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("sqs").delete_queue(QueueUrl=id_)


def _put_policy(aws: Aws, request: Document) -> str:
    aws.client("sqs").set_queue_attributes(QueueUrl=request["QueueUrl"], Attributes={"Policy": request["Policy"]})
    return request["QueueUrl"]


def _read_policy(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("sqs").get_queue_attributes(QueueUrl=id_, AttributeNames=["Policy"]).get("Attributes", {})
    if not found.get("Policy"):
        raise Gone(id_)
    return Found({"QueueUrl": id_, "Policy": found["Policy"]}, {})


def _update_policy(aws: Aws, _id: str, change: Change) -> None:
    _put_policy(aws, change.new)


def _delete_policy(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("sqs").set_queue_attributes(QueueUrl=id_, Attributes={"Policy": ""})


#: What an attribute returns to when it is not given any more.
_DEFAULTS = {
    "ContentBasedDeduplication": "false",
    "MessageRetentionPeriod": "345600",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}

TYPES: Mapping[str, ResourceType] = {
    "aws:sqs/queue:Queue": ResourceType(
        members={
            "name": "QueueName",
            "contentBasedDeduplication": as_text("Attributes.ContentBasedDeduplication"),
            "fifoQueue": as_text("Attributes.FifoQueue"),
            "messageRetentionSeconds": as_text("Attributes.MessageRetentionPeriod"),
            "visibilityTimeoutSeconds": as_text("Attributes.VisibilityTimeout"),
            "sqsManagedSseEnabled": as_text("Attributes.SqsManagedSseEnabled"),
            "deduplicationScope": "Attributes.DeduplicationScope",
            "fifoThroughputLimit": "Attributes.FifoThroughputLimit",
            "redrivePolicy": as_json("Attributes.RedrivePolicy"),
        },
        begin=_create,
        read=_read,
        update=_update,
        delete=_delete,
        name=Name(
            longest=80, allowed=r"[A-Za-z0-9_.-]", suffix=lambda inputs: ".fifo" if inputs.get("fifoQueue") else ""
        ),
        replaces=words("name namePrefix fifoQueue"),
        outputs=words("arn url"),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": ResourceType(
        members={"queueUrl": "QueueUrl", "policy": as_json("Policy")},
        begin=_put_policy,
        read=_read_policy,
        update=_update_policy,
        delete=_delete_policy,
        replaces=words("queueUrl"),
    ),
}
"""Types of the package `sqs`."""
