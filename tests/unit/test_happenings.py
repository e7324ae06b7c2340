"""Lines of `weir local up` about its running stack."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.endpoint.control.client import MappingStatus
from ops import happenings
from ops.happenings import Happening, Watch

UUID = "0f1e2d3c"
OUTPUTS = {"consumers": {"welcome-email": {"eventSourceMapping": UUID}}}


class NotFound(Exception):
    pass


class Endpoint:
    """The control API, Lambda and CloudWatch Logs of an endpoint with one mapping."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.log: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.throttled: list[dict[str, Any]] = []
        self.unwanted = 0.0
        self.ended = False
        self.exceptions = type("Exceptions", (), {"ResourceNotFoundException": NotFound})

    def mappings(self) -> list[MappingStatus]:
        if self.ended:
            raise ConnectionRefusedError
        return [MappingStatus(UUID, "welcome-email-1a2b3c", "arn:users", "Enabled", True, 0, 0, 0, 0, 0, 0)]

    def history(self, uuid: str, *, after: int) -> list[dict[str, Any]]:
        return self.entries[after:]

    def pipes(self) -> list[Any]:
        return []

    def mails(self) -> list[dict[str, Any]]:
        return self.sent

    def throttling(self) -> list[dict[str, Any]]:
        return self.throttled

    def metric_sum(self, name: str, **dimensions: str) -> float:
        return self.unwanted if name == "Unwanted" else 0.0

    def client(self, service: str) -> Any:
        return self

    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        return {"LoggingConfig": {"LogGroup": "welcome-email-logs"}}

    def get_paginator(self, name: str) -> Any:
        return self

    def paginate(self, *, logGroupName: str, startTime: int) -> list[dict[str, Any]]:  # noqa: N803 - boto3's names
        return [{"events": [each for each in self.log if each["timestamp"] >= startTime]}]

    def logs(self, **members: Any) -> None:
        at = 4_102_444_800_000 + len(self.log)
        self.log.append({"timestamp": at, "logStreamName": "s", "message": json.dumps(members)})


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def watch(endpoint: Endpoint) -> Watch:
    stub: Any = endpoint
    return Watch(stub, endpoint.client, OUTPUTS)


def invocation(*users: str, outcome: str = "error", attempt: int = 1, error_type: str | None = None) -> dict[str, Any]:
    return {
        "kind": "invocation",
        "at": 1.0,
        "request_id": "r-1",
        "attempt": attempt,
        "identifiers": [f"sequence of {user}" for user in users],
        "keys": [{"userId": {"S": user}} for user in users],
        "outcome": outcome,
        "accepted": 0,
        "error_type": error_type,
    }


def texts(found: list[Happening]) -> list[str]:
    return [each.line().partition("  ")[2] for each in found]


def test_a_failure_names_the_record_and_the_exception_from_the_log(endpoint: Endpoint, watch: Watch) -> None:
    endpoint.entries.append(invocation("ada", "bob", outcome="partial"))
    endpoint.logs(
        logger="handlers.cdc",
        level="ERROR",
        requestId="r-1",
        message="record failed",
        sequenceNumber="sequence of bob",
        errorType="UnusableAddress",
        errorMessage="no address",
    )
    (failed,) = watch.new()
    assert texts([failed]) == ["welcome-email  failed: userId=bob, attempt 1: UnusableAddress: no address"]
    assert failed.as_json()["keys"] == [{"userId": {"S": "bob"}}]
    assert watch.new() == []


def test_a_failure_that_logged_nothing_has_lambdas_error_type_or_outcome(endpoint: Endpoint, watch: Watch) -> None:
    endpoint.entries += [invocation("ada", "bob", error_type="Runtime.ExitError"), invocation("ada", outcome="timeout")]
    endpoint.entries += [invocation("ada", outcome="success"), invocation("ada", outcome="throttled")]
    assert texts(watch.new()) == [
        "welcome-email  failed: 2 records, attempt 1: Runtime.ExitError",
        "welcome-email  failed: userId=ada, attempt 1: timed out",
    ]


def test_a_time_out_is_the_reason_whatever_the_function_logged_before(endpoint: Endpoint, watch: Watch) -> None:
    endpoint.entries.append(invocation("ada", outcome="timeout", error_type="Sandbox.Timedout"))
    endpoint.logs(level="ERROR", requestId="r-1", message="slow", errorType="Slow", errorMessage="try again")
    assert texts(watch.new()) == ["welcome-email  failed: userId=ada, attempt 1: timed out"]


def test_a_dead_letter_says_where_it_lies_and_a_lost_record_that_it_lies_nowhere(
    endpoint: Endpoint, watch: Watch
) -> None:
    given_up = {"kind": "given up", "at": 1.0, "identifiers": ["1"], "keys": [{"userId": {"S": "bob"}}]}
    endpoint.entries += [
        {**given_up, "condition": "RetryAttemptsExhausted", "location": "s3://failures/key"},
        {**given_up, "condition": "RecordAgeExceeded", "location": None},
    ]
    assert texts(watch.new()) == [
        "welcome-email  dead letter: userId=bob, RetryAttemptsExhausted: s3://failures/key",
        "welcome-email  lost: userId=bob, RecordAgeExceeded, and no destination has them",
    ]


def test_a_record_that_the_consumer_parks_is_a_happening_though_its_invocation_succeeds(
    endpoint: Endpoint, watch: Watch
) -> None:
    message = "record 1 of a DynamoDB stream is parked: no such plan"
    endpoint.logs(logger="handlers.cdc", level="WARNING", requestId="r-1", message=message, eventId="e-1")
    assert texts(watch.new()) == [f"welcome-email  parked: {message}"]


def test_each_mail_is_a_line(endpoint: Endpoint, watch: Watch) -> None:
    mail = {"Timestamp": 1.0, "To": ["ada@example.com"], "Source": "hello@example.com", "Subject": "Welcome"}
    endpoint.sent.append(mail)
    assert texts(watch.new()) == ["SES  mail: to ada@example.com: Welcome"]
    assert watch.new() == []


def test_a_stream_that_has_too_many_readers_is_named_once(endpoint: Endpoint, watch: Watch) -> None:
    users = {"streamArn": "arn:table/users/stream/1", "shardId": "s", "throttledReads": 1, "advice": "too many readers"}
    endpoint.throttled = [users]
    assert texts(watch.new()) == ["users  throttled: reads of arn:table/users/stream/1 are throttled: too many readers"]
    endpoint.throttled = [{**users, "throttledReads": 7}, {**users, "streamArn": "arn:table/orders/stream/1"}]
    assert [each.subject for each in watch.new()] == ["orders"]


@pytest.mark.parametrize(("filtered", "unwanted"), [(10, 0), (0, 10), (5, 5)])
def test_a_condition_that_turned_every_change_down_is_suspected_once(
    filtered: int, unwanted: int, endpoint: Endpoint, watch: Watch
) -> None:
    endpoint.entries.append({"kind": "filtered out", "at": 1.0, "identifiers": ["1"] * filtered})
    endpoint.entries.append(invocation(*["ada"] * unwanted, outcome="success"))
    endpoint.unwanted = unwanted
    (suspected,) = watch.new()
    assert suspected.kind == "turned down"
    assert "accepted none of the 10 changes" in suspected.text
    endpoint.entries.append({"kind": "filtered out", "at": 1.0, "identifiers": ["1"] * 50})
    assert watch.new() == []


def test_a_condition_that_accepted_one_change_is_never_suspected(endpoint: Endpoint, watch: Watch) -> None:
    endpoint.entries.append(invocation("ada", outcome="success"))
    assert watch.new() == []
    endpoint.entries.append({"kind": "filtered out", "at": 1.0, "identifiers": ["1"] * 50})
    assert watch.new() == []


def test_telling_ends_with_the_endpoint(endpoint: Endpoint, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happenings, "LOOK_SECONDS", 0.0)
    endpoint.entries.append(invocation("ada", outcome="timeout"))
    told: list[Happening] = []

    def write(happening: Happening) -> None:
        told.append(happening)
        endpoint.ended = True

    happenings.tell(watch, write)
    assert [each.kind for each in told] == ["failed"]
    assert json.loads(happenings.as_line(told[0]))["subject"] == "welcome-email"
