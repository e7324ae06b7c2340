"""A consumer with its own unit test."""

from dataclasses import dataclass

from handlers.cdc import Change, EffectLedger, consumer
from handlers.cdc.counters import Counters
from handlers.cdc.projection import DynamoDBProjection
from handlers.cdc.testing import (
    InMemoryCounters,
    InMemoryLedger,
    InMemoryProjection,
    Invocation,
    change,
    record,
    stream_event,
)


@dataclass
class User:
    id: str
    plan: str


ledger = EffectLedger(store=InMemoryLedger())
plans = Counters("plans", store=InMemoryCounters())
view = DynamoDBProjection("VIEW", store=InMemoryProjection(key=["id"]))
seen: list[str] = []


@consumer(model=User)
def handler(change: Change[User]) -> None:
    ledger.once(change.item.id, seen.append, change.item.plan)
    plans.add(change.event_id, {change.item.plan: 1})


def test_a_plan_is_seen() -> None:
    upgrade = change(old={"id": "u1", "plan": "free"}, new={"id": "u1", "plan": "pro"}, model=User)
    handler.function(upgrade)
    answer = handler(stream_event(record(new={"id": "u2", "plan": "pro"}, region="eu-west-1")), Invocation(3))
    assert answer == {"batchItemFailures": []}
    plain = change(new={"id": "u1", "version": 1})
    assert view.put(plain, plain.item)
    assert plans.read("pro") == 2
