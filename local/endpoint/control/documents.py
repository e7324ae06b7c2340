"""JSON documents that the control API receives: only what cannot break the endpoint passes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn, cast


def document_of(body: bytes, members: str) -> dict[str, Any]:
    """Parse a request's body.

    Args:
        body: The body; an empty one is an empty object.
        members: The members that the object may have, separated by spaces.

    Raises:
        ValueError: It is not such an object.
    """
    try:
        document = json.loads(body or b"{}", parse_constant=_refuse_constant)
    except RecursionError as deep:
        raise ValueError("the document is nested too deeply") from deep
    except UnicodeDecodeError as other:
        raise ValueError("the document is not UTF-8") from other
    except json.JSONDecodeError as wrong:
        raise ValueError(f"the document is not JSON: {wrong}") from wrong
    if not isinstance(document, dict):
        raise ValueError(f"the document must be a JSON object, not {document!r:.80}")
    found = cast("dict[str, Any]", document)
    if unknown := sorted(set(found) - set(members.split())):
        raise ValueError(f"the document has no {', '.join(unknown)}: its members are {', '.join(members.split())}")
    return found


def number_of(document: Mapping[str, Any], name: str, *, minimum: float, maximum: float) -> float:
    """Return a member that must be a number in a range.

    Raises:
        ValueError: It is missing, not a number, or out of range.
    """
    if name not in document:
        raise ValueError(f"{name!r} is missing: give a number of seconds")
    value = document[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name!r} must be a number of seconds, not {value!r:.80}")
    if not minimum <= value <= maximum:
        raise ValueError(f"{name!r} must be from {minimum:,.0f} to {maximum:,.0f} seconds, not {value!r:.30}")
    return float(value)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of seconds")
