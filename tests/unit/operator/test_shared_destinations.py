"""Dead letters of several readers in one place: each reader's own go back to it, and those of the others stay."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from ops.operator.dead_letters.stores import Others, stores_of
from ops.operator.pipes import Reader
from ops.operator.stack import Stack

ARN = "arn:aws:{}:us-east-1:111122223333:{}"
OUTPUTS = {
    "consumers": {"mails": {"eventSourceMapping": "uuid-mails"}, "crm": {"eventSourceMapping": "uuid-crm"}},
    "functionNames": {"mails": "mails-4f", "crm": "crm-5a", "POST /users": "api-6b"},
    "pipes": {"hooks": {"pipe": "hooks-7c"}},
    "forwarders": {"changes-forwarder": "uuid-forwarder"},
    "forwarder": "uuid-forwarder",
}


def document(name: str) -> dict[str, Any]:
    context = {"functionName": name, "condition": "Discarded"}
    return {"requestContext": context, "payload": json.dumps({"Records": [{"eventID": name}]})}


class Bucket:
    """A client of S3 with one bucket."""

    def __init__(self, *keys: str) -> None:
        self._keys = keys

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **asked: str) -> Any:
        at = datetime(2026, 1, 31, tzinfo=UTC)
        keys = [each for each in self._keys if each.startswith(asked["Prefix"])]
        return [{"Contents": [{"Key": each, "LastModified": at} for each in keys]}]

    def get_object(self, **named: str) -> Any:
        return {"Body": io.BytesIO(json.dumps(document(named["Key"])).encode())}

    def get_bucket_lifecycle_configuration(self, **_: str) -> Any:
        raise ClientError({"Error": {"Code": "NoSuchLifecycleConfiguration"}}, "GetBucketLifecycleConfiguration")


class Queue:
    """A client of SQS with one queue."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self._messages = [
            {
                "MessageId": str(number),
                "ReceiptHandle": str(number),
                "Attributes": {"SentTimestamp": "0"},
                "Body": json.dumps(each),
            }
            for number, each in enumerate(documents)
        ]
        self.shown: list[str] = []

    def get_queue_url(self, **_: str) -> Any:
        return {"QueueUrl": "url"}

    def get_queue_attributes(self, **_: Any) -> Any:
        return {"Attributes": {"MessageRetentionPeriod": "1209600"}}

    def receive_message(self, **_: Any) -> Any:
        messages, self._messages = self._messages, []
        return {"Messages": messages}

    def change_message_visibility_batch(self, **asked: Any) -> None:
        self.shown += [each["ReceiptHandle"] for each in asked["Entries"]]


def reader(name: str, destination: str) -> Reader:
    source = ARN.format("dynamodb", "table/users/stream/1")
    return cast("Reader", SimpleNamespace(name=name, destinations=(destination,), queues=(), source=source))


def found(monkeypatch: pytest.MonkeyPatch, client: Any, name: str, destination: str) -> list[str]:
    monkeypatch.setattr(Stack, "client", lambda *_: client)
    (store,) = stores_of(Stack("prod", OUTPUTS), reader(name, destination))
    ids = [letter.id for letter in store.letters()]
    store.close()
    assert store.unreadable == []
    return ids


def test_a_bucket_of_two_consumers_has_each_ones_own_letters_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    mails = ["aws/lambda/uuid-mails/s/1", "discarded/mails-4f/2.json"]
    crm = ["aws/lambda/uuid-crm/s/3", "discarded/crm-5a/4.json"]
    # A replaced function and mapping had other names, which no output has any more.
    former = ["aws/lambda/uuid-former/s/5", "discarded/mails-1d/6.json"]
    bucket = Bucket(*mails, *crm, *former, "aws/lambda/uuid-forwarder/s/7")
    assert sorted(found(monkeypatch, bucket, "mails", "arn:aws:s3:::letters")) == sorted([*mails, *former])
    assert sorted(found(monkeypatch, bucket, "crm", "arn:aws:s3:::letters")) == sorted([*crm, *former])


def test_a_queue_of_several_readers_shows_what_is_another_ones_to_others_again(monkeypatch: pytest.MonkeyPatch) -> None:
    arn = ARN.format("lambda", "function:{}")
    batch = {"shardId": "s", "batchSize": 0, "streamArn": ARN.format("dynamodb", "table/users/stream/1")}
    documents = [
        document("mails-4f"),
        document("crm-5a"),
        {"requestContext": {"functionArn": f"{arn.format('crm-5a')}:live"}, "DDBStreamBatchInfo": batch},
        {"requestContext": {"functionArn": arn.format("mails-4f")}, "DDBStreamBatchInfo": batch},
        {"context": {"partnerResourceArn": ARN.format("pipes", "pipe/hooks-7c")}, "DDBStreamBatchInfo": batch},
    ]
    destination = ARN.format("sqs", "letters")
    for name, ids in (("mails", ["0", "3"]), ("crm", ["1", "2"]), ("hooks", ["4"])):
        queue = Queue(*documents)
        assert found(monkeypatch, queue, name, destination) == ids
        assert queue.shown == ["0", "1", "2", "3", "4"]


def test_a_stack_without_other_readers_has_no_foreign_letters() -> None:
    others = Others.of(Stack("prod", {}), reader("mails", "arn:aws:s3:::letters"))
    assert (others.folders(), others.wrote("mails-4f")) == ((), False)
