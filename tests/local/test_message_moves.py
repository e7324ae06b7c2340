"""Message move tasks: dead letters go back to the queue that they came from, or to another one."""

from __future__ import annotations

import json
import time

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local.world import wait_until

conforms = pytest.mark.conformance
honours = pytest.mark.honours

#: Messages per second that keep a task of many messages running for as long as its test lasts.
SLOWLY = 1
MANY = 100


class Moves:
    """Queues of one test with their dead letters, and the tasks that move them."""

    def __init__(self, queues):
        self.queues = queues
        self.sqs = queues.sqs

    def with_dead_letters(self, *bodies, **attributes) -> tuple[str, str]:
        """Make a queue and its dead-letter queue, which holds messages that came from it; the URLs of both."""
        url, dead = self.queues.with_dead_letters(receives=1, **attributes)
        self.die(url, *bodies)
        assert self.visible(dead) == len(bodies)
        return url, dead

    def die(self, url, *bodies) -> None:
        """Send messages, and receive them once more than the queue lets them be."""
        self.queues.send(url, *bodies, group="group" if url.endswith(".fifo") else None)
        for _ in range(len(bodies) // 10 + 2):
            self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)

    def visible(self, url) -> int:
        name = "ApproximateNumberOfMessages"
        return int(self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])

    def start(self, dead, **arguments) -> str:
        return self.sqs.start_message_move_task(SourceArn=self.queues.arn(dead), **arguments)["TaskHandle"]

    def latest(self, dead) -> dict:
        (task,) = self.sqs.list_message_move_tasks(SourceArn=self.queues.arn(dead))["Results"]
        return task

    def ended(self, dead) -> dict:
        """Wait until the latest task has ended; its entry."""
        wait_until(lambda: self.latest(dead)["Status"] not in ("RUNNING", "CANCELLING"))
        return self.latest(dead)


@pytest.fixture
def moves(queues) -> Moves:
    return Moves(queues)


def refusal(call, **arguments) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    answer = refused.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


@conforms("SQS-5", "recorded")
@honours("sqs:StartMessageMoveTask", "SourceArn")
@honours("sqs:ListMessageMoveTasks", "SourceArn")
def test_sqs_5_dead_letters_go_back_to_the_queue_that_they_came_from(moves):
    url, dead = moves.with_dead_letters("one", "two")
    before = int(time.time() * 1000) - 1
    moves.start(dead)
    task = moves.ended(dead)
    assert task.pop("StartedTimestamp") >= before
    assert task == {
        "Status": "COMPLETED",
        "SourceArn": moves.queues.arn(dead),
        "ApproximateNumberOfMessagesMoved": 2,
        "ApproximateNumberOfMessagesToMove": 2,
    }
    assert sorted(moves.queues.bodies(url)) == ["one", "two"]
    assert moves.visible(dead) == 0


def test_each_dead_letter_goes_back_to_its_own_queue(moves):
    url, dead = moves.with_dead_letters("one")
    policy = {"deadLetterTargetArn": moves.queues.arn(dead), "maxReceiveCount": 1}
    other = moves.queues.queue(f"{moves.queues.world.name}-other", RedrivePolicy=json.dumps(policy))
    moves.die(other, "two")
    moves.start(dead)
    assert moves.ended(dead)["ApproximateNumberOfMessagesMoved"] == 2
    assert (moves.queues.bodies(url), moves.queues.bodies(other)) == (["one"], ["two"])


@honours("sqs:StartMessageMoveTask", "DestinationArn")
def test_dead_letters_go_to_the_queue_that_is_named_with_their_attributes(moves):
    _, dead = moves.with_dead_letters()
    kind = {"kind": {"DataType": "String", "StringValue": "order"}}
    moves.sqs.send_message(QueueUrl=dead, MessageBody="sent to it by hand", MessageAttributes=kind)
    other = moves.queues.queue(f"{moves.queues.world.name}-other")
    moves.start(dead, DestinationArn=moves.queues.arn(other))
    assert moves.ended(dead)["DestinationArn"] == moves.queues.arn(other)
    (message,) = moves.sqs.receive_message(QueueUrl=other, MessageAttributeNames=["All"])["Messages"]
    assert (message["Body"], message["MessageAttributes"]) == ("sent to it by hand", kind)


@conforms("SQS-11", "documented", partly="in the dead-letter queue a message keeps its deduplication id")
def test_sqs_11_a_group_keeps_its_order_and_no_message_counts_as_a_repeat(moves):
    url, dead = moves.with_dead_letters(*"abcde", FifoQueue="true")
    moves.start(dead)
    assert moves.ended(dead)["Status"] == "COMPLETED"
    received = moves.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    assert [each["Body"] for each in received] == [*"abcde"]
    assert {each["Attributes"]["MessageGroupId"] for each in received} == {"group"}


@honours("sqs:StartMessageMoveTask", "MaxNumberOfMessagesPerSecond")
def test_messages_are_moved_no_faster_than_asked(moves):
    url, dead = moves.with_dead_letters("one", "two", "three")
    started = time.time()
    moves.start(dead, MaxNumberOfMessagesPerSecond=2)
    task = moves.ended(dead)
    assert time.time() - started >= 1.0
    assert (task["MaxNumberOfMessagesPerSecond"], moves.visible(url)) == (2, 3)


def test_a_slow_task_goes_on_when_the_clock_is_moved(moves):
    _, dead = moves.with_dead_letters(*map(str, range(MANY)))
    moves.start(dead, MaxNumberOfMessagesPerSecond=SLOWLY)
    moves.queues.world.control.advance_clock(MANY)
    assert moves.ended(dead)["ApproximateNumberOfMessagesMoved"] == MANY


@conforms("SQS-12", "recorded")
@honours("sqs:CancelMessageMoveTask", "TaskHandle")
@honours("sqs:ListMessageMoveTasks", "MaxResults")
def test_sqs_12_a_running_task_is_the_only_one_and_can_be_cancelled(moves):
    url, dead = moves.with_dead_letters(*map(str, range(MANY)))
    handle = moves.start(dead, MaxNumberOfMessagesPerSecond=SLOWLY)
    wait_until(lambda: moves.visible(url))
    running = moves.latest(dead)
    assert (running["Status"], running["TaskHandle"]) == ("RUNNING", handle)
    source = moves.queues.arn(dead)
    assert refusal(moves.sqs.start_message_move_task, SourceArn=source) == (
        "InvalidParameterValue",
        "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
        400,
    )
    assert moves.sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"] >= 0
    cancelled = moves.ended(dead)
    assert (cancelled["Status"], "TaskHandle" in cancelled) == ("CANCELLED", False)
    assert moves.visible(url) == cancelled["ApproximateNumberOfMessagesMoved"] < MANY
    assert moves.visible(dead) == MANY - moves.visible(url)
    code, message, _ = refusal(moves.sqs.cancel_message_move_task, TaskHandle=handle)
    assert (code, message) == ("UnsupportedOperation", "A task is cancelled while it is RUNNING; it is CANCELLED.")
    moves.start(dead)
    moves.ended(dead)
    tasks = moves.sqs.list_message_move_tasks(SourceArn=source, MaxResults=10)["Results"]
    assert [each["Status"] for each in tasks] == ["COMPLETED", "CANCELLED"]


@conforms("SQS-13", "recorded")
def test_sqs_13_a_task_fails_when_its_queue_goes_and_the_rest_stays(moves):
    _, dead = moves.with_dead_letters(*map(str, range(MANY)))
    other = moves.queues.queue(f"{moves.queues.world.name}-other")
    moves.start(dead, DestinationArn=moves.queues.arn(other), MaxNumberOfMessagesPerSecond=SLOWLY)
    wait_until(lambda: moves.visible(other))
    moves.sqs.delete_queue(QueueUrl=other)
    task = moves.ended(dead)
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "AWS.SimpleQueueService.NonExistentQueue")
    assert moves.visible(dead) == MANY - task["ApproximateNumberOfMessagesMoved"] > 0


def test_a_message_that_came_from_no_queue_fails_the_task_that_names_no_destination(moves):
    _, dead = moves.with_dead_letters()
    moves.sqs.send_message(QueueUrl=dead, MessageBody="sent to it by hand")
    moves.start(dead)
    task = moves.ended(dead)
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert moves.visible(dead) == 1


@conforms("REPLAY-1", "recorded")
def test_replay_1_only_the_dead_letter_queue_of_a_queue_is_a_source(moves):
    lone = moves.queues.queue()
    assert refusal(moves.sqs.start_message_move_task, SourceArn=moves.queues.arn(lone)) == (
        "InvalidParameterValue",
        "Source queue must be configured as a Dead Letter Queue.",
        400,
    )


def test_a_task_is_refused_whose_queues_do_not_fit(moves):
    _, dead = moves.with_dead_letters()
    source = moves.queues.arn(dead)
    for parameter, arguments in (
        ("SourceArn", {"SourceArn": f"{source}-gone"}),
        ("DestinationArn", {"SourceArn": source, "DestinationArn": f"{source}-gone"}),
    ):
        assert refusal(moves.sqs.start_message_move_task, **arguments) == (
            "ResourceNotFoundException",
            f"The resource that you specified for the {parameter} parameter doesn't exist.",
            404,
        )
    fifo = moves.queues.queue(f"{moves.queues.world.name}-fifo.fifo", FifoQueue="true")
    _, message, _ = refusal(moves.sqs.start_message_move_task, SourceArn=source, DestinationArn=moves.queues.arn(fifo))
    assert message == "The destination queue must be of the same type as the source queue."


@pytest.mark.parametrize("rate", [0, 501])
def test_a_rate_beyond_awss_is_refused(moves, rate):
    _, dead = moves.with_dead_letters()
    _, message, _ = refusal(
        moves.sqs.start_message_move_task, SourceArn=moves.queues.arn(dead), MaxNumberOfMessagesPerSecond=rate
    )
    assert message == (
        f"Value {rate} for parameter MaxNumberOfMessagesPerSecond is invalid. "
        "Reason: Must be between 1 and 500, if provided."
    )
    _, message, _ = refusal(moves.sqs.list_message_move_tasks, SourceArn=moves.queues.arn(dead), MaxResults=11)
    assert message == "Value 11 for parameter MaxResults is invalid. Reason: Must be between 1 and 10."


def test_a_handle_that_names_no_task_is_refused(moves):
    assert refusal(moves.sqs.cancel_message_move_task, TaskHandle="something") == (
        "InvalidParameterValue",
        "Value for parameter TaskHandle is invalid.",
        400,
    )
    _, dead = moves.with_dead_letters()
    handle = moves.start(dead)
    moves.ended(dead)
    moves.sqs.delete_queue(QueueUrl=dead)
    gone = "The resource that you specified for the SourceArn parameter doesn't exist."
    assert refusal(moves.sqs.cancel_message_move_task, TaskHandle=handle)[1] == gone
    moves.queues.queue(dead.rpartition("/")[2])
    assert refusal(moves.sqs.cancel_message_move_task, TaskHandle=handle) == (
        "ResourceNotFoundException",
        "Task does not exist.",
        404,
    )
    assert moves.sqs.list_message_move_tasks(SourceArn=moves.queues.arn(dead))["Results"] == []


@conforms("SQS-14", "deduced")
def test_sqs_14_a_role_moves_messages_that_it_may_receive_delete_and_send(moves):
    world = moves.queues.world
    url, dead = moves.with_dead_letters("one")
    needed = ("StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
    on_dead = {"Effect": "Allow", "Action": [f"sqs:{each}" for each in needed], "Resource": moves.queues.arn(dead)}
    send = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": moves.queues.arn(url)}

    root = f"arn:aws:iam::{world.aws.account_id}:root"
    trust = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}
    role = world.client("iam").create_role(
        RoleName=world.name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    keys = world.client("sts").assume_role(RoleArn=role, RoleSessionName="operator")["Credentials"]
    sqs = boto3.client(
        "sqs",
        endpoint_url=world.aws.url,
        region_name=world.aws.region,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    source = moves.queues.arn(dead)
    for statements, lacking in (([on_dead], "sendmessage"), ([send], "startmessagemovetask")):
        world.allow(world.name, *statements)
        code, message, _ = refusal(sqs.start_message_move_task, SourceArn=source)
        assert (code, f"not authorized to perform: sqs:{lacking} on resource" in message) == ("AccessDenied", True)
    world.allow(world.name, on_dead, send)
    handle = sqs.start_message_move_task(SourceArn=source)["TaskHandle"]
    assert moves.ended(dead)["Status"] == "COMPLETED"
    for call, arguments, lacking in (
        (sqs.list_message_move_tasks, {"SourceArn": source}, "listmessagemovetasks"),
        (sqs.cancel_message_move_task, {"TaskHandle": handle}, "cancelmessagemovetask"),
    ):
        assert f"not authorized to perform: sqs:{lacking} on resource: {source}" in refusal(call, **arguments)[1]
