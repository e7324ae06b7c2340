"""Messages of a FIFO queue that end the process: isolated, parked unstarted, and no other message suffers for long."""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest

from handlers.cdc import Change, RetryAfter, consumer
from handlers.cdc.consumer import Consumer
from handlers.cdc.queues import queue_url
from handlers.cdc.testing import Invocation, queue_event, record

BUCKET = "arn:aws:s3:::parked-records"
QUEUE = "arn:aws:sqs:us-east-1:111122223333:parked"


class Crash(BaseException):
    """The process is gone; nothing that comes after this happens."""


class NoSuchKey(Exception):
    """S3's answer for an object that is not there."""

    response: ClassVar = {"Error": {"Code": "NoSuchKey"}}


class Queue:
    """A FIFO queue, the mapping that reads it and the bucket where its consumer parks, in virtual time.

    Attributes:
        now: Seconds that have passed.
        seen: The ids that the consumer was given, in order; filled by the test's function.
        finished: When each message was deleted.
        parked: The ids of parked messages.
    """

    VISIBILITY = 30

    def __init__(self, *messages: tuple[str, str]) -> None:
        self.now = 0.0
        self.seen: list[str] = []
        self.finished: dict[str, float] = {}
        self.parked: list[str] = []
        self.objects: dict[str, bytes] = {}
        self.s3_is_down = False
        self._hidden: dict[str, float] = {}
        self.messages = [
            queue_event(record(new={"id": identifier}), group=group)["Records"][0] for identifier, group in messages
        ]

    # The consumer's clients.

    def get_queue_url(self, **_: Any) -> dict[str, str]:
        return {"QueueUrl": "https://queue"}

    def change_message_visibility_batch(self, **request: Any) -> dict[str, Any]:
        for entry in request["Entries"]:
            self._hidden[entry["ReceiptHandle"]] = self.now + entry["VisibilityTimeout"]
        return {}

    def delete_message_batch(self, **request: Any) -> dict[str, Any]:
        for entry in request["Entries"]:
            self._delete(lambda message, receipt=entry["ReceiptHandle"]: message["receiptHandle"] == receipt)
        return {}

    def get_object(self, **request: Any) -> dict[str, Any]:
        if self.s3_is_down:
            raise ConnectionError
        if request["Key"] not in self.objects:
            raise NoSuchKey
        return {"Body": io.BytesIO(self.objects[request["Key"]])}

    def put_object(self, **request: Any) -> None:
        if request["Key"].startswith("discarded/"):
            self._park(request["Body"])
        else:
            self.objects[request["Key"]] = request["Body"]

    def delete_object(self, **request: Any) -> None:
        self.objects.pop(request["Key"], None)

    def send_message(self, **request: Any) -> None:
        self._park(request["MessageBody"])

    # The mapping.

    def deliver(self, handler: Consumer, *, most: int = 20, invocation: Callable[[], Invocation] = Invocation) -> None:
        """Deliver batches until nothing is left or `most` were delivered."""
        for _ in range(most):
            if not self.messages:
                return
            blocked: set[str] = set()
            batch: list[dict[str, Any]] = []
            for message in self.messages:
                group = message["attributes"]["MessageGroupId"]
                if self._hidden.get(message["receiptHandle"], 0) > self.now:
                    blocked.add(group)
                elif group not in blocked:
                    batch.append(message)
            if not batch:
                self.now = min(until for until in self._hidden.values() if until > self.now)
                continue
            self._invoke(handler, batch, invocation())

    def _invoke(self, handler: Consumer, batch: list[dict[str, Any]], invocation: Invocation) -> None:
        for message in batch:
            attributes = message["attributes"]
            attributes["ApproximateReceiveCount"] = str(int(attributes["ApproximateReceiveCount"]) + 1)
            self._hidden[message["receiptHandle"]] = self.now + self.VISIBILITY
        try:
            answer = handler({"Records": batch}, invocation)
        except Crash:
            return
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        for message in batch:
            if message["messageId"] not in failed:
                self._delete(lambda each, message=message: each is message)

    def _delete(self, which: Callable[[dict[str, Any]], bool]) -> None:
        for message in [message for message in self.messages if which(message)]:
            self.messages.remove(message)
            self.finished[id_of(message)] = self.now

    def _park(self, document: str | bytes) -> None:
        (message,) = json.loads(json.loads(document)["payload"])["Records"]
        self.parked.append(id_of(message))


def id_of(message: dict[str, Any]) -> str:
    return json.loads(message["body"])["dynamodb"]["Keys"]["id"]["S"]


@pytest.fixture(params=[BUCKET, QUEUE], ids=["bucket", "queue"])
def destination(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The number of starts is kept in a bucket, and followed by the receive count where there is none."""
    monkeypatch.setenv("FAILURE_DESTINATION", request.param)
    return request.param


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILURE_DESTINATION", BUCKET)


def queue_of(monkeypatch: pytest.MonkeyPatch, *messages: tuple[str, str], attempts: int = 3) -> Queue:
    queue = Queue(*messages)
    for message in queue.messages:
        message["attributes"]["ApproximateReceiveCount"] = "0"
    monkeypatch.setenv("QUEUE_ATTEMPTS", str(attempts))
    queue_url.cache_clear()
    for module in ("discard", "queues", "message_starts"):
        monkeypatch.setattr(f"handlers.cdc.{module}.BoundedClient", lambda _: queue)
    return queue


def crashing(queue: Queue, monkeypatch: pytest.MonkeyPatch, *deadly: str, whole_batch: bool = False) -> Consumer:
    """Return a consumer that dies of some messages, and with it what its process remembers."""

    def work(change: Change) -> None:
        queue.seen.append(change.keys["id"])
        if change.keys["id"] in deadly:
            monkeypatch.setattr("handlers.cdc.message_starts._memory", {})
            raise Crash

    if whole_batch:
        return consumer(whole_batch=True)(lambda changes: [work(change) for change in changes] and None)
    return consumer(work)


A_AND_B = (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a"), ("b2", "b"))


@pytest.mark.usefixtures("destination")
@pytest.mark.parametrize("whole_batch", [False, True], ids=["one by one", "whole batch"])
def test_a_message_that_ends_the_process_is_parked_unstarted_after_its_attempts(
    monkeypatch: pytest.MonkeyPatch, whole_batch: bool
) -> None:
    queue = queue_of(monkeypatch, *A_AND_B)
    queue.deliver(crashing(queue, monkeypatch, "a1", whole_batch=whole_batch))
    assert [each for each in queue.seen if each[0] == "a"] == ["a1", "a1", "a1", "a2", "a3"]
    assert [each for each in queue.seen if each[0] == "b"] == ["b1", "b2"]
    assert queue.parked == ["a1"]
    assert set(queue.finished) == {"a1", "a2", "a3", "b1", "b2"}
    assert queue.objects == {}


@pytest.mark.usefixtures("destination")
def test_other_groups_wait_one_visibility_timeout_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [(f"{group}1", group) for group in "bcdefg"]
    queue = queue_of(monkeypatch, ("a1", "a"), *others)
    queue.deliver(crashing(queue, monkeypatch, "a1"), most=60)
    assert {queue.finished[name] for name, _ in others} == {queue.VISIBILITY}
    assert queue.parked == ["a1"]


@pytest.mark.usefixtures("bucket")
def test_two_messages_of_a_group_that_end_the_process_have_attempts_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = queue_of(monkeypatch, ("a1", "a"), ("a2", "a"), ("a3", "a"))
    queue.deliver(crashing(queue, monkeypatch, "a1", "a2"))
    assert queue.seen == ["a1"] * 3 + ["a2"] * 3 + ["a3"]
    assert queue.parked == ["a1", "a2"]


@pytest.mark.usefixtures("bucket")
def test_a_message_before_the_deadly_one_is_repeated_once_and_then_deleted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = queue_of(monkeypatch, ("a1", "a"), ("a2", "a"), ("a3", "a"))
    queue.deliver(crashing(queue, monkeypatch, "a2"))
    assert queue.seen.count("a1") == 2
    assert queue.seen[-1] == "a3"
    assert queue.parked == ["a2"]


@pytest.mark.usefixtures("bucket")
def test_a_group_that_is_received_for_the_first_time_is_done_before_a_suspect_one_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = queue_of(monkeypatch, ("a1", "a"), ("b1", "b"))
    queue.messages[0]["attributes"]["ApproximateReceiveCount"] = "1"
    queue.deliver(crashing(queue, monkeypatch, "a1"), most=1)
    assert queue.seen == ["b1", "a1"]
    assert queue.finished == {"b1": 0.0}


@pytest.mark.usefixtures("bucket")
def test_failures_and_crashes_of_one_message_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_of(monkeypatch, ("a1", "a"), ("a2", "a"))
    endings = iter([Crash(), RuntimeError("down"), RuntimeError("down")])

    @consumer
    def handler(change: Change) -> None:
        queue.seen.append(change.keys["id"])
        if change.keys["id"] == "a1":
            raise next(endings)

    queue.deliver(handler)
    assert queue.seen == ["a1", "a1", "a1", "a2"]
    assert queue.parked == ["a1"]
    assert queue.objects == {}


@pytest.mark.usefixtures("bucket")
def test_a_crash_forgets_the_failures_before_it_that_only_the_process_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = queue_of(monkeypatch, ("a1", "a"))
    endings = iter([RuntimeError("down"), Crash(), *[RuntimeError("down")] * 2])

    @consumer
    def handler(change: Change) -> None:
        queue.seen.append(change.keys["id"])
        ending = next(endings)
        if isinstance(ending, Crash):
            monkeypatch.setattr("handlers.cdc.message_starts._memory", {})
        raise ending

    queue.deliver(handler)
    assert queue.seen == ["a1"] * 4
    assert queue.parked == ["a1"]


@pytest.mark.usefixtures("bucket")
def test_failures_of_a_process_that_lives_are_remembered_and_not_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_of(monkeypatch, ("a1", "a"), ("b1", "b"), ("a2", "a"))
    noted: list[str] = []
    put = queue.put_object
    monkeypatch.setattr(queue, "put_object", lambda **request: noted.append(request["Key"]) or put(**request))

    @consumer
    def handler(change: Change) -> None:
        queue.seen.append(change.keys["id"])
        if change.keys["id"] in ("a1", "b1"):
            raise RuntimeError("down")

    queue.deliver(handler)
    assert queue.seen == ["a1", "b1", "a1", "b1", "a1", "b1", "a2"]
    assert [key.split("/")[0] for key in noted] == ["discarded", "discarded"]


@pytest.mark.usefixtures("bucket")
def test_another_process_notes_the_starts_that_it_cannot_remember(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_of(monkeypatch, ("a1", "a"), ("a2", "a"))

    @consumer
    def handler(change: Change) -> None:
        monkeypatch.setattr("handlers.cdc.message_starts._memory", {})  # each receive is another process's
        queue.seen.append(change.keys["id"])
        if change.keys["id"] == "a1":
            raise RuntimeError("down")

    def in_processes() -> None:
        for _ in range(5):
            queue.deliver(handler, most=1)
            monkeypatch.setattr("handlers.cdc.message_starts._memory", {})
            queue.now += 1000

    in_processes()
    assert queue.seen == ["a1", "a1", "a1", "a2"]
    assert queue.parked == ["a1"]
    assert queue.objects == {}


@pytest.mark.usefixtures("bucket")
def test_a_whole_batch_that_fails_together_is_taken_apart_at_its_next_receive(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_of(monkeypatch, ("a1", "a"), ("a2", "a"), ("a3", "a"))
    calls: list[list[str]] = []

    @consumer(whole_batch=True)
    def handler(changes: Sequence[Change]) -> None:
        calls.append([change.keys["id"] for change in changes])
        if any(change.keys["id"] == "a2" for change in changes):
            raise RuntimeError("down")

    queue.deliver(handler)
    assert calls[:3] == [["a1", "a2", "a3"], ["a1"], ["a2"]]
    assert calls[-1] == ["a3"]
    assert queue.parked == ["a2"]


@pytest.mark.usefixtures("bucket")
def test_a_message_that_asks_to_be_put_off_is_never_counted_as_started(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_of(monkeypatch, ("a1", "a"), ("a2", "a"))

    @consumer
    def handler(change: Change) -> None:
        queue.seen.append(change.keys["id"])
        if len(queue.seen) <= 10:
            raise RetryAfter(90)

    queue.deliver(handler, most=50)
    assert queue.seen == ["a1"] * 11 + ["a2"]
    assert queue.finished == {"a1": 900.0, "a2": 900.0}
    assert queue.parked == []


@pytest.mark.usefixtures("bucket")
def test_without_the_noted_starts_the_receive_count_stands_in(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queue = queue_of(monkeypatch, ("a1", "a"), ("a2", "a"))
    queue.s3_is_down = True
    queue.deliver(crashing(queue, monkeypatch, "a1"))
    assert queue.seen == ["a1", "a1", "a1", "a2"]
    assert queue.parked == ["a1"]
    assert "the number of starts of a message could not be read" in caplog.text


@pytest.mark.usefixtures("bucket")
def test_a_suspect_group_that_finds_no_time_comes_back_at_once_and_uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_of(monkeypatch, ("a1", "a"), ("b1", "b"))
    queue.messages[1]["attributes"]["ApproximateReceiveCount"] = "1"
    short = Invocation(seconds=5)

    @consumer
    def handler(change: Change) -> None:
        queue.seen.append(change.keys["id"])
        monkeypatch.setattr(short, "_ends", 0)

    queue.deliver(handler, most=1, invocation=lambda: short)
    assert queue.seen == ["a1"]
    assert queue.objects == {}
    queue.deliver(handler)
    assert queue.seen == ["a1", "b1"]
    assert queue.now == 0.0


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("size", [3, 25])
def test_in_a_standard_queue_a_deadly_message_does_not_keep_others_from_being_tried(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    queue = queue_of(monkeypatch, *((str(n), str(n)) for n in range(size)))
    for message in queue.messages:
        message["eventSourceARN"] = message["eventSourceARN"].removesuffix(".fifo")
    queue.deliver(crashing(queue, monkeypatch, "0"), most=8)
    assert set(queue.finished) == {str(n) for n in range(1, size)}
    assert max(queue.finished.values()) <= 3 * queue.VISIBILITY
    assert queue.parked == []  # it is left to the queue's redrive policy


def test_messages_of_a_standard_queue_that_are_received_for_the_first_time_keep_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = queue_of(monkeypatch, *((str(n), str(n)) for n in range(5)))
    for message in queue.messages:
        message["eventSourceARN"] = message["eventSourceARN"].removesuffix(".fifo")
    deleted: list[Any] = []
    monkeypatch.setattr("handlers.cdc.queue_batch.delete", deleted.append)
    queue.deliver(crashing(queue, monkeypatch))
    assert queue.seen == ["0", "1", "2", "3", "4"]
    assert deleted == []
