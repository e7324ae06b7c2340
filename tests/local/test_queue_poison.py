"""Messages that always fail, in a consumer that a queue's mapping invokes."""

from __future__ import annotations

import json

from handlers.cdc.testing import record
from tests.local.queue_world import VISIBILITY

CONSUMER = """
from handlers.cdc import Change, consumer

@consumer
def handler(change: Change) -> None:
    print("saw", change.new["id"], flush=True)
    if change.new["plan"] == "broken":
        raise RuntimeError("the CRM is down")
"""


class Consumer:
    """A consumer of a queue with a dead-letter queue, and a bucket where it parks."""

    def __init__(self, world, queues, *, receives=1000, attempts=3, source=CONSUMER, **attributes):
        self.world, self.queues = world, queues
        bucket = world.bucket()
        variables = {"FAILURE_DESTINATION": bucket}
        if attempts:
            variables["QUEUE_ATTEMPTS"] = str(attempts)
        world.function(source, runtime=True, Environment={"Variables": variables})
        self.url, self.dead = queues.with_dead_letters(receives=receives, **attributes)
        self.mapping = queues.mapping(self.url, Enabled=False)

    def send(self, *ids, broken=(), group=None):
        for each in ids:
            plan = "broken" if each in broken else "fine"
            self.queues.send(self.url, record(new={"id": each, "plan": plan}), group=group)

    def run(self, *pauses, group=""):
        """Let it work until it has nothing to do, after these pauses behind the failures of one group."""
        self.world.enable(self.mapping)
        for number, pause in enumerate(pauses, start=1):
            self.world.wait_until(lambda number=number: len(self.receives(group)) >= number)
            # The time must not pass for what still runs: its messages would come a second time.
            self.world.wait_until(lambda: self.world.control.mapping(self.mapping).unfinished == 0)
            self.world.control.advance_clock(pause)
        self.world.settle(self.mapping)

    def receives(self, group=""):
        """The highest receive count in each batch of a group."""
        history = self.world.control.history(self.mapping)
        return [entry["attempt"] for entry in history if entry["shard_id"] == group]

    def parked(self):
        """The ids of the parked changes."""
        s3 = self.world.client("s3")
        stored = s3.list_objects_v2(Bucket=self.world.name).get("Contents", [])
        documents = [
            json.loads(s3.get_object(Bucket=self.world.name, Key=each["Key"])["Body"].read()) for each in stored
        ]
        messages = [message for document in documents for message in json.loads(document["payload"])["Records"]]
        return sorted(ids_in(message["body"] for message in messages))


def ids_in(bodies):
    return [json.loads(body)["dynamodb"]["NewImage"]["id"]["S"] for body in bodies]


def test_a_poison_message_of_a_fifo_queue_is_parked_and_its_followers_are_done_in_order(world, queues):
    consumer = Consumer(world, queues, FifoQueue="true")
    consumer.send("a1", "a2", "a3", broken={"a1"}, group="a")
    consumer.send("b1", "b2", group="b")
    consumer.run(2, 4, group="a")  # the pauses, and not the queue's visibility timeout
    seen = queues.seen()
    assert [each for each in seen if each[0] == "a"] == ["a1", "a1", "a1", "a2", "a3"]
    assert [each for each in seen if each[0] == "b"] == ["b1", "b2"]
    assert (consumer.receives("a"), consumer.receives("b")) == ([1, 2, 3], [1])
    assert consumer.parked() == ["a1"]
    assert queues.bodies(consumer.dead) == []


def test_a_failure_behind_a_parked_message_gets_attempts_of_its_own(world, queues):
    consumer = Consumer(world, queues, FifoQueue="true")
    consumer.send("a1", "a2", "a3", broken={"a1", "a2"}, group="a")
    consumer.run(2, 4, 2, 4, group="a")
    assert queues.seen() == ["a1", "a1", "a1", "a2", "a2", "a2", "a3"]
    assert consumer.receives("a") == [1, 2, 3, 4, 5]
    assert consumer.parked() == ["a1", "a2"]
    assert queues.bodies(consumer.dead) == []


def test_without_a_number_of_attempts_the_followers_are_dead_lettered_with_the_poison_unseen(world, queues):
    consumer = Consumer(world, queues, receives=3, attempts=None, FifoQueue="true")
    consumer.send("a1", "a2", "a3", broken={"a1"}, group="a")
    consumer.run(*[VISIBILITY] * 3, group="a")
    assert queues.seen() == ["a1", "a1", "a1"]
    assert ids_in(queues.bodies(consumer.dead)) == ["a1", "a2", "a3"]


def test_a_failed_message_of_a_standard_queue_comes_back_after_its_pause_and_delays_no_other(world, queues):
    consumer = Consumer(world, queues)
    consumer.send("a", "b", broken={"a"})
    consumer.run(2, 4)
    assert sorted(queues.seen()) == ["a", "a", "a", "b"]
    assert consumer.receives() == [1, 2, 3]
    assert consumer.parked() == ["a"]


def test_a_message_of_a_fifo_queue_that_ends_the_process_is_parked_unstarted_and_no_other_suffers(world, queues):
    deadly = CONSUMER.replace("from handlers.cdc import", "import os\nfrom handlers.cdc import").replace(
        'raise RuntimeError("the CRM is down")', "os._exit(1)"
    )
    consumer = Consumer(world, queues, source=deadly, FifoQueue="true")
    consumer.send("a1", "a2", "a3", broken={"a1"}, group="a")
    consumer.send("b1", "b2", group="b")
    consumer.run(VISIBILITY, VISIBILITY, VISIBILITY, group="a")
    seen = queues.seen()
    assert [each for each in seen if each[0] == "a"] == ["a1", "a1", "a1", "a2", "a3"]
    assert [each for each in seen if each[0] == "b"][-2:] == ["b1", "b2"]
    assert consumer.parked() == ["a1"]
    assert queues.bodies(consumer.dead) == []
