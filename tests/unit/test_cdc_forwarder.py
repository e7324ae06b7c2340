"""The forwarder publishes every change in the order of its item, and reports the first that it could not publish."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.cdc import Change, consumer, forwarder
from handlers.cdc.forwarder import MESSAGE_BYTES, Message, forward, group_of, handler
from handlers.cdc.invocation import running
from handlers.cdc.testing import Invocation, queue_event, record, stream_event
from handlers.cdc.time_budget import OutOfTime

TOPIC = "arn:aws:sns:us-east-1:111122223333:changes.fifo"


class Sns:
    """Takes calls of PublishBatch, refuses the entries and fails the calls that a test chooses."""

    def __init__(self) -> None:
        self.calls: list[list[Mapping[str, Any]]] = []
        self.refused: set[str] = set()
        self.down_after: int | None = None

    def publish_batch(self, *, TopicArn: str, PublishBatchRequestEntries: list[Any]) -> dict[str, Any]:  # noqa: N803
        assert TopicArn == TOPIC
        if self.down_after is not None and len(self.calls) >= self.down_after:
            raise ConnectionError("throttled")
        self.calls.append(PublishBatchRequestEntries)
        failed = [each for each in PublishBatchRequestEntries if each["MessageDeduplicationId"] in self.refused]
        return {"Failed": [{"Id": each["Id"], "Code": "InternalError", "SenderFault": False} for each in failed]}

    def bodies(self) -> list[Any]:
        return [json.loads(entry["Message"]) for call in self.calls for entry in call]


class S3:
    """A bucket that is down where a test says so."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.down = False

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803
        if self.down:
            raise ConnectionError("S3")
        assert ContentType == "application/json"
        self.objects[Bucket, Key] = Body

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        class Body:
            read = staticmethod(lambda: self.objects[Bucket, Key])

        return {"Body": Body}


@pytest.fixture(autouse=True)
def sns(monkeypatch: pytest.MonkeyPatch) -> Sns:
    fake = Sns()
    monkeypatch.setattr(forwarder, "sns", fake)
    monkeypatch.setenv("FAN_OUT_TOPIC", TOPIC)
    return fake


@pytest.fixture(autouse=True)
def s3(monkeypatch: pytest.MonkeyPatch) -> S3:
    fake = S3()
    monkeypatch.setattr("handlers.cdc.claim_check.client", lambda service: fake)
    monkeypatch.setenv("CLAIM_CHECK_BUCKET", "claims")
    return fake


def of_items(items: Sequence[str], **new: Any) -> list[dict[str, Any]]:
    return [record(keys={"userId": item}, new={"userId": item, "n": n, **new}) for n, item in enumerate(items)]


def forwarded(records: Sequence[Mapping[str, Any]], seconds: float = 30.0) -> list[str]:
    answer = handler(stream_event(*records), Invocation(seconds))
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def number(of: Mapping[str, Any]) -> str:
    return of["dynamodb"]["SequenceNumber"]


def test_changes_are_published_whole_with_their_item_as_group_and_their_event_as_deduplication_id(sns: Sns) -> None:
    records = of_items(["ada", "bob"])
    assert forwarded(records) == []
    ((first, second),) = sns.calls
    assert sns.bodies() == records
    assert first["MessageGroupId"] == group_of({"userId": {"S": "ada"}}) != second["MessageGroupId"]
    assert first["MessageDeduplicationId"] == records[0]["eventID"]
    assert len(first["MessageGroupId"]) == 64


def test_one_item_has_one_group_in_whatever_order_its_key_is_written() -> None:
    assert group_of({"a": {"S": "1"}, "b": {"N": "2"}}) == group_of({"b": {"N": "2"}, "a": {"S": "1"}})


def test_a_call_holds_one_message_of_an_item_and_ten_at_most(sns: Sns) -> None:
    records = of_items(["ada", "ada", *(f"user-{n}" for n in range(12)), "ada"])
    assert forwarded(records) == []
    assert [len(call) for call in sns.calls] == [10, 4, 1]
    for call in sns.calls:
        assert len({entry["MessageGroupId"] for entry in call}) == len(call)


def test_nothing_later_of_an_item_is_published_behind_a_failed_entry_and_other_items_go_on(sns: Sns) -> None:
    records = of_items(["bob", "ada", "bob", "ada", "bob"])
    sns.refused = {records[1]["eventID"]}
    assert forwarded(records) == [number(records[1])]
    published = [
        (body["dynamodb"]["Keys"]["userId"]["S"], body["dynamodb"]["NewImage"]["n"]["N"]) for body in sns.bodies()
    ]
    assert published == [("bob", "0"), ("ada", "1"), ("bob", "2"), ("bob", "4")]


def test_a_call_that_fails_ends_the_invocation_with_the_first_unpublished_record(sns: Sns) -> None:
    records = of_items([f"user-{n}" for n in range(25)])
    sns.down_after = 1
    assert forwarded(records) == [number(records[10])]


def test_calls_stay_within_the_bytes_of_the_topic(sns: Sns) -> None:
    records = of_items(["ada", "bob", "cid"], text="x" * 400_000)
    assert forwarded(records) == []
    assert [len(call) for call in sns.calls] == [2, 1]
    assert all(sum(len(entry["Message"]) for entry in call) <= MESSAGE_BYTES for call in sns.calls)


def test_messages_are_ascii_because_sqs_takes_only_some_of_unicode(sns: Sns) -> None:
    records = of_items(["ada"], text="naïve \uffff")
    assert forwarded(records) == []
    assert sns.calls[0][0]["Message"].isascii()
    assert sns.bodies() == records


def test_a_change_that_no_message_holds_is_published_as_a_claim_check_which_consumers_resolve(sns: Sns) -> None:
    records = of_items(["ada"], text="x" * MESSAGE_BYTES)
    assert forwarded(records) == []
    claim = {"claimCheck": f"s3://claims/{records[0]['eventID']}.json"}
    assert sns.bodies() == [claim]
    seen: list[Change] = []
    assert consumer(seen.append)(queue_event(claim), Invocation()) == {"batchItemFailures": []}
    assert [change.new["text"] for change in seen] == ["x" * MESSAGE_BYTES]


@pytest.mark.parametrize(("size", "too_large"), [(MESSAGE_BYTES, False), (MESSAGE_BYTES + 1, True)])
def test_only_what_no_message_holds_needs_a_claim_check(size: int, too_large: bool) -> None:
    assert Message(0, "group", "event", "x" * size).too_large is too_large


def test_a_change_that_cannot_be_put_into_s3_fails_alone(sns: Sns, s3: S3) -> None:
    s3.down = True
    large, small = of_items(["ada"], text="x" * MESSAGE_BYTES) + of_items(["bob"])
    assert forwarded([large, small]) == [number(large)]
    assert sns.bodies() == [small]


def test_an_event_without_records_is_done(sns: Sns) -> None:
    assert forwarded([]) == []
    assert sns.calls == []


def test_too_little_time_to_start_is_an_error() -> None:
    with pytest.raises(OutOfTime):
        forwarded(of_items(["ada"]), seconds=0.5)


def test_calls_that_take_long_leave_the_rest_to_the_next_invocation() -> None:
    now = [0.0]

    def slow(call: Sequence[Message]) -> set[int]:
        now[0] += 11
        return set()

    messages = [Message(n, f"group-{n}", f"event-{n}", "{}") for n in range(50)]
    context = Mock(get_remaining_time_in_millis=lambda: int((30 - now[0]) * 1000))
    with running(context):
        assert forward(messages, slow) == 20


@given(
    groups=st.lists(st.integers(0, 4), max_size=60),
    failing=st.sets(st.integers(0, 59)),
    calls=st.integers(0, 20),
)
def test_whatever_fails_an_item_s_changes_are_published_up_to_one_and_no_further(
    groups: list[int], failing: set[int], calls: int
) -> None:
    published: list[Message] = []
    made = 0

    def publish(call: Sequence[Message]) -> set[int]:
        nonlocal made
        made += 1
        if made > calls:
            raise ConnectionError("throttled")
        published.extend(message for message in call if message.position not in failing)
        return {message.position for message in call if message.position in failing}

    messages = [Message(n, str(group), str(n), "{}") for n, group in enumerate(groups)]
    first = forward(messages, publish)
    done = {message.position for message in published}
    assert first == min(set(range(len(groups))) - done, default=None)
    by_group: dict[str, list[int]] = defaultdict(list)
    for message in published:
        by_group[message.group].append(message.position)
    for group, positions in by_group.items():
        assert positions == [message.position for message in messages if message.group == group][: len(positions)]
