"""The table "Pulumi resource type → AWS calls": one `ResourceType` per type, grouped by service."""

from __future__ import annotations

from collections.abc import Mapping

from local.deploy.resources import (
    apigatewayv2,
    cloudwatch,
    dynamodb,
    events,
    iam,
    kinesis,
    lambda_,
    pipes,
    s3,
    scheduler,
    secretsmanager,
    sesv2,
    sfn,
    sns,
    sqs,
)
from local.deploy.resources.aws import Aws
from local.deploy.resources.members import NotUsed
from local.deploy.resources.resource_type import ResourceType

__all__ = ["RESOURCES", "Aws", "NotUsed", "ResourceType"]

_SERVICES = (
    *(apigatewayv2, cloudwatch, dynamodb, events, iam, kinesis, lambda_, pipes, s3, scheduler, secretsmanager, sesv2),
    *(sfn, sns, sqs),
)

RESOURCES: Mapping[str, ResourceType] = {token: each for service in _SERVICES for token, each in service.TYPES.items()}
