"""A `StreamPipe` of a plain queue: its settings, role and alarms, and the demands on the queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components import (
    QUEUE_SOURCE_ALARMS,
    ApiDestinationTarget,
    BusTarget,
    ChangeTable,
    Enrichment,
    FanOut,
    FunctionEnrichment,
    FunctionTarget,
    InvalidDelivery,
    KinesisChanges,
    PipeDelivery,
    PipeTarget,
    QueuePipeDelivery,
    QueueSource,
    QueueSourceDelivery,
    QueueTarget,
    Refused,
    Stream,
    StreamDashboard,
    StreamPipe,
    StreamSource,
    WorkflowTarget,
)
from components.testing import AwsMocks
from handlers.cdc import on
from tests.reference import wanted_plans, welcome_email

ARN = "arn:aws:{}:us-east-1:123456789012:{}"
BUS = BusTarget(arn=ARN.format("events", "event-bus/jobs"))
FUNCTION = FunctionTarget(arn=ARN.format("lambda", "function:invoices"))
HTTP = ApiDestinationTarget(arn=ARN.format("events", "api-destination/crm/1"))
KEY = ARN.format("kms", "key/1234")


def deployed(mocks: AwsMocks, program: Callable[[], object]) -> AwsMocks:
    """Run a program under mocks to its end."""

    @pulumi.runtime.test
    def run() -> None:
        program()

    run()
    return mocks


def refused(mocks: AwsMocks, program: Callable[[], object], message: str) -> None:
    """Run a program that is refused by what its queue turns out to be, before it makes the pipe."""
    # Everything that waits for the pipe fails with it, and asyncio would print each of them.
    asyncio.get_event_loop().set_exception_handler(lambda *_: None)
    with pytest.raises(ValueError, match=message):
        deployed(mocks, program)
    assert mocks.all("Pipe") == []


def jobs(*, fifo: bool = False, redrive: bool = True, **settings: Any) -> aws.sqs.Queue:
    """Make a queue, with a dead-letter queue behind it."""
    more: dict[str, Any] = {"fifo_queue": True} if fifo else {}
    if redrive:
        dead = aws.sqs.Queue("dead", **more)
        more["redrive_policy"] = dead.arn.apply(
            lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
        )
    return aws.sqs.Queue("jobs", **{**more, **settings})


def pipe(
    target: PipeTarget = BUS,
    *,
    source: dict[str, Any] | None = None,
    queue: dict[str, Any] | None = None,
    **options: Any,
) -> Callable[[], StreamPipe]:
    return lambda: StreamPipe(
        "to-there", source=QueueSource(queue=jobs(**(queue or {})), **(source or {})), target=target, **options
    )


def statements(mocks: AwsMocks) -> list[Any]:
    return json.loads(mocks.one("RolePolicy", "to-there").inputs["policy"])["Statement"]


def users() -> StreamSource:
    return StreamSource(
        arn=ARN.format("dynamodb", "table/users/stream/2026-01-31T08:30:00.000"),
        table="users",
        view_type="NEW_AND_OLD_IMAGES",
        keys={"userId": "S"},
    )


def test_a_pipe_reads_a_queue_without_anything_that_only_a_stream_has(mocks: AwsMocks) -> None:
    made = deployed(mocks, pipe(input_template='{"job": <$.body.job>}')).one("Pipe").inputs
    assert made == {
        "roleArn": "arn:aws:iam::123456789012:role/to-there",
        "source": ARN.format("sqs", "jobs"),
        "sourceParameters": {"sqsQueueParameters": {"batchSize": 10}},
        "target": BUS.arn,
        "targetParameters": {"inputTemplate": '{"job": <$.body.job>}'},
        "logConfiguration": {
            "level": "ERROR",
            "cloudwatchLogsLogDestination": {
                "logGroupArn": ARN.format("logs", "log-group:/aws/vendedlogs/pipes/weir-test-to-there")
            },
        },
    }
    assert mocks.all("FailureDestination") == []
    assert statements(mocks) == [
        {
            "Effect": "Allow",
            "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            "Resource": ARN.format("sqs", "jobs"),
        },
        {"Effect": "Allow", "Action": ["events:PutEvents"], "Resource": BUS.arn},
    ]


def test_every_setting_reaches_the_pipe(mocks: AwsMocks) -> None:
    wanted = '{"body": {"kind": ["invoice"]}, "messageAttributes": {"urgent": {"stringValue": ["yes"]}}}'
    delivery = QueueSourceDelivery(batch_size=100, maximum_batching_window_in_seconds=5, filters=(wanted,))
    deployed(mocks, pipe(FUNCTION, delivery=delivery, queue={"visibility_timeout_seconds": 305}))
    assert mocks.one("Pipe").inputs["sourceParameters"] == {
        "sqsQueueParameters": {"batchSize": 100, "maximumBatchingWindowInSeconds": 5},
        "filterCriteria": {"filters": [{"pattern": wanted}]},
    }


def test_a_fifo_queue_is_read_as_aws_allows(mocks: AwsMocks) -> None:
    made = deployed(mocks, pipe(queue={"fifo": True})).one("Pipe").inputs
    assert made["source"] == ARN.format("sqs", "jobs.fifo")
    assert made["sourceParameters"] == {"sqsQueueParameters": {"batchSize": 10}}


def test_the_role_may_decrypt_what_a_key_of_ones_own_encrypts(mocks: AwsMocks) -> None:
    deployed(mocks, pipe(source={"kms_key_arn": KEY}, queue={"kms_master_key_id": KEY}))
    assert {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": KEY} in statements(mocks)


def test_a_key_of_aws_needs_no_permission(mocks: AwsMocks) -> None:
    deployed(mocks, pipe(queue={"kms_master_key_id": "alias/aws/sqs"}))
    assert all("kms:Decrypt" not in each["Action"] for each in statements(mocks))


def test_a_condition_is_pushed_down_to_the_bodies_that_are_changes(mocks: AwsMocks) -> None:
    deployed(mocks, pipe(source={"changes_of": users()}, when=on.insert & on.new("plan").eq("pro")))
    patterns = [
        json.loads(each["pattern"])
        for each in mocks.one("Pipe").inputs["sourceParameters"]["filterCriteria"]["filters"]
    ]
    assert {"body": {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"plan": {"S": ["pro"]}}}}} in patterns


def test_the_source_of_changes_is_not_read_by_a_pipe_of_their_queue(mocks: AwsMocks) -> None:
    source = users()
    deployed(mocks, pipe(source={"changes_of": source}, when=on.insert))
    assert source.readers == []


@pytest.mark.parametrize(
    ("source", "identity"), [({}, "$.messageId"), ({"changes_of": users()}, "$.body.eventID")], ids=["jobs", "changes"]
)
def test_a_fifo_target_drops_repeats_of_a_message_or_of_its_change(
    mocks: AwsMocks, source: dict[str, Any], identity: str
) -> None:
    target = QueueTarget(arn=ARN.format("sqs", "there.fifo"), fifo=True, message_group_id="$.body.customer")
    deployed(mocks, pipe(target, source=source))
    assert mocks.one("Pipe").inputs["targetParameters"]["sqsQueueParameters"] == {
        "messageGroupId": "$.body.customer",
        "messageDeduplicationId": identity,
    }


def test_a_function_of_the_project_enriches_the_changes_of_a_queue(mocks: AwsMocks) -> None:
    enrichment = FunctionEnrichment(handler=wanted_plans.handler)
    queue = {"visibility_timeout_seconds": 360}
    deployed(mocks, pipe(source={"changes_of": users()}, queue=queue, enrichment=enrichment))
    assert mocks.one("Pipe").inputs["enrichment"].endswith(":function:to-there-enrichment")


def test_the_alarms_watch_the_pipe_the_queue_and_its_dead_letter_queue(mocks: AwsMocks) -> None:
    deployed(mocks, pipe(alarm_actions=["chat"], page_actions=["pager"]))
    alarms = {each.name.removeprefix("to-there-"): each.inputs for each in mocks.all("MetricAlarm")}
    assert set(alarms) == {opinion.name for opinion in QUEUE_SOURCE_ALARMS}
    assert alarms["queue-age-page"]["dimensions"] == {"QueueName": "jobs"}
    assert alarms["dead-letter-queue"]["dimensions"] == {"QueueName": "dead"}
    assert (alarms["dead-letter-queue"]["alarmActions"], alarms["queue-age-warn"]["alarmActions"]) == (
        ["pager"],
        ["chat"],
    )
    for alarm in alarms.values():
        assert "stream" not in alarm["alarmDescription"]
        assert alarm["alarmDescription"].endswith(f"Failure destination: {ARN.format('sqs', 'dead')}")


def test_the_operator_finds_the_dead_letters_and_the_dashboard_the_lag(mocks: AwsMocks) -> None:
    exported: list[Any] = []

    def program() -> None:
        made = pipe(source={"changes_of": users()})()
        other = StreamPipe("other", source=QueueSource(queue=made_queue(made)), target=BUS)
        assert made.on_failure is None
        assert "stream" not in other.exported()
        pulumi.Output.from_input(made.exported()).apply(exported.append)
        StreamDashboard("overview", routes=[made])

    def made_queue(_: StreamPipe) -> aws.sqs.Queue:
        return aws.sqs.Queue("second", redrive_policy='{"deadLetterTargetArn": "a:b:c:d:e:dead"}')

    deployed(mocks, program)
    assert exported == [
        {
            "pipe": "to-there",
            "deadLetterQueues": [ARN.format("sqs", "dead")],
            "alarms": {opinion.name: f"to-there-{opinion.name}" for opinion in QUEUE_SOURCE_ALARMS},
            "stream": users().arn,
        }
    ]
    body = mocks.one("Dashboard").inputs["dashboardBody"]
    assert '"ApproximateAgeOfOldestMessage", "QueueName", "jobs"' in body
    assert '"ApproximateNumberOfMessagesVisible", "QueueName", "dead"' in body


def test_a_queue_that_exists_already_is_looked_up(mocks: AwsMocks) -> None:
    class Existing(AwsMocks):
        def new_resource(self, args: Any) -> Any:
            id_, outputs = super().new_resource(args)
            if args.name == "taken":
                redrive = json.dumps({"deadLetterTargetArn": ARN.format("sqs", "lost"), "maxReceiveCount": 3})
                outputs |= {"redrivePolicy": redrive, "visibilityTimeoutSeconds": 30, "arn": ARN.format("sqs", "taken")}
            return id_, outputs

    there = Existing()
    pulumi.runtime.set_mocks(there, project="weir", stack="test")

    def program() -> None:
        queue = aws.sqs.Queue.get("taken", "https://sqs.us-east-1.amazonaws.com/123456789012/taken")
        StreamPipe("to-there", source=QueueSource(queue=queue), target=BUS)

    deployed(there, program)
    assert there.one("Pipe").inputs["source"] == ARN.format("sqs", "taken")
    assert there.one("MetricAlarm", "to-there-dead-letter-queue").inputs["dimensions"] == {"QueueName": "lost"}


LONG = {"visibility_timeout_seconds": 360}
OWN = {"kms_master_key_id": KEY}
WAITING = QueueSourceDelivery(maximum_batching_window_in_seconds=60)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (pipe(queue={"redrive": False}), r"to-there: jobs has no redrive policy.*set redrive_policy with a deadLetter"),
        (pipe(queue={"redrive_policy": "{}"}), "jobs has no redrive policy"),
        (pipe(FUNCTION), "jobs hides a message for 30 s, and enrichment and target may take 300 s together.*=300 or"),
        (pipe(WorkflowTarget(arn=ARN.format("states", "stateMachine:w"), express=True)), "jobs hides a message for 30"),
        (pipe(enrichment=Enrichment(by=FUNCTION)), "jobs hides a message for 30 s"),
        (pipe(queue={"visibility_timeout_seconds": 0}), "hides a message for 0 s, and the calls to the target need 30"),
        (pipe(delivery=WAITING, queue={"visibility_timeout_seconds": 89}), "visibility_timeout_seconds=90 or more"),
        (pipe(queue=OWN), r"jobs is encrypted with .*key/1234, and the pipe's role may not decrypt.*kms_key_arn=…"),
        (pipe(source={"kms_key_arn": KEY}), "kms_key_arn is given, and jobs is not encrypted with a key of yours"),
        (
            pipe(FUNCTION, delivery=QueueSourceDelivery(batch_size=11, maximum_batching_window_in_seconds=1),
                 queue={"fifo": True, **LONG}),
            "batch_size=11, and jobs is a FIFO queue, of which AWS takes 10 messages at a time.*\n.*takes no window",
        ),
    ],
)  # fmt: skip
def test_a_queue_that_does_not_fit_is_refused(mocks: AwsMocks, program: Callable[[], object], message: str) -> None:
    # What a queue's properties say is known once it exists, and Pulumi wraps an error of then.
    refused(mocks, program, message)


def to_itself() -> None:
    queue = jobs()
    StreamPipe("to-there", source=QueueSource(queue=queue), target=QueueTarget(arn=queue.arn))


def to_its_dead_letters() -> None:
    target = QueueTarget(arn=ARN.format("sqs", "dead"))
    StreamPipe("to-there", source=QueueSource(queue=jobs()), target=target)


def without_the_queue() -> None:
    arn: Any = ARN.format("sqs", "jobs")
    StreamPipe("to-there", source=QueueSource(queue=arn), target=BUS)


def changes_of_kinesis() -> None:
    history = KinesisChanges("history", table=ChangeTable("users", hash_key="userId"))
    QueueSource(queue=jobs(), changes_of=history.source)


def a_consumer_of_a_queue() -> None:
    queue: Any = QueueSource(queue=jobs())
    Stream("changes", source=queue).subscribe(welcome_email.handler, name="mail")


def a_fan_out_of_a_queue() -> None:
    queue: Any = QueueSource(queue=jobs())
    FanOut("changes", source=queue)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (to_itself, "the target is jobs, the queue that the pipe reads: every message would go round forever"),
        (to_its_dead_letters, "the target is the dead-letter queue of jobs: nobody could tell a failure from"),
    ],
)
def test_a_queue_as_its_own_target_is_refused(mocks: AwsMocks, program: Callable[[], object], message: str) -> None:
    refused(mocks, program, message)


GROUP = QueueTarget(arn=ARN.format("sqs", "there.fifo"), fifo=True, message_group_id="$.dynamodb.Keys.userId.S")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            without_the_queue,
            r"queue is 'arn:.*', and what a pipe may do.*pass the aws\.sqs\.Queue itself.*aws\.sqs\.Queue\.get",
        ),
        (changes_of_kinesis, "jobs: changes_of is KinesisSource, and a pipe writes the records of a table's stream"),
        (
            a_consumer_of_a_queue,
            r"changes: source is QueueSource, and a consumer reads the stream.*StreamPipe\(source=",
        ),
        (a_fan_out_of_a_queue, "changes-forwarder: source is QueueSource, and a consumer reads the stream of a table"),
        (
            pipe(when=on.insert),
            r"a condition on changes, and jobs holds messages of any kind.*changes_of=users\.stream",
        ),
        (pipe(enrichment=FunctionEnrichment(handler=wanted_plans.handler), queue=LONG), "holds messages of any kind"),
        (pipe(source={"changes_of": users()}, when=on.changed("plan")), r"no event pattern says on\.changed\('plan'\)"),
        (
            pipe(input_template="<$.dynamodb.Keys>"),
            r"the input template reads \$\.dynamodb\.Keys, and a message has no",
        ),
        (pipe(GROUP), r"the target's message_group_id reads \$\.dynamodb.*below \$\.body, e\.g\. \$\.body\.dynamodb"),
        (pipe(BusTarget(arn=BUS.arn, resources=["$.job"])), r"the target's resources reads \$\.job"),
        (
            pipe(enrichment=Enrichment(by=FUNCTION, input_template="<$.job>"), queue=LONG),
            r"the enrichment's input template reads \$\.job, and a message has no job",
        ),
    ],
)
def test_what_makes_no_sense_of_a_queue_is_refused(
    mocks: AwsMocks, program: Callable[[], object], message: str
) -> None:
    with pytest.raises(Refused, match=message):
        deployed(mocks, program)


@pytest.mark.parametrize("delivery", [PipeDelivery(), QueuePipeDelivery()])
def test_the_settings_of_another_source_are_refused(mocks: AwsMocks, delivery: Any) -> None:
    with pytest.raises(InvalidDelivery, match=r"and jobs is a queue, which has no starting position.*redrive_policy"):
        deployed(mocks, pipe(delivery=delivery))


def test_the_settings_of_a_queue_are_refused_of_a_stream(mocks: AwsMocks) -> None:
    with pytest.raises(InvalidDelivery, match="delivery is a QueueSourceDelivery, and users is read through its own"):
        StreamPipe("to-there", source=users(), target=BUS, delivery=QueueSourceDelivery())


def test_a_batch_above_the_targets_maximum_is_refused(mocks: AwsMocks) -> None:
    with pytest.raises(InvalidDelivery, match="batch_size=10, and the target takes 1 event in one call"):
        deployed(mocks, pipe(HTTP))


def test_a_path_into_an_enrichments_answer_is_the_enrichments_business(mocks: AwsMocks) -> None:
    deployed(mocks, pipe(enrichment=Enrichment(by=FUNCTION), input_template="<$.made>", queue=LONG))
    assert mocks.one("Pipe").inputs["targetParameters"]["inputTemplate"] == "<$.made>"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 is not 1 to 10000: AWS refuses the pipe"),
        ({"batch_size": 10_001, "maximum_batching_window_in_seconds": 1}, "batch_size=10001 is not 1 to 10000"),
        ({"maximum_batching_window_in_seconds": 301}, "maximum_batching_window_in_seconds=301 is not 0 to 300"),
        ({"batch_size": 11}, "batch_size=11 without maximum_batching_window_in_seconds: AWS wants a window"),
        ({"filters": ("{",)}, r"filters\[0\]"),
        (
            {"filters": ('{"dynamodb": {"NewImage": {"plan": {"S": ["pro"]}}}}',)},
            r"filters\[0\] asks for 'dynamodb', which no message has, so every message would be deleted unseen",
        ),
    ],
)
def test_settings_that_aws_refuses_or_that_lose_every_message_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InvalidDelivery, match=message):
        QueueSourceDelivery(**settings)


def test_a_preview_of_a_new_queue_says_what_is_missing_before_anything_is_made(preview: AwsMocks) -> None:
    deployed(preview, pipe())
    assert preview.one("Pipe")


def test_a_fan_outs_pipe_reads_the_change_below_the_body(mocks: AwsMocks) -> None:
    def program() -> None:
        fan_out = FanOut("fan-out", source=ChangeTable("users", hash_key="userId").stream)
        fan_out.pipe("to-there", target=GROUP, repeats="the queue drops repeats")

    with pytest.raises(Refused, match=r"message_group_id reads \$\.dynamodb\.Keys\.userId\.S, and a message has no"):
        deployed(mocks, program)
