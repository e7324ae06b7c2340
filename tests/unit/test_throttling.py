"""Warnings of `weir local up` about streams that have too many readers."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from ops import throttling


class Endpoint:
    """Answers the control API: each time what comes next, and then it is gone."""

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        self._answers = list(answers)

    def throttling(self) -> list[dict[str, Any]]:
        if not self._answers:
            raise ConnectionRefusedError
        return self._answers.pop(0)


def test_a_stream_that_has_too_many_readers_is_named_once_until_the_endpoint_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(throttling, "LOOK_SECONDS", 0.0)
    users = {"streamArn": "arn:users", "shardId": "s", "throttledReads": 1, "advice": "too many readers"}
    orders = {**users, "streamArn": "arn:orders"}
    endpoint: Any = Endpoint([], [users], [{**users, "throttledReads": 7}, orders])
    printed = io.StringIO()
    throttling.tell_of_throttling(endpoint, Console(file=printed, width=40))
    assert printed.getvalue().splitlines() == [
        "Reads of arn:users are throttled: too many readers.",
        "Reads of arn:orders are throttled: too many readers.",
    ]
