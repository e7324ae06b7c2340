"""The deadline of dead letters in a bucket, by those of its lifecycle rules that delete them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ops.operator.dead_letters.bucket import DAY, BucketLetters

AT = datetime(2026, 1, 31, tzinfo=UTC)


class Bucket:
    """A client of S3 with one bucket that has one document."""

    def __init__(self, *rules: dict[str, Any]) -> None:
        self._rules = rules

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **asked: str) -> Any:
        key = "discarded/mails/1.json"
        return [{"Contents": [{"Key": key, "LastModified": AT}] if key.startswith(asked["Prefix"]) else []}]

    def get_bucket_lifecycle_configuration(self, **_: str) -> Any:
        return {"Rules": [{"Status": "Enabled", **rule} for rule in self._rules]}


def rule(days: int, **chosen: Any) -> dict[str, Any]:
    return {"Expiration": {"Days": days}, "Filter": chosen}


EVERY = rule(365, Prefix="")


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ([EVERY], 365),
        ([rule(365)], 365),
        ([{"Expiration": {"Days": 365}, "Prefix": ""}], 365),
        ([EVERY, rule(7, Prefix="logs/")], 365),
        ([EVERY, rule(30, Prefix="discarded/")], 30),
        ([EVERY, rule(7, Tag={"Key": "kind", "Value": "scratch"})], 365),
        ([EVERY, rule(7, And={"Prefix": "", "Tags": [{"Key": "kind", "Value": "scratch"}]})], 365),
        ([rule(7, Prefix="logs/")], None),
    ],
)
def test_only_rules_about_the_documents_count(rules: list[dict[str, Any]], days: int | None) -> None:
    count, _, deadline = BucketLetters(Bucket(*rules), "letters").waiting()
    assert (count, deadline) == (1, None if days is None else AT.timestamp() + days * DAY)
