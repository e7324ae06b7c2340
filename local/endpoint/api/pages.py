"""Pages of lists that the endpoint answers itself. A token is the position of the next page's first item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def page_of(items: Sequence[Item], *, size: int, token: str | None) -> tuple[Sequence[Item], str | None]:
    """Return a page, and the token of the next one; `None` if it is the last.

    >>> page_of("abcde", size=2, token="2")
    ('cd', '4')

    Raises:
        ValueError: The token is not one of this list.
    """
    start = int(token or 0)
    if not 0 <= start <= len(items):
        raise ValueError(token)
    end = start + size
    return items[start:end], str(end) if end < len(items) else None
