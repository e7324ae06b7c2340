"""Calls that the endpoint does not simulate are refused by name, in the form of each service's protocol."""

from __future__ import annotations

import io
import zipfile

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from local.endpoint.api.aws_call import SERVICES, service_model
from local.endpoint.api.operations import OPERATIONS

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
    return f"does not simulate {service}:{named}:" in message


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("dynamodb", "execute_statement", {"Statement": "SELECT * FROM users"}),  # json
        ("iam", "create_user", {"UserName": "somebody"}),  # query
        ("lambda", "publish_version", {"FunctionName": "function"}),  # rest-json
        ("s3", "list_object_versions", {"Bucket": "bucket"}),  # rest-xml
        ("sesv2", "list_email_identities", {}),
        ("cloudwatch", "put_metric_data", {"Namespace": "Mine", "MetricData": [{"MetricName": "m", "Value": 1.0}]}),
        ("cloudwatch", "list_metric_streams", {}),
    ],
)
def test_an_operation_that_the_program_does_not_use_is_refused_by_name(world, service, operation, arguments):
    assert operation_is_refused(world, service, operation, **arguments)


def smallest(shape):
    """The smallest value that botocore sends for a shape."""
    match shape.type_name:
        case "structure":
            return {member: smallest(shape.members[member]) for member in shape.required_members}
        case "list":
            return [smallest(shape.member)]
        case "map":
            return {"x": smallest(shape.value)}
        case "string":
            return shape.enum[0] if shape.enum else "x" * max(1, shape.metadata.get("min", 1))
        case "integer" | "long":
            return shape.metadata.get("min", 1)
        case "boolean":
            return True
        case "blob":
            return b"x"
        case "timestamp":
            return 0
        case _:
            return 1.0


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_answers_by_name_what_it_does_not_list(world, service):
    model = service_model(service)
    # What is called without an access key does not pass the gate.
    operations = [model.operation_model(name) for name in model.operation_names]
    operations = [each for each in operations if each.auth_type != "none"]
    listed = OPERATIONS[service]
    others = [each for each in operations if each.name not in listed and not each.deprecated and each.input_shape]
    # Of the streams of tables, all that AWS has is listed.
    assert bool(others) == (service != "dynamodbstreams")
    for each in others[:1]:
        call = getattr(world.client(service), xform_name(each.name))
        assert f"does not simulate {service}:{each.name}:" in refusal(call, **smallest(each.input_shape))
    found = [
        (each, member)
        for each in operations
        if each.name in listed and each.input_shape and each.input_shape.type_name == "structure"
        for member, shape in each.input_shape.members.items()
        if member not in listed[each.name].honoured | listed[each.name].kept
        and shape.serialization.get("location") not in ("header", "headers", "uri")
        and smallest(shape) != [{}]  # the query protocol sends nothing of it
    ]
    # Of streams and pipes, whole operations are accepted.
    assert bool(found) == (service not in ("dynamodbstreams", "pipes"))
    for each, member in found[:1]:
        call = getattr(world.client(service), xform_name(each.name))
        arguments = smallest(each.input_shape) | {member: smallest(each.input_shape.members[member])}
        assert f"does not honour {member} of {service}:{each.name}," in refusal(call, **arguments)


@pytest.mark.parametrize("service", ["firehose", "kinesis", "events", "stepfunctions", "ec2", "cloudformation"])
def test_a_service_that_the_program_does_not_use_is_refused_by_name(world, service):
    operation, arguments = {
        "firehose": ("list_delivery_streams", {}),
        "kinesis": ("describe_limits", {}),
        "events": ("list_archives", {}),
        "stepfunctions": ("list_activities", {}),
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
            {
                "Rule": "r",
                "Targets": [
                    {
                        "Id": "1",
                        "Arn": QUEUE,
                        "KinesisParameters": {"PartitionKeyPath": "$.id"},
                    }
                ],
            },
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
                "PublishBatchRequestEntries": [{"Id": "1", "Message": "m", "MessageStructure": "json"}],
            },
            "PublishBatchRequestEntries=",
        ),
        ("lambda", "create_function", {"Runtime": "nodejs22.x"}, "Runtime=nodejs22.x"),
        (
            "lambda",
            "create_function",
            {
                "FileSystemConfigs": [
                    {
                        "Arn": "arn:aws:elasticfilesystem:us-east-1:111122223333:access-point/fsap-0123456789abcdef0",
                        "LocalMountPath": "/mnt/a",
                    }
                ]
            },
            "FileSystemConfigs",
        ),
        (
            "lambda",
            "publish_layer_version",
            {"LayerName": "l", "Content": {"S3Bucket": "bucket", "S3Key": "key"}},
            "Content=",
        ),
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
        (
            "apigatewayv2",
            "create_stage",
            {"ApiId": "a", "StageName": "$default", "AutoDeploy": False},
            "AutoDeploy=False",
        ),
        (
            "apigatewayv2",
            "create_integration",
            {"ApiId": "a", "IntegrationType": "AWS_PROXY", "PayloadFormatVersion": "1.0"},
            "PayloadFormatVersion=1.0",
        ),
        (
            "dynamodb",
            "update_continuous_backups",
            {
                "TableName": "t",
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7},
            },
            "PointInTimeRecoverySpecification=",
        ),
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


@conforms("ESM-BATCH-7", "documented", refused=True)
def test_esm_batch_7_a_function_has_no_extensions(world):
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as packed:
        packed.writestr("extensions/telemetry", "#!/bin/sh")
    with pytest.raises(ClientError, match=r"runs no Lambda extensions, and the layer has extensions/telemetry: leave"):
        world.client("lambda").publish_layer_version(LayerName=world.name, Content={"ZipFile": layer.getvalue()})


def test_what_is_refused_is_not_done(world):
    with pytest.raises(ClientError):
        world.function(VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]})
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        world.client("lambda").get_function(FunctionName=world.name)


@pytest.mark.parametrize("document", [[], "text"])
def test_a_body_that_is_no_object_is_refused(world, document):
    status, answer = world.signed("POST", "/2015-03-31/event-source-mappings", document, service="lambda")
    assert (status, answer["__type"]) == (400, "SerializationException")


def test_an_unsigned_request_to_an_aws_api_is_refused(world):
    status, answer = world.unsigned("GET", "/2015-03-31/functions")
    assert (status, answer["__type"]) == (403, "MissingAuthenticationTokenException")
    assert "the request is not signed" in answer["message"]


@pytest.mark.parametrize("path", ["/_ministack/health", "/_ministack/reset", "/_localstack/health", "/health"])
def test_the_paths_of_the_software_behind_it_are_closed(world, path):
    assert world.unsigned("POST", path)[0] == 403
    status, answer = world.signed("POST", path, {}, service="lambda")
    assert (status, answer["__type"]) == (501, "NotSimulated")
