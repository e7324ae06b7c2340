"""Compares counters with the table that they count, and repairs them while both are written.

A scan is no snapshot, and counters follow the table by seconds. So the table is counted in several passes, and only a
difference that all of them show is one; whatever moves is named and left alone. A repair is an addition, as that of
any event: changes that are counted meanwhile stay counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handlers.cdc.counters import Amount, Counters

#: Returns the amounts that an item is counted with.
Amounts = Callable[[Mapping[str, Any]], Mapping[str, Amount]]


@dataclass(frozen=True)
class Difference:
    """A counter that is off.

    Attributes:
        counter: Its name.
        counted: Its value.
        expected: The value by the table's items.
    """

    counter: str
    counted: Amount
    expected: Amount


@dataclass(frozen=True)
class Recount:
    """The result of a comparison.

    Attributes:
        expected: The values by the table's items, in the last pass.
        differences: Counters that every pass found off by the same amount.
        moving: Counters whose difference was another one in each pass, since they are written.
    """

    expected: Mapping[str, Amount]
    differences: Sequence[Difference]
    moving: Sequence[str]


def recount(
    counters: Counters,
    scan: Callable[[], Iterable[Mapping[str, Any]]],
    amounts: Amounts,
    *,
    known: Collection[str] = (),
    passes: int = 3,
    between: Callable[[], None] = lambda: None,
) -> Recount:
    """Compare counters with a table.

    Args:
        counters: The counters.
        scan: Reads all items of the table, once per pass.
        amounts: Returns the amounts that an item is counted with.
        known: Names of counters to look at even if no item is counted by them.
        passes: Number of passes, at least 2.
        between: Called between two passes, to wait until changes of the first are counted.

    Raises:
        ValueError: Fewer than two passes, which cannot tell a difference from a change on its way.
    """
    if passes < 2:
        raise ValueError(f"passes={passes}: it takes two to tell a difference from a change that is on its way")
    seen: list[dict[str, Amount]] = []
    expected: dict[str, Amount] = {}
    counted: dict[str, Amount] = {}
    for number in range(passes):
        if number:
            between()
        expected = dict.fromkeys([*known, *expected], 0)
        for item in scan():
            for counter, amount in amounts(item).items():
                expected[counter] = expected.get(counter, 0) + amount
        counted = {counter: counters.read(counter) for counter in sorted(expected)}
        seen.append({counter: expected[counter] - value for counter, value in counted.items()})
    missing = {counter: {each.get(counter, 0) for each in seen} for counter in sorted(expected)}
    return Recount(
        expected,
        [
            Difference(counter, counted[counter], expected[counter])
            for counter, found in missing.items()
            if len(found) == 1 and found != {0}
        ],
        [counter for counter, found in missing.items() if len(found) > 1],
    )


def repair(counters: Counters, differences: Sequence[Difference], run: str) -> bool:
    """Add what counters lack, or subtract what they have too much, in one transaction.

    Args:
        counters: The counters.
        differences: The differences, at most 99.
        run: A name of this recount. Under the same name it repairs once, so that a lost answer can be tried again.

    Returns:
        True if it was repaired now, `False` if this run had been before.
    """
    return counters.add(f"recount:{run}", {each.counter: each.expected - each.counted for each in differences})
