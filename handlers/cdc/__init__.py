"""Change data capture for Lambda functions that read a DynamoDB stream.

A consumer is one module with one decorated function:

    from handlers.cdc import Change, consumer

    @consumer
    def handler(change: Change) -> None:
        ...

Importing this package costs the standard library only: boto3 is loaded when the first AWS client is made.
"""

from handlers.cdc.batch import OutOfTime
from handlers.cdc.change import ABSENT, Change, ImageNotAvailable
from handlers.cdc.clients import client, lazy_import
from handlers.cdc.consumer import Consumer, consumer
from handlers.cdc.effects import EffectInProgress, EffectLedger
from handlers.cdc.sources import UnknownEventShape

__all__ = [
    "ABSENT",
    "Change",
    "Consumer",
    "EffectInProgress",
    "EffectLedger",
    "ImageNotAvailable",
    "OutOfTime",
    "UnknownEventShape",
    "client",
    "consumer",
    "lazy_import",
]
