"""Retries, bisection and the end of failed batches (docs/aws-semantics.md §2.5, §2.6)."""

from __future__ import annotations

import pytest

from tests.conformance.simulated import (
    QUEUE,
    batches,
    letters,
    mapping,
    outcomes,
    run,
    same_request,
    times,
)

conforms = pytest.mark.conformance

PARTIAL = "FunctionResponseTypes: [ReportBatchItemFailures]"
TO_QUEUE = f'DestinationConfig: {{OnFailure: {{Destination: "{QUEUE}"}}}}'
POISON_2 = "handler: [{when: {contains: ['2']}, then: raise}]"
REPORTS_2 = "handler: [{when: {contains: ['2']}, then: {report: ['2']}}]"


def waits(*, retries: int) -> list[float]:
    """Seconds from the end of each invocation to the next one, of a function that always raises."""
    report = mapping(f"MaximumRetryAttempts: {retries}", records=1, rest="handler: [{then: raise, takes: 0.1}]")
    ends = [at + 0.1 for at in times(report)]
    return [round(after - before, 6) for before, after in zip(ends, times(report)[1:], strict=False)]


@conforms("ESM-FAIL-1", "recorded")
def test_esm_fail_1_records_too_old_are_cut_off_and_the_younger_ones_delivered():
    report = run(f"""
    eventSourceMapping: {{StartingPosition: TRIM_HORIZON, MaximumRecordAgeInSeconds: 60, {TO_QUEUE}}}
    records:
      - {{at: 10, visibleAt: 70, dynamodb: {{SequenceNumber: "1"}}}}
      - {{at: 30, visibleAt: 70, dynamodb: {{SequenceNumber: "2"}}}}
      - {{at: 40, visibleAt: 70, dynamodb: {{SequenceNumber: "3"}}}}
    """)
    assert batches(report) == ["23"]
    (letter,) = letters(report)
    assert letter["requestContext"]["condition"] == "RecordAgeExceeded"
    assert letter["DDBStreamBatchInfo"]["batchSize"] == 1


@conforms("ESM-FAIL-1", "recorded")
def test_esm_fail_1_a_record_that_is_too_old_when_first_seen_is_never_delivered():
    report = run(f"""
    eventSourceMapping:
      {{StartingPosition: TRIM_HORIZON, MaximumRecordAgeInSeconds: 60, MaximumRetryAttempts: 0, {TO_QUEUE}}}
    records: [{{at: 0, visibleAt: 70}}]
    """)
    assert report["invocations"] == []
    (letter,) = letters(report)
    assert letter["requestContext"]["condition"] == "RecordAgeExceeded"


@conforms("ESM-FAIL-1", "recorded")
def test_esm_fail_1_each_batch_that_was_too_old_has_a_document_of_its_own():
    report = run(f"""
    eventSourceMapping:
      StartingPosition: TRIM_HORIZON
      BatchSize: 1
      MaximumRetryAttempts: 2
      MaximumRecordAgeInSeconds: 60
      {TO_QUEUE}
    records:
      - {{at: 0, visibleAt: 75.2, dynamodb: {{SequenceNumber: "1"}}}}
      - {{at: 3.75, visibleAt: 75.2, dynamodb: {{SequenceNumber: "2"}}}}
      - {{at: 28.2, visibleAt: 75.2, dynamodb: {{SequenceNumber: "3"}}}}
    """)
    assert batches(report) == ["3"]
    told = [(each["DDBStreamBatchInfo"]["batchSize"], each["requestContext"]) for each in letters(report)]
    assert [(size, context["approximateInvokeCount"]) for size, context in told] == [(1, 1), (1, 1)]
    assert told[0][1]["requestId"] != told[1][1]["requestId"]


@conforms("ESM-FAIL-1", "recorded")
def test_esm_fail_1_a_record_can_become_too_old_between_retries():
    report = mapping(f"MaximumRecordAgeInSeconds: 60, {TO_QUEUE}", records=1, rest="handler: [{then: raise}]")
    assert len(report["invocations"]) == 8  # as many as were recorded in 60 seconds
    (letter,) = letters(report)
    assert letter["requestContext"]["condition"] == "RecordAgeExceeded"
    assert "responseContext" not in letter


@conforms("ESM-FAIL-1", "deduced")
def test_esm_fail_1_what_is_younger_goes_on_with_the_attempts_it_has_had():
    report = run(f"""
    eventSourceMapping: {{StartingPosition: TRIM_HORIZON, MaximumRecordAgeInSeconds: 60, {TO_QUEUE}}}
    records:
      - {{at: 0, visibleAt: 58, dynamodb: {{SequenceNumber: "1"}}}}
      - {{at: 30, visibleAt: 58, dynamodb: {{SequenceNumber: "2"}}}}
    handler: [{{times: 4, then: raise}}]
    """)
    assert batches(report) == ["12", "12", "12", "12", "2"]
    assert [each["attempt"] for each in report["invocations"]] == [1, 2, 3, 4, 5]
    assert same_request(report) == [0] * 5
    assert [each["DDBStreamBatchInfo"]["batchSize"] for each in letters(report)] == [1]


@conforms("ESM-FAIL-2", "documented")
def test_esm_fail_2_throttles_cost_no_retry_and_let_the_records_grow_older():
    report = mapping(
        f"MaximumRetryAttempts: 1, {TO_QUEUE}",
        records=1,
        rest="handler: [{times: 5, then: throttle}, {then: raise}]",
    )
    assert outcomes(report) == ["throttled"] * 5 + ["error"] * 2
    assert times(report) == [0, 0.25, 0.75, 1.75, 3.75, 7.75, 8.0]
    assert same_request(report) == [0] * 7
    assert letters(report)[0]["requestContext"]["approximateInvokeCount"] == 2


@conforms("ESM-FAIL-2", "documented")
def test_esm_fail_2_throttling_ends_with_the_records_age():
    report = mapping(f"MaximumRecordAgeInSeconds: 60, {TO_QUEUE}", records=1, rest="handler: [{then: throttle}]")
    assert set(outcomes(report)) == {"throttled"}
    assert letters(report)[0]["requestContext"] == {
        "requestId": report["invocations"][0]["requestId"],
        "functionArn": "arn:aws:lambda:us-east-1:111122223333:function:function",
        "condition": "RecordAgeExceeded",
        "approximateInvokeCount": 1,
    }


@conforms("ESM-FAIL-3", "recorded")
def test_esm_fail_3_a_partial_response_gives_the_rest_a_fresh_retry_budget():
    report = mapping(
        f"BatchSize: 3, MaximumRetryAttempts: 3, {PARTIAL}, {TO_QUEUE}",
        records=6,
        rest="handler: [{when: {contains: ['6']}, then: {report: ['6']}}]",
    )
    assert batches(report) == ["123", "456", "6", "6", "6", "6"]
    (letter,) = letters(report)
    assert letter["requestContext"]["approximateInvokeCount"] == 4
    assert letter["DDBStreamBatchInfo"]["batchSize"] == 1


@conforms("ESM-FAIL-3", "recorded")
def test_esm_fail_3_the_suffix_from_the_first_failure_is_a_batch_of_its_own():
    report = mapping(f"BatchSize: 4, MaximumRetryAttempts: 1, {PARTIAL}, {TO_QUEUE}", rest=REPORTS_2)
    assert batches(report) == ["1234", "234", "234"]
    assert outcomes(report) == ["partial", "error", "error"]
    assert same_request(report) == [0, 1, 1]
    assert letters(report)[0]["requestContext"]["approximateInvokeCount"] == 2


@conforms("ESM-FAIL-4", "recorded")
def test_esm_fail_4_a_batch_that_raised_is_halved_depth_first_left_to_right():
    report = mapping(
        f"BatchSize: 4, MaximumRetryAttempts: 1, BisectBatchOnFunctionError: true, {TO_QUEUE}", rest=POISON_2
    )
    assert batches(report) == ["1234", "12", "1", "2", "2", "34"]
    assert times(report) == [0, 0, 0, 0, 0.25, 0.25]
    assert letters(report)[0]["requestContext"]["approximateInvokeCount"] == 2


@conforms("ESM-FAIL-5", "documented")
@conforms("ESM-FAIL-4", "recorded")
def test_esm_fail_4_a_batch_whose_first_record_is_reported_is_halved_floor_first():
    report = mapping(
        f"BatchSize: 4, MaximumRetryAttempts: 1, BisectBatchOnFunctionError: true, {PARTIAL}, {TO_QUEUE}",
        rest=REPORTS_2,
    )
    assert batches(report) == ["1234", "234", "2", "2", "34"]


@conforms("ESM-FAIL-4", "recorded")
def test_esm_fail_4_without_bisect_the_whole_batch_is_retried_and_given_up():
    report = mapping(f"BatchSize: 4, MaximumRetryAttempts: 2, {TO_QUEUE}", rest=POISON_2)
    assert batches(report) == ["1234", "1234", "1234"]
    assert letters(report)[0]["DDBStreamBatchInfo"]["batchSize"] == 4


@conforms("ESM-FAIL-5", "documented")
def test_esm_fail_5_an_error_splits_the_batch_although_item_failures_could_be_reported():
    report = mapping(
        f"BatchSize: 4, MaximumRetryAttempts: 0, BisectBatchOnFunctionError: true, {PARTIAL}, {TO_QUEUE}", rest=POISON_2
    )
    assert batches(report) == ["1234", "12", "1", "2", "34"]


@conforms("ESM-FAIL-6", "deduced")
def test_esm_fail_6_a_batch_is_split_down_to_singles_without_any_retry():
    report = mapping(
        f"BatchSize: 2, MaximumRetryAttempts: 0, BisectBatchOnFunctionError: true, {TO_QUEUE}",
        records=2,
        rest="handler: [{then: raise}]",
    )
    assert batches(report) == ["12", "1", "2"]
    assert [each["DDBStreamBatchInfo"]["batchSize"] for each in letters(report)] == [1, 1]


@conforms("ESM-FAIL-7", "deduced")
@pytest.mark.parametrize("size", [2, 8, 64, 128])
def test_esm_fail_7_one_poison_record_costs_two_invocations_for_each_halving(size: int):
    settings = f"BatchSize: {size}, MaximumRetryAttempts: 0, BisectBatchOnFunctionError: true, {TO_QUEUE}"
    report = mapping(settings, records=size, rest=f"handler: [{{when: {{contains: ['{size}']}}, then: raise}}]")
    assert len(report["invocations"]) == 2 * (size.bit_length() - 1) + 1
    retried = settings.replace("MaximumRetryAttempts: 0", "MaximumRetryAttempts: 5")
    report = mapping(retried, records=size, rest=f"handler: [{{when: {{contains: ['{size}']}}, then: raise}}]")
    assert len(report["invocations"]) == 2 * (size.bit_length() - 1) + 1 + 5


@conforms("ESM-FAIL-7", "deduced")
def test_esm_fail_7_healthy_records_before_the_poison_are_processed_again_and_those_behind_it_too():
    settings = f"BatchSize: 8, MaximumRetryAttempts: 0, BisectBatchOnFunctionError: true, {TO_QUEUE}"
    report = mapping(settings, records=8, rest="handler: [{when: {contains: ['4']}, then: raise}]")
    assert batches(report) == ["12345678", "1234", "12", "34", "3", "4", "5678"]


@conforms("ESM-FAIL-8", "recorded")
def test_esm_fail_8_retries_reuse_the_request_id_and_new_batches_do_not():
    report = mapping(
        f"BatchSize: 2, MaximumRetryAttempts: 2, BisectBatchOnFunctionError: true, {TO_QUEUE}", records=2, rest=POISON_2
    )
    assert batches(report) == ["12", "1", "2", "2", "2"]
    assert same_request(report) == [0, 1, 2, 2, 2]
    assert [each["attempt"] for each in report["invocations"]] == [1, 1, 1, 2, 3]


@conforms("ESM-FAIL-9", "documented")
def test_esm_fail_9_under_the_defaults_a_poison_record_blocks_its_shard_until_the_stream_forgets_it():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON, BatchSize: 1}
    records:
      - {dynamodb: {SequenceNumber: "1"}}
      - {at: 3600, dynamodb: {SequenceNumber: "2"}}
    handler: [{when: {contains: ["1"]}, then: raise}]
    """)
    (lost,) = report["dropped"]
    assert (lost["identifiers"], lost["reason"]) == (["1"], "retention")
    assert 86_400 <= lost["t"] <= 86_460
    assert batches(report)[-1] == "2"
    assert report["onFailure"] == []
    assert report["metrics"]["DroppedEventCount"] == 0  # retention loss is not counted


@conforms("ESM-FAIL-10", "recorded")
def test_esm_fail_10_the_wait_between_retries_doubles_from_a_quarter_of_a_second():
    assert waits(retries=4) == [0.25, 0.5, 1, 2]


@conforms("ESM-FAIL-10", "deduced")
def test_esm_fail_10_no_wait_is_longer_than_a_minute():
    assert waits(retries=10)[4:] == [4, 8, 16, 32, 60, 60]


@conforms("ESM-FAIL-10", "recorded")
def test_esm_fail_10_halves_and_what_a_partial_response_leaves_follow_at_once():
    report = mapping(
        f"BatchSize: 4, MaximumRetryAttempts: 0, BisectBatchOnFunctionError: true, {PARTIAL}", rest=REPORTS_2
    )
    assert set(times(report)) == {0}


@conforms("ESM-FAIL-11", "recorded")
def test_esm_fail_11_what_was_given_up_no_longer_blocks_the_shard():
    report = mapping(f"BatchSize: 1, MaximumRetryAttempts: 0, {TO_QUEUE}", records=3, rest=POISON_2)
    assert batches(report) == ["1", "2", "3"]
    assert list(report["checkpoints"].values()) == ["3"]
    assert report["unfinished"] == []


@conforms("ESM-ANSWER-1", "recorded")
@pytest.mark.parametrize("answer", ["[]", "null", "{}", "{batchItemFailures: []}", "{batchItemFailures: null}", "''"])
def test_esm_answer_1_an_answer_without_failures_is_success(answer: str):
    report = mapping(
        f"MaximumRetryAttempts: 3, {PARTIAL}", records=1, rest=f"handler: [{{then: {{return: {answer}}}}}]"
    )
    assert outcomes(report) == ["success"]


@conforms("ESM-ANSWER-2", "recorded")
def test_esm_answer_2_everything_before_the_reported_record_is_done():
    report = mapping(f"{PARTIAL}", rest="until: 0\nhandler: [{when: {contains: ['3']}, then: {report: ['3']}}]")
    assert batches(report)[:2] == ["1234", "34"]
    assert list(report["checkpoints"].values()) == ["2"]


@conforms("ESM-ANSWER-3", "documented")
def test_esm_answer_3_of_several_identifiers_the_lowest_sequence_number_counts():
    report = run(f"""
    eventSourceMapping: {{StartingPosition: TRIM_HORIZON, {PARTIAL}}}
    records:
      - {{dynamodb: {{SequenceNumber: "98"}}}}
      - {{dynamodb: {{SequenceNumber: "99"}}}}
      - {{dynamodb: {{SequenceNumber: "100"}}}}
      - {{dynamodb: {{SequenceNumber: "101"}}}}
    handler: [{{times: 1, then: {{report: ["101", "99", "100"]}}}}]
    """)
    assert [each["identifiers"] for each in report["invocations"]] == [["98", "99", "100", "101"], ["99", "100", "101"]]


@conforms("ESM-ANSWER-4", "recorded")
@pytest.mark.parametrize(
    "item", ["{itemIdentifier: ''}", "{itemIdentifier: null}", "{foo: 123}", "{foo: null}", "{itemIdentifier: 123}"]
)
def test_esm_answer_4_an_item_that_names_no_record_fails_the_whole_batch(item: str):
    report = mapping(
        f"MaximumRetryAttempts: 3, {PARTIAL}, {TO_QUEUE}",
        records=1,
        rest=f"handler: [{{then: {{return: {{batchItemFailures: [{item}]}}}}}}]",
    )
    assert outcomes(report) == ["error"] * 4
    (letter,) = letters(report)
    assert letter["requestContext"]["approximateInvokeCount"] == 4
    assert letter["responseContext"]["functionError"] is None


@conforms("ESM-ANSWER-5", "recorded")
@pytest.mark.parametrize(("then", "outcome"), [("raise", "error"), ("timeout", "timeout")])
def test_esm_answer_5_an_error_or_a_timeout_fails_the_whole_batch(then: str, outcome: str):
    report = mapping(f"MaximumRetryAttempts: 0, {PARTIAL}, {TO_QUEUE}", rest=f"handler: [{{then: {then}}}]")
    assert outcomes(report) == [outcome]
    assert letters(report)[0]["responseContext"]["functionError"] == "Unhandled"


@conforms("ESM-ANSWER-6", "deduced")
def test_esm_answer_6_a_wrong_name_for_the_list_is_success_and_silent_loss():
    report = mapping(PARTIAL, rest="handler: [{then: {return: {failures: [{itemIdentifier: '2'}]}}}]")
    assert outcomes(report) == ["success"]
    assert (report["onFailure"], report["dropped"], report["unfinished"]) == ([], [], [])


@conforms("ESM-ANSWER-7", "recorded")
def test_esm_answer_7_identifiers_are_ignored_without_the_setting():
    report = mapping("MaximumRetryAttempts: 1", rest=REPORTS_2)
    assert batches(report) == ["1234"]
    assert outcomes(report) == ["success"]


@conforms("ESM-ANSWER-8", "deduced")
def test_esm_answer_8_one_unknown_identifier_beside_known_ones_fails_the_whole_batch():
    report = mapping(f"MaximumRetryAttempts: 0, {PARTIAL}", rest="handler: [{then: {report: ['3', 'nobody']}}]")
    assert outcomes(report) == ["error"]
    assert report["dropped"][0]["identifiers"] == ["1", "2", "3", "4"]


@conforms("ESM-ANSWER-9", "recorded")
def test_esm_answer_9_an_event_id_identifies_no_record():
    report = run(f"""
    eventSourceMapping: {{StartingPosition: TRIM_HORIZON, MaximumRetryAttempts: 0, {PARTIAL}}}
    records: [{{eventID: first}}, {{eventID: second}}]
    handler: [{{then: {{report: [second]}}}}]
    """)
    assert outcomes(report) == ["error"]
