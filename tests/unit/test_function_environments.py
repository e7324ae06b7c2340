"""One process of a function, without an endpoint."""

from __future__ import annotations

import io
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.endpoint.authorization.sessions import SessionKeys
from local.endpoint.clients import Connection
from local.endpoint.functions import environments
from local.endpoint.functions.environments import STARTS_AT_ONCE, Environment, Failure, Functions, Trace
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock

CONNECTION = Connection("http://127.0.0.1:4566", "us-east-1", "111122223333", "AKIAOWN", "secret")
KEYS = SessionKeys("arn:aws:iam::111122223333:role/welcome", "welcome", "ASIA1", "secret", "token")


CONFIGURATION = {
    "FunctionName": "welcome",
    "FunctionArn": "arn:aws:lambda:us-east-1:111122223333:function:welcome",
    "Handler": "function.handler",
    "Timeout": 30,
}


@pytest.fixture
def environment() -> Iterator[Environment]:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("function.py", "def handler(event, context):\n    print('ran')\n    return event\n")
    made = Environment(CONFIGURATION, code.getvalue(), [], connection=CONNECTION, keys=KEYS)
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


def test_a_process_that_was_told_to_end_runs_no_other_invocation_even_before_it_has_ended(
    environment: Environment,
) -> None:
    environment.load("r", Trace())
    assert environment.alive
    environment.kill()
    assert not environment.alive


def test_a_process_that_ended_while_it_was_free_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = Functions(
        connection=CONNECTION,
        clock=Clock(),
        metrics=Metrics(),
        issue_keys=lambda *_: KEYS,
        may_log=lambda *_, **__: False,
    )
    monkeypatch.setattr(environments.ministack_internals, "has_log_group", lambda _: True)
    source = """
import os
import threading

def handler(event, context):
    if event == "end":
        threading.Timer(0.05, os._exit, [1]).start()
    return os.getpid()
"""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("function.py", source)
    configuration = {**CONFIGURATION, "RevisionId": "1", "Role": "r"}

    def answer(event: str) -> dict[str, Any]:
        return functions.execute({"code_zip": code.getvalue()}, configuration, event, "r", 0.0)

    first = answer("end")["body"]
    while Path(f"/proc/{first}/stat").read_text().split()[2] != "Z":  # ended, and not yet waited for
        time.sleep(0.01)
    second = answer("go on")
    functions.close()
    assert "error" not in second
    assert second["body"] != first


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
