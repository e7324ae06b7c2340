"""The poller, with a shard that stands still."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_semantics.limits import STREAM_POLL_SECONDS
from local.endpoint.delivery.stream_poller import StreamPoller
from local.engine.actions import Invoke
from local.engine.clock import Clock
from local.engine.outcomes import Outcome, Succeeded
from local.engine.streams.batches import StreamBatches
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


class Runner:
    """A mapping whose function answers as the test says, and that must note nothing it does not list."""

    def __init__(self, deliver: Callable[[Invoke], Outcome]) -> None:
        self.deliver = deliver
        self.throttled_shards: list[str] = []

    def admit(self):
        pass

    def identify(self, record):
        return record

    def give_up(self, given_up):
        pytest.fail("nothing is given up")

    def lose(self, lost):
        pytest.fail("nothing is lost")

    def throttled(self, shard_id):
        self.throttled_shards.append(shard_id)

    def unreadable(self, failure):
        pytest.fail(f"the shard can be read: {failure}")


def poll(shard: Shard, runner: Runner, **settings: Any) -> StreamPoller:
    readers: Any = [shard]
    return StreamPoller(
        StreamBatches(MappingSettings(**settings)), readers, runner, name="poller", clock=Clock(), counted=False
    )


def test_a_throttled_shard_is_read_again_a_period_later_and_nothing_of_it_is_lost():
    shard, done = CrowdedShard(), threading.Event()
    delivered: list[str] = []

    def invoke(call):
        delivered.extend(each.identifier for each in call.records)
        if len(delivered) == 2:
            done.set()
        # What is written meanwhile does not make it read earlier.
        poller.wake()
        return Succeeded()

    runner = Runner(invoke)
    poller = poll(shard, runner)
    poller.start()
    assert done.wait(20)
    poller.stop()
    poller.join()
    assert delivered == ["1", "2"]
    assert runner.throttled_shards == ["shard"]
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

    poller = poll(shard, Runner(invoke), maximum_retry_attempts=0)
    poller.start()
    assert done.wait(20)
    poller.stop()
    poller.join()
    assert attempts == [1, 2]
    assert shard.position == "1"
    assert "ZeroDivisionError" in caplog.text
