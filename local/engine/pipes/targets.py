"""Services that a pipe can send to and be enriched by (docs/aws-semantics.md §3.3, §3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

ServiceKind = Literal[
    "API destination", "event bus", "Lambda function", "SNS topic", "SQS queue", "Step Functions state machine"
]


@dataclass(frozen=True)
class Service:
    """Kind of service that a pipe can call.

    Attributes:
        kind: Its name.
        batch: Events per call at most; `None` where only the payload limits them.
        parameters: Its member of TargetParameters.
        answers: How failed events are reported: by the `code` that runs there, by the API for each of the `entries` of
            a batch, or not at all, since a call has `one` event.
    """

    kind: ServiceKind
    batch: int | None
    parameters: str | None
    answers: Literal["code", "entries", "one"]


_SERVICES: dict[tuple[str, str], Service] = {
    ("lambda", "function"): Service("Lambda function", None, "LambdaFunctionParameters", "code"),
    ("states", "stateMachine"): Service(
        "Step Functions state machine", None, "StepFunctionStateMachineParameters", "code"
    ),
    ("sqs", ""): Service("SQS queue", 10, "SqsQueueParameters", "entries"),
    ("sns", ""): Service("SNS topic", 10, None, "entries"),
    ("events", "event-bus"): Service("event bus", 10, "EventBridgeEventBusParameters", "entries"),
    ("events", "api-destination"): Service("API destination", 1, "HttpParameters", "one"),
}
#: Targets of AWS's pipes that are not simulated, by the service in their ARN.
_OTHERS = {
    "batch": "a Batch job queue",
    "ecs": "an ECS task",
    "execute-api": "an API Gateway API",
    "firehose": "a Firehose stream",
    "inspector": "an Inspector template",
    "kinesis": "a Kinesis stream",
    "logs": "a CloudWatch Logs group",
    "redshift": "a Redshift cluster",
    "redshift-serverless": "a Redshift workgroup",
    "sagemaker": "a SageMaker pipeline",
    "timestream": "a Timestream table",
}
_ENRICHMENTS: tuple[ServiceKind, ...] = ("API destination", "Lambda function", "Step Functions state machine")


class UnsupportedTarget(ValueError):
    """Target or enrichment that is not simulated. The message names the service."""


def service_of(arn: str) -> Service:
    """Return the kind of service that an ARN names.

    Raises:
        UnsupportedTarget: It names a service that is not simulated.

    >>> service_of("arn:aws:sqs:us-east-1:111122223333:orders").batch
    10
    >>> service_of("arn:aws:firehose:us-east-1:111122223333:deliverystream/archive")
    Traceback (most recent call last):
    ...
    local.engine.pipes.targets.UnsupportedTarget: a Firehose stream is not simulated as a pipe's target: ...
    """
    parts = arn.split(":", 5)
    service, resource = (parts[2], parts[5]) if len(parts) == 6 else ("", "")
    known = _SERVICES.get((service, resource.replace("/", ":").split(":")[0])) or _SERVICES.get((service, ""))
    if known is None:
        name = _OTHERS.get(service, repr(arn))
        raise UnsupportedTarget(
            f"{name} is not simulated as a pipe's target: these are: "
            f"{', '.join(sorted(each.kind for each in _SERVICES.values()))}; test this pipe on an AWS account"
        )
    return known


def enrichment_of(arn: str) -> Service:
    """Return the kind of service that an enrichment's ARN names.

    Raises:
        UnsupportedTarget: It names a service that is not simulated as an enrichment.
    """
    try:
        service = service_of(arn)
    except UnsupportedTarget:
        service = None
    if service is None or service.kind not in _ENRICHMENTS:
        named = repr(arn) if service is None else f"{service.kind} {arn!r}"
        raise UnsupportedTarget(f"{named} is not simulated as a pipe's enrichment: {', '.join(_ENRICHMENTS)} are")
    return service


def waits_for_answer(service: Service, target_parameters: Mapping[str, Any]) -> bool:
    """Return whether a pipe waits for the target's answer; FIRE_AND_FORGET hides every error of a handler."""
    if service.parameters is None:
        return True
    given = target_parameters.get(service.parameters, {})
    return given.get("InvocationType", "REQUEST_RESPONSE") == "REQUEST_RESPONSE"
