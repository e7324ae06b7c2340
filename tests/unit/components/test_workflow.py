"""`Workflow`: a definition with variables, a role that may do what its states do, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components import Access, ProjectionTable, Refused, Workflow, allow
from tests.everything import EVERYTHING

TABLE = "arn:aws:dynamodb:eu-central-1:123456789012:table/onboardings"
APPROVALS = "arn:aws:sqs:eu-central-1:123456789012:onboarding-approvals"
MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:onboarding"
CONFIG = {"weir:onboarding": "true"}


def test_the_definition_has_the_names_of_what_its_states_use(configured) -> None:
    machine = configured("prod", EVERYTHING).one("StateMachine", "onboarding").inputs
    states = json.loads(machine["definition"])["States"]
    assert states["Reserve"]["Parameters"]["TableName"] == "onboardings"
    assert states["AskForApproval"]["Parameters"]["QueueUrl"] == "https://queues/onboarding-approvals"
    assert "${" not in machine["definition"]
    assert machine["type"] == "STANDARD"


def test_the_machine_may_write_its_table_and_ask_and_nothing_else(configured) -> None:
    run = configured("dev", CONFIG)
    roles = [each for each in run.all("RolePolicy") if each.inputs["role"] == "onboarding"]
    statements = [json.loads(each.inputs["policy"])["Statement"] for each in roles]
    assert [
        {"Effect": "Allow", "Action": ["dynamodb:PutItem", "dynamodb:UpdateItem"], "Resource": TABLE},
        {"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": APPROVALS},
    ] in statements


def test_the_consumer_may_start_the_workflow_and_not_answer_it(configured) -> None:
    run = configured("dev", CONFIG)
    policies = [json.loads(each.inputs["policy"])["Statement"] for each in run.all("RolePolicy")]
    starts = [each for policy in policies for each in policy if "states:" in str(each["Action"])]
    assert starts == [{"Effect": "Allow", "Action": ["states:StartExecution"], "Resource": MACHINE}]


def test_an_execution_that_fails_is_an_alarm(configured) -> None:
    run = configured("dev", CONFIG)
    alarm = run.one("MetricAlarm", "onboarding-executions-failed").inputs
    assert (alarm["namespace"], alarm["metricName"], alarm["threshold"]) == ("AWS/States", "ExecutionsFailed", 1)
    assert alarm["dimensions"] == {"StateMachineArn": MACHINE}
    assert alarm["alarmActions"] == ["arn:aws:sns:eu-central-1:123456789012:alarms"]


@pytest.fixture
def workflow(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a workflow of a definition."""
    monkeypatch.setattr("components.workflow._PROJECT", tmp_path)

    def make(definition: Any, **settings: Any) -> Any:
        text = definition if isinstance(definition, str) else json.dumps(definition)
        (tmp_path / "made.asl.json").write_text(text)
        return run(lambda: Workflow("made", definition="made.asl.json", **settings))

    return make


ASKS = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": True}


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ("{", "made: made.asl.json is not JSON"),
        ({"StartAt": "A"}, "made: made.asl.json has no States"),
        ({"States": {"A": ASKS}}, "the state 'A' of made.asl.json waits for a task token without a time-out"),
        (
            {"States": {"P": {"Type": "Parallel", "Branches": [{"States": {"B": ASKS}}]}}},
            "the state 'B' of made.asl.json waits for a task token without a time-out",
        ),
        ({"States": {"A": {"Comment": "${TABLE}"}}}, r"made.asl.json names TABLE, which no access sets; set are none"),
    ],
)
def test_a_definition_that_could_not_work_is_refused(workflow: Any, definition: Any, says: str) -> None:
    with pytest.raises(Refused, match=says):
        workflow(definition)


@pytest.mark.parametrize("limit", ["TimeoutSeconds", "HeartbeatSeconds", "TimeoutSecondsPath"])
def test_a_task_that_waits_may_have_any_time_out(workflow: Any, limit: str) -> None:
    assert workflow({"States": {"A": {**ASKS, limit: 5}}}).one("StateMachine")


def test_two_accesses_that_set_one_variable_are_refused(workflow: Any) -> None:
    access = Access([allow(["sqs:SendMessage"], "arn")], {"QUEUE": "a"})
    with pytest.raises(Refused, match="two accesses set QUEUE"):
        workflow({"States": {}}, access=[access, access])


def test_a_value_is_written_as_part_of_a_json_string(workflow: Any) -> None:
    access = Access([], {"TEXT": 'say "hello" \\ goodbye'})
    made = workflow({"States": {"A": {"Comment": "I ${TEXT}"}}}, access=[access]).one("StateMachine")
    assert json.loads(made.inputs["definition"])["States"]["A"]["Comment"] == 'I say "hello" \\ goodbye'


def test_a_workflow_may_ask_nobody(workflow: Any) -> None:
    assert workflow({"States": {}}).all("Queue") == []


def test_a_consumer_without_the_workflows_arn_is_refused(mocked) -> None:
    from components import ChangeTable, FanOut
    from handlers import onboarding

    def program() -> None:
        ProjectionTable("onboardings", hash_key="upgrade")
        FanOut("changes", source=ChangeTable("users", hash_key="userId").stream).subscribe(onboarding.handler)

    with pytest.raises(Refused, match=r"nothing sets ONBOARDING_WORKFLOW.*workflow.start_access"):
        mocked(program)
