"""What the judge of functions' calls says at their start, and what it does not know."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.api.http_messages import Request
from local.endpoint.authorization.authorizer import Authorizer
from local.endpoint.authorization.lookups import Lookups
from local.endpoint.authorization.needs import needs_of
from local.endpoint.authorization.sessions import Sessions
from local.endpoint.clients import Connection
from local.endpoint.roles import Role, Roles

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/welcome"
CONNECTION = Connection("http://127.0.0.1:4566", "us-east-1", ACCOUNT, "AKIAOWN", "secret")
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0c1d7a0e-7c1f-4b6f-a3f4-6f3d3a1b2c3d"
LOOKUPS = Lookups(
    "us-east-1",
    ACCOUNT,
    stream_of=lambda _: None,
    identities=list,
    partition_key=lambda _: "id",
    key=lambda name: KEY if name in ("alias/own", KEY, KEY.rpartition("/")[2]) else None,
    secret=lambda name: f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{name}-AbCdEf" if name == "crm" else None,
    encrypted_parameters=lambda: {"/crm/token": "alias/own", "/crm/other": "alias/aws/ssm", "/mail": "alias/own"},
    dead_letter_sources=lambda _: [],
)


class OneRole(Roles):
    """An account with one role."""

    def __init__(self, *statements: dict[str, Any]) -> None:
        super().__init__(None, region="us-east-1", account_id=ACCOUNT)
        self.role = Role(ROLE, {}, [{"Version": "2012-10-17", "Statement": list(statements)}], None)

    def known(self, arn: str) -> Role | None:
        return self.role if arn == ROLE else None


def authorizer(*statements: dict[str, Any]) -> Authorizer:
    return Authorizer(
        Sessions(CONNECTION), OneRole(*statements), LOOKUPS, resource_policy=lambda _: None, clock=lambda: 1_000.0
    )


def allow(**condition: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*", "Condition": condition}


def test_what_is_not_evaluated_is_said_once_when_a_function_starts(caplog: pytest.LogCaptureFixture) -> None:
    judge = authorizer(
        allow(
            IpAddress={"aws:SourceIp": "10.0.0.0/8"}, StringEquals={"dynamodb:LeadingKeys": "a", "aws:SourceVpc": "v"}
        )
    )
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            judge.issue_for_function(ROLE, "welcome")
    assert [record.getMessage().partition(" is not evaluated")[0] for record in caplog.records] == [
        f"{ROLE}: the condition operator IpAddress",
        f"{ROLE}: the condition key aws:SourceIp",
        f"{ROLE}: the condition key aws:SourceVpc",
    ]


def test_a_policy_that_is_evaluated_in_full_needs_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    judge = authorizer(allow(StringLike={"dynamodb:LeadingKeys": "a"}, Bool={"aws:SecureTransport": "true"}))
    judge.issue_for_function(ROLE, "welcome")
    assert not caplog.records


def test_every_environment_has_keys_of_its_own_and_strangers_have_none() -> None:
    sessions = authorizer().sessions
    one, two = (sessions.issue(ROLE, "welcome") for _ in range(2))
    assert len({one.access_key_id, two.access_key_id, CONNECTION.access_key_id}) == 3
    assert all(key in sessions for key in (one.access_key_id, two.access_key_id, CONNECTION.access_key_id))
    assert "AKIASTRANGER" not in sessions
    assert "secret" not in repr(one).replace("secret_access_key", "")
    assert sessions.connection_of(one.access_key_id).secret_access_key == one.secret_access_key
    assert sessions.connection_of(CONNECTION.access_key_id) == CONNECTION


def test_keys_of_a_role_that_is_gone_are_invalid() -> None:
    judge = authorizer()
    keys = judge.sessions.issue(f"{ROLE}-gone", "welcome")
    with pytest.raises(AwsError, match="security token included in the request is invalid"):
        judge.check(AwsCall("dynamodb", "ListTables", "json", {}, Request()), keys)


def test_an_operation_whose_permission_is_not_known_is_refused_and_never_let_through() -> None:
    for service, operation in [("apigatewayv2", "CreateApi"), ("pipes", "CreatePipe"), ("events", "PutRule")]:
        with pytest.raises(NotSimulated, match=f"which permission {service}:{operation} needs"):
            needs_of(service, operation, {}, LOOKUPS)


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "needed"),
    [
        (
            "lambda",
            "Invoke",
            {"FunctionName": "welcome:live"},
            ("lambda:InvokeFunction", "lambda", "function:welcome:live"),
        ),
        (
            "lambda",
            "Invoke",
            {"FunctionName": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:welcome", "Qualifier": "2"},
            ("lambda:InvokeFunction", "lambda", "function:welcome:2"),
        ),
        ("sqs", "SendMessageBatch", {"QueueUrl": "http://h/1/mails"}, ("sqs:SendMessage", "sqs", "mails")),
        ("sqs", "GetQueueUrl", {"QueueName": "mails"}, ("sqs:GetQueueUrl", "sqs", "mails")),
        ("sns", "PublishBatch", {"TopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:t"}, ("sns:Publish", "sns", "t")),
        (
            "dynamodb",
            "Query",
            {"TableName": "users", "IndexName": "by-plan"},
            ("dynamodb:Query", "dynamodb", "table/users/index/by-plan"),
        ),
        (
            "dynamodb",
            "GetItem",
            {"TableName": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/users", "Key": {"id": {"S": "a"}}},
            ("dynamodb:GetItem", "dynamodb", "table/users"),
        ),
        ("kinesis", "PutRecords", {"StreamName": "changes"}, ("kinesis:PutRecords", "kinesis", "stream/changes")),
        (
            "logs",
            "PutLogEvents",
            {"logGroupName": "/g", "logStreamName": "s"},
            ("logs:PutLogEvents", "logs", "log-group:/g:log-stream:s"),
        ),
    ],
)
def test_a_resource_is_named_by_its_arn_however_the_call_names_it(
    service: str, operation: str, parameters: dict[str, Any], needed: tuple[str, str, str]
) -> None:
    (need,) = needs_of(service, operation, parameters, LOOKUPS)
    action, owner, resource = needed
    assert (need.action, need.resource) == (action, f"arn:aws:{owner}:us-east-1:{ACCOUNT}:{resource}")
