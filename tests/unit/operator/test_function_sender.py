"""Records that are sent to a function again, in invocations that Lambda takes."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from aws_semantics.limits import FUNCTION_TIMEOUT, INVOCATION_PAYLOAD_BYTES
from ops.operator.sending import FunctionSender
from ops.operator.stack import Stack


def record(number: int, user: str, *, size: int = 0) -> dict[str, Any]:
    image = {"userId": {"S": user}, "text": {"S": "x" * size}}
    change = {"Keys": {"userId": {"S": user}}, "NewImage": image, "SequenceNumber": f"{number:021}"}
    return {"eventID": f"e{number}", "eventSource": "aws:dynamodb", "dynamodb": change}


class Function:
    """A client of Lambda with one function, which fails some records."""

    def __init__(self, *failing: str) -> None:
        self.sizes: list[int] = []
        self.seen: list[str] = []
        self._failing = failing

    def invoke(self, **named: str) -> Any:
        payload = named["Payload"]
        self.sizes.append(len(payload.encode()))
        ids = [each["eventID"] for each in json.loads(payload)["Records"]]
        first = next((each for each in ids if each in self._failing), None)
        self.seen += ids if first is None else ids[: ids.index(first) + 1]
        failures = [] if first is None else [{"itemIdentifier": first}]
        return {"Payload": io.BytesIO(json.dumps({"batchItemFailures": failures}).encode())}


def sender(monkeypatch: pytest.MonkeyPatch, function: Function) -> FunctionSender:
    monkeypatch.setattr(Stack, "client", lambda *_: function)
    return FunctionSender(Stack("prod", {}), "arn:f", lambda: None)


def test_large_records_are_spread_over_invocations_that_lambda_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    function = Function()
    records = [record(number, f"u{number}", size=800_000) for number in range(20)]
    done, note = sender(monkeypatch, function).send(records)
    assert (done, note) == ([each["eventID"] for each in records], "")
    assert function.seen == done
    assert len(function.sizes) == 3
    assert max(function.sizes) <= INVOCATION_PAYLOAD_BYTES


def test_small_records_go_in_one_invocation(monkeypatch: pytest.MonkeyPatch) -> None:
    function = Function()
    sender(monkeypatch, function).send([record(number, "u") for number in range(100)])
    assert len(function.sizes) == 1


def test_a_newer_change_of_an_item_that_failed_waits_also_in_the_next_invocation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    function = Function("e0")
    records = [record(number, ("ada", "bob")[number % 2], size=800_000) for number in range(20)]
    done, note = sender(monkeypatch, function).send(records)
    assert done == [f"e{number}" for number in range(1, 20, 2)]
    assert note.startswith("the function reported the record")
    assert not {f"e{number}" for number in range(2, 20, 2)} & set(function.seen)


@pytest.mark.parametrize("service", ["lambda", "stepfunctions"])
def test_a_call_is_not_made_again_while_its_code_still_runs(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    stack = Stack("prod", {"streamArn": "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/1"})
    assert stack.client(service).meta.config.read_timeout > FUNCTION_TIMEOUT.maximum
