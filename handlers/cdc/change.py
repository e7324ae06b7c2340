"""`Change`: one item-level change, as a consumer sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple

from handlers.cdc.attribute_values import Wire, decode, same
from handlers.cdc.image import Image

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # for `default`, which typing has from Python 3.13 on

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

EventName = Literal["INSERT", "MODIFY", "REMOVE"]
#: The way a change reached the consumer: from the stream, from a walk over the table, or redelivered on request.
Origin = Literal["stream", "snapshot", "replay"]
ImageName = Literal["OldImage", "NewImage"]

#: A place in an item: a dotted string, or a tuple whose members are map keys (`str`) and list indexes (`int`).
#: Use the tuple for attribute names that contain a dot.
Path = str | Sequence[str | int]


class _Absent:
    """The type of `ABSENT`, the value of a missing attribute (`None` is DynamoDB's NULL, which is a value)."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> Literal[False]:
        return False


ABSENT: Final = _Absent()


class Difference(NamedTuple):
    """The old and the new value of an attribute that differs; `ABSENT` if an image lacks it."""

    old: Any
    new: Any


class ImageNotAvailable(LookupError):
    """The table's stream view type does not carry the image that was read."""


_CARRIED_BY: dict[ImageName, tuple[str, ...]] = {
    "OldImage": ("NEW_AND_OLD_IMAGES", "OLD_IMAGE"),
    "NewImage": ("NEW_AND_OLD_IMAGES", "NEW_IMAGE"),
}
_NOT_READ: Final = object()


class Change(Generic[T]):
    """One item-level change: the content of a stream record in native Python values.

    Images are decoded when they are read. docs/aws-semantics.md §1.3 has the shape of a record.

    Args:
        record: The record in the shape that Lambda delivers it from a DynamoDB stream.
        model: Called with an image; its result is what `old` and `new` return. The image itself by default.
            `Change[User]` is a change whose images are `User`s.

    Example:
        >>> from handlers.cdc.testing import change
        >>> upgrade = change(old={"userId": "u1", "plan": "free"}, new={"userId": "u1", "plan": "pro"})
        >>> upgrade.event_name, upgrade.changed("plan"), upgrade.new["plan"]
        ('MODIFY', True, 'pro')
    """

    __slots__ = ("_dynamodb", "_model", "_new", "_old", "_record")

    def __init__(self, record: Mapping[str, Any], *, model: Callable[[Image], T] | None = None) -> None:
        self._record = record
        self._dynamodb: Mapping[str, Any] = record["dynamodb"]
        self._model = model
        self._old: Any = _NOT_READ
        self._new: Any = _NOT_READ

    def __repr__(self) -> str:
        # Identity only: a repr ends up in logs, and content does not belong there.
        return f"<Change {self.event_name} {self.event_id} {self.sequence_number or self.origin}>"

    @property
    def event_name(self) -> EventName:
        """`INSERT`, `MODIFY` or `REMOVE`."""
        return self._record["eventName"]

    @property
    def event_id(self) -> str:
        """The stream record's identity: unique, and the same at every delivery."""
        return self._record["eventID"]

    @property
    def origin(self) -> Origin:
        """The way the change got here: `stream`, `snapshot` (read from the table) or `replay`."""
        return self._record.get("origin", "stream")

    @property
    def sequence_number(self) -> str | None:
        """The stream's sequence number in decimal digits. Compare as `int`: lengths vary inside one shard.

        `None` on routes without sequence numbers: Kinesis Data Streams for DynamoDB and snapshots
        (docs/aws-semantics.md §4).
        """
        return self._dynamodb.get("SequenceNumber")

    @property
    def table_name(self) -> str:
        """Name of the table; empty if the record's ARN does not name one."""
        name: str | None = self._record.get("tableName")
        # arn:aws:dynamodb:<region>:<account>:table/<name>/stream/<label>
        return [*self._record["eventSourceARN"].split("/"), ""][1] if name is None else name

    @property
    def approximate_creation_time(self) -> datetime | None:
        """The time of the write, to the second (finer through Kinesis). It orders nothing: use `version`.

        `None` for snapshots, which show the content of a table without its history.
        """
        seconds = self._dynamodb.get("ApproximateCreationDateTime")
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

    @property
    def keys(self) -> Image:
        """The item's primary key."""
        return Image(self._dynamodb["Keys"])

    @property
    def old(self) -> T:
        """The item before the change: an `Image`, or the consumer's model of one; `None` for an INSERT.

        Raises:
            ImageNotAvailable: The stream's view type carries no old images.
            ImageDoesNotFit: The image does not fit the consumer's model.
        """
        if self._old is _NOT_READ:
            self._old = self._read("OldImage")
        return self._old

    @property
    def new(self) -> T:
        """The item after the change: an `Image`, or the consumer's model of one; `None` for a REMOVE.

        Raises:
            ImageNotAvailable: The stream's view type carries no new images.
            ImageDoesNotFit: The image does not fit the consumer's model.
        """
        if self._new is _NOT_READ:
            self._new = self._read("NewImage")
        return self._new

    @property
    def is_ttl_delete(self) -> bool:
        """Is true if DynamoDB removed the item because its time to live ended (docs/aws-semantics.md §1.3)."""
        identity = self._record.get("userIdentity") or {}
        return (
            self.event_name == "REMOVE"
            and identity.get("type") == "Service"
            and identity.get("principalId") == "dynamodb.amazonaws.com"
        )

    @property
    def version(self) -> int | None:
        """The item's `version` attribute, which the API advances with every write; `None` if the item has none.

        It is read from the new image, or from the last one for a REMOVE. It grows across delete and re-create, so it
        orders all changes of one item on every route.

        Raises:
            ImageNotAvailable: The stream's view type does not carry the image that holds it.
        """
        value = value_at(self.wire("OldImage" if self.event_name == "REMOVE" else "NewImage"), ("version",))
        return int(value["N"]) if value is not None and "N" in value else None

    @property
    def correlation_id(self) -> str:
        """The id of the request that made the change, else the event's own id.

        The writer stores the id in the item's `lastRequestId`, in the same write. It counts only if this change
        wrote it: a later write that does not touch the attribute did not come from that request.
        """
        written = _request_in(self._dynamodb.get("NewImage"))
        if written is None or written == _request_in(self._dynamodb.get("OldImage")):
            return self.event_id
        return written

    def changed(self, path: Path) -> bool:
        """Compare the values at `path` of the two images; appearing and vanishing are differences.

        Args:
            path: `"plan"`, `"profile.address.city"`, or `("tags", 0)` for list indexes and names with dots.

        Raises:
            ImageNotAvailable: The stream's view type does not carry both images.
        """
        steps = path.split(".") if isinstance(path, str) else path
        old, new = self.wire("OldImage"), self.wire("NewImage")
        return not same(value_at(old, steps), value_at(new, steps))

    def diff(self) -> dict[str, Difference]:
        """Map the names of the top-level attributes that differ to both values.

        >>> from handlers.cdc.testing import change
        >>> change(old={"id": 1, "plan": "free"}, new={"id": 1, "plan": "pro", "seats": 3}).diff()
        {'plan': Difference(old='free', new='pro'), 'seats': Difference(old=ABSENT, new=Decimal('3'))}

        Raises:
            ImageNotAvailable: The stream's view type does not carry both images.
        """
        old, new = self.wire("OldImage") or {}, self.wire("NewImage") or {}
        return {
            name: Difference(_native(old.get(name)), _native(new.get(name)))
            for name in (*old, *(name for name in new if name not in old))
            if not same(old.get(name), new.get(name))
        }

    def wire(self, name: ImageName) -> Mapping[str, Wire] | None:
        """Return an image in DynamoDB's wire format; `None` if the change has none.

        Raises:
            ImageNotAvailable: The stream's view type does not carry it.
        """
        image = self._dynamodb.get(name)
        if image is None and (view_type := self._dynamodb.get("StreamViewType")) not in _CARRIED_BY[name]:
            raise ImageNotAvailable(
                f"the stream's view type is {view_type}, which carries no {name}: "
                f"choose one of {', '.join(_CARRIED_BY[name])} for the table (NEW_AND_OLD_IMAGES carries both)"
            )
        return image

    def _read(self, name: ImageName) -> Any:
        wire = self.wire(name)
        if wire is None:
            return None
        return Image(wire) if self._model is None else self._model(Image(wire))


def _request_in(image: Any) -> str | None:
    match image:
        case {"lastRequestId": {"S": str(request)}}:
            return request
        case _:
            return None


def _native(value: Wire | None) -> Any:
    return ABSENT if value is None else decode(value)


def value_at(image: Mapping[str, Wire] | None, steps: Sequence[str | int]) -> Wire | None:
    """Return the wire value at a path of an image; `None` if there is none."""
    value: Wire | None = None if image is None else {"M": image}
    for step in steps:
        if value is None:
            return None
        if "M" in value:
            value = value["M"].get(step)
        elif "L" in value and str(step).isdecimal():
            members = value["L"]
            value = members[int(step)] if int(step) < len(members) else None
        else:
            return None
    return value
