"""A walk over a table's segment in parts, each within the time of its invocation."""

from __future__ import annotations

from typing import Any

import pytest

from handlers.cdc import reconciler
from handlers.cdc.reconciler import Walk

LAMBDA_SECONDS = 300.0
#: A call takes no less within a region.
CALL_SECONDS = 0.015


class Clock:
    """A clock that calls move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class Aws:
    """A table of which no row was projected yet, and the queue of the projection."""

    def __init__(self, clock: Clock, items: int) -> None:
        self._clock, self._items = clock, items
        self.sent: list[str] = []

    def scan(self, **asked: Any) -> Any:
        self._clock.pass_by(CALL_SECONDS)
        first = int(asked.get("ExclusiveStartKey", {}).get("userId", {}).get("S", "-1")) + 1
        end = min(first + asked["Limit"], self._items)
        plan = {"plan": {"S": "pro"}, "version": {"N": "1"}}
        page: dict[str, Any] = {"Items": [{"userId": {"S": str(number)}, **plan} for number in range(first, end)]}
        return page if end == self._items else {**page, "LastEvaluatedKey": {"userId": {"S": str(end - 1)}}}

    def batch_get_item(self, **_: Any) -> Any:
        self._clock.pass_by(CALL_SECONDS)
        return {"Responses": {}}

    def get_queue_attributes(self, **_: Any) -> Any:
        return {"Attributes": {"CreatedTimestamp": "1767225600"}}

    def send_message_batch(self, **asked: Any) -> Any:
        self._clock.pass_by(CALL_SECONDS)
        self.sent += [each["MessageDeduplicationId"] for each in asked["Entries"]]
        return {}

    def put_object(self, **_: Any) -> Any:
        self._clock.pass_by(CALL_SECONDS)


def test_a_part_sends_what_it_found_before_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    items, clock = 40_000, Clock()
    aws = Aws(clock, items)
    for name in ("dynamodb", "sqs", "s3"):
        monkeypatch.setattr(reconciler, name, aws)
    monkeypatch.setenv("ENTITLEMENTS_TABLE", "entitlements")
    job: dict[str, Any] = {
        "table": "users",
        "keys": ["userId"],
        "reports": "reports",
        "run": "one",
        "dryRun": False,
        "purpose": "backfill",
        "itemsPerSecond": 125,
        "settleSeconds": 0,
        "segment": 0,
        "segments": 16,
        "consumers": {"entitlements": {"entryPoint": "handlers.entitlements.handler", "queueUrl": "queue"}},
    }
    while not job.get("done"):
        began = clock.now
        monkeypatch.setattr(reconciler, "remaining_seconds", lambda began=began: began + LAMBDA_SECONDS - clock.now)
        job = Walk(job, clock=lambda: clock.now, now=lambda: clock.now, sleep=clock.pass_by).run()
        assert clock.now - began < LAMBDA_SECONDS
    assert (job["checked"], job["sent"], len({*aws.sent})) == (items, {"entitlements": items}, items)
