"""Measures how the forwarder of a fan-out fills its calls, by the distribution of changes over items.

A call to PublishBatch takes ten messages, and one of an item at most: so a batch of one busy item needs a call for each
change. SNS is a function that takes everything; the time is CPU time of the forwarder alone.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from handlers.cdc.forwarder import Message, forward

#: Records of a batch, and batches for each distribution.
RECORDS, BATCHES = 100, 200
#: Items that get changes, and the share of all changes that the first of them gets.
DISTRIBUTIONS = {
    "every change another item": (RECORDS, 0.0),
    "20 items": (20, 0.0),
    "20 items, one with half the changes": (20, 0.5),
    "one item": (1, 1.0),
}


def batch(items: int, share_of_first: float, chance: random.Random) -> list[Message]:
    def item() -> int:
        return 0 if chance.random() < share_of_first else chance.randrange(items)

    groups = range(items) if items == RECORDS else (item() for _ in range(RECORDS))
    return [Message(position, str(group), f"event-{position}", "{}") for position, group in enumerate(groups)]


def main() -> None:
    chance = random.Random(1)
    print(f"{'distribution':<36} {'entries per call':>17} {'calls per 100 changes':>22} {'CPU µs per change':>18}")
    for name, (items, share) in DISTRIBUTIONS.items():
        calls: list[int] = []

        def publish(call: Sequence[Message], calls: list[int] = calls) -> set[int]:
            calls.append(len(call))
            return set()

        batches = [batch(items, share, chance) for _ in range(BATCHES)]
        began = time.process_time()
        for messages in batches:
            assert forward(messages, publish) is None
        spent = (time.process_time() - began) / (BATCHES * RECORDS)
        entries, made = sum(calls) / len(calls), len(calls) / BATCHES
        print(f"{name:<36} {entries:>17.1f} {made:>22.1f} {spent * 1e6:>18.1f}")


if __name__ == "__main__":
    main()
