"""One process of a function, without an endpoint."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.endpoint.authorization.sessions import SessionKeys
from local.endpoint.clients import Connection
from local.endpoint.functions import environments
from local.endpoint.functions.environments import STARTS_AT_ONCE, Environment, Failure, Functions, Trace
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock

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
    environment.load("r", first)
    assert [environment.invoke({"n": n}, "r", trace) for n, trace in enumerate((first, second))] == [{"n": 0}, {"n": 1}]
    assert (first.log, second.log) == (["ran"], ["ran"])
    assert first.seconds > 0
    assert (first.init_seconds is None, second.init_seconds) == (False, None)


def test_an_answer_that_comes_after_the_time_out_is_none(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.load("r", Trace())
    # The clock leaps over the time-out while the handler runs, before anything has ended its process.
    times = iter([0.0, 0.0])
    monkeypatch.setattr(environments.time, "monotonic", lambda: next(times, 31.0))
    trace = Trace()
    with pytest.raises(Failure, match=r"Task timed out after 30\.00 seconds") as failed:
        environment.invoke({}, "r", trace)
    monkeypatch.undo()
    assert failed.value.document["errorType"] == "Sandbox.Timedout"
    assert trace.seconds == 30


def test_environments_load_in_turn_and_a_free_one_serves_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    loading, most, begun = 0, 0, []
    lock, began, go = threading.Lock(), threading.Semaphore(0), threading.Event()

    class Slow:
        alive = True
        log_group = log_stream = access_key_id = "x"

        def __init__(self, *_: object, **__: object) -> None:
            begun.append(self)

        def load(self, request_id: str, trace: Trace) -> None:
            nonlocal loading, most
            with lock:
                loading += 1
                most = max(most, loading)
            began.release()
            go.wait()
            with lock:
                loading -= 1

        def invoke(self, event: object, request_id: str, trace: Trace) -> object:
            return event

        def close(self) -> None:
            pass

    monkeypatch.setattr(environments, "Environment", Slow)
    monkeypatch.setattr(environments, "PATIENCE_SECONDS", 60.0)
    functions = Functions(
        connection=CONNECTION,
        clock=Clock(),
        metrics=Metrics(),
        issue_keys=lambda *_: KEYS,
        may_log=lambda *_, **__: False,
    )
    configuration = {"FunctionName": "f", "FunctionArn": "arn:f", "RevisionId": "1", "Role": "r"}
    monkeypatch.setattr(environments.ministack_internals, "has_log_group", lambda _: True)
    with ThreadPoolExecutor(12) as threads:
        answers = [
            threads.submit(functions.execute, {"code_zip": b""}, configuration, n, f"r{n}", 0.0) for n in range(12)
        ]
        for _ in range(STARTS_AT_ONCE):
            began.acquire()
        go.set()
        assert [answer.result()["body"] for answer in answers] == list(range(12))
    functions.close()
    assert most == STARTS_AT_ONCE
    assert len(begun) <= 12
