"""Metrics that CloudWatch would have recorded (docs/aws-semantics.md §2.10)."""

from __future__ import annotations

from typing import Any

import pytest

from local.engine.streams.batches import StreamBatches
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings
from tests.conformance.simulated import QUEUE, mapping, run

conforms = pytest.mark.conformance


@conforms("ESM-METRIC-1", "documented")
def test_esm_metric_1_iterator_age_is_the_last_records_age_when_the_batch_is_sent():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON, MaximumBatchingWindowInSeconds: 20}
    records: [{at: 0}, {at: 5.9}]
    handler: [{takes: 2}]
    """)
    assert [each["iteratorAgeMs"] for each in report["invocations"]] == [15_000]
    assert report["metrics"]["maximumIteratorAgeMs"] == 15_000


@conforms("ESM-METRIC-1", "documented")
def test_esm_metric_1_cloudwatch_gets_that_age_in_milliseconds():
    told: list[tuple[str, float]] = []
    stream = StreamBatches(MappingSettings(), record=lambda name, value, now: told.append((name, value)))
    stream.open("shard", (), 0)
    records = [
        StreamRecord({"dynamodb": {"SequenceNumber": str(at), "SizeBytes": 1}}, arrived=at, visible=at) for at in (1, 5)
    ]
    stream.add("shard", records, 7)
    assert len(list(stream.next(7))) == 1
    assert ("IteratorAge", 2000) in told


@conforms("ESM-METRIC-1", "deduced")
@pytest.mark.parametrize("settings", [{"filters": ('{"eventName": ["REMOVE"]}',)}, {}])
def test_esm_metric_1_a_mapping_that_is_disabled_or_filters_everything_out_has_no_iterator_age(settings: Any):
    told: list[str] = []
    stream = StreamBatches(MappingSettings(**settings), record=lambda name, value, now: told.append(name))
    stream.enabled = bool(settings)
    stream.open("shard", (), 0)
    event = {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "SizeBytes": 1}}
    stream.add("shard", [StreamRecord(event, arrived=0, visible=0)], 1)
    assert list(stream.next(1)) == []
    assert "IteratorAge" not in told


@conforms("ESM-METRIC-2", "documented")
def test_esm_metric_2_events_are_counted_as_polled_filtered_invoked_failed_and_delivered():
    report = run(f"""
    eventSourceMapping:
      StartingPosition: TRIM_HORIZON
      MaximumRetryAttempts: 1
      FunctionResponseTypes: [ReportBatchItemFailures]
      FilterCriteria: {{Filters: [{{Pattern: '{{"eventName": ["MODIFY"]}}'}}]}}
      DestinationConfig: {{OnFailure: {{Destination: "{QUEUE}"}}}}
      MetricsConfig: {{Metrics: [EventCount]}}
    records:
      - {{eventName: INSERT, dynamodb: {{SequenceNumber: "1"}}}}
      - {{eventName: MODIFY, dynamodb: {{SequenceNumber: "2"}}}}
      - {{eventName: MODIFY, dynamodb: {{SequenceNumber: "3"}}}}
    handler: [{{when: {{contains: ["3"]}}, then: {{report: ["3"]}}}}]
    """)
    assert report["metrics"] == {
        "PolledEventCount": 3,
        "FilteredOutEventCount": 1,
        "InvokedEventCount": 4,  # 2 and 3, then 3 twice: repeats count
        "FailedInvokeEventCount": 3,  # 3 in each of them: partial failures count
        "DroppedEventCount": 0,  # a destination got it
        "OnFailureDestinationDeliveredEventCount": 1,
        "Errors": 0,
        "Throttles": 0,
        "DestinationDeliveryFailures": 0,
        "maximumIteratorAgeMs": 250,
    }


@conforms("ESM-METRIC-2", "documented")
@conforms(
    "ESM-METRIC-4",
    "documented",
    partly="the records are counted as ESM-METRIC-2 says, where the recording had no datapoint",
)
def test_esm_metric_2_records_given_up_without_a_destination_are_dropped():
    metrics = mapping("MaximumRetryAttempts: 0", rest="handler: [{then: raise}]")["metrics"]
    assert metrics["DroppedEventCount"] == 4
    assert metrics["OnFailureDestinationDeliveredEventCount"] == 0


@conforms("ESM-METRIC-2", "documented")
def test_esm_metric_2_what_a_destination_got_is_counted_in_events_and_not_in_messages():
    to_queue = f'DestinationConfig: {{OnFailure: {{Destination: "{QUEUE}"}}}}'
    report = mapping(f"MaximumRetryAttempts: 0, {to_queue}", rest="handler: [{then: raise}]")
    assert len(report["onFailure"]) == 1
    assert report["metrics"]["OnFailureDestinationDeliveredEventCount"] == 4


@conforms("ESM-METRIC-3", "deduced")
def test_esm_metric_3_errors_and_timeouts_are_errors_and_reported_failures_are_not():
    partial = "FunctionResponseTypes: [ReportBatchItemFailures], MaximumRetryAttempts: 2"
    raised = mapping(partial, rest="handler: [{times: 1, then: raise}, {then: timeout}]")["metrics"]
    reported = mapping(partial, rest="handler: [{then: {report: ['1']}}]")["metrics"]
    assert (raised["Errors"], reported["Errors"]) == (3, 0)
    assert raised["FailedInvokeEventCount"] == reported["FailedInvokeEventCount"] == 12


@conforms("ESM-METRIC-3", "documented")
def test_esm_metric_3_rejected_calls_are_throttles_and_no_errors():
    metrics = mapping("MaximumRetryAttempts: 0", rest="handler: [{times: 3, then: throttle}]")["metrics"]
    assert (metrics["Throttles"], metrics["Errors"]) == (3, 0)


@conforms("ESM-METRIC-5", "recorded")
def test_esm_metric_5_events_count_as_invoked_and_failed_in_every_throttled_attempt():
    metrics = mapping("MaximumRetryAttempts: 0", records=1, rest="handler: [{times: 2, then: throttle}]")["metrics"]
    counted = ("PolledEventCount", "InvokedEventCount", "FailedInvokeEventCount", "Throttles", "Errors")
    assert [metrics[name] for name in counted] == [1, 3, 2, 2, 0]


@conforms("ESM-METRIC-2", "documented")
def test_esm_metric_2_a_mapping_that_polls_nothing_records_zero_once_a_minute():
    polled: list[tuple[float, float]] = []
    machine = StreamBatches(MappingSettings(), record=lambda name, value, now: polled.append((now, value)))
    machine.open("s", (), 0.0)
    for now in (0.0, 0.25, 30.0, 59.9, 60.0, 61.0, 130.0):
        machine.add("s", [], now)
    assert polled == [(0.0, 0), (60.0, 0), (130.0, 0)]
