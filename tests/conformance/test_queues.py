"""Mappings and pipes that read a queue, in simulation (docs/aws-semantics.md §3.8)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.simulated import Report, batches, outcomes, refused, run, times

conforms = pytest.mark.conformance

QUEUE = "arn:aws:sqs:us-east-1:111122223333:orders"
REPORTS = "FunctionResponseTypes: [ReportBatchItemFailures]"
FUNCTION = "lambda:us-east-1:111122223333:function:F"


def messages(names: str, **more: str) -> str:
    """Messages with these ids of one letter, sent in this order at once; of a group where one is given for the id."""
    return "\n".join(
        f"  - {{messageId: {name}, body: {name}"
        + (f", attributes: {{MessageGroupId: {more[name]}}}" if name in more else "")
        + "}"
        for name in names
    )


def mapping(settings: str = "", *, sent: str, arn: str = QUEUE, rest: str = "") -> Report:
    return run(f"eventSourceMapping: {{EventSourceArn: '{arn}', {settings or REPORTS}}}\nrecords:\n{sent}\n{rest}")


def pipe(settings: str = "", *, sent: str, arn: str = QUEUE, target: str = FUNCTION, rest: str = "") -> Report:
    return run(f"""
pipe:
  Name: orders
  RoleArn: arn:aws:iam::111122223333:role/pipe
  Source: "{arn}"
  SourceParameters: {{{settings}}}
  Target: "arn:aws:{target}"
records:
{sent}
{rest}
""")


@conforms("PIPE-SQS-3", "documented")
@pytest.mark.parametrize("read", [mapping, pipe])
def test_pipe_sqs_3_only_what_an_answer_names_comes_back_after_the_visibility_timeout(read: Any):
    report = read(
        sent=messages("abc"), rest="handler: [{times: 1, then: {report: [b]}}]\nqueue: {visibilityTimeout: 40}"
    )
    assert batches(report) == ["abc", "b"]
    assert outcomes(report) == ["partial", "success"]
    assert times(report) == [0, 40]
    assert [each["attempt"] for each in report["invocations"]] == [1, 2]
    assert (report["checkpoints"], report["unfinished"]) == ({}, [])
    assert {each["shard"] for each in report["invocations"]} == {"orders"}


@conforms("PIPE-SQS-3", "documented")
@pytest.mark.parametrize("fails", ["raise", "timeout", "{report: [nobody]}", "throttle"])
def test_pipe_sqs_3_a_failure_that_names_no_message_brings_all_of_them_back(fails: str):
    report = pipe(sent=messages("ab"), rest=f"handler: [{{times: 1, then: {fails}}}]")
    assert batches(report) == ["ab", "ab"]
    assert times(report) == [0, 30]


@conforms("PIPE-SQS-3", "documented")
def test_pipe_sqs_3_a_batch_api_names_the_entries_that_come_back():
    report = pipe(
        sent=messages("abc"),
        target="sqs:us-east-1:111122223333:target",
        rest="handler: [{times: 1, then: {report: [a, c]}}]",
    )
    assert batches(report) == ["abc", "ac"]


@conforms("PIPE-SQS-3", "documented")
def test_pipe_sqs_3_the_queues_redrive_policy_moves_a_message_that_was_received_too_often():
    report = pipe(
        sent=messages("ab"),
        rest="handler: [{when: {contains: [a]}, then: {report: [a]}}]\nqueue: {maxReceiveCount: 2}",
    )
    assert batches(report) == ["ab", "a"]
    assert report["onFailure"] == [
        {
            "t": 60,
            "body": {"messageId": "a", "body": "a", "attributes": {"ApproximateReceiveCount": "2"}},
            "delivered": True,
        }
    ]


def test_without_the_setting_a_mapping_takes_a_reported_failure_for_success():
    report = mapping("FunctionResponseTypes: []", sent=messages("ab"), rest="handler: [{then: {report: [a]}}]")
    assert outcomes(report) == ["success"]


@conforms("PIPE-SQS-4", "documented")
def test_pipe_sqs_4_a_group_waits_for_what_failed_in_it_and_no_group_for_another():
    report = pipe(
        "SqsQueueParameters: {BatchSize: 1}",
        arn=f"{QUEUE}.fifo",
        sent=messages("abcd", a="x", b="x", c="y", d="y"),
        rest="handler: [{when: {contains: [a]}, times: 1, then: raise}]",
    )
    assert list(zip(times(report), batches(report), strict=True)) == [
        (0, "a"),
        (0, "c"),
        (0, "d"),
        (30, "a"),
        (30, "b"),
    ]


@conforms("PIPE-SQS-4", "documented")
def test_pipe_sqs_4_a_batch_holds_messages_of_one_group():
    report = pipe(arn=f"{QUEUE}.fifo", sent=messages("abcd", a="x", b="y", c="x", d="y"))
    assert batches(report) == ["ac", "bd"]


@conforms("PIPE-SQS-5", "documented")
def test_pipe_sqs_5_what_no_filter_matches_is_deleted():
    pattern = json.dumps({"body": {"plan": ["pro"]}})
    report = pipe(
        f"FilterCriteria: {{Filters: [{{Pattern: '{pattern}'}}]}}",
        sent="  - {messageId: a, body: {plan: pro}}\n  - {messageId: b, body: {plan: free}}\n"
        '  - {messageId: c, body: pro}\n  - {messageId: d, body: \'{"plan": "pro"}\'}',
    )
    assert batches(report) == ["ad"]
    assert (report["filteredOut"], report["unfinished"]) == (["b", "c"], [])


@conforms("PIPE-SQS-6", "documented", partly="five batches run at once, and no more with the time")
def test_pipe_sqs_6_five_batches_run_at_once():
    report = pipe("SqsQueueParameters: {BatchSize: 1}", sent=messages("abcdefg"), rest="handler: [{takes: 1}]")
    assert times(report) == [0, 0, 0, 0, 0, 1, 1]
    assert [each["lane"] for each in report["invocations"]] == [0, 1, 2, 3, 4, 0, 1]


def test_a_mapping_runs_no_more_batches_at_once_than_its_maximum_concurrency():
    report = mapping(
        "BatchSize: 1, ScalingConfig: {MaximumConcurrency: 2}", sent=messages("abc"), rest="handler: [{takes: 1}]"
    )
    assert times(report) == [0, 0, 1]


def test_a_window_gathers_messages():
    report = pipe(
        "SqsQueueParameters: {BatchSize: 3, MaximumBatchingWindowInSeconds: 10}",
        sent="  - {messageId: a}\n  - {messageId: b, at: 4}\n  - {messageId: c, at: 11}\n  - {messageId: d, at: 11}\n"
        "  - {messageId: e, at: 12}",
    )
    assert list(zip(times(report), batches(report), strict=True)) == [(10, "ab"), (12, "cde")]


def test_a_function_that_runs_longer_than_the_visibility_timeout_gets_its_messages_again_meanwhile():
    report = pipe(sent=messages("a"), rest="function: {Timeout: 60}\nhandler: [{times: 1, takes: 45}]")
    assert times(report) == [0, 30]
    assert report["unfinished"] == []


def test_a_message_that_never_succeeds_ends_with_the_queues_retention():
    report = pipe(sent=messages("a"), rest="handler: [{then: raise}]\nqueue: {retentionSeconds: 100}")
    assert times(report) == [0, 30, 60, 90]
    assert report["dropped"] == [{"t": 100, "identifiers": ["a"], "reason": "retention"}]


def test_the_age_of_a_batch_is_that_of_its_oldest_message():
    report = pipe(sent="  - {messageId: a}\n  - {messageId: b, at: 30}", rest="handler: [{times: 1, then: raise}]")
    assert batches(report) == ["a", "ab"]
    assert [each["iteratorAgeMs"] for each in report["invocations"]] == [0, 30_000]


def test_a_message_can_be_delayed():
    report = pipe(sent="  - {messageId: a, at: 1, visibleAt: 6}")
    assert times(report) == [6]


def test_a_pipe_that_is_stopped_leaves_messages_in_the_queue():
    report = run(f"""
pipe: {{Name: p, RoleArn: "arn:aws:iam::111122223333:role/p", Source: "{QUEUE}", Target: "arn:aws:{FUNCTION}",
       DesiredState: STOPPED}}
records: [{{messageId: a}}]
until: 100
""")
    assert (report["invocations"], report["unfinished"]) == ([], ["a"])


def test_a_message_that_was_copied_from_lambda_is_taken_as_it_is():
    report = pipe(
        sent=f"""
  - messageId: 059f36b4-87a3-44ab-83d2-661975830a7d
    receiptHandle: AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a
    body: Test message.
    attributes:
      ApproximateReceiveCount: "1"
      SentTimestamp: "1545082649183"
      SenderId: AIDAIENQZJOLO23YVJ4VO
      ApproximateFirstReceiveTimestamp: "1545082649185"
    messageAttributes:
      kind: {{stringValue: order, stringListValues: [], binaryListValues: [], dataType: String}}
    md5OfBody: e4e68fb7bd0e697a0ae8f1bb342846b3
    eventSource: aws:sqs
    eventSourceARN: {QUEUE}
    awsRegion: us-east-1"""
    )
    assert report["invocations"][0]["identifiers"] == ["059f36b4-87a3-44ab-83d2-661975830a7d"]


@conforms("PIPE-SQS-1", "deduced")
@pytest.mark.parametrize(
    ("arn", "settings", "says"),
    [
        (
            QUEUE,
            "BatchSize: 11",
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ),
        (f"{QUEUE}.fifo", "BatchSize: 11", "Batch size must be at most 10 for FIFO queues."),
        (f"{QUEUE}.fifo", "MaximumBatchingWindowInSeconds: 1", "Batching window is not supported for FIFO queues."),
        (
            QUEUE,
            "MaximumBatchingWindowInSeconds: 301",
            "1 validation error detected: Value '301' at 'sourceParameters.sqsQueueParameters.maximumBatching",
        ),
    ],
)
def test_pipe_sqs_1_batches_of_messages_have_limits(arn: str, settings: str, says: str):
    scenario = (
        f'pipe: {{Name: p, RoleArn: "arn:aws:iam::111122223333:role/p", Source: "{arn}", Target: "arn:aws:{FUNCTION}", '
        f"SourceParameters: {{SqsQueueParameters: {{{settings}}}}}}}"
    )
    assert says in refused(scenario)


@pytest.mark.parametrize(
    ("settings", "rest", "says"),
    [
        ("BatchSize: many", "", "eventSourceMapping: BatchSize='many' is not a whole number"),
        ("StartingPosition: LATEST", "", "eventSourceMapping: StartingPosition is not valid for SQS event sources."),
        (
            "ParallelizationFactor: 2",
            "",
            "eventSourceMapping: Unsupported ParallelizationFactor parameter for given event source mapping type.",
        ),
        (
            "ProvisionedPollerConfig: {MinimumPollers: 2}",
            "",
            "eventSourceMapping: ProvisionedPollerConfig is not simulated for a queue: leave it out",
        ),
        (
            "",
            "queue: {visibilityTimeout: 5}\nfunction: {Timeout: 6}",
            "queue.visibilityTimeout: Queue visibility timeout: 5 seconds is less than Function timeout: 6 seconds",
        ),
        ("", "stream: {retentionSeconds: 60}", "stream: a queue has none"),
        ("", "destination: {fails: true}", "destination: a queue has none"),
        ("", "records: [{dynamodb: {}}]", "records.0.dynamodb: an SQS queue has none"),
        ("", "records: [{messageId: a}, {messageId: a}]", "records: messageId a is there twice"),
        (
            "",
            "records: [{attributes: {MessageGroupId: a}}]",
            "records.0.attributes: groups and deduplication are those of FIFO queues",
        ),
    ],
)
def test_what_cannot_be_of_a_queue_is_refused(settings: str, rest: str, says: str):
    assert refused(f"eventSourceMapping: {{EventSourceArn: '{QUEUE}', {settings}}}\n{rest}") == says


def test_a_message_of_a_fifo_queue_has_a_group_and_is_sent_once():
    mapping = f"eventSourceMapping: {{EventSourceArn: '{QUEUE}.fifo'}}"
    assert refused(f"{mapping}\nrecords: [{{}}]") == (
        "records.0.attributes: a message of a FIFO queue has a MessageGroupId"
    )
    same = "{attributes: {MessageGroupId: a, MessageDeduplicationId: x}}"
    assert refused(f"{mapping}\nrecords: [{same}, {same}]") == (
        "records: MessageDeduplicationId x is there twice, and SQS would drop the second message"
    )


def test_a_stream_has_no_queue():
    assert refused("eventSourceMapping: {StartingPosition: LATEST}\nqueue: {}") == "queue: a DynamoDB stream has none"


@pytest.mark.parametrize("record", ["body: {n: .nan}", "kinesis: {json: [.inf]}"])
def test_content_that_is_no_json_is_refused(record: str):
    found = refused(f"eventSourceMapping: {{EventSourceArn: '{QUEUE}'}}\nrecords: [{{{record}}}]")
    assert "is not a JSON value" in found


@conforms("ESM-SQS-1", "recorded")
@pytest.mark.parametrize(
    ("answer", "seen", "outcome"),
    [
        ("[{}]", ["ab"], "success"),
        ("[{foo: b}]", ["ab"], "success"),
        ("[{}, {itemIdentifier: b}]", ["ab", "b"], "partial"),
        ("[{itemIdentifier: ''}]", ["ab", "ab"], "error"),
        ("[{itemIdentifier: null}]", ["ab", "ab"], "error"),
        ("[{itemIdentifier: 7}]", ["ab", "ab"], "error"),
        ("[{itemIdentifier: z}]", ["ab", "ab"], "error"),
        ("[null]", ["ab", "ab"], "error"),
        ("{itemIdentifier: b}", ["ab", "ab"], "error"),
    ],
)
@pytest.mark.parametrize("read", [mapping, pipe])
def test_esm_sqs_1_an_item_without_an_identifier_is_no_failure(read: Any, answer: str, seen: list[str], outcome: str):
    report = read(
        sent=messages("ab"), rest=f"handler: [{{times: 1, then: {{return: {{batchItemFailures: {answer}}}}}}}]"
    )
    assert (batches(report), outcomes(report)[0]) == (seen, outcome)


@conforms("ESM-SQS-2", "recorded")
def test_esm_sqs_2_a_fifo_queue_gives_batches_of_a_group_within_the_batch_size():
    report = mapping("BatchSize: 2", arn=f"{QUEUE}.fifo", sent=messages("abcde", a="x", b="x", c="x", d="y", e="y"))
    assert sorted(batches(report)) == ["ab", "c", "de"]


@conforms("ESM-METRIC-6", "recorded")
def test_esm_metric_6_filtered_messages_count_as_deleted():
    criteria = """FilterCriteria: {Filters: [{Pattern: '{"body": ["a", "c"]}'}]}"""
    report = mapping(f"BatchSize: 1, {criteria}", sent=messages("abcd"), rest="handler: [{times: 1, then: raise}]")
    counted = {name: value for name, value in report["metrics"].items() if name.endswith("EventCount")}
    assert counted == {
        "PolledEventCount": 5,
        "FilteredOutEventCount": 2,
        "InvokedEventCount": 3,
        "FailedInvokeEventCount": 1,
        "DroppedEventCount": 0,
        "OnFailureDestinationDeliveredEventCount": 0,
        "DeletedEventCount": 4,
    }


@conforms("ESM-METRIC-6", "recorded")
def test_esm_metric_6_a_partial_failure_deletes_what_is_done():
    report = mapping(sent=messages("abcd"), rest="until: 5\nhandler: [{then: {report: [b]}}]")
    assert report["metrics"]["DeletedEventCount"] == 3


@conforms("ESM-SQS-4", "deduced")
@pytest.mark.parametrize("read", [mapping, pipe])
@pytest.mark.parametrize("window", [20, 45, 100])
def test_esm_sqs_4_a_batch_never_holds_a_message_twice(read: Any, window: int):
    settings = f"BatchSize: 100, MaximumBatchingWindowInSeconds: {window}"
    given = settings if read is mapping else f"SqsQueueParameters: {{{settings}}}"
    sent = messages("a") + "\n  - {messageId: b, body: b, at: 5}\n  - {messageId: c, body: c, at: 15}"
    report = read(given, sent=sent, rest="function: {Timeout: 20}\nqueue: {visibilityTimeout: 20}")
    assert all(len(set(each)) == len(each) for each in batches(report))
    assert set("".join(batches(report))) == set("abc")
    # The copy that was received last is deleted, so nothing comes back.
    assert (batches(report), report["unfinished"]) == (["abc"], [])


@conforms("ESM-SQS-4", "deduced")
def test_esm_sqs_4_a_message_that_waits_for_a_free_invocation_is_not_there_twice():
    settings = "BatchSize: 1, ScalingConfig: {MaximumConcurrency: 2}"
    report = mapping(
        settings,
        sent=messages("abc"),
        rest="function: {Timeout: 20}\nqueue: {visibilityTimeout: 20}\nhandler: [{takes: 15}]",
    )
    assert sorted(batches(report)) == ["a", "b", "c"]


@conforms("ESM-SQS-3", "recorded")
@pytest.mark.parametrize("written", ["0012.3400", "12.34", "1234e-2"])
def test_esm_sqs_3_a_number_among_the_message_attributes_has_no_zeros_at_its_ends(written: str):
    criteria = (
        """FilterCriteria: {Filters: [{Pattern: '{"messageAttributes": {"price": {"stringValue": ["12.34"]}}}'}]}"""
    )
    attribute = f"{{price: {{dataType: Number, stringValue: '{written}'}}}}"
    report = mapping(criteria, sent=f"  - {{messageId: a, messageAttributes: {attribute}}}")
    assert (batches(report), report["filteredOut"]) == (["a"], [])


@conforms("ESM-SQS-3", "recorded")
@pytest.mark.parametrize(
    ("window", "attributes", "is_there"), [(0, "{}", False), (1, "{}", False), (0, "{a: {stringValue: x}}", True)]
)
def test_esm_sqs_3_a_message_with_attributes_has_their_digest(window: int, attributes: str, is_there: bool):
    pattern = """{"md5OfMessageAttributes": [{"prefix": ""}]}"""
    settings = f"MaximumBatchingWindowInSeconds: {window}, FilterCriteria: {{Filters: [{{Pattern: '{pattern}'}}]}}"
    report = mapping(settings, sent=f"  - {{messageId: a, messageAttributes: {attributes}}}")
    assert (batches(report) == ["a"]) is is_there


@conforms("ESM-SQS-5", "documented", partly="it stays at five batches, and does not scale up")
def test_esm_sqs_5_five_batches_run_at_once_or_as_many_as_the_maximum_concurrency():
    sent = messages("abcdefg")
    rest = "handler: [{takes: 2}]"
    report = mapping("BatchSize: 1", sent=sent, rest=rest)
    assert [each["t"] for each in report["invocations"]] == [0] * 5 + [2] * 2
    report = mapping("BatchSize: 1, ScalingConfig: {MaximumConcurrency: 2}", sent=sent, rest=rest)
    assert [each["t"] for each in report["invocations"]] == [0, 0, 2, 2, 4, 4, 6]


@conforms("ESM-SQS-8", "documented", refused=True)
def test_esm_sqs_8_provisioned_mode_is_refused_by_name():
    arn = f"EventSourceArn: '{QUEUE}'"
    settings = "ProvisionedPollerConfig: {MinimumPollers: 2}"
    problem = refused(f"eventSourceMapping: {{{arn}, {settings}}}")
    assert "ProvisionedPollerConfig is not simulated for a queue: leave it out" in problem
