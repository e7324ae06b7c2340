"""Messages of a consumer's FIFO queue: the group that keeps an item's order, and the size that one may have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

#: Bytes that one message and one call may hold, where the topic's MaximumMessageSize is at its maximum.
MESSAGE_BYTES: Final = 1_048_576


def group_of(keys: Mapping[str, Any]) -> str:
    """Return the message group of an item: a hash of its key, as SNS and SQS limit a group to 128 characters.

    Args:
        keys: The item's key in DynamoDB's own form, e.g. `{"userId": {"S": "u1"}}`.
    """
    return hashlib.sha256(compact_json(keys).encode()).hexdigest()


def compact_json(value: Any) -> str:
    """Write JSON that a message takes: in ASCII, because SQS takes only some of Unicode, and DynamoDB all of it.

    It is sorted, so that a key has one hash.
    """
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
