"""Suggestions for misspelled names in messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: How alike two names are that may stand for each other, from 0 to 1.
_ALIKE = 0.75


def meant(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, or `None`; upper and lower case count as equal.

    >>> meant("batchsize", ["BatchSize", "Enabled"]), meant("BatchSise", ["BatchSize"]), meant("x", ["BatchSize"])
    ('BatchSize', 'BatchSize', None)
    """
    folded = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=_ALIKE)
    return folded[found[0]] if found else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: a question, or nothing.

    >>> suggestion("BatchSise", ["BatchSize"])
    ', did you mean BatchSize?'
    """
    found = meant(name, known)
    return "" if found is None else f", did you mean {found}?"
