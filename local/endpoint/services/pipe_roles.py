"""What EventBridge looks at of a pipe's role when the pipe is made, changed or started (docs/aws-semantics.md §6.2).

Its trust policy, and then whether it may read the source and send to the dead-letter queue; not whether it may call the
enrichment and the target, which shows when they are called (IAM-7).
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
    """Refuse a role that EventBridge Pipes could not assume, or of which it cannot be told what it allows.

    Args:
        roles: What roles allow.
        pipe: As DescribePipe answers it.

    Raises:
        AwsError: In AWS's words.
    """
    role = role_of_pipe(pipe)
    refused = roles.refusal(role)
    if refused is not None:
        raise refused_call(refused, "ValidationException", refused.message)
    roles.check_decidable(role, [*reading(pipe["Source"]), *_sending_dead_letters(pipe), *_calling(pipe)])


def source_problem(roles: Roles, pipe: Pipe) -> str | None:
    """Why a pipe fails that is made, changed or started, as its StateReason says it; `None` when it does not.

    Args:
        roles: What roles allow.
        pipe: As DescribePipe answers it.
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
