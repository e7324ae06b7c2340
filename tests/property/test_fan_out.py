"""Random histories of a fan-out on a virtual clock: every change reaches every consumer, or a named dead-letter queue.

The forwarder is the real one, run by the engine of event source mappings; topic and queues are those of the endpoint.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from handlers.cdc import forwarder
from handlers.cdc.testing import record
from local.engine.actions import GiveUp, Invoke
from local.engine.clock import VirtualClock
from local.engine.outcomes import Failed, Outcome, Succeeded, Throttled, read_answer
from local.engine.queues.batches import QueueSettings
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings
from local.engine.topics.fifo_topic import FifoTopic, TopicMessage
from local.simulation.queue_run import QueueSimulation
from local.simulation.report import Identifiers, Report
from local.simulation.stream_run import Feed, Simulation
from local.simulation.virtual_queue import Kept, VirtualQueue

#: Those of `FORWARDING` in components/fan_out.py, as far as the engine has them.
FORWARDING = MappingSettings(
    batch_size=20,
    batching_window=1,
    maximum_record_age=64_800,
    bisect=True,
    report_batch_item_failures=True,
    destination="arn:aws:s3:::failures",
    retention=86_400,
)
ATTRIBUTES = {"FifoThroughputScope": "MessageGroup", "FifoTopic": "true"}
CONSUMERS = ("well", "flaky", "down")
#: A consumer that is down is down for an hour.
HOUR = 3_600.0

#: What happens to an invocation of the forwarder: nothing, its end after some calls, a lost answer, a throttle.
WHOLE = st.sampled_from(["well", "well", "killed", "answer lost", "throttled"])
#: What happens to a call of PublishBatch: nothing, a throttle, some refused entries.
CALL = st.sampled_from(["well", "well", "well", "throttled", "entry refused"])
WRITES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), min_size=1, max_size=30)


class Throttling(Exception):
    """The topic's answer to a call too many."""


class Killed(BaseException):
    """The end of the forwarder's process."""


@dataclass
class Middle:
    """The topic, with a queue for each consumer; one of the queues is gone from some time on."""

    calls: list[str]
    gone_from: float
    clock: VirtualClock
    topic: FifoTopic = field(default_factory=FifoTopic)
    queues: dict[str, list[Kept]] = field(default_factory=lambda: {each: [] for each in (*CONSUMERS, "gone")})
    undelivered: dict[str, list[Kept]] = field(default_factory=lambda: defaultdict(list))
    killed: bool = False
    _ids: Any = field(default_factory=itertools.count)

    def publish_batch(self, *, TopicArn: str, PublishBatchRequestEntries: Sequence[Mapping[str, Any]]) -> Any:  # noqa: N803
        """Answer as SNS does, or do not."""
        assert TopicArn == "topic"
        groups = [each["MessageGroupId"] for each in PublishBatchRequestEntries]
        assert len(groups) <= 10
        assert len(set(groups)) == len(groups)
        fate = self.calls.pop() if self.calls else "well"
        if fate == "throttled":
            raise Throttling
        failed: list[dict[str, Any]] = []
        for number, entry in enumerate(PublishBatchRequestEntries):
            if fate == "entry refused" and number % 2 == 0:
                failed.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
                continue
            self._take(TopicMessage(entry["Message"], entry["MessageGroupId"], entry["MessageDeduplicationId"]))
        if self.killed:
            raise Killed
        return {"Failed": failed}

    def _take(self, message: TopicMessage) -> None:
        now = self.clock()
        published = self.topic.publish(message, str(next(self._ids)), ATTRIBUTES, now=now)
        if not published.is_new:
            return
        for consumer, queue in self.queues.items():
            gone = consumer == "gone" and now >= self.gone_from
            (self.undelivered[consumer] if gone else queue).append(
                Kept(
                    message_id=published.message_id,
                    body=message.body,
                    attributes={},
                    group=message.group,
                    deduplication_id=message.deduplication_id,
                    sent_at=now,
                    visible_at=now,
                )
            )


class GivenUp(Report):
    """A report that keeps what the forwarder has given up."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.records: list[str] = []

    def gave_up(self, given_up: GiveUp, delivered: bool | None, now: float) -> None:
        self.records += [each.identifier for each in given_up.records]


def written(writes: Sequence[tuple[str, int]]) -> list[StreamRecord]:
    records: list[StreamRecord] = []
    for number, (item, at) in enumerate(sorted(writes, key=lambda each: each[1])):
        event = record(new={"id": item, "n": number}, created=float(at))
        event["dynamodb"]["SequenceNumber"] = str(1_000 + number)
        records.append(StreamRecord(event, arrived=float(at), visible=float(at), identifier=str(1_000 + number)))
    return records


def forwarded(records: Sequence[StreamRecord], middle: Middle, whole: list[str]) -> GivenUp:
    """Let the forwarder read the stream until it is done."""

    def handle(call: Invoke, _: float) -> tuple[Outcome, float]:
        fate = whole.pop() if whole else "well"
        if fate == "throttled":
            return Throttled(), 0.0
        middle.killed = fate == "killed"
        event = {"Records": [each.event for each in call.records]}
        identifiers = [each.identifier for each in call.records]
        try:
            answer = forwarder.handler(event, None)  # pyright: ignore[reportArgumentType]
        except Killed:
            return Failed("Unhandled"), 1.0
        finally:
            middle.killed = False
        if fate == "answer lost":
            return Failed(None), 1.0
        return read_answer(answer, identifiers), 1.0

    report, ids = GivenUp(starts_at=0.0), Identifiers()
    with (
        mock.patch.object(forwarder, "sns", middle),
        mock.patch.dict("os.environ", {"FAN_OUT_TOPIC": "topic", "CLAIM_CHECK_BUCKET": "claims"}),
        mock.patch("handlers.cdc.metrics.emit"),
    ):
        Simulation(
            FORWARDING,
            [Feed("shard", records)],
            handle,
            sink=report,
            clock=middle.clock,
            until=80_000.0,
            new_request_id=lambda: str(ids.next()),
        ).run()
    return report


def consumed(consumer: str, sent: Sequence[Kept], fails: Sequence[bool]) -> tuple[list[tuple[float, str]], list[str]]:
    """Let a consumer read its queue; the times at which changes were done, and those in its dead-letter queue."""
    done: list[tuple[float, str]] = []
    fates = iter(fails)

    def handle(call: Invoke, now: float) -> tuple[Outcome, float]:
        if (consumer == "down" and now < HOUR) or (consumer == "flaky" and next(fates, False)):
            return Failed("Unhandled"), 1.0
        done.extend((now, each.event["body"]) for each in call.records)
        return Succeeded(), 1.0

    queue = VirtualQueue(
        [Kept(**{name: getattr(each, name) for name in Kept.__slots__}) for each in sent],
        fifo=True,
        visibility_timeout=30,
        max_receive_count=1_000,
        retention=1_209_600,
    )
    report, ids = Report(starts_at=0.0), Identifiers()
    QueueSimulation(
        QueueSettings(batch_size=10),
        queue,
        handle,
        queue_arn=f"arn:aws:sqs:us-east-1:111122223333:{consumer}.fifo",
        report=report,
        clock=VirtualClock(0.0),
        until=500_000.0,
        new_request_id=lambda: str(ids.next()),
        record=lambda *_: None,
    ).run(enabled=True)
    report.finish(checkpoints={}, unfinished=[each.message_id for each in queue.left])
    assert report.document["unfinished"] == []
    return done, [each["body"]["body"] for each in report.document["onFailure"]]


def number_of(body: str) -> tuple[str, int]:
    """The item and the number of a change."""
    image = json.loads(body)["dynamodb"]["NewImage"]
    return image["id"]["S"], int(image["n"]["N"])


def in_order_at_first(bodies: Sequence[str]) -> bool:
    """Whether the first deliveries of each item came in the order of the writes."""
    seen: dict[str, list[int]] = defaultdict(list)
    for item, number in map(number_of, bodies):
        if number not in seen[item]:
            seen[item].append(number)
    return all(numbers == sorted(numbers) for numbers in seen.values())


@given(WRITES, st.lists(WHOLE, max_size=8), st.lists(CALL, max_size=20), st.integers(0, 60), st.lists(st.booleans()))
def test_every_change_reaches_every_consumer_or_a_dead_letter_queue_and_a_consumer_that_is_down_delays_nobody(
    writes: list[tuple[str, int]], whole: list[str], calls: list[str], gone_from: int, fails: list[bool]
) -> None:
    logging.getLogger("handlers.cdc").setLevel(logging.CRITICAL)
    records = written(writes)
    wanted = {int(each.event["dynamodb"]["NewImage"]["n"]["N"]) for each in records}
    middle = Middle(calls, float(gone_from), VirtualClock(0.0))
    report = forwarded(records, middle, whole)
    assert report.records == []  # the forwarder gives nothing up
    done = {consumer: consumed(consumer, middle.queues[consumer], fails) for consumer in middle.queues}
    for consumer, (delivered, dead) in done.items():
        bodies = [body for _, body in delivered]
        kept = [each.body for each in middle.undelivered[consumer]]
        assert {number_of(body)[1] for body in (*bodies, *dead, *kept)} == wanted
        assert in_order_at_first(bodies)
        # Together with what waits in the queue of the undelivered, too: the topic sends on in order.
        assert in_order_at_first([*bodies, *kept])
    at = {consumer: [time for time, _ in delivered] for consumer, (delivered, _) in done.items()}
    assert max(at["well"], default=0.0) < HOUR <= min(at["down"], default=HOUR)
    assert Counter(body for _, body in done["well"][0]) == Counter(body for _, body in done["down"][0])
