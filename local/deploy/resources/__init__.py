"""The table "Pulumi resource type → AWS calls": one function per type, create only.

A function takes the inputs it knows, calls `inputs.finish()`, which refuses the rest, and only then talks to AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from local.deploy.program import Created
from local.deploy.resources import (
    apigatewayv2,
    cloudwatch,
    dynamodb,
    events,
    iam,
    lambda_,
    pipes,
    s3,
    sesv2,
    sfn,
    sns,
    sqs,
)
from local.deploy.resources.aws import Aws
from local.deploy.resources.inputs import Inputs, NotUsed

__all__ = ["RESOURCES", "Aws", "Create", "Inputs", "NotUsed"]

Create = Callable[[Inputs, Aws], Created]

RESOURCES: Mapping[str, Create] = {
    "aws:apigatewayv2/api:Api": apigatewayv2.api,
    "aws:apigatewayv2/integration:Integration": apigatewayv2.integration,
    "aws:apigatewayv2/route:Route": apigatewayv2.route,
    "aws:apigatewayv2/stage:Stage": apigatewayv2.stage,
    "aws:cloudwatch/eventBus:EventBus": events.bus,
    "aws:cloudwatch/eventRule:EventRule": events.rule,
    "aws:cloudwatch/eventTarget:EventTarget": events.target,
    "aws:cloudwatch/logGroup:LogGroup": cloudwatch.log_group,
    "aws:cloudwatch/metricAlarm:MetricAlarm": cloudwatch.metric_alarm,
    "aws:dynamodb/table:Table": dynamodb.table,
    "aws:iam/policy:Policy": iam.policy,
    "aws:iam/role:Role": iam.role,
    "aws:iam/rolePolicy:RolePolicy": iam.role_policy,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": iam.role_policy_attachment,
    "aws:lambda/eventSourceMapping:EventSourceMapping": lambda_.event_source_mapping,
    "aws:lambda/function:Function": lambda_.function,
    "aws:lambda/permission:Permission": lambda_.permission,
    "aws:pipes/pipe:Pipe": pipes.pipe,
    "aws:s3/bucket:Bucket": s3.bucket,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": s3.lifecycle,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": s3.ownership_controls,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": s3.public_access_block,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": s3.encryption,
    "aws:sesv2/emailIdentity:EmailIdentity": sesv2.email_identity,
    "aws:sfn/stateMachine:StateMachine": sfn.state_machine,
    "aws:sns/topic:Topic": sns.topic,
    "aws:sns/topicSubscription:TopicSubscription": sns.topic_subscription,
    "aws:sqs/queue:Queue": sqs.queue,
}
