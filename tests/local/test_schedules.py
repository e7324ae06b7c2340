"""EventBridge Scheduler: when schedules call their targets, with which role, and what follows a call that fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.world import World

honours = pytest.mark.honours
conforms = pytest.mark.conformance

ACCOUNT = "111122223333"
MINUTE, HOUR, DAY = 60, 3600, 86_400
OFF = {"Mode": "OFF"}

#: What a message says of the invocation that sent it.
TOLD = json.dumps({"at": "<aws.scheduler.scheduled-time>", "arn": "<aws.scheduler.schedule-arn>"})

KEEPS = """
import json

def handler(event, context):
    print("called with " + json.dumps(event))
"""


class Plans:
    """A group of schedules, a queue that they send to, and one for their dead letters."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.scheduler = world.client("scheduler")
        self.sqs = world.client("sqs")
        self.group = world.name
        self.scheduler.create_schedule_group(Name=self.group)
        self.queue = self.make_queue(world.name)
        self.letters = self.make_queue(f"{world.name}-letters")
        self.role = world.make_role(
            world.name,
            {
                "Effect": "Allow",
                "Action": ["lambda:InvokeFunction", "sqs:SendMessage", "states:StartExecution"],
                "Resource": "*",
            },
            service="scheduler",
        )
        self.target = {"Arn": self.queue, "RoleArn": self.role, "Input": TOLD}

    def make_queue(self, name: str, **attributes: str) -> str:
        self.sqs.create_queue(QueueName=name, Attributes=attributes)
        return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"

    def create(self, expression: str, name: str = "plan", **given: Any) -> str:
        made = self.scheduler.create_schedule(**self.given(expression, name, **given))
        return made["ScheduleArn"]

    def given(self, expression: str, name: str = "plan", **given: Any) -> dict[str, Any]:
        target = {**self.target, **given.pop("Target", {})}
        return {
            "Name": name,
            "GroupName": self.group,
            "ScheduleExpression": expression,
            "FlexibleTimeWindow": OFF,
            "Target": target,
            **given,
        }

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.world.control.advance_clock(0), UTC).replace(microsecond=0)

    def names(self) -> list[str]:
        return [each["Name"] for each in self.scheduler.list_schedules(GroupName=self.group)["Schedules"]]

    def received(self, count: int, queue: str | None = None) -> list[dict[str, Any]]:
        """Wait for so many messages, take them all, and return them."""
        url = self.sqs.get_queue_url(QueueName=(queue or self.queue).rpartition(":")[2])["QueueUrl"]
        found: list[dict[str, Any]] = []

        def take() -> bool:
            answer = self.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], MaxNumberOfMessages=10)
            for each in answer.get("Messages", []):
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
                found.append(each)
            return len(found) >= count

        self.world.wait_until(take)
        return found

    def moments(self, count: int) -> list[datetime]:
        """Wait for so many messages, and return the moments that they were scheduled for."""
        return sorted(datetime.fromisoformat(json.loads(each["Body"])["at"]) for each in self.received(count))


@pytest.fixture
def plans(world: World) -> Iterator[Plans]:
    made = Plans(world)
    yield made
    made.scheduler.delete_schedule_group(Name=made.group)


def at(moment: datetime) -> str:
    return f"at({moment:%Y-%m-%dT%H:%M:%S})"


@conforms("SCD-2", "documented")
@honours("scheduler:CreateScheduleGroup", "Name")
@honours("scheduler:CreateSchedule", "Name GroupName ScheduleExpression ScheduleExpressionTimezone Target")
@honours("scheduler:CreateSchedule", "FlexibleTimeWindow ActionAfterCompletion")
@honours("scheduler:GetSchedule", "Name GroupName")
def test_scd_2_a_one_time_schedule_calls_its_target_and_goes_or_stays_as_it_was_told(plans: Plans) -> None:
    moment = plans.now() + timedelta(hours=1)
    arn = plans.create(at(moment), "goes", ActionAfterCompletion="DELETE", ScheduleExpressionTimezone="UTC")
    plans.create(at(moment), "stays")
    plans.world.control.advance_clock(HOUR)
    told = [json.loads(each["Body"]) for each in plans.received(2)]
    assert {each["at"] for each in told} == {f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    assert arn in {each["arn"] for each in told}
    plans.world.wait_until(lambda: plans.names() == ["stays"])
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        plans.scheduler.get_schedule(Name="goes", GroupName=plans.group)
    assert plans.scheduler.get_schedule(Name="stays", GroupName=plans.group)["ActionAfterCompletion"] == "NONE"
    # It is due no second time: of two that are due at once, the later one's message is the only one.
    later = moment + timedelta(days=1)
    plans.create(at(later), "later")
    plans.world.control.advance_clock(DAY)
    assert plans.moments(1) == [later]


@conforms("SCD-8", "documented")
@honours("scheduler:CreateSchedule", "ScheduleExpression StartDate EndDate")
def test_scd_8_a_rate_begins_at_its_start_and_calls_up_to_its_end(plans: Plans) -> None:
    start = plans.now() + timedelta(hours=1)
    plans.create(
        "rate(20 minutes)",
        StartDate=start,
        EndDate=start + timedelta(hours=1),
        ActionAfterCompletion="DELETE",
    )
    plans.world.control.advance_clock(3 * HOUR)
    assert plans.moments(3) == [start + timedelta(minutes=minutes) for minutes in (0, 20, 40)]
    plans.world.wait_until(lambda: plans.names() == [])


@conforms("SCD-8", "documented")
def test_scd_8_a_rate_without_a_start_begins_at_once(plans: Plans) -> None:
    before = plans.now()
    plans.create("rate(1 day)")
    (first,) = plans.moments(1)
    assert before <= first <= plans.now()


@conforms("SCD-7", "deduced")
def test_scd_7_a_moment_that_is_over_is_due_at_once(plans: Plans) -> None:
    moment = plans.now() - timedelta(days=1)
    plans.create(at(moment), ActionAfterCompletion="DELETE")
    assert plans.moments(1) == [moment]


def test_a_cron_expression_calls_at_the_minutes_that_it_selects(plans: Plans) -> None:
    begin = plans.now()
    plans.create("cron(0 3 * * ? *)", EndDate=begin + timedelta(days=2), ActionAfterCompletion="DELETE")
    plans.world.control.advance_clock(3 * DAY)
    moments = plans.moments(2)
    assert [(each.hour, each.minute, each.second) for each in moments] == [(3, 0, 0)] * 2
    assert moments[1] - moments[0] == timedelta(days=1)
    plans.world.wait_until(lambda: plans.names() == [])


@honours("scheduler:CreateSchedule", "State Description KmsKeyArn")
@honours("scheduler:UpdateSchedule", "Name GroupName ScheduleExpression ScheduleExpressionTimezone StartDate EndDate")
@honours("scheduler:UpdateSchedule", "FlexibleTimeWindow State Target ActionAfterCompletion Description KmsKeyArn")
def test_a_schedule_that_was_disabled_calls_nothing_until_it_is_enabled(plans: Plans) -> None:
    key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1"
    moment = plans.now() + timedelta(hours=1)
    plans.create(at(moment), State="DISABLED", Description="before", KmsKeyArn=key)
    later = moment + timedelta(hours=2)
    plans.world.control.advance_clock(2 * HOUR)
    plans.scheduler.update_schedule(
        **plans.given(
            "rate(1 hour)",
            ScheduleExpressionTimezone="UTC",
            StartDate=later,
            EndDate=later + timedelta(minutes=1),
            State="ENABLED",
            Description="after",
            KmsKeyArn=key,
            ActionAfterCompletion="NONE",
        )
    )
    found = plans.scheduler.get_schedule(Name="plan", GroupName=plans.group)
    assert (found["Description"], found["KmsKeyArn"], found["State"]) == ("after", key, "ENABLED")
    assert (found["StartDate"], found["ScheduleExpression"]) == (later, "rate(1 hour)")
    plans.world.control.advance_clock(2 * HOUR)
    assert plans.moments(1) == [later]


def test_a_change_that_is_not_one_of_its_times_does_not_call_a_target_once_more(plans: Plans) -> None:
    plans.create("rate(1 day)")
    (first,) = plans.moments(1)
    plans.scheduler.update_schedule(**plans.given("rate(1 day)", Description="changed"))
    plans.world.control.advance_clock(DAY)
    assert [each - first for each in plans.moments(1)] == [timedelta(days=1)]


def test_a_flexible_schedule_calls_its_target_once_by_the_end_of_its_window(plans: Plans) -> None:
    moment = plans.now() + timedelta(hours=1)
    plans.create(at(moment), FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60})
    plans.world.control.advance_clock(2 * HOUR)
    assert plans.moments(1) == [moment]


def test_a_function_and_a_workflow_get_the_input(plans: Plans) -> None:
    world = plans.world
    world.function(KEEPS)
    world.client("logs").create_log_group(logGroupName=f"/aws/lambda/{world.name}")
    machine = world.client("stepfunctions").create_state_machine(
        name=world.name,
        definition=json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}),
        roleArn=world.machine_role,
    )["stateMachineArn"]
    moment = at(plans.now() + timedelta(minutes=10))
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{world.name}"
    plans.create(moment, "function", Target={"Arn": function, "Input": '{"n": 1}'})
    plans.create(moment, "workflow", Target={"Arn": machine, "Input": '{"n": 2}'})
    world.control.advance_clock(HOUR)
    world.wait_until(lambda: 'called with {"n": 1}' in world.log())
    machines = world.client("stepfunctions")
    world.wait_until(lambda: machines.list_executions(stateMachineArn=machine)["executions"])
    (execution,) = machines.list_executions(stateMachineArn=machine)["executions"]
    assert machines.describe_execution(executionArn=execution["executionArn"])["input"] == '{"n": 2}'


@conforms("SCD-6", "documented")
def test_scd_6_a_fifo_queue_gets_the_group(plans: Plans) -> None:
    fifo = plans.make_queue(f"{plans.world.name}.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    moment = plans.now() + timedelta(minutes=10)
    plans.create(at(moment), Target={"Arn": fifo, "SqsParameters": {"MessageGroupId": "users"}})
    plans.world.control.advance_clock(HOUR)
    assert len(plans.received(1, fifo)) == 1


def attributes(letter: dict[str, Any]) -> dict[str, str]:
    return {name: each["StringValue"] for name, each in letter["MessageAttributes"].items()}


@conforms("SCD-9", "documented")
def test_scd_9_a_call_is_retried_and_becomes_a_dead_letter_when_its_retries_are_over(plans: Plans) -> None:
    world = plans.world
    world.function(KEEPS)
    world.control.fail("lambda:Invoke", function=world.name, times=None)
    moment = plans.now() + timedelta(minutes=10)
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{world.name}"
    arn = plans.create(
        at(moment),
        Target={
            "Arn": function,
            "Input": "{}",
            "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": HOUR},
            "DeadLetterConfig": {"Arn": plans.letters},
        },
    )
    world.control.advance_clock(10 * MINUTE)
    for tries in (1, 2):
        world.wait_until(lambda tries=tries: world.control.faults()[0]["fired"] >= tries)
        world.control.advance_clock(10 * MINUTE)
    (letter,) = plans.received(1, plans.letters)
    found = attributes(letter)
    assert (found["EXHAUSTED_RETRY_CONDITION"], found["RETRY_ATTEMPTS"]) == ("MaximumRetryAttempts", "2")
    assert (found["SCHEDULE_ARN"], found["TARGET_ARN"]) == (arn, "arn:aws:scheduler:::aws-sdk:lambda:invoke")
    assert found["SCHEDULED_TIME"] == f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    assert json.loads(letter["Body"]) == {"FunctionName": function, "InvocationType": "Event", "Payload": "{}"}


@conforms("SCD-9", "documented")
def test_scd_9_a_target_that_is_gone_or_denied_is_a_dead_letter_at_once(plans: Plans) -> None:
    world = plans.world
    world.allow(world.name, {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": [plans.letters, "*-gone"]})
    moment = at(plans.now() + timedelta(minutes=10))
    letters = {"DeadLetterConfig": {"Arn": plans.letters}}
    plans.create(moment, "denied", Target=letters)
    plans.create(moment, "gone", Target={"Arn": f"{plans.queue}-gone", **letters})
    world.control.advance_clock(HOUR)
    found = {
        each["SCHEDULE_ARN"].rpartition("/")[2]: each for each in map(attributes, plans.received(2, plans.letters))
    }
    assert found["denied"]["ERROR_CODE"] == "AccessDeniedException"
    assert found["gone"]["ERROR_CODE"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert {each["RETRY_ATTEMPTS"] for each in found.values()} == {"0"}
    assert not any("EXHAUSTED_RETRY_CONDITION" in each for each in found.values())


@conforms("SCD-10", "documented")
def test_scd_10_a_role_that_the_service_may_not_assume_is_refused_and_one_for_the_group_is_not(plans: Plans) -> None:
    world = plans.world
    other = world.make_role(f"{world.name}-other", service="lambda")
    moment = at(plans.now() + timedelta(minutes=10))
    with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume the role"):
        plans.create(moment, Target={"RoleArn": other})

    def trust(group: str) -> str:
        source = {"aws:SourceArn": f"arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule-group/{group}"}
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "scheduler.amazonaws.com"},
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT, **source}},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    iam = world.client("iam")
    iam.update_assume_role_policy(RoleName=world.name, PolicyDocument=trust("default"))
    with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume the role"):
        plans.create(moment)
    iam.update_assume_role_policy(RoleName=world.name, PolicyDocument=trust(plans.group))
    plans.create(moment)
    world.control.advance_clock(HOUR)
    assert len(plans.received(1)) == 1


@conforms("SCD-4", "documented")
@honours("scheduler:CreateSchedule", "ClientToken")
@honours("scheduler:UpdateSchedule", "ClientToken")
@honours("scheduler:DeleteSchedule", "Name GroupName ClientToken")
def test_scd_4_a_name_is_taken_once_and_a_repeated_call_answers_as_the_first(plans: Plans) -> None:
    name, moment = "0" * 64, at(plans.now() + timedelta(days=1))
    arn = plans.create(moment, name, ClientToken=f"{plans.group}-create")
    assert plans.create(moment, name, ClientToken=f"{plans.group}-create") == arn
    with pytest.raises(ClientError, match="ConflictException"):
        plans.create(moment, name)
    with pytest.raises(ClientError, match="ValidationException"):
        plans.create(moment, f"{name}0")
    update = plans.given(moment, name, ClientToken=f"{plans.group}-update")
    assert plans.scheduler.update_schedule(**update)["ScheduleArn"] == arn
    named = {"Name": name, "GroupName": plans.group}
    for _ in range(2):
        plans.scheduler.delete_schedule(**named, ClientToken=f"{plans.group}-delete")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        plans.scheduler.delete_schedule(**named)
    assert plans.scheduler.update_schedule(**update)["ScheduleArn"] == arn
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        plans.scheduler.update_schedule(**plans.given(moment, name))


@honours("scheduler:CreateScheduleGroup", "ClientToken")
@honours("scheduler:GetScheduleGroup", "Name")
@honours("scheduler:DeleteScheduleGroup", "Name ClientToken")
def test_a_group_takes_its_schedules_along(plans: Plans) -> None:
    name = {"Name": f"{plans.group}-other"}
    token = {"ClientToken": name["Name"]}
    arn = plans.scheduler.create_schedule_group(**name, **token)["ScheduleGroupArn"]
    assert plans.scheduler.create_schedule_group(**name, **token)["ScheduleGroupArn"] == arn
    with pytest.raises(ClientError, match="ConflictException"):
        plans.scheduler.create_schedule_group(**name)
    found = plans.scheduler.get_schedule_group(**name)
    assert (found["Arn"], found["State"]) == (arn, "ACTIVE")
    moment = at(plans.now() + timedelta(minutes=10))
    plans.create(moment, GroupName=name["Name"])
    for _ in range(2):
        plans.scheduler.delete_schedule_group(**name, ClientToken=f"{name['Name']}-end")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        plans.scheduler.get_schedule_group(**name)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        plans.create(moment, GroupName=name["Name"])
    assert plans.scheduler.list_schedules(GroupName=name["Name"])["Schedules"] == []
    with pytest.raises(ClientError, match="default schedule group cannot be deleted"):
        plans.scheduler.delete_schedule_group(Name="default")


@honours("scheduler:ListSchedules", "GroupName NamePrefix State MaxResults NextToken")
def test_schedules_are_listed_by_group_name_and_state_and_by_page(plans: Plans) -> None:
    moment = at(plans.now() + timedelta(days=1))
    for name in ("a-1", "a-2", "b-1"):
        plans.create(moment, name, State="DISABLED" if name == "a-2" else "ENABLED")

    def listed(**given: Any) -> list[str]:
        return [each["Name"] for each in plans.scheduler.list_schedules(GroupName=plans.group, **given)["Schedules"]]

    assert (listed(NamePrefix="a"), listed(State="ENABLED")) == (["a-1", "a-2"], ["a-1", "b-1"])
    page = plans.scheduler.list_schedules(GroupName=plans.group, MaxResults=2)
    assert [each["Name"] for each in page["Schedules"]] == ["a-1", "a-2"]
    assert listed(NextToken=page["NextToken"]) == ["b-1"]
    with pytest.raises(ClientError, match="Invalid NextToken"):
        listed(NextToken="99")


@pytest.mark.parametrize(
    ("expression", "given", "code"),
    [
        ("rate(0 minutes)", {}, "ValidationException"),
        ("cron(0 3 * * * *)", {}, "ValidationException"),
        ("at(2999-13-01T00:00:00)", {}, "ValidationException"),
        ("rate(1 day)", {"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "ValidationException"),
        (
            "rate(1 day)",
            {"Target": {"Arn": "arn:aws:lambda:us-east-1:1:function:f", "Input": "x"}},
            "ValidationException",
        ),
        ("cron(0 3 L * ? *)", {}, "NotSimulated"),
        ("rate(1 day)", {"ScheduleExpressionTimezone": "Europe/Berlin"}, "NotSimulated"),
        ("rate(1 day)", {"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"}}, "NotSimulated"),
        ("rate(1 day)", {"Target": {"Input": "<aws.scheduler.attempt-number>"}}, "NotSimulated"),
    ],
)
def test_a_schedule_that_aws_would_refuse_or_that_is_not_simulated_is_refused(
    plans: Plans, expression: str, given: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError, match=code):
        plans.create(expression, **given)
    assert plans.names() == []


CREATES = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    try:
        boto3.client("scheduler").create_schedule(**event)
    except ClientError as refused:
        return refused.response["Error"]["Message"]
    return "created"
"""


@conforms("SCD-11", "documented")
def test_scd_11_a_function_needs_the_right_to_create_the_schedule_and_to_pass_its_role(plans: Plans) -> None:
    world = plans.world
    moment = plans.now() + timedelta(days=1)
    event = plans.given(at(moment))
    role = world.make_role(f"{world.name}-function")
    world.function(CREATES, role=role, timeout=20)
    create = {
        "Effect": "Allow",
        "Action": "scheduler:CreateSchedule",
        "Resource": f"arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule/{plans.group}/*",
    }
    assert "scheduler:CreateSchedule" in world.invoke(event)
    world.allow(f"{world.name}-function", create)
    assert "iam:PassRole" in world.invoke(event)
    passes = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": plans.role,
        "Condition": {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
    }
    world.allow(f"{world.name}-function", create, passes)
    assert world.invoke(event) == "created"
