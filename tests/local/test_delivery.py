"""What a mapping does with batches that fail, seen through boto3 and the endpoint's history."""

from __future__ import annotations

import json

import pytest

REPORT = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}


@pytest.fixture
def paused(world):
    """A mapping that starts once its records are written, so that they come in one batch."""

    def make(*ids: str, bad: dict[str, str] | None = None, **settings):
        stream = world.table()
        world.function(timeout=settings.pop("timeout", 5))
        mapping = world.mapping(stream, Enabled=False, **settings)
        for each in ids:
            world.put(each, do=(bad or {}).get(each))
        world.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=True)
        return mapping

    return make


def test_a_batch_holds_what_was_written_up_to_the_batch_size(world, paused):
    mapping = paused("a", "b", "c", BatchSize=2)
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a", "b"], "success"), (["c"], "success")]


def test_a_partial_response_resumes_behind_the_good_prefix(world, paused):
    mapping = paused("a", "b", "c", bad={"b": "report"}, MaximumRetryAttempts=1, **REPORT)
    world.settle(mapping)
    assert world.invocations(mapping) == [
        (["a", "b", "c"], "partial"),
        (["b", "c"], "error"),
        (["b", "c"], "error"),
    ]


def test_a_crash_is_isolated_by_bisection(world, paused):
    mapping = paused(
        "a", "b", "c", "d", bad={"c": "exit"}, BisectBatchOnFunctionError=True, MaximumRetryAttempts=1, **REPORT
    )
    world.settle(mapping)
    assert world.invocations(mapping) == [
        (["a", "b", "c", "d"], "error"),
        (["a", "b"], "success"),
        (["c", "d"], "error"),
        (["c"], "error"),
        (["c"], "error"),
        (["d"], "success"),
    ]
    assert world.control.mapping(mapping).bisections == 2


def test_a_batch_whose_retries_are_spent_goes_to_s3_with_its_whole_content(world, paused):
    mapping = paused(
        "a",
        bad={"a": "raise"},
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": world.bucket()}},
        **REPORT,
    )
    world.settle(mapping)
    (given_up,) = world.given_up(mapping)
    key = given_up["location"].removeprefix(f"s3://{world.name}/")
    document = json.loads(world.client("s3").get_object(Bucket=world.name, Key=key)["Body"].read())
    (record,) = json.loads(document["payload"])["Records"]
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["requestContext"]["approximateInvokeCount"] == 2
    assert document["responseContext"]["functionError"] == "Unhandled"
    assert record["dynamodb"]["NewImage"] == {"id": {"S": "a"}, "do": {"S": "raise"}}
    assert key.startswith(f"aws/lambda/{mapping}/{document['DDBStreamBatchInfo']['shardId']}/")
