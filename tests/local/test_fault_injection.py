"""Fault injection: each fault does what it says, to the calls it names, and counts."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from local.endpoint.control.client import ControlError

conforms = pytest.mark.conformance

REPORT = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}

#: Logs the ids it has processed.
LOGGING = """
def handler(event, context):
    for record in event["Records"]:
        print("processed", record["dynamodb"]["Keys"]["id"]["S"])
"""


@pytest.fixture
def deliver(world):
    """Write items and then let a mapping read them, all at once."""

    def run(*ids, **settings):
        stream = world.table()
        world.function(LOGGING)
        mapping = world.mapping(stream, Enabled=False, **settings)
        world.put(*ids)
        world.enable(mapping)
        world.settle(mapping)
        return mapping

    return run


def processed(world) -> list[str]:
    return [line.removeprefix("processed ") for line in world.log() if line.startswith("processed ")]


def fired(world) -> list[int]:
    return [fault["fired"] for fault in world.control.faults()]


def code(call, **arguments) -> str:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"]


def test_the_next_calls_of_an_operation_fail_and_then_it_works_again(world):
    world.table()
    world.control.fail("dynamodb:PutItem", times=2)
    put = world.client("dynamodb").put_item
    item = {"id": {"S": "a"}}
    assert [code(put, TableName=world.name, Item=item) for _ in range(2)] == ["InternalFailure"] * 2
    put(TableName=world.name, Item=item)
    assert fired(world) == [2]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("dynamodb:ListTables", "ProvisionedThroughputExceededException"),
        ("lambda:ListFunctions", "TooManyRequestsException"),
        ("s3:ListBuckets", "SlowDown"),
        ("iam:ListRoles", "ThrottlingException"),
    ],
)
def test_throttling_is_answered_as_each_service_does(world, operation, expected):
    service, name = operation.split(":")
    calls = {"ListTables": "list_tables", "ListFunctions": "list_functions", "ListBuckets": "list_buckets"}
    world.control.throttle(operation)
    assert code(getattr(world.client(service), calls.get(name, "list_roles"))) == expected


def test_each_of_the_given_mails_is_throttled_once(world):
    ses = world.client("sesv2")
    ses.create_email_identity(EmailIdentity=f"{world.name}@example.com")

    def send(to):
        ses.send_email(
            FromEmailAddress=f"{world.name}@example.com",
            Destination={"ToAddresses": [to]},
            Content={"Simple": {"Subject": {"Data": world.name}, "Body": {"Text": {"Data": "text"}}}},
        )

    for address in ("a@example.com", "b@example.com"):
        world.control.throttle("sesv2:SendEmail", containing=address)
    send("c@example.com")
    for address in ("a@example.com", "b@example.com"):
        with pytest.raises(ClientError, match="TooManyRequestsException"):
            send(address)
        send(address)
    sent = [mail["To"] for mail in world.control.mails() if mail["Subject"] == world.name]
    assert sent == [["c@example.com"], ["a@example.com"], ["b@example.com"]]
    assert fired(world) == [1, 1]


@conforms("ESM-FAIL-2", "documented")
def test_esm_fail_2_a_batch_whose_answer_was_dropped_has_run_and_comes_again_whole_without_spending_retries(
    world, deliver
):
    world.control.drop_answer("b")
    mapping = deliver("a", "b", "c", MaximumRetryAttempts=0, BisectBatchOnFunctionError=True)
    assert world.invocations(mapping) == [(["a", "b", "c"], "service error"), (["a", "b", "c"], "success")]
    assert processed(world) == ["a", "b", "c"] * 2
    assert world.given_up(mapping) == []
    assert fired(world) == [1]


def test_a_crash_processes_the_records_before_it_and_hits_whoever_brings_the_item(world, deliver):
    world.control.crash("c")
    mapping = deliver("a", "b", "c", "d", MaximumRetryAttempts=1, BisectBatchOnFunctionError=True, **REPORT)
    assert world.invocations(mapping) == [
        (["a", "b", "c", "d"], "error"),
        (["a", "b"], "success"),
        (["c", "d"], "error"),
        (["c"], "error"),
        (["c"], "error"),
        (["d"], "success"),
    ]
    errors = {entry["error_type"] for entry in world.control.history(mapping) if entry.get("outcome") == "error"}
    assert errors == {"Runtime.ExitError"}
    assert processed(world) == ["a", "b", "a", "b", "d"]
    assert fired(world) == [4]
    assert world.control.metric_sum("Errors", FunctionName=world.name) == 4


def test_a_crash_hits_direct_invocations_too(world):
    world.function(LOGGING)
    world.control.crash("bad")
    answer = world.client("lambda").invoke(FunctionName=world.name, Payload='{"item": "bad"}')
    assert json.loads(answer["Payload"].read())["errorType"] == "Runtime.ExitError"
    assert world.control.metric_sum("Invocations", FunctionName=world.name) == 0  # it never got to the function


def test_a_stream_that_cannot_be_read_is_read_again(world):
    stream = world.table()
    world.function(LOGGING)
    mapping = world.mapping(stream, Enabled=False)
    world.put("a")
    world.control.fail("dynamodbstreams:GetRecords")
    world.enable(mapping)

    def result():
        return world.client("lambda").get_event_source_mapping(UUID=mapping)["LastProcessingResult"]

    world.wait_until(lambda: result().startswith("PROBLEM: An error occurred (InternalFailure)"))
    world.settle(mapping)
    assert (result(), processed(world)) == ("OK", ["a"])


def test_lost_writes_are_answered_as_successes_and_stored_nowhere(world):
    world.table()
    world.control.lose_writes(world.name)
    world.put("a")
    assert world.client("dynamodb").scan(TableName=world.name)["Items"] == []
    world.control.clear_faults()
    world.put("a")
    assert len(world.client("dynamodb").scan(TableName=world.name)["Items"]) == 1


def test_a_transaction_or_batch_that_writes_to_the_table_is_lost_as_a_whole(world):
    world.table()
    world.table(f"{world.name}-other")
    world.control.lose_writes(world.name)
    item = {"id": {"S": "a"}}
    puts = [{"Put": {"TableName": name, "Item": item}} for name in (world.name, f"{world.name}-other")]
    world.client("dynamodb").transact_write_items(TransactItems=puts)
    request = {world.name: [{"PutRequest": {"Item": item}}]}
    assert world.client("dynamodb").batch_write_item(RequestItems=request)["UnprocessedItems"] == {}
    for name in (world.name, f"{world.name}-other"):
        assert world.client("dynamodb").scan(TableName=name)["Items"] == []
    assert fired(world) == [2]


def test_faults_hit_only_what_they_name(world):
    world.table()
    world.control.lose_writes("another table")
    world.control.fail("dynamodb:PutItem", containing="another item")
    world.put("a")
    assert fired(world) == [0, 0]


WRITING = """
import boto3, os

def handler(event, context):
    for record in event["Records"]:
        id = record["dynamodb"]["Keys"]["id"]
        print("processed", id["S"])
        boto3.client("dynamodb").put_item(TableName=os.environ["TARGET"], Item={"id": id})
"""


def test_a_kill_ends_the_function_that_makes_a_call_and_no_other_client(world):
    stream = world.table()
    world.table(f"{world.name}-target")
    world.function(WRITING, Environment={"Variables": {"TARGET": f"{world.name}-target"}})
    world.control.kill("dynamodb:PutItem", containing="b", function=world.name, times=1)
    mapping = world.mapping(stream, Enabled=False, MaximumRetryAttempts=1)
    world.put("a", "b")
    world.enable(mapping)
    world.settle(mapping)
    entries = [entry for entry in world.control.history(mapping) if entry["kind"] == "invocation"]
    assert [entry["error_type"] for entry in entries] == ["Runtime.ExitError", None]
    written = world.client("dynamodb").scan(TableName=f"{world.name}-target")["Items"]
    assert sorted(item["id"]["S"] for item in written) == ["a", "b"]
    assert fired(world) == [1]
    world.control.kill("dynamodb:PutItem")
    world.put("c")  # this process makes the call


def test_a_fault_limited_to_a_function_leaves_the_others_alone(world):
    stream = world.table()
    world.function(LOGGING)
    world.control.drop_answer("a", function="another")
    mapping = world.mapping(stream, Enabled=False)
    world.put("a")
    world.enable(mapping)
    world.settle(mapping)
    assert (processed(world), fired(world)) == (["a"], [0])


def test_ignored_conditions_let_every_write_through(world):
    world.table()
    dynamodb = world.client("dynamodb")
    world.put("a")
    world.control.ignore_conditions(world.name)
    once = {
        "TableName": world.name,
        "ConditionExpression": "attribute_not_exists(#id) OR #seen = :seen",
        "ExpressionAttributeNames": {"#id": "id", "#seen": "seen"},
        "ExpressionAttributeValues": {":seen": {"S": "no"}},
    }
    dynamodb.put_item(Item={"id": {"S": "a"}, "seen": {"S": "yes"}}, **once)
    dynamodb.transact_write_items(TransactItems=[{"Put": {"Item": {"id": {"S": "a"}, "seen": {"S": "twice"}}, **once}}])
    found = dynamodb.get_item(TableName=world.name, Key={"id": {"S": "a"}})["Item"]
    assert found["seen"] == {"S": "twice"}


def test_ignored_conditions_let_an_object_be_overwritten(world):
    s3 = world.client("s3")
    s3.create_bucket(Bucket=world.name)
    world.control.ignore_conditions(bucket=world.name)
    for body in (b"first", b"second"):
        s3.put_object(Bucket=world.name, Key="key", Body=body, IfNoneMatch="*")
    assert s3.get_object(Bucket=world.name, Key="key")["Body"].read() == b"second"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "explode"}, "'explode' is not a fault"),
        ({"kind": "fail"}, "needs 'operation'"),
        ({"kind": "crash"}, "needs 'containing'"),
        ({"kind": "lose writes"}, "needs 'table'"),
        ({"kind": "kill"}, "needs 'operation'"),
        ({"kind": "ignore conditions"}, "needs 'table'"),
        ({"kind": "ignore conditions", "operation": "sns:Publish"}, "can only be stepfunctions:StartExecution"),
        ({"kind": "fail", "operation": "dynamodb:PutItem", "when": "later"}, "has no when"),
        ({"kind": "fail", "operation": "dynamodb:PutItm"}, "dynamodb has no operation PutItm"),
        ({"kind": "fail", "operation": "PutItem"}, "write service:Operation"),
    ],
)
def test_a_fault_that_could_not_happen_is_refused(world, fault, message):
    with pytest.raises(ControlError, match=message):
        world.control.set_fault(**fault)
