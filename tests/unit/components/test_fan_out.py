"""The fan-out: what it makes for the stream and for each consumer, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from components import (
    ChangeTable,
    FanOut,
    FunctionSettings,
    InvalidDelivery,
    QueueDelivery,
    Refused,
    Stream,
    StreamDelivery,
    TooManyReaders,
)
from handlers.cdc import Change, EffectLedger, consumer, on
from handlers.cdc.consumer import Consumer
from handlers.cdc.counters import Counters
from handlers.cdc.windows import State, Window, WindowedConsumer
from tests.reference import welcome_email

TOPIC = "arn:aws:sns:eu-central-1:123456789012:fan-out"
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:welcome-email"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:welcome-email"


def fan_out(**options: Any) -> FanOut:
    return FanOut("fan-out", source=ChangeTable("users", hash_key="userId").stream, **options)


def subscribed(**options: Any) -> Callable[[], object]:
    return lambda: fan_out().subscribe(welcome_email.handler, **options)


def policy_of(done: Any, queue: str) -> Any:
    return json.loads(done.one("QueuePolicy", queue).inputs["policy"])["Statement"]


def test_the_topic_gives_each_item_its_own_throughput_and_takes_whole_changes(run) -> None:
    assert run(fan_out).one("Topic").inputs == {
        "fifoTopic": True,
        "fifoThroughputScope": "MessageGroup",
        "maximumMessageSize": 1_048_576,
    }


def test_the_forwarder_is_bounded_by_age_alone_and_gets_every_change(run) -> None:
    mapping = run(fan_out).one("EventSourceMapping", "fan-out-forwarder").inputs
    assert mapping["maximumRetryAttempts"] == -1
    assert mapping["maximumRecordAgeInSeconds"] == 64_800
    assert mapping["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert "filterCriteria" not in mapping
    function = run(fan_out).one("Function", "fan-out-forwarder").inputs
    assert function["handler"] == "handlers.cdc.forwarder.handler"
    assert function["environment"]["variables"] == {
        "FAN_OUT_TOPIC": TOPIC,
        "CLAIM_CHECK_BUCKET": "fan-out-claim-checks",
        "FAILURE_DESTINATION": "arn:aws:s3:::fan-out-forwarder-failures",
    }


def test_the_forwarder_publishes_and_stores_and_does_nothing_else(run) -> None:
    granted = {
        (action, str(statement["Resource"]))
        for statement in run(fan_out).statements("fan-out-forwarder")
        for action in statement["Action"]
    }
    assert ("sns:Publish", TOPIC) in granted
    assert ("s3:PutObject", "arn:aws:s3:::fan-out-claim-checks/*") in granted
    assert {action.partition(":")[0] for action, _ in granted} == {"dynamodb", "logs", "s3", "sns"}


def test_the_forwarder_reads_after_every_queue_is_subscribed(run) -> None:
    def program() -> None:
        made = fan_out()
        made.subscribe(welcome_email.handler)
        made.subscribe(welcome_email.handler, name="second")

    done = run(program)
    needed = set(done.one("EventSourceMapping", "fan-out-forwarder").dependencies)
    assert {each.urn for each in done.all("TopicSubscription")} <= needed
    assert done.one("Function", "fan-out-forwarder").urn in needed


def test_a_consumer_has_a_high_throughput_queue_of_its_own(run) -> None:
    done = run(subscribed())
    queue = done.one("Queue", "welcome-email").inputs
    assert json.loads(queue.pop("redrivePolicy")) == {
        "deadLetterTargetArn": f"{QUEUE}-dead-letters",
        "maxReceiveCount": 1000,
    }
    assert queue == {
        "fifoQueue": True,
        "deduplicationScope": "messageGroup",
        "fifoThroughputLimit": "perMessageGroupId",
        "messageRetentionSeconds": 1_209_600,
        "visibilityTimeoutSeconds": 180,
        "sqsManagedSseEnabled": True,
    }
    for name in ("welcome-email-dead-letters", "welcome-email-undelivered"):
        assert done.one("Queue", name).inputs == {
            "fifoQueue": True,
            "messageRetentionSeconds": 1_209_600,
            "sqsManagedSseEnabled": True,
        }


def test_the_topic_delivers_raw_with_a_dead_letter_queue_of_the_subscription(run) -> None:
    done = run(subscribed())
    subscription = done.one("TopicSubscription").inputs
    assert json.loads(subscription.pop("redrivePolicy")) == {"deadLetterTargetArn": f"{QUEUE}-undelivered"}
    assert subscription == {"topic": TOPIC, "protocol": "sqs", "endpoint": QUEUE, "rawMessageDelivery": True}


@pytest.mark.parametrize("queue", ["welcome-email", "welcome-email-undelivered"])
def test_only_the_topic_may_send_to_a_queue(run, queue: str) -> None:
    done = run(subscribed())
    assert policy_of(done, queue) == [
        {
            "Effect": "Allow",
            "Action": ["sqs:SendMessage"],
            "Resource": f"arn:aws:sqs:eu-central-1:123456789012:{queue}",
            "Condition": {"ArnEquals": {"aws:SourceArn": TOPIC}},
            "Principal": {"Service": "sns.amazonaws.com"},
        }
    ]
    assert done.one("QueuePolicy", queue).urn in done.one("TopicSubscription").dependencies


def test_the_mapping_reads_ten_at_most_and_filters_by_the_consumer_s_condition(run) -> None:
    assert run(subscribed()).one("EventSourceMapping", "welcome-email").inputs == {
        "functionName": FUNCTION,
        "eventSourceArn": QUEUE,
        "batchSize": 10,
        "scalingConfig": {"maximumConcurrency": 50},
        "functionResponseTypes": ["ReportBatchItemFailures"],
        "metricsConfig": {"metrics": ["EventCount"]},
        "filterCriteria": {
            "filters": [
                {"pattern": pattern}
                for pattern in (
                    '{"body":{"eventName":["MODIFY"],"dynamodb":{"NewImage":{"plan":{"S":["pro","enterprise"]}}}}}',
                    '{"body":{"eventName":[{"exists":false}]}}',
                )
            ]
        },
    }


def test_the_runtime_counts_attempts_and_parks_in_the_consumer_s_own_bucket(run) -> None:
    done = run(subscribed(environment={"INDEX": "users"}))
    assert done.one("Function", "welcome-email").inputs["environment"]["variables"] == {
        "QUEUE_ATTEMPTS": "10",
        "FAILURE_DESTINATION": "arn:aws:s3:::welcome-email-failures",
        "INDEX": "users",
    }


def test_a_consumer_reads_its_queue_parks_and_fetches_large_changes(run) -> None:
    granted = {
        (action, str(statement["Resource"]))
        for statement in run(subscribed()).statements("welcome-email")
        for action in statement["Action"]
        if not action.startswith("logs:")
    }
    assert granted == {
        *((f"sqs:{action}", QUEUE) for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")),
        ("sqs:ChangeMessageVisibility", QUEUE),
        ("sqs:GetQueueUrl", QUEUE),
        ("s3:PutObject", "arn:aws:s3:::welcome-email-failures/discarded/*"),
        *(
            (f"s3:{action}Object", "arn:aws:s3:::welcome-email-failures/started/*")
            for action in ("Put", "Get", "Delete")
        ),
        ("s3:ListBucket", "arn:aws:s3:::welcome-email-failures"),
        ("s3:GetObject", "arn:aws:s3:::fan-out-claim-checks/*"),
    }


def test_every_setting_reaches_queue_and_mapping(run) -> None:
    pattern = '{"body":{"eventName":["INSERT"]}}'
    delivery = QueueDelivery(
        batch_size=1,
        maximum_concurrency=None,
        attempts=20,
        maximum_receives=500,
        visibility_timeout_in_seconds=600,
        retention_in_seconds=86_400,
        report_batch_item_failures=False,
        filters=(pattern,),
        event_count_metrics=False,
        on_failure="sqs",
    )
    done = run(subscribed(delivery=delivery, timeout=60, memory_size=512))
    assert done.one("EventSourceMapping", "welcome-email").inputs == {
        "functionName": FUNCTION,
        "eventSourceArn": QUEUE,
        "batchSize": 1,
        "filterCriteria": {"filters": [{"pattern": pattern}]},
    }
    queue = done.one("Queue", "welcome-email").inputs
    assert (queue["visibilityTimeoutSeconds"], queue["messageRetentionSeconds"]) == (600, 86_400)
    assert json.loads(queue["redrivePolicy"])["maxReceiveCount"] == 500
    function = done.one("Function", "welcome-email").inputs
    assert (function["timeout"], function["memorySize"]) == (60, 512)
    assert function["environment"]["variables"]["QUEUE_ATTEMPTS"] == "20"


def test_six_consumers_are_six_statements_and_one_reader(run) -> None:
    def program() -> None:
        users = ChangeTable("users", hash_key="userId")
        made = FanOut("fan-out", source=users.stream)
        for number in range(6):
            made.subscribe(welcome_email.handler, name=f"consumer-{number}")
        Stream("changes", source=users.stream).subscribe(welcome_email.handler, name="direct")
        assert users.stream.readers == ["fan-out-forwarder", "direct"]

    assert len(run(program).all("TopicSubscription")) == 6


def test_alarms_watch_queue_dead_letters_deliveries_and_the_topic(run) -> None:
    done = run(lambda: fan_out(alarm_actions=["chat"], page_actions=["pager"]).subscribe(welcome_email.handler))
    alarms = {each.name: each.inputs for each in done.all("MetricAlarm")}
    watched = {
        name: (each["metricName"], each["dimensions"]) for name, each in alarms.items() if "forwarder" not in name
    }
    assert watched == {
        "fan-out-notifications-failed": ("NumberOfNotificationsFailed", {"TopicName": "fan-out"}),
        "fan-out-notifications-lost": ("NumberOfNotificationsFailedToRedriveToDlq", {"TopicName": "fan-out"}),
        "welcome-email-queue-age-warn": ("ApproximateAgeOfOldestMessage", {"QueueName": "welcome-email"}),
        "welcome-email-queue-age-page": ("ApproximateAgeOfOldestMessage", {"QueueName": "welcome-email"}),
        "welcome-email-throttles": ("Throttles", {"FunctionName": "welcome-email"}),
        "welcome-email-dead-letters": ("Discarded", {"FunctionName": "welcome-email"}),
        "welcome-email-dead-letter-queue": (
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": "welcome-email-dead-letters"},
        ),
        "welcome-email-undelivered": (
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": "welcome-email-undelivered"},
        ),
    }
    assert alarms["welcome-email-undelivered"]["alarmActions"] == ["pager"]
    assert alarms["welcome-email-dead-letters"]["alarmActions"] == ["chat"]


def test_an_alarm_names_the_consumer_the_command_that_helps_and_where_the_changes_are(run) -> None:
    alarm = run(subscribed()).one("MetricAlarm", "welcome-email-dead-letters").inputs
    assert alarm["alarmDescription"] == (
        "welcome-email: Changes were given up and are parked in the failure destination. Fix the cause, then redrive "
        "them. First: weir dead-letters list welcome-email -s test (docs/runbook/dead-letters.md). "
        "Failure destination: arn:aws:s3:::welcome-email-failures"
    )


def test_an_archive_is_kept_and_replayed_from_a_time_without_an_end(run) -> None:
    done = run(lambda: fan_out(archive_days=30).subscribe(welcome_email.handler, replay_from="2026-01-31T08:30:00Z"))
    assert json.loads(done.one("Topic").inputs["archivePolicy"]) == {"MessageRetentionPeriod": "30"}
    assert json.loads(done.one("TopicSubscription").inputs["replayPolicy"]) == {
        "PointType": "Timestamp",
        "StartingPoint": "2026-01-31T08:30:00Z",
    }
    claims = done.one("BucketLifecycleConfiguration", "fan-out-claim-checks").inputs["rules"]
    # 14 days in the queue and the moment of parking, and then a year among the dead letters.
    assert claims[0]["expiration"] == {"days": 30 + 15 + 365}


def test_a_customer_managed_key_encrypts_topic_and_queues_and_is_granted(run) -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/1"
    done = run(lambda: fan_out(kms_key_arn=key).subscribe(welcome_email.handler))
    assert done.one("Topic").inputs["kmsMasterKeyId"] == key
    assert {each.inputs["kmsMasterKeyId"] for each in done.all("Queue")} == {key}
    grants = {
        name: [each["Action"] for each in done.statements(name) if each["Resource"] == key]
        for name in ("welcome-email", "fan-out-forwarder")
    }
    assert grants == {"welcome-email": [["kms:Decrypt"]], "fan-out-forwarder": [["kms:GenerateDataKey", "kms:Decrypt"]]}


def module(**members: Any) -> Consumer:
    """A consumer in a module of its own that has these members."""

    def handler(change: Change) -> None: ...

    made = ModuleType("handlers.made_for_a_test")
    vars(made).update(members)
    sys.modules[made.__name__] = made
    handler.__module__ = made.__name__
    return consumer(when=on.insert)(handler)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that exist for a test only have no file to import or to pack."""
    monkeypatch.setattr("components.queue_consumer.check_import", lambda _: None)
    monkeypatch.setattr("components.queue_consumer.check_needs", lambda *_: None)
    monkeypatch.setattr("components.python_function.check_import", lambda _: None)
    monkeypatch.setattr("components.python_function.handler_package", lambda *_: None)


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize(
    ("member", "repeats"),
    [
        (EffectLedger(), "the effect ledger runs each effect once per key"),
        (Counters("plans"), "the counters count each change once, by a marker"),
    ],
)
def test_what_makes_repeats_harmless_is_found_in_the_module(run, member: object, repeats: str) -> None:
    def program() -> None:
        made = fan_out()
        made.subscribe(module(member=member))
        assert made.repeats == {"made-for-a-test": repeats}

    run(program)


@pytest.mark.usefixtures("checked")
def test_what_makes_repeats_harmless_can_be_declared_in_words(run) -> None:
    def program() -> None:
        made = fan_out()
        made.subscribe(module(), repeats="the object's key is the event id")
        assert made.repeats == {"made-for-a-test": "the object's key is the event id"}

    run(program)


@pytest.mark.parametrize("declared", [None, " "])
def test_a_consumer_for_which_repeats_are_not_known_to_be_harmless_is_refused(run, declared: str | None) -> None:
    with pytest.raises(Refused, match=r"made-for-a-test: a fan-out delivers every change at least once, and nothing"):
        run(lambda: fan_out().subscribe(module(), repeats=declared))


def windowed() -> WindowedConsumer:
    def handler(changes: Any, state: State, window: Window) -> State:
        return state

    handler.__module__ = welcome_email.__name__
    return WindowedConsumer(handler)


def twice() -> None:
    made = fan_out()
    made.subscribe(welcome_email.handler)
    made.subscribe(welcome_email.handler)


def hundred_and_one() -> None:
    made = fan_out()
    for number in range(100):
        made.consumers[f"consumer-{number}"] = None  # type: ignore[assignment]
    made.subscribe(welcome_email.handler)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (lambda: fan_out().subscribe(welcome_email), "subscribe takes what @consumer made, not <module"),
        (twice, "welcome-email reads fan-out already, and a second one would do everything twice"),
        (hundred_and_one, "would be consumer number 101 of fan-out, and a FIFO topic has 100 subscriptions"),
        (lambda: fan_out(archive_days=366), "fan-out: archive_days=366 is not 1 to 365, or 0 for no archive"),
        (
            lambda: fan_out(forwarding=StreamDelivery(maximum_retry_attempts=12)),
            "forwarding has maximum_retry_attempts=12: a topic that throttles for a minute would cost every consumer",
        ),
        (subscribed(replay_from="2026-01-31T08:30:00Z"), "fan-out keeps no archive: set archive_days first"),
        (
            lambda: fan_out(archive_days=1).subscribe(welcome_email.handler, replay_from="2026-01-31T08:30:00"),
            "is not a time with its zone: write 2026-01-31T08:30:00Z",
        ),
        (
            lambda: fan_out(archive_days=1).subscribe(welcome_email.handler, replay_from="yesterday"),
            "replay_from='yesterday' is not a time with its zone",
        ),
        (
            lambda: fan_out(function=FunctionSettings(timeout=901)).subscribe(welcome_email.handler),
            "timeout=901 is not what Lambda takes",
        ),
    ],
)
def test_what_would_lose_changes_is_refused(run, program: Callable[[], object], message: str) -> None:
    with pytest.raises(Refused, match=message):
        run(program)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (lambda: fan_out().subscribe(windowed()), "keeps a state over a tumbling window, and a queue has none"),
        (
            subscribed(delivery=QueueDelivery(visibility_timeout_in_seconds=29)),
            "visibility_timeout_in_seconds=29 is below the function's timeout of 30 s",
        ),
        (
            subscribed(delivery=QueueDelivery(attempts=5)),
            r"retries end after 30 s, and an effect of a crashed worker stays claimed for 31 s \(timeout \+ 1 s\)",
        ),
    ],
)
def test_a_delivery_that_does_not_fit_the_consumer_is_refused(run, program: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidDelivery, match=message):
        run(program)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 11}, "batch_size=11 is not 1 to 10: AWS refuses more messages of a FIFO queue"),
        ({"maximum_concurrency": 1}, "maximum_concurrency=1 is not 2 to 1000: AWS refuses the mapping; None sets no"),
        ({"attempts": 0}, "attempts=0 is not 1 to 1000"),
        ({"attempts": 10, "maximum_receives": 10}, "healthy messages behind a failing one to the dead-letter queue"),
        ({"visibility_timeout_in_seconds": 43_201}, "visibility_timeout_in_seconds=43201 is not 0 to 43200"),
        ({"retention_in_seconds": 59}, "retention_in_seconds=59 is not 60 to 1209600"),
        ({"filters": ("{",)}, r"filters\[0\]: "),
        ({"on_failure": "sns"}, "on_failure is a topic, which keeps no change: choose s3 or sqs"),
        ({"on_failure": "arn:aws:sqs:eu-central-1:123456789012:dead.fifo"}, "which is FIFO"),
    ],
)
def test_settings_that_aws_refuses_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InvalidDelivery, match=message):
        QueueDelivery(**settings)


def test_the_forwarder_takes_one_of_the_two_readers(run) -> None:
    def program() -> None:
        users = ChangeTable("users", hash_key="userId", replica_regions=["eu-west-1"])
        FanOut("fan-out", source=users.stream)
        Stream("changes", source=users.stream).subscribe(welcome_email.handler)

    with pytest.raises(TooManyReaders, match="welcome-email would be reader number 2 of the stream of users"):
        run(program)
