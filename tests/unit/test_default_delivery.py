"""A real consumer under the program's default settings, in virtual time: an outage or a kill dead-letters nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from components.delivery import StreamDelivery
from handlers.cdc import Change, EffectLedger, consumer
from handlers.cdc.testing import InMemoryLedger
from local.engine.actions import GiveUp, Invoke, Lose
from local.engine.clock import VirtualClock
from local.engine.outcomes import Failed, Outcome, Succeeded, read_response
from local.engine.streams.documents import event_of
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings
from local.simulation.report import Identifiers
from local.simulation.stream_run import Feed, Simulation

DEFAULTS = StreamDelivery()
SETTINGS = MappingSettings(
    batch_size=DEFAULTS.batch_size,
    batching_window=DEFAULTS.maximum_batching_window_in_seconds,
    parallelization_factor=DEFAULTS.parallelization_factor,
    maximum_retry_attempts=DEFAULTS.maximum_retry_attempts,
    maximum_record_age=DEFAULTS.maximum_record_age_in_seconds,
    bisect=DEFAULTS.bisect_batch_on_function_error,
    report_batch_item_failures=DEFAULTS.report_batch_item_failures,
    destination="arn:aws:s3:::failures",
    retention=86_400,
)
ARN = "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000"
TIMEOUT = 30.0


class Killed(BaseException):
    """The execution environment is gone: nothing after this point runs."""


@dataclass
class Process:
    """A handler in this process whose own time passes only when it waits; Lambda's part around it."""

    handler: Callable[..., Any]
    began: float = 0.0
    waited: float = 0.0

    def clock(self) -> float:
        return self.began + self.waited

    def sleep(self, seconds: float) -> None:
        self.waited += seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((TIMEOUT - self.waited) * 1000)

    def __call__(self, invoke: Invoke, now: float) -> tuple[Outcome, float]:
        self.began, self.waited = now, 0.0
        event = event_of(invoke.records, invoke.window, stream_arn=ARN, shard_id="shard")
        try:
            answer = self.handler(event, self)
        except (ConnectionError, RuntimeError, Killed):
            return Failed("Unhandled"), self.waited
        identifiers = [record.identifier for record in invoke.records]
        return read_response(answer, identifiers, reports=True, windowed=False), self.waited


@dataclass
class Seen:
    """A sink that keeps what must not happen, and what must."""

    given_up: list[GiveUp | Lose] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def invoked(self, invoke: Invoke, outcome: Outcome, now: float) -> None:
        self.outcomes.append(outcome)

    def gave_up(self, given_up: GiveUp, delivered: bool | None, now: float) -> None:
        self.given_up.append(given_up)

    def lost(self, lose: Lose, now: float) -> None:
        self.given_up.append(lose)

    def filtered_out(self, records: Sequence[StreamRecord]) -> None:
        raise AssertionError("there are no filters")


class KillsAfterTheClaim(InMemoryLedger):
    """A ledger whose worker dies right after it claimed one key, the first time."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key: str | None = key

    def claim(self, key: str, owner: str, **rest: Any) -> Any:
        held = super().claim(key, owner, **rest)
        if key.endswith(f"#{self.key}"):
            self.key = None
            raise Killed
        return held


def deliver(process: Process, *, users: int, every: float) -> Seen:
    records = (
        StreamRecord(
            {
                "eventID": f"{number:032x}",
                "eventName": "INSERT",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "us-east-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": float(int(number * every)),
                    "Keys": {"userId": {"S": f"u{number}"}},
                    "NewImage": {"userId": {"S": f"u{number}"}},
                    "SequenceNumber": str(10**21 + number),
                    "SizeBytes": 20,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
                "eventSourceARN": ARN,
            },
            arrived=float(int(number * every)),
            visible=number * every,
        )
        for number in range(users)
    )
    seen, identifiers = Seen(), Identifiers()
    simulation = Simulation(
        SETTINGS,
        [Feed("shard", records)],
        process,
        sink=seen,
        clock=VirtualClock(0.0),
        until=86_400.0,
        new_request_id=lambda: str(identifiers.next()),
    )
    simulation.run()
    assert simulation.mapping.unfinished("shard") == []
    return seen


@pytest.fixture
def once() -> list[str]:
    """The effects that came about, in order."""
    return []


def welcomes(ledger: EffectLedger, effect: Callable[[Change], None]) -> Callable[..., Any]:
    @consumer
    def handler(change: Change) -> None:
        ledger.once(f"welcome:{change.keys['userId']}", effect, change)

    return handler


def test_a_three_minute_outage_of_a_backend_dead_letters_nothing(once: list[str]):
    process = Process(lambda event, context: None)
    ledger = EffectLedger(store=InMemoryLedger(), clock=process.clock, sleep=process.sleep)

    def effect(change: Change) -> None:
        if 20 <= process.clock() < 200:
            raise ConnectionError("the backend is down")
        once.append(change.keys["userId"])

    process.handler = welcomes(ledger, effect)
    seen = deliver(process, users=300, every=1.0)
    assert seen.given_up == []
    assert once == [f"u{number}" for number in range(300)]


@pytest.mark.parametrize("outage", [1, 10, 60, 180, 240])
def test_outages_shorter_than_the_retry_horizon_dead_letter_nothing(once: list[str], outage: int):
    process = Process(lambda event, context: None)
    ledger = EffectLedger(store=InMemoryLedger(), clock=process.clock, sleep=process.sleep)

    def effect(change: Change) -> None:
        if process.clock() < outage:
            raise ConnectionError("the backend is down")
        once.append(change.keys["userId"])

    process.handler = welcomes(ledger, effect)
    assert deliver(process, users=10, every=0.1).given_up == []
    assert once == [f"u{number}" for number in range(10)]


def test_a_kill_after_the_claim_dead_letters_nothing_and_repeats_nothing(once: list[str]):
    process = Process(lambda event, context: None)
    store = KillsAfterTheClaim("welcome:u3")
    ledger = EffectLedger(store=store, clock=process.clock, sleep=process.sleep)
    process.handler = welcomes(ledger, lambda change: once.append(change.keys["userId"]))
    seen = deliver(process, users=8, every=0.1)
    assert store.key is None  # the kill came about
    assert seen.given_up == []
    assert once == [f"u{number}" for number in range(8)]


def test_a_kill_in_every_first_claim_of_an_outage_still_dead_letters_nothing(once: list[str]):
    process = Process(lambda event, context: None)
    store = KillsAfterTheClaim("welcome:u0")
    ledger = EffectLedger(store=store, clock=process.clock, sleep=process.sleep)

    def effect(change: Change) -> None:
        if process.clock() < 180:
            raise ConnectionError("the backend is down")
        once.append(change.keys["userId"])

    process.handler = welcomes(ledger, effect)
    seen = deliver(process, users=4, every=0.1)
    assert seen.given_up == []
    assert isinstance(seen.outcomes[-1], Succeeded)
    assert once == ["u0", "u1", "u2", "u3"]
