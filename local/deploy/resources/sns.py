"""SNS topics and subscriptions."""

from __future__ import annotations

from collections.abc import Mapping

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Document, as_json, as_text
from local.deploy.resources.resource_type import Change, Found, Name, ResourceType, words


def _create_topic(aws: Aws, request: Document) -> str:
    return aws.client("sns").create_topic(**request)["TopicArn"]


def _read_topic(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("sns").get_topic_attributes(TopicArn=id_)["Attributes"]
    return Found({"Attributes": found}, {"arn": id_, "name": id_.rpartition(":")[2], "owner": aws.account_id})


def _update_topic(aws: Aws, id_: str, change: Change) -> None:
    old, new = change.old.get("Attributes", {}), change.new.get("Attributes", {})
    for name in old.keys() | new.keys():
        value = new.get(name, _DEFAULTS.get(name, ""))
        if value != old.get(name):
            aws.client("sns").set_topic_attributes(TopicArn=id_, AttributeName=name, AttributeValue=value)


def _delete_topic(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("sns").delete_topic(TopicArn=id_)


def _subscribe(aws: Aws, request: Document) -> str:
    return aws.client("sns").subscribe(**request, ReturnSubscriptionArn=True)["SubscriptionArn"]


def _read_subscription(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("sns").get_subscription_attributes(SubscriptionArn=id_)["Attributes"]
    return Found({**found, "Attributes": found}, {"arn": id_, "ownerId": aws.account_id})


def _unsubscribe(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("sns").unsubscribe(SubscriptionArn=id_)


#: What an attribute returns to when it is not given any more.
_DEFAULTS = {"ArchivePolicy": "{}", "MaximumMessageSize": "262144"}

TYPES: Mapping[str, ResourceType] = {
    "aws:sns/topic:Topic": ResourceType(
        members={
            "name": "Name",
            "fifoTopic": as_text("Attributes.FifoTopic"),
            "contentBasedDeduplication": as_text("Attributes.ContentBasedDeduplication"),
            "fifoThroughputScope": "Attributes.FifoThroughputScope",
            "maximumMessageSize": as_text("Attributes.MaximumMessageSize"),
            "archivePolicy": as_json("Attributes.ArchivePolicy"),
            "kmsMasterKeyId": "Attributes.KmsMasterKeyId",
        },
        begin=_create_topic,
        read=_read_topic,
        update=_update_topic,
        delete=_delete_topic,
        name=Name(longest=256, suffix=lambda inputs: ".fifo" if inputs.get("fifoTopic") else ""),
        replaces=words("name namePrefix fifoTopic"),
        outputs=words("arn owner"),
    ),
    "aws:sns/topicSubscription:TopicSubscription": ResourceType(
        members={
            "topic": "TopicArn",
            "protocol": "Protocol",
            "endpoint": "Endpoint",
            "rawMessageDelivery": as_text("Attributes.RawMessageDelivery"),
            "redrivePolicy": as_json("Attributes.RedrivePolicy"),
            "replayPolicy": as_json("Attributes.ReplayPolicy"),
        },
        begin=_subscribe,
        read=_read_subscription,
        delete=_unsubscribe,
        replaces=words("topic protocol endpoint"),
        outputs=words("arn ownerId"),
    ),
}
"""Types of the package `sns`."""
