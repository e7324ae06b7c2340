"""Pasted answers of AWS in a scenario: a mapping or pipe as it is described, an event or a failure document as records.

Members that are no settings are skipped, and each skip has a line that says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

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
_DOCUMENTS = frozenset(("Records", "payload", *_RANGES))
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
    skipped: dict[str, None] = {}
    is_pasted = isinstance(given, Mapping) or any(_holds_records(each) for each in given)
    records = [*_records_in(given, skipped)]
    pasted.document["records"] = [_as_lambda_shows(record) for record in records]
    if skipped:
        pasted.skipped.append(f"records: skipped, because they are no records: {', '.join(skipped)}")
    if is_pasted:
        _take_source(pasted, records)


def _take_source(pasted: Pasted, records: list[Any]) -> None:
    """Read from the records' own source if the mapping names none."""
    mapping = pasted.document.get("eventSourceMapping")
    if not isinstance(mapping, Mapping) or "EventSourceArn" in mapping:
        return
    arns = {record.get("eventSourceARN") for record in records if isinstance(record, Mapping)}
    if len(arns) == 1 and isinstance(arn := arns.pop(), str):
        pasted.document["eventSourceMapping"] = {**mapping, "EventSourceArn": arn}
        pasted.skipped.append(f"eventSourceMapping.EventSourceArn: taken from the records: {arn}")


def _records_in(value: Any, skipped: dict[str, None]) -> Iterator[Any]:
    """Yield the records in an event, a failure document, an answer of GetRecords, or a list of such."""
    if isinstance(value, list):
        for each in value:
            yield from _records_in(each, skipped) if _holds_records(each) else (each,)
    elif isinstance(value, Mapping) and "Records" in value:
        skipped.update(dict.fromkeys(name for name in value if name != "Records"))
        yield from _records_in(value["Records"], skipped)
    elif isinstance(value, Mapping) and "payload" in value:
        skipped.update(dict.fromkeys(name for name in value if name != "payload"))
        yield from _records_in(_parsed(value["payload"]), skipped)
    elif isinstance(value, Mapping) and _range_of(value) is not None:
        raise NoRecords(f"records: {_range_of(value)}")
    else:
        yield value


def _holds_records(value: Any) -> bool:
    return isinstance(value, Mapping) and not _DOCUMENTS.isdisjoint(value)


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


def _parsed(payload: Any) -> Any:
    if not isinstance(payload, str):
        return payload
    try:
        return json.loads(payload)
    except ValueError as error:
        raise NoRecords(f"records: the payload of the document is not JSON: {error}") from error


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
