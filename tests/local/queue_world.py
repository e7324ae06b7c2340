"""`Queues`: queues and their mappings of one test on the endpoint."""

from __future__ import annotations

import json
import uuid

#: Seconds for which a received message is hidden, longer than any of these tests.
VISIBILITY = 900


class Queues:
    """Queues, their messages and their mappings in one test's world."""

    def __init__(self, world):
        self.world = world
        self.sqs = world.client("sqs")

    def queue(self, name=None, **attributes) -> str:
        """Make a queue; its URL."""
        name = name or self.world.name
        attributes = {"VisibilityTimeout": str(VISIBILITY), **attributes}
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def arn(self, url) -> str:
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def with_dead_letters(self, receives=2, **attributes) -> tuple[str, str]:
        """Make a queue with a dead-letter queue; the URLs of both."""
        fifo = ".fifo" if "FifoQueue" in attributes else ""
        own = {"FifoQueue": "true"} if fifo else {}
        dead = self.queue(f"{self.world.name}-dead{fifo}", **own)
        policy = {"deadLetterTargetArn": self.arn(dead), "maxReceiveCount": receives}
        url = self.queue(f"{self.world.name}{fifo}", RedrivePolicy=json.dumps(policy), **attributes)
        return url, dead

    def send(self, url, *bodies, group=None) -> None:
        for body in bodies:
            content = json.dumps(body) if isinstance(body, dict) else body
            order = {} if group is None else {"MessageGroupId": group, "MessageDeduplicationId": str(uuid.uuid4())}
            self.sqs.send_message(QueueUrl=url, MessageBody=content, **order)

    def mapping(self, url, function=None, **settings) -> str:
        mapping = self.world.client("lambda").create_event_source_mapping(
            FunctionName=function or self.world.name,
            EventSourceArn=self.arn(url),
            **{"FunctionResponseTypes": ["ReportBatchItemFailures"], **settings},
        )["UUID"]
        self.world.adopt(mapping)
        return mapping

    def bodies(self, url) -> list[str]:
        messages = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [message["Body"] for message in messages]

    def batches(self, mapping) -> list[tuple[int, str]]:
        """Return the number of messages and the outcome of each invocation."""
        entries = self.world.control.history(mapping)
        return [(len(entry["identifiers"]), entry["outcome"]) for entry in entries if entry["kind"] == "invocation"]

    def seen(self, function=None) -> list[str]:
        """The messages that the function saw, with their receive counts, in order."""
        try:
            lines = self.world.log(function)
        except self.world.client("logs").exceptions.ResourceNotFoundException:
            return []  # it has not run yet
        return [line.removeprefix("saw ").strip() for line in lines if line.startswith("saw ")]

    def counts(self, url) -> tuple[int, int]:
        """Count the messages that wait, and those that are hidden."""
        held = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return int(held["ApproximateNumberOfMessages"]), int(held["ApproximateNumberOfMessagesNotVisible"])

    def failed(self, mapping, invocations) -> None:
        """Wait until so many invocations are over, and let the visibility timeout of what they left pass."""
        self.world.wait_until(lambda: len(self.batches(mapping)) == invocations)
        self.world.control.advance_clock(VISIBILITY)
