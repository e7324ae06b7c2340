"""The least policy that each command needs, printed by `--iam`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ops.function_logs import log_group_in
from ops.operator.archive import PREFIX
from ops.operator.consumers import Archive, Consumer
from ops.operator.dead_letters.bucket import ATTEMPTS, SETTLED
from ops.operator.pipes import Pipe, Reader

#: A function as GetFunctionConfiguration describes it.
Function = Mapping[str, Any]
Arns = Callable[[Sequence[Reader]], list[str]]


def _destinations(readers: Sequence[Reader], service: str) -> list[str]:
    return [arn for reader in readers for arn in reader.destinations if arn.split(":")[2] == service]


def _of(readers: Sequence[Reader], *, queues: bool) -> list[str]:
    return [reader.source for reader in readers if reader.reads_queue is queues]


def _consumers(of: Callable[[Consumer], str]) -> Arns:
    return lambda readers: [of(each) for each in readers if isinstance(each, Consumer)]


def _needed(action: str) -> Arns:
    """Return the resources on which pipes that read a stream need an action."""
    return lambda readers: [
        resource for each in readers if isinstance(each, Pipe) for needed, resource in each.needs if needed == action
    ]


def _logs(readers: Sequence[Reader]) -> list[str]:
    of_pipes = [each.log_arn for each in readers if isinstance(each, Pipe) and each.log_group]
    return [*_consumers(lambda consumer: _log_group(consumer.function))(readers), *of_pipes]


def _log_group(function: Function) -> str:
    _, partition, _, region, account = function["FunctionArn"].split(":")[:5]
    return f"arn:{partition}:logs:{region}:{account}:log-group:{log_group_in(function)}:*"


def _pipes(readers: Sequence[Reader]) -> list[str]:
    return [each.described["Arn"] for each in readers if isinstance(each, Pipe)]


def _of_functions(action: str, functions: Sequence[Function]) -> list[str]:
    match action:
        case "lambda:GetFunctionConfiguration":
            return [each["FunctionArn"] for each in functions]
        case "logs:FilterLogEvents":
            return [_log_group(each) for each in functions]
        case _:
            return []


def _mapping(consumer: Consumer) -> str:
    _, partition, _, region, account = consumer.function["FunctionArn"].split(":")[:5]
    return f"arn:{partition}:lambda:{region}:{account}:event-source-mapping:{consumer.uuid}"


def _streams(readers: Sequence[Reader]) -> list[str]:
    return [reader.stream for reader in readers if reader.stream is not None]


def _read_streams(readers: Sequence[Reader]) -> list[str]:
    """Return the tables' streams that are read for changes; those of a Kinesis consumer are read from Kinesis."""
    return _streams([reader for reader in readers if not reader.reads_kinesis])


def _kinesis(readers: Sequence[Reader]) -> list[str]:
    return [reader.source for reader in readers if reader.reads_kinesis]


def _tables(readers: Sequence[Reader]) -> list[str]:
    return [arn.partition("/stream/")[0] for arn in _streams(readers)]


def _ledgers(readers: Sequence[Reader]) -> list[str]:
    return [
        f"arn:{partition}:dynamodb:{region}:{account}:table/{consumer.ledger}"
        for consumer in readers
        if isinstance(consumer, Consumer) and consumer.ledger is not None
        for _, partition, _, region, account in [consumer.function["FunctionArn"].split(":")[:5]]
    ]


def _archives(readers: Sequence[Reader]) -> list[Archive]:
    return [each.archive for each in readers if isinstance(each, Consumer) and each.archive is not None]


def _topics(readers: Sequence[Reader]) -> list[str]:
    return [archive.topic for archive in _archives(readers)]


def _replay_queues(readers: Sequence[Reader]) -> list[str]:
    """Return the queues that archives are replayed into, which are made for one run."""
    return [
        f"arn:{partition}:sqs:{region}:{account}:{PREFIX}*"
        for archive in _archives(readers)
        for _, partition, _, region, account in [archive.topic.split(":")[:5]]
    ]


#: Resources of each action. `*` where AWS knows no resource for it.
_RESOURCES: Mapping[str, Arns] = {
    "cloudwatch:DescribeAlarms": lambda _: ["*"],
    "cloudwatch:GetMetricData": lambda _: ["*"],
    "dynamodb:BatchGetItem": _tables,
    "dynamodb:DescribeKinesisStreamingDestination": _tables,
    "dynamodb:DescribeStream": _read_streams,
    "dynamodb:GetRecords": _read_streams,
    "dynamodb:Scan": _ledgers,
    "dynamodb:GetShardIterator": _read_streams,
    "events:PutEvents": _needed("events:PutEvents"),
    "kinesis:DescribeStreamSummary": _kinesis,
    "kinesis:GetRecords": _kinesis,
    "kinesis:GetShardIterator": _kinesis,
    "kinesis:ListShards": _kinesis,
    "lambda:GetEventSourceMapping": _consumers(_mapping),
    "lambda:GetFunctionConfiguration": _consumers(lambda consumer: consumer.function["FunctionArn"]),
    "lambda:InvokeFunction": lambda readers: [
        *_consumers(lambda consumer: consumer.mapping["FunctionArn"])(readers),
        *_needed("lambda:InvokeFunction")(readers),
    ],
    "lambda:ListEventSourceMappings": lambda _: ["*"],
    "lambda:UpdateEventSourceMapping": _consumers(_mapping),
    "logs:FilterLogEvents": _logs,
    "pipes:DescribePipe": _pipes,
    "pipes:ListPipes": lambda _: ["*"],
    "pipes:StartPipe": _pipes,
    "pipes:StopPipe": _pipes,
    "s3:GetLifecycleConfiguration": lambda readers: _destinations(readers, "s3"),
    "s3:GetObject": lambda readers: [f"{arn}/*" for arn in _destinations(readers, "s3")],
    "s3:ListBucket": lambda readers: _destinations(readers, "s3"),
    "s3:PutObject": lambda readers: [
        f"{arn}/{folder}*" for arn in _destinations(readers, "s3") for folder in (SETTLED, ATTEMPTS)
    ],
    # SNS has no resource type for subscriptions: it asks about their topic.
    "sns:GetSubscriptionAttributes": _topics,
    "sns:GetTopicAttributes": _topics,
    "sns:ListSubscriptionsByTopic": _topics,
    "sns:Publish": _needed("sns:Publish"),
    "sns:Subscribe": _topics,
    "sns:Unsubscribe": _topics,
    "sqs:ChangeMessageVisibility": lambda readers: _destinations(readers, "sqs"),
    "sqs:CreateQueue": _replay_queues,
    "sqs:DeleteQueue": _replay_queues,
    "sqs:DeleteMessage": lambda readers: _destinations(readers, "sqs"),
    "sqs:GetQueueAttributes": lambda readers: [*_destinations(readers, "sqs"), *_of(readers, queues=True)],
    "sqs:GetQueueUrl": lambda readers: [
        *_destinations(readers, "sqs"),
        *_of(readers, queues=True),
        *_needed("sqs:GetQueueUrl")(readers),
    ],
    "sqs:ReceiveMessage": lambda readers: _destinations(readers, "sqs"),
    "sqs:SendMessage": lambda readers: [*_of(readers, queues=True), *_needed("sqs:SendMessage")(readers)],
    "states:StartExecution": _needed("states:StartExecution"),
    "states:StartSyncExecution": _needed("states:StartSyncExecution"),
}

_CONSUMERS = ("lambda:GetEventSourceMapping", "lambda:GetFunctionConfiguration")
_READERS = (*_CONSUMERS, "pipes:DescribePipe")
_READ_LETTERS = (
    *_READERS,
    *("s3:ListBucket", "s3:GetObject", "s3:GetLifecycleConfiguration"),
    *("sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility"),
    "kinesis:DescribeStreamSummary",
)
_READ_STREAM = ("dynamodb:GetShardIterator", "dynamodb:GetRecords")
_READ_KINESIS = ("kinesis:GetShardIterator", "kinesis:GetRecords")
_FIND_CHANGES = ("dynamodb:DescribeStream", *_READ_STREAM, "kinesis:ListShards", *_READ_KINESIS)

#: `reread` where the stream has forgotten the range and the fan-out's topic keeps an archive.
FROM_ARCHIVE = "reread from the archive"

#: The actions that each command needs. `sts:GetCallerIdentity`, which redrives sign receipts with, needs no permission.
ACTIONS: Mapping[str, Sequence[str]] = {
    "status": (
        *_READERS,
        *("cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "lambda:ListEventSourceMappings", "pipes:ListPipes"),
        # Contents tell a receipt of the document's own second from an earlier one.
        *("s3:ListBucket", "s3:GetObject", "s3:GetLifecycleConfiguration"),
        *("sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
        *("dynamodb:DescribeKinesisStreamingDestination", "kinesis:DescribeStreamSummary"),
    ),
    # With --key the stream is read as well.
    "tail": (
        *_READERS,
        *("logs:FilterLogEvents", "s3:ListBucket", "sqs:GetQueueUrl", *_FIND_CHANGES),
        "kinesis:DescribeStreamSummary",
    ),
    "trace": (
        *_CONSUMERS,
        *("logs:FilterLogEvents", *_FIND_CHANGES, "dynamodb:Scan"),
        *("s3:ListBucket", "s3:GetObject", "s3:GetLifecycleConfiguration", "sqs:GetQueueUrl"),
        *("sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility"),
        "kinesis:DescribeStreamSummary",
    ),
    "dead-letters list": (*_READ_LETTERS, *_READ_STREAM, *_READ_KINESIS),
    "dead-letters show": (
        *_READ_LETTERS,
        *_READ_STREAM,
        *_READ_KINESIS,
        "dynamodb:BatchGetItem",
        "logs:FilterLogEvents",
    ),
    "dead-letters redrive": (
        *_READ_LETTERS,
        *_READ_STREAM,
        *_READ_KINESIS,
        *("dynamodb:BatchGetItem", "lambda:InvokeFunction", "s3:PutObject", "sqs:DeleteMessage", "sqs:SendMessage"),
        # What a pipe sends to.
        *("events:PutEvents", "sns:Publish", "states:StartExecution", "states:StartSyncExecution"),
    ),
    "dead-letters drop": (*_READ_LETTERS, "s3:PutObject", "sqs:DeleteMessage"),
    "reread": (
        *_CONSUMERS,
        *(*_FIND_CHANGES, "dynamodb:BatchGetItem", "lambda:InvokeFunction", "kinesis:DescribeStreamSummary"),
    ),
    FROM_ARCHIVE: (
        *(*_CONSUMERS, "dynamodb:BatchGetItem", "lambda:InvokeFunction", "s3:GetObject"),
        *("sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:Subscribe", "sns:GetSubscriptionAttributes"),
        *("sns:Unsubscribe", "sqs:CreateQueue", "sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:DeleteMessage"),
        "sqs:DeleteQueue",
    ),
    "pause": (
        *_READERS,
        *("cloudwatch:GetMetricData", "lambda:UpdateEventSourceMapping", "pipes:StopPipe"),
        *("sqs:GetQueueUrl", "sqs:GetQueueAttributes", "kinesis:DescribeStreamSummary"),
    ),
    "recount": (
        *(*_CONSUMERS, "sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
        *("s3:ListBucket", "s3:GetObject", "s3:GetLifecycleConfiguration"),
    ),
    "resume": (*_READERS, "lambda:UpdateEventSourceMapping", "pipes:StartPipe"),
}


#: Commands that look at the queues which consumers read, and at no queue with dead letters.
_OF_SOURCES = ("pause",)
#: The actions of `tail` on pipes, whose logs name no records to look for.
_TAIL_OF_PIPES = ("pipes:DescribePipe", "logs:FilterLogEvents")
#: Commands that read a table's stream only for documents that point at it, and so never for a queue or Kinesis.
_OF_POINTERS = ("dead-letters list", "dead-letters show", "dead-letters redrive")


def policy(command: str, readers: Sequence[Reader], functions: Sequence[Function] = ()) -> dict[str, Any]:
    """Return the IAM policy that a command needs, one statement for each set of resources.

    Args:
        command: The command, a key of `ACTIONS`.
        readers: The consumers and pipes that it is about.
        functions: Other functions whose logs it reads.
    """
    by_resources: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for action in ACTIONS[command]:
        if command in _OF_SOURCES and action.startswith("sqs:"):
            resources = _of(readers, queues=True)
        elif command == FROM_ARCHIVE and action.startswith("sqs:"):
            resources = _replay_queues(readers)
        elif command == FROM_ARCHIVE and action == "s3:GetObject":
            resources = [f"{archive.claim_checks}/*" for archive in _archives(readers)]
        elif command in _OF_POINTERS and action in _READ_STREAM:
            resources = [each.source for each in readers if ":dynamodb:" in each.source]
        else:
            without_pipes = command == "tail" and action not in _TAIL_OF_PIPES
            about = [each for each in readers if isinstance(each, Consumer)] if without_pipes else readers
            resources = [*_RESOURCES[action](about), *_of_functions(action, functions)]
        if resources:
            by_resources[tuple(sorted(set(resources)))].append(action)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}
            for resources, actions in by_resources.items()
        ],
    }
