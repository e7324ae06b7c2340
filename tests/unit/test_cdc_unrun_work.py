"""Work that looks done and never ran: coroutines, generators and the like fail before anything is marked."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from handlers.cdc import Change, Consumer, EffectLedger, EffectUncertain, consumer, on
from handlers.cdc.effect_ledger import Mode
from handlers.cdc.testing import InMemoryLedger, Invocation, queue_event, record, stream_event, window_event
from handlers.cdc.unrun import Unrun
from handlers.cdc.windows import Window, windowed

sent: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    sent.clear()


async def send(user: Any = "u1") -> None:
    sent.append(user)


class Mailer:
    """Sends in all the ways that run nothing when they are called."""

    async def send(self, user: Any = "u1") -> None:
        sent.append(user)

    async def __call__(self, user: Any = "u1") -> None:
        sent.append(user)


def in_steps(user: Any = "u1") -> Generator[None]:
    sent.append(user)
    yield


async def in_asynchronous_steps(user: Any = "u1") -> AsyncGenerator[None]:
    sent.append(user)
    yield


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    return inner


class Awaitable:
    """Awaitable by itself, like a task."""

    def __await__(self) -> Generator[None]:
        yield


UNRUN: dict[str, Callable[..., Any]] = {
    "method": Mailer().send,
    "object": Mailer(),
    "generator": in_steps,
    "async generator": in_asynchronous_steps,
    "lambda": lambda user="u1": send(user),
    "partial": functools.partial(send, "u1"),
    "decorated": traced(send),
    "map": lambda user="u1": map(sent.append, [user]),
    "filter": lambda user="u1": filter(sent.append, [user]),
    "several": lambda user="u1": [send(user), send(user)],
}


@pytest.mark.parametrize("mode", ["at_least_once", "at_most_once"])
@pytest.mark.parametrize("action", UNRUN.values(), ids=UNRUN)
def test_an_action_that_never_ran_is_not_done_and_its_claim_is_given_back(
    action: Callable[..., Any], mode: Mode
) -> None:
    store = InMemoryLedger()
    ledger = EffectLedger(mode=mode, store=store)
    with pytest.raises(Unrun, match=r"its work is still to be done.*asyncio.Runner"):
        ledger.once("k", action)
    assert (sent, store.items) == ([], {})


@pytest.mark.parametrize("result", [Awaitable(), Future()], ids=["awaitable", "future"])
def test_an_action_that_may_be_running_still_is_uncertain_where_it_must_not_be_repeated(result: object) -> None:
    store = InMemoryLedger()
    with pytest.raises(Unrun):
        EffectLedger(store=store).once("k", lambda: result)
    assert store.items == {}
    with pytest.raises(EffectUncertain, match="interrupted by Unrun"):
        EffectLedger(mode="at_most_once", store=store).once("k", lambda: result)


def in_a_pool(errors: Sequence[Exception | None], *, lazily: bool) -> Any:
    """Start work in threads, which is what comes of it."""

    def work(error: Exception | None) -> None:
        sent.append("u1")
        if error is not None:
            raise error

    with ThreadPoolExecutor(2) as pool:
        return pool.map(work, errors) if lazily else [pool.submit(work, error) for error in errors]


def test_a_future_that_failed_fails_the_record_with_its_error() -> None:
    handler = consumer(lambda change: in_a_pool([None, TimeoutError("no answer")], lazily=False))
    assert len(handler(EVENTS["stream"], Invocation())["batchItemFailures"]) == 1
    handler = consumer(lambda change: in_a_pool([None, None], lazily=False))
    assert handler(EVENTS["stream"], Invocation()) == {"batchItemFailures": []}


def test_the_results_of_a_pool_that_no_one_looks_at_are_not_taken_for_work_that_never_began() -> None:
    ledger = EffectLedger(mode="at_most_once", store=InMemoryLedger())
    with pytest.raises(EffectUncertain, match="interrupted by Unrun"):
        ledger.once("k", lambda: in_a_pool([None], lazily=True))
    with pytest.raises(EffectUncertain, match="interrupted by TimeoutError"):
        ledger.once("l", lambda: in_a_pool([TimeoutError()], lazily=False))


def test_a_future_that_is_done_is_a_result_like_any_other() -> None:
    done: Future[int] = Future()
    done.set_result(1)
    assert EffectLedger(store=InMemoryLedger()).once("k", lambda: done) is done


EVENTS = {"stream": stream_event(record(new={"id": 1})), "queue": queue_event(record(new={"id": 1}), group="g")}


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
@pytest.mark.parametrize("whole_batch", [False, True], ids=["one by one", "whole batch"])
@pytest.mark.parametrize("function", UNRUN.values(), ids=UNRUN)
def test_a_consumer_that_never_ran_is_refused_or_its_record_fails(
    function: Callable[..., Any], event: Any, whole_batch: bool
) -> None:
    try:
        handler = Consumer(function, whole_batch=whole_batch)
    except TypeError as refused:
        assert "docs/guides/handlers.md" in str(refused) or "cannot be called" in str(refused)  # noqa: PT017
        return
    assert len(handler(event, Invocation())["batchItemFailures"]) == 1
    assert sent == []


def test_one_of_several_functions_that_never_ran_fails_the_record() -> None:
    handler = Consumer(match="all")
    handler.on(on.insert)(lambda change: send(change))
    assert len(handler(EVENTS["stream"], Invocation())["batchItemFailures"]) == 1


def test_a_window_that_never_ran_raises() -> None:
    @windowed
    def totals(changes: Sequence[Change], state: dict[str, Any], window: Window) -> Any:
        return send(state)

    with pytest.raises(TypeError):
        totals(window_event(record(new={"id": 1})), Invocation())


def test_what_is_awaited_by_one_runner_of_the_environment_is_done() -> None:
    with asyncio.Runner() as runner:

        @consumer
        def handler(change: Change) -> None:
            runner.run(send(change.keys["id"]))

        for _ in range(2):
            assert handler(EVENTS["stream"], Invocation()) == {"batchItemFailures": []}
    assert sent == [1, 1]


@pytest.mark.parametrize("whole_batch", [False, True], ids=["one by one", "whole batch"])
def test_a_cancelled_task_fails_the_record_and_not_the_invocation(whole_batch: bool) -> None:
    @consumer(whole_batch=whole_batch)
    def handler(_: Any) -> None:
        raise asyncio.CancelledError

    for event in EVENTS.values():
        assert len(handler(event, Invocation())["batchItemFailures"]) == 1


@pytest.mark.parametrize(("mode", "left"), [("at_least_once", {}), ("at_most_once", {"k": "uncertain"})])
def test_a_cancelled_action_is_an_error_of_the_action(mode: Mode, left: dict[str, str]) -> None:
    store = InMemoryLedger()

    def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises((asyncio.CancelledError, EffectUncertain)):
        EffectLedger(mode=mode, store=store).once("k", cancelled)
    assert {key: item["status"] for key, item in store.items.items()} == left


def test_the_end_of_the_process_is_not_taken_for_an_error_of_the_record() -> None:
    @consumer
    def handler(change: Change) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        handler(EVENTS["stream"], Invocation())
