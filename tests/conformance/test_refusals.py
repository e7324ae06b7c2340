"""What AWS refuses, in its words, and what is not simulated, by name (docs/aws-semantics.md §2.1, §3.1, §3.4)."""

from __future__ import annotations

import pytest

from tests.conformance.simulated import mapping, outcomes, refused, run

conforms = pytest.mark.conformance

AWS = "1 validation error detected: "


def of_mapping(settings: str) -> list[str]:
    lines = refused(f"eventSourceMapping: {{StartingPosition: TRIM_HORIZON, {settings}}}").splitlines()
    return [line.removeprefix("eventSourceMapping: ") for line in lines]


def pipe(settings: str = "", *, target: str = "sqs:us-east-1:111122223333:orders", rest: str = "") -> str:
    return f"""
pipe:
  Name: orders
  RoleArn: arn:aws:iam::111122223333:role/pipe
  Source: "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/2026-01-01T00:00:00.000"
  SourceParameters:
    DynamoDBStreamParameters: {{StartingPosition: TRIM_HORIZON, {settings or "BatchSize: 1"}}}
  Target: "arn:aws:{target}"
{rest}
"""


@conforms("ESM-REFUSE-3", "recorded")
def test_esm_refuse_3_a_mapping_says_where_to_start():
    problem = refused("eventSourceMapping: {BatchSize: 1}").removeprefix("eventSourceMapping: ")
    assert problem == f"{AWS}Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."


@conforms("ESM-REFUSE-4", "recorded")
def test_esm_refuse_4_a_dynamodb_stream_cannot_be_read_from_a_timestamp():
    arn = "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/2026-01-01T00:00:00.000"
    assert refused(f'eventSourceMapping: {{StartingPosition: AT_TIMESTAMP, EventSourceArn: "{arn}"}}') == (
        f"eventSourceMapping: Unsupported starting position for arn type: {arn}"
    )


@conforms("ESM-REFUSE-5", "recorded")
@pytest.mark.parametrize("pattern", ["not json", '{"eventName": "INSERT"}', "[]"])
def test_esm_refuse_5_a_filter_is_an_event_pattern(pattern: str):
    assert of_mapping(f"FilterCriteria: {{Filters: [{{Pattern: '{pattern}'}}]}}") == [
        "Invalid filter pattern definition."
    ]


@conforms("ESM-REFUSE-6", "recorded")
def test_esm_refuse_6_there_is_no_destination_for_success():
    destination = "DestinationConfig: {OnSuccess: {Destination: 'arn:aws:sqs:us-east-1:111122223333:q'}}"
    assert of_mapping(destination) == ["OnSuccess configuration is not supported for event source mappings."]


@conforms("ESM-REFUSE-7", "recorded")
@pytest.mark.parametrize(
    ("setting", "value", "limit"),
    [
        ("BatchSize", 10_001, "less than or equal to 10000"),
        ("BatchSize", 0, "greater than or equal to 1"),
        ("ParallelizationFactor", 11, "less than or equal to 10"),
        ("MaximumBatchingWindowInSeconds", 301, "less than or equal to 300"),
        ("TumblingWindowInSeconds", 901, "less than or equal to 900"),
        ("MaximumRetryAttempts", 10_001, "less than or equal to 10000"),
        ("MaximumRetryAttempts", -2, "greater than or equal to -1"),
        ("MaximumRecordAgeInSeconds", 604_801, "less than or equal to 604800"),
    ],
)
def test_esm_refuse_7_numbers_have_ranges(setting: str, value: int, limit: str):
    member = setting[0].lower() + setting[1:]
    assert of_mapping(f"{setting}: {value}") == [
        f"{AWS}Value '{value}' at '{member}' failed to satisfy constraint: Member must have value {limit}"
    ]


@conforms("ESM-REFUSE-8", "recorded")
def test_esm_refuse_8_an_unknown_starting_position():
    assert refused("eventSourceMapping: {StartingPosition: BOGUS}") == (
        f"eventSourceMapping: {AWS}Value 'BOGUS' at 'startingPosition' failed to satisfy constraint: "
        "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"
    )


@conforms("ESM-REFUSE-9", "recorded")
def test_esm_refuse_9_an_unknown_response_type():
    (line,) = of_mapping("FunctionResponseTypes: [Bad]")
    assert line == (
        f"{AWS}Value '[Bad]' at 'functionResponseTypes' failed to satisfy constraint: Member must satisfy constraint: "
        "[Member must satisfy enum value set: [ReportBatchItemFailures], Member must not be null]"
    )


@conforms("ESM-REFUSE-10", "recorded")
@pytest.mark.parametrize("age", [0, 59])
def test_esm_refuse_10_a_record_age_under_a_minute(age: int):
    assert of_mapping(f"MaximumRecordAgeInSeconds: {age}") == [
        "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)"
    ]


@conforms("ESM-REFUSE-11", "recorded")
def test_esm_refuse_11_a_timestamp_to_start_from():
    assert of_mapping("StartingPositionTimestamp: 1") == ["Timestamp only valid with StartingPosition AT_TIMESTAMP"]


@conforms("ESM-REFUSE-12", "recorded", refused=True)
@conforms("ESM-PARAM-15", "documented", refused=True)
@pytest.mark.parametrize("member", ["ScalingConfig", "ProvisionedPollerConfig", "LoggingConfig"])
def test_esm_refuse_12_settings_of_other_sources(member: str):
    assert of_mapping(f"{member}: {{}}") == [f"Unsupported {member} parameter for given event source mapping type."]


@conforms("ESM-REFUSE-13", "recorded")
def test_esm_refuse_13_a_tumbling_window_with_parallel_lanes():
    assert of_mapping("TumblingWindowInSeconds: 10, ParallelizationFactor: 2") == [
        "Parallelization factor must be equal to 1 when tumbling window period is configured"
    ]


@conforms("ESM-WINDOW-5", "recorded")
@conforms("ESM-FILTER-9", "recorded")
def test_esm_window_5_a_tumbling_window_with_filters():
    (line,) = of_mapping(
        'TumblingWindowInSeconds: 10, FilterCriteria: {Filters: [{Pattern: \'{"eventName": ["INSERT"]}\'}]}'
    )
    assert line.startswith("FilterCriteria and TumblingWindowInSeconds exclude each other")


@conforms("ESM-CREATE-6", "recorded")
def test_esm_create_6_an_empty_list_of_filters_is_none():
    assert outcomes(mapping("TumblingWindowInSeconds: 10, FilterCriteria: {Filters: []}"))[0] == "success"


@conforms("ESM-PARAM-10", "documented")
@conforms("ESM-CREATE-2", "documented")
@pytest.mark.parametrize(
    ("arn", "says"),
    [
        ("arn:aws:sqs:us-east-1:111122223333:failures.fifo", "is FIFO"),
        ("arn:aws:sns:us-east-1:111122223333:failures.fifo", "is FIFO"),
        ("arn:aws:lambda:us-east-1:111122223333:function:F", "is no ARN of a queue, a topic or a bucket"),
        ("kafka://topic", "is no ARN of a queue, a topic or a bucket"),
    ],
)
def test_esm_param_10_failed_batches_go_to_standard_queues_and_topics_and_to_buckets(arn: str, says: str):
    (line,) = of_mapping(f"DestinationConfig: {{OnFailure: {{Destination: '{arn}'}}}}")
    assert says in line


@conforms("ESM-CREATE-4", "documented")
def test_esm_create_4_an_empty_destination_is_none():
    report = mapping(
        "MaximumRetryAttempts: 0, DestinationConfig: {OnFailure: {Destination: ''}}", rest="handler: [{then: raise}]"
    )
    assert report["onFailure"] == []
    assert len(report["dropped"]) == 1


@conforms("ESM-PARAM-13", "documented")
def test_esm_param_13_a_stream_has_the_metrics_of_its_events_only():
    (line,) = of_mapping("MetricsConfig: {Metrics: [KafkaMetrics]}")
    assert "EventCount" in line


@conforms("PIPE-PARAM-1", "documented")
@conforms("PIPE-PARAM-6", "deduced")
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("BatchSize: 10001", "Value '10001' at 'sourceParameters.dynamoDBStreamParameters.batchSize' failed"),
        ("BatchSize: 10001", "Member must have value less than or equal to 10000"),
        ("BatchSize: 1, MaximumRecordAgeInSeconds: 59", "between 60 and 604800"),
        ("BatchSize: 1, ParallelizationFactor: 11", "Member must have value less than or equal to 10"),
        ("BatchSize: 1, OnPartialBatchItemFailure: NEVER", "enum value set: [AUTOMATIC_BISECT]"),
        ("BatchSize: 1, Bisect: true", "DynamoDBStreamParameters.Bisect is no parameter of CreatePipe"),
    ],
)  # fmt: skip
def test_pipe_param_1_a_pipes_settings_have_ranges(settings: str, says: str):
    assert says in refused(pipe(settings))


@conforms("PIPE-PARAM-8", "documented")
@pytest.mark.parametrize(
    ("arn", "says"),
    [
        ("arn:aws:sqs:us-east-1:111122223333:dead.fifo", "is FIFO"),
        ("arn:aws:s3:us-east-1:111122223333:dead", "is no queue or topic"),
    ],
)
def test_pipe_param_8_a_pipes_dead_letters_go_to_standard_queues_and_topics_only(arn: str, says: str):
    assert says in refused(pipe(f"BatchSize: 1, DeadLetterConfig: {{Arn: '{arn}'}}"))


@conforms("PIPE-TARGET-1", "documented")
@pytest.mark.parametrize(
    ("target", "batch"),
    [
        ("sqs:us-east-1:111122223333:orders", 10),
        ("sns:us-east-1:111122223333:orders", 10),
        ("events:us-east-1:111122223333:event-bus/orders", 10),
        ("events:us-east-1:111122223333:api-destination/orders/0f0f", 1),
    ],
)
def test_pipe_target_1_a_batch_is_no_larger_than_the_target_takes(target: str, batch: int):
    assert f"is more than the {batch} events" in refused(pipe(f"BatchSize: {batch + 1}", target=target))
    assert run(pipe(f"BatchSize: {batch}", target=target))["invocations"] == []


@conforms("PIPE-TARGET-1", "documented", refused=True)
@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("kinesis:us-east-1:111122223333:stream/orders", "a Kinesis stream"),
        ("firehose:us-east-1:111122223333:deliverystream/orders", "a Firehose stream"),
        ("logs:us-east-1:111122223333:log-group:orders", "a CloudWatch Logs group"),
        ("ecs:us-east-1:111122223333:cluster/orders", "an ECS task"),
        ("batch:us-east-1:111122223333:job-queue/orders", "a Batch job queue"),
        ("sagemaker:us-east-1:111122223333:pipeline/orders", "a SageMaker pipeline"),
        ("timestream:us-east-1:111122223333:database/d/table/orders", "a Timestream table"),
        ("execute-api:us-east-1:111122223333:api/stage/GET/orders", "an API Gateway API"),
        ("redshift:us-east-1:111122223333:cluster:orders", "a Redshift cluster"),
        ("inspector:us-east-1:111122223333:target/orders", "an Inspector template"),
    ],
)
def test_pipe_target_1_a_target_that_is_not_simulated_is_refused_by_name(target: str, name: str):
    assert f"Target: {name} is not simulated as a pipe's target" in refused(pipe(target=target))


@conforms("PIPE-TARGET-3", "documented")
def test_pipe_target_3_parameters_of_another_target_are_refused():
    problem = refused(pipe(rest="  TargetParameters: {LambdaFunctionParameters: {InvocationType: REQUEST_RESPONSE}}"))
    assert problem == "pipe: TargetParameters.LambdaFunctionParameters is not for an SQS queue"


@conforms("PIPE-SHAPE-1", "documented")
@pytest.mark.parametrize(
    ("arn", "batch", "says"),
    [
        (
            "arn:aws:execute-api:us-east-1:111122223333:api/stage/GET/orders",
            1,
            "is not simulated as a pipe's enrichment",
        ),
        ("arn:aws:sqs:us-east-1:111122223333:orders", 1, "SQS queue"),
        ("arn:aws:events:us-east-1:111122223333:api-destination/crm/0f0f", 2, "needs a BatchSize of 1"),
    ],
)
def test_pipe_shape_1_what_can_enrich(arn: str, batch: int, says: str):
    assert says in refused(pipe(f"BatchSize: {batch}", rest=f"  Enrichment: '{arn}'"))


@conforms("PIPE-CREATE-5", "documented")
def test_pipe_create_5_names_have_a_form():
    assert "at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern" in refused(
        pipe().replace("Name: orders", "Name: two words")
    )


@conforms("PIPE-CREATE-1", "documented", refused=True)
def test_pipe_create_1_a_pipe_needs_its_source_target_and_role():
    problems = refused("pipe: {Name: orders}").splitlines()
    assert [line.split("'")[1] for line in problems] == ["source", "target", "roleArn"]
