"""`POST /accounts/{accountId}`: every answer, and exactly one write or none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from handlers import account_api


@pytest.fixture(autouse=True)
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """DynamoDB's client, which refuses every call that a test has not announced."""
    client = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    monkeypatch.setattr(account_api, "dynamodb", client)
    monkeypatch.setattr("handlers.account_api.time.time", lambda: 1_700_000_000.5)
    monkeypatch.setenv("ACCOUNTS_TABLE", "accounts")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def call(body: object, *, sub: str | None = None) -> tuple[int, dict[str, Any]]:
    authorizer = {} if sub is None else {"authorizer": {"jwt": {"claims": {"sub": sub}}}}
    event = {
        "pathParameters": {"accountId": "a1"},
        "requestContext": {"requestId": "request-1", **authorizer},
        "body": body if isinstance(body, str) else json.dumps(body),
    }
    answer = account_api.handler(event, None)
    assert answer["headers"] == {"content-type": "application/json"}
    return answer["statusCode"], json.loads(answer["body"])


def test_a_new_account_is_one_conditional_write_with_a_version_and_the_requests_id(
    dynamodb: Stubber, caplog: pytest.LogCaptureFixture
) -> None:
    written = {
        "TableName": "accounts",
        "Key": {"accountId": {"S": "a1"}},
        "UpdateExpression": "SET userId = :user, #version = :now, lastRequestId = :request",
        "ConditionExpression": "attribute_not_exists(accountId)",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {
            ":user": {"S": "u1"},
            ":now": {"N": "1700000000500"},
            ":request": {"S": "request-1"},
        },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    dynamodb.add_response("update_item", {}, written)
    assert call({"userId": "u1"}, sub="u1") == (201, {"accountId": "a1", "userId": "u1"})
    assert [(vars(line)["itemKey"], vars(line)["outcome"]) for line in caplog.records] == [("accountId=a1", "written")]


@pytest.mark.parametrize(
    ("owner", "status", "said"),
    [
        ("u1", 200, {"accountId": "a1", "userId": "u1"}),
        ("u2", 409, {"error": "the account 'a1' is another user's"}),
    ],
)
def test_an_account_that_is_there_is_its_owners(
    dynamodb: Stubber, owner: str, status: int, said: dict[str, Any]
) -> None:
    item = {"accountId": {"S": "a1"}, "userId": {"S": owner}}
    dynamodb.add_client_error("update_item", "ConditionalCheckFailedException", modeled_fields={"Item": item})
    assert call({"userId": "u1"}) == (status, said)


@pytest.mark.parametrize("body", ["", "{", "[]", {}, {"userId": ""}, {"userId": 1}])
def test_a_body_without_a_user_is_a_bad_request(body: object) -> None:
    status, said = call(body)
    assert (status, '{"userId": "u1"}' in said["error"]) == (400, True)


def test_a_token_of_another_user_opens_no_account() -> None:
    assert call({"userId": "u1"}, sub="u2")[0] == 403


def test_a_busy_table_is_an_answer_to_try_again(dynamodb: Stubber) -> None:
    dynamodb.add_client_error("update_item", "ThrottlingException")
    assert call({"userId": "u1"})[0] == 503
