"""Exactly-once counters against a table in memory; against the real calls in tests/local."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from handlers.cdc.counters import Counters
from handlers.cdc.invocation import running


class Cancelled(Exception):
    def __init__(self, codes: list[str]) -> None:
        super().__init__(codes)
        self.response = {"CancellationReasons": [{"Code": code} for code in codes]}


class Table:
    """A DynamoDB table that does transactions of markers and additions, and fails as a test demands."""

    def __init__(self) -> None:
        self.exceptions = type("exceptions", (), {"TransactionCanceledException": Cancelled})
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
                amount = int(action["Update"]["ExpressionAttributeValues"][":amount"]["N"])
                self.items[name] = self.items.get(name, 0) + amount

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
        return {"Responses": {table: [{"amount": {"N": str(self.items[n])}} for n in names if n in self.items]}}


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
    monkeypatch.setattr("handlers.cdc.counters.client", lambda *_, **__: table)
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


def test_an_event_that_occurs_twice_in_one_batch_is_counted_once(plans: Counters) -> None:
    assert plans.add_all([("e1", {"pro": 1}), ("e1", {"pro": 1}), ("e2", {"pro": 1})]) == 2
    assert plans.read("pro") == 2


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
    with running(clock), pytest.raises(Cancelled):
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
    table.unprocessed = 3
    assert plans.read("pro") == 1
    table.unprocessed = 1000
    with pytest.raises(TimeoutError, match="could not be read"):
        plans.read("pro")


def test_settings_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch, plans: Counters) -> None:
    for shards in (0, 101):
        with pytest.raises(ValueError, match="must be 1 to 100"):
            Counters("plans", shards=shards)
    with pytest.raises(ValueError, match="must not contain a '#'"):
        Counters("a#b")
    monkeypatch.delenv("COUNTER_TABLE")
    with pytest.raises(RuntimeError, match="COUNTER_TABLE is not set"):
        plans.add("e1", {"pro": 1})
