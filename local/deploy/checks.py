"""Checks of a resource before any is created, for the deployment by mocks and for the provider alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.deploy import strict
from local.deploy.resources import RESOURCES, NotUsed
from local.deploy.resources.members import check_used


def problems(resource_type: str, inputs: Mapping[str, Any]) -> list[str]:
    """List why a resource cannot be created on this machine, one line each.

    Args:
        resource_type: Type token, e.g. `aws:lambda/function:Function`.
        inputs: Plain values in wire names.
    """
    declared = RESOURCES.get(resource_type)
    if declared is None:
        known = ", ".join(sorted(RESOURCES))
        return [f"this type cannot be deployed on this machine: those in local/deploy/resources are {known}"]
    if found := strict.problems(resource_type, inputs):
        return found
    try:
        check_used(declared.members, inputs)
    except NotUsed as unused:
        return [str(unused)]
    return []
