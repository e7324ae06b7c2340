"""Outputs that a program still waits for, handed to Pulumi's SDK a few at a time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

#: Outputs that are waited for at a time.
AT_A_TIME = 16


class PendingOutputs(set["asyncio.Future[Any]"]):
    """The set in which the SDK keeps the outputs that are not computed yet.

    At a program's end the SDK takes all of them, waits for the first one and puts the others back, until none is left.
    Each of these waits registers with every output, so that the time grows with the square of their number: a program
    of 400 resources spends half of its time so. Here the SDK takes a few at a time, and has awaited all of them as well
    in the end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._taken: list[asyncio.Future[Any]] = []

    def __iter__(self) -> Iterator[asyncio.Future[Any]]:
        """Iterate over the next few."""
        self._taken = list(itertools.islice(super().__iter__(), AT_A_TIME))
        return iter(self._taken)

    def clear(self) -> None:
        """Remove those that were taken last."""
        self.difference_update(self._taken)
        self._taken = []
