"""`weir dead-letters list` over several consumers, and over documents that point at a stream's records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from handlers.cdc.failure_document import BatchRange, Failure
from ops.cli import app
from ops.operator.dead_letters import commands, pointers, stores
from ops.operator.dead_letters.letters import DeadLetter
from ops.operator.stack import Stack

STREAM = "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000"


class Letters:
    """A store of dead letters."""

    def __init__(self, *letters: DeadLetter) -> None:
        self.unreadable: list[str] = []
        self._letters = letters

    def letters(self, *, settled: bool = False) -> Iterator[DeadLetter]:
        yield from self._letters

    def close(self) -> None:
        """Do nothing."""


def record(user: str) -> dict[str, Any]:
    return {"eventID": user, "dynamodb": {"Keys": {"userId": {"S": user}}}}


def letter(name: str, *users: str) -> DeadLetter:
    event = {"Records": [record(user) for user in users]} if users else None
    batch = None if users else BatchRange(STREAM, "shard", 1, name, name)
    return DeadLetter(name, name, 0.0, None, Failure("mapping", "f", "RetryAttemptsExhausted", None, event, batch), {})


def listed(monkeypatch: pytest.MonkeyPatch, *arguments: str, **by_consumer: list[DeadLetter]) -> list[str]:
    """The ids that are listed."""
    readers = [SimpleNamespace(name=name) for name in by_consumer]
    monkeypatch.setattr(commands, "_open", lambda *_: (Stack("prod", {}), readers))
    monkeypatch.setattr(stores, "stores_of", lambda _, reader: [Letters(*by_consumer[reader.name])])
    monkeypatch.setattr(pointers, "read_range", lambda _, batch: [record(batch.first)])
    said = CliRunner().invoke(app, ["dead-letters", "list", "--json", *arguments])
    return [json.loads(line)["id"] for line in said.stdout.splitlines()]


@pytest.mark.parametrize(("limit", "ids"), [(1, ["a"]), (2, ["a", "b"]), (3, ["a", "b", "c"])])
def test_a_limit_is_one_of_all_consumers_together(limit: int, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert ids == listed(
        monkeypatch,
        *("--limit", str(limit)),
        one=[letter("a", "ada"), letter("b", "bob")],
        two=[letter("c", "cyd")],
        three=[letter("d", "dan")],
    )


def test_a_document_that_points_at_a_change_of_the_item_is_listed_as_one_of_its(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = [letter("bob"), letter("eve"), letter("c", "cyd", "bob")]
    assert listed(monkeypatch, "--only", "userId=bob", one=waiting) == ["bob", "c"]
