"""`Writes`: users who upgrade one after the other, for as long as a deployment runs."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

from tests.engine.lab import Lab

#: Seconds between two users: several in every step of a deployment, and no more than a busy machine follows.
PAUSE_SECONDS = 0.3


class Writes:
    """Upgrades a user at a time in a thread of its own while a block runs.

    Args:
        engine: The lab.
        table: The users' table.
        prefix: Beginning of the users' names.

    Attributes:
        users: Those whose upgrade was written, in order.
    """

    def __init__(self, engine: Lab, table: str, prefix: str) -> None:
        self.users: list[str] = []
        self._dynamodb = engine.aws.client("dynamodb")
        self._table = table
        self._prefix = prefix
        self._begun, self._ended = threading.Event(), threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writes")
        self._written: Future[None] | None = None

    def __enter__(self) -> Self:
        self._written = self._thread.submit(self._write)
        self._begun.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.shutdown()
        assert self._written is not None
        self._written.result()

    def _write(self) -> None:
        for number in itertools.count():
            user = f"{self._prefix}-{number}"
            item: dict[str, Any] = {"userId": {"S": user}, "email": {"S": f"{user}@example.com"}}
            self._dynamodb.put_item(TableName=self._table, Item={**item, "plan": {"S": "free"}})
            self._dynamodb.put_item(TableName=self._table, Item={**item, "plan": {"S": "pro"}})
            self.users.append(user)
            self._begun.set()
            if self._ended.wait(PAUSE_SECONDS):
                return


def mails(engine: Lab, prefix: str) -> Counter[str]:
    """Count the mails to each user of a prefix."""
    found = (address.partition("@")[0] for mail in engine.aws.control.mails() for address in mail["To"])
    return Counter(user for user in found if user.startswith(f"{prefix}-"))


def once_each(users: list[str]) -> Counter[str]:
    """Count one mail for every user."""
    return Counter(dict.fromkeys(users, 1))


def upgraded_in(engine: Lab, stream: str) -> set[str]:
    """The users whose upgrade has a record in a stream."""
    streams = engine.aws.client("dynamodbstreams")
    users: set[str] = set()
    for shard in streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]:
        iterator: str | None = streams.get_shard_iterator(
            StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator is not None:
            page = streams.get_records(ShardIterator=iterator)
            images = [record["dynamodb"]["NewImage"] for record in page["Records"] if record["eventName"] == "MODIFY"]
            users |= {image["userId"]["S"] for image in images}
            iterator = page.get("NextShardIterator") if page["Records"] else None
    return users
