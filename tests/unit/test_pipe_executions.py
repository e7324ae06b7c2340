"""An execution of a pipe, with services that answer at once."""

from __future__ import annotations

from typing import Any

import pytest

from local.endpoint.delivery.pipe_telemetry import ExecutionTrace, PipeLog, PipeMetrics
from local.engine.actions import Invoke
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock
from local.engine.outcomes import Failed
from local.engine.pipes.answers import Exchange
from local.engine.pipes.execution import Executions
from local.engine.streams.records import StreamRecord

conforms = pytest.mark.conformance

ARN = "arn:aws:pipes:us-east-1:111122223333:pipe/orders"
EVENT = {"eventID": "e1", "dynamodb": {"Keys": {}, "SequenceNumber": "1", "SizeBytes": 1}}


class Services:
    """Answers every request with nothing."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, arn, service, messages, parameters, *, pipe_name, source):
        self.sent.append([message.payload for message in messages])
        return Exchange({}, {})


class Allowing:
    """A role that may do everything."""

    def refusal(self, needs):
        assert needs


@pytest.fixture
def execute():
    """Execute one event; the outcome, its word, and the sums of the pipe's metrics."""
    metrics, clock = Metrics(), Clock()
    services = Services()

    def run(**settings: Any):
        pipe = {
            "Arn": ARN,
            "Name": "orders",
            "RoleArn": "arn:aws:iam::111122223333:role/orders",
            "Source": "arn:aws:dynamodb:us-east-1:111122223333:table/orders/stream/2026-01-01T00:00:00.000",
            "Target": "arn:aws:lambda:us-east-1:111122223333:function:orders",
            **settings,
        }
        executions: Any = Executions
        call = Invoke((StreamRecord(EVENT, arrived=0.0, visible=0.0, identifier="e1"),), "request", 1)
        trace = ExecutionTrace(
            PipeLog({}, pipe_arn=ARN, logs=None, clock=clock),
            PipeMetrics(metrics, clock, pipe_name="orders", account_id="111122223333"),
        )
        allowing = Allowing()
        made = executions(pipe, services=services, refusal=allowing.refusal, now=clock.now)
        outcome, ended = made.run(call, trace)
        return outcome, ended, {each["name"]: each["sum"] for each in metrics.summary()}, services.sent

    return run


@conforms("PIPE-TARGET-6", "documented")
def test_pipe_target_6_an_execution_of_more_than_five_minutes_is_timed_out(execute, monkeypatch):
    moments = iter([0.0, 1.0, 2.0, 300.1])
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    outcome, ended, metrics, _ = execute()
    assert (outcome, ended) == (Failed(function_error=None, timed_out=True), "timeout")
    assert metrics["ExecutionTimeout"] == 1
    assert "ExecutionFailed" not in metrics


def test_the_time_of_ingestion_is_utc_to_the_millisecond(execute, monkeypatch):
    monkeypatch.setattr(Clock, "now", lambda _: 1767225600.25)
    _, _, _, sent = execute(TargetParameters={"InputTemplate": '{"at": <aws.pipes.event.ingestion-time>}'})
    assert sent == [[{"at": "2026-01-01T00:00:00.250Z"}]]
