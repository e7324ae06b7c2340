"""Stream readers: the event source mappings and pipes that read a stream, and the places of their settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aws_semantics.limits import STREAM_RETENTION_SECONDS
from policies.aws_types import (
    ALIAS,
    FAILURE_DESTINATIONS,
    FUNCTION,
    KINESIS_CONSUMER,
    KINESIS_STREAM,
    MAPPING,
    PIPE,
    QUEUE,
    ROLE,
    SUBSCRIPTION,
    TABLE,
    TOPIC,
)
from policies.graph import Stack, known_text, name_of
from policies.names import Arn, FunctionName
from policies.not_applicable import Awaited, NotApplicable
from policies.resources import Block, Resource, some

#: `stream` is a DynamoDB or a Kinesis stream, not known which.
SourceKind = Literal["dynamodb", "kinesis", "stream", "sqs", "other"]
STREAMS: tuple[SourceKind, ...] = ("dynamodb", "kinesis", "stream")

#: Settings that only a mapping of another kind of source has.
_OTHER_SOURCES = (
    "amazonManagedKafkaEventSourceConfig",
    "documentDbEventSourceConfig",
    "queues",
    "selfManagedEventSource",
    "selfManagedKafkaEventSourceConfig",
    "topics",
)
_PIPE_PARAMETERS = {"dynamodb": "dynamodbStreamParameters", "kinesis": "kinesisStreamParameters"}


def source_kind(reader: Resource) -> SourceKind:
    """Tell the kind of source that a mapping or a pipe reads, by its own properties.

    Raises:
        Awaited: They are not known yet.
    """
    return _pipe_source(reader) if reader.type == PIPE else _mapping_source(reader)


def _kind_of_arn(arn: Arn) -> SourceKind:
    match arn.service:
        case "dynamodb" | "kinesis" | "sqs":
            return arn.service
        case _:
            return "other"


def _mapping_source(mapping: Resource) -> SourceKind:
    props = mapping.props
    try:
        arn = Arn.parse(props.text("eventSourceArn"))
        if arn is not None:
            return _kind_of_arn(arn)
    except Awaited:
        if any(props.given(key) for key in _OTHER_SOURCES):
            return "other"
        # Streams are read from a position; without one, and with an ARN, only a queue is left.
        return "sqs" if not props.given("startingPosition") else "stream"
    return "other"


def _pipe_source(pipe: Resource) -> SourceKind:
    try:
        arn = Arn.parse(pipe.props.text("source"))
        return "other" if arn is None else _kind_of_arn(arn)
    except Awaited:
        parameters = pipe.props.block("sourceParameters")
        if parameters.given(_PIPE_PARAMETERS["dynamodb"]):
            return "dynamodb"
        return "kinesis" if parameters.given(_PIPE_PARAMETERS["kinesis"]) else "other"


def require_stream(reader: Resource) -> SourceKind:
    """Tell the kind of stream that a mapping or a pipe reads.

    Raises:
        NotApplicable: It reads none.
    """
    kind = source_kind(reader)
    if kind not in STREAMS:
        raise NotApplicable(f"{reader.name} reads no DynamoDB or Kinesis stream")
    return kind


def settings(reader: Resource) -> Block:
    """Return the block with retries, record age and starting position: of a pipe, the parameters of its source."""
    if reader.type == MAPPING:
        return reader.props
    parameters = reader.props.block("sourceParameters")
    return parameters.block(_PIPE_PARAMETERS["kinesis" if source_kind(reader) == "kinesis" else "dynamodb"])


def filter_patterns(reader: Resource) -> Block:
    """Return the block that holds `filters`."""
    outer = reader.props if reader.type == MAPPING else reader.props.block("sourceParameters")
    return outer.block("filterCriteria")


def failure_path(reader: Resource) -> str:
    """Return the path of the failure destination of a stream's reader."""
    if reader.type == MAPPING:
        return "destinationConfig.onFailure.destinationArn"
    parameters = _PIPE_PARAMETERS["kinesis" if source_kind(reader) == "kinesis" else "dynamodb"]
    return f"sourceParameters.{parameters}.deadLetterConfig.arn"


def failure_destination(stack: Stack, reader: Resource) -> Resource | str | None:
    """Find the failure destination of a reader: a queue, topic or bucket, or the ARN of one outside the program."""
    return stack.follow(reader, failure_path(reader), *FAILURE_DESTINATIONS)


def source(stack: Stack, reader: Resource) -> Resource | str | None:
    """Find the table or Kinesis stream that is read; the ARN when it is not in the program.

    Raises:
        Awaited: It is not known yet.
    """
    path = "eventSourceArn" if reader.type == MAPPING else "source"
    found = stack.follow(reader, path, KINESIS_CONSUMER, KINESIS_STREAM, TABLE, QUEUE)
    if isinstance(found, Resource) and found.type == KINESIS_CONSUMER:
        return stack.follow(found, "streamArn", KINESIS_STREAM)
    if isinstance(found, str):
        # The ARN of a consumer that is not in the program still names the stream.
        return stack.find(KINESIS_STREAM, found) or found
    return found


def stream_kind(stack: Stack, reader: Resource) -> SourceKind:
    """Tell the kind of stream that is read, also by the resource itself while its ARN is not known.

    Raises:
        NotApplicable: It reads no stream.
    """
    kind = require_stream(reader)
    if kind != "stream":
        return kind
    try:
        read = source(stack, reader)
    except Awaited:
        return kind
    if not isinstance(read, Resource):
        return kind
    if read.type == QUEUE:
        raise NotApplicable(f"{reader.name} reads no DynamoDB or Kinesis stream")
    return "dynamodb" if read.type == TABLE else "kinesis"


def stream_readers(stack: Stack) -> list[Resource]:
    """List the mappings and pipes that read a stream, as far as that is known."""
    return stack.derived(_stream_readers)


def _stream_readers(stack: Stack) -> list[Resource]:
    found: list[Resource] = []
    for reader in stack.of_type(MAPPING, PIPE):
        try:
            stream_kind(stack, reader)
        except NotApplicable:
            continue
        found.append(reader)
    return found


def failure_uses(stack: Stack) -> dict[str, list[Resource]]:
    """List the stream readers that use a resource as their failure destination, by its URN.

    A queue that is subscribed to a failure topic is one too: the failures end there.
    """
    return stack.derived(_failure_uses)


def _failure_uses(stack: Stack) -> dict[str, list[Resource]]:
    uses: dict[str, list[Resource]] = {}
    for reader in stream_readers(stack):
        try:
            destination = failure_destination(stack, reader)
        except Awaited:
            continue
        if isinstance(destination, Resource):
            uses.setdefault(destination.urn, []).append(reader)
    for subscription in stack.of_type(SUBSCRIPTION):
        try:
            topic, queue = stack.follow(subscription, "topic", TOPIC), stack.follow(subscription, "endpoint", QUEUE)
        except Awaited:
            continue
        if isinstance(topic, Resource) and isinstance(queue, Resource) and topic.urn in uses:
            uses.setdefault(queue.urn, []).extend(uses[topic.urn])
    return uses


def has_stream(stack: Stack) -> bool:
    """Test whether a program has a stream: a table with one, a Kinesis stream, or a reader of one.

    Raises:
        Awaited: No stream is known, and a table may have one.
    """
    if stream_readers(stack) or stack.of_type(KINESIS_STREAM):
        return True
    return some(stack.of_type(TABLE), lambda table: table.props.flag("streamEnabled") is True)


def retention_seconds(stack: Stack, reader: Resource) -> float:
    """Tell how long the stream that a reader reads keeps a record, in seconds.

    Raises:
        Awaited: It is a Kinesis stream whose retention is not known here.
    """
    if stream_kind(stack, reader) == "dynamodb":
        return STREAM_RETENTION_SECONDS
    stream = source(stack, reader)
    if isinstance(stream, Resource) and stream.type == KINESIS_STREAM:
        return (stream.props.number("retentionPeriod") or 24) * 3600
    raise Awaited(f"the retention of the stream that {reader.name} reads")


def queue_readers(stack: Stack) -> dict[str, list[Resource]]:
    """List the mappings and pipes that read a queue of the program and are not switched off, by the queue's URN."""
    return stack.derived(_queue_readers)


def _queue_readers(stack: Stack) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for reader in stack.of_type(MAPPING, PIPE):
        try:
            read = source(stack, reader)
            runs = is_on(reader)
        except Awaited:
            continue
        if isinstance(read, Resource) and read.type == QUEUE and runs:
            found.setdefault(read.urn, []).append(reader)
    return found


def is_on(reader: Resource) -> bool:
    """Test whether a mapping is enabled, or a pipe is not stopped.

    Raises:
        Awaited: That is not known yet.
    """
    if reader.type == MAPPING:
        return reader.props.flag("enabled") is not False
    return reader.props.text("desiredState") != "STOPPED"


def batch_size(reader: Resource) -> float:
    """Return the batch size of a mapping or pipe: the one that AWS takes when none is set.

    Raises:
        Awaited: It is not known yet.
    """
    kind = source_kind(reader)
    if reader.type == PIPE and kind not in STREAMS:
        return reader.props.block("sourceParameters").block("sqsQueueParameters").number("batchSize") or 10
    return settings(reader).number("batchSize") or (10 if kind == "sqs" else 100)


@dataclass(frozen=True)
class Invoked:
    """The function of a mapping.

    Attributes:
        function: The function, when it is in the program.
        alias: The alias, when it is in the program and named by the mapping itself.
        name: Its physical name, when it is known.
        qualifier: The version or alias that is invoked, when there is one and it is known.
    """

    function: Resource | None
    alias: Resource | None
    name: str | None
    qualifier: str | None


def invoked(stack: Stack, mapping: Resource) -> Invoked:
    """Find the function that a mapping invokes: by name, by full or partial ARN, through an alias or a version.

    Raises:
        Awaited: It is not known yet.
    """
    function = stack.follow(mapping, "functionName", ALIAS, FUNCTION)
    alias = qualifier = None
    if isinstance(function, Resource) and function.type == ALIAS:
        alias, qualifier = function, known_text(function, "name")
        function = stack.follow(alias, "functionName", FUNCTION)
    try:
        text = mapping.props.text("functionName")
        parsed = FunctionName.parse(text) if text else None
    except Awaited:
        parsed = None
    resource = function if isinstance(function, Resource) else None
    own = name_of(resource) if resource else None
    if own is None and isinstance(function, str):
        own = FunctionName.parse(function).name
    if parsed is not None:
        own, qualifier = own or parsed.name, parsed.qualifier or qualifier
    return Invoked(resource, alias, own, qualifier)


def role(stack: Stack, reader: Resource) -> Resource:
    """Find the role that reads the stream and delivers failures: the function's, or the pipe's.

    Raises:
        NotApplicable: It is not in the program.
    """
    if reader.type == PIPE:
        found = stack.follow(reader, "roleArn", ROLE)
    else:
        function = invoked(stack, reader).function
        if function is None:
            raise NotApplicable(f"the function of {reader.name} is not in this program")
        found = stack.follow(function, "role", ROLE)
    if not isinstance(found, Resource):
        raise NotApplicable(f"the role of {reader.name} is not in this program")
    return found
