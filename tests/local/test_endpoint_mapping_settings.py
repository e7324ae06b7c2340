"""Parallel lanes, tumbling windows, and queues and topics for failed batches, on the endpoint's real clock."""

from __future__ import annotations

import json

import pytest

honours = pytest.mark.honours

conforms = pytest.mark.conformance

#: Counts the records of its window, and notes each event.
COUNTING = """
import json

def handler(event, context):
    state = dict(event["state"])
    state["count"] = state.get("count", 0) + len(event["Records"])
    final, window = event["isFinalInvokeForWindow"], event["window"]
    print("WINDOW", json.dumps([len(event["Records"]), state["count"], final, window]))
    return {"state": state}
"""

#: Counts the changes of its window, and notes the result.
WINDOWED = """
import json
from handlers.cdc.windows import windowed

@windowed
def handler(changes, state, window):
    state["count"] = state.get("count", 0) + len(changes)
    if window.is_final:
        print("COUNT", json.dumps([window.start.timestamp(), state["count"]]))
    return state
"""

#: Waits for as long as an item asks.
SLOW = """
import time

def handler(event, context):
    for record in event["Records"]:
        time.sleep(float(record["dynamodb"]["NewImage"]["seconds"]["N"]))
"""


def windows(world) -> list[list]:
    return [json.loads(line.partition("WINDOW ")[2]) for line in world.log() if "WINDOW " in line]


@conforms("ESM-DEST-16", "recorded")
@conforms("ESM-DEST-15", "recorded")
@conforms("ESM-PARAM-10", "documented")
@pytest.mark.parametrize("service", ["sqs", "sns"])
def test_esm_dest_16_a_queue_or_a_topic_gets_the_range_of_a_failed_batch_and_not_its_records(world, service):
    queue = world.client("sqs").create_queue(QueueName=world.name)["QueueUrl"]
    queue_arn = f"arn:aws:sqs:us-east-1:{queue.split('/')[-2]}:{world.name}"
    destination = queue_arn
    if service == "sns":
        destination = world.client("sns").create_topic(Name=world.name)["TopicArn"]
        world.client("sns").subscribe(TopicArn=destination, Protocol="sqs", Endpoint=queue_arn)
        world.let_in(queue, "sns", destination)
    stream = world.table()
    world.function()
    mapping = world.mapping(
        stream,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": destination}},
        MetricsConfig={"Metrics": ["EventCount"]},
    )
    world.put("a", do="raise")
    world.settle(mapping)
    (message,) = world.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    body = json.loads(message["Body"])
    document = json.loads(body["Message"]) if service == "sns" else body
    assert body.get("Type") == ("Notification" if service == "sns" else None)
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["DDBStreamBatchInfo"]["batchSize"] == 1
    assert "payload" not in document
    (given_up,) = world.given_up(mapping)
    assert given_up["location"] == (destination if service == "sns" else queue)


@conforms("ESM-DEST-14", "documented")
def test_esm_dest_14_a_queue_that_does_not_exist_loses_the_records_and_processing_goes_on(world):
    stream = world.table()
    world.function()
    nowhere = "arn:aws:sqs:us-east-1:111122223333:no-such-queue"
    mapping = world.mapping(
        stream, BatchSize=1, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": nowhere}}
    )
    world.put("a", do="raise")
    world.put("b")
    world.settle(mapping)
    (given_up,) = world.given_up(mapping)
    assert given_up["location"] is None
    assert world.invocations(mapping) == [(["a"], "error"), (["b"], "success")]


@conforms("ESM-WINDOW-2", "recorded")
@conforms("ESM-WINDOW-1", "recorded")
@conforms("ESM-PARAM-8", "documented")
@honours("lambda:CreateEventSourceMapping", "TumblingWindowInSeconds")
def test_esm_window_2_a_window_gives_each_call_the_state_of_the_last_and_ends_with_a_call_without_records(world):
    stream = world.table()
    world.function(COUNTING)
    mapping = world.mapping(stream, Enabled=False, BatchSize=1, TumblingWindowInSeconds=900)
    world.put("a", "b")
    world.enable(mapping)
    world.wait_until(lambda: world.control.mapping(mapping).invocations == 2)
    world.control.advance_clock(901)
    world.settle(mapping)
    seen = windows(world)
    assert [each[:3] for each in seen] == [[1, 1, False], [1, 2, False], [0, 2, True]]
    assert len({json.dumps(each[3]) for each in seen}) == 1


def test_a_windowed_consumer_counts_the_changes_of_each_window(world):
    stream = world.table()
    world.function(WINDOWED, runtime=True)
    mapping = world.mapping(
        stream, BatchSize=2, TumblingWindowInSeconds=900, FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    expected = []
    for ids in ("abc", "de"):
        # From the start of a window on, so that none ends between two writes.
        now = world.control.advance_clock(0)
        started = world.control.advance_clock(901 - now % 900) // 900 * 900
        world.put(*ids)
        expected.append([started, len(ids)])
    world.control.advance_clock(901)
    world.settle(mapping)
    assert [json.loads(line.partition("COUNT ")[2]) for line in world.log() if "COUNT " in line] == expected
    assert {outcome for _, outcome in world.invocations(mapping)} == {"success"}


@conforms("ESM-ORDER-2", "documented")
@conforms("ESM-PARAM-3", "documented")
@honours("lambda:CreateEventSourceMapping", "ParallelizationFactor")
def test_esm_order_2_parallel_lanes_do_not_wait_for_each_other_and_keep_the_order_of_an_item(world):
    stream = world.table()
    world.function(SLOW)
    mapping = world.mapping(stream, Enabled=False, BatchSize=1, ParallelizationFactor=10)
    table = world.client("dynamodb")
    for number in range(3):
        for item, seconds in (("slow", "0.5"), ("fast", "0")):
            table.put_item(
                TableName=world.name,
                Item={"id": {"S": item}, "seconds": {"N": seconds}, "number": {"N": str(number)}},
            )
    world.enable(mapping)
    world.settle(mapping)
    order = [each["keys"][0]["id"]["S"] for each in world.control.history(mapping)]
    assert order.index("slow") > 0  # the fast item's lane did not wait for the slow one's
    identifiers = {"slow": [], "fast": []}
    for each in world.control.history(mapping):
        identifiers[each["keys"][0]["id"]["S"]].append(int(each["identifiers"][0]))
    assert all(len(numbers) == 3 and numbers == sorted(numbers) for numbers in identifiers.values())


@honours("lambda:UpdateEventSourceMapping", "MaximumRetryAttempts")
def test_what_was_done_in_one_lane_comes_again_after_a_pause_when_another_was_behind(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, Enabled=False, BatchSize=1, ParallelizationFactor=10)
    world.put("a", do="raise")
    world.put("b")
    world.enable(mapping)
    world.wait_until(lambda: (["b"], "success") in world.invocations(mapping))
    world.disable(mapping)
    world.client("lambda").update_event_source_mapping(UUID=mapping, MaximumRetryAttempts=0)
    world.wait_until(lambda: world.control.mapping(mapping).state == "Disabled")
    world.enable(mapping)
    world.settle(mapping)
    assert world.invocations(mapping).count((["b"], "success")) == 2


@honours(
    "lambda:UpdateEventSourceMapping",
    "FunctionName BisectBatchOnFunctionError DestinationConfig FunctionResponseTypes MetricsConfig",
)
def test_an_update_gives_a_mapping_another_way_to_fail_and_another_function(world):
    stream = world.table()
    world.function()
    world.function(name=f"{world.name}-other")
    mapping = world.mapping(stream, Enabled=False)
    world.put("a")
    world.put("b", do="report")
    world.put("c")
    world.put("d", do="exit")
    world.client("lambda").update_event_source_mapping(
        UUID=mapping,
        FunctionName=f"{world.name}-other",
        BisectBatchOnFunctionError=True,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        MetricsConfig={"Metrics": ["EventCount"]},
        MaximumRetryAttempts=0,
        Enabled=True,
        **world.to_bucket(),
    )
    world.settle(mapping)
    assert [keys for keys, outcome in world.invocations(mapping) if outcome == "success"][-1] == ["c"]
    assert [[key["id"]["S"] for key in each["keys"]] for each in world.given_up(mapping)] == [["b"], ["d"]]
    assert all(each["location"].startswith(f"s3://{world.name}/") for each in world.given_up(mapping))
    assert world.control.metric_sum("PolledEventCount", EventSourceMappingUUID=mapping) == 4


@honours("lambda:CreateEventSourceMapping", "Enabled")
@honours("lambda:UpdateEventSourceMapping", "MaximumRecordAgeInSeconds")
def test_an_update_gives_up_records_that_are_too_old_for_it(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, Enabled=False)
    world.put("a")
    world.control.advance_clock(120)
    world.put("b")
    world.client("lambda").update_event_source_mapping(UUID=mapping, MaximumRecordAgeInSeconds=60, Enabled=True)
    world.settle(mapping)
    assert [(each["condition"], each["keys"][0]["id"]["S"]) for each in world.given_up(mapping)] == [
        ("RecordAgeExceeded", "a")
    ]
    assert world.invocations(mapping) == [(["b"], "success")]


@honours("lambda:UpdateEventSourceMapping", "MaximumBatchingWindowInSeconds TumblingWindowInSeconds")
def test_an_update_begins_to_gather_batches_in_windows(world):
    stream = world.table()
    world.function(COUNTING)
    mapping = world.mapping(stream, Enabled=False)
    world.client("lambda").update_event_source_mapping(
        UUID=mapping, MaximumBatchingWindowInSeconds=300, TumblingWindowInSeconds=900, Enabled=True
    )
    world.wait_until(lambda: world.control.mapping(mapping).state == "Enabled")
    now = world.control.advance_clock(0)
    world.control.advance_clock(901 - now % 900)
    world.put("a")
    world.put("b")
    world.wait_until(lambda: world.control.mapping(mapping).unfinished == 2)
    assert world.invocations(mapping) == []
    world.control.advance_clock(901)
    world.settle(mapping)
    assert [each[:3] for each in windows(world)] == [[2, 2, False], [0, 2, True]]


@honours("lambda:UpdateEventSourceMapping", "ParallelizationFactor")
def test_an_update_reads_a_shard_in_parallel_lanes(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, Enabled=False)
    world.put("a", do="raise")
    world.put("b")

    def seen():
        return {(tuple(ids), outcome) for ids, outcome in world.invocations(mapping)}

    world.client("lambda").update_event_source_mapping(
        UUID=mapping, ParallelizationFactor=10, BatchSize=1, Enabled=True
    )
    world.wait_until(lambda: {(("a",), "error"), (("b",), "success")} <= seen())
