"""`filter-can-match`: a filter lets something through."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from aws_semantics.event_patterns import Finding, InvalidPattern, impossible, validate
from aws_semantics.limits import STREAM_VIEW_TYPES
from policies.aws_types import MAPPING, PIPE, TABLE
from policies.graph import Stack
from policies.not_applicable import Awaited, NotApplicable
from policies.resources import Block, Resource
from policies.rule import Config, StackRule, Violation, each
from policies.stream_readers import filter_patterns, source, stream_kind

#: Fields of other sources' records, at the top of a pattern.
_NOT_IN_KINESIS = {"body", "dynamodb", "value"}


def check(reader: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check every filter of a stream mapping or pipe, each on its own."""
    kind = _kind(reader, stack)

    def judge(place: Block) -> Iterator[Violation]:
        pattern = place.text("pattern")
        if pattern is None:
            return
        try:
            validate(pattern)
            dead = _dead(pattern, kind, reader, stack)
        except InvalidPattern as invalid:
            yield Violation(
                what=f"a filter is not an event pattern: {invalid}",
                lost="AWS refuses the reader, so nobody reads the stream, which forgets a change 24 h after it was "
                "made",
            )
            return
        if dead:
            yield Violation(
                what=f"a filter can never match: {'; '.join(map(str, dead))}",
                lost="no change ever passes it, from the first minute on and without an error: a record that is "
                "filtered out counts as done",
            )

    filters = filter_patterns(reader).blocks("filters")
    yield from each(*(lambda place=place: judge(place) for place in filters))


def _kind(reader: Resource, stack: Stack) -> str:
    try:
        return stream_kind(stack, reader)
    except Awaited:
        raise
    except NotApplicable:
        if reader.type == PIPE:
            return "other"
        raise


def _dead(pattern: str, kind: str, reader: Resource, stack: Stack) -> list[Finding] | list[str]:
    if kind == "other":
        return []
    if kind == "kinesis":
        elsewhere = _NOT_IN_KINESIS & json.loads(pattern).keys()
        return [f"{name}: the content of a Kinesis record is under data" for name in sorted(elsewhere)]
    try:
        read = source(stack, reader)
        table = read if isinstance(read, Resource) and read.type == TABLE else None
        return impossible(pattern, _view_type(table), keys=_keys(table))
    except Awaited:
        # A pattern that matches nothing in any stream is dead whatever the view type will be.
        dead = impossible(pattern) if kind == "dynamodb" else []
        if dead:
            return dead
        raise


def _view_type(table: Resource | None) -> str | None:
    """Return the view type of the table that is read; `None` when the table is not in the program."""
    view_type = None if table is None else table.props.text("streamViewType")
    return view_type if view_type in STREAM_VIEW_TYPES else None


def _keys(table: Resource | None) -> Mapping[str, str] | None:
    """Return the type descriptors of a table's keys by their names; `None` when they are not told."""
    if table is None:
        return None
    names = [name for key in ("hashKey", "rangeKey") if (name := table.props.text(key)) is not None]
    types = {attribute.text("name"): attribute.text("type") for attribute in table.props.blocks("attributes")}
    keys = {name: kind for name in names if (kind := types.get(name)) is not None}
    return keys if names and len(keys) == len(names) else None


RULE = StackRule(
    id="filter-can-match",
    level="mandatory",
    severity="high",
    title="A filter of a stream's reader must be able to match",
    why="AWS takes almost any filter, and a record that matches none of a reader's filters is done without an "
    "invocation, a metric of yours or a log line. Numbers are strings in a record, attributes have type "
    "descriptors, names are case-sensitive, Keys has the table's keys only, and the view type decides which images "
    "there are: easily overlooked, and then nothing ever arrives (docs/aws-semantics.md §2.8).",
    remediation="Write the filter for the record that the stream carries.",
    resources=(MAPPING, PIPE),
    check=check,
    limits="Filters on the content of Kinesis records, and on the other sources of pipes, are checked for validity "
    "only.",
    good=(
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: ${users.streamArn}
            startingPosition: TRIM_HORIZON
            filterCriteria:
              filters: [{pattern: '{"eventName": ["MODIFY"], "dynamodb": {"NewImage": {"plan": {"S": ["pro"]}}}}'}]
        """,
    ),
    bad=(
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            streamEnabled: true
            streamViewType: KEYS_ONLY
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: ${users.streamArn}
            startingPosition: TRIM_HORIZON
            filterCriteria:
              filters: [{pattern: '{"dynamodb": {"NewImage": {"plan": {"S": ["pro"]}}}}'}]
        """,
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            filterCriteria:
              filters: [{pattern: '{"dynamodb": {"NewImage": {"age": {"N": [{"numeric": [">", 17]}]}}}}'}]
        """,
    ),
)
