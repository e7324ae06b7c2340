"""Exactly-once counters against a table in memory; against the real calls in tests/local."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Context, Decimal, Inexact
from typing import Any

import pytest

from handlers.cdc.counters import CounterContended, Counters
from handlers.cdc.invocation import running
from handlers.cdc.testing import InMemoryCounters


class Cancelled(Exception):
    def __init__(self, codes: list[str]) -> None:
        super().__init__(codes)
        self.response = {"CancellationReasons": [{"Code": code} for code in codes]}


#: DynamoDB's arithmetic: 38 digits, and no rounding.
DYNAMODB = Context(prec=38, traps=[Inexact])


class NotWider(Exception):
    """A condition failed."""


class Table:
    """A DynamoDB table that does transactions of markers and additions, and fails as a test demands."""

    def __init__(self) -> None:
        refused = {"TransactionCanceledException": Cancelled, "ConditionalCheckFailedException": NotWider}
        self.exceptions = type("exceptions", (), refused)
        self.shards: dict[str, int] = {}
        self.items: dict[str, Any] = {}
        self.sizes: list[int] = []
        self.refuse: list[Callable[[list[Any]], Exception]] = []
        self.unprocessed = 0

    def transact_write_items(self, *, TransactItems: list[Any]) -> None:  # noqa: N803 - boto3's name
        if self.refuse:
            raise self.refuse.pop(0)(TransactItems)
        keys = [next(iter(action.values())) for action in TransactItems]
        names = [(each.get("Item") or each["Key"])["counterKey"]["S"] for each in keys]
        assert len(names) == len(set(names)) <= 100, "DynamoDB refuses this transaction"
        codes = ["ConditionalCheckFailed" if "Put" in action and self._live(action, name) else "None"
                 for action, name in zip(TransactItems, names, strict=True)]  # fmt: skip
        if any(code != "None" for code in codes):
            raise Cancelled(codes)
        self.sizes.append(len(names))
        for action, name in zip(TransactItems, names, strict=True):
            if "Put" in action:
                self.items[name] = action["Put"]["Item"].get("expiresAt")
            else:
                amount = Decimal(action["Update"]["ExpressionAttributeValues"][":amount"]["N"])
                self.items[name] = DYNAMODB.add(Decimal(self.items.get(name, 0)), amount)

    def update_item(self, *, Key: Any, ExpressionAttributeValues: Any, **_: Any) -> None:  # noqa: N803 - boto3's name
        name, shards = Key["counterKey"]["S"], int(ExpressionAttributeValues[":shards"]["N"])
        if self.shards.get(name, 0) >= shards:
            raise NotWider
        self.shards[name] = shards

    def _live(self, action: Any, name: str) -> bool:
        now = int(action["Put"]["ExpressionAttributeValues"][":now"]["N"])
        return name in self.items and not (self.items[name] and int(self.items[name]["N"]) < now)

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        ((table, wanted),) = RequestItems.items()
        assert wanted["ConsistentRead"] is True
        if self.unprocessed:
            self.unprocessed -= 1
            return {"Responses": {}, "UnprocessedKeys": RequestItems}
        names = [key["counterKey"]["S"] for key in wanted["Keys"]]
        assert len(names) == len(set(names)) <= 100, "DynamoDB refuses this read"
        found: list[Any] = [
            {"counterKey": {"S": name}, attribute: {"N": str(items[name])}}
            for attribute, items in (("amount", self.items), ("shards", self.shards))
            for name in names
            if name in items
        ]
        return {"Responses": {table: found}}


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def get_remaining_time_in_millis(self) -> int:
        return 5_000


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    monkeypatch.setenv("COUNTER_TABLE", "counters")
    table = Table()
    monkeypatch.setattr("handlers.cdc.counter_table.BoundedClient", lambda *_, **__: table)
    return table


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plans(table: Table, clock: Clock) -> Counters:
    return Counters("plans", clock=clock, sleep=clock.sleep)


def conflict(actions: list[Any], code: str = "TransactionConflict") -> Exception:
    return Cancelled(["None"] * (len(actions) - 1) + [code])


def test_an_event_is_counted_once_however_often_it_is_delivered(plans: Counters) -> None:
    assert plans.add("e1", {"pro": 1, "free": -1})
    assert not plans.add("e1", {"pro": 1, "free": -1})
    assert (plans.read("pro"), plans.read("free"), plans.read("enterprise")) == (1, -1, 0)


def test_many_events_are_folded_into_one_update_with_at_most_99_markers(plans: Counters, table: Table) -> None:
    assert plans.add_all((f"e{n}", {"pro": 1}) for n in range(250)) == 250
    assert table.sizes == [100, 100, 53]
    assert plans.read("pro") == 250


def test_events_that_were_counted_before_are_dropped_and_the_rest_is_counted(plans: Counters) -> None:
    plans.add_all((f"e{n}", {"pro": 1}) for n in range(0, 50, 7))
    assert plans.add_all((f"e{n}", {"pro": 1}) for n in range(50)) == 42
    assert plans.add_all((f"e{n}", {"pro": 1}) for n in range(50)) == 0
    assert plans.read("pro") == 50


@pytest.mark.parametrize("again", [{"pro": 1}, {"free": -1}])
def test_an_event_that_occurs_twice_in_one_call_is_refused_and_nothing_is_counted(
    plans: Counters, table: Table, again: dict[str, int]
) -> None:
    events = [(f"e{n}", {"pro": 1}) for n in range(150)]
    with pytest.raises(ValueError, match="the event 'e0' occurs twice in one call"):
        plans.add_all([*events, ("e0", again)])
    assert not table.items


def test_events_are_given_as_pairs_or_as_a_mapping(plans: Counters) -> None:
    assert plans.add_all({"e1": {"pro": 1}, "e2": {"pro": 1}}) == 2
    assert plans.add_all([("e2", {"pro": 1}), ("e3", {"pro": 1})]) == 1
    assert plans.read("pro") == 3


def test_amounts_that_cancel_out_leave_their_markers_and_no_update(plans: Counters, table: Table) -> None:
    assert plans.add_all([("e1", {"pro": 1}), ("e2", {"pro": -1})]) == 2
    assert table.sizes == [2]
    assert plans.add_all([("e2", {"pro": -1})]) == 0


def test_many_counters_share_the_room_of_a_transaction(plans: Counters, table: Table) -> None:
    events = [(f"e{n}", {f"c{n}": 1, "all": 1}) for n in range(120)]
    assert plans.add_all(events) == 120
    assert max(table.sizes) <= 100
    assert plans.read("all") == 120
    assert plans.read("c7") == 1


def test_an_event_with_too_many_counters_is_refused(plans: Counters) -> None:
    assert plans.add("e1", {f"c{n}": 1 for n in range(99)})
    with pytest.raises(ValueError, match="does not fit into a transaction"):
        plans.add("e2", {f"c{n}": 1 for n in range(100)})


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_contended_counter_is_tried_again(plans: Counters, table: Table, clock: Clock, code: str) -> None:
    table.refuse = [lambda actions: conflict(actions, code)] * 3
    before = clock.now
    assert plans.add("e1", {"pro": 1})
    assert 0 < clock.now - before < 1


def test_a_counter_that_stays_contended_fails_in_time_for_the_batch_to_be_answered(
    plans: Counters, table: Table, clock: Clock
) -> None:
    table.refuse = [conflict] * 1000
    before = clock.now
    with running(clock), pytest.raises(CounterContended):
        plans.add("e1", {"pro": 1})
    assert 2 < clock.now - before <= 4
    table.refuse = []
    assert plans.read("pro") == 0


def test_any_other_cancellation_fails_at_once(plans: Counters, table: Table, clock: Clock) -> None:
    table.refuse = [lambda actions: conflict(actions, "ValidationError")]
    before = clock.now
    with pytest.raises(Cancelled):
        plans.add("e1", {"pro": 1})
    assert clock.now == before


def test_a_table_that_is_down_fails_the_record(plans: Counters, table: Table) -> None:
    table.refuse = [lambda _: ConnectionError("down")]
    with pytest.raises(ConnectionError):
        plans.add("e1", {"pro": 1})


def test_a_hot_counter_is_spread_over_its_shards_and_read_as_their_sum(table: Table, clock: Clock) -> None:
    random.seed(7)
    plans = Counters("plans", shards=8, clock=clock, sleep=clock.sleep)
    for number in range(100):
        plans.add(f"e{number}", {"pro": 1})
    shards = Counter({name: value for name, value in table.items.items() if "#count#" in name})
    assert len(shards) == 8
    assert plans.read("pro") == 100


def test_two_sets_in_one_table_count_the_same_event_independently(plans: Counters, clock: Clock) -> None:
    other = Counters("cities", clock=clock)
    assert plans.add("e1", {"pro": 1})
    assert other.add("e1", {"bern": 1})


def test_a_counted_event_is_forgotten_after_its_keep(table: Table, clock: Clock) -> None:
    plans = Counters("plans", keep=timedelta(days=2), clock=clock)
    plans.add("e1", {"pro": 1})
    clock.now += 2 * 86_400 + 1
    assert plans.add("e1", {"pro": 1})


def test_a_counted_event_may_be_kept_for_ever(table: Table, clock: Clock) -> None:
    plans = Counters("plans", keep=None, clock=clock)
    plans.add("e1", {"pro": 1})
    assert table.items["plans#event#e1"] is None
    assert not plans.add("e1", {"pro": 1})


def test_a_throttled_read_is_finished_or_an_error_and_never_a_wrong_number(
    plans: Counters, table: Table, clock: Clock
) -> None:
    plans.add("e1", {"pro": 1})
    table.unprocessed, before = 3, clock.now
    assert plans.read("pro") == 1
    table.unprocessed = 1000
    with pytest.raises(CounterContended, match="could not be read"):
        plans.read("pro")
    assert clock.now - before < 10
    with running(clock), pytest.raises(CounterContended, match="could not be read"):
        plans.read("pro")


def test_settings_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch, plans: Counters) -> None:
    for shards in (0, 101):
        with pytest.raises(ValueError, match="must be 1 to 100"):
            Counters("plans", shards=shards)
    with pytest.raises(ValueError, match="must not contain a '#'"):
        Counters("a#b")
    with pytest.raises(ValueError, match="must not be empty"):
        Counters("")
    for keep in (timedelta(hours=23), timedelta(0)):
        with pytest.raises(ValueError, match="shorter than the 24 hours"):
            Counters("plans", keep=keep)
    for settings in ({"shards": 2}, {"variable": "OTHER_TABLE"}):
        with pytest.raises(ValueError, match="store= takes its place"):
            Counters("plans", store=InMemoryCounters(), **settings)
    monkeypatch.delenv("COUNTER_TABLE")
    with pytest.raises(RuntimeError, match="COUNTER_TABLE is not set"):
        plans.add("e1", {"pro": 1})


@pytest.mark.parametrize(
    ("amounts", "total"),
    [
        ([Decimal("0.5")], Decimal("0.5")),
        ([Decimal("-7.25"), Decimal("7.25")], 0),
        ([Decimal("0.1")] * 3, Decimal("0.3")),
        ([3, Decimal("1E-20")], Decimal("3.00000000000000000001")),
        ([10**37, -1], 10**37 - 1),
        ([Decimal("2.0")], 2),
    ],
)
def test_amounts_read_back_as_they_were_added(plans: Counters, amounts: list[Any], total: Any) -> None:
    plans.add_all((f"e{n}", {"books": amount}) for n, amount in enumerate(amounts))
    for number, amount in enumerate(amounts):
        plans.add(f"single-{number}", {"films": amount})
    for counter in ("books", "films"):
        assert plans.read(counter) == total
        assert type(plans.read(counter)) is type(total)


def test_amounts_of_many_digits_are_added_up_exactly(plans: Counters) -> None:
    long = Decimal("1234567890123456789012345678901234567.5")
    plans.add_all({"e1": {"books": long}, "e2": {"books": Decimal("-0.5")}, "e3": {"books": 1}})
    assert plans.read("books") == 1234567890123456789012345678901234568


@pytest.mark.parametrize(
    ("amount", "error", "says"),
    [
        ("3", TypeError, "'books' is a str; it must be an int or a Decimal"),
        (None, TypeError, "is a NoneType"),
        (1.1, TypeError, "is a float, which is not exact: use a Decimal"),
        (True, TypeError, "is a bool"),
        (Decimal("NaN"), ValueError, "cannot be stored"),
        (Decimal("Infinity"), ValueError, "cannot be stored"),
        (Decimal("1E+126"), ValueError, "cannot be stored"),
        (Decimal("1E-131"), ValueError, "cannot be stored"),
        (10**38 + 1, ValueError, "38 significant digits"),
    ],
)
def test_what_is_not_an_amount_is_refused_at_the_call(
    plans: Counters, table: Table, amount: Any, error: type[Exception], says: str
) -> None:
    for call in (
        lambda: plans.add("e2", {"books": amount}),
        lambda: plans.add_all([("e1", {}), ("e2", {"books": amount})]),
    ):
        with pytest.raises(error, match=says):
            call()
    assert not table.items
    memory = Counters("plans", store=InMemoryCounters())
    with pytest.raises(error, match=says):
        memory.add("e2", {"books": amount})


@pytest.mark.parametrize(
    ("key", "error", "says"),
    [
        ("", ValueError, "must not be empty"),
        (7, TypeError, "must be text, not a int"),
        (None, TypeError, "must be text, not a NoneType"),
        ("é" * 1020, ValueError, "has 2040 bytes and 12 are added to it: a key in DynamoDB has at most 2048"),
        ("\ud800", ValueError, "half of a surrogate pair"),
    ],
)
def test_a_key_that_dynamodb_refuses_is_refused_at_the_call(
    plans: Counters, table: Table, key: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        plans.add(key, {"pro": 1})
    for call in (lambda: plans.add("e1", {key: 1}), lambda: plans.read(key)):
        with pytest.raises(error):
            call()
    assert not table.items


@pytest.mark.parametrize(("before", "after"), [(8, 2), (2, 8), (100, 1), (1, 100)])
def test_a_counter_keeps_its_value_when_it_is_spread_over_more_or_fewer_shards(
    table: Table, clock: Clock, before: int, after: int
) -> None:
    for shards in (before, after):
        plans = Counters("plans", shards=shards, clock=clock, sleep=clock.sleep)
        for number in range(60):
            plans.add(f"{shards}-{number}", {"pro": 1})
    for shards in (before, after, 1):
        assert Counters("plans", shards=shards, clock=clock, sleep=clock.sleep).read("pro") == 120
    assert Counters("plans", clock=clock).read("free") == 0


def test_the_number_of_shards_is_noted_once_per_environment(
    table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[Any] = []
    monkeypatch.setattr(table, "update_item", lambda **request: notes.append(request))
    plans = Counters("plans", shards=4, clock=clock)
    plans.add("e1", {"pro": 1})
    plans.add("e2", {"pro": 1})
    Counters("cities", clock=clock).add("e1", {"bern": 1})
    assert len(notes) == 1


def test_counters_in_memory_count_as_those_in_the_table(table: Table, clock: Clock) -> None:
    memory = InMemoryCounters()
    for store in (None, memory):
        plans = Counters("plans", store=store, keep=timedelta(days=2), clock=clock)
        other = Counters("cities", store=store, clock=clock)
        assert plans.add("e1", {"pro": Decimal("1.5"), "free": -1})
        assert not plans.add("e1", {"pro": 1})
        assert plans.add_all({f"e{n}": {"pro": 1} for n in range(150)}) == 149
        assert other.add("e1", {"bern": 1})
        assert (plans.read("pro"), plans.read("free"), plans.read("none")) == (Decimal("150.5"), -1, 0)
        clock.now += 2 * 86_400 + 1
        assert plans.add("e1", {"pro": 1})
    assert memory.totals["cities", "bern"] == 1
    assert ("cities", "e1") in memory.events


def test_counters_of_a_handler_module_take_those_in_memory_in_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = Counters("plans", shards=4)
    monkeypatch.setattr(plans, "store", InMemoryCounters())
    assert plans.add("e1", {"pro": 1})
    assert plans.read("pro") == 1
