"""`mapping-settings`: nothing that AWS refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from aws_semantics.limits import (
    FILTER_PATTERN_CHARACTERS,
    FILTERS_PER_MAPPING,
    FUNCTION_RESPONSE_TYPES,
    STREAM_MAPPING_METRICS,
    STREAM_MAPPING_RANGES,
    STREAM_STARTING_POSITIONS,
    Range,
)
from policies.aws_types import MAPPING
from policies.not_applicable import Awaited
from policies.resources import Block, Resource, as_number, every, some, whole
from policies.rule import Config, Rule, Violation, each
from policies.stream_readers import SourceKind, require_stream

REFUSED = "AWS refuses the mapping, so nobody reads the stream, which forgets a change 24 h after it was made"


def check(mapping: Resource, _: Config) -> Iterable[Violation]:
    """Ranges and combinations of a stream mapping, each on its own."""
    kind, props = require_stream(mapping), mapping.props
    questions: list[Callable[[], Iterable[Violation]]] = [
        *(partial(_range, props, member, allowed) for member, allowed in STREAM_MAPPING_RANGES.items()),
        partial(_starting_position, props, kind),
        partial(_tumbling_window, props),
        partial(_filters, props),
        partial(_members, props, "functionResponseTypes", FUNCTION_RESPONSE_TYPES),
        partial(_members, props, "metricsConfig.metrics", STREAM_MAPPING_METRICS),
        *(partial(_unsupported, props, key) for key in ("scalingConfig", "provisionedPollerConfig")),
    ]
    return each(*questions)


def _refused(what: str, fix: str) -> Violation:
    return Violation(what=what, lost=REFUSED, fix=fix)


def _range(props: Block, member: str, allowed: Range) -> Iterator[Violation]:
    key = member[0].lower() + member[1:]
    value = props.raw(key)
    if value is None:
        return
    number = as_number(value)
    if number is None:
        yield _refused(f"{key} is not a number", f"set {key} to {allowed}")
    elif not number.is_integer() or int(number) not in allowed:
        yield _refused(f"{key} is {whole(number)}, and AWS takes {allowed}", f"set {key} to {allowed}")


def _starting_position(props: Block, kind: SourceKind) -> Iterator[Violation]:
    position = props.text("startingPosition")
    if position not in (*STREAM_STARTING_POSITIONS, "AT_TIMESTAMP"):
        yield _refused("startingPosition is missing or none that AWS has", "set startingPosition to TRIM_HORIZON")
        return
    if position == "AT_TIMESTAMP":
        if kind == "stream":
            raise Awaited(f"{props.path}.eventSourceArn")
        if kind == "dynamodb":
            yield _refused(
                "startingPosition is AT_TIMESTAMP, and a DynamoDB stream cannot be read from a time",
                "set startingPosition to TRIM_HORIZON",
            )
        elif not props.given("startingPositionTimestamp"):
            yield _refused("startingPosition is AT_TIMESTAMP without a time", "set startingPositionTimestamp")
    elif props.text("startingPositionTimestamp") is not None:
        yield _refused(
            f"startingPositionTimestamp stands beside startingPosition {position}, and AWS takes it with AT_TIMESTAMP",
            "remove startingPositionTimestamp",
        )


def _tumbling_window(props: Block) -> Iterator[Violation]:
    def has_window() -> bool:
        return (props.number("tumblingWindowInSeconds") or 0) > 0

    if every(has_window, lambda: (props.number("parallelizationFactor") or 1) != 1):
        yield _refused(
            "a tumbling window stands beside a parallelization factor: a window's state is kept per shard",
            "leave parallelizationFactor at 1, or remove the window",
        )
    if every(has_window, lambda: bool(props.block("filterCriteria").items("filters"))):
        yield _refused(
            "a tumbling window stands beside filters", "remove the filters and filter in the function, or the window"
        )


def _filters(props: Block) -> Iterator[Violation]:
    criteria = props.block("filterCriteria")
    count = len(criteria.items("filters"))
    if count > FILTERS_PER_MAPPING:
        yield _refused(
            f"filterCriteria has {count} patterns, and AWS takes {FILTERS_PER_MAPPING}",
            "join patterns, or filter in the function",
        )

    def is_long(pattern: Callable[[], object]) -> bool:
        found = pattern()
        return isinstance(found, str) and len(found) > FILTER_PATTERN_CHARACTERS

    if some([partial(block.text, "pattern") for block in criteria.blocks("filters")], is_long):
        yield _refused(
            f"a pattern of filterCriteria has more than {FILTER_PATTERN_CHARACTERS} characters",
            "filter on fewer values, or in the function",
        )


def _members(props: Block, path: str, allowed: tuple[str, ...]) -> Iterator[Violation]:
    block, key = props.at(path)
    if any(value not in allowed for value in block.texts(key)):
        yield _refused(f"{key} has a value that a stream mapping does not take", f"set {key} to {', '.join(allowed)}")


def _unsupported(props: Block, key: str) -> Iterator[Violation]:
    if props.given(key):
        yield _refused(f"{key} is set, and AWS takes it for queues and Kafka only", f"remove {key}")


RULE = Rule(
    id="mapping-settings",
    level="mandatory",
    severity="medium",
    title="A stream mapping has settings that AWS accepts",
    why="A value out of range, or a combination that AWS refuses, fails in the middle of a deployment, when the table "
    "may already be written and nobody reads its stream (docs/aws-semantics.md §2.1, §2.9).",
    remediation="Set the value within AWS's range, or remove one of the two that exclude each other.",
    resources=(MAPPING,),
    check=check,
    limits="An account's raised quota of filter patterns is not known here: exempt the mapping, and give the quota "
    "as the reason.",
    good=(
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            batchSize: 100
            maximumBatchingWindowInSeconds: 1
            parallelizationFactor: 2
            maximumRetryAttempts: 12
            maximumRecordAgeInSeconds: 64800
        """,
    ),
    bad=(
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            maximumRecordAgeInSeconds: 30
        """,
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            tumblingWindowInSeconds: 60
            parallelizationFactor: 2
        """,
    ),
)
