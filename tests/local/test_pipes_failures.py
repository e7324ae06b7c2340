"""Pipes with a target that fails."""

from __future__ import annotations

import json

import pytest

from tests.local.pipe_world import ids

conforms = pytest.mark.conformance
honours = pytest.mark.honours

#: Does to each event what the item's attribute `do` says.
SCRIPTED = """
def handler(events, context):
    for event in events:
        match event["dynamodb"]["NewImage"].get("do", {}).get("S"):
            case "raise":
                raise ValueError("poison")
            case "report":
                return {"batchItemFailures": [{"itemIdentifier": event["eventID"]}]}
            case "report sequence":
                return {"batchItemFailures": [{"itemIdentifier": event["dynamodb"]["SequenceNumber"]}]}
"""
#: A message of this text alone is one that a queue refuses, since it may not hold this character.
INVALID = "\x01"
ONLY_DO = {"TargetParameters": {"InputTemplate": "<$.dynamodb.NewImage.do.S>"}}


@conforms("PIPE-FAIL-2", "documented")
def test_pipe_fail_2_only_the_entries_that_a_queue_refused_are_sent_again(pipes):
    queue = pipes.queue()
    items = {"a": "one", "b": INVALID, "c": "three", "d": INVALID}
    pipes.deliver(
        queue,
        items,
        source={"MaximumRetryAttempts": 1},
        TargetParameters={"InputTemplate": '"<$.dynamodb.NewImage.do.S>"'},
    )
    assert pipes.executions() == [("abcd", "partial"), ("bd", "error"), ("bd", "error")]
    assert pipes.messages(queue) == ["one", "three"]
    (given_up,) = pipes.given_up()
    assert given_up["keys"] == [{"id": {"S": "b"}}, {"id": {"S": "d"}}]


@conforms("PIPE-FAIL-2", "documented")
def test_pipe_fail_2_a_bus_refuses_an_event_whose_detail_is_no_object_alone(pipes):
    queue = pipes.queue()
    items = {"a": '{"n": 1}', "b": "text", "c": '{"n": 3}'}
    # A text that looks like an object becomes one; another one stays a text.
    pipes.deliver(
        pipes.bus(queue),
        items,
        source={"MaximumRetryAttempts": 0},
        TargetParameters={"InputTemplate": "<$.dynamodb.NewImage.do.S>"},
    )
    assert pipes.executions() == [("abc", "partial"), ("b", "error")]
    assert [event["detail"] for event in pipes.messages(queue)] == [{"n": 1}, {"n": 3}]


def test_an_event_without_what_a_dynamic_parameter_reads_is_refused_alone(pipes):
    queue = pipes.queue("queue.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    group = {"SqsQueueParameters": {"MessageGroupId": "$.dynamodb.NewImage.do.S"}}
    pipes.deliver(queue, {"a": "group", "b": None}, source={"MaximumRetryAttempts": 0}, TargetParameters=group)
    assert pipes.executions() == [("ab", "partial"), ("b", "error")]
    assert [message["Attributes"]["MessageGroupId"] for message in pipes.received(queue)] == ["group"]


@conforms("PIPE-FAIL-3", "documented")
def test_pipe_fail_3_a_function_names_failed_events_by_event_id(pipes):
    pipes.deliver(pipes.function(SCRIPTED), {"a": None, "b": "report", "c": None}, source={"MaximumRetryAttempts": 0})
    assert pipes.executions() == [("abc", "partial"), ("bc", "error")]


@conforms("PIPE-FAIL-4", "documented")
def test_pipe_fail_4_a_sequence_number_names_no_event_of_a_pipe(pipes):
    items = {"a": None, "b": "report sequence"}
    pipes.deliver(pipes.function(SCRIPTED), items, source={"MaximumRetryAttempts": 0})
    assert pipes.executions() == [("ab", "error")]


@conforms("PIPE-FAIL-5", "deduced")
@conforms("PIPE-PARAM-7", "documented")
def test_pipe_param_7_automatic_bisect_isolates_the_event_that_fails(pipes):
    source = {"MaximumRetryAttempts": 0, "OnPartialBatchItemFailure": "AUTOMATIC_BISECT"}
    pipes.deliver(pipes.function(SCRIPTED), {"a": None, "b": "raise", "c": None, "d": None}, source=source)
    assert pipes.executions() == [
        ("abcd", "error"),
        ("ab", "error"),
        ("a", "success"),
        ("b", "error"),
        ("cd", "success"),
    ]
    assert pipes.control.pipe(pipes.name).bisections == 2


@conforms("PIPE-FAIL-7", "recorded")
def test_pipe_fail_7_what_is_given_up_goes_to_the_dead_letter_queue(pipes):
    dead = pipes.queue("dead")
    source = {"MaximumRetryAttempts": 1, "DeadLetterConfig": {"Arn": dead}}
    pipes.deliver(pipes.function(SCRIPTED), {"a": "raise", "b": None}, source=source)
    (letter,) = pipes.messages(dead)
    (given_up,) = pipes.given_up()
    assert given_up["document"] == letter
    assert given_up["location"].endswith(f"/{pipes.name}-dead")
    assert letter["context"] == {
        "partnerResourceArn": f"arn:aws:pipes:us-east-1:111122223333:pipe/{pipes.name}",
        "condition": "RetryAttemptsExhausted",
    }
    assert list(letter) == ["context", "version", "timestamp", "DDBStreamBatchInfo"]
    assert (letter["DDBStreamBatchInfo"]["batchSize"], letter["DDBStreamBatchInfo"]["streamArn"]) == (2, pipes.stream)


@conforms("PIPE-PARAM-8", "documented")
def test_pipe_param_8_what_is_given_up_goes_to_a_topic(pipes):
    queue = pipes.queue("dead")
    source = {"MaximumRetryAttempts": 0, "DeadLetterConfig": {"Arn": pipes.topic(queue)}}
    pipes.deliver(pipes.function(SCRIPTED), {"a": "raise"}, source=source)
    (message,) = pipes.messages(queue)
    assert json.loads(message["Message"])["context"]["condition"] == "RetryAttemptsExhausted"


def test_a_dead_letter_that_cannot_be_delivered_is_lost_and_the_pipe_goes_on(pipes):
    nowhere = "arn:aws:sqs:us-east-1:111122223333:nowhere"
    source = {"MaximumRetryAttempts": 0, "BatchSize": 1, "DeadLetterConfig": {"Arn": nowhere}}
    pipes.deliver(pipes.function(SCRIPTED), {"a": "raise", "b": None}, source=source)
    assert pipes.executions() == [("a", "error"), ("b", "success")]
    assert pipes.given_up()[0]["location"] is None


@conforms("PIPE-PARAM-6", "deduced")
def test_pipe_param_6_an_event_that_became_too_old_is_given_up_without_an_execution(pipes):
    dead = pipes.queue("dead")
    source = {"MaximumRecordAgeInSeconds": 60, "DeadLetterConfig": {"Arn": dead}}
    function = pipes.function(SCRIPTED)
    pipes.create(function, source=source, DesiredState="STOPPED")
    pipes.world.put("a")
    pipes.control.advance_clock(61)
    pipes.start()
    pipes.settle()
    assert pipes.executions() == []
    assert [letter["context"]["condition"] for letter in pipes.messages(dead)] == ["RecordAgeExceeded"]


@conforms("PIPE-FAIL-1", "documented")
@pytest.mark.parametrize(("fault", "outcome"), [("fail", "service error"), ("throttle", "throttled")])
def test_pipe_fail_1_failures_that_are_not_the_customers_cost_no_retry(pipes, fault, outcome):
    queue = pipes.queue()
    getattr(pipes.control, fault)("sqs:SendMessageBatch", times=2)
    pipes.deliver(queue, "a", source={"MaximumRetryAttempts": 0})
    assert pipes.executions() == [("a", outcome), ("a", outcome), ("a", "success")]
    assert ids(pipes.messages(queue)) == ["a"]


@conforms("PIPE-PARAM-5", "documented")
def test_pipe_param_5_a_target_that_does_not_exist_costs_retries(pipes):
    pipes.deliver("arn:aws:sqs:us-east-1:111122223333:nowhere", "a", source={"MaximumRetryAttempts": 1})
    assert pipes.executions() == [("a", "error"), ("a", "error")]


def test_a_template_that_makes_no_json_fails_the_batch(pipes):
    template = {"InputTemplate": '{"broken": <$.eventID>'}
    pipes.deliver(pipes.function(SCRIPTED), "a", source={"MaximumRetryAttempts": 0}, TargetParameters=template)
    assert pipes.executions() == [("a", "error")]


@honours("pipes:StopPipe", "Name")
@honours("pipes:StartPipe", "Name")
def test_a_stopped_pipe_goes_on_where_it_stood(pipes):
    queue = pipes.queue()
    pipes.deliver(queue, "a")
    pipes.stop()
    pipes.world.put("b")
    assert pipes.control.pipe(pipes.name).idle
    pipes.start()
    pipes.settle()
    assert ids(pipes.messages(queue)) == ["a", "b"]


def test_an_update_takes_effect_from_the_same_position(pipes):
    queue, other = pipes.queue(), pipes.queue("other")
    pipes.deliver(queue, "a")
    pipes.update(Target=other)
    pipes.world.put("b")
    pipes.settle()
    assert (ids(pipes.messages(queue)), ids(pipes.messages(other))) == (["a"], ["b"])


def test_an_event_that_blocks_its_pipe_is_left_behind_by_an_update(pipes):
    function = pipes.function(SCRIPTED)
    pipes.deliver(function, {"a": "raise"}, settle=False)
    pipes.world.wait_until(lambda: ("a", "error") in pipes.executions())
    pipes.update(SourceParameters={"DynamoDBStreamParameters": {"MaximumRetryAttempts": 0}})
    pipes.settle()
    assert [entry["condition"] for entry in pipes.given_up()] == ["RetryAttemptsExhausted"]


def test_pipes_do_not_wait_for_each_other(pipes, tmp_path):
    gate = tmp_path / "gate"
    waits = f"""
import pathlib, time

def handler(event, context):
    while not pathlib.Path({str(gate)!r}).exists():
        time.sleep(0.01)
"""
    slow = f"{pipes.name}-slow"
    queue = pipes.queue()
    pipes.create(pipes.function(waits), Name=slow)
    pipes.create(queue)
    pipes.world.put("a")
    pipes.world.wait_until(lambda: pipes.executions() == [("a", "success")])
    assert not pipes.control.pipe(slow).idle
    gate.touch()
    pipes.world.wait_until(lambda: pipes.control.pipe(slow).idle)
    pipes.client("pipes").delete_pipe(Name=slow)
