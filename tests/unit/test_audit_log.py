"""The audit log: every change once, under its own day, item and version, whatever is delivered again."""

from __future__ import annotations

import itertools
import json
from copy import deepcopy
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from handlers import audit_log
from handlers.cdc import Change
from handlers.cdc.testing import change, record
from handlers.cdc.write_once import WriteContended
from tests.buckets import InMemoryBucket

ADA = {"userId": "u1", "email": "ada@example.com", "address": {"street": "Main 1", "city": "Bern"}}
DAY = 1_767_225_600  # 2026-01-01
KEY = "dt=2026-01-01/users/u1"


@pytest.fixture(autouse=True)
def bucket(monkeypatch: pytest.MonkeyPatch) -> InMemoryBucket:
    bucket = InMemoryBucket()
    monkeypatch.setenv("AUDIT_BUCKET", "log")
    monkeypatch.setattr(audit_log.log, "client", bucket)
    monkeypatch.setattr(audit_log.redaction._key, "value", lambda: "a secret")
    return bucket


def entry(bucket: InMemoryBucket) -> dict[str, Any]:
    (body,) = bucket.objects.values()
    return json.loads(body)


def modify(before: str, after: str, version: int = 8, **settings: Any) -> Change:
    old, new = {**ADA, "plan": before, "version": version - 1}, {**ADA, "plan": after, "version": version}
    return change(old=old, new=new, created=DAY, **settings)


def write(*changes: Change) -> None:
    for each in changes:
        audit_log.handler.function(each)


def test_a_change_lies_under_its_own_day_item_and_version(bucket: InMemoryBucket) -> None:
    write(modify("free", "pro"))
    assert list(bucket.objects) == [f"{KEY}/8-MODIFY"]
    found = entry(bucket)
    assert (found["old"]["plan"], found["new"]["plan"], found["version"]) == ("free", "pro", 8)
    assert found["at"] == "2026-01-01T00:00:00+00:00"


def test_a_change_that_is_delivered_again_is_one_object(bucket: InMemoryBucket) -> None:
    it = modify("free", "pro")
    write(it, it)
    assert len(bucket.objects) == 1


def test_a_removal_carries_the_last_version_and_is_an_object_of_its_own(bucket: InMemoryBucket) -> None:
    last = {**ADA, "plan": "pro", "version": 8}
    write(modify("free", "pro"), change(old=last, created=DAY))
    assert list(bucket.objects) == [f"{KEY}/8-MODIFY", f"{KEY}/8-REMOVE"]


def test_changes_of_a_writer_that_advances_no_version_are_all_kept(bucket: InMemoryBucket) -> None:
    one, two = {**ADA, "plan": "free", "version": 7}, {**ADA, "plan": "pro", "version": 7}
    changes = [change(old=one, new=two, created=DAY), change(old=two, new=one, created=DAY)]
    changes.append(change(old=one, new=two, created=DAY))  # the first one's content, and another change
    write(*changes, *changes)
    assert len(bucket.objects) == 3
    assert {json.loads(body)["eventId"] for body in bucket.objects.values()} == {each.event_id for each in changes}


def test_an_item_without_a_version_is_named_by_its_events(bucket: InMemoryBucket) -> None:
    it = change(new=ADA, created=DAY)
    write(it, it)
    assert list(bucket.objects) == [f"{KEY}/{it.event_id}-INSERT"]


def test_the_same_change_by_a_route_without_sequence_numbers_is_one_object(bucket: InMemoryBucket) -> None:
    it = modify("free", "pro")
    elsewhere = deepcopy(dict(it.record))
    elsewhere["eventID"] = "7a0b-dashed"
    del elsewhere["dynamodb"]["SequenceNumber"]
    write(it, Change(elsewhere))
    assert len(bucket.objects) == 1


def test_another_change_by_a_route_without_sequence_numbers_is_kept(bucket: InMemoryBucket) -> None:
    other = deepcopy(dict(modify("free", "enterprise").record))
    del other["dynamodb"]["SequenceNumber"]
    write(modify("free", "pro"), Change(other))
    assert len(bucket.objects) == 2


@pytest.mark.parametrize("lying", [b"put here by hand", b"[]", b"{}", b""])
def test_what_no_entry_is_does_not_hide_a_change(bucket: InMemoryBucket, lying: bytes) -> None:
    bucket.objects[f"{KEY}/8-MODIFY"] = lying
    it = modify("free", "pro")
    write(it, it)
    assert list(bucket.objects) == [f"{KEY}/8-MODIFY", f"{KEY}/8-MODIFY-{it.event_id}"]


def test_a_conflict_with_another_request_is_tried_again(bucket: InMemoryBucket) -> None:
    bucket.answers = ["ConditionalRequestConflict", "ConditionalRequestConflict"]
    write(modify("free", "pro"))
    assert (bucket.writes, len(bucket.objects)) == (3, 1)


def test_a_conflict_that_lasts_fails_the_record(bucket: InMemoryBucket) -> None:
    bucket.answers = ["ConditionalRequestConflict"] * 3
    with pytest.raises(WriteContended):
        write(modify("free", "pro"))
    assert not bucket.objects


def test_an_object_that_is_deleted_before_it_is_read_is_written_again(bucket: InMemoryBucket) -> None:
    bucket.answers = ["PreconditionFailed"]
    write(modify("free", "pro"))
    assert len(bucket.objects) == 1


def test_a_bucket_that_denies_fails_the_record(bucket: InMemoryBucket) -> None:
    bucket.answers = ["AccessDenied"]
    with pytest.raises(ClientError, match="AccessDenied"):
        write(modify("free", "pro"))


def test_a_snapshot_is_no_change(bucket: InMemoryBucket) -> None:
    snapshot = {**record(new={**ADA, "version": 7}), "origin": "snapshot"}
    del snapshot["dynamodb"]["ApproximateCreationDateTime"]
    write(Change(snapshot))
    assert not bucket.objects


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a/b", "a%2Fb"),
        ("a,b", "a%2Cb"),
        ("é", "%C3%A9"),
        ("..", "%2E%2E"),
        ("a.b", "a.b"),
        (7, "7"),
        (b"\xff", "%2Fw%3D%3D"),
    ],
)
def test_a_key_is_one_part_of_the_name(key: Any, name: str) -> None:
    assert audit_log.item_name({"id": key}) == name


def test_a_long_key_is_hashed_so_that_s3_takes_the_name() -> None:
    name = audit_log.item_name({"id": "é" * 1000, "at": "x" * 1000})
    assert len(name) == 64
    assert name != audit_log.item_name({"id": "é" * 1000, "at": "y" * 1000})


def test_a_key_of_two_attributes_is_not_another_keys() -> None:
    assert audit_log.item_name({"id": "a", "at": "b"}) == "a,b"
    assert audit_log.item_name({"id": "a,b"}) != audit_log.item_name({"id": "a", "at": "b"})


def test_attributes_are_dropped_and_hashed_by_configuration(
    bucket: InMemoryBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_DROP", "address.street,phones.number")
    monkeypatch.setenv("AUDIT_HASH", "email,userId")
    phones = [{"number": "555", "kind": "home"}, {"kind": "work"}]
    write(change(new={**ADA, "phones": phones, "version": 7}, created=DAY))
    found = entry(bucket)
    assert found["new"]["address"] == {"city": "Bern"}
    assert found["new"]["phones"] == [{"kind": "home"}, {"kind": "work"}]
    assert found["new"]["email"].startswith("hmac-sha256:")
    assert found["keys"]["userId"] == found["new"]["userId"]
    everything = "".join(bucket.objects) + json.dumps(found)
    assert not [each for each in ("u1", "ada@example.com", "Main 1", "555") if each in everything]


def test_equal_values_keep_equal_hashes_and_another_key_makes_others(
    bucket: InMemoryBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_HASH", "email")
    write(modify("free", "pro"))
    found = entry(bucket)
    assert found["old"]["email"] == found["new"]["email"]
    monkeypatch.setattr(audit_log.redaction._key, "value", lambda: "another secret")
    assert audit_log.redaction.apply(ADA)["email"] != found["new"]["email"]


#: A history's writes: the plan, or `None` for a delete, and whether the writer advances the version.
writes = st.lists(st.tuples(st.sampled_from(["free", "pro", None]), st.booleans()), min_size=1, max_size=6)


def history(done: list[tuple[str | None, bool]]) -> list[Change]:
    item: dict[str, Any] | None = None
    version = 7
    changes: list[Change] = []
    for plan, advances in done:
        version += advances
        new = None if plan is None else {"userId": "u1", "plan": plan, "version": version}
        if new != item:
            changes.append(change(old=item, new=new, created=DAY))
        item = new
    return changes


@given(writes, st.data())
def test_every_change_is_one_entry_after_any_deliveries(
    done: list[tuple[str | None, bool]], data: st.DataObject
) -> None:
    bucket = InMemoryBucket()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_log.log, "client", bucket)
        changes = history(done)
        orders = [data.draw(st.permutations(changes)), data.draw(st.permutations(changes))] if changes else []
        conflict = st.sampled_from([None, "ConditionalRequestConflict"])
        bucket.answers = data.draw(st.lists(conflict, max_size=2))
        write(*itertools.chain(*orders))
    logged = sorted(json.loads(body)["eventId"] for body in bucket.objects.values())
    assert logged == sorted(each.event_id for each in changes)
