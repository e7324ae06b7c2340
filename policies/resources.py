"""Resources as rules read them: typed, tolerant of wrong types, and three-valued about values not known yet.

A property has one of three states: a value, absent (`None`), or unknown, which raises `Awaited` with the property's
name. A rule that does not catch it is not applicable, so that nothing is ever guessed; `some` and `every` combine
questions so that an unknown answer does not hide a known one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pulumi_policy.proxy import UnknownValueError

from policies.not_applicable import Awaited

T = TypeVar("T")


class Block:
    """The properties of a resource, or one block of them, by their names on the wire (`eventSourceArn`).

    Every number arrives as a float. A value of a wrong type reads as absent, except text that spells a number or a
    boolean, which the provider accepts too.

    Args:
        values: The properties, as the SDK hands them to a policy.
        path: The block's place, for messages: `orders.destinationConfig`.
    """

    def __init__(self, values: Mapping[str, Any], path: str) -> None:
        self._values = values
        self.path = path

    def raw(self, key: str) -> Any:
        """Return the value as it came, `None` when it is absent."""
        try:
            return self._values[key]
        except KeyError:
            return None
        except UnknownValueError:
            raise Awaited(f"{self.path}.{key}") from None

    def text(self, key: str) -> str | None:
        """Return a text, `None` also for an empty one: AWS takes `""` for "not set"."""
        value = self.raw(key)
        return value if isinstance(value, str) and value else None

    def number(self, key: str) -> float | None:
        """Return a number."""
        return as_number(self.raw(key))

    def flag(self, key: str) -> bool | None:
        """Return a boolean."""
        value = self.raw(key)
        if isinstance(value, str):
            return {"true": True, "false": False}.get(value.lower())
        return value if isinstance(value, bool) else None

    def block(self, key: str) -> Block:
        """Return a nested block, empty when it is absent; the first one where the provider has a list of one."""
        value = self.raw(key)
        if isinstance(value, Mapping):
            return Block(value, f"{self.path}.{key}")
        return next(self.blocks(key), Block({}, f"{self.path}.{key}"))

    def blocks(self, key: str) -> Iterator[Block]:
        """Yield the blocks of a list."""
        for index, value in enumerate(self.items(key)):
            item = value()
            if isinstance(item, Mapping):
                yield Block(item, f"{self.path}.{key}[{index}]")

    def texts(self, key: str) -> list[str]:
        """Return a list of texts; one text reads as a list of itself."""
        value = self.raw(key)
        if isinstance(value, str):
            return [value]
        found = (item() for item in self.items(key))
        return [item for item in found if isinstance(item, str)]

    def items(self, key: str) -> list[Callable[[], Any]]:
        """Return the elements of a list, each behind a call, because each may be unknown on its own."""
        value = self.raw(key)
        if not isinstance(value, Sequence) or isinstance(value, str):
            return []

        def read(index: int) -> Any:
            try:
                return value[index]
            except UnknownValueError:
                raise Awaited(f"{self.path}.{key}[{index}]") from None

        return [lambda index=index: read(index) for index in range(len(value))]

    def at(self, path: str) -> tuple[Block, str]:
        """Return the block that holds a dotted path's last key, and that key."""
        *blocks, key = path.split(".")
        block = self
        for name in blocks:
            block = block.block(name)
        return block, key

    def given(self, key: str) -> bool:
        """Test whether the property is set, to a known value or to one not known yet; empty ones are not set."""
        try:
            value = self.raw(key)
        except Awaited:
            return True
        return (
            value is not None
            and value not in ("", False)
            and not (isinstance(value, (Sequence, Mapping)) and not value)
        )

    def keys(self) -> list[str]:
        """Return the names of the properties that are set."""
        return list(self._values)


@dataclass(frozen=True)
class Provider:
    """The provider of a resource.

    Attributes:
        props: Its configuration.
        explicit: Whether the program made it, instead of taking the default one.
    """

    props: Block
    explicit: bool


@dataclass(frozen=True, eq=False)
class Resource:
    """One resource of the program.

    Attributes:
        type: Its type token, e.g. `aws:dynamodb/table:Table`.
        urn: Its URN.
        name: Its name in the program.
        props: Its properties: inputs for a rule about one resource, outputs for a rule about the stack.
        links: URNs of the resources that each property was computed from.
        provider: Its provider, when the engine tells it.
    """

    type: str
    urn: str
    name: str
    props: Block
    links: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    provider: Provider | None = None

    @classmethod
    def of(
        cls,
        type_: str,
        urn: str,
        name: str,
        props: Mapping[str, Any],
        links: Mapping[str, Sequence[str]] | None = None,
        provider: Provider | None = None,
    ) -> Resource:
        """Make a resource from the SDK's arguments."""
        return cls(type_, urn, name, Block(props, name), links or {}, provider)

    def tag(self, key: str) -> str | None:
        """Return the value of a tag, of the resource's own or of the provider's default tags."""
        own = self.props.block("tags").text(key)
        return own if own is not None else self.props.block("tagsAll").text(key)


def as_number(value: object) -> float | None:
    """Convert a number, or a text that spells one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def whole(value: float) -> str:
    """Write a number as people do: 3600.0 is 3600."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:g}"


def some(items: Iterable[T], holds: Callable[[T], bool]) -> bool:
    """Test whether one of the items holds, three-valued: one that does decides, even when others await a value.

    Raises:
        Awaited: None is known to hold, and for one it is not known.
    """
    awaited: Awaited | None = None
    for item in items:
        try:
            if holds(item):
                return True
        except Awaited as unknown:
            awaited = awaited or unknown
    if awaited is not None:
        raise awaited
    return False


def every(*questions: Callable[[], bool]) -> bool:
    """Test whether all questions are answered with yes, three-valued: one known no decides.

    Raises:
        Awaited: None is known to be answered with no, and one is not known.
    """
    return not some(questions, lambda question: not question())
