"""The least policy that each command needs, printed by `--iam`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ops.function_logs import log_group_in
from ops.operator.consumers import Consumer
from ops.operator.dead_letters.bucket import ATTEMPTS, SETTLED

#: A function as GetFunctionConfiguration describes it.
Function = Mapping[str, Any]
Arns = Callable[[Sequence[Consumer]], list[str]]


def _destinations(consumers: Sequence[Consumer], service: str) -> list[str]:
    return [arn for consumer in consumers for arn in consumer.destinations if arn.split(":")[2] == service]


def _of(consumers: Sequence[Consumer], *, queues: bool) -> list[str]:
    return [consumer.source for consumer in consumers if consumer.reads_queue is queues]


def _log_group(function: Function) -> str:
    _, partition, _, region, account = function["FunctionArn"].split(":")[:5]
    return f"arn:{partition}:logs:{region}:{account}:log-group:{log_group_in(function)}:*"


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


def _streams(consumers: Sequence[Consumer]) -> list[str]:
    return [consumer.stream for consumer in consumers if consumer.stream is not None]


def _kinesis(consumers: Sequence[Consumer]) -> list[str]:
    return [consumer.source for consumer in consumers if consumer.reads_kinesis]


def _tables(consumers: Sequence[Consumer]) -> list[str]:
    return [arn.partition("/stream/")[0] for arn in _streams(consumers)]


def _ledgers(consumers: Sequence[Consumer]) -> list[str]:
    return [
        f"arn:{partition}:dynamodb:{region}:{account}:table/{consumer.ledger}"
        for consumer in consumers
        if consumer.ledger is not None
        for _, partition, _, region, account in [consumer.function["FunctionArn"].split(":")[:5]]
    ]


#: Resources of each action. `*` where AWS knows no resource for it.
_RESOURCES: Mapping[str, Arns] = {
    "cloudwatch:DescribeAlarms": lambda _: ["*"],
    "cloudwatch:GetMetricData": lambda _: ["*"],
    "dynamodb:BatchGetItem": _tables,
    "dynamodb:DescribeKinesisStreamingDestination": _tables,
    "dynamodb:DescribeStream": _streams,
    "dynamodb:GetRecords": _streams,
    "dynamodb:Scan": _ledgers,
    "dynamodb:GetShardIterator": _streams,
    "kinesis:DescribeStreamSummary": _kinesis,
    "kinesis:GetRecords": _kinesis,
    "kinesis:GetShardIterator": _kinesis,
    "kinesis:ListShards": _kinesis,
    "lambda:GetEventSourceMapping": lambda consumers: [_mapping(each) for each in consumers],
    "lambda:GetFunctionConfiguration": lambda consumers: [each.function["FunctionArn"] for each in consumers],
    "lambda:InvokeFunction": lambda consumers: [each.mapping["FunctionArn"] for each in consumers],
    "lambda:ListEventSourceMappings": lambda _: ["*"],
    "lambda:UpdateEventSourceMapping": lambda consumers: [_mapping(each) for each in consumers],
    "logs:FilterLogEvents": lambda consumers: [_log_group(each.function) for each in consumers],
    "pipes:ListPipes": lambda _: ["*"],
    "s3:GetLifecycleConfiguration": lambda consumers: _destinations(consumers, "s3"),
    "s3:GetObject": lambda consumers: [f"{arn}/*" for arn in _destinations(consumers, "s3")],
    "s3:ListBucket": lambda consumers: _destinations(consumers, "s3"),
    "s3:PutObject": lambda consumers: [
        f"{arn}/{folder}*" for arn in _destinations(consumers, "s3") for folder in (SETTLED, ATTEMPTS)
    ],
    "sqs:ChangeMessageVisibility": lambda consumers: _destinations(consumers, "sqs"),
    "sqs:DeleteMessage": lambda consumers: _destinations(consumers, "sqs"),
    "sqs:GetQueueAttributes": lambda consumers: [*_destinations(consumers, "sqs"), *_of(consumers, queues=True)],
    "sqs:GetQueueUrl": lambda consumers: [*_destinations(consumers, "sqs"), *_of(consumers, queues=True)],
    "sqs:ReceiveMessage": lambda consumers: _destinations(consumers, "sqs"),
    "sqs:SendMessage": lambda consumers: _of(consumers, queues=True),
}

_CONSUMERS = ("lambda:GetEventSourceMapping", "lambda:GetFunctionConfiguration")
_READ_LETTERS = (
    *_CONSUMERS,
    *("s3:ListBucket", "s3:GetObject", "s3:GetLifecycleConfiguration"),
    *("sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility"),
    "kinesis:DescribeStreamSummary",
)
_READ_STREAM = ("dynamodb:GetShardIterator", "dynamodb:GetRecords")
_READ_KINESIS = ("kinesis:GetShardIterator", "kinesis:GetRecords")

#: The actions that each command needs. `sts:GetCallerIdentity`, which redrives sign receipts with, needs no permission.
ACTIONS: Mapping[str, Sequence[str]] = {
    "status": (
        *_CONSUMERS,
        *("cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "lambda:ListEventSourceMappings", "pipes:ListPipes"),
        *("s3:ListBucket", "s3:GetLifecycleConfiguration", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
        *("dynamodb:DescribeKinesisStreamingDestination", "kinesis:DescribeStreamSummary"),
    ),
    # With --key the stream is read as well.
    "tail": (
        *_CONSUMERS,
        *("logs:FilterLogEvents", "s3:ListBucket", "sqs:GetQueueUrl", "dynamodb:DescribeStream", *_READ_STREAM),
        "kinesis:DescribeStreamSummary",
    ),
    "trace": (
        *_CONSUMERS,
        *("logs:FilterLogEvents", "dynamodb:DescribeStream", *_READ_STREAM, "dynamodb:Scan"),
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
    ),
    "dead-letters drop": (*_READ_LETTERS, "s3:PutObject", "sqs:DeleteMessage"),
    "reread": (
        *_CONSUMERS,
        *("dynamodb:DescribeStream", *_READ_STREAM, "dynamodb:BatchGetItem", "lambda:InvokeFunction"),
        *("kinesis:DescribeStreamSummary", "kinesis:ListShards", *_READ_KINESIS),
    ),
    "pause": (
        *_CONSUMERS,
        *("cloudwatch:GetMetricData", "lambda:UpdateEventSourceMapping", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
    ),
    "recount": (*_CONSUMERS, "sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
    "resume": (*_CONSUMERS, "lambda:UpdateEventSourceMapping"),
}


#: Commands that look at the queues which consumers read, and at no queue with dead letters.
_OF_SOURCES = ("pause",)
#: Commands that read a table's stream only for documents that point at it, and so never for a queue or Kinesis.
_OF_POINTERS = ("dead-letters list", "dead-letters show", "dead-letters redrive")


def policy(command: str, consumers: Sequence[Consumer], functions: Sequence[Function] = ()) -> dict[str, Any]:
    """Return the IAM policy that a command needs, one statement for each set of resources.

    Args:
        command: The command, a key of `ACTIONS`.
        consumers: The consumers that it is about.
        functions: Other functions whose logs it reads.
    """
    by_resources: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for action in ACTIONS[command]:
        if command in _OF_SOURCES and action.startswith("sqs:"):
            resources = _of(consumers, queues=True)
        elif command in _OF_POINTERS and action in _READ_STREAM:
            resources = [each.source for each in consumers if ":dynamodb:" in each.source]
        else:
            resources = [*_RESOURCES[action](consumers), *_of_functions(action, functions)]
        if resources:
            by_resources[tuple(sorted(set(resources)))].append(action)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}
            for resources, actions in by_resources.items()
        ],
    }
