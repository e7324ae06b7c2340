"""Rows of docs/aws-semantics.md that the simulation shows, shown on the endpoint as well."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance

REPORTS = {"FunctionResponseTypes": ["ReportBatchItemFailures"], "MaximumRetryAttempts": 0}

#: Prints its event, and returns the JSON in the first item that has an attribute `answer`. There `<id>` stands for the
#: sequence number of the item with this id, and `<event>` for the event id of the item itself.
ANSWERING = """
import json

def handler(event, context):
    print("EVENT", json.dumps(event))
    records = event["Records"]
    for record in records:
        given = record["dynamodb"].get("NewImage", {}).get("answer", {}).get("S")
        if given == "raise":
            raise ValueError("poison")
        if given is not None:
            for each in records:
                name = each["dynamodb"]["Keys"]["id"]["S"]
                given = given.replace(f"<{name}>", each["dynamodb"]["SequenceNumber"])
            return json.loads(given.replace("<event>", record["eventID"]))
"""

#: Keeps the state of its window, and fails its final call.
FAILS_AT_THE_END = """
def handler(event, context):
    if event["isFinalInvokeForWindow"]:
        raise ValueError("final")
    return {"state": {"count": len(event["Records"])}}
"""


@pytest.fixture
def deliver(world):
    """Write items with the answers that they make the function give, and let a mapping read them at once."""

    def run(items: dict[str, str | None], **settings: Any) -> str:
        stream = world.table()
        world.function(ANSWERING)
        mapping = world.mapping(stream, Enabled=False, **settings)
        for name, answer in items.items():
            item = {"id": {"S": name}, **({} if answer is None else {"answer": {"S": answer}})}
            world.client("dynamodb").put_item(TableName=world.name, Item=item)
        world.enable(mapping)
        world.settle(mapping)
        return mapping

    return run


def events(world) -> list[dict[str, Any]]:
    return [json.loads(line.partition("EVENT ")[2]) for line in world.log() if line.startswith("EVENT ")]


@conforms("ESM-ANSWER-1", "recorded")
@pytest.mark.parametrize(
    "answer", ["[]", "null", "{}", '{"batchItemFailures": []}', '{"batchItemFailures": null}', '""']
)
def test_esm_answer_1_an_answer_without_failures_is_success(world, deliver, answer):
    assert world.invocations(deliver({"a": answer, "b": None}, **REPORTS)) == [(["a", "b"], "success")]


@conforms("ESM-ANSWER-6", "deduced")
def test_esm_answer_6_a_list_of_another_name_is_success(world, deliver):
    answer = '{"failures": [{"itemIdentifier": "<b>"}]}'
    assert world.invocations(deliver({"a": answer, "b": None}, **REPORTS)) == [(["a", "b"], "success")]


def failures(*identifiers: str) -> str:
    return json.dumps({"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]})


@conforms("ESM-ANSWER-2", "recorded")
@conforms("ESM-ANSWER-3", "documented")
@pytest.mark.parametrize("named", [("<b>",), ("<c>", "<b>")])
def test_esm_answer_3_the_lowest_sequence_number_is_the_checkpoint(world, deliver, named):
    mapping = deliver({"a": failures(*named), "b": None, "c": None}, **REPORTS)
    assert world.invocations(mapping) == [(["a", "b", "c"], "partial"), (["b", "c"], "success")]


@conforms("ESM-ANSWER-8", "deduced")
@conforms("ESM-ANSWER-9", "documented")
@pytest.mark.parametrize("named", [("<b>", "nonsense"), ("<event>",)])
def test_esm_answer_8_an_identifier_that_is_no_sequence_number_fails_the_batch(world, deliver, named):
    mapping = deliver({"a": failures(*named), "b": None}, **REPORTS)
    assert world.invocations(mapping) == [(["a", "b"], "error")]


@conforms("ESM-DEST-1", "recorded")
@conforms("ESM-DEST-2", "recorded")
@conforms("ESM-DEST-4", "recorded")
@conforms("ESM-DEST-5", "recorded")
def test_esm_dest_4_a_reported_failure_has_no_function_error_and_counts_its_own_batch_alone(world, deliver):
    settings = {**REPORTS, "MaximumRetryAttempts": 1, **world.to_bucket()}
    mapping = deliver({"a": None, "b": failures("<b>")}, **settings)
    assert [outcome for _, outcome in world.invocations(mapping)] == ["partial", "error", "error"]
    (given_up,) = world.given_up(mapping)
    document = given_up["document"]
    assert document["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": None}
    context = document["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("RetryAttemptsExhausted", 2)


@conforms("ESM-DEST-3", "recorded")
def test_esm_dest_3_a_record_that_was_too_old_has_no_response(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, Enabled=False, MaximumRecordAgeInSeconds=60, **world.to_bucket())
    world.put("a")
    world.control.advance_clock(90)
    world.enable(mapping)
    world.settle(mapping)
    (given_up,) = world.given_up(mapping)
    document = given_up["document"]
    assert "responseContext" not in document
    context = document["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("RecordAgeExceeded", 1)


@conforms("ESM-DEST-17", "documented", partly="it sends a document for each record, and never one for several")
@conforms("ESM-FAIL-7", "deduced")
@conforms("ESM-FAIL-6", "deduced")
def test_esm_fail_7_a_bisect_without_retries_finds_the_poison_and_repeats_healthy_records(world, deliver):
    settings = {"BisectBatchOnFunctionError": True, "MaximumRetryAttempts": 0, **world.to_bucket()}
    mapping = deliver({"a": None, "b": None, "c": "raise", "d": None}, **settings)
    assert ["".join(ids) for ids, _ in world.invocations(mapping)] == ["abcd", "ab", "cd", "c", "d"]
    (given_up,) = world.given_up(mapping)
    assert given_up["document"]["DDBStreamBatchInfo"]["batchSize"] == 1


@conforms("DDB-RECORD-10", "recorded")
@conforms("DDB-RECORD-2", "documented")
@conforms("DDB-RECORD-3", "recorded")
@conforms("DDB-RECORD-7", "deduced")
@conforms("DDB-RECORD-11", "recorded")
def test_ddb_record_10_a_functions_record_is_that_of_the_stream_and_its_arn(world):
    stream = world.table()
    world.function(ANSWERING)
    item = {"id": {"S": "ä"}, "n": {"N": "12.5"}, "b": {"B": b"\x00\xff"}, "on": {"BOOL": True}}
    world.client("dynamodb").put_item(TableName=world.name, Item=item)
    world.settle(world.mapping(stream))
    (event,) = events(world)
    (record,) = event["Records"]
    assert (record.pop("eventSourceARN"), record["eventName"]) == (stream, "INSERT")
    assert re.fullmatch("[0-9a-f]{32}", record["eventID"])
    written = record["dynamodb"]
    assert written["ApproximateCreationDateTime"] == int(written["ApproximateCreationDateTime"])
    assert written["NewImage"]["b"] == {"B": "AP8="}
    # Keys: 2 + 2. Image: 2 + 2, 1 + 3, 1 + 2, 2 + 1 bytes of names and values.
    assert written["SizeBytes"] == 4 + 14
    shown = world.client("dynamodbstreams")
    shard = shown.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = shown.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    (read,) = shown.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    assert {name: read[name] for name in record if name != "dynamodb"} == {
        name: value for name, value in record.items() if name != "dynamodb"
    }
    assert read["dynamodb"]["SequenceNumber"] == written["SequenceNumber"]


@pytest.fixture
def selected(world):
    """The ids of the records that a mapping with these patterns delivers."""
    stream = world.table()
    world.function()
    table = world.client("dynamodb")
    table.put_item(TableName=world.name, Item={"id": {"S": "a"}, "n": {"N": "101"}, "note": {"S": "x"}})
    table.put_item(TableName=world.name, Item={"id": {"S": "b"}})

    def run(*patterns: object) -> str:
        texts = [pattern if isinstance(pattern, str) else json.dumps(pattern) for pattern in patterns]
        # A function and a stream have one mapping.
        mapping = world.mapping(stream, FilterCriteria={"Filters": [{"Pattern": text} for text in texts]})
        world.settle(mapping)
        found = "".join(each for ids, _ in world.invocations(mapping) for each in ids)
        world.client("lambda").delete_event_source_mapping(UUID=mapping)
        world.forget(mapping)
        return found

    return run


def of_image(**members: Any) -> dict[str, Any]:
    return {"dynamodb": {"NewImage": members}}


@conforms("ESM-FILTER-2", "recorded")
@pytest.mark.parametrize(
    ("pattern", "ids"),
    [
        ({"eventName": ["INSERT"]}, "ab"),
        ({"eventSource": ["aws:dynamodb"]}, "ab"),
        ({"eventSourceARN": [{"exists": True}]}, ""),
    ],
)
def test_esm_filter_2_everything_that_get_records_shows_can_be_filtered_on(selected, pattern, ids):
    assert selected(pattern) == ids


@conforms("ESM-FILTER-3", "recorded")
@conforms("ESM-FILTER-4", "recorded")
@conforms("ESM-FILTER-5", "recorded")
@conforms("ESM-FILTER-6", "recorded")
@conforms("ESM-FILTER-7", "recorded")
@conforms("ESM-FILTER-8", "documented")
@pytest.mark.parametrize(
    ("pattern", "ids"),
    [
        (of_image(note=["x"]), ""),
        (of_image(n={"N": [{"numeric": [">", 100]}]}), ""),
        (of_image(n={"N": ["101"]}), "a"),
        ({"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">", 0]}]}}, "ab"),
        (of_image(note={"S": [{"exists": True}]}), "a"),
        (of_image(note=[{"exists": True}]), ""),
        (of_image(note={"S": [{"anything-but": "y"}]}), "a"),
        ('{"dynamodb": {"SizeBytes": [6.0]}}', "b"),
        ('{"eventName": ["REMOVE"], "eventName": ["INSERT"]}', "ab"),
        ({"dynamodb": {"Keys": {"id": {"S": ["<$.dynamodb.NewImage.id.S>"]}}}}, ""),
    ],
)
def test_esm_filter_3_patterns_select_what_they_select_in_simulation(selected, pattern, ids):
    assert selected(pattern) == ids


@conforms("ESM-FILTER-9", "recorded")
@conforms("ESM-WINDOW-5", "recorded")
@conforms("ESM-REFUSE-16", "recorded")
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"TumblingWindowInSeconds": 10, "FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]}},
            "FilterCriteria and TumblingWindowInSeconds exclude each other",
        ),
        (
            {"MaximumBatchingWindowInSeconds": 300, "MaximumRecordAgeInSeconds": 90},
            "MaximumBatchingWindowInSeconds must be less than MaximumRecordAgeInSeconds.",
        ),
    ],
)
def test_esm_refuse_16_settings_that_exclude_each_other_are_refused(world, settings, says):
    stream = world.table()
    world.function()
    with pytest.raises(ClientError) as refused:
        world.mapping(stream, **settings)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert says in refused.value.response["Error"]["Message"]


@conforms("PIPE-CREATE-8", "recorded")
def test_pipe_create_8_a_pipes_window_is_below_its_record_age(pipes):
    given = {
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 1,
        "MaximumBatchingWindowInSeconds": 300,
        "MaximumRecordAgeInSeconds": 90,
    }
    with pytest.raises(ClientError) as refused:
        pipes.create(pipes.queue(), SourceParameters={"DynamoDBStreamParameters": given})
    (field,) = json.loads(refused.value.response["Error"]["Message"])["ValidationErrorFields"]
    assert field["Message"] == "MaximumBatchingWindowInSeconds must be less than MaximumRecordAgeInSeconds."


@conforms("ESM-WINDOW-3", "documented")
@conforms("ESM-WINDOW-4", "recorded")
@conforms("ESM-WINDOW-6", "deduced")
def test_esm_window_4_a_final_call_that_fails_is_given_up_with_its_window(world):
    stream = world.table()
    world.function(FAILS_AT_THE_END)
    settings = {"TumblingWindowInSeconds": 60, "MaximumRetryAttempts": 0, **world.to_bucket()}
    mapping = world.mapping(stream, **settings)
    world.put("a")
    world.wait_until(lambda: len(world.invocations(mapping)) == 1)
    world.control.advance_clock(60)
    world.settle(mapping)
    assert [(ids, outcome) for ids, outcome in world.invocations(mapping)] == [(["a"], "success"), ([], "error")]
    (given_up,) = world.given_up(mapping)
    document = given_up["document"]
    assert list(document)[-2:] == ["DDBStreamBatchInfo", "timeWindowInfo"]
    assert sorted(document["DDBStreamBatchInfo"]) == ["shardId", "streamArn"]
    payload = json.loads(document["payload"])
    # The window is aligned to the epoch, and its end is where the clock was put past.
    ends = [datetime.fromisoformat(payload["window"][end]).timestamp() % 60 for end in ("start", "end")]
    assert ends == [0, 0]
    assert (payload["Records"], payload["state"], payload["isFinalInvokeForWindow"]) == ([], {"count": 1}, True)


@conforms("ESM-SQS-2", "recorded")
def test_esm_sqs_2_a_fifo_queue_gives_batches_of_a_group_within_the_batch_size(world, queues):
    world.function("def handler(event, context): pass")
    url = queues.queue(f"{world.name}.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    queues.send(url, "a", "b", "c", group="x")
    queues.send(url, "d", "e", group="y")
    mapping = queues.mapping(url, BatchSize=2)
    world.settle(mapping)
    assert sorted(size for size, _ in queues.batches(mapping)) == [1, 2, 2]


@conforms("ESM-METRIC-6", "recorded")
def test_esm_metric_6_filtered_messages_count_as_deleted(world, queues):
    world.function("def handler(event, context): pass")
    url = queues.queue()
    queues.send(url, '{"n": 1}', '{"n": 2}', "[]", '{"n"')
    criteria = {"Filters": [{"Pattern": '{"body": {"n": [1]}}'}]}
    mapping = queues.mapping(url, FilterCriteria=criteria, MetricsConfig={"Metrics": ["EventCount"]})
    world.settle(mapping)
    counted = {
        name: world.control.metric_sum(f"{name}EventCount", EventSourceMappingUUID=mapping)
        for name in ("Polled", "FilteredOut", "Invoked", "Deleted")
    }
    assert counted == {"Polled": 4, "FilteredOut": 3, "Invoked": 1, "Deleted": 4}
