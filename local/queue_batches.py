"""What an event source mapping of a queue does with messages, without I/O.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from handlers.cdc.patterns import matches

#: A message as ReceiveMessage answers it.
Message = Mapping[str, Any]

#: What a mapping runs at once when no maximum is set: where AWS begins. It scales up from there, the endpoint does not.
CONCURRENCY = 5


@dataclass(frozen=True)
class QueueSettings:
    """The settings of a queue's mapping.

    Attributes:
        batch_size: Messages of one invocation at most.
        batching_window: Seconds to wait for them, from the first on.
        concurrency: Invocations that run at once.
        filters: Patterns, as JSON text; a message that none matches is deleted.
        report_batch_item_failures: Whether the function's answer names the failed messages.
        event_count: Whether the EventCount metrics are recorded.
    """

    batch_size: int = 10
    batching_window: int = 0
    concurrency: int = CONCURRENCY
    filters: tuple[str, ...] = ()
    report_batch_item_failures: bool = False
    event_count: bool = False


def as_record(message: Message, *, queue_arn: str) -> dict[str, Any]:
    """A message as the function gets it."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {
            name: _attribute(attribute) for name, attribute in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


def selected(record: Mapping[str, Any], filters: Sequence[str]) -> bool:
    """Whether a filter matches a record. A body that is a JSON object or array is filtered by what is in it.

    >>> selected({"body": '{"kind": "order"}'}, ['{"body": {"kind": ["order"]}}'])
    True
    >>> selected({"body": "order"}, ['{"body": {"kind": ["order"]}}'])
    False
    """
    seen = {**record, "body": _content(record["body"])}
    return not filters or any(matches(pattern, seen) for pattern in filters)


def failed_messages(answer: Any, message_ids: Sequence[str]) -> frozenset[str]:
    """The ids of the messages that an answer with ReportBatchItemFailures reports: all when it is malformed.

    >>> sorted(failed_messages({"batchItemFailures": [{"itemIdentifier": "b"}]}, ["a", "b"]))
    ['b']
    >>> sorted(failed_messages({"batchItemFailures": [{"itemIdentifier": "c"}]}, ["a", "b"]))
    ['a', 'b']
    >>> sorted(failed_messages(None, ["a", "b"]))
    []
    """
    failures = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
    if not failures:
        return frozenset()
    everything = frozenset(message_ids)
    if not isinstance(failures, list):
        return everything
    named: set[str] = set()
    for failure in cast("list[Any]", failures):
        identifier = failure.get("itemIdentifier") if isinstance(failure, Mapping) else None
        if not isinstance(identifier, str) or identifier not in everything:
            return everything
        named.add(identifier)
    return frozenset(named)


def by_group(messages: Iterable[Message]) -> list[list[Message]]:
    """The messages of a FIFO queue by their group, each in its order; those of a standard queue together."""
    groups: dict[str | None, list[Message]] = {}
    for message in messages:
        groups.setdefault(message.get("Attributes", {}).get("MessageGroupId"), []).append(message)
    return list(groups.values())


def _content(body: str) -> Any:
    try:
        content = json.loads(body)
    except ValueError:
        return body
    return content if isinstance(content, (dict, list)) else body


def _attribute(attribute: Mapping[str, Any]) -> dict[str, Any]:
    value = {
        name[0].lower() + name[1:]: attribute[name] for name in ("StringValue", "BinaryValue") if name in attribute
    }
    return {**value, "stringListValues": [], "binaryListValues": [], "dataType": attribute["DataType"]}
