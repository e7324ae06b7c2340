"""Threads that a consumer starts belong to its invocation: time, correlation id, namespace and metrics hold in them."""

import contextvars
import json
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from handlers.cdc import Change, EffectLedger, consumer, remaining_seconds
from handlers.cdc.invocation import correlation_id, running
from handlers.cdc.testing import InMemoryLedger, Invocation, record, stream_event


def in_thread(function: Callable[[], Any]) -> Any:
    """Run a function in a thread that inherits nothing."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_remaining_time_and_correlation_id_are_those_of_the_invocation() -> None:
    seen: list[Any] = []

    @consumer
    def handler(change: Change) -> None:
        seen.append(in_thread(lambda: (remaining_seconds(), correlation_id())))

    handler(stream_event(record(new={"id": 1, "lastRequestId": "request-1"})), Invocation(seconds=8))
    ((left, correlation),) = seen
    assert 7 < left <= 8
    assert correlation == "request-1"


def test_effects_in_a_pool_count_and_their_leases_end_with_the_invocation(capsys: pytest.CaptureFixture[str]) -> None:
    store, now, leases = InMemoryLedger(), 1_700_000_000.0, list[float]()
    ledger = EffectLedger(store=store, clock=lambda: now)

    def effect(change: Change) -> None:
        def action() -> None:
            leases.append(max(item["leaseUntil"] for item in store.items.values()) / 1000 - now)

        ledger.once(f"call:{change.keys['id']}", action)

    @consumer(whole_batch=True)
    def handler(changes: Sequence[Change]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(effect, changes))

    handler(stream_event(*(record(new={"id": n}) for n in range(50))), Invocation(seconds=8))
    assert all(lease < 10 for lease in leases)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["EffectsApplied"] == 50


def test_a_line_that_a_thread_logs_names_the_record(caplog: pytest.LogCaptureFixture) -> None:
    given = record(new={"id": 1})

    @consumer
    def handler(change: Change) -> None:
        in_thread(lambda: logging.getLogger("library").warning("called"))

    handler(stream_event(given), Invocation())
    (line,) = caplog.records
    assert line.__dict__["eventId"] == given["eventID"]


def test_with_several_invocations_at_once_each_keeps_its_own() -> None:
    both = threading.Barrier(2)
    seen: dict[int, Any] = {}

    @consumer
    def handler(change: Change) -> None:
        both.wait()
        number = int(change.keys["id"])
        copied = contextvars.copy_context()
        seen[number] = (
            correlation_id(),
            in_thread(lambda: copied.run(correlation_id)),
            in_thread(correlation_id),  # whose it is cannot be known
        )
        both.wait()

    with ThreadPoolExecutor(2) as pool:
        events = [stream_event(record(new={"id": n, "lastRequestId": f"request-{n}"})) for n in range(2)]
        answers = list(pool.map(lambda event: handler(event, Invocation()), events))
    assert answers == [{"batchItemFailures": []}] * 2
    assert seen == {n: (f"request-{n}", f"request-{n}", None) for n in range(2)}


def test_a_thread_that_outlives_its_invocation_belongs_to_the_next_one() -> None:
    with running(Invocation(seconds=100)):
        left_over = contextvars.copy_context()
    assert left_over.run(remaining_seconds) is None
    with running(Invocation(seconds=8)):
        assert (left_over.run(remaining_seconds) or 0) <= 8
    assert remaining_seconds() is None


def test_an_extra_of_ones_own_is_never_overwritten(caplog: pytest.LogCaptureFixture) -> None:
    @consumer
    def handler(change: Change) -> None:
        logging.getLogger("own").warning("mine", extra={"table": "invoices", "eventId": None, "mine": 1})

    given = record(new={"id": 1})
    handler(stream_event(given), Invocation())
    (line,) = caplog.records
    assert (line.__dict__["table"], line.__dict__["eventId"], line.__dict__["mine"]) == ("invoices", None, 1)
    assert line.__dict__["sequenceNumber"] == given["dynamodb"]["SequenceNumber"]
