"""The poller, with a shard that stands still."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_semantics.limits import STREAM_POLL_SECONDS
from local.endpoint.delivery.stream_poller import Poller
from local.engine.clock import Clock
from local.engine.streams.mapping import EventSourceMapping
from local.engine.streams.outcomes import Succeeded
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings


def record(sequence_number: str) -> dict[str, Any]:
    return {"dynamodb": {"Keys": {}, "SequenceNumber": sequence_number, "SizeBytes": 1}}


class Shard:
    """A reader that has one record, once."""

    shard_id = "shard"
    ended = False

    def __init__(self) -> None:
        self.left = [StreamRecord(record("1"), arrived=0.0, visible=0.0)]
        self.position: str | None = None

    def read(self):
        read, self.left = self.left, []
        return read

    def rewind(self, checkpoint):
        self.position = checkpoint


class CrowdedShard(Shard):
    """A reader that is refused after its first record, and has the second one when it reads again."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[float] = []

    def read(self):
        self.reads.append(time.monotonic())
        if len(self.reads) == 1:
            yield StreamRecord(record("1"), arrived=0.0, visible=0.0)
            raise ClientError({"Error": {"Code": "LimitExceededException"}}, "GetRecords")
        if len(self.reads) == 2:
            yield StreamRecord(record("2"), arrived=0.0, visible=0.0)


def test_a_throttled_shard_is_read_again_a_period_later_and_nothing_of_it_is_lost():
    shard, done = CrowdedShard(), threading.Event()
    delivered: list[str] = []
    throttled: list[str] = []

    def invoke(call):
        delivered.extend(each.identifier for each in call.records)
        if len(delivered) == 2:
            done.set()
        # What is written meanwhile does not make it read earlier.
        poller.wake()
        return Succeeded()

    poller = Poller(
        EventSourceMapping(MappingSettings()),
        [shard],  # pyright: ignore[reportArgumentType] - a stand-in
        name="poller",
        clock=Clock(),
        invoke=invoke,
        give_up=lambda _: pytest.fail("nothing fails"),
        throttled=throttled.append,
        unreadable=lambda _: pytest.fail("it is only throttled"),
    )
    poller.start()
    assert done.wait(20)
    poller.stop()
    poller.join()
    assert delivered == ["1", "2"]
    assert throttled == ["shard"]
    assert shard.reads[1] - shard.reads[0] > 0.9 * STREAM_POLL_SECONDS


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
