"""The lane and what it works with, driven by hand: what a driver can rely on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from local.engine.actions import GiveUp, Invoke, Lose, Wait
from local.engine.clock import Clock, VirtualClock
from local.engine.outcomes import Failed, Partial, Succeeded, Throttled, read_answer, read_response
from local.engine.streams import admission
from local.engine.streams.documents import failure_document
from local.engine.streams.lane import Lane
from local.engine.streams.records import StreamRecord, from_get_records, item_size
from local.engine.streams.settings import MappingSettings
from local.engine.streams.tumbling_lane import TumblingLane

ARN = "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/2026-01-01T00:00:00.000"


def records(*sequence: int, at: float = 0.0, image: dict[str, Any] | None = None) -> list[StreamRecord]:
    return [
        StreamRecord(
            {"dynamodb": {"SequenceNumber": str(each), "Keys": {"id": {"S": str(each)}}, **(image or {})}},
            arrived=at,
            visible=at,
        )
        for each in sequence
    ]


def numbers(action: object) -> list[str]:
    assert isinstance(action, Invoke | GiveUp | Lose)
    return [record.identifier for record in action.records]


def test_a_lane_alone_delivers_a_shard_and_keeps_its_checkpoint():
    lane = Lane(MappingSettings(batch_size=2))
    assert lane.next(0.0) == Wait(None)
    lane.add(records(1, 2, 3))
    assert numbers(lane.next(0.0)) == ["1", "2"]
    assert lane.running
    lane.finished(Partial(1), 1.0)
    assert lane.checkpoint == "1"
    assert [record.identifier for record in lane.unfinished] == ["2", "3"]
    assert numbers(lane.next(1.0)) == ["2"]
    lane.finished(Succeeded(), 1.0)
    assert numbers(lane.next(1.0)) == ["3"]


def test_a_lane_refuses_to_be_asked_out_of_turn():
    lane = Lane(MappingSettings())
    with pytest.raises(RuntimeError, match="no invocation is running"):
        lane.finished(Succeeded(), 0.0)
    lane.add(records(1))
    lane.next(0.0)
    with pytest.raises(RuntimeError, match="one invocation at a time"):
        lane.next(0.0)


def test_a_back_off_never_overflows():
    lane = Lane(MappingSettings())
    lane.add(records(1))
    now = 0.0
    for _ in range(3000):
        action = lane.next(now)
        assert isinstance(action, Invoke)
        lane.finished(Throttled(), now)
        wait = lane.next(now)
        assert isinstance(wait, Wait)
        assert wait.until is not None
        now = wait.until
    assert now < 3000 * 60


def test_records_that_the_stream_forgot_in_a_batch_are_lost_before_the_next_attempt():
    lane = Lane(MappingSettings(retention=100))
    lane.add([*records(1, at=0.0), *records(2, at=60.0)])
    assert numbers(lane.next(60.0)) == ["1", "2"]
    lane.finished(Failed("Unhandled"), 110.0)
    lost = lane.next(111.0)
    assert isinstance(lost, Lose)
    assert numbers(lost) == ["1"]
    assert numbers(lane.next(111.0)) == ["2"]


def test_a_final_call_that_never_succeeds_is_left_after_the_retention_and_after_the_record_age():
    for settings, ends in (({"retention": 50}, Lose), ({"maximum_record_age": 60}, GiveUp)):
        lane = TumblingLane(MappingSettings(tumbling_window=10, **settings))
        lane.add(records(1))
        lane.next(0.0)
        lane.finished(Succeeded({"n": 1}), 0.0)
        final = lane.next(10.0)
        assert isinstance(final, Invoke)
        assert final.records == ()
        lane.finished(Failed("Unhandled"), 10.0)
        ended = lane.next(80.0)
        assert isinstance(ended, ends)
        assert not lane.window_is_open
        assert lane.next(80.0) == Wait(None)


def test_large_records_are_counted_in_exact_bytes():
    image = {"NewImage": {"text": {"S": "x" * 3_000_000}}, "SizeBytes": 3_000_010}
    lane = Lane(MappingSettings(batching_window=60))
    lane.add(records(1, 2, 3, image=image))
    assert numbers(lane.next(0.0)) == ["1", "2"]
    lane.finished(Succeeded(), 0.0)
    assert lane.next(0.0) == Wait(60.0)


def test_answers_that_are_no_list_of_failures():
    assert read_answer({"batchItemFailures": {"itemIdentifier": "1"}}, ["1"]) == Failed(None)
    assert read_answer({"batchItemFailures": [None]}, ["1"]) == Failed(None)
    reported = {"batchItemFailures": [{"itemIdentifier": "2"}], "state": {"n": 1}}
    assert read_response(reported, ["1", "2"], reports=True, windowed=True) == Partial(1, {"n": 1})
    assert read_response({"state": {}} | reported, ["2"], reports=True, windowed=True) == Failed(None)
    assert read_response(reported, ["1", "2"], reports=False, windowed=False) == Succeeded()


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "äb"}, 3),
        ({"N": "123"}, 3),
        ({"N": "-1000"}, 2),
        ({"B": "AAEC"}, 3),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["a", "bc"]}, 3),
        ({"NS": ["1", "22"]}, 4),
        ({"BS": ["AAEC", "AA=="]}, 4),
        ({"L": [{"S": "a"}, {"NULL": True}]}, 7),
        ({"M": {"k": {"S": "v"}}}, 6),
    ],
)
def test_the_size_of_a_value_is_dynamodbs(value: dict[str, Any], size: int):
    assert item_size({"a": value}) == 1 + size


def test_a_record_of_get_records_becomes_lambdas():
    record = from_get_records(
        {
            "eventID": "1",
            "eventName": "REMOVE",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": datetime(2026, 1, 1, 0, 0, 0, 700_000, tzinfo=UTC),
                "Keys": {"id": {"B": b"\x00\x01"}},
                "OldImage": {"id": {"B": b"\x00\x01"}, "tags": {"SS": {"a"}}},
                "SequenceNumber": "99",
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "userIdentity": {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"},
        },
        stream_arn=ARN,
        visible=5.0,
    )
    assert record.arrived == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert record.event["dynamodb"]["Keys"] == {"id": {"B": "AAE="}}
    assert record.event["dynamodb"]["SizeBytes"] == 13
    assert record.event["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert (record.sequence_number, repr(record)) == (99, "<StreamRecord 99>")
    assert record.payload_bytes == len(json.dumps(record.event, separators=(",", ":"))) + 1
    assert record.payload_bytes < record.payload_bytes_at_most


def test_a_kinesis_record_keeps_its_own_order_and_document():
    event = {"kinesis": {"partitionKey": "p1", "sequenceNumber": "7"}}
    record = StreamRecord(event, arrived=1.5, visible=1.5, sequence="7")
    assert (record.item_key, record.identifier) == ("p1", "7")
    given_up = GiveUp((record,), "RetryAttemptsExhausted", "request", 1, None)
    document = failure_document(
        given_up,
        now=2.0,
        function_arn="function",
        stream_arn="arn:aws:kinesis:us-east-1:111122223333:stream/s",
        shard_id="shardId-000000000000",
        payload=False,
    )
    assert document["KinesisBatchInfo"]["approximateArrivalOfFirstRecord"] == "1970-01-01T00:00:01.500Z"


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"BatchSize": "10"}, "BatchSize='10' is not a whole number"),
        ({"BatchSize": True}, "BatchSize=True is not a whole number"),
        ({"BisectBatchOnFunctionError": 1}, "is not true or false"),
        ({"FilterCriteria": []}, "is not an object"),
        ({"FilterCriteria": {"Filter": []}}, "holds a list of Filters"),
        ({"FilterCriteria": {"Filters": ["x"]}}, "is not an object with a Pattern"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"a": [1]}'}] * 6}}, "has 6 filters and AWS takes 5"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "x" * 4097}]}}, "has 4097 characters"),
        ({"DestinationConfig": {"Other": {}}}, "holds OnFailure"),
        ({"DestinationConfig": {"OnFailure": {"Destination": 3}}}, "is not an ARN"),
        ({"Nonsense": 1}, "is not a parameter of CreateEventSourceMapping"),
    ],
)
def test_parameters_of_a_wrong_form_are_named(parameters: dict[str, Any], says: str):
    found = [*admission.problems({"StartingPosition": "LATEST", **parameters})]
    assert any(says in problem for problem in found), found


def test_clocks_do_not_go_back():
    virtual, real = VirtualClock(10.0), Clock()
    virtual.sleep(5.0)
    assert virtual() == 15.0
    with pytest.raises(ValueError, match="time does not go back"):
        virtual.advance_to(14.0)
    with pytest.raises(ValueError, match="cannot go back"):
        real.advance(-1)
    before = real.now()
    real.advance(100)
    assert real.now() >= before + 100
