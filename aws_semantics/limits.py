"""AWS's limits as data, shared by the components, the policy pack and the local endpoint.

Sources: docs/aws-semantics.md, by section.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Whole numbers from `minimum` to `maximum`, and those in `also` (AWS's -1 for "no limit")."""

    minimum: int
    maximum: int
    also: tuple[int, ...] = ()

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return self.minimum <= value <= self.maximum or value in self.also

    def __str__(self) -> str:
        return " or ".join([*map(str, self.also), f"{self.minimum} to {self.maximum}"])


#: Event source mapping of a stream, by the name of CreateEventSourceMapping's member (§2.1).
STREAM_MAPPING_RANGES = {
    "BatchSize": Range(1, 10_000),
    "MaximumBatchingWindowInSeconds": Range(0, 300),
    "ParallelizationFactor": Range(1, 10),
    "MaximumRetryAttempts": Range(-1, 10_000),
    "MaximumRecordAgeInSeconds": Range(60, 604_800, also=(-1,)),
    "TumblingWindowInSeconds": Range(0, 900),
}

STREAM_STARTING_POSITIONS = ("TRIM_HORIZON", "LATEST")
STREAM_VIEW_TYPES = ("NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY")
FUNCTION_RESPONSE_TYPES = ("ReportBatchItemFailures",)
STREAM_MAPPING_METRICS = ("EventCount",)

#: Event source mapping of a queue: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html
QUEUE_MAPPING_RANGES = {"BatchSize": Range(1, 10_000), "MaximumBatchingWindowInSeconds": Range(0, 300)}
QUEUE_MAPPING_CONCURRENCY = Range(2, 1_000)

#: Messages of a standard queue in one batch without a window (PIPE-SQS-1).
QUEUE_BATCH_WITHOUT_WINDOW = 10

#: Messages of a FIFO queue in one batch, which takes no window (§10.1).
FIFO_QUEUE_BATCH = Range(1, 10)

#: Seconds that a queue hides a received message, and keeps one that nobody deletes (§10.1).
QUEUE_VISIBILITY_SECONDS = Range(0, 43_200)
QUEUE_RETENTION_SECONDS = Range(60, 1_209_600)

#: Receives after which a queue's redrive policy moves a message (§10.1).
QUEUE_RECEIVES = Range(1, 1_000)

#: Bytes of a message of SQS or SNS, where the topic's MaximumMessageSize is at its maximum (§10.1).
MESSAGE_BYTES = 1024 * 1024

#: Subscriptions of a FIFO topic, and days that its archive can keep a message (§10.1).
FIFO_TOPIC_SUBSCRIPTIONS = 100
TOPIC_ARCHIVE_DAYS = Range(1, 365)

#: Filter patterns of one mapping (the quota can be raised to 10), and characters of one pattern (§2.1).
FILTERS_PER_MAPPING = 5
FILTER_PATTERN_CHARACTERS = 4096

#: The size of one invocation's event, in bytes (§2.3).
INVOCATION_PAYLOAD_BYTES = 6 * 1024 * 1024

#: Bytes of an asynchronous invocation's payload (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
ASYNC_PAYLOAD_BYTES = 1024 * 1024

#: The size of an execution's input, in characters (§3.4).
EXECUTION_INPUT_CHARACTERS = 262_144

#: Events that a pipe sends to a target in one call, by the service in its ARN (§3.4); others take any number.
PIPE_TARGET_BATCH = {"api-destination": 1, "events": 10, "sns": 10, "sqs": 10}

#: Seconds that a pipe's enrichment and target may take together (PIPE-TARGET-6).
PIPE_EXECUTION_SECONDS = 300

#: The size of one PutEvents request, in bytes (§3.4).
PUT_EVENTS_BYTES = 1024 * 1024

#: The size of a tumbling window's state at which the window is ended early, in bytes (§2.9).
TUMBLING_STATE_BYTES = 1024 * 1024

#: How long a DynamoDB stream keeps a record, in seconds (§1.1).
STREAM_RETENTION_SECONDS = 24 * 60 * 60

#: Kinesis Data Streams: hours that a stream keeps a record, KiB of its largest one, and shared readers of a shard; then
#: consumers with enhanced fan-out, and how many the account setting On-demand Advantage allows (§4).
KINESIS_RETENTION_HOURS = Range(24, 8_760)
KINESIS_RECORD_KIB = Range(1_024, 10_240)
KINESIS_READERS = 5
KINESIS_ENHANCED_CONSUMERS = 20
KINESIS_ENHANCED_CONSUMERS_OF_ADVANTAGE = 50

#: Value of the dimension DelegatedOperation of a table's replication metrics (ALARM-8).
DELEGATED_OPERATION = "StreamRecords"

#: KiB of the largest record that Lambda's payload holds, whose data is base64 (KDS-13).
KINESIS_RECORD_KIB_FOR_LAMBDA = 4_096

#: Shards of a provisioned stream: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
KINESIS_SHARDS = Range(1, 20_000)

#: Readers of one shard before reads are throttled: of a table, and of a global table (§1.1).
STREAM_READERS = 2
STREAM_READERS_OF_GLOBAL_TABLE = 1

#: Seconds between two reads of a shard at the base rate of a stream's mapping (§2.3).
STREAM_POLL_SECONDS = 0.25

#: A function's timeout in seconds and memory in MB.
FUNCTION_TIMEOUT = Range(1, 900)
FUNCTION_MEMORY = Range(128, 10_240)

#: Layers of one function: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
FUNCTION_LAYERS = 5

#: Bytes of a function's code and layers together, unzipped, and of one archive that is uploaded in a call (same page).
FUNCTION_PACKAGE_BYTES = 262_144_000
FUNCTION_UPLOAD_BYTES = 52_428_800

#: How long an HTTP API waits for its integration.
HTTP_API_TIMEOUT_SECONDS = 30

#: Observed waits between retries of a batch: the first, doubling, and the shortest cap that fits (§2.5).
BACK_OFF_FIRST_SECONDS = 0.25
BACK_OFF_CAP_SECONDS = 60.0

#: Retention periods that CloudWatch Logs takes, in days.
LOG_RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
