"""The AWS operations that the endpoint accepts, and the members of each that it honours. Others are refused by name.

An operation is listed if the program, its deployment, its demo or its tests use it, or if it reads what those created.
A member is `honoured` if it has the effect that it has on AWS. It is `kept` if it is stored and read back but has
nothing to act on in one process: encryption at rest, tags, processor architectures. None of Weir's claims rests on a
kept member. For each member, a test marked with `honours` sets it and looks for its effect; docs/local-operations.md is
made from both.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import NotSimulated


@dataclass(frozen=True)
class Members:
    """Members of an operation's input, by AWS's names.

    Attributes:
        honoured: Members that have their effect.
        kept: Members that are stored and read back.
    """

    honoured: frozenset[str]
    kept: frozenset[str]


def _takes(honoured: str = "", kept: str = "") -> Members:
    return Members(frozenset(honoured.split()), frozenset(kept.split()))


_ITEM_CONDITIONS = "ConditionExpression ExpressionAttributeNames ExpressionAttributeValues"
_SCHEDULE = (
    "Name GroupName ScheduleExpression ScheduleExpressionTimezone StartDate EndDate FlexibleTimeWindow State Target "
    "ActionAfterCompletion ClientToken"
)
_RETURNS = "ReturnValues ReturnValuesOnConditionCheckFailure"

#: The members of every operation, by service and operation.
OPERATIONS: Mapping[str, Mapping[str, Members]] = {
    "apigatewayv2": {
        "CreateApi": _takes("Name ProtocolType"),
        "CreateAuthorizer": _takes("ApiId Name AuthorizerType IdentitySource JwtConfiguration"),
        "CreateIntegration": _takes("ApiId IntegrationType IntegrationUri PayloadFormatVersion"),
        "CreateRoute": _takes("ApiId RouteKey Target AuthorizationType AuthorizerId"),
        "CreateStage": _takes("ApiId StageName AutoDeploy"),
        "DeleteApi": _takes("ApiId"),
        "DeleteAuthorizer": _takes("ApiId AuthorizerId"),
        "DeleteIntegration": _takes("ApiId IntegrationId"),
        "DeleteRoute": _takes("ApiId RouteId"),
        "DeleteStage": _takes("ApiId StageName"),
        "GetApi": _takes("ApiId"),
        "GetAuthorizer": _takes("ApiId AuthorizerId"),
        "GetIntegration": _takes("ApiId IntegrationId"),
        "GetIntegrations": _takes("ApiId"),
        "GetRoute": _takes("ApiId RouteId"),
        "GetRoutes": _takes("ApiId"),
        "GetStage": _takes("ApiId StageName"),
        "UpdateApi": _takes("ApiId Name"),
        "UpdateIntegration": _takes("ApiId IntegrationId IntegrationType IntegrationUri PayloadFormatVersion"),
        "UpdateRoute": _takes("ApiId RouteId RouteKey Target AuthorizationType"),
    },
    "cloudwatch": {
        "DeleteAlarms": _takes("AlarmNames"),
        "DeleteDashboards": _takes("DashboardNames"),
        "DescribeAlarms": _takes("AlarmNames AlarmNamePrefix AlarmTypes StateValue MaxRecords NextToken"),
        "GetDashboard": _takes("DashboardName"),
        "GetMetricData": _takes("MetricDataQueries StartTime EndTime ScanBy"),
        "GetMetricStatistics": _takes("Namespace MetricName Dimensions StartTime EndTime Period Statistics"),
        "ListDashboards": _takes("DashboardNamePrefix"),
        "ListMetrics": _takes("Namespace MetricName Dimensions NextToken"),
        "PutCompositeAlarm": _takes(
            "AlarmName AlarmRule AlarmDescription ActionsEnabled OKActions AlarmActions InsufficientDataActions"
        ),
        "PutDashboard": _takes("DashboardName DashboardBody"),
        "PutMetricAlarm": _takes(
            "AlarmName AlarmDescription ActionsEnabled OKActions AlarmActions InsufficientDataActions MetricName "
            "Namespace Statistic Dimensions Period EvaluationPeriods DatapointsToAlarm Threshold ComparisonOperator "
            "TreatMissingData Metrics"
        ),
        "SetAlarmState": _takes("AlarmName StateValue StateReason"),
    },
    "dynamodb": {
        "BatchGetItem": _takes("RequestItems ReturnConsumedCapacity"),
        "BatchWriteItem": _takes("RequestItems ReturnConsumedCapacity"),
        "CreateTable": _takes(
            "TableName AttributeDefinitions KeySchema StreamSpecification GlobalSecondaryIndexes LocalSecondaryIndexes",
            # Nothing is throttled here.
            kept="BillingMode DeletionProtectionEnabled ProvisionedThroughput SSESpecification TableClass Tags",
        ),
        "DeleteItem": _takes(f"TableName Key {_ITEM_CONDITIONS} {_RETURNS} ReturnConsumedCapacity"),
        "DeleteTable": _takes("TableName"),
        "DescribeContinuousBackups": _takes("TableName"),
        "DescribeExport": _takes("ExportArn"),
        "DescribeKinesisStreamingDestination": _takes("TableName"),
        "DescribeTable": _takes("TableName"),
        "DescribeTimeToLive": _takes("TableName"),
        "DisableKinesisStreamingDestination": _takes("TableName StreamArn"),
        "EnableKinesisStreamingDestination": _takes("TableName StreamArn EnableKinesisStreamingConfiguration"),
        "ExportTableToPointInTime": _takes(
            "TableArn ExportTime ClientToken S3Bucket S3Prefix ExportFormat ExportType IncrementalExportSpecification"
        ),
        "GetItem": _takes(
            "TableName Key ConsistentRead ProjectionExpression ExpressionAttributeNames ReturnConsumedCapacity"
        ),
        "ListExports": _takes("TableArn MaxResults NextToken"),
        "ListTables": _takes("ExclusiveStartTableName Limit"),
        "ListTagsOfResource": _takes("ResourceArn"),
        "PutItem": _takes(f"TableName Item {_ITEM_CONDITIONS} {_RETURNS} ReturnConsumedCapacity"),
        "Query": _takes(
            "TableName KeyConditionExpression FilterExpression ProjectionExpression ExpressionAttributeNames "
            "ExpressionAttributeValues ConsistentRead Limit ScanIndexForward ExclusiveStartKey Select IndexName "
            "ReturnConsumedCapacity"
        ),
        "Scan": _takes(
            "TableName FilterExpression ProjectionExpression ExpressionAttributeNames ExpressionAttributeValues "
            "ConsistentRead Limit ExclusiveStartKey Segment TotalSegments Select IndexName ReturnConsumedCapacity"
        ),
        "TagResource": _takes(kept="ResourceArn Tags"),
        "TransactGetItems": _takes("TransactItems ReturnConsumedCapacity"),
        "TransactWriteItems": _takes("TransactItems ClientRequestToken ReturnConsumedCapacity"),
        "UntagResource": _takes(kept="ResourceArn TagKeys"),
        "UpdateContinuousBackups": _takes("TableName PointInTimeRecoverySpecification"),
        "UpdateKinesisStreamingDestination": _takes("TableName StreamArn UpdateKinesisStreamingConfiguration"),
        "UpdateTable": _takes(
            "TableName StreamSpecification AttributeDefinitions GlobalSecondaryIndexUpdates",
            kept="BillingMode DeletionProtectionEnabled ProvisionedThroughput",
        ),
        "UpdateItem": _takes(f"TableName Key UpdateExpression {_ITEM_CONDITIONS} {_RETURNS} ReturnConsumedCapacity"),
        "UpdateTimeToLive": _takes("TableName TimeToLiveSpecification"),
    },
    "dynamodbstreams": {
        "DescribeStream": _takes("StreamArn Limit ExclusiveStartShardId ShardFilter"),
        "GetRecords": _takes("ShardIterator Limit"),
        "GetShardIterator": _takes("StreamArn ShardId ShardIteratorType SequenceNumber"),
        "ListStreams": _takes("TableName Limit ExclusiveStartStreamArn"),
    },
    "events": {
        "CreateApiDestination": _takes(
            "Name ConnectionArn InvocationEndpoint HttpMethod InvocationRateLimitPerSecond", kept="Description"
        ),
        "CreateArchive": _takes("ArchiveName EventSourceArn EventPattern RetentionDays", kept="Description"),
        "CreateConnection": _takes("Name AuthorizationType AuthParameters", kept="Description"),
        "CreateEventBus": _takes("Name", kept="Tags"),
        "DeleteApiDestination": _takes("Name"),
        "DeleteArchive": _takes("ArchiveName"),
        "DeleteConnection": _takes("Name"),
        "DeleteEventBus": _takes("Name"),
        "DeleteRule": _takes("Name EventBusName"),
        "DescribeApiDestination": _takes("Name"),
        "DescribeArchive": _takes("ArchiveName"),
        "DescribeConnection": _takes("Name"),
        "DescribeEventBus": _takes("Name"),
        "DescribeReplay": _takes("ReplayName"),
        "DescribeRule": _takes("Name EventBusName"),
        "ListEventBuses": _takes("NamePrefix Limit NextToken"),
        "ListRules": _takes("NamePrefix EventBusName Limit NextToken"),
        "ListTagsForResource": _takes("ResourceARN"),
        "ListTargetsByRule": _takes("Rule EventBusName"),
        "PutEvents": _takes("Entries"),
        "PutRule": _takes("Name EventBusName EventPattern State", kept="Description Tags"),
        "PutTargets": _takes("Rule EventBusName Targets"),
        "RemoveTargets": _takes("Rule EventBusName Ids"),
        "StartReplay": _takes("ReplayName EventSourceArn EventStartTime EventEndTime Destination"),
        "TagResource": _takes(kept="ResourceARN Tags"),
        "UntagResource": _takes(kept="ResourceARN TagKeys"),
        "UpdateApiDestination": _takes(
            "Name ConnectionArn InvocationEndpoint HttpMethod InvocationRateLimitPerSecond", kept="Description"
        ),
        "UpdateArchive": _takes("ArchiveName EventPattern RetentionDays", kept="Description"),
        "UpdateConnection": _takes("Name AuthorizationType AuthParameters", kept="Description"),
    },
    # A function's own calls are not checked against its role, since ministack denies some that AWS allows.
    "iam": {
        "AttachRolePolicy": _takes("RoleName PolicyArn"),
        "CreatePolicy": _takes("PolicyName PolicyDocument Path", kept="Description"),
        "CreatePolicyVersion": _takes("PolicyArn PolicyDocument SetAsDefault"),
        "CreateRole": _takes(
            "RoleName Path AssumeRolePolicyDocument PermissionsBoundary", kept="Description MaxSessionDuration Tags"
        ),
        "DeletePolicy": _takes("PolicyArn"),
        "DeletePolicyVersion": _takes("PolicyArn VersionId"),
        "DeleteRole": _takes("RoleName"),
        "DeleteRolePermissionsBoundary": _takes("RoleName"),
        "DeleteRolePolicy": _takes("RoleName PolicyName"),
        "DetachRolePolicy": _takes("RoleName PolicyArn"),
        "GetPolicy": _takes("PolicyArn"),
        "GetPolicyVersion": _takes("PolicyArn VersionId"),
        "GetRole": _takes("RoleName"),
        "GetRolePolicy": _takes("RoleName PolicyName"),
        "ListAttachedRolePolicies": _takes("RoleName"),
        "ListPolicyVersions": _takes("PolicyArn"),
        "ListRolePolicies": _takes("RoleName"),
        "ListRoles": _takes("PathPrefix"),
        "PutRolePermissionsBoundary": _takes("RoleName PermissionsBoundary"),
        "PutRolePolicy": _takes("RoleName PolicyName PolicyDocument"),
        "UpdateAssumeRolePolicy": _takes("RoleName PolicyDocument"),
    },
    # Splitting and merging are refused: ministack would drop what the parent held.
    "kinesis": {
        "AddTagsToStream": _takes(kept="StreamName StreamARN Tags"),
        "CreateStream": _takes("StreamName ShardCount StreamModeDetails MaxRecordSizeInKiB"),
        "DecreaseStreamRetentionPeriod": _takes("StreamName StreamARN RetentionPeriodHours"),
        "DeleteStream": _takes("StreamName StreamARN"),
        "DescribeStream": _takes("StreamName StreamARN Limit ExclusiveStartShardId"),
        "DescribeStreamSummary": _takes("StreamName StreamARN"),
        "GetRecords": _takes("ShardIterator Limit"),
        "GetShardIterator": _takes("StreamName StreamARN ShardId ShardIteratorType StartingSequenceNumber Timestamp"),
        "IncreaseStreamRetentionPeriod": _takes("StreamName StreamARN RetentionPeriodHours"),
        "ListStreams": _takes("Limit ExclusiveStartStreamName"),
        "ListTagsForStream": _takes("StreamName StreamARN"),
        "ListShards": _takes("StreamName StreamARN MaxResults NextToken ExclusiveStartShardId"),
        "RemoveTagsFromStream": _takes(kept="StreamName StreamARN TagKeys"),
        "PutRecord": _takes("StreamName StreamARN Data PartitionKey ExplicitHashKey"),
        "PutRecords": _takes("StreamName StreamARN Records"),
        "StartStreamEncryption": _takes(kept="StreamName StreamARN EncryptionType KeyId"),
        "UpdateMaxRecordSize": _takes("StreamARN MaxRecordSizeInKiB"),
    },
    # Ciphertexts are bound to their key and context here, and are not safe.
    "kms": {
        "CreateAlias": _takes("AliasName TargetKeyId"),
        "CreateKey": _takes("Policy KeySpec KeyUsage", kept="Description Tags"),
        "Decrypt": _takes("CiphertextBlob KeyId EncryptionContext"),
        "DeleteAlias": _takes("AliasName"),
        "DescribeKey": _takes("KeyId"),
        "DisableKey": _takes("KeyId"),
        "EnableKey": _takes("KeyId"),
        "Encrypt": _takes("KeyId Plaintext EncryptionContext"),
        "GenerateDataKey": _takes("KeyId KeySpec NumberOfBytes EncryptionContext"),
        "GetKeyPolicy": _takes("KeyId"),
        "ListAliases": _takes("KeyId"),
        "ListResourceTags": _takes("KeyId"),
        "PutKeyPolicy": _takes("KeyId Policy"),
        # Nothing waits for the end of the window: the key is of no use from now on, as on AWS.
        "ScheduleKeyDeletion": _takes("KeyId", kept="PendingWindowInDays"),
    },
    "lambda": {
        "AddPermission": _takes("FunctionName StatementId Action Principal SourceAccount SourceArn"),
        "CreateEventSourceMapping": _takes(
            "FunctionName EventSourceArn Enabled StartingPosition BatchSize MaximumBatchingWindowInSeconds "
            "ParallelizationFactor BisectBatchOnFunctionError MaximumRetryAttempts MaximumRecordAgeInSeconds "
            "TumblingWindowInSeconds FunctionResponseTypes FilterCriteria DestinationConfig MetricsConfig "
            "StartingPositionTimestamp ScalingConfig"
        ),
        "CreateFunction": _takes(
            "FunctionName Role Handler Code Timeout Environment LoggingConfig Layers Publish DeadLetterConfig",
            # Handlers run on the endpoint's own Python, whatever is declared.
            kept="Runtime MemorySize Architectures Description EphemeralStorage PackageType Tags TracingConfig",
        ),
        "DeleteEventSourceMapping": _takes("UUID"),
        "DeleteFunction": _takes("FunctionName"),
        "DeleteFunctionConcurrency": _takes("FunctionName"),
        "DeleteLayerVersion": _takes("LayerName VersionNumber"),
        "GetEventSourceMapping": _takes("UUID"),
        "GetFunction": _takes("FunctionName"),
        "GetFunctionConcurrency": _takes("FunctionName"),
        "GetFunctionConfiguration": _takes("FunctionName"),
        "GetLayerVersion": _takes("LayerName VersionNumber"),
        "GetPolicy": _takes("FunctionName"),
        "Invoke": _takes("FunctionName InvocationType LogType Payload"),
        "ListEventSourceMappings": _takes("EventSourceArn FunctionName Marker MaxItems"),
        "ListFunctions": _takes("Marker MaxItems"),
        "ListTags": _takes("Resource"),
        "PublishLayerVersion": _takes(
            "LayerName Content", kept="Description CompatibleRuntimes CompatibleArchitectures"
        ),
        "PutFunctionConcurrency": _takes("FunctionName ReservedConcurrentExecutions"),
        "RemovePermission": _takes("FunctionName StatementId"),
        "TagResource": _takes(kept="Resource Tags"),
        "UntagResource": _takes(kept="Resource TagKeys"),
        "UpdateEventSourceMapping": _takes(
            "UUID FunctionName Enabled BatchSize MaximumBatchingWindowInSeconds ParallelizationFactor "
            "BisectBatchOnFunctionError MaximumRetryAttempts MaximumRecordAgeInSeconds TumblingWindowInSeconds "
            "FunctionResponseTypes FilterCriteria DestinationConfig MetricsConfig ScalingConfig"
        ),
        "UpdateFunctionCode": _takes("FunctionName ZipFile", kept="Architectures"),
        "UpdateFunctionConfiguration": _takes(
            "FunctionName Role Handler Timeout Environment LoggingConfig Layers DeadLetterConfig",
            kept="Runtime MemorySize Description EphemeralStorage TracingConfig",
        ),
    },
    "logs": {
        "CreateLogGroup": _takes("logGroupName"),
        "CreateLogStream": _takes("logGroupName logStreamName"),
        "DeleteLogGroup": _takes("logGroupName"),
        "DeleteRetentionPolicy": _takes("logGroupName"),
        "DescribeLogGroups": _takes("logGroupNamePrefix limit nextToken"),
        "DescribeLogStreams": _takes("logGroupName logStreamNamePrefix limit nextToken"),
        # ministack answers 10,000 events at most and has no second page.
        "FilterLogEvents": _takes("logGroupName logStreamNames startTime endTime filterPattern"),
        "PutLogEvents": _takes("logGroupName logStreamName logEvents"),
        # Nothing lives long enough here to expire.
        "PutRetentionPolicy": _takes("logGroupName", kept="retentionInDays"),
    },
    "pipes": {
        "CreatePipe": _takes(
            "Name Source SourceParameters Enrichment EnrichmentParameters Target TargetParameters RoleArn DesiredState "
            "LogConfiguration",
            kept="Description KmsKeyIdentifier Tags",
        ),
        "DeletePipe": _takes("Name"),
        "DescribePipe": _takes("Name"),
        "ListPipes": _takes("NamePrefix DesiredState CurrentState SourcePrefix TargetPrefix Limit NextToken"),
        "StartPipe": _takes("Name"),
        "StopPipe": _takes("Name"),
        "UpdatePipe": _takes(
            "Name SourceParameters Enrichment EnrichmentParameters Target TargetParameters RoleArn DesiredState "
            "LogConfiguration",
            kept="Description KmsKeyIdentifier",
        ),
    },
    "s3": {
        "CreateBucket": _takes("Bucket CreateBucketConfiguration"),
        "DeleteBucket": _takes("Bucket"),
        "DeleteBucketEncryption": _takes("Bucket"),
        "DeleteBucketLifecycle": _takes("Bucket"),
        "DeleteBucketOwnershipControls": _takes("Bucket"),
        "DeleteBucketPolicy": _takes("Bucket"),
        "DeleteObject": _takes("Bucket Key"),
        "DeletePublicAccessBlock": _takes("Bucket"),
        "GetBucketEncryption": _takes("Bucket"),
        "GetBucketLifecycleConfiguration": _takes("Bucket"),
        "GetBucketOwnershipControls": _takes("Bucket"),
        "GetBucketPolicy": _takes("Bucket"),
        "GetObject": _takes("Bucket Key ChecksumMode Range"),
        "GetPublicAccessBlock": _takes("Bucket"),
        "HeadBucket": _takes("Bucket"),
        "HeadObject": _takes("Bucket Key ChecksumMode"),
        "ListBuckets": _takes("Prefix MaxBuckets ContinuationToken"),
        "ListObjectsV2": _takes("Bucket Prefix Delimiter EncodingType MaxKeys ContinuationToken StartAfter FetchOwner"),
        # SDKs name a checksum by themselves; these bodies come whole or not at all.
        "PutBucketEncryption": _takes("Bucket", kept="ServerSideEncryptionConfiguration ChecksumAlgorithm"),
        "PutBucketLifecycleConfiguration": _takes("Bucket", kept="LifecycleConfiguration ChecksumAlgorithm"),
        "PutBucketPolicy": _takes("Bucket Policy", kept="ChecksumAlgorithm"),
        "PutBucketOwnershipControls": _takes("Bucket", kept="OwnershipControls ChecksumAlgorithm"),
        "PutObject": _takes(
            "Bucket Key Body ContentType ContentLength ContentMD5 ContentEncoding Metadata IfNoneMatch "
            "ChecksumAlgorithm ChecksumCRC32 ChecksumCRC32C ChecksumCRC64NVME ChecksumSHA1 ChecksumSHA256"
        ),
        "PutPublicAccessBlock": _takes("Bucket", kept="PublicAccessBlockConfiguration ChecksumAlgorithm"),
    },
    "scheduler": {
        "CreateSchedule": _takes(_SCHEDULE, kept="Description KmsKeyArn"),
        "CreateScheduleGroup": _takes("Name ClientToken"),
        "DeleteSchedule": _takes("Name GroupName ClientToken"),
        # Its schedules end at once, and none of them fires meanwhile.
        "DeleteScheduleGroup": _takes("Name ClientToken"),
        "GetSchedule": _takes("Name GroupName"),
        "GetScheduleGroup": _takes("Name"),
        "ListSchedules": _takes("GroupName NamePrefix State MaxResults NextToken"),
        "UpdateSchedule": _takes(_SCHEDULE, kept="Description KmsKeyArn"),
    },
    "secretsmanager": {
        # The token names a version of the value, which comes by PutSecretValue alone.
        "CreateSecret": _takes("Name", kept="Description ClientRequestToken"),
        "DeleteSecret": _takes("SecretId ForceDeleteWithoutRecovery RecoveryWindowInDays"),
        "DescribeSecret": _takes("SecretId"),
        "GetSecretValue": _takes("SecretId VersionId VersionStage"),
        "PutSecretValue": _takes("SecretId SecretString ClientRequestToken"),
        "UpdateSecret": _takes("SecretId", kept="Description ClientRequestToken"),
    },
    "sesv2": {
        "CreateEmailIdentity": _takes("EmailIdentity"),
        "DeleteEmailIdentity": _takes("EmailIdentity"),
        "GetEmailIdentity": _takes("EmailIdentity"),
        "SendEmail": _takes("FromEmailAddress Destination Content"),
    },
    "sns": {
        "CreateTopic": _takes("Name Attributes", kept="Tags"),
        "DeleteTopic": _takes("TopicArn"),
        "GetSubscriptionAttributes": _takes("SubscriptionArn"),
        "GetTopicAttributes": _takes("TopicArn"),
        "ListSubscriptionsByTopic": _takes("TopicArn"),
        "ListTagsForResource": _takes("ResourceArn"),
        # A topic's subscriptions come on one page, the other lists on pages of a hundred.
        "ListSubscriptions": _takes("NextToken"),
        "ListTopics": _takes("NextToken"),
        "TagResource": _takes(kept="ResourceArn Tags"),
        "UntagResource": _takes(kept="ResourceArn TagKeys"),
        "Publish": _takes("TopicArn Message Subject MessageAttributes MessageGroupId MessageDeduplicationId"),
        "PublishBatch": _takes("TopicArn PublishBatchRequestEntries"),
        # Mails to subscribers are not sent; queues get their messages.
        "SetTopicAttributes": _takes("TopicArn AttributeName AttributeValue"),
        "Subscribe": _takes("TopicArn Protocol Endpoint ReturnSubscriptionArn Attributes"),
        "Unsubscribe": _takes("SubscriptionArn"),
    },
    "sqs": {
        "CancelMessageMoveTask": _takes("TaskHandle"),
        "ChangeMessageVisibility": _takes("QueueUrl ReceiptHandle VisibilityTimeout"),
        "ChangeMessageVisibilityBatch": _takes("QueueUrl Entries"),
        "CreateQueue": _takes("QueueName Attributes", kept="tags"),
        "DeleteMessage": _takes("QueueUrl ReceiptHandle"),
        "DeleteMessageBatch": _takes("QueueUrl Entries"),
        "DeleteQueue": _takes("QueueUrl"),
        "GetQueueAttributes": _takes("QueueUrl AttributeNames"),
        "GetQueueUrl": _takes("QueueName QueueOwnerAWSAccountId"),
        "ListMessageMoveTasks": _takes("SourceArn MaxResults"),
        "ListQueueTags": _takes("QueueUrl"),
        "ListQueues": _takes("QueueNamePrefix MaxResults NextToken"),
        "PurgeQueue": _takes("QueueUrl"),
        "TagQueue": _takes(kept="QueueUrl Tags"),
        "UntagQueue": _takes(kept="QueueUrl TagKeys"),
        "ReceiveMessage": _takes(
            "QueueUrl MaxNumberOfMessages WaitTimeSeconds VisibilityTimeout AttributeNames "
            "MessageSystemAttributeNames MessageAttributeNames"
        ),
        "SendMessage": _takes(
            "QueueUrl MessageBody DelaySeconds MessageAttributes MessageGroupId MessageDeduplicationId"
        ),
        "SendMessageBatch": _takes("QueueUrl Entries"),
        "SetQueueAttributes": _takes("QueueUrl Attributes"),
        "StartMessageMoveTask": _takes("SourceArn DestinationArn MaxNumberOfMessagesPerSecond"),
    },
    # SecureStrings of the account's own key need nothing of KMS; those of a customer managed key need what it needs.
    "ssm": {
        "AddTagsToResource": _takes(kept="ResourceType ResourceId Tags"),
        "DeleteParameter": _takes("Name"),
        "DeleteParameters": _takes("Names"),
        "GetParameter": _takes("Name WithDecryption"),
        "GetParameters": _takes("Names WithDecryption"),
        "GetParametersByPath": _takes("Path Recursive WithDecryption MaxResults NextToken"),
        "ListTagsForResource": _takes("ResourceType ResourceId"),
        "PutParameter": _takes("Name Value Type KeyId Overwrite", kept="Description DataType Tags"),
        "RemoveTagsFromResource": _takes(kept="ResourceType ResourceId TagKeys"),
    },
    "stepfunctions": {
        "CreateStateMachine": _takes("name definition type roleArn"),
        "DeleteStateMachine": _takes("stateMachineArn"),
        "DescribeExecution": _takes("executionArn"),
        "DescribeMapRun": _takes("mapRunArn"),
        "DescribeStateMachine": _takes("stateMachineArn"),
        "ListExecutions": _takes("stateMachineArn statusFilter maxResults nextToken"),
        "ListMapRuns": _takes("executionArn"),
        "ListStateMachines": _takes("maxResults nextToken"),
        "SendTaskFailure": _takes("taskToken error cause"),
        "SendTaskHeartbeat": _takes("taskToken"),
        "SendTaskSuccess": _takes("taskToken output"),
        "StartExecution": _takes("stateMachineArn name input"),
        "StartSyncExecution": _takes("stateMachineArn name input"),
        "StopExecution": _takes("executionArn error cause"),
        "UpdateStateMachine": _takes("stateMachineArn definition roleArn"),
    },
    "sts": {
        "AssumeRole": _takes("RoleArn RoleSessionName DurationSeconds ExternalId Policy"),
        "GetCallerIdentity": _takes(),
    },
}


#: Members of a message in PublishBatch.
_TOPIC_MESSAGE = frozenset(
    ["Id", "Message", "Subject", "MessageAttributes", "MessageGroupId", "MessageDeduplicationId"]
)

_QUEUE_ATTRIBUTES = frozenset(
    {
        "ContentBasedDeduplication",
        "DeduplicationScope",
        "DelaySeconds",
        "FifoQueue",
        # Nothing limits the calls to a queue here.
        "FifoThroughputLimit",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "Policy",
        "ReceiveMessageWaitTimeSeconds",
        "RedrivePolicy",
        "SqsManagedSseEnabled",
        "VisibilityTimeout",
    }
)


_TOPIC_ATTRIBUTES = frozenset(
    {"ArchivePolicy", "ContentBasedDeduplication", "FifoThroughputScope", "FifoTopic", "MaximumMessageSize", "Policy"}
)
#: AWS's own key lets in whoever may publish, so that it changes nothing here.
_AWS_KEY = "alias/aws/sns"
_SUBSCRIPTION_ATTRIBUTES = frozenset({"RawMessageDelivery", "RedrivePolicy", "ReplayPolicy"})


def numbered(attributes: Any) -> dict[str, str]:
    """Read a map as the query protocol writes it: `entry.1.key`, `entry.1.value`."""
    return {
        key: attributes.get(f"{name.removesuffix('.key')}.value", "")
        for name, key in attributes.items()
        if name.endswith(".key")
    }


def _one_of(names: frozenset[str]) -> str:
    return "any of " + ", ".join(sorted(names))


def _each_has_only(entries: Any, members: str) -> bool:
    return all(set(each) <= set(members.split()) for each in entries)


def _are_topics(actions: Any) -> bool:
    return all(str(each).startswith("arn:aws:sns:") for each in actions)


def _is_scheduled_target(target: Any) -> bool:
    return (
        set(target) <= {"Arn", "DeadLetterConfig", "Input", "RetryPolicy", "RoleArn", "SqsParameters"}
        and str(target.get("Arn", "")).startswith(("arn:aws:lambda:", "arn:aws:sqs:", "arn:aws:states:"))
        and "Input" in target
        and "<aws.scheduler.attempt-number>" not in target["Input"]
    )


_SCHEDULE_VALUES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "ScheduleExpressionTimezone": (lambda value: value == "UTC", "UTC"),
    "Target": (
        _is_scheduled_target,
        "functions, queues and state machines, with an Input that does not name the attempt",
    ),
}


#: Members of which only some values are honoured: a condition on the value, and words for the values that meet it.
VALUES: Mapping[tuple[str, str], tuple[Callable[[Any], bool], str]] = {
    ("apigatewayv2:CreateApi", "ProtocolType"): (lambda value: value == "HTTP", "HTTP"),
    ("apigatewayv2:CreateIntegration", "IntegrationType"): (lambda value: value == "AWS_PROXY", "AWS_PROXY"),
    ("apigatewayv2:CreateIntegration", "PayloadFormatVersion"): (lambda value: value == "2.0", "2.0"),
    ("apigatewayv2:UpdateIntegration", "IntegrationType"): (lambda value: value == "AWS_PROXY", "AWS_PROXY"),
    ("apigatewayv2:UpdateIntegration", "PayloadFormatVersion"): (lambda value: value == "2.0", "2.0"),
    ("apigatewayv2:UpdateRoute", "AuthorizationType"): (lambda value: value in ("AWS_IAM", "NONE"), "AWS_IAM or NONE"),
    ("apigatewayv2:CreateRoute", "AuthorizationType"): (
        lambda value: value in ("AWS_IAM", "JWT", "NONE"),
        "AWS_IAM, JWT or NONE",
    ),
    ("apigatewayv2:CreateAuthorizer", "AuthorizerType"): (lambda value: value == "JWT", "JWT"),
    ("apigatewayv2:CreateStage", "AutoDeploy"): (lambda value: value is True, "True"),
    ("apigatewayv2:CreateStage", "StageName"): (lambda value: value == "$default", "$default"),
    **{
        (f"cloudwatch:{operation}", member): (_are_topics, "topics")
        for operation in ("PutCompositeAlarm", "PutMetricAlarm")
        for member in ("AlarmActions", "InsufficientDataActions", "OKActions")
    },
    # Streams cannot be tagged.
    **{
        (f"dynamodb:{operation}", "ResourceArn"): (lambda value: "/stream/" not in value, "tables")
        for operation in ("TagResource", "UntagResource")
    },
    ("dynamodbstreams:GetShardIterator", "ShardIteratorType"): (
        lambda value: value != "AT_TIMESTAMP",
        "positions by sequence number, TRIM_HORIZON and LATEST",
    ),
    ("dynamodb:ExportTableToPointInTime", "ExportFormat"): (lambda value: value == "DYNAMODB_JSON", "DYNAMODB_JSON"),
    ("dynamodb:ExportTableToPointInTime", "IncrementalExportSpecification"): (
        lambda value: "ExportFromTime" in value,
        "windows with an ExportFromTime",
    ),
    ("dynamodb:UpdateContinuousBackups", "PointInTimeRecoverySpecification"): (
        lambda value: set(value) <= {"PointInTimeRecoveryEnabled"},
        "PointInTimeRecoveryEnabled",
    ),
    ("kms:CreateKey", "KeySpec"): (lambda value: value == "SYMMETRIC_DEFAULT", "SYMMETRIC_DEFAULT"),
    ("kms:CreateKey", "KeyUsage"): (lambda value: value == "ENCRYPT_DECRYPT", "ENCRYPT_DECRYPT"),
    ("ssm:PutParameter", "DataType"): (lambda value: value == "text", "text"),
    ("lambda:PublishLayerVersion", "Content"): (lambda value: set(value) <= {"ZipFile"}, "a ZipFile"),
    **{
        (f"lambda:{operation}", "DeadLetterConfig"): (
            lambda value: not value.get("TargetArn") or ":sqs:" in value["TargetArn"] or ":sns:" in value["TargetArn"],
            "queues and topics",
        )
        for operation in ("CreateFunction", "UpdateFunctionConfiguration")
    },
    ("lambda:CreateFunction", "PackageType"): (lambda value: value == "Zip", "Zip"),
    ("lambda:CreateFunction", "Runtime"): (lambda value: str(value).startswith("python3."), "python3.x"),
    ("lambda:UpdateFunctionConfiguration", "Runtime"): (lambda value: str(value).startswith("python3."), "python3.x"),
    # An asynchronous invocation that fails is repeated twice, as on AWS, but after seconds instead of minutes.
    ("lambda:Invoke", "InvocationType"): (
        lambda value: value in ("RequestResponse", "Event", "DryRun"),
        "RequestResponse, Event and DryRun",
    ),
    ("events:PutEvents", "Entries"): (
        lambda value: _each_has_only(value, "EventBusName Source DetailType Detail Resources"),
        "entries of EventBusName, Source, DetailType, Detail and Resources",
    ),
    ("events:PutTargets", "Targets"): (
        lambda value: (
            _each_has_only(value, "Id Arn RoleArn InputPath HttpParameters RetryPolicy DeadLetterConfig")
            and all(":sqs:" in each["Arn"] or ":api-destination/" in each["Arn"] for each in value)
        ),
        "queues and API destinations, with RoleArn, InputPath, HttpParameters, RetryPolicy and DeadLetterConfig",
    ),
    **{
        (f"scheduler:{operation}", member): condition
        for operation in ("CreateSchedule", "UpdateSchedule")
        for member, condition in _SCHEDULE_VALUES.items()
    },
    ("events:StartReplay", "Destination"): (lambda value: set(value) <= {"Arn"}, "an Arn, and every rule of the bus"),
    ("sns:PublishBatch", "PublishBatchRequestEntries"): (
        lambda value: {name.split(".")[2] for name in value} <= _TOPIC_MESSAGE,
        f"entries of {', '.join(sorted(_TOPIC_MESSAGE))}",
    ),
    ("sqs:CreateQueue", "Attributes"): (lambda value: set(value) <= _QUEUE_ATTRIBUTES, _one_of(_QUEUE_ATTRIBUTES)),
    ("sqs:SetQueueAttributes", "Attributes"): (
        lambda value: set(value) <= _QUEUE_ATTRIBUTES - {"FifoQueue"},
        _one_of(_QUEUE_ATTRIBUTES - {"FifoQueue"}),
    ),
    ("sqs:SendMessageBatch", "Entries"): (
        lambda value: _each_has_only(
            value, "Id MessageBody DelaySeconds MessageAttributes MessageGroupId MessageDeduplicationId"
        ),
        "entries of Id, MessageBody, DelaySeconds, MessageAttributes, MessageGroupId and MessageDeduplicationId",
    ),
    ("sns:CreateTopic", "Attributes"): (
        lambda value: (
            numbered(value).get("KmsMasterKeyId") in (None, _AWS_KEY)
            and (
                set(numbered(value)) <= {"KmsMasterKeyId", "Policy"}
                or (set(numbered(value)) <= _TOPIC_ATTRIBUTES and numbered(value).get("FifoTopic") == "true")
            )
        ),
        f"Policy; for FIFO topics, {_one_of(_TOPIC_ATTRIBUTES - {'Policy'})}; AWS's own key as KmsMasterKeyId",
    ),
    ("sns:SetTopicAttributes", "AttributeName"): (
        lambda value: value in ("ArchivePolicy", "MaximumMessageSize", "Policy"),
        "ArchivePolicy, MaximumMessageSize and Policy",
    ),
    ("sns:Subscribe", "Attributes"): (
        lambda value: set(numbered(value)) <= _SUBSCRIPTION_ATTRIBUTES,
        _one_of(_SUBSCRIPTION_ATTRIBUTES),
    ),
    ("sns:Subscribe", "Protocol"): (lambda value: value in ("sqs", "email"), "sqs or email"),
}


#: The page with all operations and members, for those who have no clone at hand.
_LIST = "docs/local-operations.md lists what is simulated, and CONTRIBUTING.md says how an operation is added"


def check(call: AwsCall) -> None:
    """Refuse an operation, or a member of one, that the endpoint does not honour.

    Raises:
        NotSimulated: The endpoint does not honour it; the message names it.
    """
    members = OPERATIONS[call.service].get(call.operation)
    if members is None:
        raise NotSimulated(
            f"the local endpoint does not simulate {call}: call it on an AWS account, or do without it here. It "
            f"simulates {_alternatives(call)}; {_LIST}"
        )
    refused = sorted(set(call.parameters) - members.honoured - members.kept)
    if refused:
        raise NotSimulated(
            f"the local endpoint does not honour {', '.join(refused)} of {call}, and ignoring it would show something "
            f"that AWS does not do: leave it out here, or run this against an AWS account; {_LIST}"
        )
    for member, value in call.parameters.items():
        honoured, values = VALUES.get((str(call), member), (None, ""))
        if honoured is not None and not honoured(value):
            raise NotSimulated(
                f"the local endpoint does not simulate {member}={value} of {call}, only {values}: run this against an "
                f"AWS account; {_LIST}"
            )


def _alternatives(call: AwsCall) -> str:
    """Return words for the operations of a service that come nearest to one that is not simulated."""
    listed = list(OPERATIONS[call.service])
    near = difflib.get_close_matches(call.operation, listed, n=3, cutoff=0.7)
    return f"{', '.join(near or listed[:3])} and other operations of {call.service}"
