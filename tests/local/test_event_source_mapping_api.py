"""The event source mapping API: AWS's answers, defaults and refusals, in its words."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance
honours = pytest.mark.honours

REPORTS = ["ReportBatchItemFailures"]
MISSING = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def refused(world):
    """Create a mapping that is refused; the error's code, message and status."""
    stream = world.table()
    world.function()

    def create(**settings):
        arguments = {
            "FunctionName": world.name,
            "EventSourceArn": stream,
            "StartingPosition": "TRIM_HORIZON",
            **settings,
        }
        given = {name: value for name, value in arguments.items() if value is not None}
        with pytest.raises(ClientError) as error:
            world.client("lambda").create_event_source_mapping(**given)
        answer = error.value.response
        return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]

    return create


def violation(what, constraint):
    return (
        "ValidationException",
        f"1 validation error detected: {what} failed to satisfy constraint: {constraint}",
        400,
    )


@conforms("ESM-CREATE-5", "recorded")
@conforms("ESM-PARAM-1", "recorded")
@conforms("ESM-PARAM-2", "recorded")
@conforms("ESM-PARAM-3", "recorded")
@conforms("ESM-PARAM-5", "recorded")
@conforms("ESM-PARAM-6", "recorded")
@conforms("ESM-PARAM-7", "recorded")
@conforms("ESM-PARAM-8", "recorded")
@conforms("ESM-PARAM-9", "recorded")
def test_esm_create_5_a_new_mapping_has_aws_defaults(world):
    stream = world.table()
    world.function()
    made = world.client("lambda").create_event_source_mapping(
        FunctionName=world.name, EventSourceArn=stream, StartingPosition="TRIM_HORIZON"
    )
    world.adopt(made["UUID"])
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert made["EventSourceMappingArn"] == f"arn:aws:lambda:us-east-1:111122223333:event-source-mapping:{made['UUID']}"
    assert {
        name: value
        for name, value in made.items()
        if name not in ("ResponseMetadata", "UUID", "LastModified", "EventSourceMappingArn")
    } == {
        "BatchSize": 100,
        "BisectBatchOnFunctionError": False,
        "DestinationConfig": {"OnFailure": {}},
        "EventSourceArn": stream,
        "FunctionArn": f"arn:aws:lambda:us-east-1:111122223333:function:{world.name}",
        "FunctionResponseTypes": [],
        "LastProcessingResult": "No records processed",
        "MaximumBatchingWindowInSeconds": 0,
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": -1,
        "ParallelizationFactor": 1,
        "StartingPosition": "TRIM_HORIZON",
        "State": "Creating",
        "StateTransitionReason": "User action",
        "TumblingWindowInSeconds": 0,
    }


@conforms("ESM-STATE-5", "recorded")
@honours("lambda:GetEventSourceMapping", "UUID")
def test_esm_state_5_last_processing_result_tells_of_the_last_invocation(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, MaximumRetryAttempts=0)

    def result():
        return world.client("lambda").get_event_source_mapping(UUID=mapping)["LastProcessingResult"]

    assert result() == "No records processed"
    world.put("a")
    world.settle(mapping)
    assert result() == "OK"
    world.put("b", do="raise")
    world.settle(mapping)
    assert result() == "PROBLEM: Function call failed"
    assert world.given_up(mapping)  # which changes nothing of the result


@conforms("ESM-STATE-5", "recorded")
def test_esm_state_5_a_partial_response_is_ok(world, tmp_path):
    gate = tmp_path / "gate"
    world.function(f"""
import pathlib, time

def handler(event, context):
    first, *others = event["Records"]
    for other in others:
        return {{"batchItemFailures": [{{"itemIdentifier": other["dynamodb"]["SequenceNumber"]}}]}}
    while not pathlib.Path({str(gate)!r}).exists():
        time.sleep(0.01)
""")
    mapping = world.mapping(world.table(), Enabled=False, FunctionResponseTypes=REPORTS)
    world.put("a", "b")
    world.enable(mapping)
    world.wait_until(lambda: world.invocations(mapping) == [(["a", "b"], "partial")])
    assert world.client("lambda").get_event_source_mapping(UUID=mapping)["LastProcessingResult"] == "OK"
    gate.touch()
    world.settle(mapping)


@honours("lambda:ListEventSourceMappings", "EventSourceArn FunctionName")
def test_mappings_are_listed_by_stream_and_by_function(world):
    stream, other = world.table(), world.table(f"{world.name}-other")
    world.function()
    one, two = world.mapping(stream), world.mapping(other)
    listed = world.client("lambda").list_event_source_mappings
    assert [each["UUID"] for each in listed(EventSourceArn=stream)["EventSourceMappings"]] == [one]
    assert [each["UUID"] for each in listed(FunctionName=world.name)["EventSourceMappings"]] == [one, two]


@conforms("ESM-REFUSE-1", "recorded")
def test_esm_refuse_1_a_second_mapping_of_the_same_function_and_stream_is_a_conflict(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream)
    with pytest.raises(ClientError) as error:
        world.mapping(stream)
    assert (error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]) == (
        "ResourceConflictException",
        409,
    )
    assert error.value.response["Error"]["Message"] == (
        f'The event source arn (" {stream} ") and function (" {world.name} ") provided mapping already exists. '
        f"Please update or delete the existing mapping with UUID {mapping}"
    )


@conforms("ESM-REFUSE-15", "recorded")
@pytest.mark.parametrize("operation", ["get", "update", "delete"])
def test_esm_refuse_15_an_unknown_mapping_does_not_exist(world, operation):
    with pytest.raises(ClientError) as error:
        getattr(world.client("lambda"), f"{operation}_event_source_mapping")(UUID=MISSING)
    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert error.value.response["Error"]["Message"] == "The resource you requested does not exist."
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


@conforms("ESM-REFUSE-14", "recorded")
def test_esm_refuse_14_a_missing_function_is_refused(refused):
    assert refused(FunctionName="nobody") == ("InvalidParameterValueException", "Function does not exist", 400)


@conforms("ESM-REFUSE-2", "recorded")
def test_esm_refuse_2_a_missing_stream_is_refused(refused, world):
    arn = f"arn:aws:dynamodb:us-east-1:111122223333:table/{world.name}/stream/2026-01-01T00:00:00.000"
    assert refused(EventSourceArn=arn) == ("InvalidParameterValueException", f"Stream not found: {arn}", 400)


@conforms("ESM-REFUSE-3", "recorded")
def test_esm_refuse_3_a_starting_position_is_needed(refused):
    _, *said = violation("Value null at 'startingPosition'", "Member must not be null.")
    assert refused(StartingPosition=None) == ("InvalidParameterValueException", *said)


@conforms("ESM-REFUSE-8", "recorded")
def test_esm_refuse_8_an_unknown_starting_position_is_refused(refused):
    assert refused(StartingPosition="BOGUS") == violation(
        "Value 'BOGUS' at 'startingPosition'",
        "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
    )


@conforms("ESM-REFUSE-4", "recorded")
def test_esm_refuse_4_a_timestamp_is_no_starting_position_of_a_dynamodb_stream(refused):
    code, message, _ = refused(StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=0)
    assert code == "InvalidParameterValueException"
    assert message.startswith("Unsupported starting position for arn type: arn:aws:dynamodb:")


@conforms("ESM-REFUSE-11", "recorded")
def test_esm_refuse_11_a_timestamp_is_for_at_timestamp_only(refused):
    assert refused(StartingPositionTimestamp=0) == (
        "InvalidParameterValueException",
        "Timestamp only valid with StartingPosition AT_TIMESTAMP",
        400,
    )


@conforms("ESM-REFUSE-7", "recorded")
@pytest.mark.parametrize(
    ("name", "value", "constraint"),
    [
        ("BatchSize", 10_001, "Member must have value less than or equal to 10000"),
        ("MaximumBatchingWindowInSeconds", 301, "Member must have value less than or equal to 300"),
        ("ParallelizationFactor", 11, "Member must have value less than or equal to 10"),
        ("MaximumRetryAttempts", 10_001, "Member must have value less than or equal to 10000"),
        ("MaximumRecordAgeInSeconds", 604_801, "Member must have value less than or equal to 604800"),
        ("TumblingWindowInSeconds", 901, "Member must have value less than or equal to 900"),
    ],
)
def test_esm_refuse_7_a_value_above_its_range_is_refused(refused, name, value, constraint):
    assert refused(**{name: value}) == violation(f"Value '{value}' at '{name[0].lower()}{name[1:]}'", constraint)


@conforms("ESM-REFUSE-10", "recorded")
def test_esm_refuse_10_a_record_age_below_a_minute_is_refused(refused):
    assert refused(MaximumRecordAgeInSeconds=59)[1] == (
        "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)"
    )


@conforms("ESM-REFUSE-9", "recorded")
def test_esm_refuse_9_an_unknown_response_type_is_refused(refused):
    assert refused(FunctionResponseTypes=["Bad"]) == violation(
        "Value '[Bad]' at 'functionResponseTypes'",
        "Member must satisfy constraint: [Member must satisfy enum value set: [ReportBatchItemFailures], "
        "Member must not be null]",
    )


@conforms("ESM-PARAM-9", "documented")
def test_esm_param_9_a_response_type_given_twice_is_refused(refused):
    assert refused(FunctionResponseTypes=REPORTS * 2) == violation(
        "Value '[ReportBatchItemFailures, ReportBatchItemFailures]' at 'functionResponseTypes'",
        "Member must have length less than or equal to 1",
    )


@conforms("ESM-REFUSE-12", "recorded")
def test_esm_refuse_12_the_settings_of_other_sources_are_refused(refused):
    code, message, _ = refused(ScalingConfig={"MaximumConcurrency": 2})
    assert code == "InvalidParameterValueException"
    assert message == "Unsupported ScalingConfig parameter for given event source mapping type."


@conforms("ESM-REFUSE-6", "recorded")
def test_esm_refuse_6_an_on_success_destination_is_refused(refused):
    destination = {"OnSuccess": {"Destination": "arn:aws:s3:::bucket"}}
    assert refused(DestinationConfig=destination)[1] == (
        "OnSuccess configuration is not supported for event source mappings."
    )


@conforms("ESM-REFUSE-13", "recorded")
def test_esm_refuse_13_a_tumbling_window_with_a_factor_is_refused_as_aws_does(refused):
    assert refused(TumblingWindowInSeconds=60, ParallelizationFactor=2)[1] == (
        "Parallelization factor must be equal to 1 when tumbling window period is configured"
    )


@conforms("ESM-PARAM-15", "documented", refused=True)
@pytest.mark.parametrize(
    "settings", [{"ProvisionedPollerConfig": {"MinimumPollers": 1}}, {"LoggingConfig": {"SystemLogLevel": "INFO"}}]
)
def test_esm_param_15_settings_of_other_sources_are_refused_by_name(refused, settings):
    code, message, status = refused(**settings)
    assert (code, status) == ("NotSimulated", 501)
    assert f"does not honour {next(iter(settings))} of lambda:CreateEventSourceMapping" in message


@conforms("ESM-PARAM-12", "documented", refused=True)
def test_esm_param_12_a_key_for_the_filter_criteria_is_refused_by_name(refused):
    code, message, status = refused(KMSKeyArn="arn:aws:kms:us-east-1:111122223333:key/k")
    assert (code, status) == ("NotSimulated", 501)
    assert "does not honour KMSKeyArn of lambda:CreateEventSourceMapping" in message


def test_a_source_that_is_not_simulated_is_refused_by_name(refused):
    code, message, status = refused(EventSourceArn="arn:aws:kinesis:us-east-1:111122223333:stream/s/consumer/c:1")
    assert (code, status) == ("NotSimulated", 501)
    assert "arn:aws:kinesis" in message


@conforms("ESM-CREATE-1", "documented", refused=True)
def test_esm_create_1_a_kafka_topic_is_no_destination_of_a_streams_failed_batches(refused):
    code, message, _ = refused(DestinationConfig={"OnFailure": {"Destination": "kafka://topic"}})
    assert code == "InvalidParameterValueException"
    assert "Destination='kafka://topic' is not the ARN of a queue, a topic or a bucket" in message


@conforms("ESM-CREATE-2", "documented")
@pytest.mark.parametrize("service", ["sqs", "sns"])
def test_esm_create_2_a_fifo_queue_or_topic_is_no_destination(refused, service):
    arn = f"arn:aws:{service}:us-east-1:111122223333:failures.fifo"
    code, message, _ = refused(DestinationConfig={"OnFailure": {"Destination": arn}})
    assert code == "InvalidParameterValueException"
    assert "is FIFO" in message


@conforms("ESM-CREATE-3", "documented")
def test_esm_create_3_an_update_to_an_empty_destination_removes_it(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, Enabled=False, MaximumRetryAttempts=0, **world.to_bucket())
    none = {"OnFailure": {"Destination": ""}}
    world.client("lambda").update_event_source_mapping(UUID=mapping, DestinationConfig=none, Enabled=True)
    world.put("a", do="raise")
    world.settle(mapping)
    (given_up,) = world.given_up(mapping)
    assert (given_up["document"], given_up["location"]) == (None, None)


@conforms("ESM-PARAM-4", "documented")
def test_esm_param_4_the_starting_position_cannot_be_updated(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream)
    path = f"/2015-03-31/event-source-mappings/{mapping}"
    status, answer = world.signed("PUT", path, {"StartingPosition": "LATEST"}, service="lambda")
    assert status >= 400
    assert "StartingPosition" in answer["message"]
    assert world.client("lambda").get_event_source_mapping(UUID=mapping)["StartingPosition"] == "TRIM_HORIZON"


@conforms("ESM-STATE-1", "documented")
@pytest.mark.parametrize("enabled", [True, False])
def test_esm_state_1_a_mapping_tells_what_is_being_done_and_what_it_came_to(world, enabled):
    stream = world.table()
    world.function()
    client = world.client("lambda")
    made = client.create_event_source_mapping(
        FunctionName=world.name, EventSourceArn=stream, StartingPosition="LATEST", Enabled=enabled
    )
    mapping = made["UUID"]

    def becomes(state):
        world.wait_until(lambda: client.get_event_source_mapping(UUID=mapping)["State"] == state)

    def update(**settings):
        return client.update_event_source_mapping(UUID=mapping, **settings)["State"]

    assert made["State"] == ("Creating" if enabled else "Disabled")
    becomes("Enabled" if enabled else "Disabled")
    if not enabled:
        assert update(Enabled=True) == "Enabling"
        becomes("Enabled")
    assert update(BatchSize=7) == "Updating"
    becomes("Enabled")
    assert update(Enabled=False) == "Disabling"
    becomes("Disabled")
    assert client.delete_event_source_mapping(UUID=mapping)["State"] == "Deleting"
    world.wait_until(lambda: not client.list_event_source_mappings(EventSourceArn=stream)["EventSourceMappings"])


def test_settings_that_change_nothing_are_taken(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(
        stream,
        FilterCriteria={"Filters": []},
        ParallelizationFactor=1,
        TumblingWindowInSeconds=0,
        DestinationConfig={"OnFailure": {"Destination": ""}},
    )
    assert "FilterCriteria" not in world.client("lambda").get_event_source_mapping(UUID=mapping)


def test_an_update_is_checked_like_a_creation(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream)
    with pytest.raises(ClientError, match="must be equal to 1 when tumbling window"):
        world.client("lambda").update_event_source_mapping(
            UUID=mapping, ParallelizationFactor=2, TumblingWindowInSeconds=60
        )
    with pytest.raises(ClientError, match="less than or equal to 10000"):
        world.client("lambda").update_event_source_mapping(UUID=mapping, BatchSize=10_001)
    assert world.client("lambda").get_event_source_mapping(UUID=mapping)["BatchSize"] == 100


@conforms(
    "ESM-CREATE-4",
    "documented",
    partly="polling starts at once, so that LATEST misses nothing that is written after the answer",
)
@honours("lambda:UpdateEventSourceMapping", "BatchSize")
def test_esm_create_4_an_update_is_answered_at_once_and_then_takes_effect(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream)
    answer = world.client("lambda").update_event_source_mapping(UUID=mapping, BatchSize=7)
    assert (answer["State"], answer["BatchSize"]) == ("Updating", 7)
    world.wait_until(lambda: world.control.mapping(mapping).state == "Enabled")


def test_a_value_of_another_type_is_refused(world):
    stream = world.table()
    world.function()
    document = {"FunctionName": world.name, "EventSourceArn": stream, "StartingPosition": "LATEST", "BatchSize": "7"}
    status, answer = world.signed("POST", "/2015-03-31/event-source-mappings", document, service="lambda")
    assert (status, answer["__type"]) == (400, "SerializationException")


@conforms("ESM-STATE-3", "recorded")
def test_esm_state_3_a_mapping_stays_enabled_without_its_table_and_its_function(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream)
    world.wait_until(lambda: world.control.mapping(mapping).state == "Enabled")
    world.client("dynamodb").delete_table(TableName=world.name)
    world.client("lambda").delete_function(FunctionName=world.name)
    described = world.client("lambda").get_event_source_mapping(UUID=mapping)
    assert (described["State"], described["EventSourceArn"]) == ("Enabled", stream)
