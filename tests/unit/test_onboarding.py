"""The onboarding: one execution per upgrade, under a name and an input that follow from the change alone."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from handlers import onboarding
from handlers.cdc.testing import change
from handlers.cdc.workflow import execution_name

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:onboarding"
UPGRADE = {
    "stateMachineArn": MACHINE,
    "name": execution_name("onboarding:u1#7"),
    "input": '{"upgrade":"u1#7","userId":"u1","from":"free","plan":"pro"}',
}


@pytest.fixture(autouse=True)
def step_functions(monkeypatch: pytest.MonkeyPatch) -> Any:
    client = boto3.client("stepfunctions", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    monkeypatch.setenv("ONBOARDING_WORKFLOW", MACHINE)
    monkeypatch.setattr(onboarding.workflow, "client", client)
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def upgrade(*, before: str | None = "free", after: str = "pro") -> None:
    old = {"userId": "u1", "version": 6, **({} if before is None else {"plan": before})}
    onboarding.handler.function(change(old=old, new={"userId": "u1", "plan": after, "version": 7}))


def test_an_upgrade_starts_one_execution_named_after_it(step_functions: Stubber) -> None:
    started = {"executionArn": "arn", "startDate": 0}
    step_functions.add_response("start_execution", started, UPGRADE)
    upgrade()
    assert json.loads(UPGRADE["input"])["plan"] == "pro"


def test_a_repeat_has_the_same_name_and_input_and_is_done_if_it_exists(
    step_functions: Stubber,
) -> None:
    step_functions.add_response("start_execution", {"executionArn": "arn", "startDate": 0}, UPGRADE)
    step_functions.add_client_error("start_execution", "ExecutionAlreadyExists", expected_params=UPGRADE)
    upgrade()
    upgrade()


def test_another_refusal_is_an_error_of_the_change(step_functions: Stubber) -> None:
    step_functions.add_client_error("start_execution", "ExecutionLimitExceeded")
    with pytest.raises(Exception, match="ExecutionLimitExceeded"):
        upgrade()


def test_a_change_to_a_lower_plan_starts_nothing(step_functions: Stubber) -> None:
    upgrade(before="enterprise", after="pro")


def test_the_first_plan_of_a_user_is_an_upgrade(step_functions: Stubber) -> None:
    first = {**UPGRADE, "input": UPGRADE["input"].replace('"free"', '"none"')}
    step_functions.add_response("start_execution", {"executionArn": "arn", "startDate": 0}, first)
    upgrade(before=None)


def test_a_name_fits_what_aws_takes() -> None:
    assert len(execution_name("k" * 5000)) == 66
