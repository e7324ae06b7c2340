"""Event source mappings of SQS queues, as a client of the endpoint sees them."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from tests.local.queue_world import VISIBILITY

conforms = pytest.mark.conformance
honours = pytest.mark.honours

#: Does to each message what its body says, and tells the order in which it ran.
HANDLER = """
import json, time

def handler(event, context):
    failed = []
    for record in event["Records"]:
        body = json.loads(record["body"])
        print("saw", body["id"], record["attributes"]["ApproximateReceiveCount"])
        if body.get("do") == "raise":
            raise ValueError("poison")
        if body.get("do") == "nap":
            time.sleep(0.5)
        if body.get("do") == "fail":
            failed.append({"itemIdentifier": record["messageId"]})
        if body.get("do") == "fail wrongly":
            failed.append({"itemIdentifier": "nobody"})
        if body.get("do") == "fail once" and record["attributes"]["ApproximateReceiveCount"] == "1":
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
"""


def test_a_mapping_is_created_with_awss_defaults(world, queues):
    world.function()
    url = queues.queue()
    made = world.client("lambda").create_event_source_mapping(FunctionName=world.name, EventSourceArn=queues.arn(url))
    world.adopt(made["UUID"])
    made = {name: value for name, value in made.items() if name not in ("ResponseMetadata", "UUID", "LastModified")}
    assert made.pop("EventSourceMappingArn").startswith("arn:aws:lambda:")
    assert made == {
        "BatchSize": 10,
        "EventSourceArn": queues.arn(url),
        "FunctionArn": made["FunctionArn"],
        "FunctionResponseTypes": [],
        "MaximumBatchingWindowInSeconds": 0,
        "State": "Creating",
        "StateTransitionReason": "USER_INITIATED",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"BatchSize": 11}, "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater"),
        (
            {"BatchSize": 10_001, "MaximumBatchingWindowInSeconds": 1},
            "Member must have value less than or equal to 10000",
        ),
        ({"MaximumBatchingWindowInSeconds": 301}, "Member must have value less than or equal to 300"),
        ({"ScalingConfig": {"MaximumConcurrency": 1001}}, "'scalingConfig.maximumConcurrency' .* Member must have"),
        ({"StartingPosition": "LATEST"}, "StartingPosition is not valid for SQS event sources."),
        ({"BisectBatchOnFunctionError": True}, "Unsupported BisectBatchOnFunctionError parameter for given event"),
        ({"ParallelizationFactor": 2}, "Unsupported ParallelizationFactor parameter for given event source mapping"),
        ({"DestinationConfig": {"OnFailure": {}}}, "Unsupported DestinationConfig parameter for given event source"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"body": "scalar"}'}]}}, "Invalid filter pattern definition."),
    ],
)
def test_a_setting_that_aws_refuses_is_refused(world, queues, settings, message):
    world.function()
    url = queues.queue()
    with pytest.raises(ClientError, match=message) as refused:
        queues.mapping(url, **settings)
    by_model = "Member must" in message
    assert refused.value.response["Error"]["Code"] == (
        "ValidationException" if by_model else "InvalidParameterValueException"
    )


def test_a_queue_that_hides_messages_for_less_than_the_function_may_run_is_refused(world, queues):
    world.function(timeout=5)
    url = queues.queue(VisibilityTimeout="4")
    with pytest.raises(ClientError, match="Queue visibility timeout: 4 seconds is less than Function timeout: 5 sec"):
        queues.mapping(url)


def test_a_queue_that_does_not_exist_and_a_second_mapping_are_refused(world, queues):
    world.function()
    url = queues.queue()
    arn = queues.arn(url)
    with pytest.raises(ClientError, match="The specified queue does not exist"):
        world.client("lambda").create_event_source_mapping(FunctionName=world.name, EventSourceArn=f"{arn}-not")
    queues.mapping(url)
    with pytest.raises(ClientError, match="already exists") as refused:
        queues.mapping(url)
    assert refused.value.response["Error"]["Code"] == "ResourceConflictException"


def test_fifo_queues_take_neither_a_window_nor_large_batches(world, queues):
    world.function()
    url = queues.queue(f"{world.name}.fifo", FifoQueue="true")
    for settings in ({"MaximumBatchingWindowInSeconds": 1}, {"BatchSize": 11}):
        with pytest.raises(ClientError, match="FIFO queues"):
            queues.mapping(url, **settings)


@honours("lambda:UpdateEventSourceMapping", "ScalingConfig")
def test_a_mapping_is_found_listed_updated_and_deleted(world, queues):
    world.function(HANDLER)
    url = queues.queue()
    mapping = queues.mapping(url, Enabled=False)
    api = world.client("lambda")
    listed = api.list_event_source_mappings(EventSourceArn=queues.arn(url))["EventSourceMappings"]
    assert [each["UUID"] for each in listed] == [mapping]
    queues.send(url, {"id": "a"})
    updated = api.update_event_source_mapping(UUID=mapping, BatchSize=5, ScalingConfig={"MaximumConcurrency": 2})
    assert (updated["BatchSize"], updated["ScalingConfig"]) == (5, {"MaximumConcurrency": 2})
    world.enable(mapping)
    world.settle(mapping)
    assert queues.seen() == ["a 1"]
    api.delete_event_source_mapping(UUID=mapping)
    world.forget(mapping)
    world.wait_until(lambda: not api.list_event_source_mappings(FunctionName=world.name)["EventSourceMappings"])
    queues.send(url, {"id": "b"})
    assert queues.bodies(url) == ['{"id": "b"}']


def test_the_function_gets_messages_in_lambdas_shape(world, queues):
    world.function("def handler(event, context):\n    print(__import__('json').dumps(event))")
    url = queues.queue()
    mapping = queues.mapping(url)
    sent = queues.sqs.send_message(
        QueueUrl=url, MessageBody="hello", MessageAttributes={"kind": {"DataType": "String", "StringValue": "x"}}
    )
    world.settle(mapping)
    (line,) = [line for line in world.log() if line.startswith("{")]
    (record,) = json.loads(line)["Records"]
    assert set(record.pop("attributes")) == {
        "ApproximateReceiveCount",
        "SentTimestamp",
        "SenderId",
        "ApproximateFirstReceiveTimestamp",
    }
    assert record.pop("receiptHandle")
    assert record == {
        "messageId": sent["MessageId"],
        "body": "hello",
        "messageAttributes": {
            "kind": {"stringValue": "x", "stringListValues": [], "binaryListValues": [], "dataType": "String"}
        },
        "md5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        "md5OfBody": sent["MD5OfMessageBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queues.arn(url),
        "awsRegion": "us-east-1",
    }


def test_only_what_a_partial_response_reports_comes_back_and_goes_to_the_dead_letter_queue(world, queues):
    world.function(HANDLER)
    url, dead = queues.with_dead_letters(receives=2)
    mapping = queues.mapping(url, Enabled=False)
    queues.send(url, {"id": "a"}, {"id": "b", "do": "fail"}, {"id": "c", "do": "fail once"})
    world.enable(mapping)
    queues.failed(mapping, 1)
    queues.failed(mapping, 2)
    world.settle(mapping)
    assert queues.batches(mapping) == [(3, "partial"), (2, "partial")]
    assert sorted(queues.seen()) == ["a 1", "b 1", "b 2", "c 1", "c 2"]
    assert queues.bodies(dead) == ['{"id": "b", "do": "fail"}']


@pytest.mark.parametrize("do", ["raise", "fail wrongly"])
def test_a_function_that_fails_and_an_answer_that_is_none_fail_the_whole_batch(world, queues, do):
    world.function(HANDLER)
    url, dead = queues.with_dead_letters(receives=1)
    mapping = queues.mapping(url, Enabled=False)
    queues.send(url, {"id": "a"}, {"id": "b", "do": do})
    world.enable(mapping)
    queues.failed(mapping, 1)
    world.settle(mapping)
    assert queues.batches(mapping) == [(2, "error")]
    assert len(queues.bodies(dead)) == 2


def test_without_the_setting_a_reported_failure_is_success(world, queues):
    world.function(HANDLER)
    url = queues.queue()
    mapping = queues.mapping(url, FunctionResponseTypes=[])
    queues.send(url, {"id": "a", "do": "fail"})
    world.settle(mapping)
    assert queues.batches(mapping) == [(1, "success")]


def test_a_failed_message_stays_hidden_until_its_visibility_timeout_is_over(world, queues):
    world.function(HANDLER)
    url = queues.queue()
    mapping = queues.mapping(url)
    queues.send(url, {"id": "a", "do": "fail once"})
    world.wait_until(lambda: queues.batches(mapping))
    world.control.advance_clock(VISIBILITY - 100)
    assert queues.counts(url) == (0, 1)
    assert len(queues.batches(mapping)) == 1
    world.control.advance_clock(101)
    world.settle(mapping)
    assert queues.seen() == ["a 1", "a 2"]


def test_what_no_filter_matches_is_deleted_and_the_function_never_sees_it(world, queues):
    world.function(HANDLER)
    url = queues.queue()
    mapping = queues.mapping(
        url,
        FilterCriteria={"Filters": [{"Pattern": '{"body": {"plan": ["pro"]}}'}]},
        MetricsConfig={"Metrics": ["EventCount"]},
    )
    queues.send(url, {"id": "a", "plan": "free"}, {"id": "b", "plan": "pro"}, "no JSON", {"id": "c"})
    world.settle(mapping)
    assert queues.seen() == ["b 1"]
    assert world.control.metric_sum("FilteredOutEventCount", EventSourceMappingUUID=mapping) == 3
    assert world.control.metric_sum("DeletedEventCount", EventSourceMappingUUID=mapping) == 4


@pytest.mark.parametrize(("paused", "seen"), [(True, ["new kind 1", "later 1"]), (False, ["later 1"])])
def test_a_mapping_that_is_paused_while_its_filter_is_loosened_drops_nothing_meanwhile(world, queues, paused, seen):
    def only(*plans) -> dict[str, object]:
        return {"Filters": [{"Pattern": json.dumps({"body": {"plan": list(plans)}})}]}

    world.function(HANDLER)
    url = queues.queue()
    mapping = queues.mapping(url, FilterCriteria=only("pro"))
    if paused:
        world.disable(mapping)
    queues.send(url, {"id": "new kind", "plan": "team"})
    if not paused:
        world.settle(mapping)
    api = world.client("lambda")
    # As an update of the program does it, which leaves Enabled alone.
    updated = api.update_event_source_mapping(UUID=mapping, FilterCriteria=only("pro", "team"))
    world.wait_until(lambda: api.get_event_source_mapping(UUID=mapping)["State"] in ("Enabled", "Disabled"))
    assert (api.get_event_source_mapping(UUID=mapping)["State"] == "Disabled") == paused, updated
    world.enable(mapping)
    queues.send(url, {"id": "later", "plan": "team"})
    world.settle(mapping)
    assert sorted(queues.seen()) == sorted(seen)


def test_the_history_names_the_changes_in_messages_and_those_that_no_filter_matched(world, queues):
    world.function(HANDLER)
    url = queues.queue()
    mapping = queues.mapping(url, FilterCriteria={"Filters": [{"Pattern": '{"body": {"plan": ["pro"]}}'}]})
    wanted = {"id": "a", "plan": "pro", "eventID": "1"}
    queues.send(url, wanted, {"id": "b", "plan": "free", "eventID": "2"}, "no JSON")
    world.settle(mapping)
    found = {"invocation": [], "filtered out": []}
    for entry in world.control.history(mapping):
        found[entry["kind"]] += entry["event_ids"]
    assert found["invocation"] == ["1"]
    assert sorted(found["filtered out"]) == ["", "2"]


def test_a_window_gathers_a_batch_beyond_one_receive(world, queues):
    world.function(HANDLER)
    url = queues.queue()
    mapping = queues.mapping(url, BatchSize=15, MaximumBatchingWindowInSeconds=60)
    queues.send(url, *({"id": str(number)} for number in range(15)))
    world.settle(mapping)
    assert queues.batches(mapping) == [(15, "success")]
    queues.send(url, {"id": "late"})
    world.wait_until(lambda: not world.control.mapping(mapping).idle)
    assert len(queues.batches(mapping)) == 1
    world.control.advance_clock(60)
    world.settle(mapping)
    assert queues.batches(mapping) == [(15, "success"), (1, "success")]


def test_the_messages_of_a_fifo_group_come_in_order_and_groups_do_not_wait_for_each_other(world, queues):
    world.function(HANDLER)
    url, dead = queues.with_dead_letters(receives=2, FifoQueue="true")
    mapping = queues.mapping(url, BatchSize=1)
    queues.send(url, {"id": "a1", "do": "fail"}, {"id": "a2"}, {"id": "a3"}, group="a")
    queues.send(url, {"id": "b1"}, {"id": "b2"}, group="b")
    world.wait_until(lambda: "b2 1" in queues.seen())  # behind the failing group, in front of its visibility timeout
    queues.failed(mapping, 3)
    queues.failed(mapping, 4)
    world.settle(mapping)
    seen = queues.seen()
    assert [each for each in seen if each[0] == "a"] == ["a1 1", "a1 2", "a2 1", "a3 1"]
    assert [each for each in seen if each[0] == "b"] == ["b1 1", "b2 1"]
    assert queues.bodies(dead) == ['{"id": "a1", "do": "fail"}']


@honours("lambda:CreateEventSourceMapping", "ScalingConfig")
def test_no_more_invocations_run_at_once_than_the_maximum_concurrency(world, queues):
    world.function(
        "import json, time\n"
        "def handler(event, context):\n"
        "    print('from', time.time())\n"
        "    time.sleep(0.2)\n"
        "    print('to', time.time())\n"
    )
    url = queues.queue()
    mapping = queues.mapping(url, BatchSize=1, Enabled=False, ScalingConfig={"MaximumConcurrency": 2})
    queues.send(url, *({"id": str(number)} for number in range(6)))
    world.enable(mapping)
    world.settle(mapping)
    moments = sorted((float(line.split()[1]), line.split()[0]) for line in world.log() if line[:2] in ("fr", "to"))
    running = [0]
    for _, what in moments:
        running.append(running[-1] + (1 if what == "from" else -1))
    assert max(running) == 2


def test_a_slow_mapping_delays_no_other(world, queues):
    world.function("import time\ndef handler(event, context):\n    time.sleep(4)\n", name=f"{world.name}-slow")
    world.function(HANDLER)
    slow, quick = queues.queue(f"{world.name}-slow"), queues.queue()
    slow_mapping = queues.mapping(slow, f"{world.name}-slow")
    mapping = queues.mapping(quick)
    queues.send(slow, {"id": "a"})
    queues.send(quick, {"id": "b"})
    world.settle(mapping)
    assert queues.batches(slow_mapping) == []


def test_a_throttled_message_is_tried_again_after_its_visibility_timeout(world, queues):
    world.function(HANDLER)
    url = queues.queue()
    mapping = queues.mapping(url, MetricsConfig={"Metrics": ["EventCount"]})
    world.control.throttle("lambda:Invoke", times=1, containing=queues.arn(url))
    queues.send(url, {"id": "a"})
    queues.failed(mapping, 1)
    world.settle(mapping)
    assert queues.batches(mapping) == [(1, "throttled"), (1, "success")]
    counted = ("InvokedEventCount", "FailedInvokeEventCount", "DeletedEventCount")
    assert [world.control.metric_sum(name, EventSourceMappingUUID=mapping) for name in counted] == [2, 1, 1]


#: Answers with an item that names no message.
NAMELESS = "def handler(event, context):\n    return {'batchItemFailures': [{}]}\n"

#: Prints its records.
PRINTS = "import json\n\ndef handler(event, context):\n    print('RECORDS', json.dumps(event['Records']))\n"


@conforms("ESM-SQS-1", "recorded")
def test_esm_sqs_1_an_item_without_an_identifier_is_no_failure(world, queues):
    world.function(NAMELESS)
    url = queues.queue()
    mapping = queues.mapping(url)
    queues.send(url, "only")
    world.settle(mapping)
    assert queues.batches(mapping) == [(1, "success")]
    assert queues.counts(url) == (0, 0)


def records_seen(world) -> list[dict]:
    lines = [line.removeprefix("RECORDS ") for line in world.log() if line.startswith("RECORDS ")]
    return [record for line in lines for record in json.loads(line)]


@conforms("ESM-SQS-3", "recorded")
def test_esm_sqs_3_a_message_with_attributes_has_their_digest_and_numbers_without_zeros(world, queues):
    world.function(PRINTS)
    url = queues.queue()
    price = {"DataType": "Number", "StringValue": "0012.3400"}
    sent = queues.sqs.send_message(QueueUrl=url, MessageBody="{}", MessageAttributes={"price": price})
    world.settle(queues.mapping(url))
    (record,) = records_seen(world)
    assert record["md5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert record["messageAttributes"]["price"]["stringValue"] == "12.34"


@conforms("ESM-SQS-3", "recorded")
@pytest.mark.parametrize(("window", "shown"), [(0, {}), (1, {"md5OfMessageAttributes": None})])
def test_esm_sqs_3_without_attributes_the_digest_is_null_with_a_window_and_absent_without(world, queues, window, shown):
    world.function(PRINTS)
    url = queues.queue()
    queues.send(url, "{}")
    world.settle(queues.mapping(url, MaximumBatchingWindowInSeconds=window))
    (record,) = records_seen(world)
    assert {name: value for name, value in record.items() if name == "md5OfMessageAttributes"} == shown
