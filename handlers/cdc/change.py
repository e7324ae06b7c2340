"""`Change`: one item-level change, as a consumer sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

from handlers.cdc.attribute_values import Wire, decode, decode_item, same

EventName = Literal["INSERT", "MODIFY", "REMOVE"]

#: Where in an item: a dotted string, or a tuple whose members are map keys (`str`) and list indexes (`int`).
#: Use the tuple for attribute names that contain a dot.
Path = str | Sequence[str | int]


class _Absent:
    """The value of an attribute that is not there (`None` is DynamoDB's NULL, which is a value)."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> Literal[False]:
        return False


ABSENT: Final = _Absent()


class Difference(NamedTuple):
    """Both values of one attribute that differs; `ABSENT` where an image lacks it."""

    old: Any
    new: Any


class ImageNotAvailable(LookupError):
    """An image was asked for that the table's stream view type does not carry."""


_CARRIES_NEW = {"NEW_IMAGE", "NEW_AND_OLD_IMAGES"}
_CARRIES_OLD = {"OLD_IMAGE", "NEW_AND_OLD_IMAGES"}


class Change:
    """One item-level change: what a stream record says, in native Python values.

    Images are decoded when they are first read. The shape of a record: docs/aws-semantics.md §1.3.

    Example:
        >>> from handlers.cdc.testing import change
        >>> upgrade = change(old={"userId": "u1", "plan": "free"}, new={"userId": "u1", "plan": "pro"})
        >>> upgrade.event_name, upgrade.changed("plan"), upgrade.new["plan"]
        ('MODIFY', True, 'pro')
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record = record
        self._dynamodb: Mapping[str, Any] = record["dynamodb"]

    def __repr__(self) -> str:
        # Identity only: a repr ends up in logs, and content does not belong there.
        return f"<Change {self.event_name} {self.event_id} {self.sequence_number}>"

    @property
    def event_name(self) -> EventName:
        """`INSERT`, `MODIFY` or `REMOVE`."""
        return self._record["eventName"]

    @property
    def event_id(self) -> str:
        """Unique per stream record and the same at every delivery of it."""
        return self._record["eventID"]

    @property
    def sequence_number(self) -> str:
        """Decimal digits, as they came. Compare as `int`: lengths vary inside one shard."""
        return self._dynamodb["SequenceNumber"]

    @property
    def table_name(self) -> str:
        """Name of the table, from the stream's ARN."""
        return self._record["eventSourceARN"].split("/")[1]

    @property
    def approximate_creation_time(self) -> datetime:
        """When DynamoDB wrote the change, to the second. Not an order: use `version`."""
        return datetime.fromtimestamp(self._dynamodb["ApproximateCreationDateTime"], UTC)

    @cached_property
    def keys(self) -> dict[str, Any]:
        """The item's primary key."""
        return decode_item(self._dynamodb["Keys"])

    @cached_property
    def old(self) -> Any:
        """The item before the change: a `dict`, or `None` for an INSERT.

        Raises:
            ImageNotAvailable: The stream's view type carries no old images.
        """
        image = self._image("OldImage", _CARRIES_OLD)
        return None if image is None else decode_item(image)

    @cached_property
    def new(self) -> Any:
        """The item after the change: a `dict`, or `None` for a REMOVE.

        Raises:
            ImageNotAvailable: The stream's view type carries no new images.
        """
        image = self._image("NewImage", _CARRIES_NEW)
        return None if image is None else decode_item(image)

    @property
    def is_ttl_delete(self) -> bool:
        """Whether DynamoDB removed the item because its time to live ended (docs/aws-semantics.md §1.3)."""
        identity = self._record.get("userIdentity") or {}
        return (
            self.event_name == "REMOVE"
            and identity.get("type") == "Service"
            and identity.get("principalId") == "dynamodb.amazonaws.com"
        )

    @property
    def version(self) -> int | None:
        """The item's `version` attribute, which the API advances with every write; `None` where it has none.

        Of the new image, or of the last one for a REMOVE. Grows across delete and re-create, so it orders all
        changes of one item on every route.
        """
        name, carries = ("OldImage", _CARRIES_OLD) if self.event_name == "REMOVE" else ("NewImage", _CARRIES_NEW)
        value = _at(self._image(name, carries), ("version",))
        return int(value["N"]) if value is not None and "N" in value else None

    def changed(self, path: Path) -> bool:
        """Whether the value at `path` differs between the two images; appearing and vanishing are differences.

        Args:
            path: `"plan"`, `"profile.address.city"`, or `("tags", 0)` for list indexes and names with dots.

        Raises:
            ImageNotAvailable: The stream's view type does not carry both images.
        """
        steps = tuple(path.split(".")) if isinstance(path, str) else tuple(path)
        old = self._image("OldImage", _CARRIES_OLD)
        new = self._image("NewImage", _CARRIES_NEW)
        return not same(_at(old, steps), _at(new, steps))

    def diff(self) -> dict[str, Difference]:
        """The top-level attributes whose values differ, by name.

        >>> from handlers.cdc.testing import change
        >>> change(old={"id": 1, "plan": "free"}, new={"id": 1, "plan": "pro", "seats": 3}).diff()
        {'plan': Difference(old='free', new='pro'), 'seats': Difference(old=ABSENT, new=Decimal('3'))}

        Raises:
            ImageNotAvailable: The stream's view type does not carry both images.
        """
        old = self._image("OldImage", _CARRIES_OLD) or {}
        new = self._image("NewImage", _CARRIES_NEW) or {}
        return {
            name: Difference(_native(old.get(name)), _native(new.get(name)))
            for name in (*old, *(name for name in new if name not in old))
            if not same(old.get(name), new.get(name))
        }

    def _image(self, name: Literal["OldImage", "NewImage"], carried_by: set[str]) -> Mapping[str, Wire] | None:
        view_type = self._dynamodb.get("StreamViewType")
        if view_type not in carried_by:
            raise ImageNotAvailable(
                f"the stream's view type is {view_type}, which carries no {name}: "
                f"choose one of {', '.join(sorted(carried_by))} for the table (NEW_AND_OLD_IMAGES carries both)"
            )
        return self._dynamodb.get(name)


def _native(value: Wire | None) -> Any:
    return ABSENT if value is None else decode(value)


def _at(image: Mapping[str, Wire] | None, steps: Sequence[str | int]) -> Wire | None:
    """The wire value at a path of an image; `None` where there is none."""
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
