"""The parts that pipes of streams and of queues have in common: checks, log, and the arguments besides the source's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from aws_semantics.pipe_templates import MESSAGE_MEMBERS, is_path, paths_of, template_problem
from components.delivery import InvalidDelivery
from components.function_enrichment import FunctionEnrichment
from components.pipe_targets import Enrichment, PipeTarget
from components.refusal import Refused

#: Days that a pipe's log is kept: its dead letters say where an event was, and the log alone says why.
_LOG_RETENTION_DAYS: Final = 30


def check_parts(
    name: str,
    target: PipeTarget,
    enrichment: Enrichment | FunctionEnrichment | None,
    input_template: str | None,
    *,
    batch_size: int,
) -> None:
    """Refuse targets, enrichments and templates that AWS refuses, or that do not fit the batch size.

    Raises:
        Refused: AWS refuses a part.
        InvalidDelivery: The batch is larger than what a part takes in one call.
    """
    for part in (target, enrichment):
        if part is not None and (problem := part.problem()):
            raise Refused(f"{name}: {problem}")
    for template in (input_template, enrichment and enrichment.input_template):
        if template and (problem := template_problem(template)):
            raise Refused(f"{name}: {problem}; AWS refuses the pipe")
    for what, called in (("target", target), ("enrichment", enrichment)):
        most = called.maximum_batch if called else None
        if most is not None and batch_size > most:
            raise InvalidDelivery(
                f"{name}: batch_size={batch_size}, and the {what} takes {most} event{'s' * (most > 1)} in one "
                f"call: AWS refuses the pipe; set batch_size={most}"
            )


def pipe_log(name: str, opts: pulumi.ResourceOptions) -> aws.cloudwatch.LogGroup:
    """Create the log group of a pipe."""
    # With this prefix the log needs no room in the account's one policy of log deliveries.
    log_name = f"/aws/vendedlogs/pipes/{pulumi.get_project()}-{pulumi.get_stack()}-{name}"
    return aws.cloudwatch.LogGroup(name, name=log_name, retention_in_days=_LOG_RETENTION_DAYS, opts=opts)


def pipe_arguments(
    log_group: aws.cloudwatch.LogGroup,
    target: PipeTarget,
    enrichment: Enrichment | None,
    input_template: str | None,
) -> dict[str, Any]:
    """Return the arguments of a pipe that do not depend on its source."""
    to_target = {**target.parameters(), **({"input_template": input_template} if input_template else {})}
    return {
        "target": target.arn,
        **_enrichment_arguments(enrichment),
        **({"target_parameters": to_target} if to_target else {}),
        "log_configuration": {
            "level": "ERROR",
            "cloudwatch_logs_log_destination": {"log_group_arn": log_group.arn},
        },
    }


def check_message_paths(
    name: str, target: PipeTarget, enrichment: Enrichment | FunctionEnrichment | None, input_template: str | None
) -> None:
    """Refuse paths of a queue's pipe that lead to nothing in a message, and so would yield empty texts.

    Raises:
        Refused: A template or a parameter reads a member that no message has.
    """
    if enrichment is not None:  # the target's are read from its answer
        read = [("the enrichment's input template", path) for path in paths_of(enrichment.input_template or "")]
    else:
        read = [("the input template", path) for path in paths_of(input_template or "")]
        read += [(f"the target's {parameter}", path) for parameter, path in _dynamic(target.parameters())]
    for where, path in read:
        member = path.removeprefix("$").removeprefix(".").partition(".")[0].partition("[")[0]
        if member and member not in MESSAGE_MEMBERS:
            raise Refused(
                f"{name}: {where} reads {path}, and a message has no {member}: its content is below $.body, e.g. "
                f"$.body{path.removeprefix('$')}"
            )


def _dynamic(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each parameter that is read from the event, with its path."""
    for parameter, value in parameters.items():
        if isinstance(value, Mapping):
            yield from _dynamic(value)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and is_path(each):
                yield parameter, each


def _enrichment_arguments(enrichment: Enrichment | None) -> dict[str, Any]:
    if enrichment is None:
        return {}
    parameters: dict[str, Any] = {}
    http = enrichment.by.parameters().get("http_parameters")
    if http:
        parameters["http_parameters"] = http
    if enrichment.input_template:
        parameters["input_template"] = enrichment.input_template
    return {"enrichment": enrichment.by.arn, **({"enrichment_parameters": parameters} if parameters else {})}
