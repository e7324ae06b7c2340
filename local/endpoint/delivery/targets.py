"""Deliveries of events to targets of rules and schedules: retries, dead letters, the rate of API destinations."""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from local.engine.buses.retries import Condition, RetryPolicy, pause
from local.engine.clock import Clock

logger = logging.getLogger(__name__)

#: Requests to API destinations at once.
_WORKERS = 8


class NotDelivered(Exception):
    """A target that did not take an event.

    Attributes:
        code: AWS's ERROR_CODE of dead letters.
        retried: Whether the event is tried again.
        after: Seconds that the target asks to be left alone; `None` if it does not.
    """

    def __init__(self, code: str, message: str, *, retried: bool, after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retried = retried
        self.after = after


@dataclass
class Delivery:
    """An event on its way to one target.

    Attributes:
        source: ARN of the rule, or of the schedule's group.
        service: The service that delivers, e.g. `events.amazonaws.com`.
        target: The target in AWS's members: Arn, RoleArn, RetryPolicy, DeadLetterConfig and the service's parameters.
        payload: The text for the target.
        letter: The text of a dead letter.
        attributes: Attributes of a dead letter that only this service has.
        created: When the event came, in seconds since 1970.
        retries: How often it was tried again.
        has_slot: Whether it has had to wait for the destination's rate, and need not again.
    """

    source: str
    service: str
    target: Mapping[str, Any]
    payload: str
    letter: str
    created: float
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    retries: int = 0
    has_slot: bool = False


#: Delivers once.
Send = Callable[[Delivery], None]
#: Puts a body with attributes into a dead-letter queue on behalf of a source; returns whether it could.
Park = Callable[[Delivery, str, Mapping[str, str]], bool]
#: Returns the calls per second that a target takes; `None` for any number.
RateOf = Callable[[Delivery], float | None]


class TargetDeliveries:
    """Every delivery that waits, and the thread that makes them.

    Args:
        send: Delivers once; raises `NotDelivered`.
        park: Puts a dead letter into its queue.
        rate_of: Returns a target's rate.
        clock: The clock of pauses and ages.
    """

    def __init__(self, send: Send, park: Park, rate_of: RateOf, clock: Clock) -> None:
        self._send = send
        self._park = park
        self._rate_of = rate_of
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, Delivery]] = []
        self._next_slot: dict[str, float] = {}
        self._closed = False
        self._pool = ThreadPoolExecutor(_WORKERS, "targets")
        self._thread = threading.Thread(target=self._run, name="targets", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def close(self) -> None:
        """Stop delivering; what waits is lost."""
        self._closed = True
        self._clock.wake()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def deliver(self, delivery: Delivery) -> None:
        """Deliver an event as soon as the target's rate allows."""
        self._wait(delivery, self._clock.now())

    def attempt(self, delivery: Delivery) -> None:
        """Try once, in this thread, and see to what follows if it fails."""
        try:
            self._send(delivery)
        except NotDelivered as failed:
            self._follow(delivery, failed)
        except Exception:
            logger.exception("an event of %s could not be delivered to %s", delivery.source, delivery.target["Arn"])
            self._follow(
                delivery, NotDelivered("INTERNAL_ERROR", "the local endpoint failed; see its log", retried=True)
            )

    def _follow(self, delivery: Delivery, failed: NotDelivered) -> None:
        now, policy = self._clock.now(), RetryPolicy.of(delivery.target.get("RetryPolicy") or {})
        exhausted = policy.exhausted(delivery.retries, now - delivery.created)
        if failed.retried and exhausted is None:
            seconds = max(pause(delivery.retries), failed.after or 0.0)
            delivery.retries += 1
            delivery.has_slot = False
            # The last attempt comes when the event's time is up, however long the pause.
            self._wait(delivery, min(now + seconds, max(now + 1.0, delivery.created + policy.seconds)))
            return
        self._give_up(delivery, failed, exhausted if failed.retried else None)

    def _give_up(self, delivery: Delivery, failed: NotDelivered, exhausted: Condition | None) -> None:
        attributes = {
            "TARGET_ARN": delivery.target["Arn"],
            "ERROR_CODE": failed.code,
            "ERROR_MESSAGE": str(failed)[:1024],
            "RETRY_ATTEMPTS": str(delivery.retries),
            **({} if exhausted is None else {"EXHAUSTED_RETRY_CONDITION": exhausted}),
            **delivery.attributes,
        }
        queue = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
        if queue is None or not self._park(delivery, queue, attributes):
            logger.warning("an event of %s is lost: %s", delivery.source, json.dumps(attributes))

    def _wait(self, delivery: Delivery, until: float) -> None:
        with self._lock:
            heapq.heappush(self._waiting, (until, next(self._numbers), delivery))
        self._clock.wake()

    def _run(self) -> None:
        while not self._closed:
            first = self._first()
            self._clock.wait_until(first, lambda first=first: self._closed or self._first() < first)
            for delivery in self._due():
                self._pool.submit(self.attempt, delivery)

    def _first(self) -> float:
        with self._lock:
            return self._waiting[0][0] if self._waiting else float("inf")

    def _due(self) -> list[Delivery]:
        """Take what is due, apart from what its destination's rate puts off."""
        now, due = self._clock.now(), list[Delivery]()
        with self._lock:
            while not self._closed and self._waiting and self._waiting[0][0] <= now:
                _, _, delivery = heapq.heappop(self._waiting)
                rate = None if delivery.has_slot else self._rate_of(delivery)
                if rate is not None:
                    target = delivery.target["Arn"]
                    slot = max(now, self._next_slot.get(target, now))
                    self._next_slot[target] = slot + 1 / rate
                    delivery.has_slot = True
                    if slot > now:
                        heapq.heappush(self._waiting, (slot, next(self._numbers), delivery))
                        continue
                due.append(delivery)
        return due
