"""Mappings and pipes that read a Kinesis stream (docs/aws-semantics.md §3.7)."""

from __future__ import annotations

import base64
import json

import pytest

from tests.conformance.simulated import batches, letters, outcomes, refused, run

conforms = pytest.mark.conformance

STREAM = "arn:aws:kinesis:us-east-1:111122223333:stream/clicks"
FIRST = "shardId-000000000000"


def pipe(settings: str = "", *, records: str, filters: str = "", rest: str = "") -> dict:
    return run(f"""
pipe:
  Name: clicks
  RoleArn: arn:aws:iam::111122223333:role/pipe
  Source: "{STREAM}"
  SourceParameters:
    KinesisStreamParameters: {{StartingPosition: TRIM_HORIZON, BatchSize: 10, {settings}}}
    {filters}
  Target: "arn:aws:lambda:us-east-1:111122223333:function:F"
records: {records}
{rest}
""")


def numbered(*numbers: int) -> str:
    return "[" + ", ".join(f'{{kinesis: {{sequenceNumber: "{number}"}}}}' for number in numbers) + "]"


@conforms("PIPE-FAIL-4", "documented")
def test_pipe_fail_4_a_record_of_kinesis_is_named_by_shard_and_sequence_number():
    report = pipe(records=numbered(1, 2, 3), rest=f"handler: [{{times: 1, then: {{report: ['{FIRST}:2']}}}}]")
    assert [each["identifiers"] for each in report["invocations"]] == [
        [f"{FIRST}:1", f"{FIRST}:2", f"{FIRST}:3"],
        [f"{FIRST}:2", f"{FIRST}:3"],
    ]
    assert outcomes(report) == ["partial", "success"]
    assert report["checkpoints"] == {FIRST: "3"}


def test_a_mapping_names_records_of_kinesis_by_sequence_number_alone():
    arguments = f'EventSourceArn: "{STREAM}", StartingPosition: TRIM_HORIZON'
    report = run(f"eventSourceMapping: {{{arguments}}}\nrecords: {numbered(1, 2)}")
    assert batches(report) == ["12"]


@conforms("PIPE-KIN-3", "deduced")
def test_pipe_kin_3_a_dead_letter_has_a_kinesis_batch_info_and_times_in_milliseconds():
    report = pipe(
        "MaximumRetryAttempts: 0, DeadLetterConfig: {Arn: 'arn:aws:sqs:us-east-1:111122223333:dead'}",
        records="[{at: 0.1234, kinesis: {sequenceNumber: '7'}}]",
        rest="handler: [{then: raise}]",
    )
    assert letters(report) == [
        {
            "context": {
                "partnerResourceArn": "arn:aws:pipes:us-east-1:111122223333:pipe/clicks",
                "condition": "RetryAttemptsExhausted",
            },
            "version": "1.0",
            "timestamp": "2026-01-01T00:00:00.123Z",
            "KinesisBatchInfo": {
                "shardId": FIRST,
                "startSequenceNumber": "7",
                "endSequenceNumber": "7",
                "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00.123Z",
                "approximateArrivalOfLastRecord": "2026-01-01T00:00:00.123Z",
                "batchSize": 1,
                "streamArn": STREAM,
            },
        }
    ]


@conforms("PIPE-KIN-4", "documented")
@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ({"data": {"kind": ["order"]}}, "13"),
        ({"partitionKey": ["b"]}, "2"),
        ({"data": {"kind": [{"exists": False}]}}, "2"),
    ],
)
def test_pipe_kin_4_a_filter_sees_the_data_as_json_and_the_members_beside_it(pattern: dict, kept: str):
    encoded = base64.b64encode(b'{"kind": "order"}').decode()
    report = pipe(
        filters=f"FilterCriteria: {{Filters: [{{Pattern: '{json.dumps(pattern)}'}}]}}",
        records=f"""
  - {{kinesis: {{sequenceNumber: "1", json: {{kind: order}}}}}}
  - {{kinesis: {{sequenceNumber: "2", partitionKey: b, json: {{}}}}}}
  - {{kinesis: {{sequenceNumber: "3", data: {encoded}}}}}""",
    )
    assert [each.removeprefix(f"{FIRST}:") for each in report["invocations"][0]["identifiers"]] == list(kept)
    assert len(report["filteredOut"]) == 3 - len(kept)


@conforms("PIPE-KIN-1", "documented")
@pytest.mark.parametrize(
    ("position", "read"),
    [
        ("TRIM_HORIZON", ["1", "2", "3"]),
        ("LATEST", ["3"]),
        ("AT_TIMESTAMP, StartingPositionTimestamp: 2025-12-31T23:59:50Z", ["2", "3"]),
        ("AT_TIMESTAMP, StartingPositionTimestamp: 1767225590", ["2", "3"]),
    ],
)
def test_pipe_kin_1_a_stream_is_read_from_the_starting_position_on(position: str, read: list[str]):
    report = run(f"""
eventSourceMapping: {{EventSourceArn: "{STREAM}", StartingPosition: {position}}}
records:
  - {{at: -10.5, kinesis: {{sequenceNumber: "1"}}}}
  - {{at: -10, kinesis: {{sequenceNumber: "2"}}}}
  - {{kinesis: {{sequenceNumber: "3"}}}}
""")
    assert [each for call in report["invocations"] for each in call["identifiers"]] == read


def test_made_up_records_of_kinesis_are_numbered_and_named_by_their_shard():
    report = pipe(records="[{}, {}]")
    (call,) = report["invocations"]
    assert call["shard"] == FIRST
    first, second = (each.removeprefix(f"{FIRST}:") for each in call["identifiers"])
    assert (len(first), int(second)) == (56, int(first) + 1)


def test_a_record_that_was_copied_from_lambda_is_taken_as_it_is():
    report = pipe(
        records=f"""
  - eventID: "{FIRST}:49590338271490256608559692538361571095921575989136588898"
    eventName: aws:kinesis:record
    eventVersion: "1.0"
    eventSource: aws:kinesis
    awsRegion: us-east-1
    eventSourceARN: "{STREAM}"
    invokeIdentityArn: arn:aws:iam::111122223333:role/function
    kinesis:
      kinesisSchemaVersion: "1.0"
      partitionKey: "1"
      sequenceNumber: "49590338271490256608559692538361571095921575989136588898"
      data: SGVsbG8=
      approximateArrivalTimestamp: 1545084650.987"""
    )
    assert report["invocations"][0]["identifiers"] == [
        f"{FIRST}:49590338271490256608559692538361571095921575989136588898"
    ]


@pytest.mark.parametrize(
    ("position", "more", "says"),
    [
        ("AT_TIMESTAMP", "", ["eventSourceMapping: StartingPosition AT_TIMESTAMP needs a StartingPositionTimestamp"]),
        (
            "AT_TIMESTAMP, StartingPositionTimestamp: soon",
            "",
            ["eventSourceMapping: StartingPositionTimestamp='soon' is not a time, in seconds since 1970"],
        ),
        (
            "AT_TIMESTAMP, StartingPositionTimestamp: 2026-01-01T00:00:01Z",
            "",
            ["eventSourceMapping: StartingPositionTimestamp must not be in the future"],
        ),
        ("LATEST", "stream: {viewType: KEYS_ONLY}", ["stream.viewType: a Kinesis stream has none"]),
        (
            "LATEST",
            "records: [{eventName: INSERT, dynamodb: {}}]",
            [
                "records.0.dynamodb: a Kinesis stream has none",
                "records.0.eventName: is not an event of a Kinesis stream, which has aws:kinesis:record",
            ],
        ),
        (
            "LATEST",
            "records: [{kinesis: {data: SGVsbG8=, json: Hello}}]",
            ["records.0.kinesis: either data or json, which is the same in another form"],
        ),
        (
            "LATEST",
            "records: [{kinesis: {data: Hello!}}]",
            ["records.0.kinesis.data: is not base64"],
        ),
    ],
)
def test_what_cannot_be_of_a_kinesis_stream_is_refused(position: str, more: str, says: list[str]):
    scenario = f'eventSourceMapping: {{EventSourceArn: "{STREAM}", StartingPosition: {position}}}\n{more}'
    assert refused(scenario).splitlines() == says


def test_a_record_of_kinesis_is_none_of_a_tables_stream():
    assert refused("eventSourceMapping: {StartingPosition: LATEST}\nrecords: [{kinesis: {}}]") == (
        "records.0.kinesis: a DynamoDB stream has none"
    )


MERGED = """
eventSourceMapping: {EventSourceArn: "arn:aws:kinesis:us-east-1:111122223333:stream/clicks", SETTINGS}
function: {Timeout: 30}
stream: {shards: [{id: a}, {id: b}, {id: c, parent: [a, b]}, {id: d, parent: c}]}
records:
  - {shard: d, kinesis: {sequenceNumber: "14"}}
  - {shard: c, kinesis: {sequenceNumber: "13"}}
  - {shard: a, kinesis: {sequenceNumber: "11"}}
  - {shard: b, kinesis: {sequenceNumber: "12"}}
"""


@conforms("ESM-ORDER-5", "recorded")
@pytest.mark.parametrize("slow", ["11", "12"])
def test_esm_order_5_the_child_of_a_merge_waits_for_both_parents(slow: str):
    settings = MERGED.replace("SETTINGS", "StartingPosition: TRIM_HORIZON")
    report = run(f'{settings}\nhandler: [{{when: {{contains: ["{slow}"]}}, takes: 6}}, {{takes: 1}}]')
    assert [(each["t"], *each["identifiers"]) for each in report["invocations"]] == [
        (0, "11"),
        (0, "12"),
        (6, "13"),
        (7, "14"),
    ]
    assert report["unfinished"] == []


@conforms("ESM-ORDER-5", "recorded")
def test_esm_order_5_a_parent_that_never_ends_holds_the_child_up():
    settings = MERGED.replace("SETTINGS", "StartingPosition: TRIM_HORIZON")
    report = run(f'until: 100\n{settings}\nhandler: [{{when: {{contains: ["12"]}}, then: raise}}]')
    assert {each for entry in report["invocations"] for each in entry["identifiers"]} == {"11", "12"}
    assert report["unfinished"] == ["12", "13", "14"]


@pytest.mark.parametrize(
    ("shards", "says"),
    [
        ("{id: c, parent: [a, x]}", "c has the parent x, which is not a shard of it"),
        ("{id: c, parent: [a, a]}", "c has the parent a twice"),
        ("{id: c, parent: [a, d]}, {id: d, parent: [b, c]}", "c is among its own ancestors"),
        ("{id: c, parent: [a, b, c]}", "is not the id of a shard, or a list of two"),
        ("{id: c, parent: 7}", "is not the id of a shard, or a list of two"),
    ],
)
def test_parents_that_no_shard_has_are_refused(shards: str, says: str):
    mapping = "eventSourceMapping: {EventSourceArn: 'ARN', StartingPosition: LATEST}"
    arn = "arn:aws:kinesis:us-east-1:111122223333:stream/clicks"
    assert says in refused(f"{mapping.replace('ARN', arn)}\nstream: {{shards: [{{id: a}}, {{id: b}}, {shards}]}}")


def test_shards_of_a_dynamodb_stream_are_not_merged():
    shards = "stream: {shards: [{id: a}, {id: b}, {id: c, parent: [a, b]}]}"
    assert "c has two parents" in refused(f"eventSourceMapping: {{StartingPosition: LATEST}}\n{shards}")
