"""The effect ledger in memory: races, crashes at every step, leases. The table itself is tested in tests/local."""

import json
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from handlers.cdc import Change, EffectInProgress, EffectLedger, EffectUncertain, NotApplied, consumer
from handlers.cdc.effect_ledger import Mode
from handlers.cdc.invocation import running
from handlers.cdc.testing import InMemoryLedger, Invocation, record, stream_event

DAY = 24 * 60 * 60


class Clock:
    """Time that passes only while somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> InMemoryLedger:
    return InMemoryLedger()


@pytest.fixture
def ledger(store: InMemoryLedger, clock: Clock) -> EffectLedger:
    return EffectLedger(store=store, clock=clock, sleep=clock.sleep)


class Killed(BaseException):
    """The process is gone: nothing that comes after this happens, `finally` and `except` included."""


class MortalStore:
    """Passes calls on until the given one, and kills the worker before or after it."""

    def __init__(self, store: InMemoryLedger, step: int, *, after: bool) -> None:
        self._store, self._left, self._after, self.dead = store, step, after, False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.dead:
                raise Killed
            self._left -= 1
            self.dead = self._left < 0
            if self.dead and not self._after:
                raise Killed
            answer = getattr(self._store, name)(*args, **kwargs)
            if self.dead:
                raise Killed
            return answer

        return call


def test_an_effect_runs_once_and_its_result_is_the_actions(ledger: EffectLedger) -> None:
    done: list[str] = []
    assert ledger.once("k", lambda: done.append("x") or 42) == 42
    ledger.once("k", done.append, "y")
    assert done == ["x"]


def test_arguments_reach_the_action_even_when_they_are_called_key_or_action(ledger: EffectLedger) -> None:
    given = ledger.once("k", lambda *args, **kwargs: [list(args), kwargs], 1, key="a", action="b")
    assert given == [[1], {"key": "a", "action": "b"}]


def test_an_action_that_raises_gives_its_claim_back_so_that_the_retry_runs_at_once(
    ledger: EffectLedger, store: InMemoryLedger, clock: Clock
) -> None:
    with pytest.raises(ZeroDivisionError):
        ledger.once("k", lambda: 1 / 0)
    assert store.items == {}
    assert ledger.once("k", lambda: "sent") == "sent"
    assert clock.slept == []


def test_a_claim_that_cannot_be_given_back_does_not_hide_what_the_action_raised(
    ledger: EffectLedger, store: InMemoryLedger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*_: object) -> None:
        raise ConnectionError("no table")

    monkeypatch.setattr(store, "release", down)
    with pytest.raises(ZeroDivisionError):
        ledger.once("k", lambda: 1 / 0)
    assert "its lease must run out" in caplog.text


@pytest.mark.parametrize("method", ["claim", "settle"])
def test_a_table_that_is_throttled_or_down_fails_the_record(
    ledger: EffectLedger, store: InMemoryLedger, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def down(*_: object, **__: object) -> None:
        raise ConnectionError("throttled")

    monkeypatch.setattr(store, method, down)
    with pytest.raises(ConnectionError):
        ledger.once("k", lambda: None)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [0, 1], ids=["claim", "settle"])
def test_a_worker_killed_at_any_step_repeats_the_effect_only_if_it_died_before_the_mark(
    store: InMemoryLedger, clock: Clock, step: int, after: bool
) -> None:
    done: list[int] = []
    doomed = EffectLedger(store=MortalStore(store, step, after=after), clock=clock, sleep=clock.sleep)
    with running(clock), pytest.raises(Killed):
        doomed.once("k", done.append, 1)
    clock.now += 32  # its invocation's 30 s and the margin are over
    with running(clock):
        EffectLedger(store=store, clock=clock, sleep=clock.sleep).once("k", done.append, 2)
    # Killed in the claim: nothing had been done. Killed before the mark: repeated. Killed after it: known as done.
    expected = {(0, False): [2], (0, True): [2], (1, False): [1, 2], (1, True): [1]}
    assert done == expected[step, after]
    assert store.items["k"]["status"] == "done"


def test_a_crashed_workers_lease_ends_with_its_invocation_and_a_second(store: InMemoryLedger, clock: Clock) -> None:
    crashed = EffectLedger(store=MortalStore(store, 1, after=False), clock=clock, sleep=clock.sleep)
    with running(clock), pytest.raises(Killed):
        crashed.once("k", lambda: None)
    assert store.items["k"]["leaseUntil"] == (clock.now + 31) * 1000


def test_a_live_lease_is_waited_out(store: InMemoryLedger, ledger: EffectLedger, clock: Clock) -> None:
    claim(store, clock, seconds=5)
    with running(clock):
        assert ledger.once("k", lambda: "sent") == "sent"
    assert 5 <= sum(clock.slept) < 6
    assert max(clock.slept) <= 1


def test_an_effect_that_another_worker_finishes_meanwhile_is_not_repeated(store: InMemoryLedger, clock: Clock) -> None:
    claim(store, clock, seconds=20)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 3:
            store.settle("k", "other", status="done", expires_at=None, result=None)

    with running(clock):
        EffectLedger(store=store, clock=clock, sleep=sleep).once("k", pytest.fail, "repeated")
    assert len(clock.slept) == 3


def test_a_lease_that_outlasts_the_invocation_fails_the_record(
    store: InMemoryLedger, ledger: EffectLedger, clock: Clock
) -> None:
    claim(store, clock, seconds=60)
    with running(clock), pytest.raises(EffectInProgress, match=r"effect k is held by another worker for"):
        ledger.once("k", pytest.fail, "started")
    assert sum(clock.slept) <= 29  # a second is kept back to answer the batch


def test_a_lease_of_its_own_length_outlives_the_invocation(store: InMemoryLedger, clock: Clock) -> None:
    ledger = EffectLedger(store=MortalStore(store, 1, after=False), lease=timedelta(minutes=5), clock=clock)
    with pytest.raises(Killed):
        ledger.once("k", lambda: None)
    assert store.items["k"]["leaseUntil"] == (clock.now + 300) * 1000


def test_an_action_that_outlives_its_lease_is_counted_as_uncertain(
    store: InMemoryLedger, ledger: EffectLedger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def slow() -> str:
        clock.now += 61
        EffectLedger(store=store, clock=clock).once("k", lambda: "second")
        return "first"

    assert ledger.once("k", slow) == "first"
    assert "may have been repeated" in caplog.text


def test_a_done_effect_is_forgotten_after_its_keep_even_when_ttl_is_late(store: InMemoryLedger, clock: Clock) -> None:
    ledger = EffectLedger(keep=timedelta(days=2), store=store, clock=clock)
    assert ledger.once("k", lambda: "first") == "first"
    clock.now += 2 * DAY - 1
    ledger.once("k", pytest.fail, "repeated")
    clock.now += 2
    assert ledger.once("k", lambda: "second") == "second"


def test_an_effect_is_kept_longer_than_a_year_unless_told_otherwise(
    store: InMemoryLedger, ledger: EffectLedger, clock: Clock
) -> None:
    ledger.once("k", lambda: None)
    assert store.items["k"]["expiresAt"] == int(clock.now) + 400 * DAY


def test_an_effect_kept_for_ever_never_expires(store: InMemoryLedger, clock: Clock) -> None:
    ledger = EffectLedger(keep=None, store=store, clock=clock)
    ledger.once("k", lambda: None)
    assert store.items["k"]["expiresAt"] is None
    clock.now += 100 * 365 * DAY
    ledger.once("k", pytest.fail, "repeated")


@pytest.mark.parametrize("keep", [timedelta(hours=23), timedelta(0)])
def test_a_memory_shorter_than_the_stream_is_refused(keep: timedelta) -> None:
    with pytest.raises(ValueError, match="shorter than the 24 hours a stream can deliver a record again"):
        EffectLedger(keep=keep)


def test_a_lease_that_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        EffectLedger(lease=timedelta(0))


def test_two_workers_racing_for_one_effect_run_it_once(store: InMemoryLedger) -> None:
    done: list[int] = []
    start = threading.Barrier(8)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        ledger = EffectLedger(store=store)
        try:
            with running(Invocation(30)):
                start.wait()
                for key in range(50):
                    ledger.once(f"k{key}", done.append, key)
        except BaseException as error:  # noqa: BLE001 - a thread's error must reach the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(done) == list(range(50))


def test_a_log_line_of_the_ledger_names_the_effect_and_not_what_it_was_given(
    ledger: EffectLedger, store: InMemoryLedger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "settle", lambda *_, **__: False)
    with caplog.at_level(logging.DEBUG):
        ledger.once("welcome:u1", lambda address: None, "ada@example.com")
    assert "welcome:u1" in caplog.text
    assert "ada@example.com" not in caplog.text


def claim(store: InMemoryLedger, clock: Clock, *, seconds: int) -> None:
    now_ms = int(clock.now * 1000)
    store.claim("k", "other", now_ms=now_ms, lease_until_ms=now_ms + seconds * 1000, expires_at=None, take_over=True)


# The stored result.


@pytest.fixture
def keeping(store: InMemoryLedger, clock: Clock) -> EffectLedger:
    return EffectLedger(keep_result=True, store=store, clock=clock, sleep=clock.sleep)


def test_a_result_is_stored_only_where_it_is_asked_for(ledger: EffectLedger, store: InMemoryLedger) -> None:
    assert ledger.once("k", lambda: {"email": "ada@example.com"}) == {"email": "ada@example.com"}
    assert "ada" not in repr(store.items)
    assert ledger.once("k", pytest.fail, "repeated") is None


def test_a_result_that_is_not_stored_needs_no_warning(ledger: EffectLedger, caplog: pytest.LogCaptureFixture) -> None:
    ledger.once("k", object)
    assert not caplog.text


@pytest.mark.parametrize("result", [42, "text", None, True, [1, 2], {"id": "m1", "n": [None, 1.5]}])
def test_a_repeat_gets_the_result_of_the_first_run(keeping: EffectLedger, result: object) -> None:
    assert keeping.once("k", lambda: result) == result
    assert keeping.once("k", pytest.fail, "repeated") == result


@pytest.mark.parametrize(
    ("result", "says"),
    [({1, 2}, "a set that is not JSON"), ("x" * 40_000, "longer than 32768 bytes"), (b"x", "a bytes that is not JSON")],
    ids=["set", "long", "bytes"],
)
def test_a_result_that_cannot_be_stored_is_said_and_the_effect_is_done_all_the_same(
    keeping: EffectLedger, caplog: pytest.LogCaptureFixture, result: object, says: str
) -> None:
    assert keeping.once("k", lambda: result) == result
    assert f"the result of effect k is {says} and is not stored: a repeat returns None" in caplog.text
    assert keeping.once("k", pytest.fail, "repeated") is None


# At most once: what may have happened is never repeated.


@pytest.fixture
def careful(store: InMemoryLedger, clock: Clock) -> EffectLedger:
    return EffectLedger(mode="at_most_once", store=store, clock=clock, sleep=clock.sleep)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [0, 1], ids=["claim", "settle"])
def test_at_most_once_never_repeats_whatever_kills_the_worker(
    store: InMemoryLedger, clock: Clock, careful: EffectLedger, step: int, after: bool
) -> None:
    done: list[int] = []
    doomed = EffectLedger(
        mode="at_most_once", store=MortalStore(store, step, after=after), clock=clock, sleep=clock.sleep
    )
    with running(clock), pytest.raises(Killed):
        doomed.once("k", done.append, 1)
    clock.now += 32
    if (step, after) in ((0, True), (1, False)):  # claimed and never settled: nobody can know
        for _ in range(2):
            with running(clock), pytest.raises(EffectUncertain, match="effect k was begun by a worker that never said"):
                careful.once("k", done.append, 2)
    else:
        with running(clock):
            careful.once("k", done.append, 2)
    assert done == {(0, False): [2], (0, True): [], (1, False): [1], (1, True): [1]}[step, after]


def test_an_at_most_once_action_that_raises_is_uncertain_at_once_and_stays_so(
    store: InMemoryLedger, careful: EffectLedger, clock: Clock
) -> None:
    with pytest.raises(EffectUncertain, match="effect k was interrupted by TimeoutError") as raised:
        careful.once("k", timing_out)
    assert isinstance(raised.value.__cause__, TimeoutError)
    assert store.items["k"]["status"] == "uncertain"
    with pytest.raises(EffectUncertain):
        careful.once("k", pytest.fail, "repeated")
    assert clock.slept == []


@pytest.mark.parametrize("mode", ["at_most_once", "at_least_once"])
def test_an_action_that_says_nothing_happened_is_tried_again(store: InMemoryLedger, clock: Clock, mode: Mode) -> None:
    ledger = EffectLedger(mode=mode, store=store, clock=clock, sleep=clock.sleep)

    def throttled() -> None:
        raise NotApplied("throttled")

    with pytest.raises(NotApplied):
        ledger.once("k", throttled)
    assert ledger.once("k", lambda: "sent") == "sent"


def test_a_worker_that_is_told_to_exit_leaves_its_at_most_once_claim(
    store: InMemoryLedger, careful: EffectLedger
) -> None:
    def leave() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        careful.once("k", leave)
    assert store.items["k"]["status"] == "claimed"


def test_a_live_at_most_once_lease_is_waited_out_and_then_uncertain(
    store: InMemoryLedger, careful: EffectLedger, clock: Clock
) -> None:
    claim(store, clock, seconds=5)
    with running(clock), pytest.raises(EffectUncertain):
        careful.once("k", pytest.fail, "repeated")
    assert 5 <= sum(clock.slept) < 6


def test_at_most_once_also_remembers_and_forgets(store: InMemoryLedger, clock: Clock) -> None:
    ledger = EffectLedger(mode="at_most_once", keep=timedelta(days=2), store=store, clock=clock)
    assert ledger.once("k", lambda: 1) == 1
    assert ledger.once("k", pytest.fail, "repeated") is None
    clock.now += 2 * DAY + 2
    assert ledger.once("k", lambda: 2) == 2


def test_an_uncertain_record_is_parked_with_its_content_and_counted(
    store: InMemoryLedger, careful: EffectLedger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parked: list[tuple[Any, ...]] = []
    monkeypatch.setattr("handlers.cdc.attempt.park", lambda *arguments: parked.append(arguments))

    @consumer(name="mine")
    def handler(change: Change) -> None:
        careful.once("k", timing_out)

    given = record(new={"id": 1})
    assert handler(stream_event(given), Invocation()) == {"batchItemFailures": []}
    assert parked == [(given, given["eventID"], "effect mine#k was interrupted by TimeoutError", "EffectUncertain")]
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (metrics["EffectsUncertain"], metrics["Discarded"]) == (1, 1)


def test_an_uncertain_record_that_cannot_be_parked_fails_and_is_still_not_repeated(
    store: InMemoryLedger, careful: EffectLedger
) -> None:
    tried: list[int] = []

    @consumer
    def handler(change: Change) -> None:
        careful.once("k", lambda: tried.append(1) or timing_out())

    given = stream_event(record(new={"id": 1}))
    for _ in range(2):
        assert len(handler(given, Invocation())["batchItemFailures"]) == 1
    assert tried == [1]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of at_least_once, at_most_once"):
        EffectLedger(mode="exactly_once")  # pyright: ignore[reportArgumentType]


def test_applied_and_suppressed_effects_are_counted(ledger: EffectLedger, capsys: pytest.CaptureFixture[str]) -> None:
    @consumer
    def handler(change: Change) -> None:
        ledger.once("k", lambda: None)

    handler(stream_event(record(new={"id": 1}), record(new={"id": 2})), Invocation())
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (metrics["EffectsApplied"], metrics["EffectsSuppressed"], metrics["Records"]) == (1, 1, 2)


def timing_out() -> None:
    raise TimeoutError("no answer")
