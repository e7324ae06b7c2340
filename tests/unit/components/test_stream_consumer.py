"""A consumer: its mapping, its failure destination, its alarms, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components import (
    GIVEN_UP,
    ITERATOR_AGE,
    STREAM_ALARMS,
    AlarmCannotFire,
    AlarmOpinion,
    ChangeTable,
    FailureDestination,
    InvalidDelivery,
    Refused,
    Stream,
    StreamConsumer,
    StreamDelivery,
    StreamSource,
    TooManyReaders,
)
from handlers.cdc import Change, Condition, consumer, on
from handlers.cdc.consumer import Consumer
from handlers.cdc.windows import State, Window, WindowedConsumer
from tests.reference import upgrade_api, welcome_email

UPGRADES = '{"eventName":["MODIFY"],"dynamodb":{"NewImage":{"plan":{"S":["pro","enterprise"]}}}}'
STREAM = "arn:aws:dynamodb:eu-central-1:123456789012:table/users/stream/2026-01-31T08:30:00.000"


WINDOW = StreamDelivery(tumbling_window_in_seconds=900)


def users_stream(**options: Any) -> Stream:
    return Stream("changes", source=ChangeTable("users", hash_key="userId").stream, **options)


def subscribed(**options: Any) -> Callable[[], object]:
    return lambda: users_stream().subscribe(welcome_email.handler, **options)


def test_the_mapping_has_every_default_of_stream_delivery(run) -> None:
    mapping = run(subscribed()).one("EventSourceMapping")
    assert mapping.inputs == {
        "functionName": "arn:aws:lambda:eu-central-1:123456789012:function:welcome-email",
        "eventSourceArn": STREAM,
        "startingPosition": "TRIM_HORIZON",
        "batchSize": 100,
        "maximumBatchingWindowInSeconds": 1,
        "parallelizationFactor": 1,
        "bisectBatchOnFunctionError": True,
        "maximumRetryAttempts": 12,
        "maximumRecordAgeInSeconds": 64_800,
        "functionResponseTypes": ["ReportBatchItemFailures"],
        "filterCriteria": {"filters": [{"pattern": UPGRADES}]},
        "metricsConfig": {"metrics": ["EventCount"]},
        "destinationConfig": {"onFailure": {"destinationArn": "arn:aws:s3:::welcome-email-failures"}},
    }


def test_every_setting_reaches_the_mapping(run) -> None:
    pattern = '{"eventName": ["MODIFY"]}'
    delivery = StreamDelivery(
        starting_position="LATEST",
        batch_size=10_000,
        maximum_batching_window_in_seconds=300,
        parallelization_factor=10,
        bisect_batch_on_function_error=False,
        maximum_retry_attempts=-1,
        maximum_record_age_in_seconds=-1,
        report_batch_item_failures=False,
        filters=(pattern,),
        event_count_metrics=False,
        on_failure=None,
    )
    mapping = run(subscribed(delivery=delivery, alarms=ITERATOR_AGE)).one("EventSourceMapping")
    assert mapping.inputs == {
        "functionName": "arn:aws:lambda:eu-central-1:123456789012:function:welcome-email",
        "eventSourceArn": STREAM,
        "startingPosition": "LATEST",
        "batchSize": 10_000,
        "maximumBatchingWindowInSeconds": 300,
        "parallelizationFactor": 10,
        "bisectBatchOnFunctionError": False,
        "maximumRetryAttempts": -1,
        "maximumRecordAgeInSeconds": -1,
        "filterCriteria": {"filters": [{"pattern": pattern}]},
    }


def test_a_tumbling_window_reaches_the_mapping(run) -> None:
    mapping = run(lambda: users_stream().subscribe(counting(), delivery=WINDOW)).one("EventSourceMapping")
    assert mapping.inputs["tumblingWindowInSeconds"] == 900


def wanting(condition: Condition | None) -> Consumer:
    """The welcome email with another condition."""
    return Consumer(welcome_email.handler.function, when=condition)


def counting(condition: Condition | None = None) -> WindowedConsumer:
    """A consumer in the welcome email's place that keeps a state."""

    def handler(changes: Sequence[Change], state: State, window: Window) -> State:
        return state

    handler.__module__ = welcome_email.__name__
    return WindowedConsumer(handler, when=condition)


def test_a_consumer_s_condition_is_pushed_into_the_mapping(run) -> None:
    mapping = run(lambda: users_stream().subscribe(wanting(on.insert | on.remove))).one("EventSourceMapping")
    assert mapping.inputs["filterCriteria"] == {"filters": [{"pattern": '{"eventName":["INSERT","REMOVE"]}'}]}


@pytest.mark.parametrize("condition", [None, on.changed("plan")])
def test_a_mapping_has_no_filter_where_aws_cannot_help(run, condition: Condition | None) -> None:
    mapping = run(lambda: users_stream().subscribe(wanting(condition))).one("EventSourceMapping")
    assert "filterCriteria" not in mapping.inputs


def test_a_tumbling_window_leaves_the_condition_to_the_function(run) -> None:
    mapping = run(lambda: users_stream().subscribe(counting(on.insert), delivery=WINDOW)).one("EventSourceMapping")
    assert "filterCriteria" not in mapping.inputs


def test_a_window_that_the_consumer_keeps_no_state_for_is_refused_with_what_would_be_lost(run) -> None:
    with pytest.raises(InvalidDelivery) as refused:
        run(subscribed(delivery=WINDOW))
    assert str(refused.value) == (
        "welcome-email: tumbling_window_in_seconds=900, and tests.reference.welcome_email keeps no state over a "
        "window: every batch would fail until its changes are given up; make the function with @windowed "
        "(docs/guides/windows.md), or leave the window out"
    )


def test_a_windowed_consumer_without_a_window_is_refused_with_what_would_be_lost(run) -> None:
    with pytest.raises(InvalidDelivery) as refused:
        run(lambda: users_stream().subscribe(counting()))
    assert str(refused.value) == (
        "welcome-email: tests.reference.welcome_email keeps a state over a tumbling window, and "
        "tumbling_window_in_seconds is 0: every batch would fail until its changes are given up; choose 1 to 900 "
        "seconds, or make the function with @consumer"
    )


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (on.old("plan").eq("free"), "welcome-email: .* reads the OldImage, and the stream's view type is NEW_IMAGE"),
        (on.insert & on.remove, "welcome-email: no change satisfies .*: it contradicts itself"),
    ],
)
def test_a_condition_that_can_never_be_true_is_refused(run, condition: Condition, message: str) -> None:
    def program() -> None:
        users = ChangeTable("users", hash_key="userId", stream_view_type="NEW_IMAGE")
        Stream("changes", source=users.stream).subscribe(wanting(condition))

    with pytest.raises(Refused, match=message):
        run(program)


def test_a_given_filter_that_can_never_match_is_refused_with_what_to_write(run) -> None:
    dead = StreamDelivery(filters=('{"dynamodb": {"NewImage": {"seats": {"N": [{"numeric": [">", 5]}]}}}}',))
    with pytest.raises(
        Refused, match=r"filters\[0\]: .*seats\.N\[0\] can never match: a number of DynamoDB is a string"
    ):
        run(subscribed(delivery=dead))


def test_an_unknown_view_type_is_not_held_against_a_condition(run) -> None:
    def program() -> None:
        source = StreamSource(arn=STREAM, table="users")
        Stream("changes", source=source).subscribe(wanting(on.old("plan").eq("free")))

    assert "filterCriteria" in run(program).one("EventSourceMapping").inputs


@pytest.mark.parametrize("kind", ["s3", "sqs", "sns"])
def test_the_mapping_waits_for_its_permissions_its_code_and_its_failure_destination(run, kind: str) -> None:
    done = run(subscribed(delivery=StreamDelivery(on_failure=kind)))
    needed = set(done.one("EventSourceMapping").dependencies)
    assert done.one("RolePolicy").urn in needed
    assert done.one("Function").urn in needed
    destination = {"s3": "Bucket", "sqs": "Queue", "sns": "Topic"}[kind]
    assert done.one(destination).urn in needed
    if kind == "s3":
        assert done.one("BucketServerSideEncryptionConfiguration").urn in needed


def test_the_function_waits_for_its_permissions_and_its_log_group(run) -> None:
    done = run(subscribed())
    assert {done.one("RolePolicy").urn, done.one("LogGroup").urn} <= set(done.one("Function").dependencies)


def test_a_mapping_that_must_be_replaced_is_deleted_first(run) -> None:
    done = run(subscribed())
    assert [each.type for each in done.registrations if each.delete_before_replace] == [
        "aws:lambda/eventSourceMapping:EventSourceMapping"
    ]


def test_the_mapping_follows_the_stream_of_its_table(run) -> None:
    done = run(subscribed())
    assert done.one("EventSourceMapping").property_dependencies["eventSourceArn"] == (done.one("Table").urn,)


def test_failed_batches_go_to_a_private_encrypted_bucket_that_forgets_after_a_year(run) -> None:
    done = run(subscribed())
    assert done.one("BucketPublicAccessBlock").inputs == {
        "bucket": "welcome-email-failures",
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    }
    assert done.one("BucketOwnershipControls").inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    (encryption,) = done.one("BucketServerSideEncryptionConfiguration").inputs["rules"]
    assert encryption["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
    (rule,) = done.one("BucketLifecycleConfiguration").inputs["rules"]
    assert (rule["status"], rule["expiration"]) == ("Enabled", {"days": 365})


def test_a_failure_queue_keeps_messages_as_long_as_sqs_can_and_calls_for_help(run) -> None:
    done = run(
        lambda: users_stream(
            alarm_actions=["arn:aws:sns:eu-central-1:123456789012:chat"], delivery=StreamDelivery(on_failure="sqs")
        ).subscribe(welcome_email.handler)
    )
    assert done.one("Queue").inputs == {"messageRetentionSeconds": 1_209_600, "sqsManagedSseEnabled": True}
    waiting = done.one("MetricAlarm", "welcome-email-failures-waiting").inputs
    assert waiting["dimensions"] == {"QueueName": "welcome-email-failures"}
    assert waiting["alarmActions"] == ["arn:aws:sns:eu-central-1:123456789012:chat"]


def test_a_failure_destination_that_lambda_does_not_deliver_to_is_refused(run) -> None:
    with pytest.raises(Refused, match="failures: kind is 'kafka', neither s3, sqs, sns nor the ARN of a bucket, queue"):
        run(lambda: FailureDestination("failures", kind="kafka"))


def test_a_failure_topic_is_encrypted_and_fills_a_queue_that_calls_for_help(run) -> None:
    done = run(
        lambda: users_stream(
            alarm_actions=["arn:aws:sns:eu-central-1:123456789012:chat"], delivery=StreamDelivery(on_failure="sns")
        ).subscribe(welcome_email.handler)
    )
    topic, queue = "arn:aws:sns:eu-central-1:123456789012:welcome-email-failures", done.one("Queue")
    assert done.one("Topic").inputs == {"kmsMasterKeyId": "alias/aws/sns"}
    assert done.one("TopicSubscription").inputs == {
        "topic": topic,
        "protocol": "sqs",
        "endpoint": "arn:aws:sqs:eu-central-1:123456789012:welcome-email-failures",
        "rawMessageDelivery": True,
    }
    (statement,) = json.loads(done.one("QueuePolicy").inputs["policy"])["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": topic}}
    assert queue.inputs["messageRetentionSeconds"] == 1_209_600
    waiting = done.one("MetricAlarm", "welcome-email-failures-waiting").inputs
    assert waiting["alarmActions"] == ["arn:aws:sns:eu-central-1:123456789012:chat"]
    needed = set(done.one("EventSourceMapping").dependencies)
    assert {done.one("TopicSubscription").urn, done.one("QueuePolicy").urn} <= needed


@pytest.mark.parametrize(
    ("resource", "actions"),
    [
        (aws.s3.Bucket, ["s3:PutObject", "s3:ListBucket", "s3:PutObject"]),
        (aws.sqs.Queue, ["sqs:SendMessage", "sqs:GetQueueUrl"]),
        (aws.sns.Topic, ["sns:Publish"]),
    ],
)
def test_a_bucket_queue_or_topic_of_the_program_is_a_destination(run, resource: Any, actions: list[str]) -> None:
    def program() -> None:
        delivery = StreamDelivery(on_failure=resource("letters"))
        users_stream(delivery=delivery).subscribe(welcome_email.handler)

    done = run(program)
    (letters,) = done.all(resource.__name__)
    mapping = done.one("EventSourceMapping")
    arn = mapping.inputs["destinationConfig"]["onFailure"]["destinationArn"]
    assert arn.endswith(":letters")
    assert letters.urn in mapping.dependencies
    granted = [each for each in done.statements("welcome-email") if str(each["Resource"]).startswith(arn)]
    assert [action for each in granted for action in each["Action"]] == actions


def test_a_fifo_queue_of_the_program_is_refused(run) -> None:
    def program() -> None:
        queue = aws.sqs.Queue("letters", name="letters.fifo", fifo_queue=True)
        users_stream(delivery=StreamDelivery(on_failure=queue)).subscribe(welcome_email.handler)

    with pytest.raises(Refused, match="which is FIFO"):
        run(program)


def test_an_existing_destination_is_used_and_nothing_is_made(run) -> None:
    done = run(subscribed(delivery=StreamDelivery(on_failure="arn:aws:sqs:eu-central-1:123456789012:dead-letters")))
    assert done.all("Queue") == []
    assert done.one("EventSourceMapping").inputs["destinationConfig"] == {
        "onFailure": {"destinationArn": "arn:aws:sqs:eu-central-1:123456789012:dead-letters"}
    }


def test_a_consumer_has_its_five_alarms_on_the_metrics_that_show_loss(run) -> None:
    done = run(subscribed())
    alarms = {alarm.name: alarm.inputs for alarm in done.all("MetricAlarm")}
    function, mapping = {"FunctionName": "welcome-email"}, {"EventSourceMappingUUID": "uuid-of-welcome-email"}
    assert {
        name.removeprefix("welcome-email-"): (each["metricName"], each["dimensions"], each["threshold"])
        for name, each in alarms.items()
    } == {
        "iterator-age-warn": ("IteratorAge", function, 300_000),
        "iterator-age-page": ("IteratorAge", function, 3_600_000),
        "dead-letters": ("OnFailureDestinationDeliveredEventCount", mapping, 1),
        "dropped": ("DroppedEventCount", mapping, 1),
        "destination-failures": ("DestinationDeliveryFailures", function, 1),
    }
    for each in alarms.values():
        assert each["comparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert each["treatMissingData"] == "notBreaching"


def test_urgent_alarms_page_and_the_others_do_not(run) -> None:
    done = run(lambda: users_stream(alarm_actions=["chat"], page_actions=["pager"]).subscribe(welcome_email.handler))
    actions = {
        alarm.name.removeprefix("welcome-email-"): alarm.inputs["alarmActions"] for alarm in done.all("MetricAlarm")
    }
    assert actions == {
        "iterator-age-warn": ["chat"],
        "iterator-age-page": ["pager"],
        "dead-letters": ["chat"],
        "dropped": ["pager"],
        "destination-failures": ["pager"],
    }


def test_alarms_are_an_opinion_that_a_consumer_may_leave_out(run) -> None:
    assert run(subscribed(alarms=())).all("MetricAlarm") == []


@pytest.mark.parametrize(
    ("delivery", "alarms", "message"),
    [
        (
            StreamDelivery(maximum_record_age_in_seconds=3600),
            STREAM_ALARMS,
            "iterator-age-page needs an iterator age of 3660 s, and records are given up at 3600 s",
        ),
        (
            StreamDelivery(maximum_record_age_in_seconds=-1),
            (replace(ITERATOR_AGE[1], threshold=24 * 60 * 60 * 1000),),
            "needs an iterator age of 86460 s, and the stream forgets records at 86400 s",
        ),
        (
            StreamDelivery(event_count_metrics=False),
            STREAM_ALARMS,
            "dead-letters watches OnFailureDestinationDeliveredEventCount, which is not recorded",
        ),
        (
            StreamDelivery(on_failure=None, maximum_retry_attempts=-1, maximum_record_age_in_seconds=-1),
            STREAM_ALARMS,
            "dead-letters watches OnFailureDestinationDeliveredEventCount, and with on_failure=None nothing is",
        ),
        (
            StreamDelivery(on_failure=None, maximum_retry_attempts=-1, maximum_record_age_in_seconds=-1),
            GIVEN_UP[2:],
            "destination-failures watches DestinationDeliveryFailures, and with on_failure=None",
        ),
    ],
)
def test_an_alarm_that_can_never_fire_is_refused(
    run, delivery: StreamDelivery, alarms: tuple[AlarmOpinion, ...], message: str
) -> None:
    with pytest.raises(AlarmCannotFire, match=message):
        run(subscribed(delivery=delivery, alarms=alarms))


def read_by(names: list[str], **table: Any) -> Callable[[], object]:
    def program() -> None:
        changes = Stream("changes", source=ChangeTable("users", hash_key="userId", **table).stream)
        for name in names:
            changes.subscribe(welcome_email.handler, name=name)

    return program


def test_two_consumers_read_one_stream(run) -> None:
    assert len(run(read_by(["first", "second"])).all("EventSourceMapping")) == 2


def test_a_third_reader_is_refused_with_what_would_happen_and_what_to_do(run) -> None:
    with pytest.raises(TooManyReaders) as refused:
        run(read_by(["first", "second", "third"]))
    assert str(refused.value) == (
        "third would be reader number 3 of the stream of users, after first, second: a shard serves 2 readers and "
        "throttles them all beyond that, so every consumer would fall behind; make the one line of the Stream "
        "FanOut(…, source=…), which reads once for up to 100 consumers, and leave the subscribe statements as they are "
        "(docs/guides/fan-out.md)"
    )


def test_a_second_reader_of_a_global_table_is_refused(run) -> None:
    with pytest.raises(TooManyReaders, match=r"second would be reader number 2 .* a shard serves 1 reader"):
        run(read_by(["first", "second"], replica_regions=["eu-west-1"]))


def test_readers_are_counted_per_table_and_not_per_stream_component(run) -> None:
    def program() -> None:
        source = ChangeTable("users", hash_key="userId").stream
        for name in ("a", "b", "c"):
            Stream(name, source=source).subscribe(welcome_email.handler, name=f"{name}-email")

    with pytest.raises(TooManyReaders):
        run(program)


def test_a_stream_of_an_existing_table_is_read_too(run) -> None:
    def program() -> None:
        Stream("orders", source=StreamSource(arn=STREAM, table="orders")).subscribe(welcome_email.handler)

    done = run(program)
    assert done.all("Table") == []
    assert done.one("EventSourceMapping").inputs["eventSourceArn"] == STREAM


def test_a_consumer_under_a_taken_name_is_refused(run) -> None:
    with pytest.raises(Refused, match=r"welcome-email reads changes already, .* give this one a name of its own"):
        run(read_by(["welcome-email", "welcome-email"]))


def test_a_function_without_the_decorator_is_refused(run) -> None:
    with pytest.raises(Refused, match=r"subscribe takes what @consumer made, .*decorate it with @consumer"):
        run(lambda: users_stream().subscribe(upgrade_api.handler))


def test_retries_that_end_before_a_crashed_worker_s_lease_are_refused(run) -> None:
    with pytest.raises(
        InvalidDelivery, match="could be given up while nobody may run it; raise maximum_retry_attempts above 6"
    ):
        run(subscribed(delivery=StreamDelivery(maximum_retry_attempts=6)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 901}, "welcome-email: timeout=901 is not what Lambda takes: choose 1 to 900 seconds"),
        ({"memory_size": 64}, "welcome-email: memory_size=64 is not what Lambda takes: choose 128 to 10240 MB"),
    ],
)
def test_a_function_that_lambda_would_refuse_is_refused_before_anything_is_made(
    run, options: Any, message: str
) -> None:
    readers: list[str] = []

    def program() -> None:
        stream = users_stream()
        try:
            stream.subscribe(welcome_email.handler, **options)
        finally:
            readers.extend(stream.source.readers)

    with pytest.raises(Refused, match=message):
        run(program)
    assert readers == []


def test_a_handler_outside_of_handlers_is_refused_before_anything_is_made(run) -> None:
    @consumer
    def handler(change: Change) -> None:
        """Defined in this test module."""

    readers: list[str] = []

    def program() -> None:
        stream = users_stream()
        try:
            stream.subscribe(handler)
        finally:
            readers.extend(stream.source.readers)

    with pytest.raises(Refused, match=r"test_stream_consumer\.py:\d+: imports components, which is not deployed"):
        run(program)
    assert readers == []


def test_options_reach_everything_that_belongs_to_a_consumer(run) -> None:
    def program() -> None:
        users_stream().subscribe(welcome_email.handler, opts=pulumi.ResourceOptions(protect=True))

    done = run(program)
    assert {each.name for each in done.registrations if each.protect} >= {"welcome-email", "welcome-email-failures"}
    assert done.one("Table").protect is None


def test_a_consumer_has_a_timeout_a_size_and_variables_of_its_own(run) -> None:
    done = run(subscribed(timeout=60, memory_size=1024, environment={"INDEX": "users"}))
    function = done.one("Function").inputs
    assert (function["timeout"], function["memorySize"]) == (60, 1024)
    assert function["environment"] == {
        "variables": {"INDEX": "users", "FAILURE_DESTINATION": "arn:aws:s3:::welcome-email-failures"}
    }


def test_a_stream_consumer_stands_alone_with_the_defaults(run) -> None:
    def program() -> None:
        made = StreamConsumer("alone", source=StreamSource(arn=STREAM, table="orders"), consumer=welcome_email.handler)
        assert isinstance(made.event_source_mapping, aws.lambda_.EventSourceMapping)
        assert isinstance(welcome_email.handler, Consumer)

    assert run(program).one("EventSourceMapping").inputs["batchSize"] == 100
