"""Namespaces: the names under which the keys of a consumer's effects live."""

from __future__ import annotations

from typing import Final

#: Between a namespace and a key.
SEPARATOR: Final = "#"


def check_namespace(name: object) -> str:
    """Return the name itself, if keys can live under it.

    Raises:
        TypeError: It is not text.
        ValueError: It is empty, or has a `#`, so that two consumers could write one key.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a consumer is text, and this one is a {type(name).__name__}")
    if not name or SEPARATOR in name:
        raise ValueError(f"{name!r} cannot be the name of a consumer: effects live under it, so it has text and no #")
    return name
