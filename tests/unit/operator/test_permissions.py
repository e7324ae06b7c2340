"""The policies that `--iam` prints: real operations, and no resource beyond those of the consumers at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import botocore.session
import pytest

from ops.operator.consumers import Archive, Consumer, consumers_of
from ops.operator.permissions import ACTIONS, FROM_ARCHIVE, policy
from ops.operator.stack import Stack

ARN = "arn:aws:{service}:us-east-1:111122223333:{name}"
STREAM = ARN.format(service="dynamodb", name="table/users/stream/2026-01-01T00:00:00.000")
KINESIS = ARN.format(service="kinesis", name="stream/history")
QUEUE = ARN.format(service="sqs", name="mails.fifo")
BUCKET = "arn:aws:s3:::failures"
TOPIC = ARN.format(service="sns", name="changes.fifo")
CLAIM_CHECKS = "arn:aws:s3:::claim-checks"
REPLAY_QUEUES = ARN.format(service="sqs", name="weir-reread-*")
POINTERS = ARN.format(service="sqs", name="pointers")

#: Actions without a resource of their own
#: (https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html).
#: A narrower DescribeAlarms finds no composite alarms
#: (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html).
WITHOUT_RESOURCE = {
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "lambda:ListEventSourceMappings",
    "pipes:ListPipes",
}

#: Operations of actions that have another name.
OPERATIONS = {
    "lambda:InvokeFunction": ["Invoke"],
    "s3:GetLifecycleConfiguration": ["GetBucketLifecycleConfiguration"],
    "s3:ListBucket": ["ListObjectsV2"],
    "sqs:ChangeMessageVisibility": ["ChangeMessageVisibility", "ChangeMessageVisibilityBatch"],
}
MODELS = {"states": "stepfunctions"}
STREAMS = {"DescribeStream", "GetRecords", "GetShardIterator"}


def consumer(name: str, source: str, destination: str, queues: Sequence[str] = ()) -> Consumer:
    function = ARN.format(service="lambda", name=f"function:{name}")
    mapping = {
        "UUID": f"uuid-{name}",
        "EventSourceArn": source,
        "FunctionArn": function,
        "DestinationConfig": {"OnFailure": {"Destination": destination}},
    }
    environment = {"Variables": {"EFFECT_LEDGER_TABLE": "effects"}}
    described = {"FunctionName": name, "FunctionArn": function, "Environment": environment}
    archive = Archive(TOPIC, CLAIM_CHECKS) if source == QUEUE else None
    return Consumer(name, f"uuid-{name}", mapping, described, {}, queues, STREAM, archive=archive)


CONSUMERS = {
    "stream": consumer("stream", STREAM, BUCKET),
    "queue": consumer("queue", QUEUE, BUCKET, [ARN.format(service="sqs", name="dead.fifo")]),
    "kinesis": consumer("kinesis", KINESIS, POINTERS),
}


class Functions:
    """A client of Lambda that knows the consumer of the queue."""

    def get_event_source_mapping(self, **_: str) -> Any:
        return CONSUMERS["queue"].mapping

    def get_function_configuration(self, **_: str) -> Any:
        return CONSUMERS["queue"].function


def statements(command: str, *names: str) -> list[tuple[str, str]]:
    """The pairs of action and resource that a command's policy allows."""
    printed = policy(command, [CONSUMERS[name] for name in names])
    return [
        (action, resource)
        for statement in printed["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    ]


@pytest.mark.parametrize("command", ACTIONS)
def test_every_action_is_of_an_operation_that_botocore_knows(command: str) -> None:
    loader: Any = botocore.session.get_session()
    for action in ACTIONS[command]:
        service, name = action.split(":")
        model = "dynamodbstreams" if service == "dynamodb" and name in STREAMS else MODELS.get(service, service)
        known = loader.get_service_model(model).operation_names
        assert {*OPERATIONS.get(action, [name])} <= {*known}, action


@pytest.mark.parametrize("command", ACTIONS)
@pytest.mark.parametrize("name", CONSUMERS)
def test_a_policy_names_exact_resources_of_the_actions_own_service(command: str, name: str) -> None:
    pairs = statements(command, name)
    assert pairs
    for action, resource in pairs:
        assert (resource == "*") == (action in WITHOUT_RESOURCE), (action, resource)
        if resource != "*":
            assert resource.split(":")[2] == action.split(":")[0], (action, resource)
            # Objects of a bucket, the streams of a log group and the queues of replays are all that has a pattern.
            pattern = r"arn:aws:s3:::(failures|claim-checks)/(.+/)?\*|arn:aws:logs:.+:\*|arn:aws:sqs:.+:weir-reread-\*"
            assert "*" not in resource or re.fullmatch(pattern, resource)


@pytest.mark.parametrize("command", ACTIONS)
def test_a_policy_for_one_consumer_names_nothing_of_another(command: str) -> None:
    text = json.dumps(policy(command, [CONSUMERS["stream"]]))
    for foreign in (KINESIS, QUEUE, POINTERS, "dead.fifo", "uuid-queue", "function:kinesis", "kinesis:", "sqs:"):
        assert foreign not in text, foreign


@pytest.mark.parametrize("command", ["dead-letters list", "dead-letters show", "dead-letters redrive"])
def test_pointers_are_read_from_the_consumers_own_stream_alone(command: str) -> None:
    reads = {resource for action, resource in statements(command, "kinesis") if action.endswith(":GetRecords")}
    assert reads == {KINESIS}
    reads = {resource for action, resource in statements(command, "queue") if action.endswith(":GetRecords")}
    assert reads == set()  # its dead letters are changes, and point at nothing


@pytest.mark.parametrize("command", ["dead-letters show", "dead-letters redrive", "reread"])
def test_items_are_read_in_the_table_that_the_consumers_changes_are_of(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "client", lambda *_: Functions())
    accounts = STREAM.replace("users", "accounts")
    entry = {"eventSourceMapping": "uuid-queue", "stream": accounts}
    stack = Stack("dev", {"streamArn": STREAM, "consumers": {"queue": entry}})
    printed = policy(command, consumers_of(stack, "queue"))
    (asked,) = [each["Resource"] for each in printed["Statement"] if "dynamodb:BatchGetItem" in each["Action"]]
    assert asked == [ARN.format(service="dynamodb", name="table/accounts")]


@pytest.mark.parametrize("command", ["tail", "trace", "reread"])
def test_changes_of_a_kinesis_consumer_are_read_from_kinesis_alone(command: str) -> None:
    assert {resource for action, resource in statements(command, "kinesis") if ":GetRecords" in action} == {KINESIS}
    assert {resource for action, resource in statements(command, "stream") if ":GetRecords" in action} == {STREAM}


def test_an_archive_is_read_by_a_queue_of_the_run_s_own_and_no_other() -> None:
    allowed = statements(FROM_ARCHIVE, "queue")
    assert {resource for action, resource in allowed if action.startswith("sqs:")} == {REPLAY_QUEUES}
    assert {resource for action, resource in allowed if action.startswith("sns:")} == {TOPIC}
    assert {resource for action, resource in allowed if action == "s3:GetObject"} == {f"{CLAIM_CHECKS}/*"}
    assert not [action for action, _ in allowed if action in ("sqs:SendMessage", "sqs:SetQueueAttributes")]


@pytest.mark.parametrize("command", ["status", "pause"])
def test_how_long_a_source_keeps_its_records_may_be_asked_where_it_is_shown(command: str) -> None:
    asked = {"kinesis": ("kinesis:DescribeStreamSummary", KINESIS), "queue": ("sqs:GetQueueAttributes", QUEUE)}
    assert all(pair in statements(command, name) for name, pair in asked.items())


@pytest.mark.parametrize("command", [each for each in ACTIONS if each not in ("pause", "resume")])
def test_only_pause_and_resume_may_change_a_mapping(command: str) -> None:
    assert "lambda:UpdateEventSourceMapping" not in ACTIONS[command]


@pytest.mark.parametrize("command", ["status", "tail", "trace", "dead-letters list", "dead-letters show"])
def test_commands_that_only_read_may_write_nothing(command: str) -> None:
    writes = re.compile(r":(Put|Update|Delete|Send|Invoke|Create|Publish|Start)")
    assert [action for action in ACTIONS[command] if writes.search(action)] == []
