"""Calls and effects follow the time that is left: nothing outlasts the invocation, and nothing is started too late."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from handlers.cdc import Change, EffectInProgress, EffectLedger, OutOfTime, consumer
from handlers.cdc.bounded_client import ANSWER_SECONDS, BoundedClient
from handlers.cdc.consumer import Consumer
from handlers.cdc.counters import Counters
from handlers.cdc.effect_ledger import Mode
from handlers.cdc.invocation import running
from handlers.cdc.projection import DynamoDBProjection
from handlers.cdc.testing import InMemoryLedger, Invocation, queue_event, record, stream_event


class HTTPClientError(Exception):
    """Named as the class of botocore's errors without an answer."""


class NoAnswer(HTTPClientError):
    """The time-out is over."""


class ServiceError(Exception):
    """An answer that says no."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


class World:
    """A service on a clock that only calls and pauses move, and a Lambda context that agrees with it.

    Attributes:
        seconds: What one call takes at the most; it gives up at its client's time-out.
        error: Made for each call that does not time out; `None` is an answer.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, seconds_left: float) -> None:
        self.now = 0.0
        self.ends = seconds_left
        self.seconds = 0.01
        self.error: Callable[[], Exception] | None = None
        self.timeouts: list[float] = []
        monkeypatch.setattr("handlers.cdc.bounded_client.boto3_client", self._client)
        monkeypatch.setattr("handlers.cdc.bounded_client.time.sleep", self.sleep)

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self.ends - self.now) * 1000))

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _client(self, service: str, attempts: int, timeout: float) -> Any:
        assert attempts == 1
        world = self

        class Client:
            class exceptions:  # noqa: N801 - botocore's name
                ConditionalCheckFailedException = KeyError
                TransactionCanceledException = KeyError

            def __getattr__(self, name: str) -> Callable[..., Any]:
                def call(**_: Any) -> dict[str, Any]:
                    world.timeouts.append(timeout)
                    world.now += min(world.seconds, timeout)
                    if world.seconds >= timeout:
                        raise NoAnswer
                    if world.error is not None:
                        raise world.error()
                    return {}

                return call

        return Client()


@pytest.mark.parametrize("left", [0.4, 1.0, 2.0, 5.0, 30.0])
def test_a_call_that_gets_no_answer_ends_before_the_invocation_does(
    monkeypatch: pytest.MonkeyPatch, left: float
) -> None:
    world = World(monkeypatch, seconds_left=left)
    world.seconds = 1000
    with running(world), pytest.raises((NoAnswer, OutOfTime)):
        BoundedClient("dynamodb").put_item()
    assert world.now <= left - ANSWER_SECONDS


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "ThrottlingException", "SlowDown"])
@pytest.mark.parametrize("left", [0.4, 0.6, 2.0])
def test_a_busy_service_is_asked_again_while_there_is_time(
    monkeypatch: pytest.MonkeyPatch, left: float, code: str
) -> None:
    world = World(monkeypatch, seconds_left=left)
    world.error = lambda: ServiceError(code)
    with running(world), pytest.raises((ServiceError, OutOfTime)):
        BoundedClient("dynamodb").put_item()
    assert world.now <= left - ANSWER_SECONDS + 0.1
    assert len(world.timeouts) <= 5


def test_the_time_out_follows_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: dict[float, list[float]] = {}
    for left in (30.0, 6.0, 3.0, 1.5, 0.9, 0.5, 0.2):
        world = World(monkeypatch, seconds_left=left)
        with running(world), contextlib.suppress(OutOfTime):
            BoundedClient("dynamodb").put_item()
        chosen[left] = world.timeouts
    assert chosen == {30.0: [5.0], 6.0: [2.0], 3.0: [1.0], 1.5: [0.5], 0.9: [0.25], 0.5: [0.1], 0.2: []}


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ServiceError("InternalServerError", 500), 5),
        (ServiceError("TooManyRequestsException", 429), 5),
        (NoAnswer(), 5),
        (ServiceError("ValidationException"), 1),
        (ServiceError("AccessDeniedException"), 1),
        (ValueError("not an answer at all"), 1),
    ],
    ids=repr,
)
def test_only_errors_that_pass_are_tried_again(
    monkeypatch: pytest.MonkeyPatch, error: Exception, attempts: int
) -> None:
    world = World(monkeypatch, seconds_left=100)
    world.error = lambda: error
    with running(world), pytest.raises(type(error)):
        BoundedClient("dynamodb").put_item()
    assert len(world.timeouts) == attempts


def test_outside_an_invocation_only_attempts_and_time_outs_bound_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, seconds_left=0)
    world.seconds = 1000
    with pytest.raises(NoAnswer):
        BoundedClient("dynamodb").put_item()
    assert world.timeouts == [5.0] * 5


def consumers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Consumer]:
    for variable in ("EFFECT_LEDGER_TABLE", "COUNTER_TABLE", "COPY"):
        monkeypatch.setenv(variable, "t")
    ledger, counters, copy = EffectLedger(), Counters("plans"), DynamoDBProjection("COPY")
    return {
        "ledger": consumer(lambda change: ledger.once("k", pytest.fail, "started")),
        "counters": consumer(lambda change: counters.add(change.event_id, {"pro": 1}) and None),
        "projection": consumer(lambda change: copy.put(change, {"id": "u1"}) and None),
    }


@pytest.mark.parametrize("user", ["ledger", "counters", "projection"])
@pytest.mark.parametrize("fault", ["hangs", "throttles"])
def test_whatever_uses_a_table_that_hangs_or_throttles_fails_its_record_in_time(
    monkeypatch: pytest.MonkeyPatch, user: str, fault: str
) -> None:
    world = World(monkeypatch, seconds_left=2.0)
    handler = consumers(monkeypatch)[user]
    if fault == "hangs":
        world.seconds = 1000
    else:
        world.error = lambda: ServiceError("ProvisionedThroughputExceededException")
    answer = handler(stream_event(record(new={"id": "u1", "version": 1})), world)
    assert len(answer["batchItemFailures"]) == 1
    assert world.now <= 2.0


# Effects are started only while there is time for them.


class Slow:
    """A ledger whose actions take a time of their own, on the invocation's clock."""

    def __init__(self, **arguments: Any) -> None:
        self.now = 0.0
        self.ends = 0.0
        self.started: list[str] = []
        self.store = InMemoryLedger()
        self.ledger = EffectLedger(store=self.store, clock=self.clock, sleep=self.sleep, **arguments)

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self.ends - self.now) * 1000))

    def clock(self) -> float:
        return 1_700_000_000 + self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def once(self, key: str, seconds: float) -> None:
        def action() -> None:
            self.started.append(key)
            self.sleep(seconds)

        self.ledger.once(key, action)

    def invocation(self, seconds: float) -> Any:
        self.ends = self.now + seconds
        return running(self)


def test_no_effect_is_started_with_less_time_than_the_longest_one_took() -> None:
    slow = Slow()
    with slow.invocation(10):
        slow.once("a", 6)
        with pytest.raises(OutOfTime, match=r"effect b is not started: 4\.0 s are left.*took 6\.0 s"):
            slow.once("b", 1)
    assert slow.started == ["a"]
    assert list(slow.store.items) == ["a"]


def test_the_longest_is_remembered_from_invocation_to_invocation() -> None:
    slow = Slow()
    with slow.invocation(10):
        slow.once("a", 6)
    with slow.invocation(6.5):
        slow.once("b", 1)
        with pytest.raises(OutOfTime):
            slow.once("c", 1)


def test_the_first_effect_of_an_invocation_starts_when_the_reserve_is_left() -> None:
    slow = Slow()
    with slow.invocation(10):
        slow.once("a", 6)
    with slow.invocation(1.5):
        slow.once("b", 0.1)
    with slow.invocation(0.9), pytest.raises(OutOfTime):
        slow.once("c", 0.1)
    assert slow.started == ["a", "b"]


def test_an_effect_that_is_done_needs_no_time_to_start() -> None:
    slow = Slow()
    with slow.invocation(10):
        slow.once("a", 6)
        slow.once("a", 6)
    assert slow.started == ["a"]


def test_after_waiting_for_a_lease_there_must_still_be_time() -> None:
    slow = Slow()
    with slow.invocation(20):
        slow.once("a", 6)
        until = int((slow.clock() + 10) * 1000)
        slow.store.claim("b", "other", now_ms=0, lease_until_ms=until, expires_at=None, take_over=True)
        with pytest.raises(EffectInProgress):
            slow.once("b", 1)
    assert slow.started == ["a"]


def test_one_ledgers_long_effect_does_not_hold_back_anothers() -> None:
    slow, quick = Slow(), Slow()
    with slow.invocation(10):
        slow.once("a", 6)
        quick.once("b", 1)
    assert quick.started == ["b"]


def test_an_effect_that_found_no_time_is_no_failure_of_its_record(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_ATTEMPTS", "1")
    pauses: list[int] = []
    monkeypatch.setattr("handlers.cdc.queue_batch.hide", lambda given: pauses.extend(pause for _, pause in given))
    slow = Slow()
    slow.ends = 10

    @consumer
    def handler(change: Change) -> None:
        slow.once(f"{change.keys['id']}-1", 6)
        slow.once(f"{change.keys['id']}-2", 6)

    event = queue_event(record(new={"id": "u1"}))
    assert len(handler(event, slow)["batchItemFailures"]) == 1
    assert pauses == [0]  # it comes again at once, and is not parked though it has one attempt
    assert '"TimeBudgetHits":1' in capsys.readouterr().out
    assert [line.levelname for line in caplog.records] == ["WARNING"]


# A claim whose answer was lost.


@pytest.mark.parametrize("mode", ["at_least_once", "at_most_once"])
def test_a_claim_whose_answer_was_lost_is_given_back(monkeypatch: pytest.MonkeyPatch, mode: Mode) -> None:
    store = InMemoryLedger()
    claim = store.claim

    def loses_the_answer(*arguments: Any, **named: Any) -> None:
        claim(*arguments, **named)
        raise NoAnswer

    ledger = EffectLedger(mode=mode, store=store)
    monkeypatch.setattr(store, "claim", loses_the_answer)
    with pytest.raises(NoAnswer):
        ledger.once("k", pytest.fail, "started")
    monkeypatch.undo()
    assert store.items == {}
    assert ledger.once("k", lambda: "sent") == "sent"


def test_a_lost_claim_that_cannot_be_given_back_ends_with_its_lease(caplog: pytest.LogCaptureFixture) -> None:
    class Down(InMemoryLedger):
        def claim(self, *_: Any, **__: Any) -> None:
            raise NoAnswer

        def release(self, *_: Any) -> None:
            raise NoAnswer

    with running(Invocation()), pytest.raises(NoAnswer):
        EffectLedger(store=Down()).once("k", pytest.fail, "started")
    assert "its lease must run out" in caplog.text


def test_without_a_context_nothing_ends_the_invocation() -> None:
    ledger = EffectLedger(store=InMemoryLedger())
    handler: Any = consumer(lambda change: ledger.once("k", lambda: None))
    assert handler(stream_event(record(new={"id": 1}), record(new={"id": 2})), None) == {"batchItemFailures": []}
