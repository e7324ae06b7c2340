"""The event source mapping API: AWS's answers, defaults and refusals, in its words."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

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
        "InvalidParameterValueException",
        f"1 validation error detected: {what} failed to satisfy constraint: {constraint}",
        400,
    )


def test_a_new_mapping_has_aws_defaults(world):
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


def test_last_processing_result_tells_of_the_last_invocation(world):
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


def test_mappings_are_listed_by_stream_and_by_function(world):
    stream, other = world.table(), world.table(f"{world.name}-other")
    world.function()
    one, two = world.mapping(stream), world.mapping(other)
    listed = world.client("lambda").list_event_source_mappings
    assert [each["UUID"] for each in listed(EventSourceArn=stream)["EventSourceMappings"]] == [one]
    assert [each["UUID"] for each in listed(FunctionName=world.name)["EventSourceMappings"]] == [one, two]


def test_a_second_mapping_of_the_same_function_and_stream_is_a_conflict(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream)
    with pytest.raises(ClientError) as error:
        world.mapping(stream)
    assert error.value.response["Error"]["Code"] == "ResourceConflictException"
    assert f"existing mapping with UUID {mapping}" in error.value.response["Error"]["Message"]


@pytest.mark.parametrize("operation", ["get", "update", "delete"])
def test_an_unknown_mapping_does_not_exist(world, operation):
    with pytest.raises(ClientError) as error:
        getattr(world.client("lambda"), f"{operation}_event_source_mapping")(UUID=MISSING)
    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert error.value.response["Error"]["Message"] == "The resource you requested does not exist."


def test_a_missing_function_is_refused(refused):
    assert refused(FunctionName="nobody")[:2] == ("InvalidParameterValueException", "Function does not exist")


def test_a_missing_stream_is_refused(refused, world):
    arn = f"arn:aws:dynamodb:us-east-1:111122223333:table/{world.name}/stream/2026-01-01T00:00:00.000"
    assert refused(EventSourceArn=arn)[:2] == ("InvalidParameterValueException", f"Stream not found: {arn}")


def test_a_starting_position_is_needed(refused):
    assert refused(StartingPosition=None) == violation("Value null at 'startingPosition'", "Member must not be null.")


def test_an_unknown_starting_position_is_refused(refused):
    assert refused(StartingPosition="BOGUS") == violation(
        "Value 'BOGUS' at 'startingPosition'",
        "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
    )


def test_a_timestamp_is_no_starting_position_of_a_dynamodb_stream(refused):
    code, message, _ = refused(StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=0)
    assert code == "InvalidParameterValueException"
    assert message.startswith("Unsupported starting position for arn type: arn:aws:dynamodb:")


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
def test_a_value_above_its_range_is_refused(refused, name, value, constraint):
    assert refused(**{name: value}) == violation(f"Value '{value}' at '{name[0].lower()}{name[1:]}'", constraint)


def test_a_record_age_below_a_minute_is_refused(refused):
    assert refused(MaximumRecordAgeInSeconds=59)[1] == (
        "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)"
    )


def test_an_unknown_response_type_is_refused(refused):
    assert refused(FunctionResponseTypes=["Bad"])[1].startswith(
        "1 validation error detected: Value '[Bad]' at 'functionResponseTypes' failed to satisfy constraint"
    )


def test_the_settings_of_other_sources_are_refused(refused):
    code, message, _ = refused(ScalingConfig={"MaximumConcurrency": 2})
    assert code == "InvalidParameterValueException"
    assert message == "Unsupported ScalingConfig parameter for given event source mapping type."


def test_an_on_success_destination_is_refused(refused):
    destination = {"OnSuccess": {"Destination": "arn:aws:s3:::bucket"}}
    assert refused(DestinationConfig=destination)[1] == (
        "OnSuccess configuration is not supported for event source mappings."
    )


def test_a_tumbling_window_with_a_factor_is_refused_as_aws_does(refused):
    assert refused(TumblingWindowInSeconds=60, ParallelizationFactor=2)[1] == (
        "Parallelization factor must be equal to 1 when tumbling window period is configured"
    )


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"EventSourceArn": "arn:aws:kinesis:us-east-1:111122223333:stream/s/consumer/c:1"}, "arn:aws:kinesis"),
        ({"KMSKeyArn": "arn:aws:kms:us-east-1:111122223333:key/k"}, "KMSKeyArn"),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 1}}, "ProvisionedPollerConfig"),
    ],
)
def test_what_is_not_simulated_is_refused_by_name(refused, settings, named):
    code, message, status = refused(**settings)
    assert (code, status) == ("NotSimulated", 501)
    assert named in message


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


def test_an_update_is_answered_at_once_and_then_takes_effect(world):
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
