"""Pipes that read an SQS queue."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from handlers.cdc.testing import record

conforms = pytest.mark.conformance

#: Does to each event what its body says, and prints which it was.
SCRIPTED = """
import json

def handler(events, context):
    print("got", [event["body"] for event in events])
    failed = []
    for event in events:
        do = event["body"].partition(" ")[2]
        if do == "raise":
            raise ValueError("poison")
        if do == "fail" or do == "once" and event["attributes"]["ApproximateReceiveCount"] == "1":
            failed.append({"itemIdentifier": event["messageId"]})
        if do == "fail wrongly":
            failed.append({"itemIdentifier": event["receiptHandle"]})
    return {"batchItemFailures": failed}
"""

#: A consumer that cannot do the change of "b", and tells of the others.
CONSUMER = """
from handlers.cdc import Change, consumer

@consumer
def handler(change: Change) -> None:
    if change.keys["id"] == "b":
        raise ValueError("poison")
    print("did", change.keys["id"])
"""

#: Seconds for which a received message is hidden, longer than any of these tests.
VISIBILITY = 900


class Queue:
    """A queue named after the test, and the pipe that reads it."""

    def __init__(self, pipes):
        self.pipes = pipes
        self.sqs = pipes.client("sqs")
        self.arn = ""

    def make(self, name="source", **attributes):
        self.arn = self.pipes.queue(name, **{"VisibilityTimeout": str(VISIBILITY), **attributes})
        return self

    @property
    def url(self):
        return self.sqs.get_queue_url(QueueName=self.arn.rpartition(":")[2])["QueueUrl"]

    def send(self, *bodies, group=None, **more):
        order = {} if group is None else {"MessageGroupId": group}
        return [
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **order, **more)["MessageId"] for body in bodies
        ]

    def create(self, target, *, source=None, filters=None, **settings):
        parameters = {} if source is None else {"SqsQueueParameters": source}
        if filters is not None:
            parameters["FilterCriteria"] = {"Filters": [{"Pattern": json.dumps(each)} for each in filters]}
        return self.pipes.create(target, Source=self.arn, SourceParameters=parameters, **settings)

    def deliver(self, target, *bodies, settle=True, **pipe):
        """Send messages, and then let a pipe read them, all at once."""
        self.create(target, DesiredState="STOPPED", **pipe)
        sent = self.send(*bodies)
        self.pipes.start()
        if settle:
            self.pipes.settle()
        return sent

    def executions(self):
        return [
            (len(entry["identifiers"]), entry["outcome"])
            for entry in self.pipes.control.pipe_history(self.pipes.name)
            if entry["kind"] == "invocation"
        ]

    def failed(self, executions):
        """Wait until so many executions are over, and let the visibility timeout of what they left pass."""
        self.pipes.world.wait_until(lambda: len(self.executions()) == executions)
        self.pipes.control.advance_clock(VISIBILITY)

    def seen(self):
        lines = [line.strip() for line in self.pipes.world.log(f"{self.pipes.name}-function")]
        return [line.removeprefix("got ") for line in lines if line.startswith("got ")]


@pytest.fixture
def queue(pipes):
    return Queue(pipes).make()


@conforms("PIPE-SQS-1", "recorded")
def test_pipe_sqs_1_a_pipe_from_a_queue_needs_no_parameters_and_is_read_back_with_awss_defaults(pipes, queue):
    pipes.client("pipes").create_pipe(Name=pipes.name, RoleArn=pipes.role, Source=queue.arn, Target=pipes.queue())
    pipes.reach("RUNNING")
    described = pipes.client("pipes").describe_pipe(Name=pipes.name)
    assert described["SourceParameters"] == {
        "SqsQueueParameters": {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0}
    }
    pipes.update(SourceParameters={"SqsQueueParameters": {"BatchSize": 3}, "FilterCriteria": {"Filters": []}})
    described = pipes.client("pipes").describe_pipe(Name=pipes.name)
    assert described["SourceParameters"] == {
        "SqsQueueParameters": {"BatchSize": 3, "MaximumBatchingWindowInSeconds": 0},
        "FilterCriteria": {"Filters": []},
    }


@conforms("PIPE-SQS-2", "documented")
def test_pipe_sqs_2_events_are_a_list_of_messages_in_lambdas_shape_and_done_messages_are_deleted(pipes, queue):
    target = pipes.queue()
    queue.create(target)
    pipes.reach("RUNNING")
    (sent,) = queue.send("hello", MessageAttributes={"kind": {"DataType": "String", "StringValue": "x"}})
    pipes.settle()
    (event,) = pipes.messages(target)
    assert event.pop("receiptHandle")
    assert event.pop("md5OfBody") == "5d41402abc4b2a76b9719d911017c592"
    # As in a mapping's event; AWS's example of a pipe has no message with attributes.
    assert event.pop("md5OfMessageAttributes") == "57dd03eb020678b56fd5c31e88f4cff1"
    assert event.pop("attributes")["ApproximateReceiveCount"] == "1"
    assert event == {
        "messageId": sent,
        "body": "hello",
        "messageAttributes": {
            "kind": {"stringValue": "x", "stringListValues": [], "binaryListValues": [], "dataType": "String"}
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": "us-east-1",
    }
    held = queue.sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])["Attributes"]
    assert (held["ApproximateNumberOfMessages"], held["ApproximateNumberOfMessagesNotVisible"]) == ("0", "0")


@conforms("PIPE-SQS-3", "documented")
def test_pipe_sqs_3_only_what_an_answer_names_comes_back_after_the_visibility_timeout(pipes, queue):
    queue.deliver(pipes.function(SCRIPTED), "a", "b once", "c", settle=False)
    queue.failed(1)
    pipes.settle()
    assert queue.executions() == [(3, "partial"), (1, "success")]
    assert queue.seen()[1] == "['b once']"
    attempts = [entry["attempt"] for entry in pipes.control.pipe_history(pipes.name)]
    assert attempts == [1, 2]


@conforms("PIPE-SQS-3", "documented")
@pytest.mark.parametrize("do", ["raise", "fail wrongly"])
def test_pipe_sqs_3_a_failure_that_names_no_message_fails_the_batch_and_the_queues_redrive_policy_decides(pipes, do):
    dead = pipes.queue("dead")
    policy = {"deadLetterTargetArn": dead, "maxReceiveCount": 2}
    queue = Queue(pipes).make(RedrivePolicy=json.dumps(policy))
    queue.deliver(pipes.function(SCRIPTED), "a", f"b {do}", settle=False)
    queue.failed(1)
    queue.failed(2)
    pipes.settle()
    assert queue.executions() == [(2, "error"), (2, "error")]
    assert sorted(message["Body"] for message in pipes.received(dead)) == ["a", f"b {do}"]


@conforms("PIPE-SQS-3", "documented")
def test_pipe_sqs_3_only_the_entries_that_a_batch_api_refused_come_back(pipes, queue):
    target = pipes.queue()
    bodies = ['{"text": "one"}', '{"text": "\\u0001"}', '{"text": "three"}']
    queue.deliver(target, *bodies, settle=False, TargetParameters={"InputTemplate": '"<$.body.text>"'})
    queue.failed(1)
    pipes.world.wait_until(lambda: len(queue.executions()) == 2)
    assert queue.executions() == [(3, "partial"), (1, "error")]
    assert sorted(pipes.messages(target)) == ["one", "three"]


def test_a_throttled_target_leaves_the_messages_for_their_visibility_timeout(pipes, queue):
    pipes.control.throttle("lambda:Invoke", times=1, containing=queue.arn)
    queue.deliver(pipes.function(SCRIPTED), "a", settle=False)
    queue.failed(1)
    pipes.settle()
    assert queue.executions() == [(1, "throttled"), (1, "success")]


@conforms("PIPE-SQS-4", "documented")
def test_pipe_sqs_4_the_messages_of_a_group_come_in_order_and_groups_do_not_wait_for_each_other(pipes):
    queue = Queue(pipes).make("source.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    queue.create(pipes.function(SCRIPTED), source={"BatchSize": 1}, DesiredState="STOPPED")
    queue.send("a1 once", "a2", "a3", group="a")
    queue.send("b1", "b2", group="b")
    pipes.start()
    pipes.world.wait_until(lambda: queue.executions().count((1, "success")) == 2)
    queue.failed(3)
    pipes.settle()
    seen = queue.seen()
    assert [each for each in seen if "a" in each] == ["['a1 once']", "['a1 once']", "['a2']", "['a3']"]
    assert [each for each in seen if "b" in each] == ["['b1']", "['b2']"]


def test_a_window_gathers_messages_into_one_batch(pipes, queue):
    queue.create(pipes.function(SCRIPTED), source={"BatchSize": 20, "MaximumBatchingWindowInSeconds": 300})
    pipes.reach("RUNNING")
    queue.send("a", "b")
    pipes.world.wait_until(lambda: pipes.control.pipe(pipes.name).unfinished == 2)
    assert queue.executions() == []
    pipes.control.advance_clock(300)
    pipes.settle()
    assert queue.executions() == [(2, "success")]


def test_a_stopped_pipe_leaves_messages_in_the_queue(pipes, queue):
    queue.create(pipes.function(SCRIPTED))
    pipes.reach("RUNNING")
    queue.send("a")
    pipes.settle()
    pipes.stop()
    queue.send("b")
    assert queue.executions() == [(1, "success")]
    pipes.start()
    pipes.settle()
    assert queue.seen() == ["['a']", "['b']"]


@conforms("PIPE-SQS-5", "documented")
def test_pipe_sqs_5_what_no_filter_matches_is_deleted(pipes, queue):
    target = pipes.queue()
    filters = [{"body": {"plan": ["pro"]}}]
    bodies = ['{"id": "a", "plan": "free"}', '{"id": "b", "plan": "pro"}', "pro"]
    queue.deliver(target, *bodies, filters=filters)
    assert [json.loads(event["body"])["id"] for event in pipes.messages(target)] == ["b"]


@conforms("PIPE-TARGET-4", "documented")
def test_pipe_target_4_a_bus_is_told_that_the_event_is_from_a_queue(pipes, queue):
    target = pipes.queue()
    queue.deliver(pipes.bus(target), "hello")
    (event,) = pipes.messages(target)
    assert event["detail-type"] == "Event from aws:sqs"
    assert event["detail"]["body"] == "hello"


@conforms("PIPE-SHAPE-6", "documented")
def test_pipe_shape_6_a_path_leads_into_a_body_that_is_json(pipes, queue):
    target = pipes.queue()
    template = '{"user": <$.body.user>, "body": <$.body>, "raw": <aws.pipes.event>}'
    queue.deliver(target, '{"user": "u1"}', "text", TargetParameters={"InputTemplate": template})
    first, second = sorted(pipes.messages(target), key=lambda each: each["user"], reverse=True)
    assert (first["user"], first["body"], first["raw"]["body"]) == ("u1", {"user": "u1"}, '{"user": "u1"}')
    assert (second["user"], second["body"]) == ("", "text")


@conforms("PIPE-SHAPE-6", "documented")
def test_pipe_shape_6_an_enrichment_is_asked_with_what_its_template_makes_of_the_body(pipes, queue):
    target = pipes.queue()
    enrichment = pipes.function("def handler(events, context):\n    return [{'twice': 2 * each} for each in events]\n")
    queue.deliver(
        target,
        '{"user": "u1"}',
        Enrichment=enrichment,
        EnrichmentParameters={"InputTemplate": "<$.body.user>"},
        TargetParameters={"InputTemplate": '{"made": <$.twice>}'},
    )
    assert pipes.messages(target) == [{"made": "u1u1"}]


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("source", {"SqsQueueParameters": {"BatchSize": 10_001}}, "Member must have value less than or equal to 10000"),
        (
            "source",
            {"SqsQueueParameters": {"MaximumBatchingWindowInSeconds": 301}},
            "Member must have value less than or equal to 300",
        ),
        ("source", {"SqsQueueParameters": {"BatchSize": 11}}, "Maximum batch window in seconds must be greater than 0"),
        (
            "source",
            {"SqsQueueParameters": {"DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:111122223333:dead"}}},
            "SourceParameters.SqsQueueParameters.DeadLetterConfig is not a parameter of CreatePipe",
        ),
        (
            "source",
            {"KinesisStreamParameters": {"StartingPosition": "LATEST"}},
            "It is not for an SQS queue.",
        ),
        (
            "source.fifo",
            {"SqsQueueParameters": {"MaximumBatchingWindowInSeconds": 1}},
            "Batching window is not supported for FIFO queues",
        ),
        ("source.fifo", {"SqsQueueParameters": {"BatchSize": 11}}, "Batch size must be at most 10 for FIFO queues"),
    ],
)
def test_what_aws_refuses_of_a_pipe_from_a_queue_is_refused(pipes, name, parameters, says):
    queue = Queue(pipes).make(name, **({"FifoQueue": "true"} if name.endswith(".fifo") else {}))
    target = pipes.function(SCRIPTED)
    asked = {"RoleArn": pipes.role, "Source": queue.arn, "Target": target, "SourceParameters": parameters}
    status, answer = pipes.world.signed("POST", f"/v1/pipes/{pipes.name}", asked, service="pipes")
    assert (status, answer["__type"]) == (400, "ValidationException")
    assert says in answer["message"]


def test_a_batch_larger_than_the_target_takes_is_refused(pipes, queue):
    source = {"BatchSize": 11, "MaximumBatchingWindowInSeconds": 1}
    with pytest.raises(ClientError, match="The batch size 11 is more than the 10 events"):
        queue.create(pipes.queue(), source=source)


def test_a_queue_that_does_not_exist_is_refused(pipes):
    queue = Queue(pipes)
    queue.arn = "arn:aws:sqs:us-east-1:111122223333:nobody"
    with pytest.raises(ClientError, match=f"Source {queue.arn} not found"):
        queue.create(pipes.queue())


def test_a_consumer_reads_changes_at_the_end_of_a_pipe_from_a_queue(pipes, queue):
    changes = [json.dumps(record(new={"id": each})) for each in "abc"]
    function = pipes.function(CONSUMER, runtime=True)
    queue.deliver(function, *changes, settle=False)
    pipes.world.wait_until(lambda: queue.executions() == [(3, "partial")])
    lines = [line for line in pipes.world.log(f"{pipes.name}-function") if line.startswith("did ")]
    assert sorted(lines) == ["did a", "did c"]
