"""Pipes from Kinesis, and the enrichment that evaluates what no event pattern says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components import (
    BusTarget,
    ChangeTable,
    FanOut,
    FunctionEnrichment,
    InvalidDelivery,
    KinesisChanges,
    KinesisPipeDelivery,
    PipeDelivery,
    Refused,
    StreamPipe,
    StreamSource,
)
from components.testing import AwsMocks
from handlers.cdc import on
from tests.reference import enrich, wanted_plans

STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-01-31T08:30:00.000"
BUS = BusTarget(arn="arn:aws:events:us-east-1:123456789012:event-bus/changes")
WANTED = FunctionEnrichment(handler=wanted_plans.handler)


def deployed(mocks: AwsMocks, program: Callable[[], object]) -> AwsMocks:
    """Run a program under mocks to its end."""

    @pulumi.runtime.test
    def run() -> None:
        program()

    run()
    return mocks


def piped(**options: Any) -> StreamPipe:
    users = StreamSource(arn=STREAM, table="users", keys={"userId": "S"})
    return StreamPipe("plans", source=users, target=BUS, **options)


def from_kinesis(**options: Any) -> StreamPipe:
    history = KinesisChanges("history", table=ChangeTable("users", hash_key="userId"))
    return StreamPipe("late", source=history.source, target=BUS, **options)


def statements(mocks: AwsMocks, name: str) -> list[Any]:
    return json.loads(mocks.one("RolePolicy", name).inputs["policy"])["Statement"]


def test_a_pipe_reads_a_table_s_changes_through_kinesis(mocks: AwsMocks) -> None:
    made = deployed(mocks, lambda: from_kinesis(when=on.insert & on.new("plan").eq("pro"))).one("Pipe").inputs
    assert made["source"] == "arn:aws:kinesis:us-east-1:123456789012:stream/history"
    given = made["sourceParameters"]
    (wanted,) = given.pop("filterCriteria")["filters"]
    assert json.loads(wanted["pattern"]) == {
        "data": {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"plan": {"S": ["pro"]}}}}
    }
    assert given["kinesisStreamParameters"]["startingPosition"] == "TRIM_HORIZON"
    assert given["kinesisStreamParameters"]["maximumRecordAgeInSeconds"] == -1
    reads = [each for each in statements(mocks, "late") if "kinesis:GetRecords" in each["Action"]]
    assert [each["Resource"] for each in reads] == [made["source"]]


def test_a_pipe_begins_at_a_time(mocks: AwsMocks) -> None:
    at = KinesisPipeDelivery(starting_position="AT_TIMESTAMP", starting_position_timestamp="2026-01-31T08:30:00Z")
    made = deployed(mocks, lambda: from_kinesis(delivery=at)).one("Pipe").inputs["sourceParameters"]
    parameters = made["kinesisStreamParameters"]
    assert (parameters["startingPosition"], parameters["startingPositionTimestamp"]) == (
        "AT_TIMESTAMP",
        "2026-01-31T08:30:00Z",
    )


def test_the_wrong_kind_of_delivery_is_refused(mocks: AwsMocks) -> None:
    with pytest.raises(InvalidDelivery, match="is a PipeDelivery, and users is read through Kinesis: pass a Kinesis"):
        from_kinesis(delivery=PipeDelivery())
    with pytest.raises(InvalidDelivery, match="is a KinesisPipeDelivery, and users is read through its own stream"):
        piped(delivery=KinesisPipeDelivery())
    with pytest.raises(InvalidDelivery, match="AT_TIMESTAMP without starting_position_timestamp"):
        KinesisPipeDelivery(starting_position="AT_TIMESTAMP")


def test_a_residue_is_evaluated_by_the_enrichment_s_function_whose_condition_is_the_pipe_s(mocks: AwsMocks) -> None:
    deployed(mocks, lambda: piped(enrichment=WANTED))
    function = mocks.one("Function").inputs
    assert function["handler"] == "tests.reference.wanted_plans.handler"
    made = mocks.one("Pipe").inputs
    assert made["enrichment"].endswith(":function:plans-enrichment")
    (wanted,) = made["sourceParameters"]["filterCriteria"]["filters"]
    images = json.loads(wanted["pattern"])["dynamodb"]
    assert set(images) == {"NewImage", "OldImage"}  # what a pattern can say of MODIFY
    invokes = [each for each in statements(mocks, "plans") if "lambda:InvokeFunction" in each["Action"]]
    assert [each["Resource"] for each in invokes] == [made["enrichment"]]


def test_a_fan_out_s_pipe_takes_the_same_enrichment(mocks: AwsMocks) -> None:
    def program() -> None:
        fan_out = FanOut("fan-out", source=ChangeTable("users", hash_key="userId").stream)
        fan_out.pipe("plans", target=BUS, enrichment=WANTED, repeats="the bus does not mind")

    made = deployed(mocks, program).one("Pipe").inputs
    assert made["enrichment"].endswith(":function:plans-enrichment")
    assert json.loads(made["sourceParameters"]["filterCriteria"]["filters"][0]["pattern"])["body"]["eventName"]


def test_a_residue_without_such_an_enrichment_is_refused(mocks: AwsMocks) -> None:
    with pytest.raises(Refused, match=r"plans: no event pattern says on\.changed\('plan'\).*FunctionEnrichment"):
        piped(when=on.changed("plan"))


def test_another_condition_than_the_enrichment_s_is_refused(mocks: AwsMocks) -> None:
    with pytest.raises(Refused, match=r"plans: when is .*'team'.*wanted_plans\.handler evaluates .*leave when out"):
        piped(when=on.changed("team"), enrichment=WANTED)
    deployed(mocks, lambda: piped(when=on.modify & on.changed("plan"), enrichment=WANTED))


def test_a_function_that_is_no_enrichment_is_refused(mocks: AwsMocks) -> None:
    plain: Any = enrich.handler
    with pytest.raises(Refused, match="which @enrichment did not make: decorate the module's function"):
        StreamPipe(
            "plans",
            source=StreamSource(arn=STREAM, table="users"),
            target=BUS,
            enrichment=FunctionEnrichment(handler=plain),
        )
