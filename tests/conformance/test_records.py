"""Records of a stream as a function receives them (docs/aws-semantics.md §1.3)."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from local.engine.streams.records import from_get_records
from tests.conformance.simulated import mapping

conforms = pytest.mark.conformance

STREAM = "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000"


def delivered(dynamodb: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The record that a function gets, of one as boto3's GetRecords gives it."""
    record = {
        "eventID": "0" * 32,
        "eventName": "REMOVE",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": datetime(2026, 1, 1, 0, 0, 1, 999_000, tzinfo=UTC),
            "Keys": {"pk": {"S": "a"}},
            "SequenceNumber": "58700000641778711598503",
            "SizeBytes": 0,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            **(dynamodb or {}),
        },
        **changes,
    }
    return dict(from_get_records(record, stream_arn=STREAM, visible=0.0).event)


@conforms("DDB-RECORD-1", "documented")
def test_ddb_record_1_a_deletion_by_time_to_live_names_dynamodb_and_no_other_record_has_an_identity():
    identity = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    assert delivered(userIdentity=identity)["userIdentity"] == {
        "type": "Service",
        "principalId": "dynamodb.amazonaws.com",
    }
    assert "userIdentity" not in delivered()


@conforms("DDB-RECORD-2", "documented")
def test_ddb_record_2_the_creation_time_is_in_whole_seconds():
    created = delivered()["dynamodb"]["ApproximateCreationDateTime"]
    assert created == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC).timestamp()
    assert isinstance(created, float)


@conforms("DDB-RECORD-3", "recorded")
def test_ddb_record_3_binaries_are_base64_once():
    image = delivered({"NewImage": {"pk": {"S": "a"}, "data": {"B": b"\x00\xff"}}})["dynamodb"]["NewImage"]
    assert image["data"] == {"B": "AP8="}


@conforms("DDB-RECORD-7", "deduced")
def test_ddb_record_7_the_size_is_that_of_keys_and_images():
    item = {"pk": {"S": "a"}, "n": {"N": "-12345.60"}, "yes": {"BOOL": True}, "data": {"B": b"\x00\xff"}}
    key, numbers, flag, data = 2 + 1, 1 + 3 + 1, 3 + 1, 4 + 2
    assert delivered({"NewImage": item})["dynamodb"]["SizeBytes"] == key + (key + numbers + flag + data)


@conforms("DDB-RECORD-10", "recorded")
def test_ddb_record_10_a_functions_record_is_that_of_the_stream_and_its_arn():
    record = delivered()
    assert record.pop("eventSourceARN") == STREAM
    assert set(record) == {"eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb"}


@conforms("DDB-RECORD-11", "recorded")
def test_ddb_record_11_an_event_id_has_32_hex_digits_and_no_dashes():
    rest = "DestinationConfig: {OnFailure: {Destination: 'arn:aws:s3:::failures'}}, MaximumRetryAttempts: 0"
    report = mapping(rest, records=3, rest="handler: [{then: raise}]")
    payload = json.loads(report["onFailure"][0]["body"]["payload"])
    ids = [record["eventID"] for record in payload["Records"]]
    assert len(set(ids)) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
