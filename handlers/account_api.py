"""`POST /accounts/{accountId}`: the API opens a user's account in one write."""

from __future__ import annotations

import os
import time
from typing import Any

from handlers.cdc import client
from handlers.json_api import BadRequest, answer, body_of, log_outcome
from handlers.upgrade_api import ADMINISTRATOR, may_act_for

dynamodb = client("dynamodb")


class Taken(Exception):
    """The account is another user's."""


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Answer one request of an HTTP API (payload format 2.0), and log one line about it.

    The body is `{"userId": "u1"}`. 201 `{"accountId", "userId"}` for a new account, 200 for one that the user has
    already, 400 for a bad body, 403 for a token of another user, 409 for an account of another user, 503 when DynamoDB
    throttles. Every answer is JSON; errors are `{"error": …}`.
    """
    account_id, request_id = event["pathParameters"]["accountId"], event["requestContext"]["requestId"]
    outcome = "failed"
    try:
        outcome, response = _respond(event, account_id, request_id)
    finally:
        log_outcome(request_id, f"accountId={account_id}", outcome)
    return response


def _respond(event: dict[str, Any], account_id: str, request_id: str) -> tuple[str, dict[str, Any]]:
    try:
        user_id = _user(event)
    except BadRequest as bad:
        return "malformed", answer(400, error=str(bad))
    if not may_act_for(user_id, event):
        return "forbidden", answer(403, error=f"the token is not of {user_id!r}, and lacks the scope {ADMINISTRATOR}")
    try:
        opened = open_account(account_id, user_id, request_id=request_id)
    except Taken:
        return "taken", answer(409, error=f"the account {account_id!r} is another user's")
    except (
        dynamodb.exceptions.ProvisionedThroughputExceededException,
        dynamodb.exceptions.ThrottlingException,
        dynamodb.exceptions.RequestLimitExceeded,
    ):
        return "throttled", answer(503, error="the table is busy, try again")
    return (
        ("written", answer(201, accountId=account_id, userId=user_id))
        if opened
        else (
            "unchanged",
            answer(200, accountId=account_id, userId=user_id),
        )
    )


def open_account(account_id: str, user_id: str, *, request_id: str) -> bool:
    """Create an account in one conditional write, and return whether it is new.

    The write starts the item's `version` as every write of the program does, and leaves the request's id.

    Raises:
        Taken: The account is another user's.
    """
    try:
        dynamodb.update_item(
            TableName=os.environ["ACCOUNTS_TABLE"],
            Key={"accountId": {"S": account_id}},
            UpdateExpression="SET userId = :user, #version = :now, lastRequestId = :request",
            ConditionExpression="attribute_not_exists(accountId)",
            ExpressionAttributeNames={"#version": "version"},
            ExpressionAttributeValues={
                ":user": {"S": user_id},
                ":now": {"N": str(int(time.time() * 1000))},
                ":request": {"S": request_id},
            },
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except dynamodb.exceptions.ConditionalCheckFailedException as refused:
        if refused.response["Item"].get("userId") != {"S": user_id}:
            raise Taken from None
        return False
    return True


def _user(event: dict[str, Any]) -> str:
    example = '{"userId": "u1"}'
    user_id = body_of(event, example).get("userId")
    if not isinstance(user_id, str) or not user_id:
        raise BadRequest(f"userId must be text, as in {example}")
    return user_id
