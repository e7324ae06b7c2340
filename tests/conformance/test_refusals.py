"""Refusals: AWS's in its words, ours by the name of the setting (docs/aws-semantics.md §2.1, §3.1, §3.4)."""

from __future__ import annotations

import json

import pytest

from tests.conformance.simulated import BUCKET, QUEUE, TOPIC, batches, mapping, outcomes, refused, run

conforms = pytest.mark.conformance

AWS = "1 validation error detected: "
WINDOW = "MaximumBatchingWindowInSeconds must be less than MaximumRecordAgeInSeconds."


def of_mapping(settings: str) -> list[str]:
    lines = refused(f"eventSourceMapping: {{StartingPosition: TRIM_HORIZON, {settings}}}").splitlines()
    return [line.removeprefix("eventSourceMapping: ") for line in lines]


def takes(settings: str) -> bool:
    """Check a mapping with these settings; raises AWS's refusal."""
    run(f"eventSourceMapping: {{StartingPosition: TRIM_HORIZON, {settings}}}")
    return True


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


@conforms("ESM-PARAM-1", "recorded")
@conforms("ESM-PARAM-2", "recorded")
@conforms("ESM-PARAM-3", "recorded")
@conforms("ESM-PARAM-6", "documented")
@conforms("ESM-PARAM-7", "documented")
@conforms("ESM-PARAM-8", "recorded")
@conforms("ESM-REFUSE-7", "recorded")
@pytest.mark.parametrize(
    ("setting", "least", "most"),
    [
        ("BatchSize", 1, 10_000),
        ("MaximumBatchingWindowInSeconds", 0, 300),
        ("ParallelizationFactor", 1, 10),
        ("MaximumRetryAttempts", -1, 10_000),
        ("MaximumRecordAgeInSeconds", -1, 604_800),
        ("TumblingWindowInSeconds", 0, 900),
    ],
)
def test_esm_refuse_7_a_number_is_taken_from_the_least_to_the_most_and_no_further(setting: str, least: int, most: int):
    assert takes(f"{setting}: {least}")
    assert takes(f"{setting}: {most}")
    at = f"at '{setting[0].lower()}{setting[1:]}' failed to satisfy constraint: Member must have value"
    assert of_mapping(f"{setting}: {least - 1}") == [f"{AWS}Value '{least - 1}' {at} greater than or equal to {least}"]
    assert of_mapping(f"{setting}: {most + 1}") == [f"{AWS}Value '{most + 1}' {at} less than or equal to {most}"]


@conforms("ESM-PARAM-4", "recorded")
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


@conforms("ESM-PARAM-10", "recorded")
@conforms("ESM-REFUSE-6", "recorded")
def test_esm_refuse_6_there_is_no_destination_for_success():
    destination = "DestinationConfig: {OnSuccess: {Destination: 'arn:aws:sqs:us-east-1:111122223333:q'}}"
    assert of_mapping(destination) == ["OnSuccess configuration is not supported for event source mappings."]


@conforms("ESM-PARAM-4", "recorded")
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


@conforms("ESM-PARAM-9", "documented")
def test_esm_param_9_there_is_one_response_type_and_it_is_given_once():
    assert takes("FunctionResponseTypes: []")
    assert takes("FunctionResponseTypes: [ReportBatchItemFailures]")
    (line,) = of_mapping("FunctionResponseTypes: [ReportBatchItemFailures, ReportBatchItemFailures]")
    assert line == (
        f"{AWS}Value '[ReportBatchItemFailures, ReportBatchItemFailures]' at 'functionResponseTypes' failed to satisfy "
        "constraint: Member must have length less than or equal to 1"
    )


@conforms("ESM-PARAM-7", "recorded")
@conforms("ESM-REFUSE-10", "recorded")
@pytest.mark.parametrize("age", [0, 59])
def test_esm_refuse_10_a_record_age_under_a_minute(age: int):
    assert of_mapping(f"MaximumRecordAgeInSeconds: {age}")[0] == (
        "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)"
    )
    assert takes("MaximumRecordAgeInSeconds: 60")


@conforms("ESM-REFUSE-16", "recorded")
@conforms("PIPE-CREATE-8", "recorded")
@pytest.mark.parametrize(
    ("age", "window", "is_refused"),
    [(90, 300, True), (90, 90, True), (90, 89, False), (60, 0, False), (-1, 300, False)],
)
def test_esm_refuse_16_a_batching_window_is_below_the_record_age(age: int, window: int, is_refused: bool):
    settings = f"MaximumRecordAgeInSeconds: {age}, MaximumBatchingWindowInSeconds: {window}"
    if is_refused:
        assert of_mapping(settings) == [WINDOW]
        place = "SourceParameters.DynamoDBStreamParameters.MaximumBatchingWindowInSeconds"
        assert refused(pipe(f"BatchSize: 1, {settings}")) == f"pipe: {place}: {WINDOW}"
    else:
        assert takes(settings)
        assert run(pipe(f"BatchSize: 1, {settings}"))["invocations"] == []


@conforms("ESM-REFUSE-16", "recorded")
def test_esm_refuse_16_a_record_age_of_zero_is_refused_for_its_range_and_for_the_window():
    age = "must be either -1 (forever) or between 60 and 604800 (inclusive)"
    for found in (
        of_mapping("MaximumRecordAgeInSeconds: 0, MaximumBatchingWindowInSeconds: 0"),
        refused(pipe("BatchSize: 1, MaximumRecordAgeInSeconds: 0, MaximumBatchingWindowInSeconds: 0")).splitlines(),
    ):
        assert [each.rpartition("Seconds: ")[2] for each in found] == [f"MaximumRecordAgeInSeconds {age}", WINDOW]


@conforms("PIPE-CREATE-7", "recorded")
@pytest.mark.parametrize("given", ["", "  SourceParameters: {}\n"])
def test_pipe_create_7_a_missing_parameter_is_named(given: str):
    head = pipe().partition("  SourceParameters:")[0]
    problem = refused(f'{head}{given}  Target: "arn:aws:sqs:us-east-1:111122223333:orders"\n')
    assert problem == "pipe: SourceParameters.DynamoDBStreamParameters: Missing required parameter."


@conforms("PIPE-CREATE-7", "recorded")
def test_pipe_create_7_a_fifo_target_without_a_group_is_named_likewise():
    problem = refused(pipe(target="sqs:us-east-1:111122223333:orders.fifo"))
    assert problem == "pipe: TargetParameters.SqsQueueParameters.MessageGroupId: Missing required parameter."


@conforms("ESM-REFUSE-11", "recorded")
def test_esm_refuse_11_a_timestamp_to_start_from():
    assert of_mapping("StartingPositionTimestamp: 1") == ["Timestamp only valid with StartingPosition AT_TIMESTAMP"]


@conforms("ESM-REFUSE-12", "recorded")
@conforms("ESM-PARAM-15", "documented")
@pytest.mark.parametrize("member", ["ScalingConfig", "ProvisionedPollerConfig", "LoggingConfig"])
def test_esm_refuse_12_settings_of_other_sources(member: str):
    assert of_mapping(f"{member}: {{}}") == [f"Unsupported {member} parameter for given event source mapping type."]


@conforms("ESM-PARAM-12", "documented", refused=True)
def test_esm_param_12_a_key_for_the_filter_criteria_is_not_simulated():
    (line,) = of_mapping("KMSKeyArn: 'arn:aws:kms:us-east-1:111122223333:key/k'")
    assert line.startswith("KMSKeyArn is not simulated")


@conforms("ESM-PARAM-3", "recorded")
@conforms("ESM-WINDOW-5", "recorded")
@conforms("ESM-REFUSE-13", "recorded")
def test_esm_refuse_13_a_tumbling_window_with_parallel_lanes():
    assert of_mapping("TumblingWindowInSeconds: 10, ParallelizationFactor: 2") == [
        "Parallelization factor must be equal to 1 when tumbling window period is configured"
    ]
    assert takes("TumblingWindowInSeconds: 10, ParallelizationFactor: 1")
    assert takes("TumblingWindowInSeconds: 0, ParallelizationFactor: 2")


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


def to(destination: str) -> str:
    return f"DestinationConfig: {{OnFailure: {{Destination: '{destination}'}}}}"


@conforms("ESM-PARAM-10", "documented")
def test_esm_param_10_failed_batches_go_to_queues_and_topics_and_buckets():
    assert takes(to(QUEUE))
    assert takes(to(TOPIC))
    assert takes(to(BUCKET))
    (line,) = of_mapping(to("arn:aws:lambda:us-east-1:111122223333:function:F"))
    assert "is not the ARN of a queue, a topic or a bucket" in line


@conforms("ESM-CREATE-1", "documented", refused=True)
def test_esm_create_1_a_kafka_topic_is_no_destination_of_a_streams_failed_batches():
    (line,) = of_mapping(to("kafka://topic"))
    assert "Destination='kafka://topic' is not the ARN of a queue, a topic or a bucket" in line


@conforms("ESM-PARAM-10", "documented")
@conforms("ESM-CREATE-2", "documented")
@pytest.mark.parametrize("service", ["sqs", "sns"])
def test_esm_create_2_a_fifo_queue_or_topic_is_no_destination(service: str):
    (line,) = of_mapping(to(f"arn:aws:{service}:us-east-1:111122223333:failures.fifo"))
    assert "is FIFO: AWS delivers the failed batches of a stream to standard queues and topics only" in line


@conforms("ESM-CREATE-3", "documented")
def test_esm_create_3_an_empty_destination_is_none():
    report = mapping(
        "MaximumRetryAttempts: 0, DestinationConfig: {OnFailure: {Destination: ''}}", rest="handler: [{then: raise}]"
    )
    assert report["onFailure"] == []
    assert len(report["dropped"]) == 1


@conforms("ESM-PARAM-13", "documented")
def test_esm_param_13_a_stream_has_the_metrics_of_its_events_only():
    assert takes("MetricsConfig: {Metrics: [EventCount]}")
    assert takes("MetricsConfig: {Metrics: []}")
    for other in ("ErrorCount", "KafkaMetrics"):
        (line,) = of_mapping(f"MetricsConfig: {{Metrics: [{other}]}}")
        assert line == "MetricsConfig holds Metrics, of which a stream has EventCount"


@conforms("ESM-PARAM-11", "documented")
def test_esm_param_11_a_mapping_has_five_patterns_of_4096_characters():
    def criteria(count: int, characters: int = 20) -> str:
        pattern = json.dumps({"k": ["x" * (characters - len('{"k": [""]}'))]})
        assert len(pattern) == characters
        return f"FilterCriteria: {json.dumps({'Filters': [{'Pattern': pattern}] * count})}"

    assert takes(criteria(5, 4096))
    assert of_mapping(criteria(6)) == ["FilterCriteria has 6 filters and AWS takes 5"]
    assert of_mapping(criteria(1, 4097)) == ["FilterCriteria.Filters[0].Pattern has 4097 characters and AWS takes 4096"]


@conforms("PIPE-PARAM-2", "documented")
@conforms("PIPE-PARAM-3", "documented")
@conforms("PIPE-PARAM-4", "documented")
@conforms("PIPE-PARAM-5", "documented")
@conforms("PIPE-PARAM-6", "documented")
@pytest.mark.parametrize(
    ("setting", "least", "most"),
    [
        ("BatchSize", 1, 10_000),
        ("MaximumBatchingWindowInSeconds", 0, 300),
        ("ParallelizationFactor", 1, 10),
        ("MaximumRetryAttempts", -1, 10_000),
        ("MaximumRecordAgeInSeconds", -1, 604_800),
    ],
)
def test_pipe_param_2_a_number_is_taken_from_the_least_to_the_most_and_no_further(setting: str, least: int, most: int):
    function = "lambda:us-east-1:111122223333:function:F"
    for value in (least, most):
        assert run(pipe(f"{setting}: {value}", target=function))["invocations"] == []
    at = (
        f"at 'sourceParameters.dynamoDBStreamParameters.{setting[0].lower()}{setting[1:]}' failed to satisfy constraint"
    )
    for value, bound in ((least - 1, f"greater than or equal to {least}"), (most + 1, f"less than or equal to {most}")):
        problem = refused(pipe(f"{setting}: {value}", target=function))
        assert problem == f"pipe: {AWS}Value '{value}' {at}: Member must have value {bound}"


@conforms("PIPE-PARAM-2", "deduced")
def test_pipe_param_2_a_batch_of_which_nothing_is_said_is_none_that_the_target_could_not_take():
    records = "records: [" + ", ".join(["{}"] * 12) + "]"
    sizes = [len(each["identifiers"]) for each in run(pipe("MaximumRetryAttempts: 0") + records)["invocations"]]
    assert sizes == [10, 2]
    function = "lambda:us-east-1:111122223333:function:F"
    assert len(run(pipe("MaximumRetryAttempts: 0", target=function) + records)["invocations"]) == 1


@conforms("PIPE-PARAM-6", "deduced")
@pytest.mark.parametrize("age", [0, 59])
def test_pipe_param_6_a_record_age_under_a_minute(age: int):
    first = refused(pipe(f"BatchSize: 1, MaximumRecordAgeInSeconds: {age}")).splitlines()[0]
    assert first.endswith("between 60 and 604800 (inclusive)")
    assert run(pipe("BatchSize: 1, MaximumRecordAgeInSeconds: 60"))["invocations"] == []


@conforms("PIPE-PARAM-1", "documented")
def test_pipe_param_1_a_pipe_begins_at_the_oldest_record_or_at_new_ones():
    records = "records: [{at: -1, eventID: old}, {at: 1, eventID: new}]"
    scenario = f"{pipe('BatchSize: 10')}\n{records}"
    assert batches(run(scenario)) == ["old", "new"]
    assert batches(run(scenario.replace("TRIM_HORIZON", "LATEST"))) == ["new"]
    assert "Member must satisfy enum value set: [LATEST, TRIM_HORIZON]" in refused(
        scenario.replace("TRIM_HORIZON", "AT_TIMESTAMP")
    )
    assert "startingPosition' failed to satisfy constraint: Member must not be null" in refused(
        scenario.replace("StartingPosition: TRIM_HORIZON, ", "")
    )


@conforms("PIPE-PARAM-7", "documented")
def test_pipe_param_7_there_is_one_thing_to_do_with_a_batch_that_failed_in_part():
    assert run(pipe("BatchSize: 1, OnPartialBatchItemFailure: AUTOMATIC_BISECT"))["invocations"] == []
    assert "enum value set: [AUTOMATIC_BISECT]" in refused(pipe("BatchSize: 1, OnPartialBatchItemFailure: NEVER"))


def test_a_pipe_has_no_settings_of_a_mapping():
    assert "DynamoDBStreamParameters.Bisect is not a parameter of CreatePipe" in refused(pipe("Bisect: true"))


@conforms("PIPE-PARAM-8", "documented")
@pytest.mark.parametrize(
    ("arn", "says"),
    [
        ("arn:aws:sqs:us-east-1:111122223333:dead.fifo", "is FIFO"),
        ("arn:aws:sns:us-east-1:111122223333:dead.fifo", "is FIFO"),
        ("arn:aws:s3:us-east-1:111122223333:dead", "is not a queue or topic"),
    ],
)
def test_pipe_param_8_a_pipes_dead_letters_go_to_standard_queues_and_topics_only(arn: str, says: str):
    assert says in refused(pipe(f"BatchSize: 1, DeadLetterConfig: {{Arn: '{arn}'}}"))
    for allowed in (QUEUE, TOPIC):
        assert run(pipe(f"BatchSize: 1, DeadLetterConfig: {{Arn: '{allowed}'}}"))["invocations"] == []


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
    assert problem == "pipe: TargetParameters.LambdaFunctionParameters: It is not for an SQS queue."


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
        (
            "arn:aws:events:us-east-1:111122223333:api-destination/crm/0f0f",
            2,
            "The configured batch size 2 is greater than",
        ),
    ],
)
def test_pipe_shape_1_what_can_enrich(arn: str, batch: int, says: str):
    assert says in refused(pipe(f"BatchSize: {batch}", rest=f"  Enrichment: '{arn}'"))


@conforms("PIPE-SHAPE-5", "documented")
def test_pipe_shape_5_a_header_of_a_target_is_not_read_from_the_event():
    headers = "TargetParameters: {HttpParameters: {HeaderParameters: {x-id: $.eventID}}}"
    target = "events:us-east-1:111122223333:api-destination/crm/0f0f"
    assert refused(pipe(target=target, rest=f"  {headers}")) == (
        "pipe: TargetParameters.HttpParameters.HeaderParameters.x-id: "
        "'$.eventID' is a path, and a header is not read from the event."
    )


@conforms("PIPE-KIN-6", "documented", refused=True)
def test_pipe_kin_6_a_stream_consumer_is_no_source():
    consumer = "arn:aws:kinesis:us-east-1:111122223333:stream/orders/consumer/reader:1"
    source = "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/2026-01-01T00:00:00.000"
    assert f"Source: '{consumer}' is not a source that is simulated" in refused(pipe().replace(source, consumer))


@conforms("PIPE-CREATE-5", "documented")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("two words", "Member must satisfy regular expression pattern"),
        ("n" * 65, "Member must have length less than or equal to 64"),
        ("''", "Member must have length greater than or equal to 1"),
    ],
)
def test_pipe_create_5_names_have_a_form_and_a_length(name: str, says: str):
    problem = refused(pipe().replace("Name: orders", f"Name: {name}"))
    assert f"at 'name' failed to satisfy constraint: {says}" in problem
    longest = "." + "-_Aa0" * 12 + "...."[:3]
    assert len(longest) == 64
    assert run(pipe().replace("Name: orders", f"Name: {longest}"))["invocations"] == []


@conforms("PIPE-CREATE-5", "documented")
def test_pipe_create_5_a_template_has_8192_characters_and_a_filter_five_patterns_of_4096():
    def templated(length: int) -> str:
        return pipe(rest=f"  TargetParameters: {{InputTemplate: '{'x' * length}'}}")

    def filtered(count: int, length: int = 20) -> str:
        pattern = json.dumps({"k": ["x" * (length - len('{"k": [""]}'))]})
        criteria = json.dumps({"Filters": [{"Pattern": pattern}] * count})
        return pipe().replace("  SourceParameters:", f"  SourceParameters:\n    FilterCriteria: {criteria}")

    for taken in (templated(8192), filtered(5, 4096)):
        assert run(taken)["invocations"] == []
    assert "inputTemplate' failed to satisfy constraint: Member must have length less than or equal to 8192" in refused(
        templated(8193)
    )
    assert "filters' failed to satisfy constraint: Member must have length less than or equal to 5" in refused(
        filtered(6)
    )
    assert "pattern' failed to satisfy constraint: Member must have length less than or equal to 4096" in refused(
        filtered(1, 4097)
    )


def test_a_pipe_needs_its_source_target_and_role():
    problems = refused("pipe: {Name: orders}").splitlines()
    assert [line.split("'")[1] for line in problems] == ["source", "target", "roleArn"]
