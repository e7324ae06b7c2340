"""Answers and errors in the shape that clients of AWS know."""

from __future__ import annotations

import json
import uuid

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance


def error_of(call, **arguments) -> dict:
    """The answer of a call that is refused."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("apigatewayv2", "get_api", {"ApiId": "nobody"}),
        ("cloudwatch", "list_metrics", {}),
        ("dynamodb", "list_tables", {}),
        ("dynamodb", "describe_table", {"TableName": "nobody"}),
        ("dynamodbstreams", "list_streams", {}),
        ("events", "describe_rule", {"Name": "nobody"}),
        ("iam", "list_roles", {}),
        ("iam", "get_role", {"RoleName": "nobody"}),
        ("kinesis", "list_shards", {"StreamName": "nobody"}),
        ("lambda", "list_event_source_mappings", {}),
        ("lambda", "get_event_source_mapping", {"UUID": str(uuid.UUID(int=1))}),
        ("lambda", "get_function", {"FunctionName": "nobody"}),
        ("logs", "describe_log_groups", {}),
        ("pipes", "list_pipes", {}),
        ("pipes", "describe_pipe", {"Name": "nobody"}),
        ("s3", "list_buckets", {}),
        ("s3", "get_object", {"Bucket": "nobody", "Key": "k"}),
        ("sesv2", "get_email_identity", {"EmailIdentity": "nobody@example.com"}),
        ("sns", "publish", {"TopicArn": "arn:aws:sns:us-east-1:111122223333:nobody", "Message": "-"}),
        ("sns", "create_platform_application", {"Name": "n", "Platform": "GCM", "Attributes": {}}),
        ("sqs", "get_queue_url", {"QueueName": "nobody"}),
        ("s3", "delete_bucket_website", {"Bucket": "nobody"}),
        ("stepfunctions", "describe_state_machine", {"stateMachineArn": "arn:aws:states:us-east-1:1:stateMachine:n"}),
        ("sts", "get_caller_identity", {}),
    ],
)
def test_every_answer_has_a_request_id_errors_included(world, service, operation, arguments):
    try:
        answer = getattr(world.client(service), operation)(**arguments)
    except ClientError as refused:
        answer = refused.response
    first = answer["ResponseMetadata"]["RequestId"]
    assert first
    try:
        again = getattr(world.client(service), operation)(**arguments)
    except ClientError as refused:
        again = refused.response
    assert again["ResponseMetadata"]["RequestId"] != first


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("get_event_source_mapping", {"UUID": str(uuid.UUID(int=1))}),
        ("get_function", {"FunctionName": "nobody"}),
        ("create_event_source_mapping", {"FunctionName": "nobody"}),
    ],
)
def test_an_error_of_lambda_says_whose_it_is(world, operation, arguments):
    assert error_of(getattr(world.client("lambda"), operation), **arguments)["Type"] == "User"


def test_a_function_without_a_policy_has_none_and_its_description_is_a_404(world):
    world.function()
    read = world.client("lambda").get_policy
    missing = error_of(read, FunctionName=world.name)
    assert missing["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert missing["Error"]["Code"] == "ResourceNotFoundException"
    allowed = {"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"}
    world.client("lambda").add_permission(FunctionName=world.name, StatementId="s", **allowed)
    assert len(json.loads(read(FunctionName=world.name)["Policy"])["Statement"]) == 1


@pytest.mark.parametrize(
    "form", ["{name}", "111122223333:function:{name}", "arn:aws:lambda:us-east-1:111122223333:function:{name}"]
)
def test_a_function_can_be_named_in_every_form(world, form):
    world.function("def handler(event, context):\n    return context.invoked_function_arn\n")
    client, named = world.client("lambda"), form.format(name=world.name)
    assert client.get_function(FunctionName=named)["Configuration"]["FunctionName"] == world.name
    assert client.get_function_configuration(FunctionName=named)["FunctionName"] == world.name
    assert json.loads(client.invoke(FunctionName=named)["Payload"].read()).endswith(f":function:{world.name}")


@conforms("ESM-STATE-6", "recorded")
def test_esm_state_6_a_mapping_keeps_the_version_of_its_function(world):
    world.function(Publish=True)
    stream = world.table()
    for named in (f"{world.name}:1", f"111122223333:function:{world.name}:$LATEST"):
        made = world.client("lambda").create_event_source_mapping(
            FunctionName=named, EventSourceArn=stream, StartingPosition="TRIM_HORIZON", Enabled=False
        )
        world.adopt(made["UUID"])
        assert made["FunctionArn"].split(":")[6:] == [world.name, named.rpartition(":")[2]]


@pytest.mark.parametrize(
    "named", ["nobody", "111122223333:function:nobody", "{name}:2", "444455556666:function:{name}"]
)
def test_a_mapping_of_a_function_that_does_not_exist_is_refused(world, named):
    world.function(Publish=True)
    refused = error_of(
        world.client("lambda").create_event_source_mapping,
        FunctionName=named.format(name=world.name),
        EventSourceArn=world.table(),
        StartingPosition="LATEST",
    )
    assert refused["Error"] == {"Code": "InvalidParameterValueException", "Message": "Function does not exist"}


@conforms("ESM-STATE-6", "recorded")
def test_esm_state_6_a_mapping_that_is_created_disabled_is_disabled(world):
    world.function()
    made = world.client("lambda").create_event_source_mapping(
        FunctionName=world.name, EventSourceArn=world.table(), StartingPosition="LATEST", Enabled=False
    )
    world.adopt(made["UUID"])
    assert made["State"] == "Disabled"


@conforms("ESM-REFUSE-17", "recorded")
def test_esm_refuse_17_a_mapping_needs_a_source_that_is_an_arn(world):
    make = world.client("lambda").create_event_source_mapping
    unrecognized = {"Code": "InvalidParameterValueException", "Message": "Unrecognized event source."}
    assert error_of(make, FunctionName="f")["Error"] == unrecognized
    for arn in ("", "queue"):
        refused = error_of(make, FunctionName="f", EventSourceArn=arn)["Error"]
        assert refused["Code"] == "ValidationException"
        assert f"Value '{arn}' at 'eventSourceArn' failed to satisfy constraint" in refused["Message"]


def test_a_batch_without_failures_lists_none(world, queues):
    url = queues.queue()
    entries = [{"Id": "a", "MessageBody": "x"}]
    sent = queues.sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert (len(sent["Successful"]), "Failed" in sent) == (1, False)
    (message,) = queues.sqs.receive_message(QueueUrl=url)["Messages"]
    handle = {"Id": "a", "ReceiptHandle": message["ReceiptHandle"]}
    changed = queues.sqs.change_message_visibility_batch(QueueUrl=url, Entries=[{**handle, "VisibilityTimeout": 9}])
    assert ("Successful" in changed, "Failed" in changed) == (True, False)
    deleted = queues.sqs.delete_message_batch(QueueUrl=url, Entries=[handle])
    assert ("Successful" in deleted, "Failed" in deleted) == (True, False)
    wrong = queues.sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "b", "ReceiptHandle": "none"}])
    assert ("Successful" in wrong, [each["Id"] for each in wrong["Failed"]]) == (False, ["b"])


def test_an_execution_environment_writes_one_log_stream(world):
    world.function("import os\n\ndef handler(event, context):\n    print(context.log_stream_name)\n")
    for _ in range(3):
        world.invoke()
    group = f"/aws/lambda/{world.name}"
    (stream,) = world.client("logs").describe_log_streams(logGroupName=group)["logStreams"]
    lines = world.log()
    assert lines.count(stream["logStreamName"]) == 3
    assert [line.split()[0] for line in lines] == ["START", stream["logStreamName"], "END", "REPORT"] * 3
    assert all(line.split("\t")[1].startswith("Duration: ") for line in lines if line.startswith("REPORT"))


@pytest.mark.parametrize(
    ("size", "type_", "refused"),
    [
        (6 * 1024 * 1024, "RequestResponse", False),
        (6 * 1024 * 1024 + 1, "RequestResponse", True),
        (1024 * 1024, "Event", False),
        (1024 * 1024 + 1, "Event", True),
    ],
)
def test_a_payload_above_the_limit_is_refused(world, size, type_, refused):
    world.function("def handler(event, context):\n    pass\n")
    call = world.client("lambda").invoke
    arguments = {"FunctionName": world.name, "InvocationType": type_, "Payload": b'"' + b"x" * (size - 2) + b'"'}
    if not refused:
        assert call(**arguments)["StatusCode"] == (202 if type_ == "Event" else 200)
        return
    answer = error_of(call, **arguments)
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("RequestTooLargeException", 413)


class TestFilterPatterns:
    LINES = ("[ERROR] it failed", "error again", "fine")

    def events(self, world, pattern):
        logs = world.client("logs")
        found = logs.filter_log_events(logGroupName=world.name, filterPattern=pattern)["events"]
        return [each["message"] for each in found]

    @pytest.fixture
    def group(self, world):
        logs = world.client("logs")
        logs.create_log_group(logGroupName=world.name)
        logs.create_log_stream(logGroupName=world.name, logStreamName="s")
        at = int(world.control.advance_clock(0) * 1000)
        events = [{"timestamp": at, "message": line} for line in self.LINES]
        logs.put_log_events(logGroupName=world.name, logStreamName="s", logEvents=events)

    @pytest.mark.parametrize(
        ("pattern", "lines"),
        [
            ("", [0, 1, 2]),
            ("ERROR", [0]),
            ("error", [1]),
            ('"it failed"', [0]),
            ('"[ERROR]"', [0]),
            ("ERROR failed", [0]),
            ("ERROR again", []),
            ("?failed ?again", [0, 1]),
            ("-error", [0, 2]),
            ('-"it failed" -again', [2]),
        ],
    )
    def test_a_pattern_of_terms_matches_in_their_case(self, world, group, pattern, lines):
        assert self.events(world, pattern) == [self.LINES[each] for each in lines]

    @pytest.mark.parametrize("pattern", ['{ $.level = "ERROR" }', "[ip, user]", "%ERR.*%"])
    def test_a_pattern_that_is_not_evaluated_is_refused(self, world, group, pattern):
        answer = error_of(world.client("logs").filter_log_events, logGroupName=world.name, filterPattern=pattern)
        assert answer["Error"]["Code"] == "NotSimulated"
        assert pattern in answer["Error"]["Message"]

    @pytest.mark.parametrize("pattern", ['"open', "a*b", "it's"])
    def test_a_pattern_that_is_invalid_is_refused(self, world, group, pattern):
        answer = error_of(world.client("logs").filter_log_events, logGroupName=world.name, filterPattern=pattern)
        assert answer["Error"] == {"Code": "InvalidParameterException", "Message": "Invalid filter pattern"}


#: A task that waits for an answer to its token.
TASK = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": True}


class TestStateMachines:
    def make(self, world, definition):
        text = definition if isinstance(definition, str) else json.dumps(definition)
        return world.client("stepfunctions").create_state_machine(
            name=world.name, definition=text, roleArn=world.machine_role, type="STANDARD"
        )

    @pytest.mark.parametrize(
        ("state", "named"),
        [
            ({"HeartbeatSeconds": 5}, "HeartbeatSeconds"),
            ({"TimeoutSeconds": "{% $seconds %}"}, "TimeoutSeconds"),
            ({"Resource": "arn:aws:states:::ecs:runTask"}, "ecs:runTask"),
            ({"Resource": "arn:aws:states:us-east-1:111122223333:activity:work"}, "activity:work"),
            ({"Credentials": {"RoleArn": "arn"}}, "Credentials"),
            ({"InputPath": "$..id"}, "$..id"),
            ({"InputPath": "$.all[*]"}, "$.all[*]"),
            ({"Parameters": {"deep": [{"x.$": "$.all[?(@.id)]"}]}}, "$.all[?(@.id)]"),
        ],
    )
    def test_a_field_or_path_that_would_be_ignored_is_refused_by_name(self, world, state, named):
        task = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True, **state}
        answer = error_of(self.make, world=world, definition={"StartAt": "a", "States": {"a": task}})
        assert answer["Error"]["Code"] == "NotSimulated"
        assert named in answer["Error"]["Message"]

    @pytest.mark.parametrize(
        "definition",
        [
            "{",
            "[]",
            {"States": {}},
            {"StartAt": "b", "States": {"a": {"Type": "Succeed"}}},
            {"StartAt": "a", "States": {"a": {"Type": "Wiat", "End": True}}},
            {"StartAt": "a", "States": {"a": {"Type": "Pass", "Next": "nowhere"}}},
            {"StartAt": "a", "States": {"a": {"Type": "Pass"}}},
            {"StartAt": "a", "States": {"a": {"Type": "Succeed"}}, "TimeoutSeconds": 0},
            {"StartAt": "a", "States": {"a": {**TASK, "TimeoutSeconds": 5, "HeartbeatSeconds": 5}}},
            {"StartAt": "a", "States": {"a": {"Type": "Parallel", "End": True, "Branches": [{"StartAt": "x"}]}}},
        ],
    )
    def test_a_broken_definition_is_refused(self, world, definition):
        assert error_of(self.make, world=world, definition=definition)["Error"]["Code"] == "InvalidDefinition"

    def test_a_definition_of_what_is_simulated_runs(self, world):
        states = {
            "a": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Next": "b"}], "Default": "c"},
            "b": {"Type": "Pass", "Parameters": {"seen.$": "$.list[0].id", "at.$": "$$.Execution.Name"}, "End": True},
            "c": {"Type": "Fail", "Error": "Other"},
        }
        made = self.make(world, {"Comment": "a choice", "StartAt": "a", "States": states})
        started = world.client("stepfunctions").start_execution(
            stateMachineArn=made["stateMachineArn"], name="one", input=json.dumps({"n": 1, "list": [{"id": "x"}]})
        )

        def described():
            return world.client("stepfunctions").describe_execution(executionArn=started["executionArn"])

        world.wait_until(lambda: described()["status"] != "RUNNING")
        assert json.loads(described()["output"]) == {"seen": "x", "at": "one"}
