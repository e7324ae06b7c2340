"""Metrics and logs of pipes (docs/aws-semantics.md §3.6)."""

from __future__ import annotations

import json

import pytest

conforms = pytest.mark.conformance
honours = pytest.mark.honours

SCRIPTED = """
def handler(events, context):
    for event in events:
        match event["dynamodb"]["NewImage"].get("do", {}).get("S"):
            case "raise":
                raise ValueError("poison")
            case "report":
                return {"batchItemFailures": [{"itemIdentifier": event["eventID"]}]}
"""
ECHOES = "def handler(events, context):\n    return events\n"


def logged(pipes):
    """The records of the pipe's log, oldest first."""
    events = pipes.client("logs").filter_log_events(logGroupName=f"/pipes/{pipes.name}")["events"]
    return [json.loads(event["message"]) for event in events]


def to_log(pipes, level, **more):
    """A LogConfiguration with a log group of the test's own."""
    pipes.client("logs").create_log_group(logGroupName=f"/pipes/{pipes.name}")
    arn = f"arn:aws:logs:us-east-1:111122223333:log-group:/pipes/{pipes.name}:*"
    return {"LogConfiguration": {"Level": level, "CloudwatchLogsLogDestination": {"LogGroupArn": arn}, **more}}


def _of(pipes, metric):
    return metric["dimensions"] == {"PipeName": pipes.name}


@conforms("PIPE-OPS-3", "documented")
def test_pipe_ops_3_executions_and_their_failures_are_counted(pipes):
    items = {"a": None, "b": "report", "c": "raise"}
    source = {"MaximumRetryAttempts": 0, "OnPartialBatchItemFailure": "AUTOMATIC_BISECT"}
    pipes.deliver(pipes.function(SCRIPTED), items, source=source)
    assert pipes.executions() == [("abc", "partial"), ("bc", "error"), ("b", "error"), ("c", "error")]
    counted = {
        name: pipes.metric(name)
        for name in (
            "EventCount",
            "ExecutionFailed",
            "ExecutionPartiallyFailed",
            "TargetStageFailed",
            "TargetStagePartiallyFailed",
            "ExecutionTimeout",
        )
    }
    assert counted == {
        "EventCount": 7,
        "ExecutionFailed": 3,
        "ExecutionPartiallyFailed": 1,
        "TargetStageFailed": 3,
        "TargetStagePartiallyFailed": 1,
        "ExecutionTimeout": 0,
    }
    assert pipes.metric("Invocations", AwsAccountId="111122223333", PipeName=pipes.name) == 4
    assert pipes.metric("EventSize") > 0
    datapoints = {each["name"]: each["count"] for each in pipes.control.metrics() if _of(pipes, each)}
    assert (datapoints["Duration"], datapoints["TargetStageDuration"]) == (4, 4)
    assert "EnrichmentStageDuration" not in datapoints
    assert pipes.metric("Concurrency", AwsAccountId="111122223333") > 0
    assert {each["namespace"] for each in pipes.control.metrics() if _of(pipes, each)} == {"AWS/EventBridge/Pipes"}


@conforms("PIPE-OPS-3", "documented")
def test_pipe_ops_3_the_stages_of_an_enriched_batch_are_measured_apart(pipes):
    pipes.deliver(pipes.queue(), "a", Enrichment=pipes.function(ECHOES, name="enrichment"))
    names = {each["name"] for each in pipes.control.metrics() if _of(pipes, each)}
    assert {"EnrichmentStageDuration", "TargetStageDuration"} <= names
    assert not {name for name in names if name.endswith("Failed")}


@conforms("PIPE-OPS-3", "documented")
def test_pipe_ops_3_throttled_executions_are_counted_apart_and_a_functions_timeout_is_a_failure(pipes):
    pipes.control.throttle("lambda:Invoke", times=1)
    source = "import time\n\ndef handler(events, context):\n    time.sleep(30)\n"
    pipes.deliver(pipes.function(source, timeout=1), "a", source={"MaximumRetryAttempts": 0})
    assert pipes.executions() == [("a", "throttled"), ("a", "error")]
    assert pipes.metric("ExecutionThrottled", AwsAccountId="111122223333", PipeName=pipes.name) == 1
    assert (pipes.metric("ExecutionTimeout"), pipes.metric("ExecutionFailed")) == (0, 1)


@conforms("PIPE-OPS-2", "documented")
@pytest.mark.parametrize(
    ("level", "steps"),
    [
        ("OFF", []),
        ("ERROR", ["TARGET_INVOCATION_FAILED", "TARGET_STAGE_FAILED", "EXECUTION_FAILED"]),
        (
            "INFO",
            [
                "EXECUTION_STARTED",
                "ENRICHMENT_STAGE_ENTERED",
                "ENRICHMENT_STAGE_SUCCEEDED",
                "TARGET_STAGE_ENTERED",
                "TARGET_INVOCATION_FAILED",
                "TARGET_STAGE_FAILED",
                "EXECUTION_FAILED",
            ],
        ),
        (
            "TRACE",
            [
                "EXECUTION_STARTED",
                "ENRICHMENT_STAGE_ENTERED",
                "ENRICHMENT_INVOCATION_STARTED",
                "ENRICHMENT_INVOCATION_SUCCEEDED",
                "ENRICHMENT_STAGE_SUCCEEDED",
                "TARGET_STAGE_ENTERED",
                "TARGET_TRANSFORMATION_STARTED",
                "TARGET_TRANSFORMATION_SUCCEEDED",
                "TARGET_INVOCATION_STARTED",
                "TARGET_INVOCATION_FAILED",
                "TARGET_STAGE_FAILED",
                "EXECUTION_FAILED",
            ],
        ),
    ],
)
@honours("pipes:CreatePipe", "LogConfiguration")
def test_pipe_ops_2_a_level_decides_which_steps_are_logged(pipes, level, steps):
    pipes.deliver(
        pipes.function(SCRIPTED),
        {"a": "raise"},
        source={"MaximumRetryAttempts": 0},
        Enrichment=pipes.function(ECHOES, name="enrichment"),
        TargetParameters={"InputTemplate": "<aws.pipes.event>"},
        **to_log(pipes, level),
    )
    records = logged(pipes)
    assert [record["messageType"] for record in records] == steps
    assert len({record["executionId"] for record in records}) <= 1
    assert all("payload" not in record and "awsRequest" not in record for record in records)


@conforms("PIPE-OPS-1", "documented")
@conforms("PIPE-OPS-2", "documented")
def test_pipe_ops_1_a_failed_step_says_what_went_wrong(pipes):
    pipes.deliver(
        pipes.function(SCRIPTED), {"a": "raise"}, source={"MaximumRetryAttempts": 0}, **to_log(pipes, "ERROR")
    )
    record = logged(pipes)[0]
    assert (record["resourceArn"], record["logLevel"]) == (
        f"arn:aws:pipes:us-east-1:111122223333:pipe/{pipes.name}",
        "ERROR",
    )
    assert (record["error"]["awsService"], record["error"]["message"]) == ("lambda", "poison")
    assert set(record["error"]) == {"httpStatusCode", "message", "details", "awsService", "requestId"}
    assert isinstance(record["timestamp"], int)


@conforms("PIPE-OPS-1", "documented")
def test_pipe_ops_1_execution_data_is_logged_when_the_pipe_includes_it(pipes):
    queue = pipes.queue()
    pipes.deliver(
        queue,
        "a",
        TargetParameters={"InputTemplate": '{"id": <$.dynamodb.Keys.id.S>}'},
        **to_log(pipes, "TRACE", IncludeExecutionData=["ALL"]),
    )
    records = {record["messageType"]: record for record in logged(pipes)}
    (event,) = json.loads(records["EXECUTION_STARTED"]["payload"])
    assert event["dynamodb"]["Keys"] == {"id": {"S": "a"}}
    assert json.loads(records["TARGET_STAGE_SUCCEEDED"]["payload"]) == [{"id": "a"}]
    request = json.loads(records["TARGET_INVOCATION_SUCCEEDED"]["awsRequest"])
    assert request["Entries"] == [{"Id": "0", "MessageBody": '{"id":"a"}'}]
    assert json.loads(records["TARGET_INVOCATION_SUCCEEDED"]["awsResponse"])["Successful"][0]["Id"] == "0"


@conforms("PIPE-OPS-1", "documented")
@honours("pipes:UpdatePipe", "LogConfiguration")
def test_pipe_ops_1_an_update_replaces_the_log_configuration_as_a_whole(pipes):
    log = to_log(pipes, "ERROR", IncludeExecutionData=["ALL"])
    pipes.create(pipes.queue(), DesiredState="STOPPED", **log)
    pipes.reach("STOPPED")
    pipes.client("pipes").update_pipe(Name=pipes.name, RoleArn=pipes.role, LogConfiguration={"Level": "OFF"})
    assert pipes.client("pipes").describe_pipe(Name=pipes.name)["LogConfiguration"] == {"Level": "OFF"}


def test_a_log_group_that_is_gone_stops_no_event(pipes):
    arn = "arn:aws:logs:us-east-1:111122223333:log-group:/pipes/nobody"
    log = {"LogConfiguration": {"Level": "TRACE", "CloudwatchLogsLogDestination": {"LogGroupArn": arn}}}
    queue = pipes.queue()
    pipes.deliver(queue, "a", **log)
    assert len(pipes.messages(queue)) == 1
