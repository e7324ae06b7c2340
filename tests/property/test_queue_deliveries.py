"""Properties of every queue, standard or FIFO, whatever fails: no message is lost, and groups keep their order."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from local.engine.actions import Invoke
from local.engine.clock import VirtualClock
from local.engine.outcomes import Failed, Outcome, Rejected, Succeeded, Throttled
from local.engine.queues.batches import QueueBatches, QueueSettings
from local.simulation.parsing import parse
from local.simulation.queue_run import QueueSimulation
from local.simulation.report import Identifiers, Report
from local.simulation.simulate import simulate
from local.simulation.virtual_queue import Kept, VirtualQueue

SENT = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 40)), min_size=1, max_size=25)


def ignore(*_: object) -> None:
    """Ignore a metric."""


@given(SENT, st.booleans(), st.integers(1, 10), st.integers(0, 5), st.none() | st.integers(1, 3), st.data())
def test_every_message_ends_in_one_way_and_a_group_never_overtakes_itself(sent, fifo, size, window, receives, data):
    kept = [
        Kept(
            message_id=str(index),
            body="",
            attributes={},
            group=group if fifo else None,
            deduplication_id=str(index) if fifo else None,
            sent_at=float(at),
            visible_at=float(at),
        )
        for index, (group, at) in enumerate(sent)
    ]
    groups = {message.message_id: message.group for message in kept}
    queue = VirtualQueue(kept, fifo=fifo, visibility_timeout=30, max_receive_count=receives, retention=100_000)
    order = [message.message_id for message in queue.left]
    done: list[str] = []

    def handler(call: Invoke, now: float) -> tuple[Outcome, float]:
        identifiers = [record.identifier for record in call.records]
        assert not fifo or len({groups[each] for each in identifiers}) == 1
        # In the end all goes well, so that every run ends.
        kind = "success" if now > 2000 else data.draw(st.sampled_from(["success", "failed", "throttled", "some"]))
        outcome: Outcome
        match kind:
            case "failed":
                outcome = Failed(None)
            case "throttled":
                outcome = Throttled()
            # Of a FIFO queue a function must name everything behind the first failure.
            case "some" if len(identifiers) > 1:
                first = data.draw(st.integers(1, len(identifiers) - 1))
                outcome = Rejected(tuple(range(first, len(identifiers))))
                done.extend(identifiers[:first])
            case _:
                outcome = Succeeded()
                done.extend(identifiers)
        return outcome, float(data.draw(st.integers(0, 20)))

    report = Report(starts_at=0.0)
    settings = QueueSettings(batch_size=size, batching_window=0 if fifo else window)
    made = Identifiers()
    QueueSimulation(
        settings,
        queue,
        handler,
        queue_arn="arn:aws:sqs:us-east-1:111122223333:orders",
        report=report,
        clock=VirtualClock(0.0),
        until=90_000.0,
        new_request_id=lambda: str(made.next()),
        record=ignore,
    ).run(enabled=True)
    report.finish(checkpoints={}, unfinished=[message.message_id for message in queue.left])
    moved = [each["body"]["messageId"] for each in report.document["onFailure"]]
    assert Counter([*done, *moved]) == Counter(order)
    assert report.document["unfinished"] == []
    if fifo:
        for group in "xyz":
            wanted = [each for each in order if groups[each] == group and each not in moved]
            assert [each for each in done if groups[each] == group] == wanted


@given(st.integers(1, 5))
def test_a_machine_that_was_given_nothing_asks_for_a_batch_and_waits_for_no_time(size):
    machine = QueueBatches(QueueSettings(batch_size=size))
    assert (machine.wants, machine.wake_at, list(machine.next(0.0))) == (size, None, [])


@given(
    sent=st.lists(st.integers(0, 60), min_size=1, max_size=12),
    visibility=st.integers(3, 40),
    window=st.integers(0, 60),
    size=st.integers(1, 10),
    takes=st.sampled_from([0, 1, 3]),
    concurrency=st.integers(2, 4),
)
def test_a_batch_never_holds_a_message_twice_whatever_window_and_visibility_timeout_are(
    sent: list[int], visibility: int, window: int, size: int, takes: int, concurrency: int
):
    scenario = {
        "eventSourceMapping": {
            "EventSourceArn": "arn:aws:sqs:us-east-1:111122223333:jobs",
            "BatchSize": size,
            "MaximumBatchingWindowInSeconds": window,
            "ScalingConfig": {"MaximumConcurrency": concurrency},
        },
        "until": 300,
        "queue": {"visibilityTimeout": visibility},
        "records": [{"messageId": f"m{number}", "at": at} for number, at in enumerate(sent)],
        "handler": [{"takes": takes}],
    }
    report = simulate(parse(json.dumps(scenario))).document
    assert all(len(set(each["identifiers"])) == len(each["identifiers"]) for each in report["invocations"])
    if not takes:
        # A message that becomes visible while its batch runs is delivered again, as the visibility timeout asks for it.
        assert (report["unfinished"], report["metrics"]["DeletedEventCount"]) == ([], len(sent))
