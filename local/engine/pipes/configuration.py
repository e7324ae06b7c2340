"""Configuration of a pipe: AWS's defaults, the effect of an update, and settings that are not simulated."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from local.engine.pipes.sources import UnsupportedSource, source_of
from local.engine.pipes.targets import UnsupportedTarget, enrichment_of, service_of

Parameters = Mapping[str, Any]

#: Members that AWS takes and that would have no effect here.
_NOT_SIMULATED = (
    ("TargetParameters", "EventBridgeEventBusParameters", "EndpointId"),
    ("TargetParameters", "EventBridgeEventBusParameters", "Time"),
    ("LogConfiguration", "FirehoseLogDestination"),
    ("LogConfiguration", "S3LogDestination"),
)


def not_simulated(parameters: Parameters) -> Iterator[str]:
    """Yield a line for every setting that AWS may take and that is not simulated."""
    for member, look_up in (("Target", service_of), ("Enrichment", enrichment_of), ("Source", source_of)):
        arn = parameters.get(member)
        if isinstance(arn, str) and arn:
            try:
                look_up(arn)
            except (UnsupportedSource, UnsupportedTarget) as unsupported:
                yield f"{member}: {unsupported}"
    for place in _NOT_SIMULATED:
        if _given(parameters, place):
            yield (
                f"{'.'.join(place)} of a pipe is not simulated, and ignoring it would show something that AWS does not "
                "do: leave it out here, and test it on an AWS account"
            )


def defaults_of(parameters: Parameters) -> Parameters:
    """Return the defaults of a pipe's source; the batch size is at most what the target takes.

    >>> stream = "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/2026-01-01T00:00:00.000"
    >>> defaults_of({"Source": stream, "Target": "arn:aws:sqs:us-east-1:111122223333:orders"})
    {'BatchSize': 10}
    """
    defaults = source_of(parameters["Source"]).defaults
    with contextlib.suppress(UnsupportedTarget):
        largest = service_of(parameters["Target"]).batch
        if largest is not None:
            return {**defaults, "BatchSize": min(defaults["BatchSize"], largest)}
    return defaults


def completed(parameters: Parameters) -> dict[str, Any]:
    """Return the configuration of a new pipe: the given parameters and AWS's defaults."""
    configuration = {"DesiredState": "RUNNING", **parameters}
    source = source_of(parameters["Source"])
    given = parameters.get("SourceParameters", {})
    # A stream needs a starting position.
    if source.parameters in given or not source.is_stream:
        of_source = {**defaults_of(parameters), **given.get(source.parameters, {})}
        configuration["SourceParameters"] = {**given, source.parameters: of_source}
    return configuration


def updated(configuration: Parameters, given: Parameters) -> dict[str, Any]:
    """Return the configuration after UpdatePipe: members of services are replaced as a whole, the others one by one."""
    changed = {**configuration, **given}
    for member in ("SourceParameters", "EnrichmentParameters", "TargetParameters"):
        if member in configuration or member in given:
            changed[member] = {**configuration.get(member, {}), **given.get(member, {})}
    source = source_of(configuration["Source"])
    of_source = source.given(configuration)
    kept = {name: of_source[name] for name in source.fixed if name in of_source}
    changed["SourceParameters"][source.parameters] = {**defaults_of(changed), **source.given(changed), **kept}
    if changed["Target"] != configuration["Target"]:
        # Parameters of the former target's service do not apply to the new one.
        known = {"InputTemplate", *given.get("TargetParameters", {}), _parameters_of(changed["Target"])}
        of_target = changed.get("TargetParameters", {})
        changed["TargetParameters"] = {name: value for name, value in of_target.items() if name in known}
    # An empty text removes a member.
    for member in ("Enrichment", "KmsKeyIdentifier"):
        if changed.get(member) == "":
            del changed[member]
    for member in ("EnrichmentParameters", "TargetParameters"):
        if changed.get(member, {}).get("InputTemplate") == "":
            del changed[member]["InputTemplate"]
    return changed


def _parameters_of(target: str) -> str | None:
    try:
        return service_of(target).parameters
    except UnsupportedTarget:
        return None


def _given(parameters: Any, place: tuple[str, ...]) -> bool:
    for name in place:
        if not isinstance(parameters, Mapping) or name not in parameters:
            return False
        parameters = parameters[name]
    return True
