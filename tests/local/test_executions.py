"""Executions of state machines: their names, time-outs, tokens and the rights of their role."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.world import World

honours = pytest.mark.honours

HOUR = 3600


class Machine:
    """A state machine that hands a token to a queue and waits for the answer."""

    def __init__(self, world: World, *, role: str | None = None, machine: Any = None, **state: Any) -> None:
        self.world = world
        self.client = world.client("stepfunctions")
        self.queue = world.client("sqs").create_queue(QueueName=world.name)["QueueUrl"]
        ask = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl": self.queue, "MessageBody": {"token.$": "$$.Task.Token"}},
            "Catch": [{"ErrorEquals": ["Late", "States.Timeout"], "ResultPath": "$.why", "Next": "Compensate"}],
            "End": True,
            **state,
        }
        definition = {
            "StartAt": "Ask",
            "States": {"Ask": ask, "Compensate": {"Type": "Pass", "End": True}},
            **(machine or {}),
        }
        self.arn = self.client.create_state_machine(
            name=world.name, definition=json.dumps(definition), roleArn=role or world.machine_role
        )["stateMachineArn"]

    def start(self, **given: Any) -> str:
        return self.client.start_execution(stateMachineArn=self.arn, **given)["executionArn"]

    def token(self) -> str:
        found: list[Any] = []

        def received() -> bool:
            found[:] = self.world.client("sqs").receive_message(QueueUrl=self.queue).get("Messages", [])
            return bool(found)

        self.world.wait_until(received)
        return json.loads(found[0]["Body"])["token"]

    def ended(self, execution: str) -> dict[str, Any]:
        def status() -> str:
            return self.client.describe_execution(executionArn=execution)["status"]

        self.world.wait_until(lambda: status() != "RUNNING")
        return self.client.describe_execution(executionArn=execution)


@pytest.fixture
def machine(world: World) -> Machine:
    return Machine(world)


def refused(call: Any, **given: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**given)
    answer: Any = error.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"]


class TestNames:
    def test_the_same_name_and_input_is_the_running_execution(self, machine: Machine) -> None:
        first = machine.start(name="one", input='{"a": 1}')
        assert machine.start(name="one", input='{"a": 1}') == first
        machine.token()
        assert "Messages" not in machine.world.client("sqs").receive_message(QueueUrl=machine.queue)

    def test_another_input_or_an_execution_that_has_ended_is_refused(self, machine: Machine) -> None:
        given = {"stateMachineArn": machine.arn, "name": "one"}
        first = machine.start(name="one", input='{"a": 1}')
        assert refused(machine.client.start_execution, **given, input='{"a": 2}')[0] == "ExecutionAlreadyExists"
        machine.client.send_task_success(taskToken=machine.token(), output="{}")
        machine.ended(first)
        assert refused(machine.client.start_execution, **given, input='{"a": 1}')[0] == "ExecutionAlreadyExists"

    def test_eighty_characters_are_a_name_and_more_are_not(self, machine: Machine) -> None:
        assert machine.start(name="n" * 80).endswith("n" * 80)
        code, message = refused(machine.client.start_execution, stateMachineArn=machine.arn, name="n" * 81)
        assert (code, "less than or equal to 80" in message) == ("ValidationException", True)

    @pytest.mark.parametrize("name", ["a b", "a#b", "a/b", "a:b"])
    def test_some_characters_are_in_no_name(self, machine: Machine, name: str) -> None:
        assert refused(machine.client.start_execution, stateMachineArn=machine.arn, name=name)[0] == "InvalidName"

    def test_a_second_express_execution_of_one_name_is_not_simulated(self, world: World) -> None:
        arn = world.client("stepfunctions").create_state_machine(
            name=world.name,
            definition='{"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}',
            roleArn=world.machine_role,
            type="EXPRESS",
        )["stateMachineArn"]
        start = world.client("stepfunctions").start_execution
        start(stateMachineArn=arn, name="one")
        assert refused(start, stateMachineArn=arn, name="one")[0] == "NotSimulated"


class TestAnswers:
    @honours("stepfunctions:SendTaskSuccess", "taskToken output")
    def test_a_success_is_the_output_of_the_task(self, machine: Machine) -> None:
        execution = machine.start()
        machine.client.send_task_success(taskToken=machine.token(), output='{"by": "ada"}')
        done = machine.ended(execution)
        assert (done["status"], json.loads(done["output"])) == ("SUCCEEDED", {"by": "ada"})

    @honours("stepfunctions:SendTaskFailure", "taskToken error cause")
    def test_a_failure_is_caught_by_its_name(self, machine: Machine) -> None:
        execution = machine.start()
        machine.client.send_task_failure(taskToken=machine.token(), error="Late", cause="closed")
        assert json.loads(machine.ended(execution)["output"])["why"] == {"Error": "Late", "Cause": "closed"}

    def test_a_token_is_used_once(self, machine: Machine) -> None:
        machine.start()
        token = machine.token()
        machine.client.send_task_success(taskToken=token, output="{}")
        code, message = refused(machine.client.send_task_success, taskToken=token, output="{}")
        assert (code, message) == ("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")

    def test_a_token_of_nobody_and_an_output_that_is_not_json_are_refused(self, machine: Machine) -> None:
        machine.start()
        send = machine.client.send_task_success
        assert refused(send, taskToken="nobody's", output="{}")[0] == "InvalidToken"
        assert refused(send, taskToken=machine.token(), output="{")[0] == "InvalidOutput"


class TestTime:
    def test_a_task_that_nobody_answers_times_out_and_a_late_answer_is_refused(self, world: World) -> None:
        machine = Machine(world, TimeoutSeconds=72 * HOUR)
        execution, token = machine.start(), machine.token()
        world.control.advance_clock(72 * HOUR)
        assert json.loads(machine.ended(execution)["output"])["why"]["Error"] == "States.Timeout"
        assert refused(machine.client.send_task_success, taskToken=token, output="{}")[0] == "TaskTimedOut"

    @honours("stepfunctions:SendTaskHeartbeat", "taskToken")
    def test_a_heartbeat_gives_a_task_more_time_and_silence_ends_it(self, world: World) -> None:
        machine = Machine(world, TimeoutSeconds=10 * HOUR, HeartbeatSeconds=HOUR)
        execution, token = machine.start(), machine.token()
        for _ in range(3):
            world.control.advance_clock(HOUR - 60)
            machine.client.send_task_heartbeat(taskToken=token)
        assert machine.client.describe_execution(executionArn=execution)["status"] == "RUNNING"
        world.control.advance_clock(HOUR)
        assert json.loads(machine.ended(execution)["output"])["why"]["Error"] == "States.HeartbeatTimeout"
        assert refused(machine.client.send_task_heartbeat, taskToken=token)[0] == "TaskTimedOut"

    def test_a_machine_has_a_time_of_its_own_which_nothing_catches(self, world: World) -> None:
        catch_all = [{"ErrorEquals": ["States.ALL"], "Next": "Compensate"}]
        machine = Machine(world, machine={"TimeoutSeconds": HOUR}, Catch=catch_all)
        execution, token = machine.start(), machine.token()
        world.control.advance_clock(HOUR)
        done = machine.ended(execution)
        assert (done["status"], done["error"]) == ("TIMED_OUT", "States.Timeout")
        world.wait_until(lambda: world.control.metric_sum("ExecutionsTimedOut", StateMachineArn=machine.arn) == 1)
        assert "output" not in done
        world.wait_until(
            lambda: refused(machine.client.send_task_success, taskToken=token, output="{}")[0] == "TaskTimedOut"
        )

    def test_a_wait_lasts_as_long_as_the_endpoints_clock_says(self, world: World) -> None:
        wait = {"Type": "Wait", "Seconds": 14 * 24 * HOUR, "End": True}
        machine = Machine(world, machine={"StartAt": "Wait", "States": {"Wait": wait}})
        execution = machine.start()

        def ended_after_a_day() -> bool:
            world.control.advance_clock(24 * HOUR)
            return machine.client.describe_execution(executionArn=execution)["status"] != "RUNNING"

        world.wait_until(ended_after_a_day)
        done = machine.ended(execution)
        assert done["status"] == "SUCCEEDED"
        assert (done["stopDate"] - done["startDate"]).days >= 14

    @honours("stepfunctions:StopExecution", "executionArn error cause")
    def test_a_stopped_execution_ends_at_once(self, machine: Machine) -> None:
        execution, token = machine.start(), machine.token()
        machine.client.stop_execution(executionArn=execution, error="Cancelled", cause="by hand")
        done = machine.ended(execution)
        assert (done["status"], done["error"], done["cause"]) == ("ABORTED", "Cancelled", "by hand")
        machine.world.wait_until(
            lambda: refused(machine.client.send_task_success, taskToken=token, output="{}")[0] == "TaskTimedOut"
        )


class TestRoles:
    def test_a_task_does_what_the_role_of_the_machine_allows(self, world: World) -> None:
        role = world.make_role(world.name, service="states")
        machine = Machine(world, role=role)
        done = machine.ended(machine.start())
        assert (done["status"], done["error"]) == ("FAILED", "States.Permissions")
        assert "is not authorized to perform: sqs:SendMessage on resource: arn:aws:sqs:us-east-1:" in done["cause"]
        send = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
        world.allow(world.name, send)
        machine.start()
        assert machine.token()

    def test_a_role_that_step_functions_cannot_assume_is_refused(self, world: World) -> None:
        role = world.make_role(world.name)
        definition = '{"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}'
        make = world.client("stepfunctions").create_state_machine
        code, message = refused(make, name=world.name, definition=definition, roleArn=role)
        assert (code, "Neither the global service principal states.amazonaws.com" in message) == (
            "AccessDeniedException",
            True,
        )
