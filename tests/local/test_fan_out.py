"""A fan-out on the endpoint: six consumers of one table, each by one statement."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from local.deploy import deploy
from local.endpoint import Endpoint
from tests.local.world import wait_until

ROOT = Path(__file__).parents[2]
CONSUMERS = tuple(f"consumer-{number}" for number in range(1, 7))

PROGRAM = """
import pulumi
import pulumi_aws as aws

from components import (
    Access, ChangeTable, EffectLedgerTable, FanOut, FunctionSettings, QueueDelivery, QueueTarget, allow
)
from handlers import noting
from handlers.cdc import on

users = ChangeTable("users", hash_key="userId", deletion_protection=False)
ledger = EffectLedgerTable("effects", deletion_protection=False)
notes = aws.dynamodb.Table(
    "notes",
    billing_mode="PAY_PER_REQUEST",
    hash_key="consumer",
    range_key="note",
    attributes=[{"name": "consumer", "type": "S"}, {"name": "note", "type": "S"}],
)
note = Access([allow(["dynamodb:PutItem"], notes.arn)], {"NOTES_TABLE": notes.name})

fan_out = FanOut(
    "fan-out",
    source=users.stream,
    delivery=QueueDelivery(attempts=3),
    function=FunctionSettings(timeout=4),
    archive_days=1,
)
for number in range(1, 7):
    name = f"consumer-{number}"
    fan_out.subscribe(noting.handler, name=name, access=[ledger.access(), note], environment={"ME": name})

copies = aws.sqs.Queue("copies", fifo_queue=True)
fan_out.pipe(
    "piped",
    target=QueueTarget(arn=copies.arn, fifo=True, message_group_id="$.body.dynamodb.Keys.userId.S"),
    when=on.insert,
    input_template='{"user": <$.body.dynamodb.Keys.userId.S>, "n": <$.body.dynamodb.NewImage.n.N>}',
    repeats="the queue drops what it has seen",
)

pulumi.export("copies", copies.url)
pulumi.export("usersTable", users.table.name)
pulumi.export("notesTable", notes.name)
pulumi.export("topic", fan_out.topic.arn)
pulumi.export("forwarder", fan_out.forwarder.event_source_mapping.uuid)
pulumi.export(
    "consumers",
    {
        name: {
            "mapping": each.event_source_mapping.uuid,
            "function": each.function.name,
            "queue": each.queue.url,
            "undelivered": each.undelivered.url,
            "failures": each.on_failure.arn,
            "alarms": {alarm: made.name for alarm, made in each.alarms.alarms.items()},
        }
        for name, each in fan_out.consumers.items()
    },
)
"""

HANDLER = '''
"""Notes each change it gets, once, and fails where the item says so."""

import os
import time

from handlers.cdc import Change, EffectLedger, client, consumer, on

effects = EffectLedger()
dynamodb = client("dynamodb")


@consumer(when=on.insert | on.modify)
def handler(change: Change) -> None:
    """Write down one change."""
    me = os.environ["ME"]
    if change.new.get("poison") == me:
        raise ValueError("poison")
    effects.once(f"{me}:{change.event_id}", note, me, change)


def note(me: str, change: Change) -> None:
    """Write the note, numbered so that notes sort as they came."""
    text = f"{change.keys['userId']}:{change.new['n']}"
    dynamodb.put_item(
        TableName=os.environ["NOTES_TABLE"],
        Item={
            "consumer": {"S": me},
            "note": {"S": text},
            "size": {"N": str(len(str(change.new.get("text", ""))))},
            "at": {"N": str(time.time_ns())},
        },
    )
'''


class Stack:
    """The deployed program, and what its consumers have noted."""

    def __init__(self, aws: Endpoint, outputs: dict[str, Any]) -> None:
        self.aws, self.outputs = aws, outputs
        self.dynamodb = aws.client("dynamodb")

    def put(self, user: str, n: int, **more: str) -> None:
        item = {"userId": {"S": user}, "n": {"N": str(n)}, **{name: {"S": value} for name, value in more.items()}}
        self.dynamodb.put_item(TableName=self.outputs["usersTable"], Item=item)

    def notes(self, consumer: str) -> dict[str, int]:
        """Return the notes of one consumer in the order they were taken, with the size of the text in the change."""
        found = self.dynamodb.query(
            TableName=self.outputs["notesTable"],
            KeyConditionExpression="consumer = :consumer",
            ExpressionAttributeValues={":consumer": {"S": consumer}},
            ConsistentRead=True,
        )["Items"]
        found.sort(key=lambda each: int(each["at"]["N"]))
        return {each["note"]["S"]: int(each["size"]["N"]) for each in found}

    def wait_for(self, note: str, *consumers: str) -> None:
        wait_until(lambda: all(note in self.notes(each) for each in consumers or CONSUMERS))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, aws: Endpoint) -> Stack:
    clone = tmp_path_factory.mktemp("fan-out")
    (clone / "handlers").mkdir()
    for name in ("components", "aws_semantics"):
        (clone / name).symlink_to(ROOT / name)
    for path in (ROOT / "handlers").glob("*"):
        (clone / "handlers" / path.name).symlink_to(path)
    (clone / "handlers" / "noting.py").write_text(HANDLER)
    (clone / "__main__.py").write_text(PROGRAM)
    (clone / "Pulumi.yaml").write_text("name: fan-out\nruntime: python\n")
    (clone / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
    return Stack(aws, deploy(clone, "test", aws.connection).outputs)


def test_every_consumer_gets_every_change_it_wants_in_the_order_of_the_item(stack: Stack) -> None:
    for n in range(5):
        stack.put("ada", n)
    stack.wait_for("ada:4")
    for consumer in CONSUMERS:
        assert [note for note in stack.notes(consumer) if note.startswith("ada:")] == [f"ada:{n}" for n in range(5)]


def test_a_consumer_that_fails_parks_its_change_and_delays_nobody(stack: Stack) -> None:
    sick = stack.outputs["consumers"]["consumer-3"]
    stack.put("bob", 1, poison="consumer-3")
    stack.put("cid", 1)
    stack.wait_for("cid:1")
    stack.wait_for("bob:1", *(each for each in CONSUMERS if each != "consumer-3"))
    bucket = sick["failures"].rpartition(":")[2]
    s3 = stack.aws.client("s3")

    def parked() -> list[Any]:
        return s3.list_objects_v2(Bucket=bucket, Prefix="discarded/").get("Contents", [])

    wait_until(lambda: stack.aws.control.advance_clock(20) and parked())
    document = json.loads(s3.get_object(Bucket=bucket, Key=parked()[0]["Key"])["Body"].read())
    (message,) = json.loads(document["payload"])["Records"]
    assert json.loads(message["body"])["dynamodb"]["Keys"] == {"userId": {"S": "bob"}}
    states = stack.aws.control.evaluate_alarms(at=stack.aws.control.advance_clock(60))
    fired = {name for name, alarm in sick["alarms"].items() if states[alarm] == "ALARM"}
    assert fired == {"dead-letters"}
    stack.put("bob", 2)
    stack.wait_for("bob:2")


def test_a_change_that_no_message_holds_reaches_every_consumer_whole(stack: Stack) -> None:
    stack.put("dan", 1, text="ü" * 190_000)
    stack.wait_for("dan:1")
    assert {stack.notes(each)["dan:1"] for each in CONSUMERS} == {190_000}


def test_a_forwarder_whose_answer_is_lost_or_that_is_throttled_forwards_everything_in_the_end(stack: Stack) -> None:
    control = stack.aws.control
    control.throttle("sns:PublishBatch", times=8)
    stack.put("eve", 1)
    stack.put("eve", 2)
    stack.wait_for("eve:2")
    control.drop_answer(containing="fay")
    stack.put("fay", 1)
    stack.wait_for("fay:1")
    assert control.mapping(stack.outputs["forwarder"]).givenUp == 0


def test_random_writes_under_random_faults_reach_every_consumer_in_the_order_of_each_item(stack: Stack) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"random writes and faults, seed {seed}")  # noqa: T201 - shown when the test fails
    chosen, control = random.Random(seed), stack.aws.control
    users = ("ida", "joe")
    last = dict.fromkeys(users, 0)
    mapping = stack.aws.client("lambda").get_event_source_mapping(UUID=stack.outputs["forwarder"])
    forwarder = mapping["FunctionArn"].rpartition(":")[2]
    control.throttle("sns:PublishBatch", times=chosen.randint(1, 3), function=forwarder)
    control.drop_answer(times=chosen.randint(1, 2), function=forwarder)
    control.kill("sns:PublishBatch", times=1, function=forwarder)
    for _ in range(10):
        user = chosen.choice(users)
        last[user] += 1
        stack.put(user, last[user])
    for user in users:
        last[user] += 1
        stack.put(user, last[user])
    ends = {f"{user}:{last[user]}" for user in users}
    wait_until(lambda: all(ends <= stack.notes(each).keys() for each in CONSUMERS), timeout=120.0)
    for consumer in CONSUMERS:
        notes = stack.notes(consumer)
        for user in users:
            mine = [note for note in notes if note.startswith(f"{user}:")]
            assert mine == [f"{user}:{n}" for n in range(1, last[user] + 1)], (seed, consumer)
    control.clear_faults()


def test_a_pipe_of_the_fan_out_sends_what_it_wants_to_its_target_in_the_order_of_the_item(stack: Stack) -> None:
    sqs = stack.aws.client("sqs")
    stack.put("hal", 1)
    stack.put("hal", 2)  # a modification, which the pipe does not want
    found: list[Any] = []

    def received() -> bool:
        answer = sqs.receive_message(QueueUrl=stack.outputs["copies"], MaxNumberOfMessages=10)
        found.extend(json.loads(each["Body"]) for each in answer.get("Messages", []))
        return any(each["user"] == "hal" for each in found)

    wait_until(received)
    assert [each for each in found if each["user"] == "hal"] == [{"user": "hal", "n": "1"}]


def test_a_queue_that_is_gone_keeps_its_changes_in_the_subscription_s_dead_letters(stack: Stack) -> None:
    gone = stack.outputs["consumers"]["consumer-6"]
    sqs = stack.aws.client("sqs")
    sqs.delete_queue(QueueUrl=gone["queue"])
    stack.put("gus", 1)
    stack.wait_for("gus:1", *CONSUMERS[:-1])
    (message,) = sqs.receive_message(QueueUrl=gone["undelivered"])["Messages"]
    assert json.loads(message["Body"])["dynamodb"]["Keys"] == {"userId": {"S": "gus"}}
