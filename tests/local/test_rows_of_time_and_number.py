"""Rows of docs/aws-semantics.md about waits, concurrency and limits, shown on the endpoint as in simulation."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance

DAY = 24 * 60 * 60

#: Notes when it begins and ends, and takes a while in between.
SLOW = """
import time

def handler(event, context):
    print("BEGAN", time.time())
    time.sleep(0.3)
    print("ENDED", time.time())
"""

#: Fails for every event.
FAILS = "def handler(event, context):\n    raise ValueError('poison')\n"


def at_once(world: Any, function: str) -> int:
    """Return how many invocations of a function ran at the same time, at most."""
    marks = [line.split() for line in world.log(function) if line.startswith(("BEGAN", "ENDED"))]
    running = most = 0
    for _, step in sorted((float(at), 1 if mark == "BEGAN" else -1) for mark, at in marks):
        running += step
        most = max(most, running)
    return most


@conforms(
    "ESM-BATCH-1", "documented", partly="polling four times a second: a record is read at once when it can be seen"
)
@conforms("ESM-ORDER-1", "documented")
@conforms("ESM-ORDER-3", "deduced")
@pytest.mark.parametrize(("factor", "most"), [(1, 1), (3, 3)])
def test_esm_order_1_a_shard_has_as_many_invocations_at_a_time_as_its_factor(world, factor, most):
    stream = world.table()
    world.function(SLOW)
    mapping = world.mapping(stream, Enabled=False, BatchSize=1, ParallelizationFactor=factor)
    names = [str(number) for number in range(8)]
    world.put(*names)
    world.put("0")  # changes nothing, so that there is no second record of it
    world.client("dynamodb").put_item(TableName=world.name, Item={"id": {"S": "0"}, "n": {"N": "1"}})
    world.enable(mapping)
    world.settle(mapping)
    delivered = [ids[0] for ids, _ in world.invocations(mapping)]
    assert sorted(delivered) == sorted([*names, "0"])
    if factor == 1:
        assert delivered == [*names, "0"]
    assert min(2, most) <= at_once(world, world.name) <= most


@conforms("ESM-BATCH-3", "documented")
def test_esm_batch_3_without_a_window_a_batch_is_what_there_is(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, BatchSize=100)
    for each in "ab":
        world.put(each)
        world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "success"), (["b"], "success")]


@conforms("ESM-BATCH-4", "documented")
def test_esm_batch_4_a_later_record_waits_for_the_end_of_a_window_of_its_own(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, BatchSize=2, MaximumBatchingWindowInSeconds=200)
    world.put("a", "b")
    world.wait_until(lambda: len(world.invocations(mapping)) == 1)
    world.put("c")
    world.wait_until(lambda: world.control.mapping(mapping).unfinished == 1)
    world.control.advance_clock(100)
    assert len(world.invocations(mapping)) == 1
    world.control.advance_clock(110)
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a", "b"], "success"), (["c"], "success")]


@conforms("ESM-FAIL-9", "documented")
def test_esm_fail_9_under_the_defaults_a_poison_record_blocks_its_shard_until_the_stream_forgets_it(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, BatchSize=1)
    world.put("a", do="raise")
    world.wait_until(lambda: len(world.invocations(mapping)) >= 2)
    world.control.advance_clock(DAY - 3600)
    world.put("b")
    world.wait_until(lambda: world.control.mapping(mapping).unfinished == 2)
    assert {tuple(ids) for ids, _ in world.invocations(mapping)} == {("a",)}
    world.control.advance_clock(3700)
    world.settle(mapping)
    assert world.invocations(mapping)[-1] == (["b"], "success")
    (forgotten,) = world.given_up(mapping)
    assert (forgotten["condition"], forgotten["location"]) == ("retention", None)


@conforms("ESM-FAIL-10", "recorded")
def test_esm_fail_10_the_wait_between_retries_doubles_from_a_quarter_of_a_second(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, MaximumRetryAttempts=3)
    world.put("a", do="raise")
    world.settle(mapping)
    began = [entry["at"] for entry in world.control.history(mapping) if entry["kind"] == "invocation"]
    waits = [later - earlier for earlier, later in itertools.pairwise(began)]
    # A machine under load takes longer, and never less.
    assert [wait >= shortest for wait, shortest in zip(waits, (0.25, 0.5, 1), strict=True)] == [True] * 3


@conforms("ESM-METRIC-5", "recorded")
def test_esm_metric_5_events_count_as_invoked_and_failed_in_every_throttled_attempt(world):
    stream = world.table()
    world.function()
    client = world.client("lambda")
    client.put_function_concurrency(FunctionName=world.name, ReservedConcurrentExecutions=0)
    mapping = world.mapping(stream, MetricsConfig={"Metrics": ["EventCount"]})
    world.put("a")
    world.wait_until(lambda: len(world.invocations(mapping)) >= 2)
    client.delete_function_concurrency(FunctionName=world.name)
    world.settle(mapping)
    outcomes = [outcome for _, outcome in world.invocations(mapping)]
    assert outcomes == ["throttled"] * (len(outcomes) - 1) + ["success"]
    counted = [
        world.control.metric_sum(f"{name}EventCount", EventSourceMappingUUID=mapping)
        for name in ("Invoked", "FailedInvoke")
    ]
    assert counted == [len(outcomes), len(outcomes) - 1]


@conforms(
    "ESM-METRIC-4", "documented", partly="the records are counted as ESM-METRIC-2 says, where the recording had no data"
)
def test_esm_metric_4_records_given_up_without_a_destination_are_dropped(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, MaximumRetryAttempts=0, MetricsConfig={"Metrics": ["EventCount"]})
    world.put("a", do="raise")
    world.settle(mapping)
    assert world.control.metric_sum("DroppedEventCount", EventSourceMappingUUID=mapping) == 1


@conforms("ESM-SQS-4", "deduced")
def test_esm_sqs_4_a_batch_never_holds_a_message_twice(world, queues):
    world.function("def handler(event, context): pass")
    url = queues.queue(VisibilityTimeout="30")
    mapping = queues.mapping(url, BatchSize=100, MaximumBatchingWindowInSeconds=60)
    queues.send(url, "first")
    world.wait_until(lambda: queues.counts(url) == (0, 1))
    # It is visible again, and received again, while the window is open.
    world.control.advance_clock(35)
    queues.send(url, "second")
    world.wait_until(lambda: queues.counts(url) == (0, 2))
    world.control.advance_clock(35)
    world.wait_until(lambda: queues.batches(mapping))
    held = [entry["identifiers"] for entry in world.control.history(mapping) if entry["kind"] == "invocation"]
    assert all(len(each) == len(set(each)) for each in held)
    assert len({each for batch in held for each in batch}) == 2


@conforms("ESM-SQS-5", "documented", partly="it stays at five batches, and does not scale with the load")
def test_esm_sqs_5_five_batches_run_at_once(world, queues):
    world.function(SLOW)
    url = queues.queue()
    queues.send(url, *(str(number) for number in range(12)))
    world.settle(queues.mapping(url, BatchSize=1))
    assert 1 < at_once(world, world.name) <= 5


@conforms("ESM-SQS-8", "documented", refused=True)
def test_esm_sqs_8_provisioned_mode_is_refused_by_name(world, queues):
    world.function("def handler(event, context): pass")
    with pytest.raises(ClientError, match="ProvisionedPollerConfig"):
        queues.mapping(queues.queue(), ProvisionedPollerConfig={"MinimumPollers": 2})


@conforms("PIPE-SQS-6", "documented", partly="five batches run at once, and no more with the time")
def test_pipe_sqs_6_five_batches_of_a_pipe_run_at_once(world, pipes, queues):
    url = queues.queue()
    queues.send(url, *(str(number) for number in range(12)))
    target = pipes.function(SLOW)
    pipes.create(target, Source=queues.arn(url), SourceParameters={"SqsQueueParameters": {"BatchSize": 1}})
    pipes.reach("RUNNING")
    pipes.settle()
    assert 1 < at_once(world, f"{world.name}-function") <= 5


@conforms("PIPE-OPS-4", "documented", partly="the quotas of an account")
@pytest.mark.parametrize(("factor", "most"), [(1, 1), (3, 3)])
def test_pipe_ops_4_a_pipe_has_as_many_executions_at_a_time_as_its_factor(world, pipes, factor, most):
    target = pipes.function(SLOW)
    pipes.deliver(target, "abcdefgh", source={"BatchSize": 1, "ParallelizationFactor": factor})
    assert min(2, most) <= at_once(world, f"{world.name}-function") <= most


@conforms("PIPE-CREATE-2", "documented")
@pytest.mark.parametrize(("age", "letters"), [({}, 0), ({"MaximumRecordAgeInSeconds": 82_800}, 1)])
def test_pipe_create_2_only_with_an_age_below_the_retention_a_blocked_record_becomes_a_dead_letter(
    world, pipes, age, letters
):
    dead = pipes.queue("dead")
    source = {"BatchSize": 1, "DeadLetterConfig": {"Arn": dead}, **age}
    pipes.deliver(pipes.function(FAILS), "a", settle=False, source=source)
    world.wait_until(lambda: pipes.executions())
    world.control.advance_clock(82_900)
    if age:
        world.wait_until(lambda: pipes.given_up())
    world.control.advance_clock(DAY - 82_900 + 100)
    pipes.settle()
    assert len(pipes.messages(dead)) == letters


@conforms("PIPE-CREATE-5", "documented")
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"Name": "n" * 65}, "length less than or equal to 64"),
        ({"Name": "two words"}, "regular expression pattern"),
        ({"TargetParameters": {"InputTemplate": "x" * 8193}}, "length less than or equal to 8192"),
        ({"filters": [{"eventName": ["INSERT"]}] * 6}, "length less than or equal to 5"),
        ({"filters": [{"eventName": ["x" * 4096]}]}, "length less than or equal to 4096"),
    ],
)
def test_pipe_create_5_names_templates_and_filters_have_a_length(pipes, settings, says):
    with pytest.raises(ClientError, match=says):
        pipes.create(pipes.queue(), **settings)


@conforms("PIPE-TARGET-1", "documented")
def test_pipe_target_1_a_batch_is_no_larger_than_the_target_takes(pipes):
    with pytest.raises(ClientError, match="is more than the 10 events"):
        pipes.create(pipes.queue(), source={"BatchSize": 11})
    assert pipes.create(pipes.queue(), source={"BatchSize": 10})["DesiredState"] == "RUNNING"


@conforms("PIPE-TARGET-1", "documented", refused=True)
@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("kinesis:us-east-1:111122223333:stream/orders", "a Kinesis stream"),
        ("logs:us-east-1:111122223333:log-group:orders", "a CloudWatch Logs group"),
        ("batch:us-east-1:111122223333:job-queue/orders", "a Batch job queue"),
    ],
)
def test_pipe_target_1_a_target_that_is_not_simulated_is_refused_by_name(pipes, target, name):
    with pytest.raises(ClientError, match=f"{name} is not simulated"):
        pipes.create(f"arn:aws:{target}")


@conforms("PIPE-KIN-6", "documented", refused=True)
def test_pipe_kin_6_a_stream_consumer_is_no_source(pipes):
    consumer = "arn:aws:kinesis:us-east-1:111122223333:stream/orders/consumer/reader:1"
    parameters = {"KinesisStreamParameters": {"StartingPosition": "LATEST"}}
    with pytest.raises(ClientError) as refused:
        pipes.create(pipes.queue(), Source=consumer, SourceParameters=parameters)
    assert refused.value.response["Error"]["Code"] == "NotSimulated"
    assert json.dumps(consumer)[1:-1] in refused.value.response["Error"]["Message"]
