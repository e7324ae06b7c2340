"""AWS's limits of each kind of resource that a component makes, with their source, for the component pages.

The numbers are those that components, policies and the local endpoint check (`aws_semantics.limits`). A source is a row
of docs/aws-semantics.md, or a page of AWS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from aws_semantics import dashboard, limits
from local.deploy.program import Registration

_LAMBDA_QUOTAS = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
_QUEUE_MAPPINGS = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html"
_TABLE_QUOTAS = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"
_HTTP_API_QUOTAS = "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"


class Limit(NamedTuple):
    """A limit of AWS.

    Attributes:
        of: The thing that is limited.
        value: The limit, with its unit.
        source: A row of docs/aws-semantics.md, or the address of a page.
    """

    of: str
    value: str
    source: str


def _mib(size: int) -> str:
    return f"{size // (1024 * 1024)} MiB"


_STREAM = limits.STREAM_MAPPING_RANGES
_FILTERS = Limit(
    "filter patterns",
    f"{limits.FILTERS_PER_MAPPING}, each of {limits.FILTER_PATTERN_CHARACTERS:,} characters",
    "ESM-PARAM-11",
)

#: Limits by kind of resource.
LIMITS: Mapping[str, tuple[Limit, ...]] = {
    "table": (
        Limit("item", "400 KB", _TABLE_QUOTAS),
        Limit("items of a transaction", "100", _TABLE_QUOTAS),
    ),
    "table's stream": (
        Limit("readers", f"{limits.STREAM_READERS}", "DDB-LIMIT-6"),
        Limit("readers, of a global table", f"{limits.STREAM_READERS_OF_GLOBAL_TABLE}", "DDB-LIMIT-6"),
        Limit("age of a record", f"{limits.STREAM_RETENTION_SECONDS // 3600} hours", "DDB-LIMIT-1"),
    ),
    "mapping of a stream": (
        Limit("batch", f"{_STREAM['BatchSize']} records", "ESM-PARAM-1"),
        Limit("batch window", f"{_STREAM['MaximumBatchingWindowInSeconds']} s", "ESM-PARAM-2"),
        Limit("parallelization factor", f"{_STREAM['ParallelizationFactor']}", "ESM-PARAM-3"),
        Limit("retries", f"{_STREAM['MaximumRetryAttempts']}", "ESM-PARAM-6"),
        Limit("record age", f"{_STREAM['MaximumRecordAgeInSeconds']} s", "ESM-PARAM-7"),
        _FILTERS,
    ),
    "mapping of a FIFO queue": (
        Limit("batch", f"{limits.FIFO_QUEUE_BATCH} messages, without a window", _QUEUE_MAPPINGS),
        Limit("maximum concurrency", f"{limits.QUEUE_MAPPING_CONCURRENCY}", _QUEUE_MAPPINGS),
        _FILTERS,
    ),
    "function": (
        Limit("timeout", f"{limits.FUNCTION_TIMEOUT.maximum} s", "LAM-2"),
        Limit("memory", f"{limits.FUNCTION_MEMORY} MB", _LAMBDA_QUOTAS),
        Limit("event of one invocation", f"{_mib(limits.INVOCATION_PAYLOAD_BYTES)}", "LAM-3"),
        Limit("code and layers, unpacked", f"{_mib(limits.FUNCTION_PACKAGE_BYTES)}", "LAM-3"),
        Limit("layers", f"{limits.FUNCTION_LAYERS}", _LAMBDA_QUOTAS),
    ),
    "FIFO topic": (
        Limit("consumers", f"{limits.FIFO_TOPIC_SUBSCRIPTIONS}", "SNS-3"),
        Limit("message, and sum of a batch", f"{limits.MESSAGE_BYTES:,} bytes", "SNS-16"),
        Limit("messages of one item", "300 a second", "SNS-3"),
        Limit("archive", f"{limits.TOPIC_ARCHIVE_DAYS} days; a topic that has one cannot be deleted", "SNS-12"),
    ),
    "queue": (
        Limit("message", _mib(limits.MESSAGE_BYTES), "SQS-1"),
        Limit("retention", f"{limits.QUEUE_RETENTION_SECONDS.minimum} s to 14 days", "SQS-1"),
        Limit("visibility timeout", f"{limits.QUEUE_VISIBILITY_SECONDS} s", "SQS-9"),
    ),
    "FIFO queue": (
        Limit("messages in flight", "120,000", "SQS-2"),
        Limit("calls for one item", "300 a second", "SQS-3"),
        Limit("time in which a repeat is dropped", "5 minutes", "SQS-4"),
    ),
    "pipe": (
        Limit("batch to a bus, a topic or a queue", f"{limits.PIPE_TARGET_BATCH['sqs']} events", "PIPE-TARGET-1"),
        Limit("event to a workflow", f"{limits.EXECUTION_INPUT_CHARACTERS} characters", "PIPE-TARGET-1"),
        Limit("enrichment and target together", "5 minutes", "PIPE-TARGET-6"),
        Limit("batch window", f"{_STREAM['MaximumBatchingWindowInSeconds']} s", "PIPE-PARAM-3"),
    ),
    "Kinesis stream": (
        Limit("retention", f"{limits.KINESIS_RETENTION_HOURS.maximum:,} hours", "KDS-3"),
        Limit("shared readers", f"{limits.KINESIS_READERS}", "KDS-3"),
        Limit(
            "readers with enhanced fan-out",
            f"{limits.KINESIS_ENHANCED_CONSUMERS}, {limits.KINESIS_ENHANCED_CONSUMERS_OF_ADVANTAGE} with On-demand "
            "Advantage",
            "KDS-3",
        ),
        Limit("record", f"{limits.KINESIS_RECORD_KIB} KiB", "KDS-13"),
        Limit("record that a function can receive", f"{limits.KINESIS_RECORD_KIB_FOR_LAMBDA} KiB", "KDS-13"),
    ),
    "replication to Kinesis": (
        Limit("Kinesis streams of a table", "one", "KDS-1"),
        Limit("age at which replication switches itself off", "168 hours", "KDS-11"),
    ),
    "state machine": (
        Limit("input and output", "256 KiB", "SFN-4"),
        Limit("history of an execution", "25,000 events, 1 year", "SFN-4"),
        Limit("starts", "300 a second, 150 in smaller regions", "SFN-3"),
    ),
    "schedule": (Limit("precision", "within the minute", "SCD-1"),),
    "event bus": (
        Limit("PutEvents", "10 entries, less than 1 MB in all", "EVB-1"),
        Limit("rules, targets of a rule", "300 rules, 5 targets", "EVB-3"),
    ),
    "API destination": (
        Limit("answer", "5 s", "EVB-2"),
        Limit("calls", "300 a second", "EVB-3"),
    ),
    "HTTP API": (Limit("answer of the function", f"{limits.HTTP_API_TIMEOUT_SECONDS} s", _HTTP_API_QUOTAS),),
    "dashboard": (
        Limit(
            "size",
            f"{dashboard.WIDGETS} widgets, {dashboard.METRICS_OF_DASHBOARD:,} metrics",
            "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html",
        ),
    ),
}


#: Kinds of resources by the end of the type token, where that alone tells them.
_KINDS = {
    "Api": "HTTP API",
    "Dashboard": "dashboard",
    "EventApiDestination": "API destination",
    "EventBus": "event bus",
    "Function": "function",
    "KinesisStreamingDestination": "replication to Kinesis",
    "Pipe": "pipe",
    "Schedule": "schedule",
    "StateMachine": "state machine",
    "Stream": "Kinesis stream",
}


def limits_of(made: Iterable[Registration]) -> list[tuple[str, Limit]]:
    """List the limits of the resources that a component has made, with their kind, in the order of `LIMITS`."""
    kinds = {kind for each in made for kind in _kinds(each.type.rpartition(":")[2], each.inputs)}
    return [(kind, limit) for kind, found in LIMITS.items() if kind in kinds for limit in found]


def _kinds(kind: str, inputs: Mapping[str, Any]) -> Iterator[str]:
    match kind:
        case "EventSourceMapping":
            yield f"mapping of a {'FIFO queue' if ':sqs:' in str(inputs['eventSourceArn']) else 'stream'}"
        case "Queue":
            yield from ("queue", "FIFO queue") if inputs.get("fifoQueue") else ("queue",)
        case "Table":
            yield from ("table", "table's stream") if inputs.get("streamEnabled") else ("table",)
        case "Topic" if inputs.get("fifoTopic"):
            yield "FIFO topic"
        case _ if kind in _KINDS:
            yield _KINDS[kind]
        case _:
            pass
