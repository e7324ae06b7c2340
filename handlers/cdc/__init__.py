"""Change data capture for Lambda functions that read a DynamoDB stream.

A consumer is one module with one decorated function:

    from handlers.cdc import Change, consumer

    @consumer
    def handler(change: Change) -> None:
        ...

Importing this package costs the standard library only: boto3 is loaded when the first AWS client is made.
"""

from typing import TYPE_CHECKING, Any

from handlers.cdc.change import ABSENT, Change, Difference, ImageNotAvailable
from handlers.cdc.clients import client, lazy_import
from handlers.cdc.conditions import Condition, on
from handlers.cdc.consumer import Consumer, NotDone, consumer
from handlers.cdc.discard import Discard
from handlers.cdc.effect_ledger import EffectInProgress, EffectLedger, EffectUncertain, NotApplied
from handlers.cdc.expectations import Expectations
from handlers.cdc.image import Image
from handlers.cdc.image_json import from_dynamodb_json, from_json, to_dynamodb_json, to_json
from handlers.cdc.invocation import acting_for, remaining_seconds
from handlers.cdc.model import ImageDoesNotFit
from handlers.cdc.retry_after import RetryAfter
from handlers.cdc.sources import UnknownEventShape
from handlers.cdc.time_budget import OutOfTime
from handlers.cdc.whole_batch import SomeFailed

if TYPE_CHECKING:
    #: The ledger with every default, made when it is first asked for.
    effects: EffectLedger

__all__ = [
    "ABSENT",
    "Change",
    "Condition",
    "Consumer",
    "Difference",
    "Discard",
    "EffectInProgress",
    "EffectLedger",
    "EffectUncertain",
    "Expectations",
    "Image",
    "ImageDoesNotFit",
    "ImageNotAvailable",
    "NotApplied",
    "NotDone",
    "OutOfTime",
    "RetryAfter",
    "SomeFailed",
    "UnknownEventShape",
    "acting_for",
    "client",
    "consumer",
    "effects",
    "from_dynamodb_json",
    "from_json",
    "lazy_import",
    "on",
    "remaining_seconds",
    "to_dynamodb_json",
    "to_json",
]


def __getattr__(name: str) -> Any:
    # In Lambda a ledger makes its client at once, in the init phase: only where somebody uses it.
    if name != "effects":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = ledger = EffectLedger()
    return ledger
