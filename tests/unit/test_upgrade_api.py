"""`POST /users/{userId}/plan`: every answer, and exactly one write or none."""

import base64
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from handlers import upgrade_api


def request(body: object = None, *, user_id: str = "u1", **more: Any) -> dict[str, Any]:
    text = body if isinstance(body, str | None) else json.dumps(body)
    return {
        "version": "2.0",
        "pathParameters": {"userId": user_id},
        "requestContext": {"requestId": "request-1"},
        "body": text,
        "isBase64Encoded": False,
        **more,
    }


def call(event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = upgrade_api.handler(event, None)
    assert answer["headers"] == {"content-type": "application/json"}
    return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture(autouse=True)
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """DynamoDB's client, which refuses every call that a test has not announced."""
    client = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    monkeypatch.setattr(upgrade_api, "dynamodb", client)
    monkeypatch.setenv("USERS_TABLE", "users")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def refused(stubber: Stubber, item: dict[str, Any] | None) -> None:
    stubber.add_client_error(
        "update_item", "ConditionalCheckFailedException", modeled_fields={} if item is None else {"Item": item}
    )


def test_a_new_plan_is_one_conditional_write_that_advances_the_version_and_leaves_the_requests_id(
    dynamodb: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.upgrade_api.time.time", lambda: 1_700_000_000.5)
    dynamodb.add_response(
        "update_item",
        {},
        {
            "TableName": "users",
            "Key": {"userId": {"S": "u1"}},
            "UpdateExpression": (
                "SET #plan = :plan, #version = if_not_exists(#version, :now) + :one, lastRequestId = :request"
            ),
            "ConditionExpression": "attribute_exists(userId) AND (attribute_not_exists(#plan) OR #plan <> :plan)",
            "ExpressionAttributeNames": {"#plan": "plan", "#version": "version"},
            "ExpressionAttributeValues": {
                ":plan": {"S": "pro"},
                ":now": {"N": "1700000000500"},
                ":one": {"N": "1"},
                ":request": {"S": "request-1"},
            },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
    )
    assert call(request({"plan": "pro"})) == (200, {"userId": "u1", "plan": "pro", "changed": True})


def test_the_same_plan_again_is_a_success_without_a_write(dynamodb: Stubber) -> None:
    # DynamoDB refused the only write there is, and shows the item that made it.
    refused(dynamodb, {"userId": {"S": "u1"}, "plan": {"S": "pro"}})
    assert call(request({"plan": "pro"})) == (200, {"userId": "u1", "plan": "pro", "changed": False})


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, ...]]:
    members = ("levelname", "correlationId", "itemKey", "outcome")
    return [tuple(str(vars(line)[name]) for name in members) for line in caplog.records]


@pytest.mark.parametrize(
    ("body", "token", "outcome"),
    [({"plan": "pro"}, "u1", "written"), ({"plan": "secret"}, "u1", "malformed"), ({"plan": "pro"}, "u2", "forbidden")],
)
def test_one_line_names_the_request_the_item_and_the_outcome_and_no_content(
    dynamodb: Stubber, caplog: pytest.LogCaptureFixture, body: dict[str, str], token: str, outcome: str
) -> None:
    if outcome == "written":
        dynamodb.add_response("update_item", {}, dict.fromkeys(UPDATE_MEMBERS, ANY))
    context = {"requestId": "request-1", "authorizer": {"jwt": {"claims": {"sub": token}}}}
    call(request(body, requestContext=context))
    assert logged(caplog) == [("INFO", "request-1", "userId=u1", outcome)]
    assert body["plan"] not in caplog.text


@pytest.mark.parametrize(
    ("error", "outcome"),
    [("ThrottlingException", "throttled"), ("ResourceNotFoundException", "failed")],
)
def test_a_request_that_fails_is_logged_too(
    dynamodb: Stubber, caplog: pytest.LogCaptureFixture, error: str, outcome: str
) -> None:
    dynamodb.add_client_error("update_item", error)
    with contextlib.suppress(ClientError):
        upgrade_api.handler(request({"plan": "pro"}), None)
    assert logged(caplog) == [("INFO", "request-1", "userId=u1", outcome)]


def test_requests_without_an_effect_are_logged_as_such(dynamodb: Stubber, caplog: pytest.LogCaptureFixture) -> None:
    refused(dynamodb, {"userId": {"S": "u1"}})
    refused(dynamodb, None)
    for _ in range(2):
        call(request({"plan": "pro"}))
    assert [outcome for *_, outcome in logged(caplog)] == ["unchanged", "not found"]


def test_an_unknown_user_is_not_found(dynamodb: Stubber) -> None:
    refused(dynamodb, None)
    assert call(request({"plan": "pro"}, user_id="nobody")) == (404, {"error": "there is no user 'nobody'"})


@pytest.mark.parametrize(
    "error", ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"]
)
def test_a_busy_table_asks_the_caller_to_try_again(dynamodb: Stubber, error: str) -> None:
    dynamodb.add_client_error("update_item", error)
    assert call(request({"plan": "pro"})) == (503, {"error": "the table is busy, try again"})


def test_an_error_that_is_not_the_callers_is_not_dressed_up_as_an_answer(dynamodb: Stubber) -> None:
    dynamodb.add_client_error("update_item", "ResourceNotFoundException")
    with pytest.raises(Exception, match="ResourceNotFoundException"):
        upgrade_api.handler(request({"plan": "pro"}), None)


@pytest.mark.parametrize("body", [None, "", "plan=pro", "{", '"\ud800', b"\xff".decode("latin-1")])
def test_a_body_that_is_not_json_is_a_bad_request(body: str | None) -> None:
    assert call(request(body)) == (400, {"error": 'the body is not JSON; send {"plan": "pro"}'})


@pytest.mark.parametrize(
    "body", [{}, {"plan": "platinum"}, {"plan": None}, {"plan": ["pro"]}, {"plan": {}}, ["pro"], "pro", 3]
)
def test_a_body_without_a_known_plan_is_a_bad_request(body: object) -> None:
    status, answer = call(request(json.dumps(body)))
    assert (status, answer) == (400, {"error": 'plan must be one of free, pro, enterprise, as in {"plan": "pro"}'})


def test_a_base64_body_is_decoded(dynamodb: Stubber) -> None:
    dynamodb.add_response("update_item", {}, dict.fromkeys(UPDATE_MEMBERS, ANY))
    body = base64.b64encode(b'{"plan": "enterprise"}').decode()
    assert call(request(body, isBase64Encoded=True))[0] == 200


@pytest.mark.parametrize("body", ["%%%", base64.b64encode(b"\xff\xfe").decode(), base64.b64encode(b"{").decode()])
def test_a_base64_body_that_is_not_json_is_a_bad_request(body: str) -> None:
    assert call(request(body, isBase64Encoded=True))[0] == 400


UPDATE_MEMBERS = (
    "TableName",
    "Key",
    "UpdateExpression",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnValuesOnConditionCheckFailure",
)


@pytest.mark.parametrize(
    ("token", "allowed"),
    [
        ({"claims": {"sub": "alice"}}, True),
        ({"claims": {"sub": "bob"}}, False),
        ({"claims": {}}, False),
        ({"claims": {"sub": "bob", "scope": "profile plans/administrator"}}, True),
        ({"claims": {"sub": "bob"}, "scopes": ["plans/administrator"]}, True),
        ({"claims": {"sub": "bob", "scope": "plans/administrators"}, "scopes": None}, False),
        (None, True),
    ],
)
def test_a_token_acts_for_its_own_user_unless_it_is_an_administrators(token, allowed) -> None:
    event = {"requestContext": {"authorizer": {"jwt": token}} if token else {"authorizer": {"iam": {}}}}
    assert upgrade_api.may_act_for("alice", event) is allowed
