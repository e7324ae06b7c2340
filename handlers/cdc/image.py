"""`Image`: an item as it was before or after a change, decoded attribute by attribute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from handlers.cdc.attribute_values import Wire, decode


class Image(Mapping[str, Any]):
    """A read-only mapping of attribute names to native values; an attribute is decoded when it is first read.

    It equals the `dict` of the same values. Use `dict(image)` for a real `dict`, to change it or to pass it to boto3.

    >>> image = Image({"plan": {"S": "pro"}, "seats": {"N": "3"}})
    >>> image["plan"], image.get("trial"), "seats" in image
    ('pro', None, True)
    >>> dict(image)
    {'plan': 'pro', 'seats': Decimal('3')}
    """

    __slots__ = ("_decoded", "wire")

    def __init__(self, wire: Mapping[str, Wire]) -> None:
        #: The item in DynamoDB's wire format, e.g. `{"plan": {"S": "pro"}}`.
        self.wire = wire
        self._decoded: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        wire = self.wire[name]
        if "S" in wire and len(wire) == 1:  # most values by far, and not worth keeping
            return wire["S"]
        if self._decoded is None:
            self._decoded = {}
        elif name in self._decoded:
            return self._decoded[name]
        value = self._decoded[name] = decode(wire)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self.wire

    def __iter__(self) -> Iterator[str]:
        return iter(self.wire)

    def __len__(self) -> int:
        return len(self.wire)

    def __repr__(self) -> str:
        # Names only: a repr ends up in logs, and content does not belong there.
        return f"<Image with {', '.join(self.wire)}>"
