"""Every delivery that a consumer takes, and the report of the records that failed."""

import base64
import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest

from handlers.cdc import Change, Discard, NotDone, UnknownEventShape, consumer
from handlers.cdc.testing import (
    Invocation,
    kinesis_change,
    kinesis_event,
    pipe_event,
    queue_event,
    record,
    stream_event,
)

SECRET = "ada@example.com"


def records(size: int = 3) -> list[dict[str, Any]]:
    return [record(old={"id": n, "v": 1}, new={"id": n, "v": 2, "mail": SECRET}) for n in range(size)]


def run(
    event: Any, *, bad: int | None = None, seen: list[Change] | None = None, **arguments: Any
) -> tuple[list[Change], list[str]]:
    seen = [] if seen is None else seen

    @consumer(**arguments)
    def handler(change: Change) -> None:
        seen.append(change)
        if change.keys["id"] == bad:
            raise RuntimeError("down")

    answer = handler(event, Invocation())
    return seen, [item["itemIdentifier"] for item in answer["batchItemFailures"]]


def ids(changes: list[Change]) -> list[int]:
    return [int(change.keys["id"]) for change in changes]


def test_a_mapping_is_told_the_sequence_number() -> None:
    given = records()
    seen, failed = run(stream_event(*given), bad=1)
    assert ids(seen) == [0, 1]
    assert failed == [given[1]["dynamodb"]["SequenceNumber"]]


def test_a_pipe_is_told_the_event_id() -> None:
    given = records()
    seen, failed = run(pipe_event(*given), bad=1)
    assert ids(seen) == [0, 1]
    assert failed == [given[1]["eventID"]]


def test_a_pipe_from_kinesis_is_told_the_event_id() -> None:
    event = pipe_event(*kinesis_event(*records())["Records"])
    seen, failed = run(event, bad=1)
    assert ids(seen) == [0, 1]
    assert failed == [event[1]["eventID"]]


@pytest.mark.parametrize("group", [None, "u1"])
def test_a_pipe_from_a_queue_is_told_the_message_ids(group: str | None) -> None:
    event = pipe_event(*queue_event(*records(), group=group)["Records"])
    seen, failed = run(event, bad=1)
    assert ids(seen) == ([0, 1, 2] if group is None else [0, 1])
    assert failed == [each["messageId"] for each in (event[1:2] if group is None else event[1:])]


def test_a_kinesis_stream_is_told_its_own_sequence_number() -> None:
    event = kinesis_event(*records())
    seen, failed = run(event, bad=1)
    assert ids(seen) == [0, 1]
    assert failed == [event["Records"][1]["kinesis"]["sequenceNumber"]]
    assert seen[0].table_name == "users"
    assert seen[0].sequence_number is not None


def test_messages_of_a_standard_queue_are_independent() -> None:
    event = queue_event(*records(4))
    seen, failed = run(event, bad=1)
    assert ids(seen) == [0, 1, 2, 3]
    assert failed == [event["Records"][1]["messageId"]]


def test_in_a_fifo_queue_only_the_group_of_the_failed_message_stops() -> None:
    one, other = queue_event(*records(4), group="u1"), queue_event(*records(4), group="u2")
    mixed = [message for pair in zip(one["Records"], other["Records"], strict=True) for message in pair]
    seen: list[tuple[str, int]] = []

    @consumer
    def handler(change: Change) -> None:
        group = "u1" if len(seen) % 2 == 0 or len(seen) > 2 else "u2"
        seen.append((group, int(change.keys["id"])))
        if len(seen) == 3:  # the second message of the first group
            raise RuntimeError("down")

    failed = handler({"Records": mixed}, Invocation())["batchItemFailures"]
    assert [each["itemIdentifier"] for each in failed] == [message["messageId"] for message in one["Records"][1:]]
    assert len(seen) == 3 + 3  # one of the first group is done, one failed, all four of the second are done


def test_a_change_in_an_sns_notification_is_unwrapped() -> None:
    (given,) = records(1)
    envelope = {"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": json.dumps(given)}
    seen, failed = run(queue_event(envelope))
    assert (ids(seen), failed) == ([0], [])


@pytest.mark.parametrize("as_text", [False, True], ids=["object", "text"])
def test_a_claim_check_is_resolved_by_the_consumers_own_function(as_text: bool) -> None:
    (given,) = records(1)
    asked: list[Any] = []

    def fetch(claim: Any) -> Any:
        asked.append(claim)
        return json.dumps(given) if as_text else given

    claim = {"bucket": "b", "key": "k"}
    seen, failed = run(queue_event({"claimCheck": claim}), claim_check=fetch)
    assert (ids(seen), failed, asked) == ([0], [], [claim])


def test_a_claim_check_that_nobody_can_resolve_fails_its_message_alone() -> None:
    event = queue_event({"claimCheck": "k"}, *records(1))
    seen, failed = run(event)
    assert (ids(seen), failed) == ([0], [event["Records"][0]["messageId"]])


def test_a_claim_check_that_cannot_be_fetched_fails_its_message() -> None:
    def fetch(_: Any) -> Any:
        raise ConnectionError("no bucket")

    event = queue_event({"claimCheck": "k"})
    assert run(event, claim_check=fetch) == ([], [event["Records"][0]["messageId"]])


@pytest.mark.parametrize("scale", [1_000, 1_000_000], ids=["milliseconds", "microseconds"])
def test_kinesis_data_streams_for_dynamodb_has_its_own_record_shape(scale: int) -> None:
    given = kinesis_change(
        old={"id": 1, "photo": b"old", "all": {b"a", b"b"}, "deep": {"list": [b"x"]}},
        new={"id": 1, "photo": b"new", "all": {b"c"}, "deep": {"list": [b"y"]}, "B": "no binary"},
        created=1_700_000_000.0,
    )
    given["dynamodb"]["ApproximateCreationDateTime"] = int(1_700_000_000.25 * scale)
    ((it,), failed) = run(kinesis_event(given))
    assert failed == []
    assert it.sequence_number is None
    assert it.table_name == "users"
    assert it.approximate_creation_time == datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC)
    assert it.old == {"id": 1, "photo": b"old", "all": {b"a", b"b"}, "deep": {"list": [b"x"]}}
    assert it.new == {"id": 1, "photo": b"new", "all": {b"c"}, "deep": {"list": [b"y"]}, "B": "no binary"}
    assert not it.is_ttl_delete


def test_an_insert_through_kinesis_has_no_old_image_and_no_error() -> None:
    ((it,), _) = run(kinesis_event(kinesis_change(new={"id": 1})))
    assert it.old is None


def test_a_change_of_the_kinesis_route_may_arrive_in_a_queue() -> None:
    ((it,), failed) = run(queue_event(kinesis_change(new={"id": 1, "photo": b"x"})))
    assert (it.new["photo"], failed) == (b"x", [])


@pytest.mark.parametrize("origin", ["replay", "snapshot"])
def test_a_replayed_batch_says_so_and_a_failure_of_it_is_raised(origin: str) -> None:
    given = records()
    del given[1]["dynamodb"]["SequenceNumber"]  # a snapshot has none
    untouched = copy.deepcopy(given)
    seen: list[Change] = []
    with pytest.raises(NotDone, match=f"1 of 3 records .* not done, the first is {given[1]['eventID']}"):
        run({"origin": origin, "Records": given}, bad=1, seen=seen)
    assert [change.origin for change in seen] == [origin] * 2
    assert given == untouched


def test_an_ordinary_delivery_has_the_origin_stream() -> None:
    ((it,), _) = run(stream_event(*records(1)))
    assert it.origin == "stream"


def test_a_replay_may_hold_changes_of_the_kinesis_route_and_messages() -> None:
    ((one,), _) = run({"origin": "replay", "Records": [kinesis_change(new={"id": 1, "photo": b"x"})]})
    ((two,), _) = run({"origin": "replay", **queue_event(*records(1))})
    assert (one.origin, one.new["photo"], two.origin) == ("replay", b"x", "replay")


def test_the_document_of_a_failure_destination_in_s3_is_a_replay() -> None:
    given = records()
    document = {
        "requestContext": {"condition": "RetryAttemptsExhausted"},
        "payload": json.dumps(stream_event(*given)),
        "DDBStreamBatchInfo": {},
    }
    seen, failed = run(document)
    assert [change.origin for change in seen] == ["replay"] * 3
    assert failed == []
    with pytest.raises(NotDone, match=given[2]["eventID"]):
        run(document, bad=2)


def bus_event(detail: Any, **members: Any) -> dict[str, Any]:
    """The event that EventBridge gives a function, or sends to a queue."""
    return {
        "version": "0",
        "id": "5c4f0000-0000-4000-8000-000000000000",
        "detail-type": "Event from aws:dynamodb",
        "source": "Pipe changes",
        "account": "111122223333",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
        **members,
    }


def notification(message: Any) -> dict[str, Any]:
    """The body that SNS sends to a queue without raw delivery."""
    topic = "arn:aws:sns:us-east-1:111122223333:changes"
    return {"Type": "Notification", "MessageId": "m1", "TopicArn": topic, "Message": json.dumps(message)}


def topic_event(message: Any) -> dict[str, Any]:
    """The event that SNS gives a function."""
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": notification(message)}]}


def pipe_document(given: Any) -> dict[str, Any]:
    return {
        "requestContext": {"functionName": "mails", "condition": "Discarded"},
        "version": "1.0",
        "payload": json.dumps({"Records": [given]}),
    }


WRAPPED = {
    "bus": bus_event,
    "topic": topic_event,
    "bus to queue": lambda change: queue_event(bus_event(change), group="u1"),
    "topic to queue": lambda change: queue_event(notification(change), group="u1"),
    "bus to topic to queue": lambda change: queue_event(notification(bus_event(change))),
    "topic to queue to pipe": lambda change: pipe_event(*queue_event(notification(change))["Records"]),
    "Kinesis pipe to bus": lambda change: bus_event(pipe_event(*kinesis_event(change)["Records"])[0]),
    "queue pipe to bus": lambda change: bus_event(pipe_event(*queue_event(change)["Records"])[0]),
    "parked document in a queue": lambda change: queue_event(pipe_document(change)),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("make", [record, kinesis_change], ids=["stream", "Kinesis"])
def test_a_change_is_taken_out_of_everything_around_it(wrap: Callable[[Any], Any], make: Callable[..., Any]) -> None:
    ((it,), failed) = run(wrap(make(new={"id": 1, "photo": b"x"})))
    assert (it.keys["id"], it.new["photo"], failed) == (1, b"x", [])


@pytest.mark.parametrize("wrap", [bus_event, topic_event], ids=["bus", "topic"])
@pytest.mark.parametrize("content", [{"orderId": 1}, [record(new={"id": 1})], None, 7, {}, {"mail": SECRET}])
def test_an_envelope_around_anything_else_is_not_a_change(wrap: Callable[[Any], Any], content: Any) -> None:
    with pytest.raises(UnknownEventShape) as raised:
        run(wrap(content))
    assert SECRET not in str(raised.value)
    event = queue_event(bus_event(content))
    assert run(event) == ([], [event["Records"][0]["messageId"]])


@pytest.mark.parametrize("wrap", [bus_event, topic_event], ids=["bus", "topic"])
def test_a_failure_that_no_one_would_read_in_the_answer_is_raised(wrap: Callable[[Any], Any]) -> None:
    with pytest.raises(NotDone):
        run(wrap(record(new={"id": 1})), bad=1)


def test_an_event_that_a_bus_replays_says_so() -> None:
    ((it,), _) = run(bus_event(records(1)[0], **{"replay-name": "again"}))
    assert it.origin == "replay"


def test_a_document_of_several_records_does_not_fit_into_a_message(caplog: pytest.LogCaptureFixture) -> None:
    document = {**pipe_document(None), "payload": json.dumps(stream_event(*records(2)))}
    event = queue_event(document)
    assert run(event) == ([], [event["Records"][0]["messageId"]])
    assert "invoke the function with the document itself" in caplog.text


DELIVERIES: dict[str, Callable[[Any], Any]] = {
    "stream": stream_event,
    "pipe": pipe_event,
    "Kinesis": kinesis_event,
    "Kinesis pipe": lambda change: pipe_event(*kinesis_event(change)["Records"]),
    "queue": queue_event,
    "FIFO queue": lambda change: queue_event(change, group="u1"),
    "queue pipe": lambda change: pipe_event(*queue_event(change, group="u1")["Records"]),
    "bus": bus_event,
    "topic": topic_event,
}


@pytest.mark.parametrize("deliver", DELIVERIES.values(), ids=DELIVERIES)
def test_the_parked_record_of_every_delivery_replays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, deliver: Callable[[Any], Any]
) -> None:
    parked: list[dict[str, Any]] = []
    monkeypatch.setenv("FAILURE_DESTINATION", "arn:aws:s3:::parked")
    monkeypatch.setenv("QUEUE_ATTEMPTS", "1")
    s3 = Mock(put_object=lambda **request: parked.append(json.loads(request["Body"])))
    monkeypatch.setattr("handlers.cdc.discard.BoundedClient", lambda _: s3)

    @consumer
    def discards(change: Change) -> None:
        raise Discard("bounced")

    assert discards(deliver(record(new={"id": 1})), Invocation()) == {"batchItemFailures": []}
    (document,) = parked
    for again in (document, queue_event(document)):
        ((it,), failed) = run(again)
        assert (it.keys["id"], it.origin, failed) == (1, "replay", [])
    with pytest.raises(NotDone):  # and touches no message of the queue it once came from
        run(document, bad=1)


def without(event: dict[str, Any], *path: Any) -> dict[str, Any]:
    event = copy.deepcopy(event)
    place: Any = event
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return event


STREAM, PIPE = stream_event(*records(2)), pipe_event(*records(2))
QUEUE, FIFO, KINESIS = queue_event(*records(2)), queue_event(*records(2), group="g"), kinesis_event(*records(2))


@pytest.mark.parametrize(
    "event",
    [
        [],
        [None],
        [{}],
        [*PIPE, queue_event({})["Records"][0]],
        without({"0": PIPE}, "0", 1, "eventID")["0"],
        without(STREAM, "Records", 1, "dynamodb", "SequenceNumber"),
        without(STREAM, "Records", 1, "dynamodb"),
        without(STREAM, "Records", 0, "eventSource"),
        without(QUEUE, "Records", 1, "messageId"),
        without(FIFO, "Records", 1, "attributes"),
        without(FIFO, "Records", 1, "attributes", "MessageGroupId"),
        without(KINESIS, "Records", 1, "kinesis"),
        {"Records": [*STREAM["Records"], *QUEUE["Records"]]},
        {"Records": [{"eventSource": "aws:s3", "eventID": "1"}]},
        {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(records(1)[0])}}]},
        {"Records": "many"},
        {"Records": [7]},
        {"Records": [], "origin": "nowhere"},
        {**STREAM, "origin": "nowhere"},
        {"origin": "replay", "Records": [7]},
        {**STREAM, "window": {"start": "", "end": ""}, "state": {}},
        {"requestContext": {}, "payload": "not json"},
        {"requestContext": {}, "payload": "[]"},
        {"requestContext": {}, "payload": "{}"},
        {"detail-type": "change", "detail": records(1)[0]},
        {"rmk://": 1},
        "text",
        3.5,
        True,
    ],
    ids=lambda event: json.dumps(event)[:40],
)
def test_a_shape_that_is_not_known_is_never_a_success_and_is_not_quoted(event: Any) -> None:
    with pytest.raises(UnknownEventShape) as raised:
        run(event)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "path",
    [
        ("eventID",),
        ("eventName",),
        ("dynamodb", "Keys"),
        ("eventSourceARN",),
    ],
    ids=".".join,
)
def test_a_record_without_a_change_in_it_fails_alone_and_in_its_place(path: tuple[str, ...]) -> None:
    given = records()
    broken = without(given[1], *path)
    event = stream_event(given[0], broken, given[2])
    seen, failed = run(event)
    assert ids(seen) == [0]
    assert failed == [given[1]["dynamodb"]["SequenceNumber"]]


@pytest.mark.parametrize(
    "body",
    ["", "not json", "[]", "null", "{}", '{"eventName": "INSERT"}', {"Type": "Notification", "TopicArn": "t"}],
    ids=str,
)
def test_a_message_without_a_change_in_it_fails_alone(body: Any) -> None:
    event = queue_event(body, *records(1))
    seen, failed = run(event)
    assert ids(seen) == [0]
    assert failed == [event["Records"][0]["messageId"]]


@pytest.mark.parametrize("data", [None, "%%%", base64.b64encode(b"\xff").decode(), base64.b64encode(b"[]").decode()])
def test_kinesis_data_without_a_change_in_it_fails_in_its_place(data: Any) -> None:
    event = kinesis_event(*records(2))
    event["Records"][1]["kinesis"]["data"] = data
    seen, failed = run(event)
    assert ids(seen) == [0]
    assert failed == [event["Records"][1]["kinesis"]["sequenceNumber"]]


def test_an_unknown_event_name_is_no_change() -> None:
    given = records(1)
    given[0]["eventName"] = "UPSERT"
    assert run(stream_event(*given)) == ([], [given[0]["dynamodb"]["SequenceNumber"]])
