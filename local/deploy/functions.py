"""Look-ups of pulumi_aws that the endpoint can answer, for the deployment by mocks and for the provider alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from local.deploy.resources import Aws
from local.deploy.stubs import Stubs


class NotAnswered(ValueError):
    """A look-up that cannot be answered on this machine. The message says what to do."""


def invoke(token: str, arguments: Mapping[str, Any], aws: Aws, stubs: Stubs) -> Mapping[str, Any]:
    """Answer a function of a provider, e.g. `aws:index/getRegion:getRegion`.

    Raises:
        NotAnswered: Neither the endpoint nor the stack's stubs have an answer.
    """
    if (given := stubs.answer(token)) is not None:
        return {"id": token, **arguments, **given}
    answer = _FUNCTIONS.get(token)
    if answer is None:
        raise NotAnswered(
            f"{token} is a function that cannot be answered on this machine, which answers {', '.join(_FUNCTIONS)}: "
            f"{stubs.hint(token)}"
        )
    if left := sorted(name for name, value in arguments.items() if value is not None):
        raise NotAnswered(f"{token}: {', '.join(left)} would be ignored: call it without arguments")
    return answer(aws)


def _caller_identity(aws: Aws) -> Mapping[str, Any]:
    caller = aws.client("sts").get_caller_identity()
    return {"accountId": caller["Account"], "arn": caller["Arn"], "userId": caller["UserId"], "id": caller["Account"]}


def _partition(_aws: Aws) -> Mapping[str, Any]:
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def _region(aws: Aws) -> Mapping[str, Any]:
    return {"region": aws.region, "name": aws.region, "id": aws.region, "description": "", "endpoint": aws.endpoint_url}


_FUNCTIONS: Mapping[str, Callable[[Aws], Mapping[str, Any]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getRegion:getRegion": _region,
}
