"""Decisions about roles: their cache and their refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.endpoint.api.errors import NotSimulated
from local.endpoint.roles import LAMBDA, PIPES, Caller, Roles, refused_call

ROLE = "arn:aws:iam::111122223333:role/services/orders"
FUNCTION = Caller(ROLE, LAMBDA, "arn:aws:lambda:us-east-1:111122223333:function:orders:live")
PIPE = Caller(ROLE, PIPES, "arn:aws:pipes:us-east-1:111122223333:pipe/archive")
QUEUE = "arn:aws:sqs:us-east-1:111122223333:failed"
SEND = [("sqs:SendMessage", QUEUE)]


class Account:
    """IAM of an account with one role."""

    def __init__(self) -> None:
        self.path = "/services/"
        self.services = [LAMBDA, PIPES]
        self.actions: list[str] | None = ["sqs:SendMessage"]
        self.condition: dict[str, Any] = {}
        self.shared: dict[str, Any] = {}
        self.calls = 0
        self.failures = 0
        self.meanwhile: Any = None

    def get_role(self, RoleName):  # noqa: N803 - boto3's name
        assert RoleName == "orders"
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise ClientError({"Error": {"Code": "ServiceFailure", "Message": "try again"}}, "GetRole")
        if self.actions is None:
            raise ClientError({"Error": {"Code": "NoSuchEntity", "Message": "not found"}}, "GetRole")
        statement = {"Effect": "Allow", "Principal": {"Service": self.services}, "Action": "sts:AssumeRole"}
        arn = f"arn:aws:iam::111122223333:role{self.path}{RoleName}"
        return {"Role": {"Arn": arn, "AssumeRolePolicyDocument": {"Statement": statement}}}

    def list_attached_role_policies(self, RoleName):  # noqa: N803 - boto3's name
        assert RoleName == "orders"
        return {"AttachedPolicies": [{"PolicyArn": "arn:aws:iam::111122223333:policy/shared"}] if self.shared else []}

    def get_policy(self, PolicyArn):  # noqa: N803 - boto3's name
        assert PolicyArn == "arn:aws:iam::111122223333:policy/shared"
        return {"Policy": {"DefaultVersionId": "v2"}}

    def get_policy_version(self, PolicyArn, VersionId):  # noqa: N803 - boto3's names
        assert (PolicyArn, VersionId) == ("arn:aws:iam::111122223333:policy/shared", "v2")
        return {"PolicyVersion": {"Document": {"Statement": self.shared}}}

    def list_role_policies(self, RoleName):  # noqa: N803 - boto3's name
        assert RoleName == "orders"
        return {"PolicyNames": ["own"]}

    def get_role_policy(self, RoleName, PolicyName):  # noqa: N803 - boto3's names
        statement = {"Effect": "Allow", "Action": self.actions, "Resource": "*", "Condition": self.condition}
        document = {"Statement": statement}
        if self.meanwhile is not None:
            self.meanwhile()
        return {"PolicyDocument": json.dumps(document)}


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def roles(account) -> Roles:
    return Roles(account, region="us-east-1", account_id="111122223333")


def message(roles: Roles, caller: Caller = FUNCTION) -> str:
    refused = roles.refusal(caller, SEND)
    assert refused is not None
    return refused.message


def test_a_role_is_read_once_until_something_changes(account, roles):
    assert roles.refusal(FUNCTION, SEND) is None
    account.actions = []
    assert roles.refusal(FUNCTION, SEND) is None
    assert account.calls == 1
    roles.forget()
    assert "not authorized to perform: sqs:SendMessage" in message(roles)


def test_a_policy_that_changes_while_it_is_read_is_read_again(account, roles):
    account.meanwhile = roles.forget
    assert roles.refusal(FUNCTION, SEND) is None
    account.actions, account.meanwhile = [], None
    assert roles.refusal(FUNCTION, SEND) is not None


@pytest.mark.parametrize("problem", ["missing", "another path", "another service"])
def test_a_role_that_cannot_be_assumed_allows_nothing(account, roles, problem):
    match problem:
        case "missing":
            account.actions = None
        case "another path":
            account.path = "/"
        case _:
            account.services = ["ec2.amazonaws.com"]
    assert message(roles) == "The role defined for the function cannot be assumed by Lambda."
    assert message(roles, PIPE) == f"Provided role '{ROLE}' cannot be assumed by principal 'pipes.amazonaws.com'."


def test_a_role_that_could_not_be_read_refuses_once_and_is_asked_again(account, roles):
    account.failures = 1
    assert "try again" in message(roles)
    assert roles.refusal(FUNCTION, SEND) is None


def test_a_refusal_names_the_session_the_first_action_that_is_missing_and_the_resource(account, roles):
    account.actions = ["sqs:ReceiveMessage"]
    needs = [("sqs:ReceiveMessage", QUEUE), *SEND, ("sqs:DeleteMessage", QUEUE)]
    refused = roles.refusal(FUNCTION, needs)
    assert refused.operation == "SendMessage"
    assert refused.message == (
        "User: arn:aws:sts::111122223333:assumed-role/orders/orders is not authorized to perform: sqs:SendMessage on "
        f"resource: {QUEUE} because no identity-based policy allows the sqs:SendMessage action"
    )
    assert "assumed-role/orders/archive is not authorized" in message(roles, PIPE)


def test_what_depends_on_something_that_is_not_evaluated_is_refused_by_name(account, roles):
    account.condition = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}
    error = refused_call(roles.refusal(FUNCTION, SEND), "InvalidParameterValueException", "no")
    assert isinstance(error, NotSimulated)
    assert str(error).startswith(
        f"whether it allows sqs:SendMessage on {QUEUE} depends on the condition key aws:SourceVpc in a policy of {ROLE}"
    )
    with pytest.raises(NotSimulated, match="aws:SourceVpc"):
        roles.check_decidable(FUNCTION, SEND)
    roles.check_decidable(FUNCTION, [("sqs:ReceiveMessage", QUEUE)])


def test_a_managed_policy_allows_and_denies_as_an_inline_one_does(account, roles):
    account.actions = []
    account.shared = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    assert roles.refusal(FUNCTION, SEND) is None
    account.actions, account.shared = ["sqs:SendMessage"], {**account.shared, "Effect": "Deny"}
    roles.forget()
    assert message(roles).endswith("with an explicit deny in an identity-based policy")


def test_a_condition_on_the_account_the_region_and_the_role_holds(account, roles):
    account.condition = {
        "StringEquals": {"s3:ResourceAccount": "111122223333", "aws:RequestedRegion": "us-east-1"},
        "ArnLike": {"aws:PrincipalArn": ROLE},
    }
    assert roles.refusal(FUNCTION, SEND) is None
