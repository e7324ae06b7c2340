"""The API of EventBridge Pipes, through boto3."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from tests.local.pipe_world import PIPES_MAY

conforms = pytest.mark.conformance
honours = pytest.mark.honours

ACCOUNT = "us-east-1:111122223333"


def refused(make):
    with pytest.raises(ClientError) as error:
        make()
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@conforms("PIPE-CREATE-3", "documented", partly="neither takes minutes, so that LATEST misses nothing")
def test_pipe_create_3_a_pipe_goes_through_creating_to_running(pipes):
    made = pipes.create(pipes.queue())
    assert (made["CurrentState"], made["DesiredState"]) == ("CREATING", "RUNNING")
    assert made["Arn"] == f"arn:aws:pipes:{ACCOUNT}:pipe/{pipes.name}"
    pipes.reach("RUNNING")


@honours("pipes:CreatePipe", "DesiredState")
def test_a_pipe_that_shall_not_run_is_stopped(pipes):
    pipes.create(pipes.queue(), DesiredState="STOPPED")
    pipes.reach("STOPPED")


@honours("pipes:CreatePipe", "Description KmsKeyIdentifier Tags")
@honours("pipes:DescribePipe", "Name")
def test_a_pipe_is_read_back_as_it_was_made(pipes):
    given = {
        "Description": "orders",
        "KmsKeyIdentifier": "arn:aws:kms:us-east-1:111122223333:key/orders",
        "Tags": {"team": "orders"},
        "Enrichment": pipes.function("def handler(event, context):\n    return event\n"),
        "EnrichmentParameters": {"InputTemplate": '{"id": <$.eventID>}'},
        "TargetParameters": {"SqsQueueParameters": {"MessageGroupId": "$.eventID"}, "InputTemplate": "<$.eventID>"},
        "LogConfiguration": {"Level": "OFF"},
        "DesiredState": "STOPPED",
    }
    queue = pipes.queue()
    pipes.create(queue, filters=[{"eventName": ["INSERT"]}], source={"MaximumRetryAttempts": 3}, **given)
    described = pipes.client("pipes").describe_pipe(Name=pipes.name)
    assert {name: described[name] for name in given} == given
    assert (described["Source"], described["Target"], described["RoleArn"]) == (pipes.stream, queue, pipes.role)
    assert described["SourceParameters"] == {
        "FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]},
        "DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON", "BatchSize": 10, "MaximumRetryAttempts": 3},
    }
    assert described["CreationTime"] == described["LastModifiedTime"]


@conforms("PIPE-PARAM-2", "documented")
def test_pipe_param_2_a_pipe_without_a_batch_size_has_aws_default(pipes):
    pipes.create(
        pipes.function("def handler(event, context): pass"),
        SourceParameters={"DynamoDBStreamParameters": {"StartingPosition": "LATEST"}},
    )
    described = pipes.client("pipes").describe_pipe(Name=pipes.name)
    assert described["SourceParameters"]["DynamoDBStreamParameters"] == {"StartingPosition": "LATEST", "BatchSize": 100}


def test_there_is_one_pipe_of_a_name(pipes):
    queue = pipes.queue()
    pipes.create(queue)
    code, message = refused(lambda: pipes.create(queue))
    assert (code, message) == ("ConflictException", f"Pipe {pipes.name} already exists.")


@pytest.mark.parametrize("operation", ["describe_pipe", "start_pipe", "stop_pipe", "delete_pipe", "update_pipe"])
def test_a_pipe_that_does_not_exist_is_not_found(pipes, operation):
    given = {"RoleArn": pipes.role} if operation == "update_pipe" else {}
    code, message = refused(lambda: getattr(pipes.client("pipes"), operation)(Name="nobody", **given))
    assert (code, message) == ("NotFoundException", "Pipe nobody does not exist.")


@honours("pipes:DeletePipe", "Name")
def test_a_deleted_pipe_is_gone(pipes):
    pipes.create(pipes.queue())
    deleted = pipes.client("pipes").delete_pipe(Name=pipes.name)
    assert (deleted["CurrentState"], deleted["DesiredState"]) == ("DELETING", "DELETED")
    pipes.world.wait_until(lambda: not pipes.client("pipes").list_pipes(NamePrefix=pipes.name)["Pipes"])


@honours("pipes:ListPipes", "NamePrefix DesiredState CurrentState SourcePrefix TargetPrefix")
def test_pipes_are_listed_by_what_they_are(pipes):
    queue = pipes.queue()
    pipes.create(queue, DesiredState="STOPPED")
    pipes.reach("STOPPED")
    find = pipes.client("pipes").list_pipes
    assert [each["Name"] for each in find(SourcePrefix=pipes.stream)["Pipes"]] == [pipes.name]
    assert [each["Name"] for each in find(TargetPrefix=queue, CurrentState="STOPPED")["Pipes"]] == [pipes.name]
    assert find(TargetPrefix=queue, DesiredState="RUNNING")["Pipes"] == []


def test_an_update_replaces_the_parameters_of_a_service_as_a_whole_and_keeps_the_rest(pipes):
    source = {"MaximumRetryAttempts": 3, "MaximumBatchingWindowInSeconds": 1}
    pipes.create(
        pipes.queue(),
        source=source,
        filters=[{"eventName": ["INSERT"]}],
        Description="orders",
        TargetParameters={"InputTemplate": "<$.eventID>"},
        DesiredState="STOPPED",
    )
    pipes.reach("STOPPED")
    pipes.client("pipes").update_pipe(
        Name=pipes.name,
        RoleArn=pipes.role,
        SourceParameters={"DynamoDBStreamParameters": {"MaximumRetryAttempts": 5, "BatchSize": 2}},
        TargetParameters={"InputTemplate": ""},
    )
    described = pipes.client("pipes").describe_pipe(Name=pipes.name)
    assert described["SourceParameters"] == {
        "FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]},
        "DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON", "BatchSize": 2, "MaximumRetryAttempts": 5},
    }
    assert (described["Description"], described["TargetParameters"]) == ("orders", {})


@honours("pipes:UpdatePipe", "Name RoleArn SourceParameters Enrichment EnrichmentParameters Target TargetParameters")
@honours("pipes:UpdatePipe", "DesiredState Description KmsKeyIdentifier")
def test_an_update_changes_whatever_it_names(pipes):
    former, queue = pipes.queue("former"), pipes.queue()
    pipes.deliver(former, "a")
    given = {
        "RoleArn": pipes.world.make_role(f"{pipes.name}-other", PIPES_MAY, service="pipes"),
        "Enrichment": pipes.function("def handler(events, context):\n    return [each['id'] * 2 for each in events]\n"),
        "EnrichmentParameters": {"InputTemplate": '{"id": <$.dynamodb.Keys.id.S>}'},
        "Target": queue,
        "TargetParameters": {"InputTemplate": '{"twice": <$>}'},
        "Description": "twice",
        "KmsKeyIdentifier": "arn:aws:kms:us-east-1:111122223333:key/twice",
        "DesiredState": "STOPPED",
    }
    pipes.client("pipes").update_pipe(
        Name=pipes.name, **given, SourceParameters={"DynamoDBStreamParameters": {"BatchSize": 2}}
    )
    pipes.reach("STOPPED")
    described = pipes.client("pipes").describe_pipe(Name=pipes.name)
    assert {member: described[member] for member in given} == given
    pipes.world.put("b", "c", "d")
    pipes.start()
    pipes.settle()
    assert [ids for ids, _ in pipes.executions()] == ["a", "bc", "d"]
    assert pipes.messages(queue) == [{"twice": twice} for twice in ("bb", "cc", "dd")]
    assert len(pipes.messages(former)) == 1


def test_an_update_to_another_kind_of_target_forgets_the_parameters_of_the_former(pipes):
    queue = pipes.queue()
    pipes.create(queue, TargetParameters={"SqsQueueParameters": {"MessageGroupId": "a"}}, DesiredState="STOPPED")
    pipes.reach("STOPPED")
    topic = pipes.topic(queue)
    pipes.client("pipes").update_pipe(Name=pipes.name, RoleArn=pipes.role, Target=topic)
    described = pipes.client("pipes").describe_pipe(Name=pipes.name)
    assert (described["Target"], described["TargetParameters"]) == (topic, {})


def test_an_update_is_checked_as_a_new_pipe_is(pipes):
    pipes.create(pipes.queue(), DesiredState="STOPPED")
    pipes.reach("STOPPED")
    update = pipes.client("pipes").update_pipe
    stream = {"DynamoDBStreamParameters": {"BatchSize": 11}}
    code, message = refused(lambda: update(Name=pipes.name, RoleArn=pipes.role, SourceParameters=stream))
    assert code == "ValidationException"
    assert "The batch size 11 is more than the 10 events" in message


@conforms("PIPE-CREATE-1", "documented")
def test_pipe_create_1_a_pipe_does_not_outlive_the_stream_that_it_reads(world, pipes):
    pipes.create(pipes.queue())
    pipes.reach("RUNNING")
    world.client("dynamodb").update_table(TableName=world.name, StreamSpecification={"StreamEnabled": False})
    client = world.client("pipes")
    for change in (
        lambda: client.stop_pipe(Name=world.name),
        lambda: client.start_pipe(Name=world.name),
        lambda: client.update_pipe(Name=world.name, RoleArn=pipes.role, Description="new"),
    ):
        with pytest.raises(ClientError, match="is DISABLED, and test-") as error:
            change()
        assert error.value.response["Error"]["Code"] == "ValidationException"
    client.delete_pipe(Name=world.name)
    world.wait_until(lambda: client.list_pipes(NamePrefix=world.name)["Pipes"] == [])


@conforms("PIPE-CREATE-1", "documented")
def test_pipe_create_1_a_pipes_source_and_starting_position_cannot_be_updated(pipes):
    pipes.create(pipes.queue(), DesiredState="STOPPED")
    path = f"/v1/pipes/{pipes.name}"
    status, answer = pipes.world.signed("PUT", path, {"RoleArn": pipes.role, "Source": pipes.stream}, service="pipes")
    assert (status, answer["__type"]) == (501, "NotSimulated")
    assert "Source of pipes:UpdatePipe" in answer["message"]
    stream = {"DynamoDBStreamParameters": {"StartingPosition": "LATEST"}}
    status, answer = pipes.world.signed(
        "PUT", path, {"RoleArn": pipes.role, "SourceParameters": stream}, service="pipes"
    )
    assert (status, answer["__type"]) == (400, "ValidationException")
    assert "StartingPosition is not a parameter of UpdatePipe" in answer["message"]


@honours("pipes:CreatePipe", "RoleArn")
def test_a_role_that_pipes_cannot_assume_is_refused(pipes):
    for role in (
        pipes.world.make_role(f"{pipes.name}-function", service="lambda"),
        "arn:aws:iam::111122223333:role/nobody",
    ):
        code, message = refused(lambda role=role: pipes.create(pipes.queue(), RoleArn=role))
        assert code == "ValidationException"
        assert message == f"Provided role '{role}' cannot be assumed by principal 'pipes.amazonaws.com'."


@conforms("PIPE-CREATE-7", "recorded")
def test_pipe_create_7_problems_are_json_with_a_name_and_a_message_each(pipes):
    code, message = refused(lambda: pipes.create(pipes.queue(), SourceParameters={}))
    fields = json.loads(message)["ValidationErrorFields"]
    missing = {"Name": "SourceParameters.DynamoDBStreamParameters", "Message": "Missing required parameter."}
    assert (code, fields) == ("ValidationException", [missing])


def test_a_stream_that_does_not_exist_is_refused(pipes):
    stream = f"arn:aws:dynamodb:{ACCOUNT}:table/nobody/stream/2026-01-01T00:00:00.000"
    assert refused(lambda: pipes.create(pipes.queue(), Source=stream)) == (
        "ValidationException",
        f"Source {stream} not found.",
    )


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"Target": f"arn:aws:firehose:{ACCOUNT}:deliverystream/archive"}, "a Firehose stream"),
        ({"Target": f"arn:aws:kinesis:{ACCOUNT}:stream/orders"}, "a Kinesis stream"),
        ({"Source": f"arn:aws:kafka:{ACCOUNT}:cluster/orders/1"}, "Source: 'arn:aws:kafka"),
        ({"Enrichment": "arn:aws:execute-api:us-east-1:111122223333:api/prod/GET/x"}, "as a pipe's enrichment"),
    ],
)
def test_what_is_not_simulated_is_refused_by_name(pipes, settings, named):
    target = settings.get("Target") or f"arn:aws:events:{ACCOUNT}:event-bus/default"
    code, message = refused(lambda: pipes.create(target, **{n: v for n, v in settings.items() if n != "Target"}))
    assert code == "NotSimulated"
    assert named in message


def not_simulated(pipes, **settings):
    code, message = refused(lambda: pipes.create(f"arn:aws:events:{ACCOUNT}:event-bus/default", **settings))
    assert code == "NotSimulated"
    return message


@conforms("PIPE-TARGET-3", "documented", refused=True)
@pytest.mark.parametrize(("member", "value"), [("Time", "$.time"), ("EndpointId", "abcde.veo")])
def test_pipe_target_3_a_bus_has_no_time_and_no_endpoint(pipes, member, value):
    message = not_simulated(pipes, TargetParameters={"EventBridgeEventBusParameters": {member: value}})
    assert f"TargetParameters.EventBridgeEventBusParameters.{member}" in message


@conforms("PIPE-OPS-1", "documented", refused=True)
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("S3LogDestination", {"BucketName": "logs", "BucketOwner": "1" * 12}),
        ("FirehoseLogDestination", {"DeliveryStreamArn": f"arn:aws:firehose:{ACCOUNT}:deliverystream/logs"}),
    ],
)
def test_pipe_ops_1_records_go_to_log_groups_only(pipes, member, value):
    message = not_simulated(pipes, LogConfiguration={"Level": "ERROR", member: value})
    assert f"LogConfiguration.{member}" in message


@conforms("PIPE-PARAM-2", "documented")
@conforms("PIPE-PARAM-6", "deduced")
@conforms("PIPE-PARAM-8", "documented")
@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        ({"BatchSize": 10_001}, {}, "Member must have value less than or equal to 10000"),
        ({"MaximumRecordAgeInSeconds": 59}, {}, "must be either -1 (forever) or between 60 and 604800 (inclusive)"),
        ({"DeadLetterConfig": {"Arn": "arn:aws:s3:::letters"}}, {}, "is not a queue or topic"),
        ({}, {"TargetParameters": {"HttpParameters": {}}}, "It is not for an SQS queue."),
        ({}, {"TargetParameters": {"InputTemplate": "<nothing>"}}, "neither a JSON path"),
        (
            {},
            {"TargetParameters": {"SqsQueueParameters": {"MessageDeduplicationId": "a"}}},
            "It is for FIFO queues only.",
        ),
        ({}, {"LogConfiguration": {"Level": "ERROR"}}, "has no destination"),
    ],
)
def test_pipe_param_2_what_aws_refuses_is_refused(pipes, source, settings, message):
    code, found = refused(lambda: pipes.create(pipes.queue(), source=source, **settings))
    assert code == "ValidationException"
    assert message in found
