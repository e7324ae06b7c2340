"""`PipeWorld`: the pipes of one test on the endpoint, with their sources and targets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: What these pipes do with their roles.
PIPES_MAY = {
    "Effect": "Allow",
    "Action": [
        *("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
        *("kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator"),
        *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
        *("events:PutEvents", "events:InvokeApiDestination", "lambda:InvokeFunction", "sns:Publish", "sqs:SendMessage"),
        *("states:StartExecution", "states:StartSyncExecution"),
    ],
    "Resource": "*",
}


class PipeWorld:
    """One pipe of one table, and queues, under names of the test's own.

    Args:
        world: The test's `World`.
    """

    def __init__(self, world: Any) -> None:
        self.world = world
        self.name: str = world.name
        self.control = world.control
        self.client = world.client
        self.stream = ""
        self._role: str | None = None

    @property
    def role(self) -> str:
        """The ARN of a role that pipes may assume, and that may do what they do."""
        if self._role is None:
            self._role = self.world.make_role(self.role_name, PIPES_MAY, service="pipes states")
        return self._role

    @property
    def role_name(self) -> str:
        """The name of that role."""
        return f"{self.name}-pipe"

    def allow(self, *statements: Mapping[str, Any]) -> None:
        """Make these statements the whole policy of that role."""
        assert self.role
        self.world.allow(self.role_name, *statements)

    def queue(self, name: str = "queue", **attributes: str) -> str:
        """Make a queue; its ARN."""
        self.client("sqs").create_queue(QueueName=f"{self.name}-{name}", Attributes=attributes)
        return f"arn:aws:sqs:us-east-1:111122223333:{self.name}-{name}"

    def topic(self, subscriber: str) -> str:
        """Make a topic that a queue subscribes to; its ARN."""
        topic = self.client("sns").create_topic(Name=self.name)["TopicArn"]
        self.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=subscriber)
        self.world.let_in(subscriber, "sns", topic)
        return topic

    def bus(self, subscriber: str) -> str:
        """Make an event bus whose events of pipes all go to a queue; its ARN."""
        events = self.client("events")
        bus = events.create_event_bus(Name=self.name)["EventBusArn"]
        pattern = '{"account": ["111122223333"]}'
        rule = events.put_rule(Name=self.name, EventBusName=self.name, EventPattern=pattern)["RuleArn"]
        self.world.let_in(subscriber, "events", rule)
        events.put_targets(Rule=self.name, EventBusName=self.name, Targets=[{"Id": "queue", "Arn": subscriber}])
        return bus

    def machine(self, definition: Mapping[str, Any], *, kind: str = "EXPRESS", name: str = "machine") -> str:
        """Make a state machine; its ARN."""
        return self.client("stepfunctions").create_state_machine(
            name=f"{self.name}-{name}", definition=json.dumps(definition), roleArn=self.world.machine_role, type=kind
        )["stateMachineArn"]

    def function(self, source: str, *, name: str = "function", **settings: Any) -> str:
        """Make a function; its ARN."""
        made = self.world.function(source, name=f"{self.name}-{name}", **settings)
        return f"arn:aws:lambda:us-east-1:111122223333:function:{made}"

    def messages(self, queue: str) -> list[Any]:
        """Return the messages in a queue, oldest first: parsed if they are JSON, as text if not."""
        return [_parsed(message["Body"]) for message in self.received(queue)]

    def received(self, queue: str) -> list[dict[str, Any]]:
        """The messages in a queue, oldest first."""
        sqs = self.client("sqs")
        url = f"{self.world.aws.url}/111122223333/{queue.rpartition(':')[2]}"
        found: list[dict[str, Any]] = []
        while True:
            got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]).get("Messages", [])
            if not got:
                return found
            found += got

    def create(self, target: str, *, source: Mapping[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
        """Make a pipe, from this test's table unless told otherwise, with `source` beside the starting position."""
        if not self.stream and "Source" not in settings:
            self.stream = self.world.table()
        stream = {"StartingPosition": "TRIM_HORIZON", "BatchSize": 10, **(source or {})}
        filters = settings.pop("filters", None)
        parameters: dict[str, Any] = {"DynamoDBStreamParameters": stream}
        if filters is not None:
            parameters["FilterCriteria"] = {"Filters": [{"Pattern": json.dumps(each)} for each in filters]}
        named: dict[str, Any] = {"Name": self.name, "RoleArn": self.role, "Source": self.stream, "Target": target}
        return self.client("pipes").create_pipe(**(named | {"SourceParameters": parameters} | settings))

    def deliver(self, target: str, items: Mapping[str, str | None] | str, *, settle: bool = True, **pipe: Any) -> None:
        """Write items, each with its attribute `do`, and then let a pipe read them, all at once."""
        self.create(target, DesiredState="STOPPED", **pipe)
        for key, do in (dict.fromkeys(items) if isinstance(items, str) else items).items():
            self.world.put(key, do=do)
        self.start()
        if settle:
            self.settle()

    def start(self) -> None:
        """Start the pipe and wait until it runs."""
        self.client("pipes").start_pipe(Name=self.name)
        self.reach("RUNNING")

    def stop(self) -> None:
        """Stop the pipe and wait until it has."""
        self.client("pipes").stop_pipe(Name=self.name)
        self.reach("STOPPED")

    def update(self, **settings: Any) -> None:
        """Change the pipe and wait until that has taken effect."""
        self.client("pipes").update_pipe(**{"Name": self.name, "RoleArn": self.role, **settings})
        self.reach("RUNNING")

    def reach(self, state: str) -> None:
        """Wait for a state of the pipe."""
        self.world.wait_until(lambda: self.control.pipe(self.name).state == state)

    def settle(self) -> None:
        """Wait until the pipe has nothing to do."""
        self.world.wait_until(lambda: self.control.pipe(self.name).idle)

    def executions(self) -> list[tuple[str, str]]:
        """The ids of each batch as one word, and what its execution came to."""
        return [
            ("".join(key["id"]["S"] for key in entry["keys"]), entry["outcome"])
            for entry in self.control.pipe_history(self.name)
            if entry["kind"] == "invocation"
        ]

    def given_up(self) -> list[dict[str, Any]]:
        """The batches that were given up."""
        return [entry for entry in self.control.pipe_history(self.name) if entry["kind"] == "given up"]

    def metric(self, name: str, **dimensions: str) -> float:
        """The sum of one of the pipe's metrics."""
        return self.control.metric_sum(name, **(dimensions or {"PipeName": self.name}))

    def close(self) -> None:
        """Delete the pipe, if there is one."""
        pipes = self.client("pipes")
        for each in pipes.list_pipes(NamePrefix=self.name)["Pipes"]:
            if each["Name"] == self.name and each["CurrentState"] != "DELETING":
                pipes.delete_pipe(Name=self.name)


def ids(events: list[Any]) -> list[str]:
    """The ids of the items that events are about."""
    return [event["dynamodb"]["Keys"]["id"]["S"] for event in events]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
