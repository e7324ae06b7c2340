"""Message attributes of SQS: their digest, and their form in a record (docs/aws-semantics.md, ESM-SQS-3)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

#: Attributes by name, with the members of ReceiveMessage's answer.
Attributes = Mapping[str, Mapping[str, Any]]


def md5_of(attributes: Attributes) -> str:
    """Return MD5OfMessageAttributes.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html

    >>> md5_of({"kind": {"DataType": "String", "StringValue": "order"}})
    '8cc3ab13200b21b0d17b28c4d98ec74a'
    """
    digest = hashlib.md5(usedforsecurity=False)
    for name, attribute in sorted(attributes.items()):
        binary = attribute.get("BinaryValue")
        value = attribute.get("StringValue", "").encode() if binary is None else binary
        for part in (name.encode(), attribute["DataType"].encode()):
            digest.update(len(part).to_bytes(4, "big") + part)
        digest.update(b"\1" if binary is None else b"\2")
        digest.update(len(value).to_bytes(4, "big") + value)
    return digest.hexdigest()


def as_record_attributes(attributes: Attributes) -> dict[str, dict[str, Any]]:
    """Return the messageAttributes of a record. Numbers lose the zeros at their ends."""
    return {name: _attribute(attribute) for name, attribute in attributes.items()}


def _attribute(attribute: Mapping[str, Any]) -> dict[str, Any]:
    kind, value = attribute["DataType"], dict[str, Any]()
    if "StringValue" in attribute:
        text = attribute["StringValue"]
        value["stringValue"] = _normalised(text) if kind.partition(".")[0] == "Number" else text
    if "BinaryValue" in attribute:
        value["binaryValue"] = base64.b64encode(attribute["BinaryValue"]).decode()
    return {**value, "stringListValues": [], "binaryListValues": [], "dataType": kind}


def _normalised(number: str) -> str:
    """Return a number without zeros at its ends.

    >>> _normalised("0012.3400"), _normalised("-0.50"), _normalised("1200"), _normalised("1e3"), _normalised("0.0")
    ('12.34', '-0.5', '1200', '1000', '0')
    """
    try:
        value = Decimal(number)
    except InvalidOperation:
        return number
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if value == 0 else text
