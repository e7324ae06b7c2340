"""EventBridge's checks of a pipe's role at creation, update and start (docs/aws-semantics.md §6.2).

It looks at the trust policy, and at the permissions to read the source and to send to the dead-letter queue. Missing
permissions to call the enrichment or the target show only when they are called (IAM-7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_semantics.permissions import Need, calling, reading, sending_failures
from local.endpoint.roles import Roles, refused_call, role_of_pipe
from local.engine.pipes.sources import source_of
from local.engine.pipes.targets import service_of, waits_for_answer

Pipe = Mapping[str, Any]


def check_role(roles: Roles, pipe: Pipe) -> None:
    """Refuse a role that EventBridge Pipes could not assume, or whose policies cannot be evaluated here.

    Args:
        roles: The account's roles.
        pipe: DescribePipe's answer.

    Raises:
        AwsError: AWS's error, or that the policies are not simulated.
    """
    role = role_of_pipe(pipe)
    refusal = roles.refusal(role)
    if refusal is not None:
        raise refused_call(refusal, "ValidationException", refusal.message)
    roles.check_decidable(role, [*reading(pipe["Source"]), *_sending_dead_letters(pipe), *_calling(pipe)])


def source_problem(roles: Roles, pipe: Pipe) -> str | None:
    """Return the StateReason of a pipe that its role keeps from running; `None` if it can run.

    Args:
        roles: The account's roles.
        pipe: DescribePipe's answer.
    """
    role, source, dead_letters = role_of_pipe(pipe), pipe["Source"], _dead_letters(pipe)
    if refused := roles.refusal(role, reading(source)):
        if source_of(source).is_stream:
            what = (
                f"Cannot access stream {source}. Please ensure the customer role can perform actions on source stream"
            )
        else:
            what = f"The provided customer role does not have permissions to call {refused.operation} on SQS"
    elif roles.refusal(role, _sending_dead_letters(pipe)):
        what = f"Error occurred while sending message to {_kind(dead_letters)}: {dead_letters}"
    else:
        return None
    return f"Input parameter is invalid from the request due to : {what}"


def _dead_letters(pipe: Pipe) -> str:
    return source_of(pipe["Source"]).given(pipe).get("DeadLetterConfig", {}).get("Arn", "")


def _kind(arn: str) -> str:
    return "SQS queue" if arn.split(":")[2] == "sqs" else "SNS topic"


def _sending_dead_letters(pipe: Pipe) -> Sequence[Need]:
    arn = _dead_letters(pipe)
    return sending_failures(arn) if arn else []


def _calling(pipe: Pipe) -> Sequence[Need]:
    enrichment = pipe.get("Enrichment")
    wait = waits_for_answer(service_of(pipe["Target"]), pipe.get("TargetParameters", {}))
    return [*calling(pipe["Target"], wait=wait), *(calling(enrichment, wait=True) if enrichment else [])]
