"""Pipes read, send and ask with their role."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance

READ_STREAM = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
READ_QUEUE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
INVALID = "Input parameter is invalid from the request due to : "

FUNCTION = "def handler(events, context):\n    return events\n"


def allow(resource, *actions, **more):
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def described(pipes) -> tuple[str, str | None]:
    """A pipe's state and its reason."""
    answer = pipes.client("pipes").describe_pipe(Name=pipes.name)
    return answer["CurrentState"], answer.get("StateReason")


@pytest.fixture
def stream(pipes) -> str:
    pipes.stream = pipes.world.table()
    return pipes.stream


@pytest.fixture
def target(pipes) -> str:
    return pipes.queue()


@conforms("PIPE-CREATE-4", "recorded", partly="lasting errors of the target disable no pipe")
@conforms("IAM-5", "documented")
@pytest.mark.parametrize("missing", READ_STREAM)
def test_pipe_create_4_a_pipe_whose_role_may_not_read_the_stream_fails_and_says_why(pipes, stream, target, missing):
    pipes.allow(allow(stream, *(each for each in READ_STREAM if each != missing)), allow(target, "sqs:SendMessage"))
    assert pipes.create(target)["CurrentState"] == "CREATING"
    pipes.reach("CREATE_FAILED")
    reason = (
        f"{INVALID}Cannot access stream {stream}. Please ensure the customer role can perform actions on source stream"
    )
    assert described(pipes) == ("CREATE_FAILED", reason)
    (listed,) = pipes.client("pipes").list_pipes(NamePrefix=pipes.name)["Pipes"]
    assert (listed["CurrentState"], listed["StateReason"]) == ("CREATE_FAILED", reason)
    with pytest.raises(ClientError, match="ConflictException"):
        pipes.client("pipes").start_pipe(Name=pipes.name)
    pipes.client("pipes").delete_pipe(Name=pipes.name)
    pipes.allow(allow(stream, *READ_STREAM), allow(target, "sqs:SendMessage"))
    pipes.create(target)
    pipes.reach("RUNNING")


def test_a_pipe_whose_role_may_not_receive_from_the_queue_fails_and_says_why(pipes, target):
    source = pipes.queue("source")
    pipes.allow(allow(source, *READ_QUEUE[1:]))
    pipes.client("pipes").create_pipe(Name=pipes.name, RoleArn=pipes.role, Source=source, Target=target)
    pipes.reach("CREATE_FAILED")
    assert (
        described(pipes)[1]
        == f"{INVALID}The provided customer role does not have permissions to call ReceiveMessage on SQS"
    )


@conforms("IAM-5", "recorded")
@pytest.mark.parametrize("service", ["sqs", "sns"])
def test_iam_5_a_pipe_whose_role_may_not_send_dead_letters_fails_and_says_why(pipes, stream, target, service):
    dead, kind = (pipes.queue("dead"), "SQS queue") if service == "sqs" else (pipes.topic(target), "SNS topic")
    pipes.allow(allow(stream, *READ_STREAM), allow(target, "sqs:SendMessage"))
    pipes.create(target, source={"DeadLetterConfig": {"Arn": dead}})
    pipes.reach("CREATE_FAILED")
    assert described(pipes)[1] == f"{INVALID}Error occurred while sending message to {kind}: {dead}"


@conforms("PIPE-CREATE-6", "recorded")
def test_pipe_create_6_a_pipe_that_runs_says_that_nothing_is_to_be_said(pipes, stream, target):
    pipes.create(target)
    pipes.reach("RUNNING")
    assert described(pipes) == ("RUNNING", "No records processed")
    pipes.stop()
    assert described(pipes) == ("STOPPED", None)


def test_a_role_that_loses_the_stream_leaves_the_pipe_running_and_nothing_is_lost(pipes, stream, target):
    may_send = allow(target, "sqs:SendMessage")
    pipes.allow(allow(stream, *READ_STREAM), may_send)
    pipes.create(target)
    pipes.reach("RUNNING")
    pipes.allow(allow(stream, "dynamodb:DescribeStream"), may_send)
    pipes.world.put("a")
    pipes.world.wait_until(lambda: "not authorized to perform: dynamodb:GetRecords" in (described(pipes)[1] or ""))
    state, reason = described(pipes)
    assert (state, reason.partition(" ")[0]) == ("RUNNING", "PROBLEM:")
    assert pipes.executions() == []
    pipes.allow(allow(stream, *READ_STREAM), may_send)
    pipes.settle()
    assert pipes.executions() == [("a", "success")]
    assert described(pipes) == ("RUNNING", "No records processed")


def test_a_role_that_loses_the_stream_fails_the_next_start_and_update(pipes, stream, target):
    pipes.create(target, DesiredState="STOPPED")
    pipes.reach("STOPPED")
    pipes.allow(allow(target, "sqs:SendMessage"))
    pipes.client("pipes").start_pipe(Name=pipes.name)
    pipes.reach("START_FAILED")
    pipes.client("pipes").update_pipe(Name=pipes.name, RoleArn=pipes.role, Description="again")
    pipes.reach("UPDATE_FAILED")
    assert "Cannot access stream" in described(pipes)[1]
    pipes.allow(allow(stream, *READ_STREAM))
    pipes.start()


@conforms("IAM-7", "documented")
@conforms("IAM-6", "deduced", partly="targets that are not simulated")
@pytest.mark.parametrize(
    ("target", "action", "said"),
    [
        ("queue", "sqs:SendMessage", "Sqs"),
        ("topic", "sns:Publish", "Sns"),
        ("bus", "events:PutEvents", "Events"),
        ("function", "lambda:InvokeFunction", "Lambda"),
        ("machine", "states:StartSyncExecution", "States"),
        ("started machine", "states:StartExecution", "States"),
    ],
)
def test_iam_7_a_role_is_not_checked_against_the_target_until_it_is_called(pipes, stream, target, action, said):
    settings = {"TargetParameters": {}, **logged(pipes)}
    match target:
        case "queue":
            arn = pipes.queue()
        case "topic":
            arn = pipes.topic(pipes.queue())
        case "bus":
            arn = pipes.bus(pipes.queue())
        case "function":
            arn = pipes.function(FUNCTION)
        case _:
            arn = pipes.machine({"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}})
            kind = "FIRE_AND_FORGET" if target == "started machine" else "REQUEST_RESPONSE"
            settings["TargetParameters"] = {"StepFunctionStateMachineParameters": {"InvocationType": kind}}
    reads = allow(stream, *READ_STREAM)
    pipes.allow(reads, allow("*", "sqs:*", "sns:*", "events:*", "lambda:*", "states:*"), deny(action))
    pipes.deliver(arn, "a", source={"MaximumRetryAttempts": 1}, **settings)
    # A customer's error, which a retry is spent on (PIPE-FAIL-1).
    assert pipes.executions() == [("a", "error"), ("a", "error")]
    assert [each["condition"] for each in pipes.given_up()] == ["RetryAttemptsExhausted"]
    errors = [each["error"] for each in log(pipes) if each["messageType"] == "TARGET_INVOCATION_FAILED"]
    assert [each["message"] for each in errors] == [
        f"Target invocation failed with error from {said}. Not allowed to invoke {arn}."
    ] * 2
    assert {(each["httpStatusCode"], each["awsService"]) for each in errors} == {(400, action.partition(":")[0])}
    pipes.allow(reads, allow(arn, action))
    pipes.world.put("b")
    pipes.settle()
    assert pipes.executions()[2:] == [("b", "success")]


def test_a_role_that_may_not_ask_the_enrichment_sends_nothing_to_the_target(pipes, stream, target):
    enrichment = pipes.function(FUNCTION, name="enrichment")
    sends = [allow(stream, *READ_STREAM), allow(target, "sqs:SendMessage")]
    pipes.allow(*sends)
    pipes.deliver(target, "a", Enrichment=enrichment, source={"MaximumRetryAttempts": 0}, **logged(pipes))
    assert pipes.executions() == [("a", "error")]
    (error,) = [each["error"] for each in log(pipes) if each["messageType"] == "ENRICHMENT_INVOCATION_FAILED"]
    assert error["message"] == (
        f"Enrichment invocation failed with error from Lambda. Not allowed to invoke {enrichment}."
    )
    assert pipes.messages(target) == []
    pipes.allow(*sends, allow(enrichment, "lambda:InvokeFunction"))
    pipes.world.put("b")
    pipes.settle()
    assert len(pipes.messages(target)) == 1


def test_a_dead_letter_that_the_role_may_no_longer_send_is_lost(pipes, stream):
    dead, target = pipes.queue("dead"), pipes.function("def handler(events, context):\n    raise ValueError\n")
    calls = [allow(stream, *READ_STREAM), allow(target, "lambda:InvokeFunction")]
    pipes.allow(*calls, allow(dead, "sqs:SendMessage"))
    pipes.create(target, source={"MaximumRetryAttempts": 0, "DeadLetterConfig": {"Arn": dead}})
    pipes.reach("RUNNING")
    pipes.allow(*calls)
    pipes.world.put("a")
    pipes.world.wait_until(pipes.given_up)
    assert [each["location"] for each in pipes.given_up()] == [None]
    assert pipes.messages(dead) == []


@pytest.mark.parametrize("place", ["source", "target"])
def test_a_pipe_is_refused_by_name_when_a_condition_that_is_not_evaluated_decides(pipes, stream, target, place):
    statements = {"source": allow(stream, *READ_STREAM), "target": allow(target, "sqs:SendMessage")}
    statements[place]["Condition"] = {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}
    pipes.allow(*statements.values())
    with pytest.raises(ClientError) as refused:
        pipes.create(target)
    assert refused.value.response["Error"]["Code"] == "NotSimulated"
    assert "depends on the condition key aws:CurrentTime" in refused.value.response["Error"]["Message"]


@pytest.mark.parametrize(("account", "made"), [("111122223333", True), ("999988887777", False)])
def test_a_trust_policy_may_be_bound_to_the_account_and_the_pipe(pipes, stream, target, account, made):
    assert pipes.role
    bound = {
        "Effect": "Allow",
        "Principal": {"Service": "pipes.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": account},
            "ArnLike": {"aws:SourceArn": f"arn:aws:pipes:*:*:pipe/{pipes.name}"},
        },
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [bound]})
    pipes.client("iam").update_assume_role_policy(RoleName=pipes.role_name, PolicyDocument=trust)
    if made:
        pipes.create(target)
        pipes.reach("RUNNING")
    else:
        with pytest.raises(ClientError, match="cannot be assumed by principal"):
            pipes.create(target)


def deny(action):
    return {**allow("*", action), "Effect": "Deny"}


def logged(pipes) -> dict:
    """A pipe's settings that log its errors."""
    pipes.client("logs").create_log_group(logGroupName=f"/pipes/{pipes.name}")
    group = f"arn:aws:logs:us-east-1:111122223333:log-group:/pipes/{pipes.name}"
    return {"LogConfiguration": {"Level": "ERROR", "CloudwatchLogsLogDestination": {"LogGroupArn": group}}}


def log(pipes) -> list[dict]:
    events = pipes.client("logs").filter_log_events(logGroupName=f"/pipes/{pipes.name}")["events"]
    return [json.loads(event["message"]) for event in events]
