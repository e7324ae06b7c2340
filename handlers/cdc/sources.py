"""Decoders: from the event that Lambda was given to the changes in it.

One row of `_SOURCES` per kind of delivery says what its records are called in a failure response, which records must
keep their order, and how a change is read out of one. A shape that is not known is an error, never a success: a
handler that quietly returns on an event it does not understand acknowledges records that nobody has processed.
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
    """What this runtime must know about one kind of delivery.

    Attributes:
        name: What delivers, for messages.
        event_source: What its records have under `eventSource`.
        identify: The name that a failure response gives a record.
        open: Reads the change out of a record, in the shape of a DynamoDB stream record.
        group: Records of one group are processed in order and wait for each other; `None`: all are one group.
    """

    name: str
    event_source: str
    identify: Callable[[Any], Any]
    open: Callable[[Mapping[str, Any], ClaimCheck | None], Any]
    group: Callable[[Mapping[str, Any]], str] | None = None


class Batch(NamedTuple):
    """The records of one event, as they came and in their order.

    Attributes:
        source: What delivered them.
        records: The records.
        identifiers: For each record, the name that a failure response must give.
        origin: Set where the event says that it is no ordinary delivery.
        model: As for `Change`.
        claim_check: Fetches what a message stands for, where messages are claim checks.
    """

    source: Source
    records: Sequence[Mapping[str, Any]]
    identifiers: Sequence[str]
    origin: Literal["replay", "snapshot"] | None = None
    model: Callable[[Image], Any] | None = None
    claim_check: ClaimCheck | None = None

    def group(self, index: int) -> str:
        """Return the group of one of the records, if it is a message of a queue."""
        return "" if self.source.group is None else self.source.group(self.records[index])

    def change(self, index: int) -> Change:
        """The change in one of the records.

        Raises:
            UnknownEventShape: There is no change in it.
        """
        record = self.source.open(self.records[index], self.claim_check)
        try:
            known = (
                record["eventName"] in _EVENT_NAMES
                and record["dynamodb"]["Keys"]
                and isinstance(record["eventID"], str)
                and isinstance(record.get("tableName", record.get("eventSourceARN")), str)
            )
        except (KeyError, TypeError):
            known = False
        if not known:
            raise UnknownEventShape(f"record {index} of {self.source.name} holds no change: {outline(record)}")
        return Change(record if self.origin is None else {**record, "origin": self.origin}, model=self.model)


def batch_of(event: Any, model: Callable[[Image], Any] | None = None, claim_check: ClaimCheck | None = None) -> Batch:
    """The records in an event.

    Takes a DynamoDB stream event, an SQS event and a Kinesis event whose records carry changes, the array of an
    EventBridge pipe that reads any of the three, a replayed batch (`{"origin": "replay", "Records": [...]}`, and
    `"snapshot"` likewise), and the document that an on-failure destination in S3 holds.

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
    records = event.get("Records")
    if not isinstance(records, list):
        raise UnknownEventShape(f"expected a list under 'Records', got {outline(event)}")
    if "window" in event:
        raise UnknownEventShape(
            "the event is one of a tumbling window, and this consumer keeps no state for one: make its function with "
            "@windowed (handlers.cdc.windows), or take tumbling_window_in_seconds out of its delivery"
        )
    origin = event.get("origin")
    if origin not in (None, "replay", "snapshot"):
        raise UnknownEventShape(f"the batch has the origin {origin!r}, not 'replay' or 'snapshot'")
    if not records:
        return Batch(_STREAM, (), ())
    source = _source_of(records[0], _BY_EVENT_SOURCE, "Records[0]")
    if source is _STREAM and origin is not None:
        source = _REPLAY
    return Batch(source, records, _identifiers(source, records), origin, model, claim_check)


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
    name = first.get("eventSource") if isinstance(first, Mapping) else None
    if not isinstance(name, str) or name not in known:
        raise UnknownEventShape(f"{where} has the eventSource {name!r}, which carries no changes")
    source = known[name]
    return _FIFO_QUEUE if source is _QUEUE and str(first.get("eventSourceARN")).endswith(".fifo") else source


def _identifiers(source: Source, records: list[Any]) -> list[str]:
    identifiers: list[str] = []
    for index, record in enumerate(records):
        try:
            identifier = source.identify(record) if record["eventSource"] == source.event_source else None
        except (KeyError, TypeError):
            identifier = None
        if not identifier or not isinstance(identifier, str):
            raise UnknownEventShape(f"record {index} is none of {source.name}: {outline(record)}")
        identifiers.append(identifier)
    return identifiers


def _as_it_is(record: Mapping[str, Any], _: ClaimCheck | None) -> Any:
    return record


def _perhaps_from_kinesis(record: Mapping[str, Any], _: ClaimCheck | None) -> Any:
    return _without_kinesis(record)


def _from_body(message: Mapping[str, Any], claim_check: ClaimCheck | None) -> Any:
    """The change in an SQS message's body: raw, in an SNS notification, or behind a claim check."""
    body = _object(message.get("body"), "the message's body")
    if body.get("Type") == "Notification" and "TopicArn" in body:
        body = _object(body.get("Message"), "the notification's Message")
    if "claimCheck" in body:
        if claim_check is None and not is_in_s3(body["claimCheck"]):
            raise UnknownEventShape("the message is a claim check: give the consumer claim_check=, which fetches it")
        fetched = (claim_check or fetch)(body["claimCheck"])
        body = fetched if isinstance(fetched, Mapping) else _object(fetched, "what the claim check stands for")
    return _without_kinesis(body)


def _from_data(record: Mapping[str, Any], _: ClaimCheck | None) -> Any:
    """The change in a Kinesis record's data, which a pipe has beside the record's other members."""
    data = record.get("kinesis", record).get("data")
    try:
        text = base64.b64decode(data, validate=True)
    except (TypeError, ValueError):
        raise UnknownEventShape("the record's data is not base64") from None
    return _without_kinesis(_object(text, "the record's data"))


def _without_kinesis(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record of Kinesis Data Streams *for DynamoDB* in the shape of a stream record; others as they are.

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
    """A value with one of the two layers of base64 taken off every binary in it."""
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
    """What a value is, without what it says."""
    if isinstance(value, Mapping):
        return f"an object with the keys {sorted(map(str, value))}"
    return f"a {type(value).__name__}"


_STREAM: Final = Source(
    "a DynamoDB stream", "aws:dynamodb", lambda record: record["dynamodb"]["SequenceNumber"], _as_it_is
)
# A pipe wants the event id where a mapping wants the sequence number (docs/aws-semantics.md §3.5).
_PIPE: Final = Source("a DynamoDB pipe", "aws:dynamodb", lambda record: record["eventID"], _as_it_is)
# Replayed records and those of a snapshot may have no sequence number.
_REPLAY: Final = Source("a replayed batch", "aws:dynamodb", lambda record: record["eventID"], _perhaps_from_kinesis)
_KINESIS: Final = Source("Kinesis", "aws:kinesis", lambda record: record["kinesis"]["sequenceNumber"], _from_data)
_KINESIS_PIPE: Final = Source("a Kinesis pipe", "aws:kinesis", lambda record: record["eventID"], _from_data)
# A standard queue keeps no order, so no message waits for another: each is a group of its own.
_QUEUE: Final = Source(
    "SQS", "aws:sqs", lambda message: message["messageId"], _from_body, lambda message: message["messageId"]
)
_FIFO_QUEUE: Final = Source(
    "SQS FIFO",
    "aws:sqs",
    lambda message: message["messageId"] if isinstance(message["attributes"]["MessageGroupId"], str) else None,
    _from_body,
    lambda message: message["attributes"]["MessageGroupId"],
)

_BY_EVENT_SOURCE: Final = {source.event_source: source for source in (_STREAM, _KINESIS, _QUEUE)}
_BY_PIPED_EVENT_SOURCE: Final = {source.event_source: source for source in (_PIPE, _KINESIS_PIPE, _QUEUE)}
