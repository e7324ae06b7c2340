"""A backfill under writes: in any order of scan and changes, nothing is missing and nothing of the past happens."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from handlers.cdc import Change, EffectLedger, consumer
from handlers.cdc.projection import DynamoDBProjection
from handlers.cdc.snapshot import snapshot_message, snapshot_record
from handlers.cdc.testing import InMemoryLedger, InMemoryProjection, record

ITEMS = ("a", "b")

#: A write (`None` deletes), a read of an item by the scan, or the forwarding of the stream's next change.
Step = tuple[str, str]
steps = st.lists(
    st.tuples(st.sampled_from(["write", "write", "delete", "scan", "forward"]), st.sampled_from(ITEMS)), max_size=14
)


class World:
    """A table, its stream, a forwarder, and the queue of a consumer that is subscribed at some time."""

    def __init__(self) -> None:
        self.time = 1_000
        self.version = 0
        self.items: dict[str, dict[str, Any]] = {}
        self.stream: list[dict[str, Any]] = []
        self.forwarded = 0
        self.subscribed_at: int | None = None
        self.queue: defaultdict[str, list[str]] = defaultdict(list)
        self.live: list[dict[str, Any]] = []

    def step(self, kind: str, item: str) -> None:
        self.time += 1
        old = self.items.get(item)
        match kind:
            case "write":
                self.version += 1
                self.items[item] = {"id": item, "version": self.version, "text": str(self.version)}
                self.stream.append(record(old=old, new=self.items[item], keys=["id"], created=self.time))
            case "delete" if old is not None:
                del self.items[item]
                self.stream.append(record(old=old, new=None, keys=["id"], created=self.time))
            case "scan" if old is not None and self.subscribed_at is not None:
                wire = {"id": {"S": item}, "version": {"N": old["text"]}, "text": {"S": old["text"]}}
                snapshot = snapshot_record(wire, ["id"], table="users", history_until=self.subscribed_at)
                self.queue[item].append(snapshot_message(snapshot))
            case "forward" if self.forwarded < len(self.stream):
                change = self.stream[self.forwarded]
                self.forwarded += 1
                if self.subscribed_at is not None:
                    self.queue[change["dynamodb"]["Keys"]["id"]["S"]].append(json.dumps(change))
                    self.live.append(change)
            case _:
                pass

    def finish(self) -> None:
        for item in ITEMS:
            self.step("scan", item)
        while self.forwarded < len(self.stream):
            self.step("forward", "")


def message(item: str, body: str, number: int) -> dict[str, Any]:
    return {
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue.fifo",
        "messageId": f"{item}{number}",
        "body": body,
        "attributes": {"MessageGroupId": item, "ApproximateReceiveCount": "1"},
    }


@given(before=steps, during=steps, repeats=st.lists(st.integers(1, 2), min_size=40, max_size=40))
def test_a_new_consumer_has_every_row_runs_every_new_effect_once_and_none_of_the_past(
    before: list[Step], during: list[Step], repeats: list[int]
) -> None:
    world = World()
    for step in before:
        world.step(*step)
    world.time += 1
    world.subscribed_at = world.time
    for step in during:
        world.step(*step)
    world.finish()

    ran: Counter[str] = Counter()
    rows = InMemoryProjection(key=["id"])
    copies = DynamoDBProjection("COPIES_TABLE", store=rows)
    effects = EffectLedger(store=InMemoryLedger(), clock=lambda: world.time)

    @consumer(name="new")
    def handler(change: Change) -> None:
        key = f"{change.item['id']}#{change.version}"
        if change.new is None:
            copies.delete(change, change.keys)
        else:
            copies.put(change, change.new)
            effects.once(key, ran.update, [key])

    for item, bodies in world.queue.items():
        for number, body in enumerate(bodies):
            for _ in range(repeats[number]):
                answer = handler({"Records": [message(item, body, number)]}, None)
                assert answer == {"batchItemFailures": []}

    assert {row["id"]: row["text"] for row in rows.items} == {
        item: image["text"] for item, image in world.items.items()
    }
    writes = [each for each in world.live if "NewImage" in each["dynamodb"]]
    new = {effect_of(each) for each in writes if each["dynamodb"]["ApproximateCreationDateTime"] >= world.subscribed_at}
    late = {effect_of(each) for each in writes} - new  # written before, and forwarded since
    assert all(ran[effect] == 1 for effect in new)
    assert all(count == 1 for count in ran.values())
    assert set(ran) - new <= late


def effect_of(change: dict[str, Any]) -> str:
    image = change["dynamodb"]["NewImage"]
    return f"{image['id']['S']}#{image['version']['N']}"
