"""The keys of effects: they live under their consumer's name, and what DynamoDB refuses is refused at once."""

import threading
from typing import Any

import pytest

from handlers.cdc import Change, Consumer, EffectLedger, acting_for, consumer, on
from handlers.cdc.testing import InMemoryLedger, Invocation, queue_event, record, stream_event

EVENT = stream_event(record(new={"orderId": "o1"}))


@pytest.fixture
def store() -> InMemoryLedger:
    return InMemoryLedger()


class Table(InMemoryLedger):
    """As strict as a real table."""

    takes_bare_keys = False


def consumer_of(ledger: EffectLedger, done: list[str], name: str | None) -> Consumer:
    @consumer(name=name)
    def handler(change: Change) -> None:
        ledger.once(f"order:{change.keys['orderId']}", done.append, str(name))

    return handler


def test_two_consumers_of_one_ledger_have_keys_of_their_own(store: InMemoryLedger) -> None:
    done: list[str] = []
    ledger = EffectLedger(store=store)
    for name in ("invoice", "shipping"):
        handler = consumer_of(ledger, done, name)
        for _ in range(2):
            handler(EVENT, Invocation())
    assert done == ["invoice", "shipping"]
    assert list(store.items) == ["invoice#order:o1", "shipping#order:o1"]


def test_one_consumer_shares_its_keys_on_every_route(store: InMemoryLedger) -> None:
    done: list[str] = []
    handler = consumer_of(EffectLedger(store=store), done, "invoice")
    for event in (EVENT, queue_event(EVENT["Records"][0], group="o1"), {"origin": "replay", **EVENT}):
        handler(event, Invocation())
    assert done == ["invoice"]


def test_without_a_name_a_consumers_keys_live_under_its_module(store: InMemoryLedger) -> None:
    consumer_of(EffectLedger(store=store), [], None)(EVENT, Invocation())
    assert list(store.items) == ["test-cdc-effect-keys#order:o1"]


def test_all_functions_of_a_consumer_share_its_keys(store: InMemoryLedger) -> None:
    done: list[str] = []
    ledger = EffectLedger(store=store)
    handler = Consumer(match="all", name="orders")
    for _ in range(2):
        handler.on(on.insert)(lambda change: ledger.once("k", done.append, "x"))
    handler(EVENT, Invocation())
    assert done == ["x"]


def test_a_namespace_of_its_own_outlives_a_rename_and_may_be_shared(store: InMemoryLedger) -> None:
    done: list[str] = []
    ledger = EffectLedger(namespace="invoice", store=store)
    for name in ("invoice-v1", "invoice-v2"):
        consumer_of(ledger, done, name)(EVENT, Invocation())
    assert done == ["invoice-v1"]
    assert list(store.items) == ["invoice#order:o1"]


def test_effects_in_a_thread_live_under_the_consumer_that_started_it(store: InMemoryLedger) -> None:
    ledger = EffectLedger(store=store)

    @consumer(name="mails")
    def handler(change: Change) -> None:
        thread = threading.Thread(target=lambda: ledger.once("k", lambda: None))
        thread.start()
        thread.join()

    handler(EVENT, Invocation())
    assert list(store.items) == ["mails#k"]


def test_outside_a_consumer_a_table_needs_to_know_whose_keys_they_are() -> None:
    store = Table()
    with pytest.raises(RuntimeError, match=r'EffectLedger\(namespace="…"\).*with acting_for'):
        EffectLedger(store=store).once("k", pytest.fail, "started")
    with acting_for("mails"):
        EffectLedger(store=store).once("k", lambda: None)
    EffectLedger(namespace="mails", store=store).once("k", pytest.fail, "repeated")
    assert list(store.items) == ["mails#k"]


def test_in_memory_a_key_outside_a_consumer_stays_as_it_is(store: InMemoryLedger) -> None:
    EffectLedger(store=store).once("k", lambda: None)
    assert list(store.items) == ["k"]


def test_a_script_inside_a_consumers_process_may_act_for_another(store: InMemoryLedger) -> None:
    ledger = EffectLedger(store=store)

    @consumer(name="repair")
    def handler(change: Change) -> None:
        with acting_for("mails"):
            ledger.once("k", lambda: None)

    handler(EVENT, Invocation())
    assert list(store.items) == ["mails#k"]


@pytest.mark.parametrize("name", ["", "a#b"])
def test_a_name_that_keys_could_not_live_under_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a consumer"):
        EffectLedger(namespace=name)
    with pytest.raises(ValueError, match="cannot be the name of a consumer"):
        Consumer(name=name)


@pytest.mark.parametrize("key", ["x" * 2049, "ß" * 1025, "", None, b"bytes", 7, 7.5, True, ["k"]])
def test_a_key_that_dynamodb_refuses_is_refused_before_anything_is_done(store: InMemoryLedger, key: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        EffectLedger(store=store).once(key, pytest.fail, "started")
    assert store.items == {}


def test_the_namespace_counts_among_the_bytes_of_a_key(store: InMemoryLedger) -> None:
    ledger = EffectLedger(namespace="mails", store=store)
    ledger.once("x" * (2048 - len("mails#")), lambda: None)
    with pytest.raises(ValueError, match=r"has 2049 bytes with its namespace.*put a hash"):
        ledger.once("x" * (2049 - len("mails#")), pytest.fail, "started")
