"""Replication of a table's changes into Kinesis streams, as DynamoDB describes it (docs/aws-semantics.md §4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ops.operator.metrics import HOUR, PERIOD
from ops.operator.stack import Stack

#: Seconds behind from which somebody should look, as the alarm `replication-age-warn`.
BEHIND_SECONDS = 300

_DIMENSION = "DelegatedOperation", "PutRecord"


@dataclass(frozen=True)
class ReplicationStatus:
    """One destination of a table's changes.

    Attributes:
        table: Name of the table.
        stream: ARN of the Kinesis stream.
        state: DynamoDB's word: `ACTIVE`, `ENABLE_FAILED`, `DISABLED` and so on.
        behindSeconds: Age of the oldest change that has not arrived; `None` if none was recorded in the last hour.
        failed: Changes of the last hour that will never arrive.
        throttled: Refused attempts of the last hour, which DynamoDB repeats.
        advice: A reason to act; empty where there is none.
    """

    table: str
    stream: str
    state: str
    behindSeconds: float | None  # noqa: N815 - the document's own names
    failed: int
    throttled: int
    advice: str


def replications(stack: Stack, tables: Sequence[str], *, now: float) -> list[ReplicationStatus]:
    """Describe the destinations of tables, in the order of the tables.

    Args:
        stack: The stack.
        tables: Names of tables.
        now: Seconds since 1970.
    """
    dynamodb = stack.client("dynamodb")
    found: list[ReplicationStatus] = []
    for table in tables:
        described = dynamodb.describe_kinesis_streaming_destination(TableName=table)
        destinations = described.get("KinesisDataStreamDestinations", [])
        if destinations:
            values = _metrics(stack.client("cloudwatch"), table, now)
            found += [_status(table, each, values) for each in destinations]
    return found


def _status(table: str, destination: Any, values: dict[str, list[float]]) -> ReplicationStatus:
    age, failed = values["AgeOfOldestUnreplicatedRecord"], round(sum(values["FailedToReplicateRecordCount"]))
    behind = age[-1] / 1000 if age else None
    state = destination["DestinationStatus"]
    advice = ""
    if state == "ENABLE_FAILED":
        advice = f"not replicated: {destination.get('DestinationStatusDescription', 'DynamoDB gives no reason')}"
    elif state in ("DISABLED", "DISABLING"):
        advice = f"not replicated: {state.lower()}; changes since then are in no Kinesis stream. Enable it: pulumi up"
    elif failed:
        advice = f"{failed} changes will never arrive; compare what reads the stream with the table"
    elif behind is not None and behind >= BEHIND_SECONDS:
        advice = "behind: look at the stream's capacity, its key and its resource policy"
    throttled = round(sum(values["ThrottledPutRecordCount"]))
    return ReplicationStatus(table, destination["StreamArn"], state, behind, failed, throttled, advice)


def _metrics(cloudwatch: Any, table: str, now: float) -> dict[str, list[float]]:
    """Read the metrics of a table's replication of the last hour, oldest value first."""
    wanted = {
        "AgeOfOldestUnreplicatedRecord": "Maximum",
        "FailedToReplicateRecordCount": "Sum",
        "ThrottledPutRecordCount": "Sum",
    }
    dimensions = [{"Name": "TableName", "Value": table}, {"Name": _DIMENSION[0], "Value": _DIMENSION[1]}]
    queries = [
        {
            "Id": f"m{index}",
            "MetricStat": {
                "Metric": {"Namespace": "AWS/DynamoDB", "MetricName": name, "Dimensions": dimensions},
                "Period": PERIOD,
                "Stat": statistic,
            },
        }
        for index, (name, statistic) in enumerate(wanted.items())
    ]
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=queries,
        StartTime=datetime.fromtimestamp(now - HOUR - PERIOD, UTC),
        EndTime=datetime.fromtimestamp(now + PERIOD, UTC),
        ScanBy="TimestampAscending",
    )
    values = {result["Id"]: [float(value) for value in result["Values"]] for result in answer["MetricDataResults"]}
    return {name: values.get(f"m{index}", []) for index, name in enumerate(wanted)}
