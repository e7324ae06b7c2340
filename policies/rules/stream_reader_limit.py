"""`stream-reader-limit`: no more readers than a shard serves."""

from __future__ import annotations

from collections.abc import Iterator

from aws_semantics.limits import STREAM_READERS, STREAM_READERS_OF_GLOBAL_TABLE
from policies.aws_types import GLOBAL_TABLE, MAPPING, PIPE, TABLE, TABLE_REPLICA
from policies.graph import Stack, name_of
from policies.not_applicable import Awaited, NotApplicable
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import is_on, source, stream_kind, stream_readers


def check(reader: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Count the readers of the stream that this one reads, itself included."""
    kind = stream_kind(stack, reader)
    if kind == "kinesis":
        raise NotApplicable("readers of a Kinesis stream have other limits")
    read = source(stack, reader)
    if read is None or kind == "stream":
        raise Awaited(f"the stream that {reader.name} reads")
    readers = stack.derived(_readers).get(_key(read), [])
    if reader not in readers:
        raise NotApplicable(f"{reader.name} is switched off, so it reads nothing")
    if readers.index(reader) < _limit(stack, read, len(readers)):
        return
    limit = _limit(stack, read, len(readers))
    names = ", ".join(each.name for each in readers)
    yield Violation(
        what=f"{len(readers)} readers of one stream ({names}), and a shard serves {limit}",
        lost="DynamoDB throttles all of them: under load every consumer falls behind, and a change that one has not "
        "read 24 h after it was written is gone",
        about=read if isinstance(read, Resource) else None,
    )


def _key(read: Resource | str) -> str:
    return read if isinstance(read, str) else read.urn


def _readers(stack: Stack) -> dict[str, list[Resource]]:
    """List the readers of each DynamoDB stream, by the stream."""
    found: dict[str, list[Resource]] = {}
    for reader in stream_readers(stack):
        try:
            read = source(stack, reader)
            if read is not None and is_on(reader):
                found.setdefault(_key(read), []).append(reader)
        except Awaited:
            continue
    return found


def _limit(stack: Stack, read: Resource | str, readers: int) -> int:
    if isinstance(read, str) or readers <= STREAM_READERS_OF_GLOBAL_TABLE:
        return STREAM_READERS
    try:
        return STREAM_READERS_OF_GLOBAL_TABLE if _has_replicas(stack, read) else STREAM_READERS
    except Awaited:
        if readers > STREAM_READERS:
            return STREAM_READERS
        raise


def _has_replicas(stack: Stack, table: Resource) -> bool:
    for replica in stack.of_type(TABLE_REPLICA):
        if stack.follow(replica, "globalTableArn", TABLE) is table:
            return True
    if any(name_of(table) == name_of(each) for each in stack.of_type(GLOBAL_TABLE) if name_of(each)):
        return True
    return bool(table.props.items("replicas"))


RULE = StackRule(
    id="stream-reader-limit",
    level="mandatory",
    severity="high",
    title="A DynamoDB stream must have no more than two readers, one on a global table",
    why="Every event source mapping and every pipe polls every shard, and DynamoDB serves two readers per shard (one "
    "where replication reads too) before it throttles them all (docs/aws-semantics.md §1.1). Let one reader forward "
    "the changes to the others.",
    remediation="Let one mapping or pipe forward the changes (to SNS FIFO, EventBridge or Kinesis) and attach the "
    "others there.",
    resources=(MAPPING, PIPE),
    check=check,
    limits="Readers that other programs attach to the stream are not seen. A disabled mapping and a stopped pipe do "
    "not count.",
    good=(
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
        mails:
          type: aws:lambda:EventSourceMapping
          properties: {functionName: mails, eventSourceArn: "${users.streamArn}", startingPosition: TRIM_HORIZON}
        search:
          type: aws:lambda:EventSourceMapping
          properties: {functionName: search, eventSourceArn: "${users.streamArn}", startingPosition: TRIM_HORIZON}
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
            streamViewType: NEW_AND_OLD_IMAGES
        mails:
          type: aws:lambda:EventSourceMapping
          properties: {functionName: mails, eventSourceArn: "${users.streamArn}", startingPosition: TRIM_HORIZON}
        search:
          type: aws:lambda:EventSourceMapping
          properties: {functionName: search, eventSourceArn: "${users.streamArn}", startingPosition: TRIM_HORIZON}
        webhooks:
          type: aws:pipes:Pipe
          properties:
            roleArn: arn:aws:iam::111122223333:role/pipe
            source: ${users.streamArn}
            target: arn:aws:sqs:us-east-1:111122223333:webhooks
            sourceParameters:
              dynamodbStreamParameters: {startingPosition: TRIM_HORIZON}
        """,
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
            replicas: [{regionName: eu-west-1}]
        mails:
          type: aws:lambda:EventSourceMapping
          properties: {functionName: mails, eventSourceArn: "${users.streamArn}", startingPosition: TRIM_HORIZON}
        search:
          type: aws:lambda:EventSourceMapping
          properties: {functionName: search, eventSourceArn: "${users.streamArn}", startingPosition: TRIM_HORIZON}
        """,
    ),
)
