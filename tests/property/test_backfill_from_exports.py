"""A backfill from exports under writes: rows are those of the table, and nothing of the past happens."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from handlers.cdc import Change, EffectLedger, consumer, on
from handlers.cdc.exports import window_record
from handlers.cdc.projection import DynamoDBProjection
from handlers.cdc.snapshot import snapshot_message, snapshot_record
from handlers.cdc.testing import InMemoryLedger, InMemoryProjection, record
from local.engine.tables.history import ItemWrite, changes_within, items_at

ITEMS = ("a", "b")
MICROS = 1_000_000

#: Writes, one every two seconds: the item, and its address (`None` deletes it).
writes = st.lists(st.tuples(st.sampled_from(ITEMS), st.sampled_from(["x", "y", "z", None])), max_size=14)


class History:
    """A table with its stream and its past. Writes happen at even seconds, and nothing else does."""

    def __init__(self, done: list[tuple[str, str | None]]) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.noted: list[ItemWrite] = []
        self.stream: list[dict[str, Any]] = []
        for version, (item, address) in enumerate(done, start=1):
            old = self.items.pop(item, None)
            new = None if address is None else {"id": item, "version": version, "address": address}
            if new is not None:
                self.items[item] = new
            if old is not None or new is not None:
                self.noted.append(ItemWrite(2 * version * MICROS, wire(old), wire(new)))
                self.stream.append(record(old=old, new=new, keys=["id"], created=2 * version))
        self.end = 2 * len(done) + 1

    def full(self, time: int, subscribed: int) -> list[str]:
        """The messages of a full export."""
        now = [image for image in map(wire, self.items.values()) if image is not None]
        return [
            snapshot_message(snapshot_record(item, ["id"], table="users", history_until=subscribed))
            for item in items_at(time * MICROS, now, self.noted, ["id"])
        ]

    def window(self, since: int, until: int, subscribed: int) -> list[str]:
        """The messages of an incremental export."""
        lines = changes_within(since * MICROS, until * MICROS, self.noted, ["id"], old_images=True)
        made = [window_record(line, table="users", history_until=subscribed) for line in lines]
        return [snapshot_message(each, origin="export") for each in made]


def wire(item: dict[str, Any] | None) -> dict[str, Any] | None:
    if item is None:
        return None
    return {"id": {"S": item["id"]}, "version": {"N": str(item["version"])}, "address": {"S": item["address"]}}


def message(body: str, number: int) -> dict[str, Any]:
    return {
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue.fifo",
        "messageId": f"m{number}",
        "body": body,
        "attributes": {"MessageGroupId": "g", "ApproximateReceiveCount": "1"},
    }


def merged(data: st.DataObject, exported: list[str], live: list[str]) -> list[str]:
    """The messages of a queue: changes in their order, and what exports have anywhere between them."""
    queue = list(live)
    for body in exported:
        queue.insert(data.draw(st.integers(0, len(queue))), body)
    return queue


@given(done=writes, data=st.data())
def test_rows_are_those_of_the_table_and_no_effect_of_the_past_is_sent(
    done: list[tuple[str, str | None]], data: st.DataObject
) -> None:
    history = History(done)
    odd = st.integers(0, history.end // 2).map(lambda half: 2 * half + 1)
    subscribed = data.draw(odd)
    times = sorted({data.draw(odd) for _ in range(3)} | {max(subscribed, data.draw(odd))})
    exported = history.full(times[0], subscribed)
    for since, until in itertools.pairwise(times):
        exported += history.window(since, until, subscribed)
    # The forwarder is behind: it publishes changes that were written before the subscription, too.
    behind = data.draw(st.integers(0, len(history.stream)))
    new = [each for each in history.stream if each["dynamodb"]["ApproximateCreationDateTime"] > subscribed]
    live = history.stream[min(behind, len(history.stream) - len(new)) :]

    ran: Counter[str] = Counter()
    rows, places = InMemoryProjection(key=["id"]), InMemoryProjection(key=["address", "id"])
    copies = DynamoDBProjection("COPIES_TABLE", store=rows)
    by_address = DynamoDBProjection("BY_ADDRESS_TABLE", store=places)
    effects = EffectLedger(store=InMemoryLedger(), clock=lambda: history.end)

    @consumer(name="new", when=on.changed("version"))
    def handler(change: Change) -> None:
        before, after = place_of(change.old), place_of(change.new)
        if after is not None:
            by_address.put(change, after)
        if before is not None and before != after:
            by_address.delete(change, before)
        if change.new is None:
            copies.delete(change, change.keys)
        else:
            copies.put(change, change.new)
        key = f"{change.event_name}#{change.item['id']}#{change.version}"
        effects.once(key, ran.update, [key])

    for number, body in enumerate(merged(data, exported, [json.dumps(each) for each in live])):
        for _ in range(data.draw(st.integers(1, 2))):
            assert handler({"Records": [message(body, number)]}, None) == {"batchItemFailures": []}

    table = list(history.items.values())
    assert by_id(rows.items) == by_id([{"id": each["id"], "address": each["address"]} for each in table])
    assert by_id(places.items) == by_id([{"address": each["address"], "id": each["id"]} for each in table])
    sent = Counter(effect_of(each) for each in live)
    assert ran <= sent
    assert all(ran[effect_of(each)] == 1 for each in new)


def by_id(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((row["id"], row["address"]) for row in rows)


def place_of(image: Any) -> dict[str, str] | None:
    return None if image is None else {"address": image["address"], "id": image["id"]}


def effect_of(change: dict[str, Any]) -> str:
    images = change["dynamodb"]
    image = images.get("NewImage") or images["OldImage"]
    return f"{change['eventName']}#{image['id']['S']}#{image['version']['N']}"
