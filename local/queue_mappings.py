"""Running an event source mapping of a queue: one thread that receives, and one for each invocation.

The queue is ministack's, reached through SQS's API. It keeps what AWS's does: visibility timeouts, receive counts, the
order within message groups, the redrive to a dead-letter queue. What fails is left alone here, so that it comes back
when its visibility timeout is over.
"""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aws_limits import INVOCATION_PAYLOAD_BYTES
from local.clients import error_code, request_id
from local.clock import Clock
from local.history import History, Invocation
from local.history import Outcome as OutcomeName
from local.metrics import Metrics
from local.queue_batches import Message, QueueSettings, as_record, by_group, failed_messages, selected
from local.roles import Caller, Roles

#: Messages that one ReceiveMessage or DeleteMessageBatch takes.
MESSAGES_PER_CALL = 10

#: Seconds between two looks at a queue that holds messages which are delayed or in flight.
LOOK_AGAIN_SECONDS = 0.1

_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True)
class QueueSurroundings:
    """What mappings of queues share: boto3 clients of SQS and Lambda, the functions' roles, the clock, the metrics."""

    queues: Any
    functions: Any
    roles: Roles
    clock: Clock
    metrics: Metrics


@dataclass(frozen=True)
class QueueTarget:
    """What a mapping connects.

    Attributes:
        queue_url: Of the queue whose ARN `stream_arn` is.
        role: The function's, which the queue is read with.
    """

    uuid: str
    function_arn: str
    stream_arn: str
    queue_url: str
    role: Caller

    @property
    def function_name(self) -> str:
        """The function's name."""
        return self.function_arn.split(":")[6]


class QueueRunner:
    """Delivers one queue until it is stopped."""

    def __init__(
        self, target: QueueTarget, settings: QueueSettings, *, surroundings: QueueSurroundings, history: History
    ) -> None:
        self._target = target
        self._settings = settings
        self._with = surroundings
        self._history = history
        self._batches: deque[Sequence[Message]] = deque()
        self._received: list[Message] = []
        self._running: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._idle = False
        self._thread = threading.Thread(target=self._run, name=f"mapping-{target.uuid}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There may be messages, or time has passed."""
        self._wake.set()

    def stop(self) -> None:
        """Receive no more; invocations that run now go on to their end."""
        self._stopping = True
        self._wake.set()

    def join(self) -> None:
        """Wait until it and its invocations have ended."""
        self._thread.join()
        for thread in list(self._running):
            thread.join()

    @property
    def idle(self) -> bool:
        """Whether the queue is empty: no message waits, is delayed or in flight."""
        return self._idle and not self._wake.is_set()

    @property
    def unfinished(self) -> int:
        """How many batches are being delivered or wait for an invocation."""
        return len(self._running) + len(self._batches)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            self._idle = False
            while self._batches and len(self._running) < self._settings.concurrency:
                self._start(self._batches.popleft())
            if self._batches:
                self._wake.wait()
            elif not self._receive_batches():
                self._wait_for_messages()

    def _receive_batches(self) -> bool:
        """Receive one batch, or one for each message group; whether there was anything."""
        self._receive(self._missing())
        until = self._with.clock.now() + self._settings.batching_window
        while self._received and self._missing() > 0 and not self._stopping:
            left = until - self._with.clock.now()
            if left <= 0:
                break
            if not self._receive(self._missing()):
                self._wake.wait(min(left, LOOK_AGAIN_SECONDS))
                self._wake.clear()
        batch, self._received = _cut(self._received, self._settings.batch_size)
        self._batches.extend(by_group(batch))
        return bool(batch)

    def _missing(self) -> int:
        full = sum(len(message["Body"]) for message in self._received) >= INVOCATION_PAYLOAD_BYTES
        return 0 if full else self._settings.batch_size - len(self._received)

    def _receive(self, most: int) -> int:
        """Receive messages, delete those that no filter matches, and say how many are left."""
        if most <= 0 or not self._may("ReceiveMessage"):
            return 0
        try:
            messages = self._with.queues.receive_message(
                QueueUrl=self._target.queue_url,
                MaxNumberOfMessages=min(most, MESSAGES_PER_CALL),
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
                WaitTimeSeconds=0,
            ).get("Messages", [])
        except (ClientError, BotoCoreError):
            # The queue may be gone; the mapping stays, as on AWS.
            return 0
        wanted = [each for each in messages if selected(self._record(each), self._settings.filters)]
        others = [each for each in messages if each not in wanted]
        if messages:
            self._count("PolledEventCount", len(messages))
        if others:
            self._count("FilteredOutEventCount", len(others))
            self._delete(others)
        self._received += wanted
        return len(wanted)

    def _wait_for_messages(self) -> None:
        try:
            held = self._with.queues.get_queue_attributes(QueueUrl=self._target.queue_url, AttributeNames=["All"])
        except (ClientError, BotoCoreError):
            self._idle = not self._running
            self._wake.wait()
            return
        counts = [int(held["Attributes"].get(name, 0)) for name in _COUNTS]
        self._idle = not any(counts) and not self._running
        self._wake.wait(LOOK_AGAIN_SECONDS if any(counts) else None)

    def _start(self, batch: Sequence[Message]) -> None:
        thread = threading.Thread(target=self._deliver, args=(batch,), name=self._thread.name, daemon=True)
        with self._lock:
            self._running.add(thread)
        thread.start()

    def _deliver(self, batch: Sequence[Message]) -> None:
        try:
            now = self._with.clock.now()
            call = str(uuid.uuid4())
            outcome, failed, error_type = self._invoke(batch, call)
            done = [message for message in batch if message["MessageId"] not in failed]
            if outcome not in ("throttled", "service error"):
                self._count("InvokedEventCount", len(batch))
                self._count("FailedInvokeEventCount", len(failed))
            self._delete(done)
            self._count("DeletedEventCount", len(done))
            first = batch[0]["Attributes"]
            self._history.add(
                Invocation(
                    at=now,
                    shard_id=first.get("MessageGroupId", ""),
                    request_id=call,
                    attempt=max(int(message["Attributes"]["ApproximateReceiveCount"]) for message in batch),
                    identifiers=[message["MessageId"] for message in batch],
                    keys=[],
                    outcome=outcome,
                    accepted=len(done),
                    error_type=error_type,
                    bisected=False,
                    iterator_age_ms=max(0, round(now * 1000 - int(first["SentTimestamp"]))),
                )
            )
        finally:
            with self._lock:
                self._running.discard(threading.current_thread())
            self._wake.set()

    def _invoke(self, batch: Sequence[Message], call: str) -> tuple[OutcomeName, frozenset[str], str | None]:
        """What came of an invocation, which messages failed, and the function's error."""
        ids = [message["MessageId"] for message in batch]
        payload = json.dumps({"Records": [self._record(message) for message in batch]}, default=_binary)
        named = request_id.set(call)
        try:
            answer = self._with.functions.invoke(FunctionName=self._target.function_arn, Payload=payload)
            content = json.loads(answer["Payload"].read() or b"null")
        except ClientError as refused:
            throttled = error_code(refused) == "TooManyRequestsException"
            return "throttled" if throttled else "service error", frozenset(ids), None
        except BotoCoreError:
            return "service error", frozenset(ids), None
        finally:
            request_id.reset(named)
        if "FunctionError" in answer:
            error_type = content.get("errorType") if isinstance(content, dict) else None
            return "timeout" if error_type == "Sandbox.Timedout" else "error", frozenset(ids), error_type
        failed = failed_messages(content, ids) if self._settings.report_batch_item_failures else frozenset[str]()
        return ("success" if not failed else "partial" if len(failed) < len(ids) else "error"), failed, None

    def _record(self, message: Message) -> Mapping[str, Any]:
        return as_record(message, queue_arn=self._target.stream_arn)

    def _may(self, operation: str) -> bool:
        """Whether the function's role allows an operation on the queue."""
        return not self._with.roles.refusal(self._target.role, [(f"sqs:{operation}", self._target.stream_arn)])

    def _delete(self, messages: Sequence[Message]) -> None:
        if not self._may("DeleteMessage"):
            return  # they come back
        for start in range(0, len(messages), MESSAGES_PER_CALL):
            entries = [
                {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                for index, message in enumerate(messages[start : start + MESSAGES_PER_CALL])
            ]
            try:
                self._with.queues.delete_message_batch(QueueUrl=self._target.queue_url, Entries=entries)
            except (ClientError, BotoCoreError):
                return  # they come back, as when AWS could not delete them

    def _count(self, name: str, value: int) -> None:
        if self._settings.event_count:
            self._with.metrics.record(name, value, at=self._with.clock.now(), EventSourceMappingUUID=self._target.uuid)


def _cut(messages: list[Message], most: int) -> tuple[list[Message], list[Message]]:
    """A batch within the size and the payload of one invocation, and what is left."""
    size = 0
    for index, message in enumerate(messages):
        size += len(message["Body"].encode())
        if index == most or (index and size > INVOCATION_PAYLOAD_BYTES):
            return messages[:index], messages[index:]
    return messages, []


def _binary(value: Any) -> str:
    return base64.b64encode(value).decode()
