"""The control API's documents: what is no number, no fault or no document is refused, and the endpoint serves on."""

from __future__ import annotations

import http.client
import json

import pytest

from local.endpoint import Endpoint
from local.endpoint.control.api import LONGEST_JUMP
from local.endpoint.control.client import ControlError


def post(world, path: str, body: bytes) -> tuple[int, str]:
    connection = http.client.HTTPConnection(world.aws.url.removeprefix("http://"), timeout=120)
    try:
        headers = {"authorization": f"Bearer {world.aws.control_token}"}
        connection.request("POST", f"/_weir/{path}", body=body, headers=headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())["message"]
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (float("nan"), "NaN is not a number of seconds"),
        (float("inf"), "Infinity is not a number of seconds"),
        (float("-inf"), "-Infinity is not a number of seconds"),
        ("60", "'advance' must be a number of seconds, not '60'"),
        (True, "'advance' must be a number of seconds, not True"),
        (None, "'advance' must be a number of seconds, not None"),
        ([1], r"'advance' must be a number of seconds, not \[1\]"),
        (-1, "'advance' must be from 0 to 315,360,000 seconds, not -1"),
        (LONGEST_JUMP + 1, "'advance' must be from 0 to 315,360,000 seconds"),
        (1e300, r"not 1e\+300"),
        (10**400, "'advance' must be"),
    ],
)
def test_a_jump_that_is_not_a_number_of_seconds_or_absurd_is_refused(world, seconds, message):
    before = world.control.advance_clock(0)
    with pytest.raises(ControlError, match=message):
        world.control.advance_clock(seconds)
    assert world.control.advance_clock(0) - before < 600
    world.table()
    world.put("a")


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("clock", b"", "'advance' is missing"),
        ("clock", b"{}", "'advance' is missing"),
        ("clock", b"[]", "must be a JSON object"),
        ("clock", b"60", "must be a JSON object"),
        ("clock", b"null", "must be a JSON object"),
        ("clock", b"{", "not JSON"),
        ("clock", b"\xff", "not UTF-8"),
        ("clock", b"[" * 100_000, "nested too deeply"),
        ("clock", b'{"advance": 1, "back": 2}', "has no back: its members are advance"),
        ("alarms", b'{"at": NaN}', "NaN is not a number"),
        ("alarms", b'{"at": -1}', "'at' must be from 0"),
        ("alarms", b'{"at": 1e18}', "'at' must be from 0"),
        ("alarms", b'{"at": "now"}', "'at' must be a number"),
        ("alarms", b'{"when": 1}', "has no when"),
        ("faults", b"[]", "must be a JSON object"),
        ("faults", b"{}", "is not a fault"),
        ("faults", b'{"kind": []}', "is not a fault"),
        ("faults", b'{"kind": "fail", "operation": 7}', "'operation' of a fault must be a text"),
        ("faults", b'{"kind": "crash", "containing": ["a"]}', "'containing' of a fault must be a text"),
        ("faults", b'{"kind": "lose writes", "table": {"a": 1}}', "'table' of a fault must be a text"),
        ("faults", b'{"kind": "crash", "containing": "a", "times": -1}', "'times' of a fault must be a whole number"),
        ("faults", b'{"kind": "crash", "containing": "a", "times": "2"}', "'times' of a fault must be a whole number"),
        ("faults", b'{"kind": "crash", "containing": "a", "times": 1.5}', "'times' of a fault must be a whole number"),
        ("faults", b'{"kind": "crash", "containing": "a", "fired": 1}', "has no fired"),
    ],
)
def test_a_document_that_means_nothing_is_refused_with_the_reason(world, path, body, message):
    status, told = post(world, path, body)
    assert (status, message in told) == (400, True), told
    assert world.control.faults() == []
    world.client("dynamodb").list_tables()


def test_the_clock_can_be_moved_a_hundred_years_and_no_further_and_everything_still_works(world):
    with Endpoint() as aws:
        for _ in range(10):
            now = aws.control.advance_clock(LONGEST_JUMP - 60)
        with pytest.raises(ControlError, match="'advance' must be from 0 to"):
            aws.control.advance_clock(LONGEST_JUMP)
        far = type(world)(aws, {})
        stream = far.table()
        far.function()
        mapping = far.mapping(stream)
        far.put("a")
        far.wait_until(lambda: far.invocations(mapping))
        far.client("cloudwatch").put_metric_alarm(
            AlarmName="errors",
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Dimensions=[{"Name": "FunctionName", "Value": far.name}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )
        assert aws.control.evaluate_alarms(now + 120)["errors"] == "OK"
