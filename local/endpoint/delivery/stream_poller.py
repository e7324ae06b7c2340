"""`Poller`: reads a stream's shards and does what a delivery machine says, with the endpoint's clock.

One thread asks the machine; every invocation runs in a thread of its own, so that lanes do not wait for each other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from botocore.exceptions import BotoCoreError, ClientError

from aws_semantics.limits import STREAM_POLL_SECONDS
from local.endpoint.clients import is_throttling
from local.endpoint.readers.stream_shard import Reader
from local.engine.clock import Clock
from local.engine.streams.lane import GiveUp, Invoke, Lose
from local.engine.streams.mapping import EventSourceMapping
from local.engine.streams.outcomes import Outcome, Throttled
from local.engine.streams.records import StreamRecord

logger = logging.getLogger(__name__)

#: Seconds before shards are read again that could not be read.
READ_AGAIN_SECONDS = 1.0


class Poller:
    """Runs one machine until it is stopped.

    Args:
        machine: Says what to do.
        readers: Where the records come from, one for each shard.
        name: Of its threads.
        clock: What the machine goes by.
        invoke: Makes an invocation, in a thread of its own, and answers what it came to.
        give_up: Sends records that were given up, and answers whether they were delivered; `None` without a
            destination.
        identify: Makes the record that the machine sees of one that was read.
        admit: Called before a shard is read; raises what the reading then fails with.
        lose: Is told what the stream forgot; nobody else is.
        throttled: Is told of a shard that was read too often; it is read again after one period of the base rate.
        unreadable: Is told why else a shard could not be read; it is tried again.
    """

    def __init__(
        self,
        machine: EventSourceMapping,
        readers: Sequence[Reader],
        *,
        name: str,
        clock: Clock,
        invoke: Callable[[Invoke], Outcome],
        give_up: Callable[[GiveUp], bool | None],
        identify: Callable[[StreamRecord], StreamRecord] = lambda record: record,
        admit: Callable[[], None] = lambda: None,
        lose: Callable[[Lose], None] | None = None,
        throttled: Callable[[str], None] | None = None,
        unreadable: Callable[[Exception], None] | None = None,
    ) -> None:
        self._machine = machine
        self._readers = readers
        self._name = name
        self._clock = clock
        self._invoke = invoke
        self._give_up = give_up
        self._identify = identify
        self._admit = admit
        self._lose = lose or _ignore
        self._throttled = throttled or _ignore
        self._unreadable = unreadable or _ignore
        #: When shards that were read too often are read again; not earlier, whatever is written meanwhile.
        self._throttled_until: dict[str, float] = {}
        self._outcomes: SimpleQueue[tuple[Invoke, Outcome]] = SimpleQueue()
        self._running = 0
        self._ended: set[str] = set()
        self._wake = threading.Event()
        self._stopping = False
        self._idle = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to read, or time has passed."""
        self._wake.set()

    def stop(self) -> None:
        """End after the invocations that run now; what they did not finish is read again by the next poller."""
        self._stopping = True
        self._wake.set()

    def join(self) -> None:
        """Wait until it has ended and its readers are back behind the last record that is done with."""
        self._thread.join()

    @property
    def idle(self) -> bool:
        """Whether every record that was written is done with."""
        return self._idle and not self._wake.is_set()

    @property
    def unfinished(self) -> int:
        """How many records that were read are not done with."""
        return sum(len(self._machine.unfinished(reader.shard_id)) for reader in self._readers)

    def _run(self) -> None:
        for reader in self._readers:
            self._machine.open(reader.shard_id, None, self._clock.now())
        while not self._stopping:
            self._idle = False
            self._wake.clear()
            read_again_at = self._read()
            self._finish()
            for action in self._machine.next(self._clock.now()):
                self._do(action)
            at = min((each for each in (self._machine.wake_at, read_again_at) if each is not None), default=None)
            self._idle = not self._running and at is None
            self._wake.wait(None if at is None else max(0.0, at - self._clock.now()))
        while self._running:
            self._take(*self._outcomes.get())
        for reader in self._readers:
            reader.rewind(self._machine.checkpoints[reader.shard_id])

    def _read(self) -> float | None:
        """Read what there is; when to read again what could not be read, `None` when everything could."""
        again = [self._read_shard(reader) for reader in self._readers if self._machine.wants(reader.shard_id)]
        return min((at for at in again if at is not None), default=None)

    def _read_shard(self, reader: Reader) -> float | None:
        """The same of one shard."""
        shard_id, now = reader.shard_id, self._clock.now()
        if now < self._throttled_until.get(shard_id, now):
            return self._throttled_until[shard_id]
        records: list[StreamRecord] = []
        again: float | None = None
        try:
            self._admit()
            for record in reader.read():
                records.append(self._identify(record))  # noqa: PERF401 - those before a failure count
        except (ClientError, BotoCoreError) as failure:
            if isinstance(failure, ClientError) and is_throttling(failure):
                self._throttled(shard_id)
                again = self._throttled_until[shard_id] = now + STREAM_POLL_SECONDS
            else:
                self._unreadable(failure)
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
                threading.Thread(target=self._call, args=(action,), name=self._name, daemon=True).start()
            case GiveUp():
                delivered = self._give_up(action)
                self._machine.sent(action, delivered=delivered, now=self._clock.now())
            case Lose():
                self._lose(action)

    def _call(self, call: Invoke) -> None:
        try:
            outcome = self._invoke(call)
        except Exception:
            # The lane must not wait for ever for an answer, and its records are not to blame.
            logger.exception("%s", self._name)
            outcome = Throttled()
        self._outcomes.put((call, outcome))
        self._wake.set()


def _ignore(_: object) -> None:
    """Nobody wants to know."""
