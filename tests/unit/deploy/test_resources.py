"""The table "Pulumi resource type → AWS calls": each call checked against AWS's own model, none sent."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pulumi
import pytest
from botocore.awsrequest import AWSResponse

from local.deploy import strict
from local.deploy.archives import zipped
from local.deploy.program import Created
from local.deploy.provider import create
from local.deploy.resources import RESOURCES, Aws, NotUsed
from local.deploy.resources.members import check_used, to_document
from local.deploy.resources.resource_type import Change
from local.endpoint.clients import Connection

REGION, ACCOUNT = "eu-central-1", "123456789012"
URL = "http://127.0.0.1:4566"

UUID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

KINESIS = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/made-up"

READS = f"arn:aws:iam::{ACCOUNT}:policy/teams/reads"

ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "CreateApi": {"ApiId": "api1"},
    "CreateAuthorizer": {"AuthorizerId": "auth1"},
    "CreateEventSourceMapping": {"UUID": UUID},
    "CreateIntegration": {"IntegrationId": "int1"},
    "CreatePolicy": {"Policy": {"Arn": READS}},
    "CreateQueue": {"QueueUrl": f"{URL}/{ACCOUNT}/made-up"},
    "CreateRoute": {"RouteId": "route1"},
    "CreateStateMachine": {"stateMachineArn": "arn:machine"},
    "CreateTopic": {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:t"},
    "DescribeAlarms": {"MetricAlarms": [{"AlarmName": "made-up"}]},
    "DescribeContinuousBackups": {
        "ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}
    },
    "DescribeEventBus": {"Arn": "arn:bus"},
    "DescribeKinesisStreamingDestination": {
        "KinesisDataStreamDestinations": [{"StreamArn": KINESIS, "DestinationStatus": "ACTIVE"}]
    },
    "DescribeStream": {"StreamDescription": {"StreamStatus": "ACTIVE"}},
    "DescribeStreamSummary": {
        "StreamDescriptionSummary": {"RetentionPeriodHours": 24, "OpenShardCount": 4, "EncryptionType": "NONE"}
    },
    "DescribeLogGroups": {"logGroups": [{"logGroupName": "made-up"}]},
    "DescribePipe": {"Arn": "arn:pipe", "DesiredState": "RUNNING", "CurrentState": "RUNNING"},
    "DescribeApiDestination": {"Name": "made-up", "ApiDestinationArn": "arn:destination"},
    "DescribeArchive": {"ArchiveName": "made-up", "ArchiveArn": "arn:archive"},
    "DescribeConnection": {"Name": "made-up", "ConnectionArn": "arn:connection"},
    "DescribeRule": {"Name": "made-up", "Arn": "arn:rule"},
    "DescribeStateMachine": {"name": "made-up"},
    "DescribeTable": {"Table": {"TableStatus": "ACTIVE", "TableArn": "arn:table"}},
    "DescribeTimeToLive": {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}},
    "GetApi": {"Name": "made-up"},
    "GetAuthorizer": {"Name": "made-up"},
    "GetEmailIdentity": {"VerifiedForSendingStatus": True, "IdentityType": "DOMAIN"},
    "GetEventSourceMapping": {"State": "Enabled", "FunctionArn": "arn:f"},
    "GetFunction": {
        "Configuration": {"State": "Active", "FunctionArn": "arn:f", "CodeSha256": "sha", "Version": "$LATEST"}
    },
    "GetPolicy": {"Policy": {"PolicyName": "reads", "PolicyId": "ANPA1", "DefaultVersionId": "v1"}},
    "GetPolicyVersion": {"PolicyVersion": {"Document": "%7B%7D"}},
    "GetSchedule": {"Name": "made-up", "GroupName": "timers", "Arn": "arn:schedule"},
    "GetScheduleGroup": {"Name": "made-up", "Arn": "arn:group", "State": "ACTIVE"},
    "GetTopicAttributes": {"Attributes": {}},
    "GetQueueAttributes": {"Attributes": {"QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"}},
    "GetRole": {"Role": {"Arn": "arn:role", "RoleId": "AROA1"}},
    "GetSubscriptionAttributes": {"Attributes": {}},
    "ListAttachedRolePolicies": {"AttachedPolicies": [{"PolicyArn": READS}]},
    "ListTagsForStream": {"Tags": [{"Key": "team", "Value": "orders"}]},
    "ListTagsOfResource": {"Tags": []},
    "ListTargetsByRule": {"Targets": [{"Id": "made-up"}]},
    "PutTargets": {"FailedEntryCount": 0},
    "Subscribe": {"SubscriptionArn": "arn:subscription"},
}
#: Lambda's operation of a name that IAM has as well.
ANSWERS_OF_LAMBDA: Mapping[str, Mapping[str, Any]] = {
    "GetPolicy": {"Policy": '{"Statement": [{"Sid": "made-up"}]}'},
}


class RecordingAws(Aws):
    """Real clients, whose calls botocore validates and whose answers are written above."""

    def __init__(self, region: str = REGION) -> None:
        super().__init__(Connection(URL, region, ACCOUNT, "key", "secret"))
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.answers = dict(ANSWERS)

    def client(self, service: str) -> Any:
        new = service not in self._clients
        client = super().client(service)
        if new:
            client.meta.events.register("provide-client-params.*", self._record)
            client.meta.events.register("before-call.*", self._answer)
        return client

    def _record(self, params: Any, model: Any, **_: Any) -> None:
        self.calls.append((model.name, params))

    def _answer(self, model: Any, **_: Any) -> Any:
        special = ANSWERS_OF_LAMBDA if model.service_model.service_name == "lambda" else {}
        answers = {**self.answers, **special}
        return AWSResponse(URL, 200, {}, io.BytesIO()), dict(answers.get(model.name, {}))

    def make(self, type_: str, inputs: Mapping[str, Any]) -> Created:
        (token,) = [token for token in RESOURCES if token.rpartition(":")[2] == type_]
        assert strict.problems(token, inputs) == []
        name = RESOURCES[token].name
        named = inputs if name is None else {name.property: "made-up", **inputs}
        return create(RESOURCES[token], named, self)

    def only(self, operation: str) -> Mapping[str, Any]:
        (found,) = [parameters for name, parameters in self.calls if name == operation]
        # botocore adds the token of each call.
        return {name: value for name, value in found.items() if name != "ClientToken"}


@pytest.fixture
def aws() -> RecordingAws:
    return RecordingAws()


def test_a_table_with_everything(aws: RecordingAws) -> None:
    created = aws.make(
        "Table",
        {
            "name": "users",
            "billingMode": "PAY_PER_REQUEST",
            "hashKey": "id",
            "rangeKey": "at",
            "attributes": [{"name": "id", "type": "S"}, {"name": "at", "type": "N"}],
            "streamEnabled": True,
            "streamViewType": "NEW_IMAGE",
            "ttl": {"attributeName": "expiresAt", "enabled": True},
            "pointInTimeRecovery": {"enabled": True, "recoveryPeriodInDays": 7},
            "serverSideEncryption": {"enabled": True, "kmsKeyArn": "arn:key"},
            "deletionProtectionEnabled": True,
            "tags": {"weir:role": "effect-ledger"},
        },
    )
    assert aws.only("CreateTable") == {
        "TableName": "users",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
        ],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        "SSESpecification": {"Enabled": True, "KMSMasterKeyId": "arn:key"},
        "DeletionProtectionEnabled": True,
        "Tags": [{"Key": "weir:role", "Value": "effect-ledger"}],
    }
    assert aws.only("UpdateTimeToLive")["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}
    assert aws.only("UpdateContinuousBackups")["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True,
        "RecoveryPeriodInDays": 7,
    }
    assert created == Created("users", {"name": "users", "arn": "arn:table", "streamArn": "", "streamLabel": ""})


def test_a_table_without_extras_makes_no_further_call(aws: RecordingAws) -> None:
    aws.make("Table", {"hashKey": "id", "attributes": [{"name": "id", "type": "S"}], "billingMode": "PAY_PER_REQUEST"})
    assert {name for name, _ in aws.calls} == {"CreateTable", "DescribeTable"}
    assert aws.only("CreateTable")["TableName"] == "made-up"


def test_a_table_with_indexes_and_capacity(aws: RecordingAws) -> None:
    units = {"readCapacity": 5, "writeCapacity": 2}
    by_email = {
        "name": "by-email",
        "hashKey": "email",
        "projectionType": "INCLUDE",
        "nonKeyAttributes": ["plan"],
        **units,
    }
    described = {"TableStatus": "ACTIVE", "TableArn": "arn:table", "ProvisionedThroughput": {"ReadCapacityUnits": 5}}
    aws.answers["DescribeTable"] = {"Table": described}
    aws.make(
        "Table",
        {
            "hashKey": "id",
            "rangeKey": "at",
            "attributes": [{"name": each, "type": "S"} for each in ("id", "at", "email", "kind")],
            "billingMode": "PROVISIONED",
            **units,
            "tableClass": "STANDARD",
            "globalSecondaryIndexes": [by_email],
            "localSecondaryIndexes": [{"name": "by-kind", "rangeKey": "kind", "projectionType": "ALL"}],
        },
    )
    asked = aws.only("CreateTable")
    throughput = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 2}
    assert (asked["BillingMode"], asked["ProvisionedThroughput"]) == ("PROVISIONED", throughput)
    assert asked["GlobalSecondaryIndexes"] == [
        {
            "IndexName": "by-email",
            "KeySchema": [{"AttributeName": "email", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["plan"]},
            "ProvisionedThroughput": throughput,
        }
    ]
    assert asked["LocalSecondaryIndexes"] == [
        {
            "IndexName": "by-kind",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "kind", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ]


def test_an_index_is_added_another_is_made_anew_and_a_third_goes(aws: RecordingAws) -> None:
    def index(name: str, key: str) -> dict[str, Any]:
        return {"name": name, "hashKey": key, "projectionType": "ALL"}

    table = RESOURCES["aws:dynamodb/table:Table"]
    shared = {
        "name": "users",
        "hashKey": "id",
        "attributes": [{"name": each, "type": "S"} for each in ("id", "a", "b")],
    }
    old = {**shared, "globalSecondaryIndexes": [index("gone", "a"), index("other", "a")]}
    new = {**shared, "globalSecondaryIndexes": [index("other", "b"), index("new", "a")]}
    before, after = to_document(table.members, old), to_document(table.members, new)
    assert table.update is not None
    table.update(aws, "users", Change(before, after, frozenset({"GlobalSecondaryIndexes"})))
    updates = [asked["GlobalSecondaryIndexUpdates"] for name, asked in aws.calls if name == "UpdateTable"]
    ((gone,), (other_gone,), (new_made,), (other_made,)) = updates
    assert (gone, other_gone) == ({"Delete": {"IndexName": "gone"}}, {"Delete": {"IndexName": "other"}})
    assert new_made["Create"]["IndexName"] == "new"
    assert other_made["Create"]["KeySchema"] == [{"AttributeName": "b", "KeyType": "HASH"}]


def test_a_kinesis_stream_with_everything(aws: RecordingAws) -> None:
    created = aws.make(
        "Stream",
        {
            "streamModeDetails": {"streamMode": "ON_DEMAND"},
            "retentionPeriod": 168,
            "maxRecordSizeInKib": 4096,
            "encryptionType": "KMS",
            "kmsKeyId": "alias/aws/kinesis",
            "tags": {"team": "orders"},
        },
    )
    assert aws.only("CreateStream") == {
        "StreamName": "made-up",
        "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
        "MaxRecordSizeInKiB": 4096,
    }
    assert aws.only("IncreaseStreamRetentionPeriod") == {"StreamName": "made-up", "RetentionPeriodHours": 168}
    assert aws.only("StartStreamEncryption") == {
        "StreamName": "made-up",
        "EncryptionType": "KMS",
        "KeyId": "alias/aws/kinesis",
    }
    assert aws.only("AddTagsToStream") == {"StreamName": "made-up", "Tags": {"team": "orders"}}
    assert created == Created(KINESIS, {"arn": KINESIS, "name": "made-up"})


def test_a_table_s_kinesis_destination_is_active_before_others_go_on(aws: RecordingAws) -> None:
    created = aws.make(
        "KinesisStreamingDestination",
        {"tableName": "users", "streamArn": KINESIS, "approximateCreationDateTimePrecision": "MICROSECOND"},
    )
    assert aws.only("EnableKinesisStreamingDestination") == {
        "TableName": "users",
        "StreamArn": KINESIS,
        "EnableKinesisStreamingConfiguration": {"ApproximateCreationDateTimePrecision": "MICROSECOND"},
    }
    assert created.id == f"users,{KINESIS}"
    aws.answers["DescribeKinesisStreamingDestination"] = {
        "KinesisDataStreamDestinations": [{"StreamArn": KINESIS, "DestinationStatus": "ENABLE_FAILED"}]
    }
    with pytest.raises(TimeoutError, match="ENABLE_FAILED, not ACTIVE"):
        aws.make("KinesisStreamingDestination", {"tableName": "users", "streamArn": KINESIS})


def test_a_mapping_with_every_setting_waits_until_it_reads(aws: RecordingAws) -> None:
    created = aws.make(
        "EventSourceMapping",
        {
            "functionName": "arn:f",
            "eventSourceArn": "arn:stream",
            "startingPosition": "TRIM_HORIZON",
            "batchSize": 10,
            "maximumBatchingWindowInSeconds": 1,
            "parallelizationFactor": 2,
            "bisectBatchOnFunctionError": True,
            "maximumRetryAttempts": 3,
            "maximumRecordAgeInSeconds": 60,
            "tumblingWindowInSeconds": 5,
            "functionResponseTypes": ["ReportBatchItemFailures"],
            "filterCriteria": {"filters": [{"pattern": "{}"}]},
            "metricsConfig": {"metrics": ["EventCount"]},
            "destinationConfig": {"onFailure": {"destinationArn": "arn:aws:s3:::b"}},
        },
    )
    assert aws.only("CreateEventSourceMapping") == {
        "FunctionName": "arn:f",
        "EventSourceArn": "arn:stream",
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 1,
        "ParallelizationFactor": 2,
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 3,
        "MaximumRecordAgeInSeconds": 60,
        "TumblingWindowInSeconds": 5,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": "{}"}]},
        "MetricsConfig": {"Metrics": ["EventCount"]},
        "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::b"}},
    }
    assert ("GetEventSourceMapping", {"UUID": UUID}) in aws.calls
    assert created.outputs["uuid"] == UUID


def test_a_mapping_that_never_reads_is_a_failure(aws: RecordingAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.deploy.resources.lambda_._SETTLED_WITHIN_SECONDS", 0.0)
    aws.answers["GetEventSourceMapping"] = {**aws.answers["GetEventSourceMapping"], "State": "Creating"}
    with pytest.raises(TimeoutError, match="the mapping is still Creating after 0 s"):
        aws.make("EventSourceMapping", {"functionName": "arn:f"})


def test_a_function_is_packed_and_active_before_others_use_it(aws: RecordingAws) -> None:
    created = aws.make(
        "Function",
        {
            "role": "arn:role",
            "runtime": "python3.13",
            "handler": "handlers.x.handler",
            "architectures": ["arm64"],
            "timeout": 3,
            "memorySize": 256,
            "code": pulumi.AssetArchive({"handlers/x.py": pulumi.StringAsset("X = 1\n")}),
            "environment": {"variables": {"A": "b"}},
            "loggingConfig": {"logFormat": "JSON", "logGroup": "g"},
        },
    )
    asked = dict(aws.only("CreateFunction"))
    with zipfile.ZipFile(io.BytesIO(asked.pop("Code")["ZipFile"])) as code:
        assert code.read("handlers/x.py") == b"X = 1\n"
    assert asked == {
        "FunctionName": "made-up",
        "Role": "arn:role",
        "Runtime": "python3.13",
        "Handler": "handlers.x.handler",
        "Architectures": ["arm64"],
        "Timeout": 3,
        "MemorySize": 256,
        "Environment": {"Variables": {"A": "b"}},
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "g"},
    }
    assert aws.calls[-1][0] == "GetFunction"
    assert created.outputs["invokeArn"] == (
        f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/arn:f/invocations"
    )


def test_a_queue_s_attributes_are_texts(aws: RecordingAws) -> None:
    created = aws.make(
        "Queue",
        {"messageRetentionSeconds": 60, "visibilityTimeoutSeconds": 5, "sqsManagedSseEnabled": True},
    )
    assert aws.only("CreateQueue") == {
        "QueueName": "made-up",
        "Attributes": {"MessageRetentionPeriod": "60", "VisibilityTimeout": "5", "SqsManagedSseEnabled": "true"},
    }
    assert created == Created(
        f"{URL}/{ACCOUNT}/made-up",
        {"url": f"{URL}/{ACCOUNT}/made-up", "arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", "name": "made-up"},
    )


def test_a_fifo_queue(aws: RecordingAws) -> None:
    aws.make("Queue", {"name": "q.fifo", "fifoQueue": True, "contentBasedDeduplication": True})
    assert aws.only("CreateQueue") == {
        "QueueName": "q.fifo",
        "Attributes": {"FifoQueue": "true", "ContentBasedDeduplication": "true"},
    }


def test_a_pipe_with_everything_waits_until_it_runs(aws: RecordingAws) -> None:
    http = {"headerParameters": {"x": "1"}, "pathParameterValues": "$.eventID", "queryStringParameters": {"y": "2"}}
    stream = {
        "startingPosition": "TRIM_HORIZON",
        "batchSize": 10,
        "maximumBatchingWindowInSeconds": 1,
        "maximumRecordAgeInSeconds": 60,
        "maximumRetryAttempts": 3,
        "onPartialBatchItemFailure": "AUTOMATIC_BISECT",
        "parallelizationFactor": 2,
        "deadLetterConfig": {"arn": "arn:dead"},
    }
    created = aws.make(
        "Pipe",
        {
            "name": "p",
            "description": "d",
            "desiredState": "RUNNING",
            "roleArn": "arn:role",
            "source": "arn:stream",
            "sourceParameters": {
                "dynamodbStreamParameters": stream,
                "filterCriteria": {"filters": [{"pattern": "{}"}]},
            },
            "enrichment": "arn:f",
            "enrichmentParameters": {"inputTemplate": "<$.eventID>", "httpParameters": http},
            "target": "arn:bus",
            "targetParameters": {
                "inputTemplate": "{}",
                "eventbridgeEventBusParameters": {"detailType": "t", "source": "s", "resources": ["arn:r"]},
                "lambdaFunctionParameters": {"invocationType": "FIRE_AND_FORGET"},
                "sqsQueueParameters": {"messageGroupId": "g", "messageDeduplicationId": "d"},
                "stepFunctionStateMachineParameters": {"invocationType": "REQUEST_RESPONSE"},
                "httpParameters": http,
            },
            "logConfiguration": {
                "level": "ERROR",
                "includeExecutionDatas": ["ALL"],
                "cloudwatchLogsLogDestination": {"logGroupArn": "arn:g"},
            },
            "tags": {"team": "orders"},
        },
    )
    to_api = {
        "HeaderParameters": {"x": "1"},
        "PathParameterValues": ["$.eventID"],
        "QueryStringParameters": {"y": "2"},
    }
    assert aws.only("CreatePipe") == {
        "Name": "p",
        "Description": "d",
        "DesiredState": "RUNNING",
        "RoleArn": "arn:role",
        "Source": "arn:stream",
        "SourceParameters": {
            "FilterCriteria": {"Filters": [{"Pattern": "{}"}]},
            "DynamoDBStreamParameters": {
                "StartingPosition": "TRIM_HORIZON",
                "BatchSize": 10,
                "MaximumBatchingWindowInSeconds": 1,
                "MaximumRecordAgeInSeconds": 60,
                "MaximumRetryAttempts": 3,
                "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
                "ParallelizationFactor": 2,
                "DeadLetterConfig": {"Arn": "arn:dead"},
            },
        },
        "Enrichment": "arn:f",
        "EnrichmentParameters": {"InputTemplate": "<$.eventID>", "HttpParameters": to_api},
        "Target": "arn:bus",
        "TargetParameters": {
            "InputTemplate": "{}",
            "EventBridgeEventBusParameters": {"DetailType": "t", "Source": "s", "Resources": ["arn:r"]},
            "LambdaFunctionParameters": {"InvocationType": "FIRE_AND_FORGET"},
            "SqsQueueParameters": {"MessageGroupId": "g", "MessageDeduplicationId": "d"},
            "StepFunctionStateMachineParameters": {"InvocationType": "REQUEST_RESPONSE"},
            "HttpParameters": to_api,
        },
        "LogConfiguration": {
            "Level": "ERROR",
            "IncludeExecutionData": ["ALL"],
            "CloudwatchLogsLogDestination": {"LogGroupArn": "arn:g"},
        },
        "Tags": {"team": "orders"},
    }
    assert ("DescribePipe", {"Name": "p"}) in aws.calls
    assert created == Created("p", {"name": "p", "arn": "arn:pipe"})


@pytest.mark.parametrize(
    ("given", "parameters"),
    [
        (
            {
                "kinesisStreamParameters": {
                    "startingPosition": "AT_TIMESTAMP",
                    "startingPositionTimestamp": "2026-01-01T00:00:00Z",
                    "deadLetterConfig": {"arn": "arn:dead"},
                }
            },
            {
                "KinesisStreamParameters": {
                    "StartingPosition": "AT_TIMESTAMP",
                    "StartingPositionTimestamp": datetime(2026, 1, 1, tzinfo=UTC),
                    "DeadLetterConfig": {"Arn": "arn:dead"},
                }
            },
        ),
        (
            {"sqsQueueParameters": {"batchSize": 5, "maximumBatchingWindowInSeconds": 1}},
            {"SqsQueueParameters": {"BatchSize": 5, "MaximumBatchingWindowInSeconds": 1}},
        ),
    ],
)
def test_a_pipe_from_another_source(aws: RecordingAws, given: dict[str, Any], parameters: dict[str, Any]) -> None:
    aws.make("Pipe", {"roleArn": "arn:role", "source": "arn:s", "target": "arn:bus", "sourceParameters": given})
    assert aws.only("CreatePipe")["SourceParameters"] == parameters


def test_a_pipe_that_never_runs_is_a_failure(aws: RecordingAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.deploy.resources.pipes._SETTLED_WITHIN_SECONDS", 0.0)
    aws.answers["DescribePipe"] = {**aws.answers["DescribePipe"], "CurrentState": "CREATING"}
    with pytest.raises(TimeoutError, match="the pipe is still CREATING after 0 s"):
        aws.make("Pipe", {"roleArn": "arn:role", "source": "arn:stream", "target": "arn:bus"})


def test_a_bus_and_a_rule_with_its_target(aws: RecordingAws) -> None:
    bus = aws.make("EventBus", {"name": "orders"})
    rule = aws.make("EventRule", {"eventBusName": "orders", "eventPattern": "{}"})
    target = aws.make("EventTarget", {"rule": "made-up", "eventBusName": "orders", "arn": "arn:queue"})
    assert aws.only("PutRule") == {"Name": "made-up", "EventBusName": "orders", "EventPattern": "{}"}
    assert aws.only("PutTargets") == {
        "Rule": "made-up",
        "EventBusName": "orders",
        "Targets": [{"Id": "made-up", "Arn": "arn:queue"}],
    }
    assert (bus.outputs["arn"], rule.outputs["arn"], target.id) == ("arn:bus", "arn:rule", "made-up-made-up")


def test_a_target_that_its_rule_does_not_take_is_a_failure(aws: RecordingAws) -> None:
    aws.answers["PutTargets"] = {"FailedEntryCount": 1, "FailedEntries": [{"ErrorMessage": "no such queue"}]}
    with pytest.raises(ValueError, match="the rule did not take its target: no such queue"):
        aws.make("EventTarget", {"rule": "r", "arn": "arn:queue"})


def test_a_schedule_in_its_group(aws: RecordingAws) -> None:
    group = aws.make("ScheduleGroup", {})
    made = aws.make(
        "Schedule",
        {
            "groupName": "timers",
            "scheduleExpression": "rate(1 day)",
            "startDate": "2027-01-01T00:00:00Z",
            "flexibleTimeWindow": {"mode": "FLEXIBLE", "maximumWindowInMinutes": 5},
            "actionAfterCompletion": "DELETE",
            "target": {
                "arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q.fifo",
                "roleArn": f"arn:aws:iam::{ACCOUNT}:role/r",
                "input": "{}",
                "sqsParameters": {"messageGroupId": "g"},
                "retryPolicy": {"maximumEventAgeInSeconds": 60, "maximumRetryAttempts": 1},
                "deadLetterConfig": {"arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"},
            },
        },
    )
    assert aws.only("CreateScheduleGroup") == {"Name": "made-up"}
    assert aws.only("CreateSchedule") == {
        "Name": "made-up",
        "GroupName": "timers",
        "ScheduleExpression": "rate(1 day)",
        "StartDate": datetime(2027, 1, 1, tzinfo=UTC),
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q.fifo",
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r",
            "Input": "{}",
            "SqsParameters": {"MessageGroupId": "g"},
            "RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 1},
            "DeadLetterConfig": {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"},
        },
    }
    assert (group.outputs["arn"], made.id, made.outputs["arn"]) == ("arn:group", "timers/made-up", "arn:schedule")
    declared = RESOURCES["aws:scheduler/schedule:Schedule"]
    request = {**aws.only("CreateSchedule"), "ScheduleExpression": "rate(2 days)"}
    assert declared.update is not None
    declared.update(aws, made.id, Change({}, request, frozenset({"ScheduleExpression"})))
    assert aws.only("UpdateSchedule") == request
    declared.delete(aws, made.id, request)
    assert aws.only("DeleteSchedule") == {"Name": "made-up", "GroupName": "timers"}


def test_a_state_machine(aws: RecordingAws) -> None:
    made = aws.make("StateMachine", {"definition": "{}", "roleArn": "arn:role", "type": "EXPRESS"})
    assert aws.only("CreateStateMachine") == {
        "name": "made-up",
        "definition": "{}",
        "roleArn": "arn:role",
        "type": "EXPRESS",
    }
    assert made == Created("arn:machine", {"name": "made-up", "arn": "arn:machine"})


def test_a_topic_and_its_subscription(aws: RecordingAws) -> None:
    topic = aws.make("Topic", {})
    made = aws.make("TopicSubscription", {"topic": topic.id, "protocol": "email", "endpoint": "a@example.com"})
    assert aws.only("CreateTopic") == {"Name": "made-up"}
    assert aws.only("Subscribe") == {
        "TopicArn": topic.id,
        "Protocol": "email",
        "Endpoint": "a@example.com",
        "ReturnSubscriptionArn": True,
    }
    assert made.outputs == {"arn": "arn:subscription", "ownerId": ACCOUNT}


def test_a_fifo_topic_and_a_subscription_with_its_dead_letter_queue(aws: RecordingAws) -> None:
    aws.make(
        "Topic",
        {
            "fifoTopic": True,
            "fifoThroughputScope": "MessageGroup",
            "maximumMessageSize": 1_048_576,
            "archivePolicy": '{"MessageRetentionPeriod":"30"}',
        },
    )
    assert aws.only("CreateTopic")["Attributes"] == {
        "FifoTopic": "true",
        "FifoThroughputScope": "MessageGroup",
        "MaximumMessageSize": "1048576",
        "ArchivePolicy": '{"MessageRetentionPeriod":"30"}',
    }
    redrive = '{"deadLetterTargetArn": "arn"}'
    subscription = {"topic": "t", "protocol": "sqs", "endpoint": "q", "rawMessageDelivery": True}
    aws.make("TopicSubscription", {**subscription, "redrivePolicy": redrive})
    assert aws.only("Subscribe")["Attributes"] == {"RawMessageDelivery": "true", "RedrivePolicy": redrive}


def test_a_fifo_queue_with_its_redrive_policy_and_its_policy(aws: RecordingAws) -> None:
    redrive = '{"deadLetterTargetArn": "arn", "maxReceiveCount": 1000}'
    aws.make(
        "Queue",
        {
            "fifoQueue": True,
            "deduplicationScope": "messageGroup",
            "fifoThroughputLimit": "perMessageGroupId",
            "redrivePolicy": redrive,
        },
    )
    assert aws.only("CreateQueue")["Attributes"] == {
        "FifoQueue": "true",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
        "RedrivePolicy": redrive,
    }


@pytest.mark.parametrize(
    ("region", "where"),
    [("us-east-1", {}), ("eu-west-1", {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}})],
)
def test_a_bucket_names_every_region_but_the_first(region: str, where: dict[str, Any]) -> None:
    aws = RecordingAws(region)
    assert aws.make("Bucket", {}).outputs["arn"] == "arn:aws:s3:::made-up"
    assert aws.only("CreateBucket") == {"Bucket": "made-up", **where}


def test_a_bucket_s_settings(aws: RecordingAws) -> None:
    aws.make("BucketPublicAccessBlock", {"bucket": "b", "blockPublicAcls": True})
    aws.make(
        "BucketServerSideEncryptionConfiguration",
        {"bucket": "b", "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}, {}]},
    )
    aws.make("BucketOwnershipControls", {"bucket": "b", "rule": {"objectOwnership": "BucketOwnerEnforced"}})
    aws.make(
        "BucketLifecycleConfiguration",
        {
            "bucket": "b",
            "rules": [{"id": "r", "status": "Enabled", "filter": {"prefix": ""}, "expiration": {"days": 1}}],
        },
    )
    assert aws.only("PutPublicAccessBlock")["PublicAccessBlockConfiguration"] == {"BlockPublicAcls": True}
    assert aws.only("PutBucketEncryption")["ServerSideEncryptionConfiguration"] == {
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}, {}]
    }
    assert aws.only("PutBucketOwnershipControls")["OwnershipControls"] == {
        "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
    }
    assert aws.only("PutBucketLifecycleConfiguration")["LifecycleConfiguration"] == {
        "Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]
    }


def test_a_role_and_its_policy(aws: RecordingAws) -> None:
    role = aws.make("Role", {"assumeRolePolicy": "{}"})
    policy = aws.make("RolePolicy", {"role": role.id, "policy": "{}"})
    assert aws.only("CreateRole") == {"RoleName": "made-up", "AssumeRolePolicyDocument": "{}"}
    assert aws.only("PutRolePolicy") == {"RoleName": "made-up", "PolicyName": "made-up", "PolicyDocument": "{}"}
    assert (role.outputs["arn"], policy.id) == ("arn:role", "made-up:made-up")


def test_a_managed_policy_and_its_attachment(aws: RecordingAws) -> None:
    document = '{"Version": "2012-10-17", "Statement": []}'
    policy = aws.make("Policy", {"name": "reads", "path": "/teams/", "description": "Reads.", "policy": document})
    assert (policy.id, policy.outputs["arn"]) == (READS, READS)
    assert aws.only("CreatePolicy") == {
        "PolicyName": "reads",
        "Path": "/teams/",
        "Description": "Reads.",
        "PolicyDocument": document,
    }
    aws.make("RolePolicyAttachment", {"role": "consumer", "policyArn": READS})
    assert aws.only("AttachRolePolicy") == {"RoleName": "consumer", "PolicyArn": READS}


def test_a_permission(aws: RecordingAws) -> None:
    aws.make("Permission", {"action": "a", "function": "f", "principal": "p", "sourceArn": "arn:s"})
    assert aws.only("AddPermission") == {
        "StatementId": "made-up",
        "FunctionName": "f",
        "Action": "a",
        "Principal": "p",
        "SourceArn": "arn:s",
    }


def test_an_alarm_s_dimensions_are_a_list(aws: RecordingAws) -> None:
    created = aws.make(
        "MetricAlarm",
        {
            "namespace": "AWS/SQS",
            "metricName": "m",
            "statistic": "Sum",
            "period": 60,
            "evaluationPeriods": 3,
            "datapointsToAlarm": 2,
            "threshold": 1,
            "comparisonOperator": "GreaterThanThreshold",
            "treatMissingData": "notBreaching",
            "dimensions": {"QueueName": "q"},
            "alarmActions": ["arn:a"],
            "okActions": ["arn:b"],
            "alarmDescription": "d",
        },
    )
    asked = aws.only("PutMetricAlarm")
    assert asked["Dimensions"] == [{"Name": "QueueName", "Value": "q"}]
    assert (asked["OKActions"], asked["DatapointsToAlarm"], asked["Threshold"]) == (["arn:b"], 2, 1)
    assert created.outputs["arn"] == f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:made-up"


def test_logs_are_kept_for_ever_unless_the_group_says_how_long(aws: RecordingAws) -> None:
    aws.make("LogGroup", {})
    assert {name for name, _ in aws.calls} == {"CreateLogGroup", "DescribeLogGroups"}
    aws.make("LogGroup", {"retentionInDays": 7})
    assert aws.only("PutRetentionPolicy") == {"logGroupName": "made-up", "retentionInDays": 7}


def test_an_identity_must_be_verified_or_nothing_could_be_sent(aws: RecordingAws) -> None:
    assert aws.make("EmailIdentity", {"emailIdentity": "example.com"}).outputs == {
        "arn": f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/example.com",
        "identityType": "DOMAIN",
    }
    aws.answers["GetEmailIdentity"] = {"VerifiedForSendingStatus": False}
    with pytest.raises(ValueError, match=r"example\.org is not verified, so SES would refuse every mail from it"):
        aws.make("EmailIdentity", {"emailIdentity": "example.org"})


def test_an_api_is_called_where_this_machine_can_resolve_it(aws: RecordingAws) -> None:
    api = aws.make("Api", {"protocolType": "HTTP"})
    default = aws.make("Stage", {"apiId": api.id, "name": "$default", "autoDeploy": True})
    other = aws.make("Stage", {"apiId": api.id, "name": "v1"})
    integration = aws.make("Integration", {"apiId": api.id, "integrationType": "AWS_PROXY", "integrationUri": "arn:f"})
    route = aws.make("Route", {"apiId": api.id, "routeKey": "GET /users", "authorizationType": "AWS_IAM"})
    assert api.outputs["executionArn"] == f"arn:aws:execute-api:{REGION}:{ACCOUNT}:api1"
    assert default.outputs["invokeUrl"] == f"{URL}/_aws/execute-api/api1"
    assert other.outputs["invokeUrl"] == f"{URL}/_aws/execute-api/api1/v1"
    assert (integration.id, route.id) == ("int1", "route1")


def test_an_authorizer_checks_the_tokens_of_its_routes(aws: RecordingAws) -> None:
    token = {"issuer": "https://id.example.com", "audiences": ["weir"]}
    sources = ["$request.header.Authorization"]
    authorizer = aws.make(
        "Authorizer",
        {"apiId": "api1", "authorizerType": "JWT", "identitySources": sources, "jwtConfiguration": token},
    )
    aws.make(
        "Route",
        {
            "apiId": "api1",
            "routeKey": "GET /users",
            "authorizationType": "JWT",
            "authorizerId": authorizer.id,
            "authorizationScopes": ["users"],
        },
    )
    assert aws.only("CreateAuthorizer") == {
        "ApiId": "api1",
        "Name": "made-up",
        "AuthorizerType": "JWT",
        "IdentitySource": sources,
        "JwtConfiguration": {"Issuer": "https://id.example.com", "Audience": ["weir"]},
    }
    assert aws.only("GetAuthorizer") == {"ApiId": "api1", "AuthorizerId": "auth1"}
    assert aws.only("CreateRoute")["AuthorizerId"] == "auth1"
    assert aws.only("CreateRoute")["AuthorizationScopes"] == ["users"]


@pytest.mark.parametrize("token", sorted(RESOURCES))
def test_an_input_that_nobody_uses_is_refused_before_anything_is_made(token: str, aws: RecordingAws) -> None:
    with pytest.raises(
        NotUsed, match="shiny would be ignored, because local/deploy/resources does not know what to do"
    ):
        create(RESOURCES[token], {"shiny": True}, aws)
    assert aws.calls == []


def test_a_nested_input_that_nobody_uses_is_refused_with_its_path() -> None:
    members = RESOURCES["aws:dynamodb/table:Table"].members
    with pytest.raises(NotUsed, match=r"^attributes\[0\]\.order, ttl\.zone would be ignored"):
        check_used(members, {"ttl": {"zone": "UTC"}, "attributes": [{"order": 1}]})


@pytest.mark.parametrize(
    "archive", [pulumi.FileArchive("."), pulumi.AssetArchive({"x": pulumi.RemoteAsset("http://x")})]
)
def test_an_archive_lists_its_files_or_is_refused(archive: pulumi.Archive) -> None:
    with pytest.raises(ValueError, match="list the files of an archive one by one"):
        zipped(archive)


def test_an_archive_within_an_archive_is_a_directory() -> None:
    inner = pulumi.AssetArchive({"x.py": pulumi.StringAsset("")})
    with zipfile.ZipFile(io.BytesIO(zipped(pulumi.AssetArchive({"handlers": inner})))) as archive:
        assert archive.namelist() == ["handlers/x.py"]


def test_a_bus_with_its_archive_and_a_partner(aws: RecordingAws) -> None:
    aws.make("EventArchive", {"eventSourceArn": "arn:bus", "retentionDays": 30})
    api_key = {"apiKey": {"key": "x-api-key", "value": "s3cret"}}
    aws.make("EventConnection", {"authorizationType": "API_KEY", "authParameters": api_key})
    aws.make(
        "EventApiDestination",
        {
            "connectionArn": "arn:connection",
            "invocationEndpoint": "https://a.example.com/",
            "httpMethod": "POST",
            "invocationRateLimitPerSecond": 5,
        },
    )
    aws.make(
        "EventTarget",
        {
            "rule": "r",
            "arn": "arn:destination",
            "roleArn": "arn:role",
            "inputPath": "$.detail",
            "retryPolicy": {"maximumEventAgeInSeconds": 3600, "maximumRetryAttempts": 9},
            "deadLetterConfig": {"arn": "arn:queue"},
        },
    )
    assert aws.only("CreateArchive") == {"ArchiveName": "made-up", "EventSourceArn": "arn:bus", "RetentionDays": 30}
    assert aws.only("CreateConnection")["AuthParameters"] == {
        "ApiKeyAuthParameters": {"ApiKeyName": "x-api-key", "ApiKeyValue": "s3cret"}
    }
    assert aws.only("CreateApiDestination")["InvocationRateLimitPerSecond"] == 5
    (target,) = aws.only("PutTargets")["Targets"]
    assert target == {
        "Id": "made-up",
        "Arn": "arn:destination",
        "RoleArn": "arn:role",
        "InputPath": "$.detail",
        "RetryPolicy": {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 9},
        "DeadLetterConfig": {"Arn": "arn:queue"},
    }
