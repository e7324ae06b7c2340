"""Evidence of a run: read from the stream, the mappings' histories, the failure destinations and the receivers."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.endpoint.control.client import MappingStatus, PipeStatus
from ops.demo.claims import ConsumerEvidence
from ops.demo.plan import Plan
from ops.demo.receivers.receiver import Change, Deployed, Receiver

#: Seconds until the next try of a read that a shard refused: it serves five a second.
READ_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """The work of one consumer so far.

    Attributes:
        done: Event ids of the changes that it accepted, gave up or never gets.
        accepted: Number of changes that it accepted, repeats counted.
        deliveries: Number of changes that came to an end, repeats counted.
        invocations: Number of invocations.
        retries: Number of those that were not the first of their batch.
    """

    done: frozenset[str]
    accepted: int
    deliveries: int
    invocations: int
    retries: int


class Observer:
    """Reads what happened on a deployed stack.

    Args:
        deployed: The stack.
    """

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        self._control = deployed.endpoint.control
        self._histories: dict[str, list[dict[str, Any]]] = {}

    def mapping(self, consumer: str) -> str:
        """Return the UUID of a consumer's event source mapping."""
        return self._deployed.outputs["consumers"][consumer]["eventSourceMapping"]

    def progress(self, consumer: str) -> Progress:
        """Return the work of a consumer so far."""
        history = self._history(consumer)
        invocations = [entry for entry in history if entry["kind"] == "invocation"]
        # A change that a queue's consumer parks is accepted; one that Lambda gives up is not.
        accepted = list(_processed(history))
        done = [*accepted, *_event_ids(history, "filtered out"), *_event_ids(history, "given up")]
        retries = sum(entry["attempt"] > 1 for entry in invocations)
        return Progress(frozenset(done), len(accepted), len(done), len(invocations), retries)

    def are_idle(self, consumers: Collection[str]) -> bool:
        """Return whether consumers have nothing to do."""
        pipes = {name: pipe["pipe"] for name in consumers if (pipe := self._pipe(name))}
        idle = {each.uuid: each.idle for each in self._control.mappings()}
        idle |= {each.name: each.idle for each in self._control.pipes()} if pipes else {}
        return all(idle[pipes[name] if name in pipes else self.mapping(name)] for name in consumers)

    def stream(self, consumer: str) -> str:
        """Return the ARN of the stream whose changes a consumer gets."""
        return (self._pipe(consumer) or self._deployed.outputs["consumers"][consumer])["stream"]

    def queue(self, consumer: str) -> str:
        """Return the ARN of the queue that a consumer reads."""
        if pipe := self._pipe(consumer):
            return self._deployed.endpoint.client("pipes").describe_pipe(Name=pipe["pipe"])["Source"]
        mappings = self._deployed.endpoint.client("lambda")
        return mappings.get_event_source_mapping(UUID=self.mapping(consumer))["EventSourceArn"]

    def alarms(self, consumer: str) -> Mapping[str, str]:
        """Return the full names of a consumer's alarms by their short ones."""
        return (self._pipe(consumer) or self._deployed.outputs["consumers"][consumer])["alarms"]

    def changes(self, arn: str | None = None) -> list[Change]:
        """Read a table's stream from its beginning, by default the users'."""
        streams = self._deployed.endpoint.client("dynamodbstreams")
        arn = arn or self._deployed.outputs["streamArn"]
        records: list[Change] = []
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            iterator = streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator is not None:
                page = _page(streams, iterator)
                records += page["Records"]
                iterator = page.get("NextShardIterator") if page["Records"] else None
        return records

    def of_consumer(
        self, receiver: Receiver, plan: Plan, changes: Sequence[Change], alarms: Mapping[str, str]
    ) -> ConsumerEvidence:
        """Gather the evidence about one consumer."""
        name = receiver.consumer
        history = self._history(name)
        invocations = [entry for entry in history if entry["kind"] == "invocation"]
        filtered_out, dead_letters = list(_event_ids(history, "filtered out")), self.dead_letters(name)
        return ConsumerEvidence(
            claim=receiver.claim,
            changes=changes,
            expected=receiver.expected(plan, changes),
            found=receiver.found(self._deployed),
            poison=receiver.poison(plan),
            processed=list(_processed(history)),
            filtered_out=filtered_out,
            unfinished=self._status(name).unfinished,
            dead_letters=dead_letters,
            crash_batches=[
                len(entry["identifiers"]) for entry in invocations if entry["error_type"] == "Runtime.ExitError"
            ],
            alarms=alarms,
            counts={
                "filtered": len(filtered_out),
                "invoked": len(invocations),
                "retries": sum(entry["attempt"] > 1 for entry in invocations),
                "bisections": sum(entry["bisected"] for entry in invocations),
                "dead letters": len(dead_letters),
            },
        )

    def _history(self, consumer: str) -> list[dict[str, Any]]:
        known = self._histories.setdefault(consumer, [])
        if pipe := self._pipe(consumer):
            known += self._control.pipe_history(pipe["pipe"], after=len(known))
        else:
            known += self._control.history(self.mapping(consumer), after=len(known))
        return known

    def _pipe(self, consumer: str) -> Mapping[str, Any] | None:
        """Return what the stack's outputs say of a pipe; `None` of a consumer that is none."""
        return self._deployed.outputs["pipes"].get(consumer)

    def _status(self, consumer: str) -> MappingStatus | PipeStatus:
        pipe = self._pipe(consumer)
        return self._control.mapping(self.mapping(consumer)) if pipe is None else self._control.pipe(pipe["pipe"])

    def dead_letters(self, consumer: str) -> list[Change]:
        """Read the records in a consumer's failure destination, those of a queue out of their messages."""
        if pipe := self._pipe(consumer):
            return [change for arn in pipe["deadLetterQueues"] for change in self._kept_in(arn)]
        s3 = self._deployed.endpoint.client("s3")
        arn = self._deployed.outputs["consumers"][consumer]["failureDestination"]
        bucket = arn.rpartition(":")[2]
        keys = [
            entry["Key"]
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            for entry in page.get("Contents", [])
            if not entry["Key"].startswith("started/")
        ]
        documents = [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]
        records = [record for document in documents for record in json.loads(document["payload"])["Records"]]
        return [json.loads(record["body"]) if "body" in record else record for record in records]

    def _kept_in(self, arn: str) -> Iterator[Change]:
        """Read the changes in a dead-letter queue, which hides them for half a minute."""
        sqs = self._deployed.endpoint.client("sqs")
        url = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            yield from (json.loads(message["Body"]) for message in found)


def _page(streams: Any, iterator: str) -> Any:
    """Read one page, and wait where the shard has no read left: the program's own reader comes first."""
    while True:
        try:
            return streams.get_records(ShardIterator=iterator)
        except streams.exceptions.ClientError as refused:
            if "Exceeded" not in refused.response["Error"]["Code"]:
                raise
            time.sleep(READ_PAUSE_SECONDS)


def _processed(history: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in history:
        if entry["kind"] == "invocation":
            yield from entry["event_ids"][: entry["accepted"]]


def _event_ids(history: Sequence[Mapping[str, Any]], kind: str) -> Iterator[str]:
    for entry in history:
        if entry["kind"] == kind:
            yield from entry["event_ids"]
