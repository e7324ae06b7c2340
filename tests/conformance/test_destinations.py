"""Documents for the on-failure destination (docs/aws-semantics.md §2.7)."""

from __future__ import annotations

import json
import re

import pytest

from tests.conformance.simulated import BUCKET, QUEUE, TOPIC, letters, mapping, run

conforms = pytest.mark.conformance

FAILS = "handler: [{then: raise}]"


def to(destination: str, *more: str) -> str:
    settings = ", ".join(["MaximumRetryAttempts: 1", *more])
    return f'DestinationConfig: {{OnFailure: {{Destination: "{destination}"}}}}, {settings}'


@conforms("ESM-DEST-16", "recorded")
@pytest.mark.parametrize("destination", [QUEUE, TOPIC])
def test_esm_dest_16_queues_and_topics_get_the_range_of_the_records_and_never_the_records(destination: str):
    report = run(f"""
    start: "2026-09-17T13:02:26Z"
    eventSourceMapping:
      StartingPosition: TRIM_HORIZON
      FunctionName: "arn:aws:lambda:us-east-1:111111111111:function:F:live"
      EventSourceArn: "arn:aws:dynamodb:us-east-1:111111111111:table/T/stream/2026-09-17T12:49:54.528"
      MaximumRetryAttempts: 1
      DestinationConfig: {{OnFailure: {{Destination: "{destination}"}}}}
    stream: {{shards: [{{id: shardId-00000001789649399079-0d666f96}}]}}
    records:
      - {{at: 0.9, visibleAt: 1, dynamodb: {{SequenceNumber: "41800003314721981745013"}}}}
      - {{at: 1, dynamodb: {{SequenceNumber: "42100001330762507399791"}}}}
    handler: [{{then: raise}}]
    """)
    (entry,) = report["onFailure"]
    assert "key" not in entry
    assert json.dumps(entry["body"]) == json.dumps(
        {
            "requestContext": {
                "requestId": report["invocations"][0]["requestId"],
                "functionArn": "arn:aws:lambda:us-east-1:111111111111:function:F:live",
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 2,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": "2026-09-17T13:02:27.250Z",
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000001789649399079-0d666f96",
                "startSequenceNumber": "41800003314721981745013",
                "endSequenceNumber": "42100001330762507399791",
                "approximateArrivalOfFirstRecord": "2026-09-17T13:02:26Z",
                "approximateArrivalOfLastRecord": "2026-09-17T13:02:27Z",
                "batchSize": 2,
                "streamArn": "arn:aws:dynamodb:us-east-1:111111111111:table/T/stream/2026-09-17T12:49:54.528",
            },
        }
    )


@conforms("ESM-DEST-2", "recorded")
def test_esm_dest_2_the_condition_says_which_limit_was_reached():
    exhausted = mapping(to(QUEUE), rest=FAILS)
    aged = mapping(to(QUEUE, "MaximumRecordAgeInSeconds: 60").replace("Attempts: 1", "Attempts: -1"), rest=FAILS)
    assert [each["requestContext"]["condition"] for each in letters(exhausted)] == ["RetryAttemptsExhausted"]
    assert [each["requestContext"]["condition"] for each in letters(aged)] == ["RecordAgeExceeded"]


@conforms("ESM-DEST-3", "recorded")
def test_esm_dest_3_of_a_record_that_was_too_old_the_document_tells_no_response_and_one_invocation():
    report = run(f"""
    eventSourceMapping:
      StartingPosition: TRIM_HORIZON
      MaximumRecordAgeInSeconds: 60
      DestinationConfig: {{OnFailure: {{Destination: "{QUEUE}"}}}}
    records: [{{at: 0, visibleAt: 70}}]
    """)
    (letter,) = letters(report)
    assert list(letter) == ["requestContext", "version", "timestamp", "DDBStreamBatchInfo"]
    assert letter["requestContext"]["approximateInvokeCount"] == 1


@conforms("ESM-DEST-4", "recorded")
@conforms("ESM-DEST-1", "recorded")
@pytest.mark.parametrize("then", ["{report: ['1']}", "{return: {batchItemFailures: [{foo: 123}]}}"])
def test_esm_dest_4_a_reported_failure_is_no_function_error_nor_is_an_answer_that_names_nothing(then: str):
    report = mapping(
        to(QUEUE, "FunctionResponseTypes: [ReportBatchItemFailures]"), records=1, rest=f"handler: [{{then: {then}}}]"
    )
    assert letters(report)[0]["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": None,
    }


@conforms("ESM-DEST-5", "recorded")
def test_esm_dest_5_invocations_of_the_batches_it_was_cut_from_do_not_count():
    report = mapping(to(QUEUE, "BisectBatchOnFunctionError: true"), records=2, rest=FAILS)
    assert len(report["invocations"]) == 5
    assert [each["requestContext"]["approximateInvokeCount"] for each in letters(report)] == [2, 2]


@conforms("ESM-DEST-6", "recorded")
def test_esm_dest_6_the_time_has_milliseconds_and_arrivals_have_none():
    report = mapping(to(QUEUE), records=1, rest="handler: [{then: raise, takes: 0.011}]")
    (letter,) = letters(report)
    assert letter["timestamp"] == "2026-01-01T00:00:00.272Z"
    assert letter["DDBStreamBatchInfo"]["approximateArrivalOfFirstRecord"] == "2026-01-01T00:00:00Z"


@conforms("ESM-DEST-7", "recorded")
def test_esm_dest_7_the_document_names_the_failing_request_and_the_version_that_ran():
    report = mapping(to(QUEUE, "FunctionName: 'arn:aws:lambda:us-east-1:111122223333:function:F:7'"), rest=FAILS)
    (letter,) = letters(report)
    assert letter["requestContext"]["requestId"] == report["invocations"][-1]["requestId"]
    assert letter["responseContext"]["executedVersion"] == "7"


@conforms("ESM-DEST-7", "recorded")
def test_esm_dest_7_each_document_names_the_request_of_its_own_batch():
    report = mapping(to(QUEUE, "BisectBatchOnFunctionError: true"), records=2, rest=FAILS)
    requests = {"".join(each["identifiers"]): each["requestId"] for each in report["invocations"]}
    named = {each["DDBStreamBatchInfo"]["startSequenceNumber"]: each["requestContext"] for each in letters(report)}
    assert {number: each["requestId"] for number, each in named.items()} == {"1": requests["1"], "2": requests["2"]}
    assert len(set(requests.values())) == 3
    assert {each["responseContext"]["executedVersion"] for each in letters(report)} == {"$LATEST"}


@conforms("ESM-DEST-13", "recorded")
@conforms("ESM-DEST-9", "recorded")
@conforms("ESM-DEST-11", "recorded")
def test_esm_dest_13_a_bucket_gets_the_records_too_as_a_json_text():
    report = run(f"""
    start: "2026-09-17T13:27:38Z"
    eventSourceMapping:
      StartingPosition: TRIM_HORIZON
      EventSourceArn: "arn:aws:dynamodb:us-east-1:111111111111:table/T/stream/2026-09-17T13:26:53.746"
      MaximumRetryAttempts: 0
      DestinationConfig: {{OnFailure: {{Destination: "{BUCKET}"}}}}
    records:
      - eventID: 9cdf975187b7d7f668abf98414c08f05
        eventName: INSERT
        dynamodb:
          SequenceNumber: "2900002759746085485437"
          Keys: {{pk: {{S: s3_failure}}}}
          NewImage: {{mode: {{S: raise}}, bad: {{BOOL: false}}, pk: {{S: s3_failure}}, ordinal: {{N: "1"}}}}
    handler: [{{then: raise}}]
    """)
    (letter,) = letters(report)
    assert list(letter) == [
        "requestContext",
        "responseContext",
        "version",
        "payload",
        "timestamp",
        "DDBStreamBatchInfo",
    ]
    # Byte for byte what was recorded, but for the account.
    assert letter["payload"] == (
        '{"Records":[{"eventID":"9cdf975187b7d7f668abf98414c08f05","eventName":"INSERT","eventVersion":"1.1",'
        '"eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{"ApproximateCreationDateTime":1.789651658E9,'
        '"Keys":{"pk":{"S":"s3_failure"}},"NewImage":{"mode":{"S":"raise"},"bad":{"BOOL":false},'
        '"pk":{"S":"s3_failure"},"ordinal":{"N":"1"}},"SequenceNumber":"2900002759746085485437","SizeBytes":46,'
        '"StreamViewType":"NEW_AND_OLD_IMAGES"},"eventSourceARN":'
        '"arn:aws:dynamodb:us-east-1:111111111111:table/T/stream/2026-09-17T13:26:53.746"}]}'
    )


@conforms("ESM-DEST-10", "recorded")
def test_esm_dest_10_the_object_is_named_after_mapping_shard_and_time():
    report = run(f"""
    start: "2026-09-17T14:13:12Z"
    eventSourceMapping:
      StartingPosition: TRIM_HORIZON
      MaximumRetryAttempts: 0
      DestinationConfig: {{OnFailure: {{Destination: "{BUCKET}"}}}}
    stream: {{shards: [{{id: shardId-00000001789654247890-85a74c59}}]}}
    records: [{{}}]
    handler: [{{then: raise}}]
    """)
    uuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
    assert re.fullmatch(
        rf"aws/lambda/{uuid}/shardId-00000001789654247890-85a74c59/2026/09/17/2026-09-17T14\.13\.12-{uuid}",
        report["onFailure"][0]["key"],
    )


@conforms("ESM-DEST-14", "documented")
def test_esm_dest_14_a_destination_that_fails_loses_the_records_and_processing_goes_on():
    report = mapping(to(QUEUE, "BatchSize: 2"), rest=f"{FAILS}\ndestination: {{fails: true}}")
    assert [each["delivered"] for each in report["onFailure"]] == [False, False]
    assert [each["identifiers"] for each in report["dropped"]] == [["1", "2"], ["3", "4"]]
    metrics = report["metrics"]
    assert metrics["DestinationDeliveryFailures"] == 2
    assert metrics["DroppedEventCount"] == 4
    assert metrics["OnFailureDestinationDeliveredEventCount"] == 0
    assert report["unfinished"] == []


@conforms("ESM-DEST-17", "documented", partly="it sends a document for each record, and never one for several")
def test_esm_dest_17_after_a_bisect_each_record_has_a_document_of_its_own():
    settings = to(QUEUE, "BisectBatchOnFunctionError: true")
    found = letters(mapping(settings, records=3, rest="handler: [{then: raise}]"))
    assert [letter["DDBStreamBatchInfo"]["batchSize"] for letter in found] == [1, 1, 1]
