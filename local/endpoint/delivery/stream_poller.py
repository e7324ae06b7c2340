"""`StreamPoller`: reads a stream's shards and carries out the actions of the delivery machine in real time.

One thread asks the machine; every invocation runs in a thread of its own, so that lanes do not wait for each other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from aws_semantics.limits import STREAM_POLL_SECONDS
from local.endpoint.clients import is_throttling
from local.endpoint.delivery.polling_thread import PollingThread
from local.endpoint.readers.stream_shard import Reader
from local.engine.actions import GiveUp, Invoke, Lose
from local.engine.clock import Clock
from local.engine.outcomes import Outcome, Throttled
from local.engine.streams.batches import StreamBatches
from local.engine.streams.records import StreamRecord

logger = logging.getLogger(__name__)

#: Seconds before a shard that could not be read is read again.
READ_AGAIN_SECONDS = 1.0


class StreamRunner(Protocol):
    """The side of an event source mapping, or of a pipe, that a stream is delivered to."""

    def admit(self) -> None:
        """Check the permission to read.

        Raises:
            ClientError: The reading is not allowed.
        """
        ...

    def identify(self, record: StreamRecord) -> StreamRecord:
        """Make the record that the machine sees from one that was read."""
        ...

    def deliver(self, call: Invoke) -> Outcome:
        """Deliver a batch, in a thread of its own, and return the outcome."""
        ...

    def give_up(self, given_up: GiveUp) -> bool | None:
        """Send records that were given up; return whether they were delivered, `None` without a destination."""
        ...

    def lose(self, lost: Lose) -> None:
        """Note records that the stream has forgotten."""
        ...

    def throttled(self, shard_id: str) -> None:
        """Note that a shard was read too often. It is read again after one period of the base rate."""
        ...

    def unreadable(self, failure: Exception) -> None:
        """Note another reason why a shard could not be read. It is read again a second later."""
        ...


class StreamPoller(PollingThread):
    """Delivers a stream until it is stopped. What it did not finish is read again by the next poller.

    Args:
        machine: The state machine that decides.
        readers: A reader for each shard.
        runner: The mapping or pipe that the records are delivered to.
        name: Name of its threads.
        clock: The machine's clock.
        counted: Whether polls are counted.
    """

    def __init__(
        self,
        machine: StreamBatches,
        readers: Sequence[Reader],
        runner: StreamRunner,
        *,
        name: str,
        clock: Clock,
        counted: bool,
    ) -> None:
        super().__init__(name, clock, counted=counted)
        self._machine = machine
        self._readers = readers
        self._runner = runner
        #: Times before which throttled shards are not read again, whatever is written meanwhile.
        self._throttled_until: dict[str, float] = {}
        self._outcomes: SimpleQueue[tuple[Invoke, Outcome]] = SimpleQueue()
        self._running = 0
        self._ended: set[str] = set()

    @property
    def unfinished(self) -> int:
        """Number of records that were read and are not finished."""
        return sum(len(self._machine.unfinished(reader.shard_id)) for reader in self._readers)

    def _run(self) -> None:
        for reader in self._readers:
            self._machine.open(reader.shard_id, (), self._clock.now())
        while not self._stopping:
            self._idle = False
            self._wake.clear()
            read_again_at = self._read()
            self._finish()
            for action in self._machine.next(self._clock.now()):
                self._do(action)
            at = min((each for each in (self._machine.wake_at, read_again_at) if each is not None), default=None)
            self._idle = not self._running and at is None
            self._sleep(None if at is None else max(0.0, at - self._clock.now()))
        while self._running:
            self._take(*self._outcomes.get())
        for reader in self._readers:
            reader.rewind(self._machine.checkpoints[reader.shard_id])

    def _read(self) -> float | None:
        """Read every shard; return when to read those again that could not be read, `None` if all could."""
        again = [self._read_shard(reader) for reader in self._readers if self._machine.wants(reader.shard_id)]
        return min((at for at in again if at is not None), default=None)

    def _read_shard(self, reader: Reader) -> float | None:
        """Read one shard; return when to read it again if it could not be read."""
        shard_id, now = reader.shard_id, self._clock.now()
        if now < self._throttled_until.get(shard_id, now):
            return self._throttled_until[shard_id]
        records: list[StreamRecord] = []
        again: float | None = None
        try:
            self._runner.admit()
            for record in reader.read():
                records.append(self._runner.identify(record))  # noqa: PERF401 - those before a failure count
        except (ClientError, BotoCoreError) as failure:
            if isinstance(failure, ClientError) and is_throttling(failure):
                self._runner.throttled(shard_id)
                again = self._throttled_until[shard_id] = now + STREAM_POLL_SECONDS
            else:
                self._runner.unreadable(failure)
                again = now + READ_AGAIN_SECONDS
        self._machine.add(shard_id, records, self._clock.now())
        if reader.ended and shard_id not in self._ended:
            self._ended.add(shard_id)
            self._machine.end(shard_id, self._clock.now())
        return again

    def _finish(self) -> None:
        while True:
            try:
                self._take(*self._outcomes.get_nowait())
            except Empty:
                return

    def _take(self, call: Invoke, outcome: Outcome) -> None:
        self._running -= 1
        self._machine.finished(call, outcome, self._clock.now())

    def _do(self, action: Invoke | GiveUp | Lose) -> None:
        match action:
            case Invoke():
                self._running += 1
                threading.Thread(target=self._call, args=(action,), name=self.name, daemon=True).start()
            case GiveUp():
                delivered = self._runner.give_up(action)
                self._machine.sent(action, delivered=delivered, now=self._clock.now())
            case Lose():
                self._runner.lose(action)

    def _call(self, call: Invoke) -> None:
        try:
            outcome = self._runner.deliver(call)
        except Exception:
            # The lane must not wait forever for an answer, and its records are not to blame.
            logger.exception("%s", self.name)
            outcome = Throttled()
        self._outcomes.put((call, outcome))
        self._wake.set()
