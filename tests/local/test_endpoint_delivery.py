"""Delivery of batches by a mapping, seen through boto3 and the endpoint's history."""

from __future__ import annotations

import json
import re

import pytest

conforms = pytest.mark.conformance
honours = pytest.mark.honours

REPORT = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}


@pytest.fixture
def deliver(world):
    """Write items, each with what the function does to it, and then let a mapping read them, all at once."""

    def run(items, *, timeout=5, settle=True, source=None, **settings):
        stream = world.table()
        world.function(timeout=timeout, **({} if source is None else {"source": source}))
        mapping = world.mapping(stream, Enabled=False, **settings)
        for each, do in items.items():
            world.put(each, do=do)
        world.enable(mapping)
        if settle:
            world.settle(mapping)
        return mapping

    return run


@conforms("ESM-BATCH-2", "documented")
@conforms("ESM-PARAM-1", "documented")
def test_esm_batch_2_a_batch_holds_what_was_written_up_to_the_batch_size(world, deliver):
    mapping = deliver({"a": None, "b": None, "c": None}, BatchSize=2)
    assert world.invocations(mapping) == [(["a", "b"], "success"), (["c"], "success")]


@honours("lambda:CreateEventSourceMapping", "FunctionName EventSourceArn StartingPosition BatchSize")
def test_a_batch_size_of_one_delivers_records_one_by_one_in_order(world, deliver):
    mapping = deliver(dict.fromkeys("abcd"), BatchSize=1)
    assert world.invocations(mapping) == [([each], "success") for each in "abcd"]


@conforms("ESM-PARAM-2", "documented")
@conforms("ESM-BATCH-2", "documented")
@honours("lambda:CreateEventSourceMapping", "MaximumBatchingWindowInSeconds")
def test_esm_param_2_a_window_gathers_records_into_one_batch(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, MaximumBatchingWindowInSeconds=300)
    world.put("a")
    world.wait_until(lambda: world.control.mapping(mapping).unfinished == 1)
    world.put("b")
    world.wait_until(lambda: world.control.mapping(mapping).unfinished == 2)
    assert world.invocations(mapping) == []
    world.control.advance_clock(300)
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a", "b"], "success")]


@conforms("ESM-BATCH-2", "documented")
def test_esm_batch_2_a_full_batch_does_not_wait_for_its_window(world, deliver):
    mapping = deliver({"a": None, "b": None}, BatchSize=2, MaximumBatchingWindowInSeconds=300)
    assert world.invocations(mapping) == [(["a", "b"], "success")]


@conforms("ESM-FAIL-3", "recorded")
@conforms("ESM-PARAM-6", "recorded")
@honours("lambda:CreateEventSourceMapping", "FunctionResponseTypes")
def test_esm_fail_3_a_partial_response_resumes_behind_the_good_prefix(world, deliver):
    mapping = deliver({"a": None, "b": "report", "c": None}, MaximumRetryAttempts=1, **REPORT)
    assert world.invocations(mapping) == [(["a", "b", "c"], "partial"), (["b", "c"], "error"), (["b", "c"], "error")]


@conforms("ESM-ANSWER-7", "recorded")
def test_esm_answer_7_a_partial_response_is_ignored_without_the_setting(world, deliver):
    mapping = deliver({"a": None, "b": "report", "c": None})
    assert world.invocations(mapping) == [(["a", "b", "c"], "success")]


@conforms("ESM-ANSWER-4", "recorded")
def test_esm_answer_4_an_answer_that_names_no_record_of_the_batch_fails_it_as_a_whole(world, deliver):
    mapping = deliver({"a": None, "b": "report nonsense"}, MaximumRetryAttempts=0, **REPORT)
    assert world.invocations(mapping) == [(["a", "b"], "error")]


@conforms("ESM-FAIL-8", "recorded")
def test_esm_fail_8_the_retry_of_a_batch_has_its_records_and_its_request_id(world, deliver):
    mapping = deliver({"a": "raise", "b": None}, MaximumRetryAttempts=2)
    first, *retries = world.control.history(mapping)[:3]
    assert [retry["identifiers"] for retry in retries] == [first["identifiers"]] * 2
    assert [retry["request_id"] for retry in retries] == [first["request_id"]] * 2
    assert [entry["attempt"] for entry in (first, *retries)] == [1, 2, 3]


@conforms("ESM-DEST-7", "recorded")
def test_esm_dest_7_the_handler_sees_the_request_id_of_its_batch(world, deliver):
    mapping = deliver({"a": None}, source="def handler(event, context):\n    print('id', context.aws_request_id)\n")
    (invocation,) = world.control.history(mapping)
    assert f"id {invocation['request_id']}" in world.log()


@conforms("ESM-FAIL-4", "recorded")
@conforms("ESM-FAIL-5", "documented")
@conforms("ESM-PARAM-5", "recorded")
@honours("lambda:CreateEventSourceMapping", "BisectBatchOnFunctionError")
def test_esm_fail_4_a_crash_is_isolated_by_bisection(world, deliver):
    mapping = deliver(
        {"a": None, "b": None, "c": "exit", "d": None},
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=1,
        **REPORT,
    )
    assert world.invocations(mapping) == [
        (["a", "b", "c", "d"], "error"),
        (["a", "b"], "success"),
        (["c", "d"], "error"),
        (["c"], "error"),
        (["c"], "error"),
        (["d"], "success"),
    ]
    assert world.control.mapping(mapping).bisections == 2
    assert world.control.mapping(mapping).retries == 1


@conforms("ESM-PARAM-5", "recorded")
def test_esm_param_5_without_bisection_the_healthy_records_of_a_batch_are_given_up_with_the_poison(world, deliver):
    mapping = deliver({"a": None, "b": "raise"}, MaximumRetryAttempts=0)
    (given_up,) = world.given_up(mapping)
    assert given_up["keys"] == [{"id": {"S": "a"}}, {"id": {"S": "b"}}]


@conforms("ESM-DEST-13", "recorded")
@conforms("ESM-DEST-9", "recorded")
@conforms("ESM-DEST-10", "recorded")
@conforms("ESM-DEST-11", "recorded")
@honours("lambda:CreateEventSourceMapping", "MaximumRetryAttempts DestinationConfig")
def test_esm_dest_13_a_batch_whose_retries_are_spent_goes_to_s3_with_its_whole_content(world, deliver):
    mapping = deliver({"a": "raise"}, MaximumRetryAttempts=1, BatchSize=1, **world.to_bucket(), **REPORT)
    (given_up,) = world.given_up(mapping)
    (listed,) = world.client("s3").list_objects_v2(Bucket=world.name)["Contents"]
    stored = world.client("s3").get_object(Bucket=world.name, Key=listed["Key"])
    document = json.loads(stored["Body"].read())
    info = document["DDBStreamBatchInfo"]

    assert given_up["location"] == f"s3://{world.name}/{listed['Key']}"
    assert re.fullmatch(
        rf"aws/lambda/{mapping}/{info['shardId']}/\d{{4}}/\d\d/\d\d/\d{{4}}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{{36}}",
        listed["Key"],
    )
    assert stored["ContentType"] == "application/octet-stream"
    assert list(document) == [
        "requestContext",
        "responseContext",
        "version",
        "payload",
        "timestamp",
        "DDBStreamBatchInfo",
    ]
    assert document["requestContext"] == {
        "requestId": world.control.history(mapping)[0]["request_id"],
        "functionArn": f"arn:aws:lambda:us-east-1:111122223333:function:{world.name}",
        "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 2,
    }
    assert document["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    (record,) = json.loads(document["payload"])["Records"]
    assert record["dynamodb"]["NewImage"] == {"id": {"S": "a"}, "do": {"S": "raise"}}
    assert record["dynamodb"]["SequenceNumber"] == info["startSequenceNumber"] == info["endSequenceNumber"]


@conforms("ESM-DEST-7", "recorded")
@honours("lambda:CreateFunction", "Publish")
def test_esm_dest_7_the_document_names_the_version_that_ran(world):
    stream = world.table()
    world.function(Publish=True)
    mapping = world.mapping(stream, f"{world.name}:1", MaximumRetryAttempts=0, **world.to_bucket())
    world.put("a", do="raise")
    world.settle(mapping)
    (given_up,) = world.given_up(mapping)
    assert given_up["document"]["requestContext"]["functionArn"].endswith(f":function:{world.name}:1")
    assert given_up["document"]["responseContext"]["executedVersion"] == "1"


@conforms("ESM-FAIL-11", "recorded")
def test_esm_fail_11_records_behind_a_poison_record_are_delivered_after_it_is_given_up(world, deliver):
    mapping = deliver({"a": "raise", "b": None}, BatchSize=1, MaximumRetryAttempts=1, **world.to_bucket())
    assert world.invocations(mapping)[-1] == (["b"], "success")


@conforms("ESM-DEST-14", "documented")
def test_esm_dest_14_a_destination_that_cannot_be_written_loses_the_batch_and_is_counted(world, deliver):
    destination = {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::nobody-made-this-bucket"}}}
    mapping = deliver({"a": "raise"}, MaximumRetryAttempts=0, MetricsConfig={"Metrics": ["EventCount"]}, **destination)
    assert world.given_up(mapping)[0]["location"] is None
    assert world.control.metric_sum("DestinationDeliveryFailures", FunctionName=world.name) == 1
    assert world.control.metric_sum("DroppedEventCount", EventSourceMappingUUID=mapping) == 1


@conforms("ESM-FAIL-1", "recorded")
@conforms("ESM-PARAM-7", "recorded")
@honours("lambda:CreateEventSourceMapping", "MaximumRecordAgeInSeconds")
def test_esm_fail_1_records_past_their_age_are_given_up_and_the_younger_ones_are_tried(world, deliver):
    world.control.advance_clock(3600)  # records are stamped by the same clock
    mapping = deliver({"a": "raise"}, settle=False, MaximumRecordAgeInSeconds=60, **world.to_bucket())
    world.wait_until(lambda: world.invocations(mapping))
    world.control.advance_clock(61)
    world.settle(mapping)
    world.put("b")
    world.settle(mapping)
    (given_up,) = [each for each in world.given_up(mapping) if each["keys"] == [{"id": {"S": "a"}}]]
    assert given_up["condition"] == "RecordAgeExceeded"
    assert "responseContext" not in given_up["document"]


@conforms("ESM-ANSWER-5", "recorded")
def test_esm_answer_5_a_handler_that_runs_out_of_time_fails_its_batch(world, deliver):
    mapping = deliver({"a": "sleep"}, timeout=1, MaximumRetryAttempts=0, **world.to_bucket())
    (invocation, given_up) = world.control.history(mapping)
    assert (invocation["outcome"], invocation["error_type"]) == ("timeout", "Sandbox.Timedout")
    assert given_up["document"]["responseContext"]["functionError"] == "Unhandled"


@pytest.mark.parametrize("quiet", [16 * 60, 25 * 60 * 60])
def test_a_mapping_goes_on_after_its_shard_iterator_or_its_last_record_has_expired(world, deliver, quiet):
    mapping = deliver({"a": None})
    world.control.advance_clock(quiet)
    world.put("b")
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "success"), (["b"], "success")]


@conforms("ESM-FAIL-2", "documented")
@conforms("ESM-METRIC-3", "documented")
@honours("lambda:PutFunctionConcurrency", "FunctionName ReservedConcurrentExecutions")
@honours("lambda:DeleteFunctionConcurrency", "FunctionName")
def test_esm_fail_2_throttled_invocations_do_not_spend_retries(world, deliver):
    stream = world.table()
    world.function()
    world.client("lambda").put_function_concurrency(FunctionName=world.name, ReservedConcurrentExecutions=0)
    mapping = world.mapping(stream, MaximumRetryAttempts=0)
    world.put("a")
    world.wait_until(lambda: len(world.invocations(mapping)) >= 2)
    world.client("lambda").delete_function_concurrency(FunctionName=world.name)
    world.settle(mapping)
    *throttled, last = world.invocations(mapping)
    assert throttled == [(["a"], "throttled")] * len(throttled)
    assert last == (["a"], "success")
    assert world.control.metric_sum("Throttles", FunctionName=world.name) == len(throttled)


def test_a_slow_handler_delays_no_other_mapping_and_no_request(world):
    slow_stream, quick_stream = world.table(f"{world.name}-slow"), world.table()
    world.function(name=f"{world.name}-slow", timeout=20)
    world.function()
    slow = world.mapping(slow_stream, f"{world.name}-slow", MaximumRetryAttempts=0)
    quick = world.mapping(quick_stream)
    world.put("a", table=f"{world.name}-slow", do="sleep")
    world.wait_until(lambda: world.control.mapping(slow).unfinished == 1)
    world.put("b")
    world.settle(quick)
    assert world.invocations(quick) == [(["b"], "success")]
    assert world.invocations(slow) == []
    assert world.control.mapping(slow).unfinished == 1


def test_two_mappings_of_one_stream_fail_independently(world):
    stream = world.table()
    world.function("def handler(event, context):\n    raise ValueError\n", name=f"{world.name}-bad")
    world.function()
    bad = world.mapping(stream, f"{world.name}-bad", MaximumRetryAttempts=1)
    good = world.mapping(stream)
    world.put("a")
    world.settle(bad)
    world.settle(good)
    assert world.invocations(bad) == [(["a"], "error")] * 2
    assert world.invocations(good) == [(["a"], "success")]


@conforms("ESM-STATE-2", "documented")
@conforms("ESM-PARAM-14", "documented")
@honours("lambda:UpdateEventSourceMapping", "UUID Enabled")
def test_esm_state_2_a_disabled_mapping_keeps_its_position(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream)
    world.put("a")
    world.settle(mapping)
    world.disable(mapping)
    world.enable(mapping)
    world.disable(mapping)
    world.put("b")
    world.enable(mapping)
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "success"), (["b"], "success")]


@conforms("ESM-STATE-2", "deduced")
def test_esm_state_2_the_stream_does_not_wait_for_a_disabled_mapping(world, deliver):
    mapping = deliver({"a": None})
    world.disable(mapping)
    world.put("b")
    world.control.advance_clock(24 * 60 * 60)
    world.put("c")
    world.enable(mapping)
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "success"), (["c"], "success")]
    assert world.given_up(mapping) == []


def test_a_mapping_disabled_before_its_first_record_starts_where_it_would_have(world):
    stream = world.table()
    world.function()
    world.put("before")
    mapping = world.mapping(stream, StartingPosition="LATEST")
    world.disable(mapping)
    world.put("after")
    world.enable(mapping)
    world.settle(mapping)
    assert world.invocations(mapping) == [(["after"], "success")]


def test_what_a_disabled_mapping_had_begun_is_delivered_again(world):
    stream = world.table()
    world.function()
    world.put("before")
    mapping = world.mapping(stream, StartingPosition="LATEST", BatchSize=1)
    world.put("a", do="raise")
    world.wait_until(lambda: world.invocations(mapping))
    world.disable(mapping)
    tried = len(world.invocations(mapping))
    world.control.advance_clock(16 * 60)  # longer than a shard iterator lives
    world.client("lambda").update_event_source_mapping(UUID=mapping, MaximumRetryAttempts=0, Enabled=True)
    world.settle(mapping)
    world.wait_until(lambda: world.given_up(mapping))
    assert world.invocations(mapping)[tried:] == [(["a"], "error")]


def test_a_mapping_deleted_while_it_is_updated_stays_deleted(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream)
    world.put("a", do="nap")
    world.wait_until(lambda: world.control.mapping(mapping).unfinished == 1)
    client = world.client("lambda")
    client.update_event_source_mapping(UUID=mapping, BatchSize=1)
    client.delete_event_source_mapping(UUID=mapping)
    world.forget(mapping)
    world.wait_until(lambda: not client.list_event_source_mappings(EventSourceArn=stream)["EventSourceMappings"])
    world.put("b")
    other = world.mapping(stream, StartingPosition="TRIM_HORIZON")
    world.settle(other)
    processed = [line for line in world.log() if line.startswith("START")]
    # The deleted one may have been stopped before its invocation began; another one after it would be one too many.
    assert len(processed) - len(world.invocations(other)) in (0, 1)


def test_changed_settings_apply_from_the_same_position(world, deliver):
    mapping = deliver({"a": "raise"}, settle=False, BatchSize=1)
    world.wait_until(lambda: world.invocations(mapping))
    world.client("lambda").update_event_source_mapping(UUID=mapping, MaximumRetryAttempts=0)
    world.settle(mapping)
    world.put("b")
    world.settle(mapping)
    assert [each["keys"] for each in world.given_up(mapping)] == [[{"id": {"S": "a"}}]]
    assert world.invocations(mapping)[-1] == (["b"], "success")


@honours("lambda:DeleteEventSourceMapping", "UUID")
def test_deleting_a_mapping_ends_its_deliveries(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream)
    world.client("lambda").delete_event_source_mapping(UUID=mapping)
    world.wait_until(
        lambda: not world.client("lambda").list_event_source_mappings(EventSourceArn=stream)["EventSourceMappings"]
    )
    world.forget(mapping)


def test_every_kind_of_write_reaches_the_consumer(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, BatchSize=1)
    dynamodb, arn = world.client("dynamodb"), stream.partition("/stream/")[0]
    writes = [
        lambda key: dynamodb.put_item(TableName=arn, Item=key),
        lambda key: dynamodb.update_item(TableName=world.name, Key=key),
        lambda key: dynamodb.delete_item(TableName=world.name, Key=key),
        lambda key: dynamodb.batch_write_item(RequestItems={world.name: [{"PutRequest": {"Item": key}}]}),
        lambda key: dynamodb.transact_write_items(TransactItems=[{"Delete": {"TableName": world.name, "Key": key}}]),
    ]
    keys = ["put", "update", "update", "batch", "batch"]
    for done, (write, key) in enumerate(zip(writes, keys, strict=True), start=1):
        write({"id": {"S": key}})
        world.wait_until(lambda expected=done: len(world.invocations(mapping)) == expected)
    assert [ids for ids, _ in world.invocations(mapping)] == [[key] for key in keys]


def test_the_record_is_what_lambda_delivers(world, deliver):
    source = "import json\n\ndef handler(event, context):\n    print(json.dumps(event['Records'][0]))\n"
    deliver({"a": "x"}, source=source)
    record = json.loads(next(line for line in world.log() if line.startswith("{")))
    assert sorted(record) == sorted(
        ["eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "eventSourceARN"]
    )
    assert record["eventName"] == "INSERT"
    assert record["dynamodb"]["NewImage"] == {"id": {"S": "a"}, "do": {"S": "x"}}
    assert record["dynamodb"]["SizeBytes"] == 9
    assert record["dynamodb"]["ApproximateCreationDateTime"] % 1 == 0


@conforms("ESM-METRIC-2", "documented")
@conforms("ESM-METRIC-1", "documented")
@conforms("ESM-METRIC-3", "deduced")
@honours("lambda:CreateEventSourceMapping", "MetricsConfig")
def test_esm_metric_2_event_counts_and_iterator_age_are_recorded(world, deliver):
    mapping = deliver(
        {"a": None, "b": "report", "c": None},
        BatchSize=3,
        MaximumRetryAttempts=0,
        MetricsConfig={"Metrics": ["EventCount"]},
        **world.to_bucket(),
        **REPORT,
    )
    counts = {
        name: world.control.metric_sum(name, EventSourceMappingUUID=mapping)
        for name in (
            "PolledEventCount",
            "InvokedEventCount",
            "FailedInvokeEventCount",
            "DroppedEventCount",
            "OnFailureDestinationDeliveredEventCount",
        )
    }
    assert counts == {
        "PolledEventCount": 3,
        "InvokedEventCount": 5,
        "FailedInvokeEventCount": 4,
        "DroppedEventCount": 0,
        "OnFailureDestinationDeliveredEventCount": 2,
    }
    ages = [
        each
        for each in world.control.metrics()
        if each["name"] == "IteratorAge" and each["dimensions"] == {"FunctionName": world.name}
    ]
    assert [each["count"] for each in ages] == [2]
    assert world.control.metric_sum("Errors", FunctionName=world.name) == 0


@conforms("ESM-METRIC-1", "documented")
def test_esm_metric_1_the_iterator_age_is_that_of_the_record_when_it_is_sent_in_milliseconds(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, Enabled=False)
    world.put("a")
    world.control.advance_clock(10_000)
    world.enable(mapping)
    world.settle(mapping)
    assert world.control.metric_sum("IteratorAge", FunctionName=world.name) // 1_000_000 == 10


@conforms("ESM-PARAM-13", "documented")
def test_esm_param_13_event_counts_are_not_recorded_unless_asked_for(world, deliver):
    mapping = deliver({"a": None})
    assert world.control.metric_sum("PolledEventCount", EventSourceMappingUUID=mapping) == 0
