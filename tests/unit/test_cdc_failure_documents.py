"""Documents about records that were given up: whoever wrote one, it is read in one place."""

import json
from typing import Any

import pytest

from handlers.cdc.failure_document import (
    BatchRange,
    NotAFailureDocument,
    is_failure_document,
    of_consumer,
    of_mapping,
    of_pipe,
    read,
)
from handlers.cdc.testing import record, stream_event

STREAM = "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000"
RANGE = BatchRange(STREAM, "shardId-1", 2, "100", "101", 1_767_225_600.0, 1_767_225_601.0)
FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:mails"


def mapping_document(payload: str | None, batch: BatchRange = RANGE) -> dict[str, Any]:
    return of_mapping(
        batch,
        function_arn=FUNCTION,
        request_id="r1",
        condition="RetryAttemptsExhausted",
        invoke_count=3,
        response=None,
        payload=payload,
        now=1_767_225_700.0,
    )


def test_a_consumers_document_is_read_with_its_record_and_its_reason() -> None:
    given = record(new={"id": 1})
    document = of_consumer(given, function="mails", condition="Discarded", reason="bounced", now=0.0, identity={})
    failure = read(json.loads(json.dumps(document)))
    assert (failure.writer, failure.name, failure.condition) == ("consumer", "mails", "Discarded")
    assert (failure.reason, failure.event, failure.batch) == ("bounced", {"Records": [given]}, None)


def test_a_mappings_document_is_read_with_its_range_and_in_s3_with_its_records() -> None:
    event = stream_event(record(new={"id": 1}), record(new={"id": 2}))
    for payload, read_event in ((None, None), (json.dumps(event), event)):
        failure = read(json.loads(json.dumps(mapping_document(payload))))
        assert (failure.writer, failure.name, failure.condition) == ("mapping", FUNCTION, "RetryAttemptsExhausted")
        assert (failure.event, failure.batch) == (read_event, RANGE)


def test_the_final_call_of_a_window_has_a_shard_and_no_range() -> None:
    nothing = BatchRange(STREAM, "shardId-1")
    assert read(mapping_document(None, nothing)).batch == nothing


def test_a_pipes_document_is_read_with_its_range() -> None:
    kinesis = BatchRange("arn:aws:kinesis:us-east-1:111122223333:stream/s", "shardId-0", 1, "7", "7", 1.25, 1.25)
    pipe = "arn:aws:pipes:us-east-1:111122223333:pipe/webhooks"
    failure = read(of_pipe(kinesis, pipe_arn=pipe, condition="RecordAgeExceeded", now=2.0))
    assert (failure.writer, failure.name, failure.condition) == ("pipe", pipe, "RecordAgeExceeded")
    assert (failure.event, failure.batch) == (None, kinesis)


def test_an_asynchronous_replay_that_failed_is_read_out_of_lambdas_envelope() -> None:
    given = record(new={"id": 1})
    inner = of_consumer(given, function="mails", condition="Discarded", reason="bounced", now=0.0, identity={})
    envelope = {
        "version": "1.0",
        "requestContext": {"requestId": "r", "functionArn": FUNCTION, "condition": "RetriesExhausted"},
        "requestPayload": inner,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
    }
    assert read(envelope).reason == "bounced"
    assert read({**envelope, "requestPayload": stream_event(given)}).event == {"Records": [given]}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"Records": []},
        {"requestContext": {}},
        {"requestContext": "text", "payload": "{}"},
        {"context": {}},
        {"context": None},
    ],
)
def test_another_value_is_not_a_failure_document(value: Any) -> None:
    assert not is_failure_document(value)
    if isinstance(value, dict):
        with pytest.raises(NotAFailureDocument):
            read(value)


@pytest.mark.parametrize(
    ("damage", "says"),
    [({"payload": "not json"}, "not JSON"), ({"payload": "[]"}, "a list"), ({"payload": 7}, "not JSON")],
)
def test_a_payload_that_is_not_an_event_is_named(damage: dict[str, Any], says: str) -> None:
    with pytest.raises(NotAFailureDocument, match=says):
        read({**mapping_document(None), **damage})


def test_a_range_that_is_damaged_is_named() -> None:
    document = mapping_document(None)
    del document["DDBStreamBatchInfo"]["endSequenceNumber"]
    with pytest.raises(NotAFailureDocument, match="endSequenceNumber"):
        read(document)
