"""Calls the function of an event source mapping, and reads the outcome from its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.endpoint.clients import error_code, request_id
from local.endpoint.functions.environments import TIMED_OUT
from local.engine.outcomes import Failed, Outcome, OutcomeName, Throttled, name_of


def call_function(
    functions: Any, function_arn: str, event: Mapping[str, Any], *, named: str, read: Callable[[Any], Outcome]
) -> tuple[Outcome, OutcomeName, str | None]:
    """Invoke a function and wait for its answer.

    Args:
        functions: A boto3 client of Lambda.
        function_arn: ARN of the function, with its alias or version if the mapping names one.
        event: The function's event.
        named: The invocation's request id.
        read: Returns the outcome of an answer that is not an error.

    Returns:
        The outcome, the history's word for it, and the type of the function's error.
    """
    outer = request_id.set(named)
    try:
        answer = functions.invoke(FunctionName=function_arn, Payload=json.dumps(event))
        content = json.loads(answer["Payload"].read() or b"null")
    except ClientError as refused:
        # The function did not run, or it is not known whether it did: no failure of its own costs a retry (§2.5).
        throttled = error_code(refused) == "TooManyRequestsException"
        return Throttled(), "throttled" if throttled else "service error", None
    except BotoCoreError:
        return Throttled(), "service error", None
    finally:
        request_id.reset(outer)
    if "FunctionError" in answer:
        error_type = content.get("errorType") if isinstance(content, dict) else None
        timed_out = error_type == TIMED_OUT
        return Failed(answer["FunctionError"], timed_out), "timeout" if timed_out else "error", error_type
    outcome = read(content)
    return outcome, name_of(outcome), None
