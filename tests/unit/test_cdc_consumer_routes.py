import json

import pytest

from handlers.cdc import (
    Change,
    Consumer,
    Discard,
    EffectLedger,
    EffectUncertain,
    ImageNotAvailable,
    consumer,
    on,
)
from handlers.cdc.testing import InMemoryLedger, Invocation, change, record, stream_event
from handlers.cdc.windows import windowed

SEEN: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_seen():
    SEEN.clear()


@consumer(when=on.modify & on.changed("plan"))
def upgraded(change: Change) -> None:
    """Note that a plan changed."""
    SEEN.append(f"upgraded {change.new['plan']}")


handler = Consumer()


@handler.on(on.insert)
def created(change: Change) -> None:
    SEEN.append("created")


@handler.on(on.insert | on.changed("plan"))
def planned(change: Change) -> None:
    SEEN.append("planned")


def event(*changes):
    return stream_event(*(record(**arguments) for arguments in changes))


INSERTED = {"new": {"id": 1, "plan": "free"}}
UPGRADED = {"old": {"id": 1, "plan": "free"}, "new": {"id": 1, "plan": "pro"}}
TOUCHED = {"old": {"id": 1, "plan": "pro"}, "new": {"id": 1, "plan": "pro", "seats": 1}}


def test_a_function_gets_the_changes_that_it_declares(capsys):
    answer = upgraded(event(INSERTED, UPGRADED, TOUCHED), Invocation())
    assert answer == {"batchItemFailures": []}
    assert SEEN == ["upgraded pro"]
    counts = json.loads(capsys.readouterr().out)
    assert (counts["Records"], counts["Unwanted"]) == (3, 2)


async def awaiting(change: Change) -> None:
    SEEN.append("never")


def generating(change: Change):
    yield SEEN.append("never")


async def both(change: Change):
    yield SEEN.append("never")


@pytest.mark.parametrize("function", [awaiting, generating, both])
def test_a_function_whose_call_would_run_nothing_is_refused(function):
    with pytest.raises(TypeError, match=f"{function.__name__} is async or a generator"):
        consumer(function)
    with pytest.raises(TypeError, match=f"{function.__name__} is async or a generator"):
        Consumer().on(on.insert)(function)


def test_a_function_that_cannot_be_given_one_change_is_refused():
    with pytest.raises(TypeError, match=r"<lambda>\(event, context\) cannot be called: it is given one argument"):
        consumer(lambda event, context: None)
    with pytest.raises(TypeError, match="it is given 3 arguments"):
        windowed(lambda changes: {})
    assert consumer(lambda change, dry_run=False: None).function


def welcome(change: Change) -> None:
    """Is made a consumer under another name."""


renamed = consumer(welcome)


def test_lambda_calls_the_consumer_by_the_name_that_its_module_has_for_it():
    assert renamed.entry_point == f"{__name__}.renamed"


def test_the_function_itself_is_not_guarded_by_its_condition():
    upgraded.function(change(**INSERTED))
    assert SEEN == ["upgraded free"]


def test_the_condition_is_declared_for_components():
    assert repr(upgraded.condition) == "on.modify & on.changed('plan')"
    assert repr(handler.condition) == "on.insert | on.insert | on.changed('plan')"
    assert consumer(print).condition is None


def test_a_change_goes_to_the_first_function_that_wants_it(capsys):
    handler(event(INSERTED, UPGRADED, TOUCHED), Invocation())
    assert SEEN == ["created", "planned"]
    assert json.loads(capsys.readouterr().out)["Unwanted"] == 1


def test_a_change_goes_to_every_function_that_wants_it_when_asked_to():
    every = Consumer(match="all")
    every.on(on.insert)(created)
    every.on(on.insert)(planned)
    every(event(INSERTED), Invocation())
    assert SEEN == ["created", "planned"]


def test_the_chooser_is_the_function_of_a_consumer_with_several():
    handler.function(change(**UPGRADED))
    assert SEEN == ["planned"]


def test_a_failing_function_fails_the_record_and_later_functions_do_not_run():
    failing = Consumer(match="all")

    @failing.on(on.insert)
    def fails(change: Change) -> None:
        raise RuntimeError("no")

    failing.on(on.insert)(planned)
    batch = event(INSERTED)
    number = batch["Records"][0]["dynamodb"]["SequenceNumber"]
    assert failing(batch, Invocation()) == {"batchItemFailures": [{"itemIdentifier": number}]}
    assert SEEN == []


def test_a_condition_that_reads_a_missing_image_fails_the_record():
    batch = stream_event(record(**UPGRADED, view_type="NEW_IMAGE"))
    assert upgraded(batch, Invocation())["batchItemFailures"]
    with pytest.raises(ImageNotAvailable):
        handler.function(Change(batch["Records"][0]))


def test_on_gives_back_the_function_so_that_it_can_be_tested():
    created(change(**INSERTED))
    assert SEEN == ["created"]


def test_a_consumer_with_several_functions_is_named_after_its_module():
    assert handler.module == __name__
    assert handler.entry_point == f"{__name__}.handler"
    assert handler.name == "test-cdc-consumer-routes"
    assert Consumer(name="mine").name == "mine"
    assert upgraded.entry_point == f"{__name__}.upgraded"
    assert repr(handler) == f"<Consumer test-cdc-consumer-routes: {__name__}.handler>"


def test_a_consumer_without_functions_says_so():
    with pytest.raises(TypeError, match="has no functions"):
        _ = Consumer().entry_point


def test_a_function_of_its_own_excludes_others():
    with pytest.raises(TypeError, match="has a function already"):
        upgraded.on(on.insert)


def test_what_is_not_a_condition_is_refused_where_it_is_declared():
    with pytest.raises(TypeError, match="not a condition"):
        consumer(when=on.new("plan"))(print)
    with pytest.raises(TypeError, match="not a condition"):
        Consumer().on(lambda change: True)


def test_a_whole_batch_is_given_without_the_changes_that_are_not_wanted(capsys):
    @consumer(when=on.modify, whole_batch=True)
    def together(changes):
        SEEN.append(f"{len(changes)} together")

    assert together(event(INSERTED, UPGRADED, TOUCHED), Invocation()) == {"batchItemFailures": []}
    assert SEEN == ["2 together"]
    assert json.loads(capsys.readouterr().out)["Unwanted"] == 1
    together(event(INSERTED), Invocation())
    assert SEEN == ["2 together"]


def test_several_functions_take_their_conditions_and_changes_one_by_one():
    for arguments in ({"when": on.insert}, {"whole_batch": True}):
        with pytest.raises(TypeError, match="one change at a time"):
            Consumer(**arguments)


# Several functions for one change, of which some discard it.


class Parked:
    """What was parked, and why."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reasons: list[tuple[str, str]] = []
        monkeypatch.setattr("handlers.cdc.attempt.park", lambda _, __, *rest: self.reasons.append(rest))


@pytest.fixture
def parked(monkeypatch: pytest.MonkeyPatch) -> Parked:
    return Parked(monkeypatch)


def every(*errors: Exception | None) -> Consumer:
    """Return a consumer of several functions; each notes that it ran and raises its error."""
    handler = Consumer(match="all", name="every")
    for number, error in enumerate(errors):

        def function(change: Change, number: int = number, error: Exception | None = error) -> None:
            SEEN.append(str(number))
            if error is not None:
                raise error

        handler.on(on.insert)(function)
    return handler


def test_a_change_that_one_function_discards_still_reaches_the_others_and_is_parked_once(parked):
    handler = every(Discard("no address"), None, Discard("no name"), None)
    assert handler(event(INSERTED), Invocation()) == {"batchItemFailures": []}
    assert SEEN == ["0", "1", "2", "3"]
    assert parked.reasons == [("no address; no name", "Discarded")]


def test_an_uncertain_effect_beside_a_discard_is_told(parked):
    handler = every(Discard("no address"), EffectUncertain("effect k was interrupted"), None)
    assert handler(event(INSERTED), Invocation()) == {"batchItemFailures": []}
    assert SEEN == ["0", "1", "2"]
    assert parked.reasons == [("no address; effect k was interrupted", "EffectUncertain")]


def test_a_failure_beside_a_discard_fails_the_record_which_is_parked_when_the_failure_is_over(parked):
    outage = iter([RuntimeError("down"), None])
    handler = Consumer(match="all", name="every")

    @handler.on(on.insert)
    def discards(change: Change) -> None:
        raise Discard("no address")

    @handler.on(on.insert)
    def fails_once(change: Change) -> None:
        if (error := next(outage)) is not None:
            raise error

    given = event(INSERTED)
    assert len(handler(given, Invocation())["batchItemFailures"]) == 1
    assert parked.reasons == []
    assert handler(given, Invocation()) == {"batchItemFailures": []}
    assert parked.reasons == [("no address", "Discarded")]


def test_with_match_first_a_discard_is_the_only_answer(parked):
    handler = Consumer(name="first")
    handler.on(on.insert)(lambda change: (_ for _ in ()).throw(Discard("no")))

    @handler.on(on.insert)
    def never(change: Change) -> None:
        SEEN.append("never")

    handler(event(INSERTED), Invocation())
    assert SEEN == []


@pytest.mark.parametrize("mode", ["at_least_once", "at_most_once"])
def test_a_discard_inside_an_effect_is_a_discard_and_gives_the_claim_back(parked, mode):
    store = InMemoryLedger()
    ledger = EffectLedger(mode=mode, store=store)

    def bounced() -> None:
        raise Discard("the address bounced")

    handler = consumer(lambda change: ledger.once("k", bounced))
    assert handler(event(INSERTED), Invocation()) == {"batchItemFailures": []}
    assert parked.reasons == [("the address bounced", "Discarded")]
    assert store.items == {}


def test_an_effect_around_an_uncertain_one_is_uncertain_too(parked):
    store = InMemoryLedger()
    outer = EffectLedger(mode="at_most_once", namespace="outer", store=store)
    inner = EffectLedger(mode="at_most_once", namespace="inner", store=store)

    def no_answer() -> None:
        raise TimeoutError

    handler = consumer(lambda change: outer.once("k", lambda: inner.once("k", no_answer)))
    handler(event(INSERTED), Invocation())
    assert {key: item["status"] for key, item in store.items.items()} == {
        "outer#k": "uncertain",
        "inner#k": "uncertain",
    }
