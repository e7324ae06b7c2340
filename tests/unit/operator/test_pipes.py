"""Pipes as the operator's commands know them: their dead letters, what a redrive needs, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ops.operator.permissions import policy
from ops.operator.pipes import Pipe, readers_of
from ops.operator.stack import NoStack, Stack
from ops.operator.status import Advice, look

ARN = "arn:aws:{service}:us-east-1:111122223333:{name}"
STREAM = ARN.format(service="dynamodb", name="table/users/stream/2026-01-01T00:00:00.000")
QUEUE = ARN.format(service="sqs", name="changes.fifo")
TARGET = ARN.format(service="sqs", name="target")
FUNCTION = ARN.format(service="lambda", name="function:enrich")
API = ARN.format(service="events", name="api-destination/crm/8f2b")
DEAD = ARN.format(service="sqs", name="dead")


def pipe(source: str = STREAM, target: str = TARGET, **described: Any) -> Pipe:
    parameters = {"DynamoDBStreamParameters": {"DeadLetterConfig": {"Arn": DEAD}}} if source == STREAM else {}
    whole = {
        "Name": "to-target",
        "Arn": ARN.format(service="pipes", name="pipe/to-target"),
        "Source": source,
        "SourceParameters": parameters,
        "Target": target,
        **described,
    }
    return Pipe("to-target", whole, (DEAD,), STREAM)


def allowed(reader: Pipe, command: str = "dead-letters redrive") -> dict[str, set[str]]:
    """The resources of each action that the policy of a command allows."""
    return {
        action: set(statement["Resource"])
        for statement in policy(command, [reader])["Statement"]
        for action in statement["Action"]
    }


@pytest.mark.parametrize(
    ("target", "parameters", "needed"),
    [
        (TARGET, {}, {"sqs:SendMessage", "sqs:GetQueueUrl"}),
        (ARN.format(service="sns", name="topic"), {}, {"sns:Publish"}),
        (ARN.format(service="events", name="event-bus/bus"), {}, {"events:PutEvents"}),
        (ARN.format(service="lambda", name="function:f"), {}, {"lambda:InvokeFunction"}),
        (ARN.format(service="states", name="stateMachine:m"), {}, {"states:StartSyncExecution"}),
        (
            ARN.format(service="states", name="stateMachine:m"),
            {"StepFunctionStateMachineParameters": {"InvocationType": "FIRE_AND_FORGET"}},
            {"states:StartExecution"},
        ),
    ],
)
def test_a_redrive_may_call_the_target_and_no_other(target: str, parameters: Any, needed: set[str]) -> None:
    found = allowed(pipe(target=target, TargetParameters=parameters))
    assert {action for action, resources in found.items() if target in resources} == needed
    assert found["dynamodb:GetRecords"] == {STREAM}
    assert found["sqs:DeleteMessage"] == {DEAD}


def test_a_redrive_may_call_the_enrichment() -> None:
    assert allowed(pipe(Enrichment=FUNCTION))["lambda:InvokeFunction"] == {FUNCTION}


def test_a_pipe_of_a_queue_is_redriven_through_its_queue_whatever_its_target_is() -> None:
    of_queue = pipe(source=QUEUE, target=API)
    assert of_queue.problem is None
    found = allowed(of_queue)
    assert found["sqs:SendMessage"] == {QUEUE}
    assert not any(API in resources for resources in found.values())
    assert "dynamodb:GetRecords" not in found


@pytest.mark.parametrize(
    ("described", "part"),
    [
        ({"Target": API}, f"target {API}: EventBridge alone has the credentials of its connection"),
        ({"Enrichment": API}, f"enrichment {API}: EventBridge alone has the credentials of its connection"),
        ({"Target": (logs := ARN.format(service="logs", name="log-group:audit"))}, f"target {logs}"),
        (
            {
                "Target": ARN.format(service="events", name="event-bus/bus"),
                "TargetParameters": {"EventBridgeEventBusParameters": {"Time": "$.time"}},
            },
            "TargetParameters.EventBridgeEventBusParameters.Time",
        ),
    ],
)
def test_a_pipe_whose_execution_cannot_be_reproduced_is_refused_by_the_part_of_it(described: Any, part: str) -> None:
    refused = pipe(**described)
    assert refused.problem is not None
    assert f": a redrive does not reproduce its {part}. `weir dead-letters show ID`" in refused.problem
    assert refused.needs == ()


def test_a_pipes_own_queues_and_its_destination_are_looked_into_once_each() -> None:
    assert pipe().destinations == (DEAD,)
    assert (pipe().queues, pipe(source=QUEUE).queues) == ((), (DEAD,))


@pytest.mark.parametrize("fires", [True, False])
def test_an_alarm_of_what_is_neither_consumer_nor_pipe_needs_somebody(
    fires: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CloudWatch:
        def get_paginator(self, _: str) -> CloudWatch:
            return self

        def paginate(self, AlarmNames: list[str], **_: str) -> list[Any]:  # noqa: N803 - boto3's own name
            return [{"MetricAlarms": [{"AlarmName": name} for name in AlarmNames if fires and "failed" in name]}]

    monkeypatch.setattr(Stack, "client", lambda *_: CloudWatch())
    alarms = {"executions-failed": "onboarding-executions-failed-4f", "executions-timed-out": "onboarding-timed-out-4f"}
    looked = look(Stack("dev", {}), [], {"onboarding": alarms}, now=0.0)
    (other,) = looked.others
    command = "aws cloudwatch describe-alarms --alarm-names onboarding-executions-failed-4f"
    assert other.advice == ([Advice("in ALARM: executions-failed", command)] if fires else [])
    assert looked.needs_somebody == fires


@pytest.mark.parametrize(
    ("state", "command"),
    [
        ("START_FAILED", "weir resume to-target -s dev"),
        ("UPDATE_FAILED", "pulumi up"),
        ("CREATE_FAILED", "pulumi up"),
    ],
)
def test_a_failed_pipe_needs_somebody_and_says_its_reason(
    state: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "client", lambda *_: None)
    failed = replace(
        pipe(source=QUEUE, CurrentState=state, StateReason="the role denies it"), kept_in=(), table_stream=None
    )
    looked = look(Stack("dev", {}), [failed], now=0.0)
    assert looked.needs_somebody
    assert looked.pipes[0].advice == [Advice(f"it is {state}: the role denies it", command)]


class Ringing:
    """A client of CloudWatch where some alarms are in state ALARM, one on each page."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> Any:
        return [{"MetricAlarms": [{"AlarmName": name}]} for name in self._names]


def test_alarms_on_later_pages_ring_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stack, "client", lambda *_: Ringing("a", "b"))
    fails = replace(
        pipe(source=QUEUE, CurrentState="RUNNING"), kept_in=(), table_stream=None, alarms={"one": "a", "two": "b"}
    )
    (status,) = look(Stack("dev", {}), [fails], now=0.0).pipes
    assert status.alarms == ["one", "two"]


def test_a_pipe_whose_alarm_fires_needs_somebody_who_reads_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stack, "client", lambda *_: Ringing("to-target-execution-failed"))
    alarms = {name: f"to-target-{name}" for name in ("execution-failed", "execution-throttled")}
    fails = replace(pipe(source=QUEUE, CurrentState="RUNNING"), kept_in=(), table_stream=None, alarms=alarms)
    (status,) = look(Stack("dev", {}), [fails], now=0.0).pipes
    assert status.alarms == ["execution-failed"]
    assert status.advice == [Advice("in ALARM: execution-failed", "weir tail to-target -s dev")]


def test_without_pipes_an_unknown_name_is_answered_with_the_consumers_alone() -> None:
    with pytest.raises(NoStack, match=r"^there is no consumer 'nobody': the stack has none$"):
        readers_of(Stack("dev", {"consumers": {}}), "nobody")
