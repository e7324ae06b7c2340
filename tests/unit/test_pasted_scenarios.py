"""What people have at hand is taken as a scenario's parts: answers of AWS, events, failure documents."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from local.simulation.parsing import InvalidScenario, parse
from local.simulation.simulate import simulate

STREAM = "arn:aws:dynamodb:eu-west-1:444455556666:table/orders/stream/2026-01-01T00:00:00.000"
#: As `aws lambda get-event-source-mapping` prints it.
MAPPING = {
    "UUID": "5b0a4c1e-6f0c-4f6d-9c8a-3f8e8f0f0f0f",
    "StartingPosition": "TRIM_HORIZON",
    "BatchSize": 2,
    "MaximumBatchingWindowInSeconds": 0,
    "ParallelizationFactor": 1,
    "EventSourceArn": STREAM,
    "FunctionArn": "arn:aws:lambda:eu-west-1:444455556666:function:mailer",
    "LastModified": "2026-11-29T10:11:12.345000+00:00",
    "LastProcessingResult": "PROBLEM: Function call failed",
    "State": "Enabled",
    "StateTransitionReason": "User action",
    "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::failures"}},
    "MaximumRecordAgeInSeconds": -1,
    "BisectBatchOnFunctionError": False,
    "MaximumRetryAttempts": 1,
    "TumblingWindowInSeconds": 0,
    "FunctionResponseTypes": [],
    "EventSourceMappingArn": "arn:aws:lambda:eu-west-1:444455556666:event-source-mapping:5b0a4c1e",
}


def record(number: int) -> dict[str, Any]:
    """Return a record as a function's log shows it."""
    return {
        "eventID": f"{number:032x}",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_789_650_449.0,
            "Keys": {"pk": {"S": str(number)}},
            "NewImage": {"pk": {"S": str(number)}},
            "SequenceNumber": str(number),
            "SizeBytes": 10,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": STREAM,
    }


def notification(document: Any) -> dict[str, Any]:
    """Return a topic's notification, as a subscriber gets it."""
    topic = "arn:aws:sns:eu-west-1:444455556666:failures"
    return {"Type": "Notification", "MessageId": "n", "TopicArn": topic, "Message": json.dumps(document)}


def received(*documents: Any) -> dict[str, Any]:
    """Return ReceiveMessage's answer with a message for each document."""
    return {
        "Messages": [
            {"MessageId": f"m-{n}", "ReceiptHandle": "r", "MD5OfBody": "5d", "Body": json.dumps(each)}
            for n, each in enumerate(documents)
        ]
    }


EVENT = {"Records": [record(101), record(102)]}
RANGE = {
    "shardId": "shardId-1",
    "startSequenceNumber": "101",
    "endSequenceNumber": "102",
    "approximateArrivalOfFirstRecord": "2026-11-29T10:11:12Z",
    "approximateArrivalOfLastRecord": "2026-11-29T10:11:12Z",
    "batchSize": 2,
    "streamArn": STREAM,
}
LETTER = {
    "requestContext": {"requestId": "r", "functionArn": "f", "condition": "RetryAttemptsExhausted"},
    "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    "version": "1.0",
    "timestamp": "2026-11-29T10:11:12.345Z",
    "DDBStreamBatchInfo": RANGE,
}
IN_A_BUCKET = {**LETTER, "payload": json.dumps(EVENT)}


def seen(document: dict[str, Any]) -> list[list[str]]:
    """Return the identifiers of each invocation."""
    report = simulate(parse(yaml.safe_dump(document))).document
    return [each["identifiers"] for each in report["invocations"]]


def skipped(document: dict[str, Any]) -> tuple[str, ...]:
    return parse(json.dumps(document)).skipped


def test_the_answer_of_get_event_source_mapping_is_taken_as_it_is():
    document = {"eventSourceMapping": MAPPING, "records": [{}, {}, {}], "handler": [{"then": "raise"}]}
    report = simulate(parse(json.dumps(document))).document
    assert len(report["invocations"]) == 4
    context = report["onFailure"][0]["body"]["requestContext"]
    assert context["functionArn"] == MAPPING["FunctionArn"]
    assert skipped(document) == (
        (
            "eventSourceMapping: skipped, because they are no settings: UUID, EventSourceMappingArn, LastModified, "
            "LastProcessingResult, State, StateTransitionReason"
        ),
    )


def test_the_answer_for_a_queue_and_with_nulls_is_taken():
    answer = {
        "UUID": "u",
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "EventSourceArn": "arn:aws:sqs:us-east-1:111122223333:jobs",
        "FunctionArn": "arn:aws:lambda:us-east-1:111122223333:function:mailer",
        "LastModified": 1_789_650_449.0,
        "State": "Enabled",
        "StateTransitionReason": "USER_INITIATED",
        "FunctionResponseTypes": [],
        "ScalingConfig": None,
        "EventSourceMappingArn": "arn:aws:lambda:us-east-1:111122223333:event-source-mapping:u",
    }
    assert seen({"eventSourceMapping": answer, "records": [{"messageId": "a"}]}) == [["a"]]


def test_a_disabled_mapping_is_simulated_as_enabled_and_that_is_said():
    document = {"eventSourceMapping": {**MAPPING, "State": "Disabled"}, "records": [{}]}
    assert len(seen(document)) == 1
    assert "eventSourceMapping: simulated as enabled; Enabled: false simulates one that is not" in skipped(document)
    assert seen({**document, "eventSourceMapping": {**MAPPING, "State": "Disabled", "Enabled": False}}) == []


def test_a_key_of_the_filters_is_skipped_in_an_answer_and_refused_as_a_setting():
    key = "arn:aws:kms:eu-west-1:444455556666:key/1"
    assert "KMSKeyArn" in skipped({"eventSourceMapping": {**MAPPING, "KMSKeyArn": key}})[0]
    with pytest.raises(InvalidScenario, match="KMSKeyArn is not simulated"):
        parse(json.dumps({"eventSourceMapping": {"StartingPosition": "LATEST", "KMSKeyArn": key}}))


def test_what_is_not_simulated_of_an_answer_is_still_refused():
    with pytest.raises(InvalidScenario, match="Unsupported ProvisionedPollerConfig parameter"):
        parse(json.dumps({"eventSourceMapping": {**MAPPING, "ProvisionedPollerConfig": {"MinimumPollers": 2}}}))


def test_the_answer_of_describe_pipe_is_taken_as_it_is():
    pipe = {
        "Arn": "arn:aws:pipes:eu-west-1:444455556666:pipe/orders",
        "Name": "orders",
        "DesiredState": "RUNNING",
        "CurrentState": "RUNNING",
        "StateReason": "No records processed",
        "Source": STREAM,
        "SourceParameters": {"DynamoDBStreamParameters": {"BatchSize": 1, "StartingPosition": "TRIM_HORIZON"}},
        "Target": "arn:aws:sqs:eu-west-1:444455556666:orders",
        "RoleArn": "arn:aws:iam::444455556666:role/pipe",
        "CreationTime": "2026-11-29T10:11:12+00:00",
        "LastModifiedTime": "2026-11-29T10:11:12+00:00",
    }
    assert len(seen({"pipe": pipe, "records": [{}, {}]})) == 2
    assert "CurrentState" in skipped({"pipe": pipe})[0]


@pytest.mark.parametrize(
    ("records", "says"),
    [
        (EVENT, ()),
        (IN_A_BUCKET, ("requestContext", "DDBStreamBatchInfo")),
        ([IN_A_BUCKET], ("timestamp",)),
        ({**LETTER, "payload": EVENT}, ("requestContext",)),
        ([{"Records": [record(101)]}, record(102)], ()),
        ({**EVENT, "shardId": "s", "eventSourceARN": STREAM, "window": {}, "state": {}}, ("window", "state")),
        ({**EVENT, "NextShardIterator": "x"}, ("NextShardIterator",)),
        (notification(IN_A_BUCKET), ("TopicArn", "requestContext")),
        ({"Records": [{"EventSource": "aws:sns", "Sns": notification(EVENT)}]}, ("EventSource",)),
        (received(IN_A_BUCKET), ("ReceiptHandle", "requestContext")),
        (received(notification(IN_A_BUCKET)), ("ReceiptHandle", "TopicArn")),
        (received(record(101), record(102)), ("MessageId",)),
        (received(record(101))["Messages"] + [record(102)], ("ReceiptHandle",)),
    ],
)
def test_an_event_or_a_failure_document_is_taken_as_records(records: Any, says: tuple[str, ...]):
    document = {"eventSourceMapping": {"StartingPosition": "TRIM_HORIZON"}, "records": records}
    assert seen(document) == [["101", "102"]]
    notes = "\n".join(skipped(document))
    assert all(name in notes for name in says)
    assert (parse(json.dumps(document)).source_arn == STREAM) is ("taken from the records" in notes)


@pytest.mark.parametrize(
    "letter",
    [
        LETTER,
        {"context": {}, "version": "1.0", "DDBStreamBatchInfo": RANGE},
        notification(LETTER),
        received(LETTER),
        received(notification(LETTER)),
        received(notification(LETTER))["Messages"][0],
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_a_document_of_a_queue_holds_no_records_and_says_where_they_are(letter: Any, listed: bool):
    document = {"eventSourceMapping": {"StartingPosition": "LATEST"}, "records": [letter] if listed else letter}
    with pytest.raises(InvalidScenario) as error:
        parse(json.dumps(document))
    assert str(error.value) == (
        "records: the document names 2 records of shardId-1 and does not hold them, as those of queues and topics do "
        "not: paste the document that a bucket received, or the answer of GetRecords from sequence number 101 to 102"
    )


def test_messages_are_the_records_where_a_queue_is_read():
    queue = "arn:aws:sqs:eu-west-1:444455556666:orders"
    answer = received(LETTER, notification(EVENT))
    answer["Messages"][0]["MessageAttributes"] = {"kind": {"StringValue": "x", "DataType": "String"}}
    document = {"eventSourceMapping": {"EventSourceArn": queue}, "records": answer}
    first, second = parse(json.dumps(document)).messages()
    assert (json.loads(first.body), json.loads(second.body)) == (LETTER, notification(EVENT))
    assert first.message_id == "m-0"
    assert first.attributes["kind"]["StringValue"] == "x"
    assert "ReceiptHandle" in "\n".join(skipped(document))


@pytest.mark.parametrize(
    ("records", "named"),
    [
        ({"Type": "Notification", "Message": "no document"}, "message of the notification"),
        ({"Messages": [{"MessageId": "m", "Body": "no document"}]}, "body of the message"),
    ],
)
def test_a_message_that_holds_no_document_is_named(records: Any, named: str):
    document = {"eventSourceMapping": {"EventSourceArn": STREAM, "StartingPosition": "LATEST"}, "records": records}
    with pytest.raises(InvalidScenario, match=f"records: the {named} is not JSON"):
        parse(json.dumps(document))


def test_a_payload_that_is_no_json_is_named():
    with pytest.raises(InvalidScenario, match="records: the payload of the document is not JSON"):
        parse(json.dumps({"records": {**LETTER, "payload": "{"}}))


KINESIS = "arn:aws:kinesis:us-east-1:111122223333:stream/clicks"


@pytest.mark.parametrize(
    "records",
    [
        {
            "Records": [
                {"SequenceNumber": "11", "ApproximateArrivalTimestamp": 1.0, "Data": "MQ==", "PartitionKey": "x"}
            ]
        },
        [
            {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "x",
                "sequenceNumber": "11",
                "data": "MQ==",
                "approximateArrivalTimestamp": 1.0,
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": "shardId-000000000000:11",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::111122223333:role/r",
                "awsRegion": "us-east-1",
                "eventSourceARN": KINESIS,
            }
        ],
    ],
)
def test_kinesis_records_are_taken_from_getrecords_and_from_a_pipe(records: Any):
    mapping = {"EventSourceArn": KINESIS, "StartingPosition": "TRIM_HORIZON"}
    assert seen({"eventSourceMapping": mapping, "records": records}) == [["11"]]


def test_an_event_of_a_queue_is_read_from_its_own_queue():
    event = {
        "Records": [
            {
                "messageId": "a",
                "receiptHandle": "h",
                "body": "1",
                "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1", "AWSTraceHeader": "x"},
                "messageAttributes": {},
                "md5OfBody": "c4ca4238a0b923820dcc509a6f75849b",
                "md5OfMessageAttributes": None,
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:jobs",
                "awsRegion": "us-east-1",
            }
        ]
    }
    document: dict[str, Any] = {"eventSourceMapping": {}, "records": event}
    assert seen(document) == [["a"]]
    assert "arn:aws:sqs:us-east-1:111122223333:jobs" in skipped(document)[0]
