"""Measures event patterns in records per second, beside the alternatives one would write by hand.

Processor seconds, all in one run, best of several rounds. `Pattern` is the compiled form, `matches` looks it up first;
the hand-written predicate knows its question in advance and is the limit.
"""

from __future__ import annotations

import json
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path

# The directory of this script holds a handlers.py, which is not the package.
sys.path.insert(0, str(Path(__file__).parents[1]))

from aws_semantics.event_patterns import Pattern, matches
from handlers.cdc.testing import record

ROUNDS, CALLS = 7, 20_000

USER = {"userId": "u1", "email": "ada@example.com", "name": "Ada", "seats": 3, "active": True, "city": "Bern"}
RECORD = record(old={**USER, "plan": "free"}, new={**USER, "plan": "pro"}, created=0)
TEXT = json.dumps(RECORD)

SIMPLE = {"eventName": ["MODIFY"], "dynamodb": {"NewImage": {"plan": {"S": ["pro", "enterprise"]}}}}
SIMPLE_TEXT = json.dumps(SIMPLE)
RICH = {
    "eventName": ["MODIFY"],
    "dynamodb": {
        "NewImage": {"plan": {"S": [{"prefix": "pro"}]}, "seats": {"N": [{"anything-but": ["0"]}]}},
        "$or": [
            {"OldImage": {"plan": {"S": [{"exists": False}]}}},
            {"OldImage": {"plan": {"S": [{"equals-ignore-case": "FREE"}, {"wildcard": "*trial*"}]}}},
        ],
    },
}


def by_hand(event: dict) -> bool:
    return event["eventName"] == "MODIFY" and event["dynamodb"]["NewImage"]["plan"].get("S") in ("pro", "enterprise")


def walk(pattern: dict, event: dict) -> bool:
    """The naive interpreter: exact values only, walked again for every event."""
    for name, asked in pattern.items():
        value = event.get(name)
        if isinstance(asked, dict):
            if not isinstance(value, dict) or not walk(asked, value):
                return False
        elif value not in asked:
            return False
    return True


def _best(call: Callable[[], object]) -> float:
    # Processor time: other processes on the machine are none of a pattern's business.
    return min(timeit.repeat(call, number=CALLS, repeat=ROUNDS, timer=time.process_time)) / CALLS


def main() -> None:
    compiled, rich = Pattern(SIMPLE), Pattern(RICH)
    assert all((compiled.matches(RECORD), rich.matches(RECORD), walk(SIMPLE, RECORD), by_hand(RECORD)))
    rows: list[tuple[str, Callable[[], object]]] = [
        ("naive: parse the pattern, walk it", lambda: walk(json.loads(SIMPLE_TEXT), RECORD)),
        ("naive: walk the parsed pattern", lambda: walk(SIMPLE, RECORD)),
        ("by hand, this one question", lambda: by_hand(RECORD)),
        ("Pattern.matches, simple", lambda: compiled.matches(RECORD)),
        ("matches(text, record), simple", lambda: matches(SIMPLE_TEXT, RECORD)),
        ("matches(dict, record), simple", lambda: matches(SIMPLE, RECORD)),
        ("Pattern.matches, $or and operators", lambda: rich.matches(RECORD)),
        ("Pattern.matches, record as JSON text", lambda: compiled.matches(TEXT)),
    ]
    best = {title: _best(call) for title, call in rows}
    naive = best[rows[0][0]]
    print(f"{'':<40}{'matches/s':>12}{'µs':>8}{'x naive':>10}")
    for title, seconds in best.items():
        print(f"{title:<40}{1 / seconds:>12,.0f}{seconds * 1e6:>8.2f}{naive / seconds:>10.1f}")


if __name__ == "__main__":
    main()
