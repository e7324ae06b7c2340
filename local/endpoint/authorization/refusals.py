"""The errors of refused calls, in the words and codes of each service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.authorization.lookups import Need


class _Form(NamedTuple):
    code: str
    status: int


#: Error codes that differ from `AccessDeniedException` with the status 400.
_FORMS: Mapping[str, _Form] = {
    "cloudwatch": _Form("AccessDenied", 403),
    "iam": _Form("AccessDenied", 403),
    "lambda": _Form("AccessDeniedException", 403),
    "s3": _Form("AccessDenied", 403),
    "sesv2": _Form("AccessDeniedException", 403),
    "sns": _Form("AuthorizationError", 403),
    "sqs": _Form("AccessDenied", 403),
    "sts": _Form("AccessDenied", 403),
}


def refused(call: AwsCall, need: Need, identity: str, reason: str) -> AwsError:
    """Make the error of a call that lacks a permission.

    Args:
        call: The call.
        need: The permission that it lacks.
        identity: ARN of the caller.
        reason: AWS's words for the reason.
    """
    form = _FORMS.get(call.service, _Form("AccessDeniedException", 400))
    action, resource = need.action, need.resource
    match call.service:
        case "sns":
            action = action.replace("sns:", "SNS:")
        case "sqs":
            action = action.lower()
        case "s3":
            resource = f'"{resource}"'
        case _:
            pass
    reason = reason.replace(need.action, action)
    return AwsError(
        form.code,
        f"User: {identity} is not authorized to perform: {action} on resource: {resource} {reason}",
        status=form.status,
    )
