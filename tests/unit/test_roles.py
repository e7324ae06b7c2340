"""What is remembered of execution roles, and for how long."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.roles import Roles

FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:orders"
QUEUE = "arn:aws:sqs:us-east-1:111122223333:failed"


class Account:
    """IAM and Lambda of an account with one function and its role."""

    def __init__(self) -> None:
        self.actions: list[str] | None = ["sqs:SendMessage"]
        self.calls = 0
        self.failures = 0
        self.meanwhile: Any = None

    def get_function_configuration(self, FunctionName):  # noqa: N803 - boto3's name
        assert FunctionName == FUNCTION
        return {"Role": "arn:aws:iam::111122223333:role/services/orders"}

    def list_role_policies(self, RoleName):  # noqa: N803 - boto3's name
        assert RoleName == "orders"
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise ClientError({"Error": {"Code": "ServiceFailure", "Message": "try again"}}, "ListRolePolicies")
        if self.actions is None:
            raise ClientError({"Error": {"Code": "NoSuchEntity", "Message": "not found"}}, "ListRolePolicies")
        return {"PolicyNames": ["own"]}

    def get_role_policy(self, RoleName, PolicyName):  # noqa: N803 - boto3's names
        document = {"Statement": {"Effect": "Allow", "Action": self.actions, "Resource": "*"}}
        if self.meanwhile is not None:
            self.meanwhile()
        return {"PolicyDocument": document}


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def roles(account) -> Roles:
    return Roles(account, account, account_id="111122223333")


def test_a_role_is_read_once_until_something_changes(account, roles):
    assert roles.refusal(FUNCTION, "sqs:SendMessage", QUEUE) is None
    account.actions = []
    assert roles.refusal(FUNCTION, "sqs:SendMessage", QUEUE) is None
    assert account.calls == 1
    roles.forget()
    assert "not authorized to perform: sqs:SendMessage" in roles.refusal(FUNCTION, "sqs:SendMessage", QUEUE)


def test_a_policy_that_changes_while_it_is_read_is_read_again(account, roles):
    account.meanwhile = roles.forget
    assert roles.refusal(FUNCTION, "sqs:SendMessage", QUEUE) is None
    account.actions, account.meanwhile = [], None
    assert roles.refusal(FUNCTION, "sqs:SendMessage", QUEUE) is not None


def test_a_role_that_does_not_exist_allows_nothing(account, roles):
    account.actions = None
    assert "cannot be assumed" in roles.refusal(FUNCTION, "sqs:SendMessage", QUEUE)


def test_a_role_that_could_not_be_read_refuses_once_and_is_asked_again(account, roles):
    account.failures = 1
    assert "try again" in roles.refusal(FUNCTION, "sqs:SendMessage", QUEUE)
    assert roles.refusal(FUNCTION, "sqs:SendMessage", QUEUE) is None
