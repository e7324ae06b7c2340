"""SNS topics and subscriptions."""

from __future__ import annotations

from local.deploy.program import Created
from local.deploy.resources.aws import Aws
from local.deploy.resources.inputs import Inputs


def topic(inputs: Inputs, aws: Aws) -> Created:
    """CreateTopic."""
    name = inputs.name()
    inputs.finish()
    arn = aws.client("sns").create_topic(Name=name)["TopicArn"]
    return Created(arn, {"arn": arn, "name": name, "owner": aws.account_id})


def topic_subscription(inputs: Inputs, aws: Aws) -> Created:
    """Subscribe."""
    request = inputs.members({"topic": "TopicArn", "protocol": "Protocol", "endpoint": "Endpoint"})
    inputs.finish()
    arn = aws.client("sns").subscribe(**request, ReturnSubscriptionArn=True)["SubscriptionArn"]
    return Created(arn, {"arn": arn, "ownerId": aws.account_id})
