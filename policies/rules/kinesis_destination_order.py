"""`kinesis-destination-order`: the changes of one item stay in order in Kinesis."""

from __future__ import annotations

import json
from collections.abc import Iterator

from policies.aws_types import CLOUD_CONTROL, KINESIS_DESTINATION, KINESIS_STREAM, NATIVE_KINESIS_STREAM
from policies.graph import Stack
from policies.not_applicable import Awaited
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation


def check(destination: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check that the Kinesis stream of a table distributes records by their partition keys."""
    if any(_strategy(stream) == "AUTO" for stream in _streams(destination, stack)):
        yield Violation(
            what="the table's Kinesis stream distributes records by itself (RecordDistributionStrategy AUTO)",
            lost="from the first change on, changes of one item come from several shards in any order: an older state "
            "overwrites a newer one downstream, and nothing says so",
        )


def _streams(destination: Resource, stack: Stack) -> Iterator[Resource]:
    yield from stack.linked(destination, "streamArn", CLOUD_CONTROL, NATIVE_KINESIS_STREAM)
    try:
        stream = stack.follow(destination, "streamArn", KINESIS_STREAM)
    except Awaited:
        return
    if isinstance(stream, Resource):
        yield stream


def _strategy(stream: Resource) -> str | None:
    if stream.type != CLOUD_CONTROL:
        return stream.props.text("recordDistributionStrategy")
    try:
        state = json.loads(stream.props.text("desiredState") or "{}")
    except ValueError:
        return None
    return state.get("RecordDistributionStrategy") if isinstance(state, dict) else None


RULE = StackRule(
    id="kinesis-destination-order",
    level="mandatory",
    severity="high",
    title="The Kinesis stream of a table must keep the changes of an item in order",
    why="DynamoDB writes the changes of one item with one partition key, so that one shard has them in order. An "
    "on-demand stream with the record distribution strategy AUTO ignores partition keys (docs/aws-semantics.md §4).",
    remediation="Leave the stream's RecordDistributionStrategy at its default, by partition key.",
    resources=(KINESIS_DESTINATION,),
    check=check,
    limits="The AWS provider has no argument for the strategy: it is read from Cloud Control resources, from the AWS "
    "Native provider, and from a later AWS provider that has it. A strategy that was set outside the program is not "
    "seen.",
    good=(
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            billingMode: PAY_PER_REQUEST
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
        changes: {type: aws:kinesis:Stream, properties: {shardCount: 1}}
        to-kinesis:
          type: aws:dynamodb:KinesisStreamingDestination
          properties: {tableName: "${users.name}", streamArn: "${changes.arn}"}
        """,
    ),
    bad=(
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            billingMode: PAY_PER_REQUEST
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
        changes:
          type: aws:cloudcontrol:Resource
          properties:
            typeName: AWS::Kinesis::Stream
            desiredState: '{"Name": "changes", "RecordDistributionStrategy": "AUTO"}'
        to-kinesis:
          type: aws:dynamodb:KinesisStreamingDestination
          properties: {tableName: "${users.name}", streamArn: "${changes.id}"}
        """,
    ),
)
