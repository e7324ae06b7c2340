"""Pasted answers of AWS in a scenario: a mapping or pipe as it is described, an event or a failure document as records.

A document in a queue's message or a topic's notification is unwrapped, unless a queue is what the scenario reads.
Members that are no settings are skipped, and each skip has a line that says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

#: Members that GetEventSourceMapping adds to the settings, and DescribePipe to a pipe's.
_ANSWERED: Mapping[str, tuple[str, ...]] = {
    "eventSourceMapping": (
        "UUID",
        "EventSourceMappingArn",
        "LastModified",
        "LastProcessingResult",
        "State",
        "StateTransitionReason",
        "FilterCriteriaError",
        "ResponseMetadata",
    ),
    "pipe": ("Arn", "CreationTime", "CurrentState", "LastModifiedTime", "StateReason", "ResponseMetadata"),
}
#: Members that name the range of a failure document's records, and those of every document that stands for records.
_RANGES = ("DDBStreamBatchInfo", "KinesisBatchInfo")
_DOCUMENTS = frozenset(("Records", "Messages", "MessageId", "Sns", "payload", *_RANGES))
#: Members of a message in ReceiveMessage's answer, and their names in Lambda's event.
_RECEIVED = {"MessageId": "messageId", "Body": "body", "Attributes": "attributes"}
#: Members of Kinesis's records that stand under `kinesis` in Lambda's, and at the top in a pipe's.
_KINESIS = ("kinesisSchemaVersion", "partitionKey", "sequenceNumber", "data", "approximateArrivalTimestamp")
#: The same members in GetRecords, which answers them in capitals.
_GET_RECORDS = {"PartitionKey": "partitionKey", "SequenceNumber": "sequenceNumber", "Data": "data"}


class NoRecords(ValueError):
    """Document that was pasted as records and holds none. The message says where they are."""


@dataclass
class Pasted:
    """A scenario's document after its pasted parts were taken.

    Attributes:
        document: The scenario's document, with settings and records alone.
        skipped: A line for everything that was skipped or taken from elsewhere.
    """

    document: dict[str, Any]
    skipped: list[str] = field(default_factory=list[str])


def without_answers(document: Mapping[str, Any]) -> Pasted:
    """Take the settings and records out of what was pasted.

    Raises:
        NoRecords: A document that was pasted as records names their range alone.
    """
    pasted = Pasted(dict(document))
    for section in _ANSWERED:
        if isinstance(pasted.document.get(section), Mapping):
            _take_settings(pasted, section)
    if isinstance(pasted.document.get("records"), Mapping | list):
        _take_records(pasted)
    return pasted


def _take_settings(pasted: Pasted, section: str) -> None:
    answer: dict[str, Any] = dict(pasted.document[section])
    is_answer = any(name in answer for name in ("UUID", "EventSourceMappingArn", "CurrentState"))
    skipped = [name for name in _ANSWERED[section] if name in answer]
    if section == "eventSourceMapping" and "FunctionArn" in answer:
        answer.setdefault("FunctionName", answer.pop("FunctionArn"))
    if is_answer and "KMSKeyArn" in answer:
        # It encrypts the filter criteria and changes no delivery.
        skipped.append("KMSKeyArn")
    if skipped:
        pasted.skipped.append(f"{section}: skipped, because they are no settings: {', '.join(skipped)}")
    if answer.get("State") in ("Disabled", "Disabling") and "Enabled" not in answer:
        pasted.skipped.append(f"{section}: simulated as enabled; Enabled: false simulates one that is not")
    pasted.document[section] = {name: value for name, value in answer.items() if name not in skipped}


def _take_records(pasted: Pasted) -> None:
    given: Any = pasted.document["records"]
    reader = _Reader(_source(pasted.document))
    is_pasted = isinstance(given, Mapping) or any(reader.is_wrapped(each) for each in given)
    records = [*reader.records_in(given)]
    pasted.document["records"] = [_as_lambda_shows(record) for record in records]
    if reader.skipped:
        pasted.skipped.append(f"records: skipped, because they are no records: {', '.join(reader.skipped)}")
    if is_pasted:
        _take_source(pasted, records)


def _source(document: Mapping[str, Any]) -> str:
    """Return the ARN that a scenario's mapping or pipe reads; empty if it names none."""
    named = [(document.get("eventSourceMapping"), "EventSourceArn"), (document.get("pipe"), "Source")]
    found = [section[member] for section, member in named if isinstance(section, Mapping) and member in section]
    return str(found[0]) if found else ""


def _take_source(pasted: Pasted, records: list[Any]) -> None:
    """Read from the records' own source if the mapping names none."""
    mapping = pasted.document.get("eventSourceMapping")
    if not isinstance(mapping, Mapping) or "EventSourceArn" in mapping:
        return
    arns = {record.get("eventSourceARN") for record in records if isinstance(record, Mapping)}
    if len(arns) == 1 and isinstance(arn := arns.pop(), str):
        pasted.document["eventSourceMapping"] = {**mapping, "EventSourceArn": arn}
        pasted.skipped.append(f"eventSourceMapping.EventSourceArn: taken from the records: {arn}")


@dataclass
class _Reader:
    """Takes records out of what holds them.

    Messages are the records themselves where a queue is read: the scenario names it, or Lambda's event does.

    Attributes:
        source: ARN that the scenario reads; empty if it names none.
        skipped: Names of the members that are no records.
    """

    source: str
    skipped: dict[str, None] = field(default_factory=dict[str, None])

    def records_in(self, value: Any) -> Iterator[Any]:
        """Yield the records in an event, a failure document, an answer, a message or a list of such.

        Raises:
            NoRecords: A document names the range of its records alone, or is not JSON.
        """
        match value:
            case list():
                for each in cast("list[Any]", value):
                    yield from self.records_in(each)
            case {"Records": inner} | {"Messages": inner}:
                yield from self._inner(value, inner, "Records", "Messages")
            case {"payload": inner}:
                yield from self._inner(value, _parsed(inner, "payload of the document"), "payload")
            case {"Sns": {"Message": inner}}:
                yield from self._inner(value, _parsed(inner, "message of the notification"), "Sns")
            case {"Type": "Notification", "Message": inner}:
                yield from self._inner(value, _parsed(inner, "message of the notification"), "Message")
            case {"Body": inner} if not self._of_queue:
                yield from self._inner(value, _parsed(inner, "body of the message"), "Body")
            case {"body": inner} if self._unwraps_events:
                yield from self._inner(value, _parsed(inner, "body of the message"), "body")
            case {"MessageId": _, "Body": _}:
                self._skip(value, *_RECEIVED, "MessageAttributes")
                yield _message(value)
            case Mapping() if (problem := _range_of(value)) is not None:
                raise NoRecords(f"records: {problem}")
            case _:
                yield value

    def is_wrapped(self, value: Any) -> bool:
        """Return whether a value is not a record but holds some."""
        if not isinstance(value, Mapping):
            return False
        return not _DOCUMENTS.isdisjoint(value) or ("body" in value and self._unwraps_events)

    @property
    def _of_queue(self) -> bool:
        return ":sqs:" in self.source

    @property
    def _unwraps_events(self) -> bool:
        """Whether the messages of Lambda's event hold records of another source."""
        return bool(self.source) and not self._of_queue

    def _inner(self, outer: Mapping[str, Any], inner: Any, *taken: str) -> Iterator[Any]:
        self._skip(outer, *taken)
        return self.records_in(inner)

    def _skip(self, outer: Mapping[str, Any], *taken: str) -> None:
        self.skipped.update(dict.fromkeys(name for name in outer if name not in taken))


def _range_of(document: Mapping[str, Any]) -> str | None:
    """Return the message about a document that names a range of records alone."""
    info = next((document[name] for name in _RANGES if name in document), None)
    if not isinstance(info, Mapping):
        return None
    return (
        f"the document names {info.get('batchSize')} records of {info.get('shardId')} and does not hold them, as those "
        "of queues and topics do not: paste the document that a bucket received, or the answer of GetRecords from "
        f"sequence number {info.get('startSequenceNumber')} to {info.get('endSequenceNumber')}"
    )


def _parsed(text: Any, what: str) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise NoRecords(f"records: the {what} is not JSON: {error}") from error


def _message(received: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message of ReceiveMessage's answer in the shape of Lambda's."""
    message = {_RECEIVED[name]: received[name] for name in received if name in _RECEIVED}
    given = received.get("MessageAttributes")
    if isinstance(given, Mapping):
        message["messageAttributes"] = {
            name: {member[0].lower() + member[1:]: each for member, each in value.items()}
            for name, value in cast("Mapping[str, Mapping[str, Any]]", given).items()
        }
    return message


def _as_lambda_shows(record: Any) -> Any:
    """Return a record in the shape of Lambda's: a pipe and GetRecords have the members of Kinesis elsewhere."""
    if not isinstance(record, Mapping):
        return record
    if "PartitionKey" in record and "Data" in record:
        return {"kinesis": {_GET_RECORDS[name]: record[name] for name in record if name in _GET_RECORDS}}
    if "partitionKey" in record and "kinesis" not in record:
        kinesis = {name: record[name] for name in _KINESIS if name in record}
        return {**{name: value for name, value in record.items() if name not in _KINESIS}, "kinesis": kinesis}
    return record
