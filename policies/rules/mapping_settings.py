"""`mapping-settings`: no setting that AWS refuses."""

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
from policies.aws_types import MAPPING, PIPE
from policies.names import Arn
from policies.not_applicable import Awaited
from policies.resources import Block, Resource, as_number, every, some, whole
from policies.rule import Config, Rule, Violation, each
from policies.stream_readers import SourceKind, require_stream
from policies.wording import named, setting

REFUSED = "AWS refuses the mapping, so nobody reads the stream, which forgets a change 24 h after it was made"


def check(reader: Resource, _: Config) -> Iterable[Violation]:
    """Check ranges and combinations of a stream mapping, each on its own, and the ARN that a mapping or pipe reads."""
    kind, props = require_stream(reader), reader.props
    if reader.type == PIPE:
        return _source(
            props, "source", "AWS refuses the pipe, so nobody reads the stream, which forgets a change 24 h later"
        )
    questions: list[Callable[[], Iterable[Violation]]] = [
        partial(_source, props, "eventSourceArn", REFUSED),
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


def _source(props: Block, key: str, lost: str) -> Iterator[Violation]:
    """Check that an ARN of DynamoDB is that of a stream: `table/<name>/stream/<label>`."""
    arn = Arn.parse(props.text(key))
    if arn is None or arn.service != "dynamodb":
        return
    parts = arn.resource.split("/")
    if len(parts) != 4 or parts[0] != "table" or parts[2] != "stream":
        yield Violation(
            what=f"{key} is the ARN of a table or of something else of DynamoDB, not that of a table's stream",
            lost=lost,
            fix=f"set {named(key)} to the table's {named('streamArn')}, table/<name>/stream/<label>",
        )


def _range(props: Block, member: str, allowed: Range) -> Iterator[Violation]:
    key = member[0].lower() + member[1:]
    value = props.raw(key)
    if value is None:
        return
    number = as_number(value)
    if number is None:
        yield _refused(f"{key} is not a number", f"set {named(key)} to {allowed}")
    elif not number.is_integer() or int(number) not in allowed:
        yield _refused(f"{key} is {whole(number)}, and AWS takes {allowed}", f"set {named(key)} to {allowed}")


def _starting_position(props: Block, kind: SourceKind) -> Iterator[Violation]:
    position = props.text("startingPosition")
    if position not in (*STREAM_STARTING_POSITIONS, "AT_TIMESTAMP"):
        yield _refused(
            "startingPosition is missing or not one that AWS has", f"set {setting('startingPosition', 'TRIM_HORIZON')}"
        )
        return
    if position == "AT_TIMESTAMP":
        if kind == "stream":
            raise Awaited(f"{props.path}.eventSourceArn")
        if kind == "dynamodb":
            yield _refused(
                "startingPosition is AT_TIMESTAMP, and a DynamoDB stream cannot be read from a time",
                f"set {setting('startingPosition', 'TRIM_HORIZON')}",
            )
        elif not props.given("startingPositionTimestamp"):
            yield _refused(
                "startingPosition is AT_TIMESTAMP without a time", f"set {named('startingPositionTimestamp')}"
            )
    elif props.text("startingPositionTimestamp") is not None:
        yield _refused(
            f"startingPositionTimestamp is set with startingPosition {position}, and AWS takes it with AT_TIMESTAMP",
            f"remove {named('startingPositionTimestamp')}",
        )


def _tumbling_window(props: Block) -> Iterator[Violation]:
    def has_window() -> bool:
        return (props.number("tumblingWindowInSeconds") or 0) > 0

    if every(has_window, lambda: (props.number("parallelizationFactor") or 1) != 1):
        yield _refused(
            "a tumbling window is set with a parallelization factor: a window's state is kept per shard",
            f"leave {named('parallelizationFactor')} at 1, or remove the window",
        )
    if every(has_window, lambda: bool(props.block("filterCriteria").items("filters"))):
        yield _refused(
            "a tumbling window is set with filters", "remove the filters and filter in the function, or the window"
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
        yield _refused(
            f"{key} has a value that a stream mapping does not take", f"set {named(key)} to {', '.join(allowed)}"
        )


def _unsupported(props: Block, key: str) -> Iterator[Violation]:
    if props.given(key):
        yield _refused(f"{key} is set, and AWS takes it for queues and Kafka only", f"remove {named(key)}")


RULE = Rule(
    id="mapping-settings",
    level="mandatory",
    severity="medium",
    title="A stream mapping must have settings that AWS accepts",
    why="A value out of range, or a combination that AWS refuses, fails in the middle of a deployment, when the table "
    "may already be written and nobody reads its stream (docs/aws-semantics.md §2.1, §2.9).",
    remediation="Set the value within AWS's range, or remove one of the two that exclude each other.",
    resources=(MAPPING, PIPE),
    check=check,
    limits="An ARN that is not known yet is judged only after `up`. An account's raised quota of filter patterns is "
    "not known here: exempt the mapping, and give the quota as the reason.",
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
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users
            startingPosition: TRIM_HORIZON
        """,
    ),
)
