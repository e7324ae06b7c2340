"""Calling the function of an event source mapping, and what its answer comes to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.endpoint.clients import error_code, request_id
from local.endpoint.delivery.history import Outcome as OutcomeName
from local.engine.streams.outcomes import Failed, Outcome, Partial, Rejected, Succeeded, Throttled

_NAMES: Mapping[type[Outcome], OutcomeName] = {
    Succeeded: "success",
    Partial: "partial",
    Rejected: "partial",
    Failed: "error",
}


def call_function(
    functions: Any, function_arn: str, event: Mapping[str, Any], *, named: str, read: Callable[[Any], Outcome]
) -> tuple[Outcome, OutcomeName, str | None]:
    """Invoke a function and wait for its answer.

    Args:
        functions: A boto3 client of Lambda.
        function_arn: With its alias or version where the mapping has one.
        event: What it is called with.
        named: The invocation's request id.
        read: Says what an answer comes to that is no error.

    Returns:
        The outcome, the history's word for it, and the type of the function's error.
    """
    outer = request_id.set(named)
    try:
        answer = functions.invoke(FunctionName=function_arn, Payload=json.dumps(event))
        content = json.loads(answer["Payload"].read() or b"null")
    except ClientError as refused:
        # The function did not run, or nobody knows: not its failure, so the retry budget is untouched (§2.5).
        throttled = error_code(refused) == "TooManyRequestsException"
        return Throttled(), "throttled" if throttled else "service error", None
    except BotoCoreError:
        return Throttled(), "service error", None
    finally:
        request_id.reset(outer)
    if "FunctionError" in answer:
        error_type = content.get("errorType") if isinstance(content, dict) else None
        timed_out = error_type == "Sandbox.Timedout"
        return Failed(answer["FunctionError"], timed_out), "timeout" if timed_out else "error", error_type
    outcome = read(content)
    return outcome, _NAMES[type(outcome)], None
