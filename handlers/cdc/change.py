"""`Change`: one item-level change, as a consumer sees it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, overload

from handlers.cdc.attribute_values import Wire, decode, same
from handlers.cdc.image import Image

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # for `default`, which typing has from Python 3.13 on

    T_co = TypeVar("T_co", covariant=True, default=Image)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

Model = TypeVar("Model")

EventName = Literal["INSERT", "MODIFY", "REMOVE"]
#: The way a change reached the consumer: from the stream, from a walk over the table or a full export of it, from an
#: incremental export, or redelivered on request.
Origin = Literal["stream", "snapshot", "export", "replay"]
ImageName = Literal["OldImage", "NewImage"]

#: A place in an item: a string such as `"address.city"` or `"tags[0]"`, or a tuple whose members are map keys (`str`)
#: and list indexes (`int`). Use the tuple for attribute names that contain a dot or a bracket.
Path = str | Sequence[str | int]
#: The attribute in which writers to a global table store their Region, for `Change.origin_region`.
ORIGIN_REGION: Final = "originRegion"


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


class Change(Generic[T_co]):
    """One item-level change: the content of a stream record in native Python values.

    Images are decoded when they are read. docs/aws-semantics.md §1.3 has the shape of a record.

    Args:
        record: The record in the shape that Lambda delivers it from a DynamoDB stream.
        model: Called with an image; its result is what `old` and `new` return. The image itself by default.
            `Change[User]` is a change whose images are `User`s.

    Example:
        >>> from handlers.cdc.testing import change
        >>> upgrade = change(old={"userId": "u1", "plan": "free"}, new={"userId": "u1", "plan": "pro"})
        >>> upgrade.event_name, upgrade.changed("plan"), upgrade.item["plan"]
        ('MODIFY', True, 'pro')
    """

    __slots__ = ("_dynamodb", "_model", "_new", "_old", "_record")

    def __init__(self, record: Mapping[str, Any], *, model: Callable[[Image], T_co] | None = None) -> None:
        self._record = record
        self._dynamodb: Mapping[str, Any] = record["dynamodb"]
        self._model = model
        self._old: Any = _NOT_READ
        self._new: Any = _NOT_READ

    def __repr__(self) -> str:
        # Identity only: a repr ends up in logs, and content does not belong there.
        return f"<Change {self.event_name} {self.event_id} {self.sequence_number or self.origin}>"

    @property
    def record(self) -> Mapping[str, Any]:
        """The record, in the shape that Lambda delivers it from a DynamoDB stream."""
        return self._record

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
        """The way the change got here: `stream`, `snapshot` (an item of the table), `export` or `replay`.

        One of origin `export` stands for all changes of its item within a window: `old` is the item before them, `new`
        after them, and what lay between is not known (docs/guides/backfill.md).
        """
        return self._record.get("origin", "stream")

    @property
    def history_until(self) -> int | None:
        """The time before which effects are history, in seconds since 1970; `None` unless a backfill sent the change.

        `EffectLedger.once` only marks the effects of such a change as done (docs/guides/backfill.md).
        """
        return self._record.get("historyUntil")

    @property
    def sequence_number(self) -> str | None:
        """The stream's sequence number in decimal digits. Compare as `int`: lengths vary inside one shard.

        `None` on routes without sequence numbers: Kinesis Data Streams for DynamoDB, snapshots and exports
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
        """The time of the write, to the second (finer through Kinesis and exports). It orders nothing: use `version`.

        `None` for snapshots, which show the content of a table without its history.
        """
        seconds = self._dynamodb.get("ApproximateCreationDateTime")
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

    @property
    def keys(self) -> Image:
        """The item's primary key."""
        return Image(self._dynamodb["Keys"])

    @property
    def old(self) -> T_co | None:
        """The item before the change: an `Image`, or the consumer's model of one; `None` for an INSERT.

        Raises:
            ImageNotAvailable: The stream's view type carries no old images.
            ImageDoesNotFit: The image does not fit the consumer's model.
        """
        image = self._old
        if image is _NOT_READ:
            self._old = image = self._read("OldImage")
        return image

    @property
    def new(self) -> T_co | None:
        """The item after the change: an `Image`, or the consumer's model of one; `None` for a REMOVE.

        Raises:
            ImageNotAvailable: The stream's view type carries no new images.
            ImageDoesNotFit: The image does not fit the consumer's model.
        """
        image = self._new
        if image is _NOT_READ:
            self._new = image = self._read("NewImage")
        return image

    @property
    def item(self) -> T_co:
        """The item after the change; for a REMOVE, as it was last. Never `None`.

        It hides deletes: code that writes `change.item` somewhere else writes a removed item again. Read it if a
        removal does not matter, or if a condition such as `on.modify` has excluded it; otherwise ask `new`.

        Raises:
            ImageNotAvailable: The stream's view type does not carry the image.
            ImageDoesNotFit: The image does not fit the consumer's model.
        """
        item = self.old if self._record["eventName"] == "REMOVE" else self.new
        if item is None:
            raise ImageNotAvailable(f"the record of {self.event_name} {self.event_id} has no image of the item")
        return item

    @property
    def region(self) -> str:
        """Region of the table whose stream has the record, e.g. `eu-west-1`; empty if the record names none."""
        return self._record.get("awsRegion") or [*self._record.get("eventSourceARN", "").split(":"), "", "", "", ""][3]

    @property
    def origin_region(self) -> str | None:
        """The Region that wrote the item, from its attribute `originRegion`; `None` if it has none.

        On a global table each replica's stream has the writes of every Region, and no record names the writer's
        (docs/aws-semantics.md §1.3). So writers store their own Region in this attribute with every write. A delete
        stores nothing: for a REMOVE this is the Region of the last write before it.

        Raises:
            ImageNotAvailable: The stream's view type does not carry the image that has the attribute.
        """
        value = value_at(self._last_wire(), (ORIGIN_REGION,))
        return None if value is None else value.get("S")

    @property
    def is_from_another_region(self) -> bool:
        """Is true if another Region wrote the item and this record is a replica's; see `origin_region`.

        Raises:
            ImageNotAvailable: The stream's view type does not carry the image that has the attribute.
        """
        return self.origin_region not in (None, self.region)

    @property
    def is_ttl_delete(self) -> bool:
        """Is true if DynamoDB removed the item because its time to live ended (docs/aws-semantics.md §1.3).

        On a global table only the Region in which the time to live ended marks the record: a replicated delete looks
        like anyone's. `had_expired` tells more there.
        """
        identity = self._record.get("userIdentity") or {}
        return (
            self.event_name == "REMOVE"
            and identity.get("type") == "Service"
            and identity.get("principalId") == "dynamodb.amazonaws.com"
        )

    def had_expired(self, attribute: str = "expiresAt") -> bool:
        """Return true for a REMOVE of an item whose time to live had ended.

        So it is true for a replicated delete by time to live, which `is_ttl_delete` cannot see, and also for an item
        that someone deleted after its end and before DynamoDB did. AWS tells these two apart only in the Region in
        which the time to live ended.

        Args:
            attribute: The table's TTL attribute: a number of seconds since 1970.

        Raises:
            ImageNotAvailable: The stream's view type carries no old images.
        """
        if self.event_name != "REMOVE":
            return False
        end = value_at(self.wire("OldImage"), (attribute,))
        removed = self._dynamodb.get("ApproximateCreationDateTime")
        return end is not None and "N" in end and removed is not None and Decimal(end["N"]) <= Decimal(removed)

    @property
    def version(self) -> int | None:
        """The item's `version` attribute, which the API advances with every write; `None` if the item has none.

        It is read from the new image, or from the last one for a REMOVE. It grows across delete and re-create, so it
        orders all changes of one item on every route.

        Raises:
            ImageNotAvailable: The stream's view type does not carry the image that holds it.
        """
        value = value_at(self._last_wire(), ("version",))
        if value is None or "N" not in value:
            return None
        number = Decimal(value["N"])
        return int(number) if number == number.to_integral_value() else None

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

        A removal and an insertion change every attribute that the item has. To compare only items that were there
        before and still are, ask `event_name` first, or declare `on.modify & on.changed(path)`.

        Args:
            path: `"plan"`, `"profile.address.city"`, `"tags[0]"`, or `("tags", 0)` for names with dots or brackets.

        Raises:
            ImageNotAvailable: The stream's view type does not carry both images.
            ValueError: `path` is not one.
        """
        steps = path_steps(path)
        old, new = self.wire("OldImage"), self.wire("NewImage")
        return not same(value_at(old, steps), value_at(new, steps))

    @overload
    def diff(self) -> dict[str, Difference]: ...
    @overload
    def diff(self, *, nested: Literal[True]) -> dict[str | tuple[str | int, ...], Difference]: ...
    @overload
    def diff(self, *, nested: Literal[False]) -> dict[str, Difference]: ...
    def diff(self, *, nested: bool = False) -> Mapping[Any, Difference]:
        """Map the attributes that differ to both values.

        >>> from handlers.cdc.testing import change
        >>> change(old={"id": 1, "plan": "free"}, new={"id": 1, "plan": "pro", "seats": 3}).diff()
        {'plan': Difference(old='free', new='pro'), 'seats': Difference(old=ABSENT, new=Decimal('3'))}
        >>> moved = change(old={"id": 1, "home": {"city": "Bern"}}, new={"id": 1, "home": {"city": "Basel"}})
        >>> moved.diff(nested=True)
        {'home.city': Difference(old='Bern', new='Basel')}

        Args:
            nested: Look into maps and lists, and name each place by its path, in a form that `changed` takes: a
                string, or a tuple if an attribute's name contains a dot or a bracket. Sets are compared as a whole. By
                default only the top-level attributes are compared.

        Raises:
            ImageNotAvailable: The stream's view type does not carry both images.
        """
        old, new = self.wire("OldImage") or {}, self.wire("NewImage") or {}
        if nested:
            return {_path(steps): difference for steps, difference in _differences({"M": old}, {"M": new}, ())}
        return {
            name: Difference(_native(old.get(name)), _native(new.get(name)))
            for name in _names(old, new)
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

    def with_model(self, model: Callable[[Image], Model]) -> Change[Model]:
        """Return the same change, whose `old`, `new` and `item` are what `model` returns for an image."""
        return Change(self._record, model=model)

    def _last_wire(self) -> Mapping[str, Wire] | None:
        return self.wire("OldImage" if self.event_name == "REMOVE" else "NewImage")

    def _read(self, name: ImageName) -> Any:
        wire = self._dynamodb.get(name)
        if wire is None:
            return self.wire(name)  # which is `None` or raises
        return Image(wire) if self._model is None else self._model(Image(wire))


def _request_in(image: Any) -> str | None:
    match image:
        case {"lastRequestId": {"S": str(request)}}:
            return request
        case _:
            return None


def _native(value: Wire | None) -> Any:
    return ABSENT if value is None else decode(value)


def _names(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [*old, *(name for name in new if name not in old)]


def _differences(
    old: Wire | None, new: Wire | None, place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Difference]]:
    if same(old, new):
        return
    if old is not None and new is not None and "M" in old and "M" in new:
        for name in _names(old["M"], new["M"]):
            yield from _differences(old["M"].get(name), new["M"].get(name), (*place, name))
    elif old is not None and new is not None and "L" in old and "L" in new:
        before, after = old["L"], new["L"]
        for index in range(max(len(before), len(after))):
            yield from _differences(
                before[index] if index < len(before) else None,
                after[index] if index < len(after) else None,
                (*place, index),
            )
    else:
        yield place, Difference(_native(old), _native(new))


def _path(steps: tuple[str | int, ...]) -> str | tuple[str | int, ...]:
    if any(isinstance(step, str) and (not step or set(".[]") & set(step)) for step in steps):
        return steps
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)[1:]


_SEGMENT: Final = re.compile(r"([^\[\]]+)((?:\[\d+\])*)")


def path_steps(path: Path) -> tuple[str | int, ...]:
    """Return the steps of a path: names (`str`) and list indexes (`int`).

    >>> path_steps("lines[0].price")
    ('lines', 0, 'price')

    Raises:
        ValueError: The path is empty, has an empty name, begins with an index or has a negative one.
    """
    if isinstance(path, str):
        return _steps_of_text(path)
    steps = tuple(path)
    if not steps or not isinstance(steps[0], str):
        raise ValueError(f"a path begins with an attribute's name, {path!r} does not")
    if "" in steps:
        raise ValueError(f"a path has no empty names in it, {path!r} does")
    if any(isinstance(step, int) and step < 0 for step in steps):
        raise ValueError(f"a list has no negative indexes in DynamoDB, {path!r} has one")
    return steps


@functools.lru_cache(maxsize=1024)
def _steps_of_text(path: str) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    for segment in path.split("."):
        if not segment:
            raise ValueError(f"a path has no empty names in it, {path!r} does")
        parsed = _SEGMENT.fullmatch(segment)
        if parsed is None:
            raise ValueError(
                f"{path!r} is not a path: indexes are whole numbers from 0 in brackets, as in 'tags[0]'; write a name "
                "that contains a dot or a bracket in a tuple, as in ('a.b', 0)"
            )
        steps.append(parsed[1])
        steps.extend(int(index) for index in re.findall(r"\d+", parsed[2]))
    return tuple(steps)


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
