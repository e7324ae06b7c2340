"""Reserved concurrency of a scenario's function."""

from __future__ import annotations

import itertools

import pytest

from tests.conformance.simulated import batches, outcomes, refused, run, times

STREAM = "eventSourceMapping: {StartingPosition: TRIM_HORIZON, ParallelizationFactor: 3, BatchSize: 1}"
KEYS = "\n".join(
    f'  - {{dynamodb: {{SequenceNumber: "{number}", Keys: {{pk: {{S: {key}}}}}}}}}'
    for number, key in enumerate("abc", start=1)
)


def test_calls_above_the_reserved_concurrency_are_throttled_and_no_rule_applies_to_them():
    rest = "function: {Timeout: 9, ReservedConcurrentExecutions: 1}\nhandler: [{takes: 1, then: succeed, times: 3}]"
    report = run(f"{STREAM}\nrecords:\n{KEYS}\n{rest}")
    ran = [each for each in report["invocations"] if each["outcome"] == "success"]
    assert sorted("".join(each["identifiers"]) for each in ran) == ["1", "2", "3"]
    assert [each["t"] for each in ran] == sorted(each["t"] for each in ran)
    assert all(later["t"] - earlier["t"] >= 1 for earlier, later in itertools.pairwise(ran))
    assert report["metrics"]["Throttles"] == len(report["invocations"]) - 3 > 0


def test_a_call_may_begin_when_another_ends():
    mapping = "{EventSourceArn: 'arn:aws:sqs:us-east-1:111122223333:jobs', BatchSize: 1}"
    sent = "{messageId: a}, {messageId: b, at: 2}, {messageId: c, at: 2}"
    report = run(
        f"eventSourceMapping: {mapping}\nrecords: [{sent}]\n"
        "function: {ReservedConcurrentExecutions: 1}\nhandler: [{takes: 2}]"
    )
    assert (batches(report)[:3], outcomes(report)[:3]) == (["a", "b", "c"], ["success", "success", "throttled"])
    # The throttled message comes back when its visibility timeout is over.
    assert times(report) == [0, 2, 2, 32]


def test_a_function_without_concurrency_is_never_run():
    report = run(
        "until: 100\neventSourceMapping: {StartingPosition: TRIM_HORIZON}\nrecords: [{}]\n"
        "function: {ReservedConcurrentExecutions: 0}"
    )
    assert set(outcomes(report)) == {"throttled"}


@pytest.mark.parametrize(("invocation", "throttled"), [("REQUEST_RESPONSE", True), ("FIRE_AND_FORGET", False)])
def test_a_pipes_function_is_throttled_when_it_is_called_synchronously(invocation: str, throttled: bool):
    report = run(f"""
    pipe:
      Name: jobs
      RoleArn: arn:aws:iam::111122223333:role/pipe
      Source: arn:aws:sqs:us-east-1:111122223333:jobs
      SourceParameters: {{SqsQueueParameters: {{BatchSize: 1}}}}
      Target: arn:aws:lambda:us-east-1:111122223333:function:F
      TargetParameters: {{LambdaFunctionParameters: {{InvocationType: {invocation}}}}}
    records: [{{messageId: a}}, {{messageId: b}}]
    function: {{ReservedConcurrentExecutions: 1}}
    handler: [{{takes: 2}}]
    """)
    assert ("throttled" in outcomes(report)) is throttled
    assert report["unfinished"] == []


def test_only_a_function_has_reserved_concurrency():
    text = """
    pipe:
      Name: jobs
      RoleArn: arn:aws:iam::111122223333:role/pipe
      Source: arn:aws:sqs:us-east-1:111122223333:jobs
      Target: arn:aws:sqs:us-east-1:111122223333:done
    function: {ReservedConcurrentExecutions: 1}
    """
    assert refused(text) == "function: the pipe's target is no function but the SQS queue of Target"
    assert "function.ReservedConcurrentExecutions: " in refused(
        "eventSourceMapping: {StartingPosition: LATEST}\nfunction: {ReservedConcurrentExecutions: -1}"
    )
