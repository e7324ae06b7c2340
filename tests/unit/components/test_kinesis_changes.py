"""The Kinesis route: the stream, the table's destination, consumers, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs

from components import ChangeTable, InvalidDelivery, KinesisChanges, KinesisDelivery, Refused, Stream, StreamDelivery
from components.stream_source import TooManyReaders
from components.testing import AwsMocks
from handlers import plan_counts
from handlers.cdc import Change, EffectLedger, consumer
from handlers.cdc.consumer import Consumer
from handlers.cdc.projection import DynamoDBProjection
from tests.reference import welcome_email

STREAM = "arn:aws:kinesis:us-east-1:123456789012:stream/history"


def history(**options: Any) -> KinesisChanges:
    return KinesisChanges("history", table=ChangeTable("users", hash_key="userId"), **options)


def deployed(mocks: AwsMocks, program: Callable[[], object]) -> AwsMocks:
    """Run a program under mocks to its end."""

    @pulumi.runtime.test
    def run() -> None:
        program()

    run()
    return mocks


@pytest.fixture
def module() -> Iterator[Callable[..., Consumer]]:
    """Makes the consumer of a module that exists for a test only."""

    def make(**members: Any) -> Consumer:
        def handler(change: Change) -> None: ...

        made = ModuleType("handlers.made_for_a_test")
        vars(made).update(members)
        sys.modules[made.__name__] = made
        handler.__module__ = made.__name__
        return consumer()(handler)

    yield make
    sys.modules.pop("handlers.made_for_a_test", None)


def test_the_stream_keeps_a_week_on_demand_and_takes_what_a_function_can_receive(mocks: AwsMocks) -> None:
    assert deployed(mocks, history).one("Stream", "history").inputs == {
        "streamModeDetails": {"streamMode": "ON_DEMAND"},
        "retentionPeriod": 168,
        "maxRecordSizeInKib": 4096,
        "encryptionType": "KMS",
        "kmsKeyId": "alias/aws/kinesis",
    }
    assert mocks.one("KinesisStreamingDestination").inputs == {
        "tableName": "users",
        "streamArn": STREAM,
        "approximateCreationDateTimePrecision": "MICROSECOND",
    }


def test_a_provisioned_stream_has_its_shards_and_its_own_key(mocks: AwsMocks) -> None:
    deployed(mocks, lambda: history(shards=2, retention_hours=8_760, kms_key_arn="arn:aws:kms:us-east-1:1:key/k"))
    stream = mocks.one("Stream", "history").inputs
    assert (stream["streamModeDetails"], stream["shardCount"]) == ({"streamMode": "PROVISIONED"}, 2)
    assert (stream["retentionPeriod"], stream["kmsKeyId"]) == (8_760, "arn:aws:kms:us-east-1:1:key/k")


def test_a_consumer_reads_all_that_is_kept_and_gives_nothing_up_by_age(mocks: AwsMocks) -> None:
    deployed(mocks, lambda: history().subscribe(welcome_email.handler))
    mapping = mocks.one("EventSourceMapping").inputs
    assert (mapping["eventSourceArn"], mapping["startingPosition"]) == (STREAM, "TRIM_HORIZON")
    assert (mapping["maximumRecordAgeInSeconds"], mapping["maximumRetryAttempts"]) == (-1, 12)
    assert mapping["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["filterCriteria"] == {
        "filters": [
            {"pattern": '{"data":{"eventName":["MODIFY"],"dynamodb":{"NewImage":{"plan":{"S":["pro","enterprise"]}}}}}'}
        ]
    }
    statements = json.loads(mocks.one("RolePolicy").inputs["policy"])["Statement"]
    assert [each["Resource"] for each in statements if "kinesis:GetRecords" in each["Action"]] == [STREAM]
    assert not any("dynamodb:GetRecords" in each["Action"] for each in statements)


def test_a_consumer_begins_at_a_time(mocks: AwsMocks) -> None:
    deployed(mocks, lambda: history().subscribe(welcome_email.handler, replay_from="2026-01-31T08:30:00Z"))
    mapping = mocks.one("EventSourceMapping").inputs
    assert (mapping["startingPosition"], mapping["startingPositionTimestamp"]) == (
        "AT_TIMESTAMP",
        "2026-01-31T08:30:00Z",
    )


def test_enhanced_fan_out_registers_the_consumer_and_lets_it_subscribe(mocks: AwsMocks) -> None:
    deployed(mocks, lambda: history().subscribe(welcome_email.handler, enhanced_fan_out=True))
    registered = next(each for each in mocks.registered if each.typ == "aws:kinesis/streamConsumer:StreamConsumer")
    assert registered.inputs == {"streamArn": STREAM}
    arn = mocks.one("EventSourceMapping").inputs["eventSourceArn"]
    assert "/consumer/welcome-email" in arn
    statements = json.loads(mocks.one("RolePolicy").inputs["policy"])["Statement"]
    assert [each["Resource"] for each in statements if "kinesis:SubscribeToShard" in each["Action"]] == [arn]


def test_alarms_watch_the_replication_long_before_it_switches_itself_off(mocks: AwsMocks) -> None:
    deployed(mocks, lambda: history(alarm_actions=["arn:warn"], page_actions=["arn:page"]))
    alarms = {each.name: each.inputs for each in mocks.all("MetricAlarm")}
    assert {name: (each["metricName"], each["threshold"], each["alarmActions"]) for name, each in alarms.items()} == {
        "history-replication-age-warn": ("AgeOfOldestUnreplicatedRecord", 300_000, ["arn:warn"]),
        "history-replication-age-page": ("AgeOfOldestUnreplicatedRecord", 21_600_000, ["arn:page"]),
        "history-replication-throttled": ("ThrottledPutRecordCount", 1, ["arn:warn"]),
        "history-replication-failed": ("FailedToReplicateRecordCount", 1, ["arn:page"]),
    }
    for each in alarms.values():
        assert each["dimensions"] == {"TableName": "users", "DelegatedOperation": "StreamRecords"}
        assert each["threshold"] < 168 * 3_600_000


def test_a_consumer_s_alarms_say_that_the_stream_forgets_after_its_retention(mocks: AwsMocks) -> None:
    deployed(mocks, lambda: history().subscribe(welcome_email.handler))
    text = mocks.one("MetricAlarm", "welcome-email-iterator-age-page").inputs["alarmDescription"]
    assert "after its retention" in text
    assert "24 hours" not in text


def test_an_existing_table_is_looked_up_for_its_keys() -> None:
    class Account(AwsMocks):
        def call(self, args: MockCallArgs) -> dict[str, Any]:
            if args.token == "aws:dynamodb/getTable:getTable":
                attributes = [{"name": "orderId", "type": "S"}, {"name": "email", "type": "S"}]
                return {"hashKey": "orderId", "rangeKey": "", "attributes": attributes}
            return super().call(args)

    account = Account()
    pulumi.runtime.set_mocks(account, project="weir", stack="test")
    made: list[KinesisChanges] = []
    deployed(account, lambda: made.append(KinesisChanges("history", table="orders")))
    assert account.one("KinesisStreamingDestination").inputs["tableName"] == "orders"
    assert (made[0].source.table, made[0].source.keys) == ("orders", {"orderId": "S"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retention_hours": 23}, "retention_hours=23 is not 24 to 8760: Kinesis keeps a record for a day to a year"),
        ({"retention_hours": 8_761}, "retention_hours=8761 is not 24 to 8760"),
        ({"shards": 0}, "shards=0 is not 1 to 20000: .* leave it out for a stream on demand"),
        ({"record_size_kib": 512}, "record_size_kib=512 is not 1024 to 10240"),
        ({"record_size_kib": 10_240}, "record_size_kib=10240 is above 4096: Lambda's payload of 6 MB holds no larger"),
    ],
)
def test_a_stream_that_aws_or_a_function_could_not_take_is_refused(
    mocks: AwsMocks, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(Refused, match=f"^history: {message}"):
        history(**options)


def test_a_table_has_one_kinesis_stream(mocks: AwsMocks) -> None:
    users = ChangeTable("users", hash_key="userId")
    KinesisChanges("history", table=users)
    with pytest.raises(Refused, match="second: the changes of users go to history already, and a table has one"):
        KinesisChanges("second", table=users)


def test_the_sixth_shared_reader_is_refused_with_the_way_out(mocks: AwsMocks) -> None:
    made = history()
    for number in range(5):
        made.subscribe(welcome_email.handler, name=f"reader-{number}")
    with pytest.raises(TooManyReaders, match=r"reader number 6 of the Kinesis stream of users.*enhanced_fan_out=True"):
        made.subscribe(welcome_email.handler, name="sixth")
    made.subscribe(welcome_email.handler, name="sixth-enhanced", enhanced_fan_out=True)


@pytest.mark.parametrize(("advantage", "limit"), [(False, 20), (True, 50)])
def test_enhanced_fan_out_has_twenty_consumers_and_fifty_with_the_account_s_setting(
    mocks: AwsMocks, advantage: bool, limit: int
) -> None:
    source = history(on_demand_advantage=advantage).source.with_enhanced_fan_out("arn")
    for number in range(limit):
        source.add_reader(f"reader-{number}")
    with pytest.raises(
        TooManyReaders, match=f"number {limit + 1} with enhanced fan-out .* AWS registers {limit}: "
    ) as error:
        source.add_reader("more")
    assert ("on_demand_advantage=True" in str(error.value)) != advantage


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"starting_position": "AT_TIMESTAMP"}, "AT_TIMESTAMP without starting_position_timestamp"),
        ({"starting_position_timestamp": "2026-01-31T08:30:00Z"}, "is for AT_TIMESTAMP, and starting_position is TRIM"),
        ({"starting_position": "EARLIEST"}, "'EARLIEST' is not one of TRIM_HORIZON, LATEST, AT_TIMESTAMP"),
        (
            {"starting_position": "AT_TIMESTAMP", "starting_position_timestamp": "2026-01-31T08:30:00"},
            "is not a time with its zone",
        ),
        (
            {
                "starting_position": "AT_TIMESTAMP",
                "starting_position_timestamp": "2026-01-31T08:30:00Z",
                "maximum_record_age_in_seconds": 3600,
            },
            "records older than that would go to the failure destination unread",
        ),
        ({"batch_size": 10_001}, "batch_size=10001 is not 1 to 10000"),
    ],
)
def test_a_delivery_that_aws_refuses_or_that_would_lose_records_is_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidDelivery, match=message):
        KinesisDelivery(**settings)


def test_the_wrong_kind_of_delivery_is_refused_on_both_routes(mocks: AwsMocks) -> None:
    with pytest.raises(InvalidDelivery, match="is a StreamDelivery, and users is read through Kinesis: pass a Kinesis"):
        history().subscribe(welcome_email.handler, delivery=StreamDelivery())  # pyright: ignore[reportArgumentType]
    changes = Stream("changes", source=ChangeTable("orders", hash_key="orderId").stream)
    with pytest.raises(InvalidDelivery, match="is a KinesisDelivery, and orders is read through its own stream"):
        changes.subscribe(welcome_email.handler, delivery=KinesisDelivery())


def test_a_consumer_without_anything_against_repeats_is_refused(mocks: AwsMocks, module) -> None:
    with pytest.raises(Refused, match="Kinesis delivers every change at least once, and nothing in handlers"):
        history().subscribe(module(), name="audit")


def test_keys_that_rest_on_event_ids_are_refused_with_the_line(mocks: AwsMocks) -> None:
    with pytest.raises(Refused, match=r"handlers/plan_counts\.py:\d+ reads event_id.*change\.item\['version'\]"):
        history().subscribe(plan_counts.handler)


def test_a_consumer_that_says_what_makes_its_event_ids_harmless_is_taken(mocks: AwsMocks) -> None:
    made = history()
    words = "a count that is too high by a duplicate is corrected every night"
    deployed(mocks, lambda: made.subscribe(plan_counts.handler, repeats=words, environment={"COUNTER_TABLE": "counts"}))
    assert made.repeats == {"plan-counts": words}


def test_a_projection_guarded_by_sequence_numbers_is_refused(mocks: AwsMocks, module) -> None:
    made = module(view=DynamoDBProjection("VIEW_TABLE", guard_by="sequence"), ledger=EffectLedger())
    with pytest.raises(Refused, match="changes that come through Kinesis have none: guard it by the item's version"):
        history().subscribe(made, name="view")
