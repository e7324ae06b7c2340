"""Records of a scenario, and the events that a reader makes of them (docs/simulate.md)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from local.engine.pipes.sources import SourceKind
from local.engine.streams.records import from_kinesis, item_size
from local.simulation.virtual_queue import Kept

_DESCRIPTORS = ("S", "N", "B", "SS", "NS", "BS", "M", "L", "BOOL", "NULL")
_IMAGES = {
    "KEYS_ONLY": (),
    "NEW_IMAGE": ("NewImage",),
    "OLD_IMAGE": ("OldImage",),
    "NEW_AND_OLD_IMAGES": ("NewImage", "OldImage"),
}
#: Members of a record that only some sources have.
_MEMBERS_OF: Mapping[str, tuple[SourceKind, ...]] = {
    **dict.fromkeys(("shard", "eventName", "eventID", "eventVersion"), ("DynamoDB stream", "Kinesis stream")),
    **dict.fromkeys(
        (
            "body",
            "messageId",
            "messageAttributes",
            "attributes",
            "receiptHandle",
            "md5OfBody",
            "md5OfMessageAttributes",
        ),
        ("SQS queue",),
    ),
    "dynamodb": ("DynamoDB stream",),
    "kinesis": ("Kinesis stream",),
    "userIdentity": ("DynamoDB stream",),
    "invokeIdentityArn": ("Kinesis stream",),
}
_EVENT_NAMES: Mapping[SourceKind, tuple[str, ...]] = {
    "DynamoDB stream": ("INSERT", "MODIFY", "REMOVE"),
    "Kinesis stream": ("aws:kinesis:record",),
}

#: Digits of a sequence number at most: Python reads no longer integers.
MOST_DIGITS = 4300
_NUMBER = f"^[0-9]{{1,{MOST_DIGITS}}}$"

#: How far from its start a scenario may reach, in seconds: every time in it stays a valid date.
MOST_SECONDS = 1e9

Item = dict[str, dict[str, Any]]


class Strict(BaseModel):
    """Part of a scenario: an object in which an unknown key is an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel, allow_inf_nan=False)


def check_json(value: Any, otherwise: str = "is not a JSON value") -> Any:
    """Return a value of JSON; `otherwise` is the error for any other value."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PydanticCustomError("json", "{otherwise}", {"otherwise": otherwise}) from error
    return value


def check_base64(text: str) -> str:
    """Return a text that is base64."""
    try:
        base64.b64decode(text, validate=True)
    except ValueError as error:
        raise PydanticCustomError("base64", "is not base64") from error
    return text


class StreamRecordPart(Strict):
    """Member `dynamodb` of a record."""

    model_config = ConfigDict(alias_generator=None)

    ApproximateCreationDateTime: Any = None
    Keys: Item | None = None
    NewImage: Item | None = None
    OldImage: Item | None = None
    SequenceNumber: str | None = Field(default=None, pattern=_NUMBER)
    SizeBytes: int | None = Field(default=None, ge=0)
    StreamViewType: str | None = None

    @field_validator("Keys", "NewImage", "OldImage")
    @classmethod
    def _is_an_item(cls, item: Item | None) -> Item | None:
        for name, value in (item or {}).items():
            if len(value) != 1 or next(iter(value)) not in _DESCRIPTORS:
                raise PydanticCustomError(
                    "item", "attribute {name} is not a DynamoDB value such as {S: text}", {"name": repr(name)}
                )
        try:
            of_texts = None if item is None else {name: _with_numbers_as_text(value) for name, value in item.items()}
            item_size(of_texts or {})
        except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
            raise PydanticCustomError("item", "is not a DynamoDB item: a value does not fit its type") from error
        return of_texts


def _with_numbers_as_text(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value as the stream shows it: YAML's `N: 5` is `N: "5"`, which a filter on "5" matches."""
    ((descriptor, content),) = value.items()
    match descriptor:
        case "N":
            return {"N": _text(content)}
        case "NS":
            return {"NS": [_text(member) for member in content]}
        case "M":
            return {"M": {name: _with_numbers_as_text(member) for name, member in content.items()}}
        case "L":
            return {"L": [_with_numbers_as_text(member) for member in content]}
        case _:
            return {descriptor: content}


def _text(number: Any) -> str:
    if isinstance(number, bool) or not isinstance(number, str | int | float):
        raise TypeError(f"{number!r} is not a number")
    return str(number)


class KinesisPart(Strict):
    """Member `kinesis` of a record; `content` is the data as JSON, for those who do not write base64."""

    approximate_arrival_timestamp: Any = None
    kinesis_schema_version: Literal["1.0"] = "1.0"
    partition_key: str | None = Field(default=None, min_length=1, max_length=256)
    sequence_number: str | None = Field(default=None, pattern=_NUMBER)
    data: str | None = None
    content: Any = Field(default=None, alias="json")

    @field_validator("data")
    @classmethod
    def _is_base64(cls, data: str | None) -> str | None:
        return None if data is None else check_base64(data)

    @field_validator("content")
    @classmethod
    def _is_json(cls, content: Any) -> Any:
        return check_json(content)

    @property
    def content_is_given_twice(self) -> bool:
        """True if both `data` and `json` are there."""
        return {"data", "content"} <= self.model_fields_set

    def encoded(self) -> str:
        """Return the data in base64."""
        if "content" in self.model_fields_set:
            return base64.b64encode(json.dumps(self.content, ensure_ascii=False).encode()).decode()
        return self.data or ""


class MessageAttribute(Strict):
    """Message attribute, as Lambda shows it; its lists are always empty."""

    data_type: str = "String"
    string_value: str | None = None
    binary_value: str | None = None
    string_list_values: list[str] = Field(default=[], max_length=0)
    binary_list_values: list[str] = Field(default=[], max_length=0)

    def sent(self) -> dict[str, Any]:
        """Return the attribute as ReceiveMessage answers it."""
        answer: dict[str, Any] = {"DataType": self.data_type}
        if self.string_value is not None:
            answer["StringValue"] = self.string_value
        if self.binary_value is not None:
            answer["BinaryValue"] = base64.b64decode(self.binary_value)
        return answer

    @field_validator("binary_value")
    @classmethod
    def _is_base64(cls, value: str | None) -> str | None:
        return None if value is None else check_base64(value)


class Attributes(Strict):
    """Attributes of a message; those that SQS makes are replaced."""

    model_config = ConfigDict(alias_generator=None)

    MessageGroupId: str | None = Field(default=None, min_length=1, max_length=128)
    MessageDeduplicationId: str | None = Field(default=None, min_length=1, max_length=128)
    ApproximateReceiveCount: Any = None
    ApproximateFirstReceiveTimestamp: Any = None
    SenderId: Any = None
    SentTimestamp: Any = None
    SequenceNumber: Any = None
    AWSTraceHeader: Any = None
    DeadLetterQueueSourceArn: Any = None


class ScenarioRecord(Strict):
    """Record or message as Lambda shows it, and when it was written; missing members are made up."""

    shard: str | None = None
    at: float = Field(default=0, ge=-MOST_SECONDS, le=MOST_SECONDS)
    visible_at: float | None = Field(default=None, ge=-MOST_SECONDS, le=MOST_SECONDS)
    event_name: Literal["INSERT", "MODIFY", "REMOVE", "aws:kinesis:record"] | None = None
    event_id: str | None = Field(default=None, alias="eventID", min_length=1)
    event_version: str | None = None
    event_source: str | None = None
    aws_region: str | None = None
    event_source_arn: str | None = Field(default=None, alias="eventSourceARN")
    user_identity: dict[str, str] | None = None
    invoke_identity_arn: str | None = None
    dynamodb: StreamRecordPart = StreamRecordPart()
    kinesis: KinesisPart = KinesisPart()
    message_id: str | None = Field(default=None, min_length=1)
    body: Any = ""
    attributes: Attributes = Attributes()
    message_attributes: dict[str, MessageAttribute] = Field(default={})
    receipt_handle: Any = None
    md5_of_body: Any = Field(default=None, alias="md5OfBody")
    md5_of_message_attributes: Any = None

    @field_validator("body")
    @classmethod
    def _is_json(cls, body: Any) -> Any:
        return check_json(body)

    def problems(self, kind: SourceKind) -> Iterator[str]:
        """Yield a line for each member that does not fit the source, with its name in front."""
        for name in sorted(self.model_fields_set & _FOREIGN_FIELDS[kind]):
            article = "an" if kind == "SQS queue" else "a"
            yield f"{type(self).model_fields[name].alias or name}: {article} {kind} has none"
        if self.event_name is not None and self.event_name not in _EVENT_NAMES.get(kind, (self.event_name,)):
            yield f"eventName: is not an event of a {kind}, which has {', '.join(_EVENT_NAMES[kind])}"
        if self.kinesis.content_is_given_twice:
            yield "kinesis: either data or json, which is the same in another form"

    def sequence_number(self, kind: SourceKind) -> str | None:
        """Return the sequence number as it was given."""
        return self.kinesis.sequence_number if kind == "Kinesis stream" else self.dynamodb.SequenceNumber

    def dynamodb_event(
        self, number: str, index: int, *, arrived: float, stream_arn: str, view_type: str
    ) -> dict[str, Any]:
        """Return the record as Lambda shows it, with this number and this place in the scenario."""
        part = self.dynamodb
        keys: Item = part.Keys if part.Keys is not None else {"pk": {"S": f"item-{index + 1}"}}
        images = {
            name: image
            for name, image in (("NewImage", part.NewImage), ("OldImage", part.OldImage))
            if image is not None and name in _IMAGES[view_type]
        }
        size = sum(map(item_size, (keys, *images.values()))) if part.SizeBytes is None else part.SizeBytes
        inferred = "INSERT" if part.OldImage is None else "REMOVE" if part.NewImage is None else "MODIFY"
        event: dict[str, Any] = {
            "eventID": self.event_id or f"{index + 1:032x}",
            "eventName": self.event_name or inferred,
            "eventVersion": self.event_version or "1.1",
            "eventSource": self.event_source or "aws:dynamodb",
            "awsRegion": self.aws_region or stream_arn.split(":")[3],
            "dynamodb": {
                "ApproximateCreationDateTime": arrived,
                "Keys": keys,
                **images,
                "SequenceNumber": number,
                "SizeBytes": size,
                "StreamViewType": view_type,
            },
            "eventSourceARN": stream_arn,
        }
        if self.user_identity is not None:
            event["userIdentity"] = {name[0].lower() + name[1:]: value for name, value in self.user_identity.items()}
        return event

    def kinesis_event(
        self, number: str, index: int, *, arrived: float, stream_arn: str, shard_id: str, role_arn: str
    ) -> dict[str, Any]:
        """Return the record as Lambda shows it, with this number and this place in the scenario."""
        event = from_kinesis(
            partition_key=self.kinesis.partition_key or f"key-{index + 1}",
            sequence_number=number,
            data=self.kinesis.encoded(),
            arrived=arrived,
            shard_id=shard_id,
            stream_arn=stream_arn,
            role_arn=self.invoke_identity_arn or role_arn,
        )
        given = {
            "eventID": self.event_id,
            "eventVersion": self.event_version,
            "eventSource": self.event_source,
            "awsRegion": self.aws_region,
        }
        return {**event, **{name: value for name, value in given.items() if value is not None}}

    def message(self, index: int, *, starts_at: float, fifo: bool) -> Kept:
        """Return the message that is sent, with this place in the scenario."""
        message_id = self.message_id or f"00000000-0000-4000-8000-{index + 1:012x}"
        sent_at = round(starts_at + self.at, 6)
        return Kept(
            message_id=message_id,
            body=self.body if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False),
            attributes={name: attribute.sent() for name, attribute in self.message_attributes.items()},
            group=self.attributes.MessageGroupId,
            deduplication_id=(self.attributes.MessageDeduplicationId or message_id) if fifo else None,
            sent_at=sent_at,
            visible_at=sent_at if self.visible_at is None else round(starts_at + self.visible_at, 6),
        )


#: Fields of a record that a source has not, by its kind.
_FOREIGN_FIELDS: Mapping[SourceKind, frozenset[str]] = {
    kind: frozenset(
        name
        for name, field in ScenarioRecord.model_fields.items()
        if kind not in _MEMBERS_OF.get(field.alias or name, get_args(SourceKind))
    )
    for kind in get_args(SourceKind)
}
