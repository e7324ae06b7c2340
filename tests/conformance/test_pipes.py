"""What a pipe does with a stream's records (docs/aws-semantics.md §3.2 to §3.5)."""

from __future__ import annotations

from typing import Any

import pytest

from local.pipes.templates import InputTemplate, InvalidTemplate, resolve
from tests.conformance.simulated import batches, letters, outcomes, run, same_request, times

conforms = pytest.mark.conformance

FUNCTION = "lambda:us-east-1:111122223333:function:F"
QUEUE = "sqs:us-east-1:111122223333:orders"
DEAD = "DeadLetterConfig: {Arn: 'arn:aws:sqs:us-east-1:111122223333:dead'}"


def pipe(settings: str, *, target: str = FUNCTION, records: int = 4, more: str = "", rest: str = "") -> dict[str, Any]:
    """The report of a pipe with records whose event IDs are a, b, c… and sequence numbers 1, 2, 3…"""
    written = "\n".join(
        f'  - {{eventID: {chr(96 + number)}, dynamodb: {{SequenceNumber: "{number}"}}}}'
        for number in range(1, records + 1)
    )
    return run(f"""
start: "2024-03-08T00:00:00Z"
pipe:
  Name: my-pipe
  RoleArn: arn:aws:iam::111122223333:role/pipe
  Source: "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/2026-01-01T00:00:00.000"
  SourceParameters:
    DynamoDBStreamParameters: {{StartingPosition: TRIM_HORIZON, {settings}}}
  Target: "arn:aws:{target}"
{more}
records:
{written}
{rest}
""")


@conforms("PIPE-FAIL-3", "documented")
@conforms("PIPE-FAIL-4", "documented")
def test_pipe_fail_4_a_function_names_failed_records_by_event_id_without_any_switch():
    report = pipe("BatchSize: 4", rest="handler: [{when: {batch: [a, b, c, d]}, then: {report: [c]}}]")
    assert batches(report) == ["abcd", "cd"]
    assert outcomes(report) == ["partial", "success"]
    assert list(report["checkpoints"].values()) == ["4"]


@conforms("PIPE-FAIL-4", "documented")
def test_pipe_fail_4_a_sequence_number_names_no_record_of_a_pipe():
    report = pipe("BatchSize: 4, MaximumRetryAttempts: 0", rest="handler: [{then: {report: ['3']}}]")
    assert outcomes(report) == ["error"]


@conforms("PIPE-FAIL-2", "documented")
@pytest.mark.parametrize(
    "target", [QUEUE, "sns:us-east-1:111122223333:orders", "events:us-east-1:111122223333:event-bus/orders"]
)
def test_pipe_fail_2_what_a_batch_api_rejected_is_sent_again_through_the_enrichment(target: str):
    report = pipe(
        "BatchSize: 4",
        target=target,
        more="  Enrichment: 'arn:aws:lambda:us-east-1:111122223333:function:E'",
        rest="handler: [{times: 1, then: {report: [c]}}]\nenrichment: [{takes: 1}]",
    )
    assert batches(report) == ["abcd", "c"]
    assert outcomes(report) == ["partial", "success"]
    assert times(report) == [0, 1]  # each of them was enriched


@conforms("PIPE-FAIL-5", "deduced")
def test_pipe_fail_5_automatic_bisect_halves_a_failed_batch_without_spending_retries():
    report = pipe(
        f"BatchSize: 4, MaximumRetryAttempts: 1, OnPartialBatchItemFailure: AUTOMATIC_BISECT, {DEAD}",
        rest="handler: [{when: {contains: [b]}, then: raise}]",
    )
    assert batches(report) == ["abcd", "ab", "a", "b", "b", "cd"]


@conforms("PIPE-FAIL-1", "documented")
def test_pipe_fail_1_internal_errors_are_not_counted_as_retries():
    report = pipe("BatchSize: 4, MaximumRetryAttempts: 0", rest="handler: [{times: 9, then: throttle}]")
    assert outcomes(report) == ["throttled"] * 9 + ["success"]
    assert set(same_request(report)) == {0}


@conforms("PIPE-FAIL-6", "documented")
def test_pipe_fail_6_order_is_kept_toward_the_target():
    report = pipe(
        "BatchSize: 1, MaximumRetryAttempts: 2", rest="handler: [{when: {contains: [b]}, times: 2, then: raise}]"
    )
    assert batches(report) == ["a", "b", "b", "b", "c", "d"]


@conforms("PIPE-FAIL-7", "recorded")
def test_pipe_fail_7_the_dead_letter_names_the_pipe_and_the_range_of_records():
    report = pipe(f"BatchSize: 1, MaximumRetryAttempts: 0, {DEAD}", records=1, rest="handler: [{then: raise}]")
    (letter,) = letters(report)
    assert letter == {
        "context": {
            "partnerResourceArn": "arn:aws:pipes:us-east-1:111122223333:pipe/my-pipe",
            "condition": "RetryAttemptsExhausted",
        },
        "version": "1.0",
        "timestamp": "2024-03-08T00:00:00.000Z",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000000000000000001-00000000",
            "startSequenceNumber": "1",
            "endSequenceNumber": "1",
            "approximateArrivalOfFirstRecord": "2024-03-08T00:00:00Z",
            "approximateArrivalOfLastRecord": "2024-03-08T00:00:00Z",
            "batchSize": 1,
            "streamArn": "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/2026-01-01T00:00:00.000",
        },
    }


@conforms("PIPE-PARAM-6", "deduced")
def test_pipe_param_6_a_record_that_became_too_old_is_a_dead_letter_without_any_call():
    report = run(f"""
pipe:
  Name: my-pipe
  RoleArn: arn:aws:iam::111122223333:role/pipe
  Source: "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/2026-01-01T00:00:00.000"
  SourceParameters:
    DynamoDBStreamParameters: {{StartingPosition: TRIM_HORIZON, BatchSize: 1, MaximumRecordAgeInSeconds: 60, {DEAD}}}
  Target: "arn:aws:{FUNCTION}"
records: [{{at: 0, visibleAt: 70}}]
""")
    assert report["invocations"] == []
    assert letters(report)[0]["context"]["condition"] == "RecordAgeExceeded"


@conforms("PIPE-SHAPE-2", "documented")
@pytest.mark.parametrize("answer", ["''", "{}", "[]"])
def test_pipe_shape_2_an_empty_enrichment_skips_the_target(answer: str):
    report = pipe(
        "BatchSize: 4",
        more="  Enrichment: 'arn:aws:lambda:us-east-1:111122223333:function:E'",
        rest=f"handler: [{{then: raise}}]\nenrichment: [{{then: {{return: {answer}}}}}]",
    )
    assert outcomes(report) == ["success"]  # the target, which would raise, was not called


@conforms("PIPE-SHAPE-2", "documented")
def test_pipe_shape_2_an_enrichment_with_more_events_than_the_target_takes_fails_the_batch():
    many = ", ".join(["{}"] * 11)
    report = pipe(
        "BatchSize: 4, MaximumRetryAttempts: 0",
        target=QUEUE,
        more="  Enrichment: 'arn:aws:lambda:us-east-1:111122223333:function:E'",
        rest=f"enrichment: [{{then: {{return: [{many}]}}}}]",
    )
    assert outcomes(report) == ["error"]


@conforms("PIPE-SHAPE-1", "documented")
def test_pipe_shape_1_an_enrichment_that_fails_fails_the_batch_as_a_whole():
    report = pipe(
        "BatchSize: 4, MaximumRetryAttempts: 1",
        more="  Enrichment: 'arn:aws:lambda:us-east-1:111122223333:function:E'",
        rest="enrichment: [{times: 1, then: raise}]",
    )
    assert outcomes(report) == ["error", "success"]


@conforms("PIPE-TARGET-5", "documented")
@pytest.mark.parametrize(
    ("target", "parameters"),
    [
        (FUNCTION, "LambdaFunctionParameters"),
        ("states:us-east-1:111122223333:stateMachine:Standard", "StepFunctionStateMachineParameters"),
    ],
)
def test_pipe_target_5_fire_and_forget_hides_every_error_of_the_target(target: str, parameters: str):
    invocation = f"  TargetParameters: {{{parameters}: {{InvocationType: FIRE_AND_FORGET}}}}"
    report = pipe("BatchSize: 4", target=target, more=invocation, rest="handler: [{then: raise}]")
    assert outcomes(report) == ["success"]


@conforms("PIPE-TARGET-6", "documented")
def test_pipe_target_6_enrichment_and_target_have_five_minutes_together():
    report = pipe(
        "BatchSize: 4, MaximumRetryAttempts: 0",
        target="states:us-east-1:111122223333:stateMachine:Express",
        more="  Enrichment: 'arn:aws:lambda:us-east-1:111122223333:function:E'",
        rest="enrichment: [{takes: 200}]\nhandler: [{takes: 150}]",
    )
    assert outcomes(report) == ["timeout"]
    assert report["dropped"][0]["t"] == 300


@conforms("PIPE-SHAPE-4", "documented")
@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("", {"eventID": "e1", "dynamodb": {"Keys": {"id": {"S": "u1"}}}, "n": [1, 2]}),
        ('{"id": <$.dynamodb.Keys.id.S>}', {"id": "u1"}),
        ('"order of <$.dynamodb.Keys.id.S>"', "order of u1"),
        ("<$.dynamodb.Keys>", {"id": {"S": "u1"}}),
        ('{"all": <aws.pipes.event>, "pipe": "<aws.pipes.pipe-name>"}',
         {"all": {"eventID": "e1", "dynamodb": {"Keys": {"id": {"S": "u1"}}}, "n": [1, 2]}, "pipe": "my-pipe"}),
        ('{"at": <aws.pipes.event.ingestion-time>}', {"at": "2026-01-01T00:00:00Z"}),
        ('{"second": <$.n[1]>, "every": <$.n[*]>}', {"second": 2, "every": [1, 2]}),
        ('{"missing": <$.nothing.here>}', {"missing": ""}),
        ("just text", "just text"),
    ],
)  # fmt: skip
def test_pipe_shape_4_a_template_is_applied_to_each_event(template: str, result: object):
    event = {"eventID": "e1", "dynamodb": {"Keys": {"id": {"S": "u1"}}}, "n": [1, 2]}
    made = InputTemplate(template).render(event, {"pipe-name": "my-pipe"}, ingested="2026-01-01T00:00:00Z")
    assert made == result


@conforms("PIPE-SHAPE-4", "documented")
def test_pipe_shape_4_a_placeholder_that_means_nothing_is_refused():
    with pytest.raises(InvalidTemplate, match="neither a JSON path"):
        InputTemplate('{"a": <aws.pipes.nothing>}')


@conforms("PIPE-SHAPE-5", "documented")
def test_pipe_shape_5_a_target_parameter_can_be_read_from_the_event():
    event = {"dynamodb": {"Keys": {"id": {"S": "u1"}}, "SizeBytes": 8}}
    assert resolve("$.dynamodb.Keys.id.S", event) == "u1"
    assert resolve("$.dynamodb.SizeBytes", event) == "8"
    assert resolve("fixed", event) == "fixed"


@conforms("PIPE-EVENT-2", "documented")
def test_pipe_event_2_only_events_that_a_filter_matches_are_sent():
    report = run(f"""
pipe:
  Name: my-pipe
  RoleArn: arn:aws:iam::111122223333:role/pipe
  Source: "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/2026-01-01T00:00:00.000"
  SourceParameters:
    FilterCriteria: {{Filters: [{{Pattern: '{{"dynamodb": {{"Keys": {{"pk": {{"S": ["item-2"]}}}}}}}}'}}]}}
    DynamoDBStreamParameters: {{StartingPosition: TRIM_HORIZON, BatchSize: 10}}
  Target: "arn:aws:{FUNCTION}"
records: [{{eventID: a}}, {{eventID: b}}, {{eventID: c}}]
""")
    assert batches(report) == ["b"]
    assert report["filteredOut"] == ["a", "c"]
