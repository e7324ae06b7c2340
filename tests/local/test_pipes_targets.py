"""Requests of pipes to each kind of target, seen by the receivers."""

from __future__ import annotations

import json

import pytest

from tests.local.pipe_world import ids

conforms = pytest.mark.conformance
honours = pytest.mark.honours

#: Prints what it was given.
PRINTS = "import json\n\ndef handler(event, context):\n    print('got ' + json.dumps(event))\n"


def printed(pipes, name="function"):
    """Return the events of a function that prints them, in order."""
    groups = pipes.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{pipes.name}-{name}")
    messages = pipes.world.log(f"{pipes.name}-{name}") if groups["logGroups"] else []
    lines = [line for message in messages for line in message.splitlines()]
    return [json.loads(line.removeprefix("got ")) for line in lines if line.startswith("got ")]


def test_a_queue_gets_each_event_as_a_message_of_its_own(pipes):
    queue = pipes.queue()
    pipes.deliver(queue, "abc")
    messages = pipes.messages(queue)
    assert ids(messages) == ["a", "b", "c"]
    assert pipes.executions() == [("abc", "success")]
    assert messages[0]["eventName"] == "INSERT"
    assert messages[0]["eventSourceARN"] == pipes.stream
    assert messages[0]["dynamodb"]["NewImage"] == {"id": {"S": "a"}}


@conforms("PIPE-SHAPE-5", "documented")
@conforms("PIPE-TARGET-3", "documented")
def test_pipe_target_3_a_fifo_queue_gets_the_group_and_the_deduplication_id_from_the_event(pipes):
    queue = pipes.queue("queue.fifo", FifoQueue="true")
    to_queue = {"MessageGroupId": "$.dynamodb.Keys.id.S", "MessageDeduplicationId": "$.eventID"}
    pipes.deliver(queue, "ab", TargetParameters={"SqsQueueParameters": to_queue})
    received = pipes.received(queue)
    assert [message["Attributes"]["MessageGroupId"] for message in received] == ["a", "b"]
    assert [message["Attributes"]["MessageDeduplicationId"] for message in received] == [
        json.loads(message["Body"])["eventID"] for message in received
    ]


@conforms("PIPE-SHAPE-4", "documented")
def test_pipe_shape_4_a_template_makes_each_event_another_one(pipes):
    queue = pipes.queue()
    template = '{"id": <$.dynamodb.Keys.id.S>, "from": "pipe <aws.pipes.pipe-name>", "to": <aws.pipes.target-arn>}'
    pipes.deliver(queue, "ab", TargetParameters={"InputTemplate": template})
    assert pipes.messages(queue) == [{"id": each, "from": f"pipe {pipes.name}", "to": queue} for each in "ab"]


def test_a_topic_gets_each_event_as_a_message_of_its_own(pipes):
    queue = pipes.queue()
    pipes.deliver(pipes.topic(queue), "ab")
    assert ids([json.loads(each["Message"]) for each in pipes.messages(queue)]) == ["a", "b"]


@conforms("PIPE-TARGET-4", "documented")
def test_pipe_target_4_an_event_bus_gets_events_from_the_pipe(pipes):
    queue = pipes.queue()
    pipes.deliver(pipes.bus(queue), "a")
    (event,) = pipes.messages(queue)
    assert event["source"] == f"Pipe {pipes.name}"
    assert event["detail-type"] == "Event from aws:dynamodb"
    assert ids([event["detail"]]) == ["a"]


@conforms("PIPE-TARGET-3", "documented")
@conforms("PIPE-SHAPE-5", "documented")
@honours("events:CreateEventBus", "Name")
@honours("events:PutTargets", "Rule EventBusName Targets")
def test_pipe_target_3_an_event_bus_gets_what_its_parameters_say(pipes):
    queue = pipes.queue()
    parameters = {"Source": "weir.users", "DetailType": "$.eventName", "Resources": ["$.eventSourceARN"]}
    pipes.deliver(
        pipes.bus(queue),
        "a",
        TargetParameters={
            "EventBridgeEventBusParameters": parameters,
            "InputTemplate": '{"user": <$.dynamodb.Keys.id.S>}',
        },
    )
    (event,) = pipes.messages(queue)
    assert (event["source"], event["detail-type"], event["resources"], event["detail"]) == (
        "weir.users",
        "INSERT",
        [pipes.stream],
        {"user": "a"},
    )


@conforms("PIPE-EVENT-3", "documented")
def test_pipe_event_3_a_function_gets_a_list_of_events_even_of_one(pipes):
    pipes.deliver(pipes.function(PRINTS), "a")
    (event,) = printed(pipes)
    assert ids(event) == ["a"]


@conforms("PIPE-TARGET-5", "documented")
def test_pipe_target_5_a_function_that_nobody_waits_for_hides_its_errors(pipes):
    function = pipes.function(PRINTS + "    raise ValueError('poison')\n")
    invocation = {"LambdaFunctionParameters": {"InvocationType": "FIRE_AND_FORGET"}}
    pipes.deliver(function, "a", TargetParameters=invocation)
    assert pipes.executions() == [("a", "success")]
    pipes.world.wait_until(lambda: printed(pipes))
    assert ids(printed(pipes)[0]) == ["a"]


@conforms("PIPE-PARAM-1", "documented")
@pytest.mark.parametrize("position", ["LATEST", "TRIM_HORIZON"])
def test_pipe_param_1_a_pipe_begins_where_its_starting_position_says(pipes, position):
    queue = pipes.queue()
    pipes.stream = pipes.world.table()
    pipes.world.put("a")
    pipes.create(queue, source={"StartingPosition": position})
    pipes.reach("RUNNING")
    pipes.world.put("b")
    pipes.settle()
    assert ids(pipes.messages(queue)) == (["b"] if position == "LATEST" else ["a", "b"])


@conforms("PIPE-EVENT-2", "documented")
@honours("pipes:CreatePipe", "SourceParameters")
def test_pipe_event_2_only_events_that_a_filter_matches_are_sent(pipes):
    queue = pipes.queue()
    filters = [{"eventName": ["REMOVE"]}, {"dynamodb": {"Keys": {"id": {"S": ["b"]}}}}]
    pipes.deliver(queue, "abc", filters=filters)
    assert ids(pipes.messages(queue)) == ["b"]


@conforms("PIPE-FAIL-6", "documented")
@conforms("PIPE-PARAM-4", "documented")
def test_pipe_param_4_the_lanes_of_a_shard_do_not_wait_for_each_other(pipes, tmp_path):
    gate = tmp_path / "gate"
    source = f"""
import pathlib, time

def handler(event, context):
    gate = pathlib.Path({str(gate)!r})
    if event[0]["dynamodb"]["Keys"]["id"]["S"] == "c":
        gate.touch()
    while not gate.exists():
        time.sleep(0.01)
"""
    # The keys "a" and "c" are of different lanes, "a" and "b" of one.
    pipes.deliver(pipes.function(source), "abc", source={"BatchSize": 1, "ParallelizationFactor": 2})
    outcomes = pipes.executions()
    assert ("c", "success") in outcomes
    assert [each for each in outcomes if each[0] != "c"] == [("a", "success"), ("b", "success")]


@conforms("PIPE-PARAM-3", "documented")
def test_pipe_param_3_a_window_gathers_events_into_one_batch(pipes):
    queue = pipes.queue()
    pipes.create(queue, source={"MaximumBatchingWindowInSeconds": 300})
    pipes.reach("RUNNING")
    pipes.world.put("a", "b")
    pipes.world.wait_until(lambda: pipes.control.pipe(pipes.name).unfinished == 2)
    assert pipes.executions() == []
    pipes.control.advance_clock(300)
    pipes.settle()
    assert pipes.executions() == [("ab", "success")]


@conforms("PIPE-EVENT-1", "deduced")
def test_pipe_event_1_a_filter_sees_what_the_stream_says_of_a_record(pipes):
    queue = pipes.queue()
    pipes.deliver(queue, "a", filters=[{"eventName": ["INSERT"], "eventSource": ["aws:dynamodb"]}])
    assert ids(pipes.messages(queue)) == ["a"]
