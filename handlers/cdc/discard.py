"""`Discard`: a record that can never succeed is parked with its full content, and the batch goes on.

Everything else that a consumer raises is retried. Parking writes the record where `FAILURE_DESTINATION` says, as a
document like the one that Lambda itself writes to an on-failure destination in S3 (`handlers.cdc.failure_document`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from handlers.cdc.bounded_client import BoundedClient
from handlers.cdc.failure_document import of_consumer
from handlers.cdc.invocation import identity
from handlers.cdc.queues import queue_url

#: ARN of an S3 bucket or of a standard SQS queue.
DESTINATION_VARIABLE = "FAILURE_DESTINATION"
#: Bytes that one SQS message may hold (Amazon SQS API Reference, SendMessage).
SQS_MESSAGE_BYTES: Final = 1_048_576


class Discard(Exception):
    """Raised by a consumer: this record can never succeed, so park it and go on with the next one.

    Args:
        reason: Why, for the person who finds the record. It is stored and logged, so no personal data.

    Attributes:
        condition: What the parked document says became of the record.
    """

    condition = "Discarded"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @staticmethod
    def of_several(discards: Sequence[Discard]) -> Discard:
        """Return one for all the functions that discarded a change, with every reason."""
        if len(discards) == 1:
            return discards[0]
        together = Discard("; ".join(discarded.reason for discarded in discards))
        uncertain = [discarded.condition for discarded in discards if discarded.condition != Discard.condition]
        together.condition = uncertain[0] if uncertain else Discard.condition
        together.__cause__ = discards[0]
        return together


def has_destination() -> bool:
    """Return whether there is a place to park records in."""
    return bool(os.environ.get(DESTINATION_VARIABLE))


def function_name() -> str:
    """Return the name of the function, under which its records are parked."""
    return os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")


class NotParked(RuntimeError):
    """A record could not be parked, so it fails and is delivered again."""


def park(record: Mapping[str, Any], name: str, reason: str, condition: str) -> None:
    """Write a record to the failure destination, under a name that is the same at every delivery of it.

    Args:
        record: The record as it was delivered.
        name: Identifies it; a second parking overwrites the first in S3.
        reason: Why it is parked.
        condition: What became of it, in the place where Lambda says `RetryAttemptsExhausted`.

    Raises:
        NotParked: There is no destination, or the record is too large for it.
        botocore.exceptions.ClientError: The destination refused it.
    """
    arn = os.environ.get(DESTINATION_VARIABLE)
    if not arn:
        raise NotParked(
            f"{DESTINATION_VARIABLE} is not set, so there is nowhere to park a discarded record: "
            "give the consumer access to a failure destination"
        )
    function = function_name()
    document = json.dumps(
        of_consumer(record, function=function, condition=condition, reason=reason, now=time.time(), identity=identity())
    )
    service = arn.split(":")[2]
    if service == "s3":
        BoundedClient("s3").put_object(
            Bucket=arn.rpartition(":")[2],
            Key=f"discarded/{function}/{name}.json",
            Body=document.encode(),
            ContentType="application/json",
        )
    elif service == "sqs":
        if len(document.encode()) > SQS_MESSAGE_BYTES:
            raise NotParked(
                f"the record is larger than a message of {SQS_MESSAGE_BYTES} bytes, which is all that SQS takes: "
                "make the failure destination an S3 bucket"
            )
        BoundedClient("sqs").send_message(QueueUrl=queue_url(arn), MessageBody=document)
    else:
        raise NotParked(f"{DESTINATION_VARIABLE} is the ARN of {service}: records are parked in S3 or SQS")
