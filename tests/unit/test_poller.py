"""The poller, with a shard that stands still."""

from __future__ import annotations

import threading

import pytest

from local.clock import Clock
from local.delivery.mapping import EventSourceMapping
from local.delivery.outcomes import Succeeded
from local.delivery.records import StreamRecord
from local.delivery.settings import MappingSettings
from local.poller import Poller


class Shard:
    """A reader that has one record, once."""

    shard_id = "shard"
    ended = False

    def __init__(self) -> None:
        self.left = [
            StreamRecord({"dynamodb": {"Keys": {}, "SequenceNumber": "1", "SizeBytes": 1}}, arrived=0.0, visible=0.0)
        ]
        self.position: str | None = None

    def read(self):
        read, self.left = self.left, []
        return read

    def rewind(self, checkpoint):
        self.position = checkpoint


def test_an_invocation_that_breaks_is_made_again_and_costs_no_retry(caplog: pytest.LogCaptureFixture):
    shard, done = Shard(), threading.Event()
    attempts: list[int] = []

    def invoke(call):
        attempts.append(call.attempt)
        if call.attempt == 1:
            raise ZeroDivisionError
        done.set()
        return Succeeded()

    poller = Poller(
        EventSourceMapping(MappingSettings(maximum_retry_attempts=0)),
        [shard],  # pyright: ignore[reportArgumentType] - a stand-in
        name="poller",
        clock=Clock(),
        invoke=invoke,
        give_up=lambda _: pytest.fail("the retry budget was touched"),
    )
    poller.start()
    assert done.wait(20)
    poller.stop()
    poller.join()
    assert attempts == [1, 2]
    assert shard.position == "1"
    assert "ZeroDivisionError" in caplog.text
