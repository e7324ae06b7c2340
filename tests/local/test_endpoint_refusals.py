"""What the endpoint does not simulate is refused by name, in the form of each service's protocol."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance

QUEUE = "arn:aws:sqs:us-east-1:111122223333:q"


def refusal(call, **arguments) -> str:
    """The message of a call that is not simulated."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    assert error.value.response["Error"]["Code"] == "NotSimulated"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    return error.value.response["Error"]["Message"]


def operation_is_refused(world, service, operation, **arguments):
    named = "".join(part.capitalize() for part in operation.split("_"))
    message = refusal(getattr(world.client(service), operation), **arguments)
    return f"does not simulate {service}:{named}," in message


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("dynamodb", "execute_statement", {"Statement": "SELECT * FROM users"}),  # json
        ("iam", "create_user", {"UserName": "somebody"}),  # query
        ("lambda", "publish_version", {"FunctionName": "function"}),  # rest-json
        ("s3", "list_object_versions", {"Bucket": "bucket"}),  # rest-xml
        ("sesv2", "list_email_identities", {}),
        ("cloudwatch", "put_metric_data", {"Namespace": "Mine", "MetricData": [{"MetricName": "m", "Value": 1.0}]}),
        ("cloudwatch", "put_dashboard", {"DashboardName": "d", "DashboardBody": "{}"}),
    ],
)
def test_an_operation_that_the_program_does_not_use_is_refused_by_name(world, service, operation, arguments):
    assert operation_is_refused(world, service, operation, **arguments)


@pytest.mark.parametrize("service", ["firehose", "kinesis", "events", "stepfunctions", "ec2", "cloudformation"])
def test_a_service_that_the_program_does_not_use_is_refused_by_name(world, service):
    operation, arguments = {
        "firehose": ("list_delivery_streams", {}),
        "kinesis": ("list_streams", {}),
        "events": ("list_rules", {}),
        "stepfunctions": ("list_state_machines", {}),
        "ec2": ("describe_instances", {}),
        "cloudformation": ("list_stacks", {}),
    }[service]
    assert "does not simulate" in refusal(getattr(world.client(service), operation), **arguments)


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "named"),
    [
        (
            "events",
            "put_targets",
            {"Rule": "r", "Targets": [{"Id": "1", "Arn": QUEUE, "RetryPolicy": {"MaximumRetryAttempts": 1}}]},
            "Targets=",
        ),
        (
            "events",
            "put_events",
            {"Entries": [{"Source": "s", "DetailType": "t", "Detail": "{}", "Time": 0}]},
            "Entries=",
        ),
        ("sqs", "create_queue", {"QueueName": "q", "Attributes": {"KmsMasterKeyId": "key"}}, "Attributes="),
        (
            "sqs",
            "send_message_batch",
            {"QueueUrl": "q", "Entries": [{"Id": "1", "MessageBody": "m", "MessageSystemAttributes": {}}]},
            "Entries=",
        ),
        (
            "sns",
            "publish_batch",
            {
                "TopicArn": "arn:aws:sns:us-east-1:111122223333:t",
                "PublishBatchRequestEntries": [{"Id": "1", "Message": "m", "Subject": "s"}],
            },
            "PublishBatchRequestEntries=",
        ),
        ("lambda", "create_function", {"Runtime": "nodejs22.x"}, "Runtime=nodejs22.x"),
        (
            "lambda",
            "create_function",
            {"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:1:q"}},
            "DeadLetterConfig",
        ),
        ("lambda", "create_function", {"Layers": ["arn:aws:lambda:us-east-1:1:layer:l:1"]}, "Layers"),
        (
            "dynamodb",
            "put_item",
            {"TableName": "t", "Item": {}, "ReturnItemCollectionMetrics": "SIZE"},
            "ReturnItemCollectionMetrics",
        ),
        ("cloudwatch", "put_metric_alarm", {"ExtendedStatistic": "p99"}, "ExtendedStatistic"),
        (
            "sns",
            "subscribe",
            {"TopicArn": "arn:aws:sns:us-east-1:111122223333:t", "Protocol": "https"},
            "Protocol=https",
        ),
        ("apigatewayv2", "create_stage", {"ApiId": "a", "StageName": "dev"}, "StageName=dev"),
        ("s3", "put_object", {"Bucket": "b", "Key": "k", "StorageClass": "GLACIER"}, "StorageClass"),
    ],
)
def test_a_member_that_is_not_honoured_is_refused_by_name(world, service, operation, arguments, named):
    required = {
        "create_function": {"FunctionName": "f", "Role": "arn:aws:iam::111122223333:role/r", "Code": {"ZipFile": b"x"}},
        "put_metric_alarm": {
            "AlarmName": "a",
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
        },
    }.get(operation, {})
    assert named in refusal(getattr(world.client(service), operation), **required, **arguments)


@conforms("ESM-STATE-3", "recorded", refused=True)
def test_esm_state_3_what_a_mapping_connects_cannot_be_deleted(world):
    assert operation_is_refused(world, "dynamodb", "delete_table", TableName="users")
    assert operation_is_refused(world, "lambda", "delete_function", FunctionName="function")


@conforms("ESM-BATCH-7", "documented", refused=True)
def test_esm_batch_7_a_function_has_no_extensions(world):
    layers = {"Layers": ["arn:aws:lambda:us-east-1:111122223333:layer:extension:1"]}
    with pytest.raises(ClientError, match="does not honour Layers of lambda:CreateFunction"):
        world.function(**layers)


@conforms("PIPE-CREATE-1", "documented", refused=True)
def test_pipe_create_1_the_stream_under_a_pipe_cannot_be_disabled(world):
    off = {"StreamSpecification": {"StreamEnabled": False}}
    assert operation_is_refused(world, "dynamodb", "update_table", TableName="users", **off)


@conforms("REPLAY-1", "documented", refused=True)
def test_replay_1_no_messages_are_moved_back_from_a_dead_letter_queue(world):
    assert operation_is_refused(world, "sqs", "start_message_move_task", SourceArn=QUEUE)


def test_what_is_refused_is_not_done(world):
    with pytest.raises(ClientError):
        world.function(Layers=["arn:aws:lambda:us-east-1:111122223333:layer:l:1"])
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        world.client("lambda").get_function(FunctionName=world.name)


@pytest.mark.parametrize("document", [[], "text"])
def test_a_body_that_is_no_object_is_refused(world, document):
    status, answer = world.signed("POST", "/2015-03-31/event-source-mappings", document, service="lambda")
    assert (status, answer["__type"]) == (400, "SerializationException")


def test_an_unsigned_request_to_an_aws_api_is_refused(world):
    status, answer = world.unsigned("GET", "/2015-03-31/functions")
    assert status == 501
    assert "requests without a signature" in answer["message"]


@pytest.mark.parametrize("path", ["/_ministack/health", "/_ministack/reset", "/_localstack/health", "/health"])
def test_the_paths_of_the_software_behind_it_are_closed(world, path):
    assert world.unsigned("POST", path)[0] == 501
