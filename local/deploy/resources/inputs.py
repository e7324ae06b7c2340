"""`Inputs`: the inputs of one resource, where what nobody uses is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class NotUsed(ValueError):
    """Inputs that the table has no use for, so that they would be accepted and ignored. The message names them."""


class Inputs:
    """Inputs in wire names. Each is taken by whoever uses it, and `finish` refuses what is left.

    Args:
        values: Plain values, as in `Registration.inputs`.
        autoname: Makes a physical name, as the provider does for a resource that was given none.
        path: Where this block is within the resource's inputs, with a dot at its end.
    """

    def __init__(self, values: Mapping[str, Any], autoname: Callable[[], str], path: str = "") -> None:
        self._values = dict(values)
        self._autoname = autoname
        self._path = path
        self._blocks: list[Inputs] = []

    def take(self, name: str, default: Any = None) -> Any:
        """The input's value, or `default`."""
        return self._values.pop(name, default)

    def name(self, attribute: str = "name") -> str:
        """The physical name: the one that was given, or one made up."""
        return self.take(attribute) or self._autoname()

    def block(self, name: str) -> Inputs | None:
        """A nested block, or `None`."""
        values = self.take(name)
        return None if values is None else self._nested(values, name)

    def blocks(self, name: str) -> list[Inputs]:
        """A list of nested blocks, empty when not given."""
        return [self._nested(values, f"{name}[{index}]") for index, values in enumerate(self.take(name, []))]

    def members(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Those of `names` (wire name to AWS's own) that were given, under AWS's names."""
        return {member: self.take(wire) for wire, member in names.items() if wire in self._values}

    def finish(self) -> None:
        """Called when the requests are made up and before the first is sent.

        Raises:
            NotUsed: Some input was not taken.
        """
        left = sorted(self._left())
        if left:
            raise NotUsed(
                f"{', '.join(left)} would be ignored, because local/deploy/resources does not know what to do with it: "
                "leave it out on this machine, or teach it there"
            )

    def _nested(self, values: Mapping[str, Any], name: str) -> Inputs:
        nested = Inputs(values, self._autoname, f"{self._path}{name}.")
        self._blocks.append(nested)
        return nested

    def _left(self) -> Iterator[str]:
        yield from (f"{self._path}{name}" for name in self._values)
        for nested in self._blocks:
            yield from nested._left()
