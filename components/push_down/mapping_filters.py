"""The filters of an event source mapping: the consumer's own condition, or patterns that were given."""

from __future__ import annotations

from aws_semantics.event_patterns import lint
from components.delivery import StreamDelivery
from components.push_down.compiler import Dialect, NeverTrue, push_down
from components.push_down.key_schema import WrongKey, check_keys
from components.queue_delivery import QueueDelivery
from components.refusal import Refused
from components.stream_source import StreamSource
from handlers.cdc import Condition, Consumer, ImageNotAvailable


def filters_of(name: str, consumer: Consumer, source: StreamSource, delivery: StreamDelivery) -> tuple[str, ...]:
    """Return the patterns of a mapping on a stream; none if it delivers every record.

    A mapping with a tumbling window takes none (docs/aws-semantics.md §2.9): there the function checks alone.

    Raises:
        Refused: A given pattern can never match, or always does, or the consumer's condition can never be true, or
            it reads an image that the stream does not carry, or a key that the table does not have.
    """
    _check_keys(name, consumer, source)
    if delivery.filters:
        for index, pattern in enumerate(delivery.filters):
            for finding in lint(pattern, source.view_type) if source.dialect == "stream" else ():
                raise Refused(f"{name}: filters[{index}]: {finding}")
        return delivery.filters
    patterns = _pushed_down(name, consumer, source, source.dialect)
    return () if delivery.tumbling_window_in_seconds else patterns


def queue_filters_of(name: str, consumer: Consumer, source: StreamSource, delivery: QueueDelivery) -> tuple[str, ...]:
    """Return the patterns of a mapping on a queue that holds a stream's changes; none if it delivers every message.

    Raises:
        Refused: The consumer's condition can never be true, or it reads an image that the stream does not carry, or a
            key that the table does not have.
    """
    _check_keys(name, consumer, source)
    return delivery.filters or _pushed_down(name, consumer, source, "queue")


def _check_keys(name: str, consumer: Consumer, source: StreamSource) -> None:
    if consumer.condition is None or source.keys is None:
        return
    try:
        check_keys(consumer.condition, source.keys)
    except WrongKey as error:
        raise Refused(f"{name}: {error}") from None


def pipe_filters_of(
    name: str,
    condition: Condition | None,
    source: StreamSource,
    *,
    residue_is_evaluated: bool,
    dialect: Dialect = "pipe",
) -> tuple[str, ...]:
    """Return the patterns of a pipe that reads a stream, or a queue of its changes; none if it delivers every change.

    Raises:
        Refused: The condition can never be true, reads an image that the stream does not carry, or holds something
            that no pattern says and nothing else evaluates.
    """
    if condition is None:
        return ()
    view_type = source.view_type or "NEW_AND_OLD_IMAGES"
    try:
        pushed = push_down(condition, dialect, view_type=view_type, key_schema=source.keys)
    except (ImageNotAvailable, NeverTrue) as error:
        raise Refused(f"{name}: {error}") from None
    if pushed.residue is not None and not residue_is_evaluated:
        raise Refused(
            f"{name}: no event pattern says {pushed.residue!r}, and a pipe has nothing else to evaluate it: unwanted "
            "changes would reach the target; subscribe a consumer instead, or give the pipe a FunctionEnrichment, "
            "whose condition it then is (docs/guides/components.md)"
        )
    return pushed.patterns


def _pushed_down(name: str, consumer: Consumer, source: StreamSource, dialect: Dialect) -> tuple[str, ...]:
    if consumer.condition is None:
        return ()
    try:
        return push_down(
            consumer.condition, dialect, view_type=source.view_type or "NEW_AND_OLD_IMAGES", key_schema=source.keys
        ).patterns
    except (ImageNotAvailable, NeverTrue) as error:
        raise Refused(f"{name}: {error}") from None
