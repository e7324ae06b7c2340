"""`POST /users/{userId}/plan`: the API does one write, and the table's stream carries it to all others."""

from __future__ import annotations

import os
import time
from typing import Any

from handlers.cdc import client
from handlers.json_api import BadRequest, answer, body_of, log_outcome

PLANS = ("free", "pro", "enterprise")

#: Scope of a token whose bearer may change every user's plan.
ADMINISTRATOR = "plans/administrator"

dynamodb = client("dynamodb")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Answer one request of an HTTP API (payload format 2.0), and log one line about it.

    200 `{"userId", "plan", "changed"}`, 400 for a bad body or an unknown plan, 403 for a token of another user, 404 for
    an unknown user, 503 when DynamoDB throttles. Every answer is JSON; errors are `{"error": …}`.

    The line names the request, the item and the outcome, and nothing that the request contains; `weir trace` shows it.
    """
    user_id, request_id = event["pathParameters"]["userId"], event["requestContext"]["requestId"]
    outcome = "failed"
    try:
        outcome, response = _respond(event, user_id, request_id)
    finally:
        log_outcome(request_id, f"userId={user_id}", outcome)
    return response


def _respond(event: dict[str, Any], user_id: str, request_id: str) -> tuple[str, dict[str, Any]]:
    if not may_act_for(user_id, event):
        return "forbidden", answer(403, error=f"the token is not of {user_id!r}, and lacks the scope {ADMINISTRATOR}")
    try:
        plan = _plan(event)
    except BadRequest as bad:
        return "malformed", answer(400, error=str(bad))
    try:
        changed = change_plan(user_id, plan, request_id=request_id)
    except LookupError:
        return "not found", answer(404, error=f"there is no user {user_id!r}")
    except (
        dynamodb.exceptions.ProvisionedThroughputExceededException,
        dynamodb.exceptions.ThrottlingException,
        dynamodb.exceptions.RequestLimitExceeded,
    ):
        return "throttled", answer(503, error="the table is busy, try again")
    return "written" if changed else "unchanged", answer(200, userId=user_id, plan=plan, changed=changed)


def may_act_for(user_id: str, event: dict[str, Any]) -> bool:
    """Tell whether the caller may act for a user.

    With a JWT authorizer the token's `sub` must be the user, unless the token has the administrator's scope. A caller
    that signs its requests (AWS_IAM) is a trusted service and says for which user it acts.
    """
    token = event["requestContext"].get("authorizer", {}).get("jwt")
    if token is None:
        return True
    claims = token.get("claims") or {}
    # API Gateway copies the scopes only where the route demands some; the claim has them always.
    scopes = {*(token.get("scopes") or ()), *str(claims.get("scope", "")).split()}
    return claims.get("sub") == user_id or ADMINISTRATOR in scopes


def change_plan(user_id: str, plan: str, *, request_id: str) -> bool:
    """Set a user's plan in one conditional write, and return whether it was another one before.

    The write also advances the item's `version`, which orders its changes on every route: it starts at the time in
    milliseconds, so that it grows across delete and re-create too. And it leaves the request's id, by which every
    log line and every effect of this change can be found.

    Raises:
        LookupError: There is no such user.
    """
    try:
        dynamodb.update_item(
            TableName=os.environ["USERS_TABLE"],
            Key={"userId": {"S": user_id}},
            UpdateExpression=(
                "SET #plan = :plan, #version = if_not_exists(#version, :now) + :one, lastRequestId = :request"
            ),
            ConditionExpression="attribute_exists(userId) AND (attribute_not_exists(#plan) OR #plan <> :plan)",
            ExpressionAttributeNames={"#plan": "plan", "#version": "version"},
            ExpressionAttributeValues={
                ":plan": {"S": plan},
                ":now": {"N": str(int(time.time() * 1000))},
                ":one": {"N": "1"},
                ":request": {"S": request_id},
            },
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except dynamodb.exceptions.ConditionalCheckFailedException as refused:
        if not refused.response.get("Item"):
            raise LookupError(user_id) from None
        return False
    return True


def _plan(event: dict[str, Any]) -> str:
    example = '{"plan": "pro"}'
    plan = body_of(event, example).get("plan")
    if plan not in PLANS:
        raise BadRequest(f"plan must be one of {', '.join(PLANS)}, as in {example}")
    return plan
