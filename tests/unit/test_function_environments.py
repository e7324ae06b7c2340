"""One process of a function, without an endpoint."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import pytest

from local.endpoint.authorization.sessions import SessionKeys
from local.endpoint.clients import Connection
from local.endpoint.functions import environments
from local.endpoint.functions.environments import Environment, Failure, Trace

CONNECTION = Connection("http://127.0.0.1:4566", "us-east-1", "111122223333", "AKIAOWN", "secret")
KEYS = SessionKeys("arn:aws:iam::111122223333:role/welcome", "welcome", "ASIA1", "secret", "token")


@pytest.fixture
def environment() -> Iterator[Environment]:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("function.py", "def handler(event, context):\n    print('ran')\n    return event\n")
    arn = "arn:aws:lambda:us-east-1:111122223333:function:welcome"
    configuration = {"FunctionName": "welcome", "FunctionArn": arn, "Handler": "function.handler", "Timeout": 30}
    made = Environment(configuration, code.getvalue(), [], connection=CONNECTION, keys=KEYS)
    yield made
    made.close()


def test_an_invocation_leaves_its_output_and_its_duration(environment: Environment) -> None:
    first, second = Trace(), Trace()
    assert [environment.invoke({"n": n}, "r", trace) for n, trace in enumerate((first, second))] == [{"n": 0}, {"n": 1}]
    assert (first.log, second.log) == (["ran"], ["ran"])
    assert first.seconds > 0
    assert (first.init_seconds is None, second.init_seconds) == (False, None)


def test_an_answer_that_comes_after_the_time_out_is_none(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.invoke({}, "r", Trace())
    # The clock leaps over the time-out while the handler runs, before anything has ended its process.
    times = iter([0.0, 0.0])
    monkeypatch.setattr(environments.time, "monotonic", lambda: next(times, 31.0))
    trace = Trace()
    with pytest.raises(Failure, match=r"Task timed out after 30\.00 seconds") as failed:
        environment.invoke({}, "r", trace)
    monkeypatch.undo()
    assert failed.value.document["errorType"] == "Sandbox.Timedout"
    assert trace.seconds == 30
