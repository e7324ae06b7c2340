"""Decoders: from the event that Lambda passes to the changes in it.

Each `Source` is one kind of delivery: the name that a failure response gives its records, the records that keep
an order, and what is to be unwrapped. A shape that is not known is an error, never a success: a handler that quietly
returns on an event it does not understand acknowledges records that no one has processed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

from handlers.cdc import failure_document
from handlers.cdc.change import Change, EventName
from handlers.cdc.claim_check import fetch, is_in_s3
from handlers.cdc.image import Image

#: Fetches what a claim check stands for: the record itself, or its JSON text.
ClaimCheck = Callable[[Any], Any]

_EVENT_NAMES: Final = frozenset(get_args(EventName))


class UnknownEventShape(ValueError):
    """The event is not one that this runtime decodes. The message names what was found, never its content."""


class Source(NamedTuple):
    """One kind of delivery.

    Attributes:
        name: Name of the kind, for messages.
        event_source: The value of its records' `eventSource`; empty where they may be of any kind.
        identify: Returns the name that a failure response gives a record.
        is_wrapped: Whether the change is inside something, e.g. a message's body.
        group: Returns the group of a message: those of one group are processed in order and wait for each other. `None`
            for a stream, whose records are all one group.
        is_fifo: Whether it is a FIFO queue.
        is_answered: Whether anything reads the failure response. If not, a failure must be raised.
    """

    name: str
    event_source: str
    identify: Callable[[Any], Any]
    is_wrapped: bool = True
    group: Callable[[Mapping[str, Any]], str] | None = None
    is_fifo: bool = False
    is_answered: bool = True


class Batch(NamedTuple):
    """The records of one event, as they came and in their order.

    Attributes:
        source: The kind of delivery.
        records: The records.
        identifiers: For each record, the name that a failure response must give.
        origin: Set where the event says that it is not an ordinary delivery.
        model: As for `Change`.
        claim_check: Fetches the content of a message, where messages are claim checks.
    """

    source: Source
    records: Sequence[Mapping[str, Any]]
    identifiers: Sequence[str]
    origin: Literal["replay", "snapshot", "export"] | None = None
    model: Callable[[Image], Any] | None = None
    claim_check: ClaimCheck | None = None

    def group(self, index: int) -> str:
        """Return the group of one of the records, if it is a message of a queue."""
        return "" if self.source.group is None else self.source.group(self.records[index])

    def record(self, index: int) -> Mapping[str, Any]:
        """Return the change in one of the records, in the shape of a DynamoDB stream record.

        Raises:
            UnknownEventShape: There is no change in it.
        """
        record = self.records[index]
        if self.source.is_wrapped:
            record = unwrapped(record, self.claim_check)
        if not holds_a_change(record):
            raise UnknownEventShape(f"record {index} of {self.source.name} holds no change: {outline(record)}")
        return record if self.origin is None else {**record, "origin": self.origin}

    def change(self, index: int) -> Change[Any]:
        """Return the change in one of the records.

        Raises:
            UnknownEventShape: There is no change in it.
        """
        return Change(self.record(index), model=self.model)


def holds_a_change(record: Any) -> bool:
    """Return whether a record has the members that identify a change."""
    try:
        return (
            record["eventName"] in _EVENT_NAMES
            and isinstance(record["eventID"], str)
            and isinstance(record["eventSourceARN"] if "eventSourceARN" in record else record["tableName"], str)
            and bool(record["dynamodb"]["Keys"])
        )
    except (KeyError, TypeError):
        return False


def batch_of(event: Any, model: Callable[[Image], Any] | None = None, claim_check: ClaimCheck | None = None) -> Batch:
    """Return the records of an event.

    Accepts a DynamoDB stream event, an SQS event and a Kinesis event whose records carry changes, the array of an
    EventBridge pipe that reads any of the three, an event of an EventBridge bus and of an SNS topic, a replayed batch
    (`{"origin": "replay", "Records": [...]}`, or `"snapshot"` or `"export"`), and the document that an on-failure
    destination in S3 holds.

    Raises:
        UnknownEventShape: The event is of another shape, or a record has no identifier, so that its failure could
            not be reported. What is wrong inside one record comes out when that record is opened.
    """
    if isinstance(event, list) and event:
        source = _source_of(event[0], _BY_PIPED_EVENT_SOURCE, "the first of the pipe's events")
        return Batch(source, event, _identifiers(source, event), None, model, claim_check)
    if not isinstance(event, Mapping):
        raise UnknownEventShape(f"expected an object with records or an array of them, got {outline(event)}")
    if failure_document.is_failure_document(event):
        event = {**_event_in(event), "origin": "replay"}
    if _is_of_a_bus(event):
        return _opened_at_once(Batch(_BUS, [event], _identifiers(_BUS, [event]), None, model, claim_check))
    records = event.get("Records")
    if not isinstance(records, list):
        raise UnknownEventShape(f"expected a list under 'Records', got {outline(event)}")
    if "window" in event:
        raise UnknownEventShape(
            "the event is one of a tumbling window, and this consumer keeps no state for one: make its function with "
            "@windowed (handlers.cdc.windows), or take tumbling_window_in_seconds out of its delivery"
        )
    origin = event.get("origin")
    if origin not in (None, "replay", "snapshot", "export"):
        raise UnknownEventShape(f"the batch has the origin {origin!r}, not 'replay', 'snapshot' or 'export'")
    if not records:
        return Batch(_STREAM, (), ())
    source = _source_of(records[0], _BY_EVENT_SOURCE, "Records[0]") if origin is None else _REPLAY
    batch = Batch(source, records, _identifiers(source, records), origin, model, claim_check)
    return _opened_at_once(batch) if source is _TOPIC else batch


def _opened_at_once(batch: Batch) -> Batch:
    """Return the batch of a delivery that may carry anything, if it carries changes."""
    for index in range(len(batch.records)):
        batch.record(index)
    return batch


def _event_in(document: Mapping[str, Any]) -> dict[str, Any]:
    try:
        event = failure_document.read(document).event
    except failure_document.NotAFailureDocument as error:
        raise UnknownEventShape(str(error)) from None
    if event is None:
        raise UnknownEventShape(
            "the document of a failure has the range of its records and not the records: read them from the stream and "
            'send them as {"origin": "replay", "Records": [...]}'
        )
    return event


def _source_of(first: Any, known: Mapping[str, Source], where: str) -> Source:
    name = first.get("eventSource", first.get("EventSource")) if isinstance(first, Mapping) else None
    if not isinstance(name, str) or name not in known:
        raise UnknownEventShape(f"{where} has the eventSource {name!r}, which carries no changes")
    source = known[name]
    return _FIFO_QUEUE if source is _QUEUE and str(first.get("eventSourceARN")).endswith(".fifo") else source


def _identifiers(source: Source, records: list[Any]) -> list[str]:
    identify, event_source = source.identify, source.event_source
    try:
        found = [identify(record) for record in records if not event_source or record["eventSource"] == event_source]
        if len(found) == len(records) and all(found) and {str}.issuperset(map(type, found)):
            return found
    except (KeyError, TypeError, AttributeError):
        pass
    index = next(index for index, record in enumerate(records) if not _is_identified(source, record))
    raise UnknownEventShape(f"record {index} is not one of {source.name}: {outline(records[index])}")


def _is_identified(source: Source, record: Any) -> bool:
    try:
        identifier = source.identify(record)
        is_of_the_source = not source.event_source or record["eventSource"] == source.event_source
    except (KeyError, TypeError, AttributeError):
        return False
    return is_of_the_source and isinstance(identifier, str) and identifier != ""


def unwrapped(record: Any, claim_check: ClaimCheck | None = None) -> Any:
    """Take the change out of everything around it, in the shape of a DynamoDB stream record.

    Around a change there may be an SQS message, a Kinesis record, an SNS notification, an EventBridge event, a claim
    check, and the document of a failure about one record, in any order; a snapshot and what an export has of an item
    have their origin's name around them.

    Raises:
        UnknownEventShape: One of them is damaged, or holds more than one change.
    """
    replayed = False
    while True:
        match record:
            case {"eventSource": "aws:sqs"}:
                record = _object(record.get("body"), "the message's body")
            case {"eventSource": "aws:kinesis"}:
                record = _data(record)
            case {"EventSource": "aws:sns", "Sns": Mapping() as notification}:
                record = _object(notification.get("Message"), "the notification's Message")
            case {"Type": "Notification", "TopicArn": _}:
                record = _object(record.get("Message"), "the notification's Message")
            case {"snapshot": Mapping() as snapshot}:
                return {**snapshot, "origin": "snapshot"}
            case {"export": Mapping() as change}:
                return {**change, "origin": "export"}
            case {"claimCheck": ticket}:
                record = _fetched(ticket, claim_check)
            case Mapping() if _is_of_a_bus(record):
                replayed |= "replay-name" in record
                record = record["detail"]
            case Mapping() if failure_document.is_failure_document(record):
                replayed = True
                record = _only_record(_event_in(record))
            case Mapping():
                return {**_without_kinesis(record), "origin": "replay"} if replayed else _without_kinesis(record)
            case _:
                raise UnknownEventShape(f"expected a change, got {outline(record)}")


def _is_of_a_bus(event: Mapping[str, Any]) -> bool:
    return "detail-type" in event and "detail" in event


def _data(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a Kinesis record holds; a pipe has `data` beside the record's other members."""
    nested = record.get("kinesis", record)
    data = nested.get("data") if isinstance(nested, Mapping) else None
    try:
        text = base64.b64decode(data or "", validate=True)
    except (TypeError, ValueError):
        raise UnknownEventShape("the record's data is not base64") from None
    return _object(text, "the record's data")


def _fetched(ticket: Any, claim_check: ClaimCheck | None) -> Any:
    if claim_check is None and not is_in_s3(ticket):
        raise UnknownEventShape("the message is a claim check: give the consumer claim_check=, which fetches it")
    content = (claim_check or fetch)(ticket)
    return content if isinstance(content, Mapping) else _object(content, "what the claim check stands for")


def _only_record(event: Mapping[str, Any]) -> Any:
    records = event.get("Records")
    if not isinstance(records, list) or len(records) != 1:
        raise UnknownEventShape(
            "the document of a failure holds several records, and a message must hold one: invoke the function with "
            "the document itself"
        )
    return records[0]


def _without_kinesis(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a record of Kinesis Data Streams *for DynamoDB* in the shape of a stream record; others as they are.

    It has no sequence number, always both images, the time in milliseconds or microseconds, and binaries in base64
    twice (docs/aws-semantics.md §4).
    """
    dynamodb = record.get("dynamodb")
    if record.get("recordFormat") != "application/json" or not isinstance(dynamodb, Mapping):
        return record
    plain = {name: _binaries_once(value) for name, value in dynamodb.items()}
    plain["StreamViewType"] = "NEW_AND_OLD_IMAGES"
    time = dynamodb.get("ApproximateCreationDateTime")
    if isinstance(time, int):
        plain["ApproximateCreationDateTime"] = time / (1_000_000 if time > 10**14 else 1_000)
    return {**record, "dynamodb": plain}


def _binaries_once(value: Any) -> Any:
    """Take one of the two layers of base64 off every binary in a value."""
    if isinstance(value, list):
        return [_binaries_once(member) for member in value]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        if isinstance(binary := value.get("B"), str):
            return {"B": base64.b64decode(binary).decode()}
        if isinstance(binaries := value.get("BS"), list):
            return {"BS": [base64.b64decode(member).decode() for member in binaries]}
    return {name: _binaries_once(member) for name, member in value.items()}


def _object(text: Any, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        raise UnknownEventShape(f"{where} is not JSON") from None
    if not isinstance(value, dict):
        raise UnknownEventShape(f"{where} is {outline(value)}, not an object")
    return value


def outline(value: Any) -> str:
    """Describe a value without its content."""
    if isinstance(value, Mapping):
        return f"an object with the keys {sorted(map(str, value))}"
    return f"a {type(value).__name__}"


def _any_identity(record: Mapping[str, Any]) -> Any:
    """Return the identity of a record that may be of any kind of delivery, as replayed ones are."""
    if "Sns" in record:
        return record["Sns"]["MessageId"]
    return record.get("eventID") or record.get("messageId") or record["id"]


_STREAM: Final = Source(
    "a DynamoDB stream", "aws:dynamodb", lambda record: record["dynamodb"]["SequenceNumber"], is_wrapped=False
)
# A pipe wants the event id where a mapping wants the sequence number (docs/aws-semantics.md §3.5).
_PIPE: Final = Source("a DynamoDB pipe", "aws:dynamodb", lambda record: record["eventID"], is_wrapped=False)
_KINESIS: Final = Source("Kinesis", "aws:kinesis", lambda record: record["kinesis"]["sequenceNumber"])
_KINESIS_PIPE: Final = Source("a Kinesis pipe", "aws:kinesis", lambda record: record["eventID"])
# A standard queue keeps no order, so no message waits for another: each is a group of its own.
_QUEUE: Final = Source(
    "SQS", "aws:sqs", lambda message: message["messageId"], group=lambda message: message["messageId"]
)
_FIFO_QUEUE: Final = Source(
    "SQS FIFO",
    "aws:sqs",
    lambda message: message["messageId"] if isinstance(message["attributes"]["MessageGroupId"], str) else None,
    group=lambda message: message["attributes"]["MessageGroupId"],
    is_fifo=True,
)
# No one reads the answer of an asynchronous invocation, which these three are.
_REPLAY: Final = Source("a replayed batch", "", _any_identity, is_answered=False)
_BUS: Final = Source("an event bus", "", lambda event: event["id"], is_answered=False)
_TOPIC: Final = Source("an SNS topic", "", lambda record: record["Sns"]["MessageId"], is_answered=False)

_BY_EVENT_SOURCE: Final = {
    **{source.event_source: source for source in (_STREAM, _KINESIS, _QUEUE)},
    "aws:sns": _TOPIC,
}
_BY_PIPED_EVENT_SOURCE: Final = {source.event_source: source for source in (_PIPE, _KINESIS_PIPE, _QUEUE)}
