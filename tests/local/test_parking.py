"""A discarded record, parked in a real bucket and replayed from there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handlers.cdc import Change, Discard, consumer
from handlers.cdc.testing import Invocation, record, stream_event


def test_a_parked_record_is_one_object_that_replays_the_record(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILURE_DESTINATION", world.bucket())
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "welcome-email")
    monkeypatch.setattr("handlers.cdc.discard.BoundedClient", world.client)
    seen: list[tuple[str, str]] = []

    @consumer
    def handler(change: Change) -> None:
        seen.append((change.origin, change.new["mail"]))
        if change.origin == "stream" and change.new["mail"] == "bounced":
            raise Discard("the address bounced")

    lost = record(new={"id": "u1", "mail": "bounced"})
    for _ in range(2):  # delivered again: parked under the same name
        answer = handler(stream_event(lost, record(new={"id": "u2", "mail": "fine"})), Invocation())
        assert answer == {"batchItemFailures": []}

    s3 = world.client("s3")
    (stored,) = s3.list_objects_v2(Bucket=world.name)["Contents"]
    assert stored["Key"] == f"discarded/welcome-email/{lost['eventID']}.json"
    document = json.loads(s3.get_object(Bucket=world.name, Key=stored["Key"])["Body"].read())
    assert handler(document, Invocation()) == {"batchItemFailures": []}
    assert seen[-1] == ("replay", "bounced")
