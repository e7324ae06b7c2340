"""A pipe: its settings, its role, its alarms, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components import (
    QUEUE_PIPE_ALARMS,
    ApiDestinationTarget,
    BusTarget,
    ChangeTable,
    Enrichment,
    FanOut,
    FunctionTarget,
    InvalidDelivery,
    KinesisChanges,
    KinesisPipeDelivery,
    PipeDelivery,
    PipeTarget,
    QueuePipe,
    QueuePipeDelivery,
    QueueTarget,
    Refused,
    StreamPipe,
    StreamSource,
    TooManyReaders,
    TopicTarget,
    WorkflowTarget,
)
from handlers.cdc import on

ARN = "arn:aws:{}:eu-central-1:123456789012:{}"
STREAM = ARN.format("dynamodb", "table/users/stream/2026-01-31T08:30:00.000")
QUEUE = QueueTarget(arn=ARN.format("sqs", "changes"))
BUS = BusTarget(arn=ARN.format("events", "event-bus/changes"))
FUNCTION = FunctionTarget(arn=ARN.format("lambda", "function:search"))
MACHINE = ARN.format("states", "stateMachine:onboarding")
HTTP = ApiDestinationTarget(arn=ARN.format("events", "api-destination/crm/1"))


def pipe(target: PipeTarget = QUEUE, **options: Any) -> Callable[[], StreamPipe]:
    return lambda: StreamPipe(
        "to-there", source=ChangeTable("users", hash_key="userId").stream, target=target, **options
    )


def test_a_pipe_has_every_default_of_pipe_delivery(run) -> None:
    assert run(pipe(when=on.new("plan").eq("pro"))).one("Pipe").inputs == {
        "roleArn": "arn:aws:iam::123456789012:role/to-there",
        "source": STREAM,
        "sourceParameters": {
            "dynamodbStreamParameters": {
                "startingPosition": "TRIM_HORIZON",
                "batchSize": 10,
                "maximumBatchingWindowInSeconds": 1,
                "parallelizationFactor": 1,
                "maximumRetryAttempts": 12,
                "maximumRecordAgeInSeconds": 64_800,
                "onPartialBatchItemFailure": "AUTOMATIC_BISECT",
                "deadLetterConfig": {"arn": ARN.format("sqs", "to-there-failures")},
            },
            "filterCriteria": {"filters": [{"pattern": '{"dynamodb":{"NewImage":{"plan":{"S":["pro"]}}}}'}]},
        },
        "target": QUEUE.arn,
        "logConfiguration": {
            "level": "ERROR",
            "cloudwatchLogsLogDestination": {"logGroupArn": ARN.format("logs", "log-group:to-there")},
        },
    }


@pytest.mark.parametrize(
    ("target", "parameters"),
    [
        (
            QueueTarget(arn="q", fifo=True, message_group_id="$.dynamodb.Keys.userId.S"),
            {
                "sqsQueueParameters": {
                    "messageGroupId": "$.dynamodb.Keys.userId.S",
                    "messageDeduplicationId": "$.eventID",
                }
            },
        ),
        (
            BusTarget(arn="b", detail_type="changed", source="users", resources=["r"], time="$.time"),
            {
                "eventbridgeEventBusParameters": {
                    "detailType": "changed",
                    "source": "users",
                    "resources": ["r"],
                    "time": "$.time",
                }
            },
        ),
        (FUNCTION, {"lambdaFunctionParameters": {"invocationType": "REQUEST_RESPONSE"}}),
        (
            FunctionTarget(arn="f", wait=False),
            {"lambdaFunctionParameters": {"invocationType": "FIRE_AND_FORGET"}},
        ),
        (WorkflowTarget(arn=MACHINE), {"stepFunctionStateMachineParameters": {"invocationType": "FIRE_AND_FORGET"}}),
        (
            WorkflowTarget(arn=MACHINE, express=True),
            {"stepFunctionStateMachineParameters": {"invocationType": "REQUEST_RESPONSE"}},
        ),
    ],
)
def test_a_target_has_the_parameters_of_its_service(run, target: PipeTarget, parameters: Any) -> None:
    template = '{"user": <$.dynamodb.Keys.userId.S>}'
    inputs = run(pipe(target, input_template=template)).one("Pipe").inputs
    assert inputs["targetParameters"] == {**parameters, "inputTemplate": template}


def test_an_api_destination_gets_one_event_a_call_with_its_own_parameters(run) -> None:
    target = ApiDestinationTarget(arn=HTTP.arn, headers={"X-A": "1"}, query={"q": "$.eventID"}, path="users")
    inputs = run(pipe(target, delivery=PipeDelivery(batch_size=1))).one("Pipe").inputs
    assert inputs["targetParameters"]["httpParameters"] == {
        "headerParameters": {"X-A": "1"},
        "queryStringParameters": {"q": "$.eventID"},
        "pathParameterValues": "users",
    }


def test_every_setting_reaches_the_pipe(run) -> None:
    delivery = PipeDelivery(
        starting_position="LATEST",
        batch_size=5,
        maximum_batching_window_in_seconds=0,
        parallelization_factor=10,
        maximum_retry_attempts=-1,
        maximum_record_age_in_seconds=-1,
        automatic_bisect=False,
        filters=('{"eventName": ["INSERT"]}',),
        on_failure="arn:aws:sns:eu-central-1:123456789012:failures",
    )
    assert run(pipe(delivery=delivery)).one("Pipe").inputs["sourceParameters"] == {
        "dynamodbStreamParameters": {
            "startingPosition": "LATEST",
            "batchSize": 5,
            "maximumBatchingWindowInSeconds": 0,
            "parallelizationFactor": 10,
            "maximumRetryAttempts": -1,
            "maximumRecordAgeInSeconds": -1,
            "deadLetterConfig": {"arn": "arn:aws:sns:eu-central-1:123456789012:failures"},
        },
        "filterCriteria": {"filters": [{"pattern": '{"eventName": ["INSERT"]}'}]},
    }


def test_an_enrichment_comes_before_the_target_with_its_own_template(run) -> None:
    enrichment = Enrichment(by=FUNCTION, input_template="<$.eventID>")
    done = run(pipe(BUS, enrichment=enrichment))
    inputs = done.one("Pipe").inputs
    assert inputs["enrichment"] == FUNCTION.arn
    assert inputs["enrichmentParameters"] == {"inputTemplate": "<$.eventID>"}
    actions = [action for statement in done.statements("to-there") for action in statement["Action"]]
    assert actions[-2:] == ["events:PutEvents", "lambda:InvokeFunction"]


@pytest.mark.parametrize(
    ("target", "action"),
    [
        (QUEUE, "sqs:SendMessage"),
        (TopicTarget(arn="t"), "sns:Publish"),
        (BUS, "events:PutEvents"),
        (FUNCTION, "lambda:InvokeFunction"),
        (WorkflowTarget(arn=MACHINE), "states:StartExecution"),
        (WorkflowTarget(arn=MACHINE, express=True), "states:StartSyncExecution"),
        (HTTP, "events:InvokeApiDestination"),
    ],
)
def test_the_role_reads_sends_and_dead_letters_and_does_nothing_else(run, target: PipeTarget, action: str) -> None:
    done = run(pipe(target, delivery=PipeDelivery(batch_size=1)))
    assert done.statements("to-there") == [
        {
            "Effect": "Allow",
            "Action": ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
            "Resource": f"{STREAM.rpartition('/')[0]}/*",
        },
        {"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": ARN.format("sqs", "to-there-failures")},
        {"Effect": "Allow", "Action": [action], "Resource": target.arn},
    ]
    assert done.one("RolePolicy").urn in done.one("Pipe").dependencies


def test_the_alarms_watch_failures_throttles_and_dead_letters(run) -> None:
    done = run(pipe(alarm_actions=["chat"]))
    watched = {each.name: (each.inputs["metricName"], each.inputs["dimensions"]) for each in done.all("MetricAlarm")}
    assert watched == {
        "to-there-execution-failed": ("ExecutionFailed", {"PipeName": "to-there"}),
        "to-there-target-stage-failed": ("TargetStageFailed", {"PipeName": "to-there"}),
        "to-there-execution-throttled": (
            "ExecutionThrottled",
            {"AwsAccountId": "123456789012", "PipeName": "to-there"},
        ),
        "to-there-failures-waiting": ("ApproximateNumberOfMessagesVisible", {"QueueName": "to-there-failures"}),
    }


CHANGED = on.modify & on.changed("plan")


def test_a_residue_is_left_to_an_enrichment_that_evaluates_it(run) -> None:
    enrichment = Enrichment(by=FUNCTION, evaluates_condition=True)
    filters = run(pipe(when=CHANGED, enrichment=enrichment)).one("Pipe").inputs["sourceParameters"]["filterCriteria"]
    assert len(filters["filters"]) == 1


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (pipe(when=CHANGED), r"no event pattern says on\.changed\('plan'\), and a pipe has nothing else to evaluate"),
        (pipe(when=CHANGED, enrichment=Enrichment(by=FUNCTION)), "no event pattern says"),
        (pipe(when=on.insert & on.remove), "it contradicts itself"),
        (pipe(QueueTarget(arn="q", fifo=True)), "the target is a FIFO queue without message_group_id"),
        (pipe(QueueTarget(arn="q", message_group_id="g")), "message_group_id is for FIFO queues: set fifo=True"),
        (pipe(TopicTarget(arn="arn:aws:sns:eu-central-1:1:t.fifo")), "a FIFO topic, which pipes do not support"),
        (
            pipe(enrichment=Enrichment(by=WorkflowTarget(arn=MACHINE))),
            "the enrichment is a Standard workflow, and AWS waits for Express ones only",
        ),
        (
            pipe(enrichment=Enrichment(by=FunctionTarget(arn="f", wait=False))),
            "the enrichment is always waited for: leave wait=False out",
        ),
        (pipe(input_template="<dynamodb.Keys>"), "<dynamodb.Keys> in the input template is neither a JSON path"),
        (pipe(input_template="x" * 8_193), "the input template has 8193 characters, and AWS takes 8192"),
        (
            pipe(enrichment=Enrichment(by=FUNCTION, input_template="<x>")),
            "<x> in the input template is neither a JSON path",
        ),
    ],
)
def test_what_aws_refuses_or_cannot_evaluate_is_refused(run, program: Callable[[], object], message: str) -> None:
    with pytest.raises(Refused, match=message):
        run(program)


def test_a_queue_as_source_is_refused_with_the_way_round(run) -> None:
    def program() -> None:
        jobs: Any = aws.sqs.Queue("jobs")
        StreamPipe("to-there", source=jobs, target=BUS)

    with pytest.raises(
        Refused, match=r"source is Queue, and a StreamPipe reads the stream of a table.*pass QueueSource\(queue=…\)"
    ):
        run(program)


def test_a_queue_s_arn_as_source_is_refused_with_the_way_round() -> None:
    with pytest.raises(Refused, match=r"is a queue's, and a StreamSource is the stream of a table: let FanOut\.pipe"):
        StreamSource(arn=ARN.format("sqs", "jobs"), table="jobs")


@pytest.mark.parametrize(
    ("target", "size", "message"),
    [
        (
            QUEUE,
            11,
            "batch_size=11, and the target takes 10 events in one call: AWS refuses the pipe; set batch_size=10",
        ),
        (BUS, 11, "the target takes 10 events"),
        (TopicTarget(arn="t"), 11, "the target takes 10 events"),
        (HTTP, 2, "batch_size=2, and the target takes 1 event in one call"),
    ],
)
def test_a_batch_above_the_target_s_maximum_is_refused(run, target: PipeTarget, size: int, message: str) -> None:
    with pytest.raises(InvalidDelivery, match=message):
        run(pipe(target, delivery=PipeDelivery(batch_size=size)))


def test_a_batch_above_the_enrichment_s_maximum_is_refused(run) -> None:
    with pytest.raises(InvalidDelivery, match="the enrichment takes 1 event in one call"):
        run(pipe(BUS, enrichment=Enrichment(by=HTTP)))


def test_a_function_takes_a_large_batch(run) -> None:
    inputs = run(pipe(FUNCTION, delivery=PipeDelivery(batch_size=10_000))).one("Pipe").inputs
    assert inputs["sourceParameters"]["dynamodbStreamParameters"]["batchSize"] == 10_000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 is not 1 to 10000: AWS refuses the pipe"),
        ({"maximum_record_age_in_seconds": 59}, "maximum_record_age_in_seconds=59 is not -1 or 60 to 604800"),
        (
            {"maximum_batching_window_in_seconds": 60, "maximum_record_age_in_seconds": 60},
            "maximum_batching_window_in_seconds=60 is not below maximum_record_age_in_seconds=60",
        ),
        ({"starting_position": "AT_TIMESTAMP"}, "starting_position='AT_TIMESTAMP' is not one of"),
        ({"filters": ("{",)}, r"filters\[0\]"),
        ({"on_failure": "s3"}, "on_failure is a bucket, which pipes do not deliver to: choose sqs or sns"),
        ({"on_failure": "arn:aws:sqs:eu-central-1:1:dead.fifo"}, "which is FIFO"),
    ],
)
def test_settings_that_aws_refuses_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InvalidDelivery, match=message):
        PipeDelivery(**settings)


def test_a_record_age_beyond_the_stream_is_refused(run) -> None:
    with pytest.raises(InvalidDelivery, match="is not below the 86400 s the stream keeps a record"):
        run(pipe(delivery=PipeDelivery(maximum_record_age_in_seconds=86_400)))


def test_a_pipe_is_one_of_the_stream_s_readers(run) -> None:
    def program() -> None:
        source = StreamSource(arn=STREAM, table="users")
        for number in range(3):
            StreamPipe(f"pipe-{number}", source=source, target=QUEUE)

    with pytest.raises(TooManyReaders, match="pipe-2 would be reader number 3 of the stream of users"):
        run(program)


def queue_pipe(target: PipeTarget = BUS, **options: Any) -> Callable[[], QueuePipe]:
    def program() -> QueuePipe:
        fan_out = FanOut("fan-out", source=ChangeTable("users", hash_key="userId").stream)
        return fan_out.pipe("to-there", target=target, **{"repeats": "the bus's rules ignore repeats", **options})

    return program


def test_a_pipe_of_a_fan_out_reads_a_queue_of_its_own(run) -> None:
    done = run(queue_pipe(when=on.insert, input_template="<$.body.eventID>"))
    assert done.one("Pipe").inputs == {
        "roleArn": "arn:aws:iam::123456789012:role/to-there",
        "source": ARN.format("sqs", "to-there"),
        "sourceParameters": {
            "sqsQueueParameters": {"batchSize": 10},
            "filterCriteria": {
                "filters": [
                    {"pattern": '{"body":{"eventName":["INSERT"]}}'},
                    {"pattern": '{"body":{"eventName":[{"exists":false}]}}'},
                ]
            },
        },
        "target": BUS.arn,
        "targetParameters": {"inputTemplate": "<$.body.eventID>"},
        "logConfiguration": {
            "level": "ERROR",
            "cloudwatchLogsLogDestination": {"logGroupArn": ARN.format("logs", "log-group:to-there")},
        },
    }
    queue = done.one("Queue", "to-there").inputs
    assert json.loads(queue["redrivePolicy"])["maxReceiveCount"] == 10
    assert queue["visibilityTimeoutSeconds"] == 360
    assert done.statements("to-there") == [
        {
            "Effect": "Allow",
            "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            "Resource": ARN.format("sqs", "to-there"),
        },
        {"Effect": "Allow", "Action": ["events:PutEvents"], "Resource": BUS.arn},
    ]
    assert done.one("TopicSubscription").urn in done.one("EventSourceMapping").dependencies


def test_a_pipe_says_where_the_operator_finds_its_dead_letters(run) -> None:
    def program() -> None:
        users = ChangeTable("users", hash_key="userId")
        fan_out = FanOut("fan-out", source=users.stream)
        of_queue = fan_out.pipe("of-queue", target=BUS, repeats="the bus's rules ignore repeats")
        kept = PipeDelivery(on_failure=ARN.format("sqs", "kept"))
        of_stream = StreamPipe("of-stream", source=users.stream, target=BUS)
        of_accounts = StreamPipe("of-accounts", source=ChangeTable("a", hash_key="i").stream, target=BUS, delivery=kept)
        history = KinesisChanges("history", table=users).source
        of_kinesis = StreamPipe(
            "of-kinesis", source=history, target=BUS, delivery=KinesisPipeDelivery(on_failure="sqs")
        )
        for pipe in (of_queue, of_stream, of_accounts, of_kinesis):
            pulumi.export(pipe.pulumi_resource_name, pipe.exported())

    outputs = run(program).outputs
    alarms = {name: entry.pop("alarms") for name, entry in outputs.items()}
    assert alarms["of-queue"] == {opinion.name: f"of-queue-{opinion.name}" for opinion in QUEUE_PIPE_ALARMS}
    assert alarms["of-stream"]["execution-failed"] == "of-stream-execution-failed"
    assert alarms["of-stream"]["waiting"] == "of-stream-failures-waiting"
    assert "waiting" not in alarms["of-accounts"]
    assert outputs == {
        "of-queue": {
            "pipe": "of-queue",
            "stream": outputs["of-queue"]["stream"],
            "deadLetterQueues": [ARN.format("sqs", f"of-queue-{name}") for name in ("dead-letters", "undelivered")],
        },
        "of-stream": {"pipe": "of-stream", "deadLetterQueues": [ARN.format("sqs", "of-stream-failures")]},
        "of-accounts": {"pipe": "of-accounts", "deadLetterQueues": []},  # DescribePipe names the queue
        "of-kinesis": {
            "pipe": "of-kinesis",
            "stream": outputs["of-queue"]["stream"],
            "deadLetterQueues": [ARN.format("sqs", "of-kinesis-failures")],
        },
    }
    assert outputs["of-queue"]["stream"].startswith(ARN.format("dynamodb", "table/users/stream/"))


def test_a_fifo_target_of_a_queue_s_pipe_takes_the_change_s_event_id_from_the_body(run) -> None:
    target = QueueTarget(arn="q", fifo=True, message_group_id="$.body.dynamodb.Keys.userId.S")
    parameters = run(queue_pipe(target)).one("Pipe").inputs["targetParameters"]["sqsQueueParameters"]
    assert parameters["messageDeduplicationId"] == "$.body.eventID"


def twice() -> None:
    fan_out = FanOut("fan-out", source=ChangeTable("users", hash_key="userId").stream)
    for _ in range(2):
        fan_out.pipe("to-there", target=BUS, repeats="harmless")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (queue_pipe(repeats=" "), "repeats is empty: say in words what makes a second delivery harmless at the target"),
        (queue_pipe(when=CHANGED), r"no event pattern says on\.changed\('plan'\)"),
        (queue_pipe(HTTP), "batch_size=10, and the target takes 1 event in one call"),
        (queue_pipe(replay_from="2026-01-31T08:30:00Z"), "fan-out keeps no archive"),
        (twice, "to-there reads fan-out already: give this pipe a name of its own"),
    ],
)
def test_a_pipe_of_a_fan_out_that_would_lose_or_repeat_is_refused(run, program: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        run(program)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 11}, "batch_size=11 is not 1 to 10: AWS refuses the pipe"),
        ({"maximum_receives": 0}, "maximum_receives=0 is not 1 to 1000"),
        ({"visibility_timeout_in_seconds": -1}, "visibility_timeout_in_seconds=-1 is not 0 to 43200"),
        ({"retention_in_seconds": 59}, "retention_in_seconds=59 is not 60 to 1209600"),
        ({"filters": ("{",)}, r"filters\[0\]"),
    ],
)
def test_settings_of_a_queue_s_pipe_that_aws_refuses_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InvalidDelivery, match=message):
        QueuePipeDelivery(**settings)
