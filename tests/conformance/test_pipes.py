"""Pipes that read a table's stream (docs/aws-semantics.md §3.2 to §3.5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.engine.pipes.templates import InputTemplate, InvalidTemplate, resolve
from tests.conformance.simulated import batches, letters, outcomes, run, same_request, times

conforms = pytest.mark.conformance

FUNCTION = "lambda:us-east-1:111122223333:function:F"
EVENT = {"eventID": "e1", "dynamodb": {"Keys": {"id": {"S": "u1"}}}, "n": [1, 2], "m": [{"a": 1}, {"a": 2}]}
EXPRESS = "states:us-east-1:111122223333:stateMachine:Express"
ENRICHED = "  Enrichment: 'arn:aws:lambda:us-east-1:111122223333:function:E'"
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


@conforms("PIPE-FAIL-3", "documented")
@pytest.mark.parametrize("target", [FUNCTION, EXPRESS])
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("[]", "success"),
        ("null", "success"),
        ("{}", "success"),
        ("{batchItemFailures: []}", "success"),
        ("{batchItemFailures: null}", "success"),
        ("{batchItemFailures: [{itemIdentifier: ''}]}", "error"),
        ("{batchItemFailures: [{itemIdentifier: null}]}", "error"),
        ("{batchItemFailures: [{foo: 123}]}", "error"),
    ],
)
def test_pipe_fail_3_answers_are_read_as_those_to_a_mapping(target: str, answer: str, outcome: str):
    report = pipe(
        "BatchSize: 4, MaximumRetryAttempts: 0", target=target, rest=f"handler: [{{then: {{return: {answer}}}}}]"
    )
    assert outcomes(report) == [outcome]


@conforms("PIPE-FAIL-2", "documented")
@pytest.mark.parametrize(
    "target", [QUEUE, "sns:us-east-1:111122223333:orders", "events:us-east-1:111122223333:event-bus/orders"]
)
def test_pipe_fail_2_what_a_batch_api_rejected_is_sent_again_through_the_enrichment(target: str):
    report = pipe(
        "BatchSize: 4",
        target=target,
        more=ENRICHED,
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


@conforms("PIPE-FAIL-1", "documented")
def test_pipe_fail_1_internal_errors_end_with_the_records_age_and_customer_errors_with_the_retries():
    throttled = pipe(f"BatchSize: 4, MaximumRecordAgeInSeconds: 60, {DEAD}", rest="handler: [{then: throttle}]")
    failed = pipe(f"BatchSize: 4, MaximumRetryAttempts: 2, {DEAD}", rest="handler: [{then: raise}]")
    assert [each["context"]["condition"] for each in letters(throttled)] == ["RecordAgeExceeded"]
    assert [each["context"]["condition"] for each in letters(failed)] == ["RetryAttemptsExhausted"]
    assert outcomes(failed) == ["error"] * 3


@conforms("PIPE-CREATE-2", "documented")
def test_pipe_create_2_only_with_an_age_below_the_retention_a_blocked_record_becomes_a_dead_letter():
    without = pipe(f"BatchSize: 4, {DEAD}", rest="handler: [{then: raise}]")
    assert (letters(without), without["dropped"][0]["reason"]) == ([], "retention")
    within = pipe(f"BatchSize: 4, MaximumRecordAgeInSeconds: 82800, {DEAD}", rest="handler: [{then: raise}]")
    assert [each["context"]["condition"] for each in letters(within)] == ["RecordAgeExceeded"]
    assert within["dropped"] == []


@conforms("PIPE-PARAM-2", "documented")
def test_pipe_param_2_without_a_batch_size_it_is_100():
    report = pipe("", records=0, rest="\n".join(["  - {}"] * 101))
    assert [len(each["identifiers"]) for each in report["invocations"]] == [100, 1]


@conforms("PIPE-PARAM-3", "documented")
def test_pipe_param_3_a_batch_waits_as_long_as_its_window():
    report = pipe("BatchSize: 5, MaximumBatchingWindowInSeconds: 20")
    assert list(zip(batches(report), times(report), strict=True)) == [("abcd", 20)]


@conforms("PIPE-PARAM-5", "documented")
@pytest.mark.parametrize("retries", [0, 3])
def test_pipe_param_5_n_retries_are_n_plus_one_executions(retries: int):
    report = pipe(f"BatchSize: 4, MaximumRetryAttempts: {retries}", rest="handler: [{then: raise}]")
    assert batches(report) == ["abcd"] * (retries + 1)


@conforms("PIPE-PARAM-7", "documented")
def test_pipe_param_7_without_automatic_bisect_a_failed_batch_stays_whole():
    report = pipe("BatchSize: 4, MaximumRetryAttempts: 1", rest="handler: [{when: {contains: [b]}, then: raise}]")
    assert batches(report) == ["abcd", "abcd"]


@conforms("PIPE-PARAM-4", "documented")
@conforms("PIPE-OPS-4", "documented", partly="the quotas of an account")
def test_pipe_ops_4_a_pipe_has_as_many_executions_at_a_time_as_its_factor_times_the_shards():
    report = pipe("BatchSize: 1, ParallelizationFactor: 3", records=26, rest="handler: [{takes: 1}]")
    running = [sum(at <= other < at + 1 for other in times(report)) for at in times(report)]
    assert max(running) == 3
    alone = pipe("BatchSize: 1", records=26, rest="handler: [{takes: 1}]")
    assert times(alone) == list(range(26))


@conforms("PIPE-FAIL-6", "documented")
def test_pipe_fail_6_order_is_kept_toward_the_target():
    report = pipe(
        "BatchSize: 1, MaximumRetryAttempts: 2", rest="handler: [{when: {contains: [b]}, times: 2, then: raise}]"
    )
    assert batches(report) == ["a", "b", "b", "b", "c", "d"]


@conforms(
    "PIPE-FAIL-6", "documented", partly="the order of a partition key with a factor, only that of an item (ESM-ORDER-2)"
)
def test_pipe_fail_6_with_a_factor_the_order_of_each_item_is_kept():
    written = "\n".join(
        f"  - {{eventID: '{number}', dynamodb: {{Keys: {{pk: {{S: item-{number % 7}}}}}}}}}"
        for number in range(100, 149)
    )
    report = pipe("BatchSize: 2, ParallelizationFactor: 4", records=0, rest=f"{written}\nhandler: [{{takes: 1}}]")
    seen: dict[int, list[int]] = {}
    for number in (int(each) for execution in report["invocations"] for each in execution["identifiers"]):
        seen.setdefault(number % 7, []).append(number)
    assert len({each["lane"] for each in report["invocations"]}) > 1
    assert {key: numbers == sorted(numbers) for key, numbers in seen.items()} == dict.fromkeys(range(7), True)


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
        more=ENRICHED,
        rest=f"handler: [{{then: raise}}]\nenrichment: [{{then: {{return: {answer}}}}}]",
    )
    assert outcomes(report) == ["success"]  # the target, which would raise, was not called
    assert list(report["checkpoints"].values()) == ["4"]


@conforms("PIPE-SHAPE-2", "documented")
@pytest.mark.parametrize("answer", ["[{}]", "[{}, {}]", "[{n: 1}, {n: 2}, {n: 3}, {n: 4}, {n: 5}]"])
def test_pipe_shape_2_a_list_is_sent_whatever_its_length(answer: str):
    report = pipe(
        "BatchSize: 4, MaximumRetryAttempts: 0",
        target=QUEUE,
        more=ENRICHED,
        rest=f"handler: [{{then: raise}}]\nenrichment: [{{then: {{return: {answer}}}}}]",
    )
    assert outcomes(report) == ["error"]  # of the target


@conforms("PIPE-SHAPE-2", "documented")
def test_pipe_shape_2_an_enrichment_with_more_events_than_the_target_takes_fails_the_batch():
    many = ", ".join(["{}"] * 11)
    report = pipe(
        "BatchSize: 4, MaximumRetryAttempts: 0",
        target=QUEUE,
        more=ENRICHED,
        rest=f"enrichment: [{{then: {{return: [{many}]}}}}]",
    )
    assert outcomes(report) == ["error"]


@conforms("PIPE-SHAPE-1", "documented")
def test_pipe_shape_1_an_enrichment_that_fails_fails_the_batch_as_a_whole():
    report = pipe(
        "BatchSize: 4, MaximumRetryAttempts: 1",
        more=ENRICHED,
        rest="enrichment: [{times: 1, then: raise}]",
    )
    assert outcomes(report) == ["error", "success"]
    assert batches(report) == ["abcd", "abcd"]


@conforms("PIPE-SHAPE-1", "documented")
def test_pipe_shape_1_an_enrichment_names_no_failed_events():
    report = pipe("BatchSize: 4", more=ENRICHED, rest="enrichment: [{then: {report: [c]}}]")
    assert (batches(report), outcomes(report)) == (["abcd"], ["success"])


@conforms("PIPE-SHAPE-1", "documented")
@pytest.mark.parametrize(("size", "outcome"), [(6 * 1024 * 1024, "success"), (6 * 1024 * 1024 + 1, "error")])
def test_pipe_shape_1_an_enrichment_answers_with_6_mb(size: int, outcome: str):
    answer = json.dumps(["x" * (size - len('[""]'))])
    report = pipe(
        "BatchSize: 4, MaximumRetryAttempts: 0",
        more=ENRICHED,
        rest=f"enrichment: [{{then: {{return: {answer}}}}}]",
    )
    assert outcomes(report) == [outcome]


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
        target=EXPRESS,
        more=ENRICHED,
        rest="enrichment: [{takes: 200}]\nhandler: [{takes: 150}]",
    )
    assert outcomes(report) == ["timeout"]
    assert report["dropped"][0]["t"] == 300
    within = pipe(
        "BatchSize: 4", target=EXPRESS, more=ENRICHED, rest="enrichment: [{takes: 200}]\nhandler: [{takes: 99}]"
    )
    assert outcomes(within) == ["success"]


@conforms("PIPE-SHAPE-4", "documented")
@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("", EVENT),
        ('{"id": <$.dynamodb.Keys.id.S>}', {"id": "u1"}),
        ('"order of <$.dynamodb.Keys.id.S>"', "order of u1"),
        ("<$.dynamodb.Keys>", {"id": {"S": "u1"}}),
        ('{"all": <aws.pipes.event>, "pipe": "<aws.pipes.pipe-name>"}',
         {"all": EVENT, "pipe": "my-pipe"}),
        ('{"at": <aws.pipes.event.ingestion-time>}', {"at": "2026-01-01T00:00:00Z"}),
        ('{"of each": <$.m[*].a>}', {"of each": [1, 2]}),
        ('{"second": <$.n[1]>, "every": <$.n[*]>}', {"second": 2, "every": [1, 2]}),
        ('{"missing": <$.nothing.here>}', {"missing": ""}),
        ("just text", "just text"),
    ],
)  # fmt: skip
def test_pipe_shape_4_a_template_is_applied_to_each_event(template: str, result: object):
    made = InputTemplate(template).render(EVENT, {"pipe-name": "my-pipe"}, ingested="2026-01-01T00:00:00Z")
    assert made == result


@conforms("PIPE-SHAPE-4", "documented")
def test_pipe_shape_4_a_text_with_quotes_stays_one_text_inside_a_string():
    made = InputTemplate('{"said": "<$.text>", "again": <$.text>}').render({"text": 'a "b"\n'}, {}, ingested="")
    assert made == {"said": 'a "b"\n', "again": 'a "b"\n'}


@conforms("PIPE-SHAPE-4", "documented")
def test_pipe_shape_4_reserved_variables_are_known_by_name():
    constants = {f"{name}-arn": f"arn:{name}" for name in ("pipe", "source", "enrichment", "target")}
    template = ", ".join(f'"{name}": <aws.pipes.{name}>' for name in (*constants, "event.json"))
    made = InputTemplate(f"{{{template}}}").render({"eventID": "e1"}, constants, ingested="")
    assert made == {**constants, "event.json": {"eventID": "e1"}}


@conforms("PIPE-SHAPE-4", "documented")
def test_pipe_shape_4_a_placeholder_that_means_nothing_is_refused():
    with pytest.raises(InvalidTemplate, match="neither a JSON path"):
        InputTemplate('{"a": <aws.pipes.nothing>}')


@conforms("PIPE-SHAPE-5", "documented")
def test_pipe_shape_5_a_target_parameter_can_be_read_from_the_event():
    event = {"dynamodb": {"Keys": {"id": {"S": "u1"}}, "SizeBytes": 8}}
    assert resolve("$.dynamodb.Keys.id.S", event) == "u1"
    assert resolve("$.dynamodb.SizeBytes", event) == "8"
    assert resolve("$.dynamodb.Keys", event) == '{"id": {"S": "u1"}}'
    assert resolve("fixed", event) == "fixed"
    assert resolve("order of $.dynamodb.Keys.id.S", event) == "order of $.dynamodb.Keys.id.S"


@conforms("PIPE-EVENT-1", "deduced")
@pytest.mark.parametrize(
    ("pattern", "sent"),
    [
        ('{"eventName": ["INSERT"]}', ["ab"]),
        ('{"eventSource": ["aws:dynamodb"]}', ["ab"]),
        ('{"eventID": ["a"]}', ["a"]),
        ('{"eventSourceARN": [{"exists": true}]}', []),
    ],
)
def test_pipe_event_1_a_filter_sees_all_that_the_stream_says_and_not_what_is_added_later(pattern: str, sent: list[str]):
    filters = f"    FilterCriteria: {{Filters: [{{Pattern: '{pattern}'}}]}}"
    report = run(f"""
pipe:
  Name: my-pipe
  RoleArn: arn:aws:iam::111122223333:role/pipe
  Source: "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/2026-01-01T00:00:00.000"
  SourceParameters:
{filters}
    DynamoDBStreamParameters: {{StartingPosition: TRIM_HORIZON, BatchSize: 10}}
  Target: "arn:aws:{FUNCTION}"
records: [{{eventID: a}}, {{eventID: b}}]
""")
    assert batches(report) == sent


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


@conforms("PIPE-SHAPE-4", "documented")
def test_pipe_shape_4_a_template_that_makes_no_json_of_an_event_fails_the_batch_before_the_target_is_called():
    report = pipe(
        "BatchSize: 4, MaximumRetryAttempts: 0",
        more="""  TargetParameters: {InputTemplate: '{"key": <$.dynamodb.Keys.pk.S>, }'}""",
        rest="handler: [{takes: 1}]",
    )
    assert outcomes(report) == ["error"]
    assert report["dropped"][0]["t"] == 0
