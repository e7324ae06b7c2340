"""When a stream reader stops trying: the one question of `mapping-bounded-retries` and `pipe-bounded-retries`."""

from __future__ import annotations

from collections.abc import Iterator

from aws_semantics.limits import STREAM_MAPPING_RANGES, STREAM_RETENTION_SECONDS
from policies.aws_types import KINESIS_STREAM
from policies.graph import Stack
from policies.not_applicable import Awaited
from policies.resources import Resource, some, whole
from policies.rule import Violation
from policies.stream_readers import settings, source, stream_kind

_RETRIES = STREAM_MAPPING_RANGES["MaximumRetryAttempts"]
_AGE = STREAM_MAPPING_RANGES["MaximumRecordAgeInSeconds"]


def check_retries(reader: Resource, stack: Stack) -> Iterator[Violation]:
    """Retries and record age of a stream's reader, against the stream's retention."""
    kind, block = stream_kind(stack, reader), settings(reader)

    def retries_end() -> bool:
        retries = block.number("maximumRetryAttempts")
        return retries is not None and 0 <= retries <= _RETRIES.maximum

    def age_ends() -> bool:
        age = block.number("maximumRecordAgeInSeconds")
        return age is not None and age >= _AGE.minimum and not outlives_the_stream()

    def outlives_the_stream() -> bool:
        age = block.number("maximumRecordAgeInSeconds")
        # No stream is kept for less than 24 h, so a shorter age needs no look at the stream.
        return age is not None and age >= STREAM_RETENTION_SECONDS and age >= retention()

    def retention() -> float:
        return STREAM_RETENTION_SECONDS if kind == "dynamodb" else _kinesis_retention(stack, reader)

    if outlives_the_stream():
        age = block.number("maximumRecordAgeInSeconds") or 0
        yield Violation(
            what=f"the record age of {whole(age)} s is not below the {whole(retention() / 3600)} h the stream "
            f"remembers",
            lost=f"{whole(retention() / 3600)} h after it was written a record that keeps failing falls off the stream "
            "before it is given up, so it never reaches the failure destination, and everything behind it was held up "
            "as long",
            fix=f"set maximum_record_age_in_seconds below {whole(retention())}, with hours left to replay, e.g. "
            f"{whole(retention() * 3 / 4)}",
        )
    elif not some((retries_end, age_ends), lambda bounded: bounded()):
        yield Violation(
            what="neither retries nor a record age bound the attempts (retries -1 and no record age, or out of range)",
            lost="one bad record stops its shard until the stream forgets it, after 24 h of a DynamoDB stream; what "
            "was written behind it reaches the consumer a day late or is gone as well",
        )


def _kinesis_retention(stack: Stack, reader: Resource) -> float:
    stream = source(stack, reader)
    if isinstance(stream, Resource) and stream.type == KINESIS_STREAM:
        return (stream.props.number("retentionPeriod") or 24) * 3600
    raise Awaited(f"the retention of the stream that {reader.name} reads")
