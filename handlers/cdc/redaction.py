"""Redaction: attributes that leave an item before it is written where many may read it, or only as a hash."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from handlers.cdc.image_json import to_json
from handlers.cdc.secrets import Secret

_DROPPED: Final = object()


class Redaction:
    """Attributes to drop from an item, and attributes to replace by a hash of their value.

    The variables hold paths that commas separate, e.g. `phone,address.street`. A path goes through maps, and into each
    member of a list on its way. A hash is HMAC-SHA-256 under a secret key: equal values keep equal hashes, and nobody
    without the key finds an address by hashing all addresses.

    Args:
        drop: The environment variable with the paths of what is dropped.
        hashed: The environment variable with the paths of what is hashed.
        key: The secret key of the hashes; it is read only if something is hashed.

    Example:
        >>> os.environ["AUDIT_DROP"] = "phone,address.street"
        >>> redaction = Redaction("AUDIT_DROP", "AUDIT_HASH", key=Secret("AUDIT_HASH_KEY_SECRET"))
        >>> redaction.apply({"id": "u1", "phone": "555", "address": {"street": "Main 1", "city": "Bern"}})
        {'id': 'u1', 'address': {'city': 'Bern'}}
        >>> del os.environ["AUDIT_DROP"]
    """

    def __init__(self, drop: str, hashed: str, *, key: Secret) -> None:
        self._drop = drop
        self._hashed = hashed
        self._key = key

    def apply(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Return a redacted copy of an item, an image or a key.

        Raises:
            RuntimeError: Something is to be hashed, and nothing names the key.
            botocore.exceptions.ClientError: The function may not read the key.
        """
        redacted: Any = dict(item)
        for variable, replace in ((self._drop, lambda _: _DROPPED), (self._hashed, self._hash)):
            for path in filter(None, os.environ.get(variable, "").split(",")):
                redacted = _replaced(redacted, path.split("."), replace)
        return redacted

    def _hash(self, value: Any) -> str:
        digest = hmac.new(self._key.value().encode(), to_json(value).encode(), hashlib.sha256)
        return f"hmac-sha256:{digest.hexdigest()}"


def _replaced(value: Any, steps: list[str], replace: Callable[[Any], Any]) -> Any:
    if isinstance(value, list):
        return [_replaced(member, steps, replace) for member in value]
    name, *rest = steps
    if not isinstance(value, Mapping) or name not in value:
        return value
    replaced = _replaced(value[name], rest, replace) if rest else replace(value[name])
    others = {each: value[each] for each in value if each != name}
    return others if replaced is _DROPPED else {**others, name: replaced}
